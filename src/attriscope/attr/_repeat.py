"""What a method is told about examples, for several samples of each: what belongs to an example is repeated with it.

:class:`~attriscope.attr.NoiseTunnel` and metrics of sensitivity explain many copies of each example in one call.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from attriscope.attr._random import Draws, even_choices
from attriscope.core.errors import InputError
from attriscope.core.inputs import Examples, as_tensor, as_tuple, describe
from attriscope.core.target import Target, resolve_target

# Arguments that may hold one entry per example.
_OF_EXAMPLES = ("baselines", "feature_mask", "layer_baselines", "layer_mask")


def parameters_of(method: Any) -> Mapping[str, inspect.Parameter]:
    """What ``method.attribute`` takes; nothing if that cannot be told."""
    try:
        return inspect.signature(method.attribute).parameters
    except (TypeError, ValueError):
        return {}


class RepeatedArguments:
    """A method's keyword arguments for several samples of each example.

    Args:
        method: whose ``attribute`` will be called.
        kwargs: the arguments for the examples themselves.
        examples: the examples.
        samples: how many samples there will be in all.
        draws: for baselines drawn from ``baselines``, one for each sample; ``None`` if they go with the examples.

    Raises:
        TargetError, InputError: the target has not one entry per example, or baselines of this shape cannot be drawn.
    """

    def __init__(
        self,
        method: Any,
        kwargs: dict[str, Any],
        examples: Examples,
        samples: int,
        draws: Draws | None = None,
    ) -> None:
        self._given = kwargs
        self._examples = examples
        self._choices: list[Tensor] = []
        # Of ours, those that cannot do without baselines take a distribution, whose entries belong to no example.
        needed = parameters_of(method).get("baselines")
        ours = type(method).__module__.startswith("attriscope.")
        self._pooled = ours and needed is not None and needed.default is inspect.Parameter.empty
        target = kwargs.get("target")
        if isinstance(target, list | Tensor) or type(target).__module__ == "numpy":
            resolve_target(target, examples.count)  # repeated, a target of the wrong length might seem right
        if draws is not None and kwargs.get("baselines") is not None:
            self._choose(as_tuple(kwargs["baselines"]), draws, samples)

    def _choose(self, baselines: tuple[Any, ...], draws: Draws, samples: int) -> None:
        for i, (b, x) in enumerate(zip(baselines, self._examples.tensors, strict=False)):
            if isinstance(b, Tensor) and (b.dim() == 0 or len(b) == 0 or b.shape[1:] != x.shape[1:]):
                raise InputError(
                    f"the baselines to draw from for input {i} must have shape (M, "
                    f"{', '.join(map(str, x.shape[1:]))}), but {describe(b)} came"
                )
        counts = [len(b) if isinstance(b, Tensor) else 1 for b in baselines]
        generator = draws.stream(-1)
        drawn = {m: even_choices(samples, self._examples.count, m, generator) for m in dict.fromkeys(counts)}
        self._choices = [drawn[m] for m in counts]

    def with_arguments(self, examples: Examples) -> Examples:
        """The examples with the further arguments of the model, as the method will be called with them."""
        given = self._given.get("additional_forward_args")
        names = tuple(given) if isinstance(given, Mapping) and examples.by_keyword else ()
        arguments = () if given is None else _values(given) if names else as_tuple(given)
        return dataclasses.replace(examples, arguments=arguments, names=names)

    def collides(self, rows: int) -> bool:
        """Whether an argument that belongs to no example would look as if it had one entry per row."""
        given = _values(self._given.get("additional_forward_args"))
        return any(
            isinstance(v, Tensor) and v.dim() > 0 and len(v) == rows and len(v) != self._examples.count
            for v in given
        )

    def kwargs(self, first: int, count: int) -> dict[str, Any]:
        """The arguments for ``count`` samples from ``first`` on."""
        found = dict(self._given)
        for name, value in self._given.items():
            if name == "target":
                found[name] = self._target(value, count)
            elif name == "additional_forward_args":
                found[name] = self._arguments(value, count)
            elif name == "baselines" and self._choices:
                found[name] = self._drawn(value, first, count)
            elif name in _OF_EXAMPLES and not (name == "baselines" and self._pooled):
                found[name] = self._per_example(name, value, count)
        return found

    def _target(self, target: Any, count: int) -> Any:
        if isinstance(target, list):
            return [entry for entry in target for _ in range(count)]
        if isinstance(target, Target) and target.each is not None:
            return dataclasses.replace(target, each=target.each.repeat_interleave(count, 0))
        if isinstance(target, Tensor) or type(target).__module__ == "numpy":
            entries = as_tensor(target)
            return entries.repeat_interleave(count, 0) if entries.numel() > 1 else target
        return target

    def _arguments(self, given: Any, count: int) -> Any:
        n = self._examples.count

        def rows(value: Any) -> Any:
            if not isinstance(value, Tensor) or value.dim() == 0:
                return value
            if len(value) == n:
                return value.repeat_interleave(count, 0)
            return value.expand(n * count, *value.shape[1:]) if len(value) == 1 else value

        if isinstance(given, Mapping):
            return {name: rows(value) for name, value in given.items()}
        return None if given is None else tuple(rows(value) for value in as_tuple(given))

    def _per_example(self, name: str, given: Any, count: int) -> Any:
        n = self._examples.count
        dims = [x.dim() for x in self._examples.tensors]

        def rows(i: int, value: Any) -> Any:
            if not isinstance(value, Tensor) or value.dim() == 0 or len(value) != n or n == 1:
                return value
            # A mask of fewer dimensions than its input is the same for all examples.
            if name == "feature_mask" and i < len(dims) and value.dim() < dims[i]:
                return value
            return value.repeat_interleave(count, 0)

        if not isinstance(given, tuple):
            return rows(0, given)
        return tuple(rows(i, value) for i, value in enumerate(given))

    def _drawn(self, given: Any, first: int, count: int) -> Any:
        def rows(value: Any, chosen: Tensor) -> Any:
            if not isinstance(value, Tensor):
                return value
            return value[chosen[first : first + count].T.flatten().to(value.device)]

        found = tuple(rows(v, chosen) for v, chosen in zip(as_tuple(given), self._choices, strict=True))
        return found if isinstance(given, tuple) else found[0]


def _values(given: Any) -> tuple[Any, ...]:
    """The values of arguments, by whatever name."""
    return tuple(given.values()) if isinstance(given, Mapping) else as_tuple(given)
