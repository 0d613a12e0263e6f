"""What DeepLIFT's methods get beside the inputs: a distribution of baselines, and a function of a person's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor

from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import Examples, as_tuple, describe, held_as

CustomAttribution = Callable[..., Any]


def distribution(baselines: Any, examples: Examples, inputs: Any) -> tuple[Tensor, ...]:
    """Baselines that are drawn from, M of them per input.

    Raises:
        InputTypeError, InputError: they are no tensors, fewer than two, or do not fit the inputs.
    """
    if callable(baselines):
        baselines = baselines(inputs) if inspect.signature(baselines).parameters else baselines()
    given = examples.per_input(baselines)
    if not all(isinstance(b, Tensor) for b in given):
        raise InputTypeError(
            f"baselines must be a tensor with M baselines in dimension 0, a tuple of these or a function that returns "
            f"them, but {describe(baselines)} came"
        )
    shapes = [tuple(x.shape[1:]) for x in examples.tensors]
    if [tuple(b.shape[1:]) for b in given] != shapes or len({b.shape[0] for b in given}) > 1:
        raise InputError(
            f"there must be one tensor of baselines per input, of shapes "
            f"{', '.join(str(('M', *s)).replace(chr(39), '') for s in shapes)} with one M, but {describe(given)} came"
        )
    if given[0].shape[0] < 2:
        raise InputError(
            "DeepLiftShap averages over a distribution of baselines, so there must be more than one; for a single "
            "baseline use DeepLift"
        )
    return tuple(held_as(b, x, i) for i, (b, x) in enumerate(zip(given, examples.tensors, strict=True)))


def call_custom(
    function: CustomAttribution, multipliers: Any, inputs: Any, baselines: Any
) -> tuple[Tensor, ...]:
    """Call with as many of the three as the function takes.

    Raises:
        InputTypeError: it takes none or more than three, or returns something else than one tensor per input.
    """
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind == p.VAR_POSITIONAL for p in parameters):
        wanted = 3
    else:
        wanted = sum(p.default is p.empty and p.kind != p.VAR_KEYWORD for p in parameters) or len(parameters)
    if not 1 <= wanted <= 3:
        raise InputTypeError(
            "custom_attribution_func must take (multipliers), (multipliers, inputs) or (multipliers, inputs, "
            f"baselines), but {describe(function)} takes {wanted} arguments"
        )
    found = function(*(multipliers, inputs, baselines)[:wanted])
    found = as_tuple(found)
    if len(found) != len(multipliers) or not all(isinstance(f, Tensor) for f in found):
        raise InputTypeError(
            f"custom_attribution_func must return one tensor per input, but {describe(found)} came"
        )
    return found
