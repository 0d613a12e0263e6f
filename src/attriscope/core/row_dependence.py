"""Whether the rows of a batch depend on each other: found out by trying, and remembered.

Work is a grid of rows (:mod:`attriscope.core.evaluate`), and a batch may hold rows of several steps. That is right as
long as a row's answer is the same whatever stands beside it. Graph networks at node level, attention or normalisation
over the batch, batch normalisation in training mode, sets and bags are functions of the batch as a whole: another batch
is another function. So the first batch that mixes steps, or parts with examples, is held against a piece of it that is
run by itself.
"""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Hashable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from attriscope.core.hooks import module_of
from attriscope.core.inputs import Examples, describe
from attriscope.core.pytree import tree_leaves
from attriscope.core.subject import Evaluation, Nested

Unit = Literal["row", "step", "any"]
"""What goes through a model undivided and unmixed: a row, a step (all examples), or nothing in particular."""

# By how much, as a share of the largest number, answers may differ by rounding alone.
_ROUNDING = {torch.float16: 1e-2, torch.bfloat16: 3e-2, torch.float64: 1e-10, torch.complex128: 1e-10}
_SINGLE, _SINGLE_TF32 = 2e-5, 5e-3
# What is drawn anew differs from time to time: by this much more, and it is something else.
_MORE_THAN_CHANCE = 4
# The same for gradients, as a share of their norm: where a unit is close to its kink, rounding decides on which side.
_ROUNDING_OF_GRADIENTS = 2e-2

_KNOWN: weakref.WeakKeyDictionary[Any, dict[Hashable, Any]] = weakref.WeakKeyDictionary()


class Units:
    """What is known of one model and rows of one shape.

    Args:
        forward: the model, a function, or a section of a model.
        examples: what rows are made of.
    """

    def __init__(self, forward: Any, examples: Examples) -> None:
        self._declared = getattr(forward, "independent_rows", False)
        owner, part = getattr(forward, "timing_key", (forward, None))
        # A bound method is made anew each time it is looked up.
        owner, part = getattr(owner, "__self__", owner), (part, getattr(owner, "__name__", None))
        self._model = model = module_of(forward)
        modes = (
            any(getattr(module, "training", False) for module in model.modules())
            if isinstance(model, nn.Module)
            else None
        )
        self._key = (part, modes, *map(_form, examples.tensors), *map(_form, tree_leaves(examples.arguments)))
        try:
            self._known = _KNOWN.setdefault(owner, {})
        except TypeError:  # a callable that takes no weak reference or has no hash
            self._known = {}

    def unused(self, what: Hashable) -> tuple[tuple[int, int], ...] | None:
        """Where what is explained and read has no effect and gradients are zero, as far as that was seen."""
        return self._known.get((self._key, "unused", what))

    def learn_unused(self, what: Hashable, places: tuple[tuple[int, int], ...]) -> None:
        """Remember it."""
        self._known[self._key, "unused", what] = places

    @property
    def unit(self) -> Unit | None:
        """What must stay together; ``None`` while that is not known, or no longer, as weights have changed."""
        if self._declared:
            return "any"
        unit, version = self._known.get(self._key, (None, 0))
        return unit if unit == "step" or version == self._version() else None

    def learn(self, unit: Unit) -> None:
        """Remember it."""
        self._known[self._key] = unit, self._version()

    def _version(self) -> int:
        """Another number whenever weights were changed: what they did not let through before may pass now."""
        if not isinstance(self._model, nn.Module):
            return 0
        # Tensors made under torch.inference_mode keep no version, and cannot be trained.
        return sum([p._version for p in self._model.parameters() if not p.is_inference()])


def _form(value: Any) -> Hashable:
    if isinstance(value, Tensor):
        return value.shape[1:], value.dtype, value.device
    return str(type(value))


def mixes_rows(model: Any) -> bool:
    """Whether some module is seen to mix the rows of a batch.

    Batch normalisation that takes the batch's statistics does, and so do dynamically quantised layers: they divide the
    range of the whole batch into steps.
    """
    model = module_of(model)
    if not isinstance(model, nn.Module):
        return False
    return any(
        type(module).__module__.startswith("torch.ao.nn.quantized.dynamic")
        or (
            isinstance(module, nn.modules.batchnorm._BatchNorm)
            and not isinstance(module, nn.modules.instancenorm._InstanceNorm)
            and (module.training or module.running_mean is None)
        )
        for module in model.modules()
    )


Piece = tuple[int, int]
"""Of how many equal pieces of a batch, which one."""


def same_evaluation(a: Evaluation, of_a: Piece, b: Evaluation, of_b: Piece) -> bool:
    """Whether a piece of one batch gave, but for rounding, what a piece of another gave."""
    scale = float(max(_largest(a), _largest(b), key=float))
    answers = _answers(a, of_a, b, of_b)
    if answers is None or any(_gap(one, other) > _rounding(one) * scale for one, other in answers):
        return False
    return all(
        _same_direction(_piece(one, of_a), _piece(other, of_b))
        for one, other in _pairs(a.gradients, b.gradients)
        if _of_rows(one, other, of_a, of_b)
    )


