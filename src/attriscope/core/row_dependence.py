"""Whether the rows of a batch depend on each other: found out by trying, and remembered.

Work is a grid of rows (:mod:`attriscope.core.evaluate`), and a batch may hold rows of several steps. That is right as
long as a row's answer is the same whatever stands beside it. Graph networks at node level, attention or normalisation
over the batch, batch normalisation in training mode, sets and bags are functions of the batch as a whole: another batch
is another function. So the first batch that mixes steps, or parts with examples, is held against a piece of it that is
run by itself.
"""

from __future__ import annotations

import contextlib
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
_ROUNDING = {torch.float16: 1e-2, torch.bfloat16: 3e-2, torch.float64: 1e-9, torch.complex128: 1e-9}
_SINGLE, _SINGLE_TF32 = 1e-4, 5e-3
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
        model = module_of(forward)
        modes = any(module.training for module in model.modules()) if isinstance(model, nn.Module) else None
        self._key = (part, modes, *map(_form, examples.tensors), *map(_form, tree_leaves(examples.arguments)))
        try:
            self._known = _KNOWN.setdefault(owner, {})
        except TypeError:  # a callable that takes no weak reference or has no hash
            self._known = {}

    @property
    def unused(self) -> tuple[tuple[int, int], ...] | None:
        """Where gradients are zero because there is no effect, as far as that was seen."""
        return self._known.get((self._key, "unused"))

    @unused.setter
    def unused(self, places: tuple[tuple[int, int], ...]) -> None:
        self._known[self._key, "unused"] = places

    @property
    def unit(self) -> Unit | None:
        """What must stay together; ``None`` while that is not known."""
        if self._declared:
            return "any"
        return self._known.get(self._key)

    def learn(self, unit: Unit) -> None:
        """Remember it."""
        self._known[self._key] = unit


def _form(value: Any) -> Hashable:
    if isinstance(value, Tensor):
        return value.shape[1:], value.dtype, value.device
    return str(type(value))


def mixes_rows(model: Any) -> bool:
    """Whether some module is seen to mix the rows of a batch: batch normalisation that takes the batch's statistics."""
    model = module_of(model)
    if not isinstance(model, nn.Module):
        return False
    return any(
        isinstance(module, nn.modules.batchnorm._BatchNorm)
        and not isinstance(module, nn.modules.instancenorm._InstanceNorm)
        and (module.training or module.running_mean is None)
        for module in model.modules()
    )


Piece = tuple[int, int]
"""Of how many equal pieces of a batch, which one."""


def same_evaluation(a: Evaluation, of_a: Piece, b: Evaluation, of_b: Piece) -> bool:
    """Whether a piece of one batch gave, but for rounding, what a piece of another gave."""
    scale = max(_largest(a), _largest(b), key=float)
    if a.f is not None and b.f is not None:
        answers = [(a.f, b.f)]
    else:
        outputs = list(zip(_tensors(a.output), _tensors(b.output), strict=False))
        answers = [*outputs, *_pairs(a.values, b.values)]
        if of_a[0] != of_b[0] and outputs and not any(_of_rows(*pair, of_a, of_b) for pair in outputs):
            return False  # one answer for however many rows
    for one, other in answers:
        if not _of_rows(one, other, of_a, of_b):
            continue
        if not _same_numbers(_piece(one, of_a), _piece(other, of_b), scale):
            return False
    return all(
        _same_direction(_piece(one, of_a), _piece(other, of_b))
        for one, other in _pairs(a.gradients, b.gradients)
        if _of_rows(one, other, of_a, of_b)
    )


def _of_rows(a: Tensor, b: Tensor, of_a: Piece, of_b: Piece) -> bool:
    """Whether there is as much of both for each piece."""
    return a.dim() > 0 and a.numel() * of_b[0] == b.numel() * of_a[0] and a.shape[0] % of_a[0] == 0


def _piece(values: Tensor, of: Piece) -> Tensor:
    pieces, index = of
    return values.reshape(pieces, -1)[index]


def _pairs(found: Nested, alone: Nested) -> list[tuple[Tensor, Tensor]]:
    return [pair for layers in zip(found, alone, strict=True) for pair in zip(*layers, strict=True)]


def _same_numbers(found: Tensor, alone: Tensor, scale: Tensor) -> bool:
    finite = torch.isfinite(alone)
    if not torch.equal(torch.isfinite(found), finite):
        return False
    difference = (found - alone)[finite].abs()
    return difference.numel() == 0 or bool(difference.max() <= _rounding(found) * scale + 1e-12)


def _same_direction(found: Tensor, alone: Tensor) -> bool:
    if not bool(torch.isfinite(alone).all() & torch.isfinite(found).all()):
        return True  # that is told elsewhere
    wide = torch.complex128 if found.is_complex() else torch.float64
    found, alone = found.to(wide), alone.to(wide)
    return bool((found - alone).norm() <= _ROUNDING_OF_GRADIENTS * alone.norm() + 1e-12)


def _tensors(given: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(given) if isinstance(leaf, Tensor) and leaf.numel()]


def _largest(found: Evaluation) -> Tensor:
    """The largest finite number that the model gave for a batch: what rounding is measured by."""
    tensors = _tensors((found.output, found.f, found.values if found.f is None else ()))
    sizes = [t.detach().abs().nan_to_num(0.0, 0.0, 0.0).max() for t in tensors if t.dtype != torch.bool]
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
        "graph network, with attention or normalisation over the batch, or with batch normalisation in training mode. "
        "Each step is therefore run by itself, with exactly the examples that were given, whatever batch size was "
        "asked for; and what is attributed to an example is its effect on the explained outputs of all of them"
    )
