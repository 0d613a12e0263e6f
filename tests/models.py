"""Nets small enough to think through, and what tests of methods need: comparisons, and the state of the world."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def spelled(value: Any) -> str:
    """A value as the name of a test: the same in every process, so without addresses."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


def seeded(seed: int) -> torch.Generator:
    """Tests draw from a generator of their own: the global one is part of what they watch."""
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normal numbers; the same in every dtype up to rounding."""
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64, device="cpu").to(dtype)


@contextlib.contextmanager
def elsewhere() -> Iterator[None]:
    """Inside the block torch makes tensors where no numbers are, as on a GPU beside tensors that are not on it."""
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


def with_drawn_parameters(model: nn.Module, seed: int = 1) -> Any:
    """The model in evaluation mode with parameters, and running statistics, that depend on the seed only."""
    generator = seeded(seed)
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if not tensor.is_floating_point():
                continue
            drawn = torch.randn(tensor.shape, generator=generator, dtype=torch.float64) * 0.5
            tensor.copy_(drawn.abs() + 0.5 if name.endswith("running_var") else drawn)
    return model.eval()


class Pictures(nn.Module):
    """Scores (N, 4) of pictures (N, 2, 6, 5): every kind of layer that tends to go wrong, in a few numbers.

    ``conv`` is followed by a ReLU that works in place, ``block`` stands in a residual addition, ``drop`` does nothing
    in evaluation mode and hands its input on, ``unused`` never runs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)
        self.bn = nn.BatchNorm2d(3)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.block = nn.Conv2d(3, 3, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(3 * 3 * 2, 4)
        self.unused = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn(self.conv(x)))
        x = x + self.block(self.drop(x)).tanh()
        return self.fc(self.pool(x).flatten(1))


def pictures(dtype: torch.dtype = torch.float64) -> Pictures:
    return with_drawn_parameters(Pictures()).to(dtype)


class Mlp(nn.Module):
    """Scores (N, out) of vectors (N, features), with one hidden layer."""

    def __init__(self, features: int = 4, hidden: int = 6, out: int = 3, smooth: bool = True) -> None:
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.act: nn.Module = nn.Tanh() if smooth else nn.ReLU()
        self.last = nn.Linear(hidden, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.act(self.first(x)))


def mlp(seed: int = 1, dtype: torch.dtype = torch.float64, **sizes: Any) -> Mlp:
    return with_drawn_parameters(Mlp(**sizes), seed).to(dtype)


class Beside(nn.Module):
    """:class:`Mlp` with a layer ``aside`` that runs, and has no effect."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.aside = mlp(), nn.Linear(4, 2).double()

    def forward(self, x: Tensor) -> Tensor:
        self.aside(x)
        return self.net(x)


class Pair(nn.Module):
    """Scores (N, 3) of two inputs (N, 4) and (N, 2, 3), with further arguments of every kind.

    Args of forward:
        per_example: a tensor (N, 3) or (1, 3).
        weights: one tensor (3,) for all examples, neither N nor 1 long.
        scale: a number or a tensor without dimensions.
        mode: anything else.
    """

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 3)
        self.b = nn.Linear(6, 3)

    def forward(
        self,
        x: Tensor,
        y: Tensor,
        per_example: Tensor | None = None,
        weights: Tensor | None = None,
        scale: Any = 1.0,
        mode: str = "plain",
    ) -> Tensor:
        out = (self.a(x) * self.b(y.flatten(1)).sigmoid()).tanh()
        if per_example is not None:
            out = out * per_example
        if weights is not None:
            out = out * weights
        return out * scale if mode == "plain" else out.square() * scale


def pair(dtype: torch.dtype = torch.float64) -> Pair:
    return with_drawn_parameters(Pair()).to(dtype)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in a result of any form."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)


def assert_same(found: Any, expected: Any, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Equal in form, type, shape and, within the tolerance, number; to the last bit by default."""
    assert type(found) is type(expected)
    if isinstance(expected, tuple | list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other, rtol, atol)
    else:
        torch.testing.assert_close(found, expected, rtol=rtol, atol=atol, equal_nan=True)


# --- the state of the world ---------------------------------------------------------------------------------

_HOOKS = tuple(
    name for name, value in vars(nn.Module()).items() if "hook" in name and isinstance(value, dict)
)


def _fingerprint(value: Any) -> Any:
    """Something to compare later, for any kind of attribute."""
    if isinstance(value, Tensor):
        grad = None if value.grad is None else (id(value.grad), value.grad.clone())
        return id(value), value.detach().clone(), value.requires_grad, grad
    if isinstance(value, dict):
        return [(key, _fingerprint(entry)) for key, entry in value.items()]
    if isinstance(value, int | float | bool | str | None):
        return value
    return id(value)


def _of_module(module: nn.Module) -> dict[str, Any]:
    found = {name: _fingerprint(value) for name, value in vars(module).items()}
    assert {*_HOOKS, "training", "_parameters", "_buffers", "_modules"} <= {*found}
    return found


def _of_world() -> dict[str, Any]:
    from torch.nn.modules import module

    return {
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "torch's random state": torch.get_rng_state(),
        "numpy's random state": (np.random.get_state()[1].tobytes(), np.random.get_state()[2]),
        "python's random state": random.getstate(),
        "default dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cudnn": (torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark),
        "global hooks": {
            name: list(value)
            for name, value in vars(module).items()
            if name.startswith("_global") and isinstance(value, dict)
        },
    }


@dataclasses.dataclass
class Snapshot:
    """Everything about a model, some tensors and torch's global state that a method must leave as it was."""

    model: Any
    tensors: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        self.before = self._take()

    def _take(self) -> dict[str, Any]:
        modules = dict(self.model.named_modules()) if isinstance(self.model, nn.Module) else {}
        return {
            "world": _of_world(),
            "modules": {name: _of_module(module) for name, module in modules.items()},
            # Parameters are not even written to; buffers are, in training mode, so only their values count.
            "versions": {name: p._version for name, p in self.model.named_parameters()} if modules else {},
            "tensors": [(*_fingerprint(t), t._version, t.is_leaf) for t in self.tensors],
        }

    def check(self) -> None:
        """Fails, saying what changed, unless all is as it was."""
        changed = list(_differences(self.before, self._take(), "the state"))
        assert not changed, f"changed: {changed}"


def _differences(before: Any, after: Any, path: str) -> Iterator[str]:
    if type(before) is not type(after):
        yield f"{path}: {before!r} -> {after!r}"
    elif isinstance(before, Tensor):
        same = before.shape == after.shape and ((before == after) | (before.isnan() & after.isnan())).all()
        if not same:
            yield f"{path}: values"
    elif isinstance(before, dict):
        for key in {**before, **after}:
            if key in before and key in after:
                yield from _differences(before[key], after[key], f"{path}[{key!r}]")
            else:
                yield f"{path}[{key!r}] {'is gone' if key in before else 'is new'}"
    elif isinstance(before, tuple | list):
        if len(before) != len(after):
            yield f"{path}: {len(before)} -> {len(after)} entries"
        else:
            for i, (one, other) in enumerate(zip(before, after, strict=True)):
                yield from _differences(one, other, f"{path}[{i}]")
    elif before != after:
        yield f"{path}: {before!r} -> {after!r}"


class Recorder(nn.Module):
    """Runs ``inner`` and notes how many rows came each time."""

    def __init__(self, inner: Callable[..., Any]) -> None:
        super().__init__()
        self.inner = inner
        self.rows: list[int] = []

    def forward(self, x: Tensor, *more: Any) -> Any:
        self.rows.append(len(x))
        return self.inner(x, *more)