def beyond_chance(a: Evaluation, of_a: Piece, b: Evaluation, of_b: Piece, again: Evaluation) -> bool:
    """Whether a piece of one batch differs from one of another by more than that differs from the same run again."""
    drawn, found = _answers(b, of_b, again, of_b), _answers(a, of_a, b, of_b)
    if found is None or drawn is None:
        return True
    chance = max((_gap(*pair) for pair in drawn), default=0.0)
    return max((_gap(*pair) for pair in found), default=0.0) > _MORE_THAN_CHANCE * chance


def _answers(a: Evaluation, of_a: Piece, b: Evaluation, of_b: Piece) -> list[tuple[Tensor, Tensor]] | None:
    """What the same rows gave in each; ``None`` if one answer is given for however many rows."""
    if a.f is not None and b.f is not None:
        answers = [(a.f, b.f)]
    else:
        outputs = list(zip(_tensors(a.output), _tensors(b.output), strict=False))
        answers = [*outputs, *_pairs(a.values, b.values)]
        if of_a[0] != of_b[0] and outputs and not any(_of_rows(*pair, of_a, of_b) for pair in outputs):
            return None
    return [(_piece(x, of_a), _piece(y, of_b)) for x, y in answers if _of_rows(x, y, of_a, of_b)]


def _of_rows(a: Tensor, b: Tensor, of_a: Piece, of_b: Piece) -> bool:
    """Whether there is as much of both for each piece."""
    return a.dim() > 0 and a.numel() * of_b[0] == b.numel() * of_a[0] and a.shape[0] % of_a[0] == 0


def _piece(values: Tensor, of: Piece) -> Tensor:
    pieces, index = of
    return values.reshape(pieces, -1)[index]


def _pairs(found: Nested, alone: Nested) -> list[tuple[Tensor, Tensor]]:
    return [pair for layers in zip(found, alone, strict=True) for pair in zip(*layers, strict=True)]


def _gap(found: Tensor, alone: Tensor) -> float:
    """The largest difference; infinite if they are not finite at the same places."""
    finite = torch.isfinite(alone)
    if not torch.equal(torch.isfinite(found), finite):
        return math.inf
    difference = (found - alone)[finite].abs()
    return float(difference.max()) if difference.numel() else 0.0


def _same_direction(found: Tensor, alone: Tensor) -> bool:
    if not bool(torch.isfinite(alone).all() & torch.isfinite(found).all()):
        return True  # that is told elsewhere
    wide = torch.complex128 if found.is_complex() else torch.float64
    found, alone = found.to(wide), alone.to(wide)
    return bool((found - alone).norm() <= _ROUNDING_OF_GRADIENTS * alone.norm() + 1e-300)


def _tensors(given: Any) -> list[Tensor]:
    """The tensors whose numbers can be subtracted."""
    leaves = [leaf for leaf in tree_leaves(given) if isinstance(leaf, Tensor) and leaf.numel()]
    return [t for t in leaves if t.layout == torch.strided and (t.is_floating_point() or t.is_complex())]


def _largest(found: Evaluation) -> Tensor:
    """The largest finite number that the model gave for a batch: what rounding is measured by."""
    tensors = _tensors((found.output, found.f, found.values if found.f is None else ()))
    sizes = [t.detach().abs().nan_to_num(0.0, 0.0, 0.0).max() for t in tensors]
    none = torch.zeros((), device="cpu", dtype=torch.float64)
    return max((size.to("cpu", torch.float64) for size in sizes), default=none, key=float)


def _rounding(values: Tensor) -> float:
    if values.dtype in (torch.float32, torch.complex64) and values.is_cuda:
        loose = torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32
        return _SINGLE_TF32 if loose else _SINGLE
    return _ROUNDING.get(values.dtype, _SINGLE)


@contextlib.contextmanager
def unchanged_random_state(device: torch.device) -> Iterator[None]:
    """What runs inside the block draws no number from torch's global generators that others would miss."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def dependence(forward: Any) -> str:
    """What to tell a person about it."""
    name = (
        type(module_of(forward)).__name__ if isinstance(module_of(forward), nn.Module) else describe(forward)
    )
    return (
        f"the rows of a batch depend on each other in {name}: beside other rows a row gives something else, as in a "
        "graph network, with attention or normalisation over the batch, with batch normalisation in training mode or "
        "dynamically quantised layers. "
        "Each step is therefore run by itself, with exactly the examples that were given, whatever batch size was "
        "asked for; and what is attributed to an example is its effect on the explained outputs of all of them"
    )
