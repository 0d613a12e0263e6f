"""The examples of a batch, one at a time: tensor, baselines, and how code calls them.

What is seen of them is in :mod:`attriscope.widget.stages`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attriscope.core.inputs import Examples
from attriscope.widget.messages.types import ExampleInfo
from attriscope.widget.methods.arguments import CodeValue, as_code
from attriscope.widget.stages.pictures import PictureStage
from attriscope.widget.stages.stage import MakeStage
from attriscope.widget.state.selection import Selection
from attriscope.widget.state.table import PATH

# So many examples are kept with their baselines.
_KEPT = 8


class Example:
    """One example of the batch.

    Args:
        examples: all of them, with the model's other arguments.
        index: which of them.
        make_stage: makes what it is seen by.
        edited: cells that have other values, as (column, value); see :meth:`Stage.edit`.
    """

    def __init__(
        self,
        examples: Examples,
        index: int,
        make_stage: MakeStage,
        edited: Sequence[tuple[int, float]] = (),
    ) -> None:
        part = slice(index, index + 1)
        self._part, self._of_many = part, examples.count > 1
        self._cut = f"[{part.start}:{part.stop}]"
        arguments = examples.forward_arguments(1, part)
        self.edited = tuple(edited)
        self.tensor = examples.tensors[0].detach()[part]
        if self.edited:
            self.tensor = make_stage(self.tensor).edit(self.edited)
        self.examples = Examples((self.tensor,), True, arguments)
        self.stage = make_stage(self.tensor)
        self.inputs = self._in_code(self.stage.inputs)
        self.arguments = self._arguments_in_code(examples) if arguments else None
        self._latest_baselines: tuple[Any, tuple[CodeValue, ...]] | None = None

    def _in_code(self, inputs: CodeValue) -> CodeValue:
        """The example, cut from the inputs and edited."""
        of_many = f"{inputs.code}{self._cut}" if self._of_many else inputs.code
        if self.edited:
            cut = (f"example = {of_many}.clone()",)
            cells = (f"example[:, {column}] = {as_code(value)}" for column, value in self.edited)
            return CodeValue(self.tensor, "example", (*inputs.before, *cut, *cells))
        if self._of_many:
            return CodeValue(self.tensor, "example", (*inputs.before, f"example = {of_many}"))
        return CodeValue(self.tensor, inputs.code, inputs.before)

    def _arguments_in_code(self, examples: Examples) -> CodeValue:
        """The model's other arguments, cut from those that the user gave."""
        name, values = "additional_forward_args", self.examples.arguments
        if all(a is b for a, b in zip(values, examples.arguments, strict=True)):
            return CodeValue(values, name)
        cut = [
            f"forward_args[{i}]" + ("" if value is given else self._cut)
            for i, (value, given) in enumerate(zip(values, examples.arguments, strict=True))
        ]
        as_tuple = f"forward_args = {name} if isinstance({name}, tuple) else ({name},)"
        return CodeValue(values, f"({', '.join(cut)},)", (as_tuple,))

    def baselines(self, selection: Selection) -> tuple[CodeValue, ...]:
        """The selected baselines; the latest ones are kept."""
        key = repr(selection.values(PATH)), selection.custom
        if self._latest_baselines is None or self._latest_baselines[0] != key:
            made = tuple(self._baseline(name, selection) for name in selection.baselines)
            self._latest_baselines = key, made
        return self._latest_baselines[1]

    @property
    def groups(self) -> CodeValue | None:
        """Which feature each number belongs to, if the stage says so."""
        groups = self.stage.groups
        if groups is None:
            return None
        return CodeValue(groups[None], "groups[None]", ("# groups are those of your stage",))

    def forget_baselines(self) -> None:
        """Make them anew, for the example may be another: it is the user's tensor."""
        self._latest_baselines = None

    def _baseline(self, name: str, selection: Selection) -> CodeValue:
        x = self.inputs.code
        if name == "custom":
            assert selection.custom is not None
            own = selection.custom.tensor
            if own.numel() == 1 < self.tensor.numel():  # it came as a number
                return CodeValue(own.expand_as(self.tensor), f"torch.full_like({x}, {own.item()!r})")
            cut = own.shape[0] > 1
            return CodeValue(
                own[self._part] if cut else own,
                f"baseline{self._cut}" if cut else "baseline",
                ("# baseline is the tensor of your own",),
            )
        return self.stage.baseline_in_code(name, x)

    def baseline_shown(self, selection: Selection) -> dict[str, Any]:
        """The traits by which the page draws the baseline; of several their mean."""
        return self.stage.baseline_shown([start.value for start in self.baselines(selection)])

    @property
    def references(self) -> tuple[CodeValue, ...]:
        """What else to compare with where a method needs several baselines."""
        return tuple(CodeValue(value, code.format(self.inputs.code)) for value, code in self.stage.references)

    def own_baseline(self, custom: Tensor) -> Tensor:
        """Of the user's own, which is for one example or for all of them, what is this example's."""
        return custom[self._part] if custom.shape[0] > 1 else custom


class ExampleBatch:
    """All examples, of which those that were looked at last are kept.

    Args:
        examples: all of them, with the model's other arguments.
        make_stage: makes what an example is seen by.
    """

    def __init__(self, examples: Examples, make_stage: MakeStage) -> None:
        self._all, self._make_stage = examples, make_stage
        self._kept: dict[int, Example] = {}

    def example(self, index: int) -> Example:
        """One of the examples."""
        if index not in self._kept:
            while len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[index] = self.as_it_came(index)
        return self._kept[index]

    def as_it_came(self, index: int) -> Example:
        """One of the examples without edits; it is not kept."""
        return Example(self._all, index, self._make_stage)

    def peek(self, index: int) -> Example:
        """One of the examples, which is not kept if it was not before."""
        return self._kept.get(index) or self.as_it_came(index)

    def edit(self, index: int, edited: Sequence[tuple[int, float]]) -> set[int]:
        """Give cells of an example other values, and those of all others their own.

        Returns:
            Which examples are other ones now.

        Raises:
            InputError: nothing can be edited here.
        """
        before = {i: example.edited for i, example in self._kept.items() if example.edited}
        if before == ({index: tuple(edited)} if edited else {}):
            return set()
        changed = Example(self._all, index, self._make_stage, edited)
        for i in before:
            del self._kept[i]
        self._kept[index] = changed
        return {*before, index}

    def forget_baselines(self) -> None:
        """Make them anew when they are asked for."""
        for example in self._kept.values():
            example.forget_baselines()

    def release(self) -> None:
        """Let go of everything that was kept."""
        self._kept.clear()

    def infos(self) -> list[ExampleInfo]:
        """All examples as they are chosen from; none if there is only one."""
        count = self._all.count
        return [self.peek(i).stage.example_info(i, count) for i in range(count)] if count > 1 else []

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """The picture (H, W, 3) of an example, which is one."""
        stage = self.peek(index).stage
        assert isinstance(stage, PictureStage)
        return stage.pixels
