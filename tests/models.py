"""Nets small enough to think through, and what tests of methods need: the methods, and the state of the world."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attriscope.attr import (
    LRP,
    Attribution,
    Deconvolution,
    DeepLift,
    DeepLiftShap,
    GradientShap,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    InternalInfluence,
    LayerActivation,
    LayerConductance,
    LayerDeepLift,
    LayerDeepLiftShap,
    LayerFeatureAblation,
    LayerFeaturePermutation,
    LayerGradCam,
    LayerGradientShap,
    LayerGradientXActivation,
    LayerIntegratedGradients,
    LayerLRP,
    NeuronConductance,
    NeuronDeconvolution,
    NeuronDeepLift,
    NeuronDeepLiftShap,
    NeuronFeatureAblation,
    NeuronGradient,
    NeuronGradientShap,
    NeuronGuidedBackprop,
    NeuronIntegratedGradients,
    NoiseTunnel,
    Saliency,
)


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


# --- the methods --------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Method:
    """A method as contract tests call it, whatever its signature.

    Attributes:
        make: builds it for a model, and a layer if it looks at one.
        options: arguments for ``attribute`` that keep tests quick.
        layered: it looks at a layer.
        targeted: it explains an output.
        path: it integrates, so it takes ``n_steps`` and ``internal_batch_size``.
        random: it draws numbers, of which each example gets its own; here always from the same seed.
        gradient: it needs gradients of the output: one number per example must be explained.
        rules: its backward pass has rules of its own, which refuse operations that they do not know.
        baselines: how many baselines it takes, as a distribution.
    """

    name: str
    make: Callable[..., Attribution]
    options: dict[str, Any]
    layered: bool = False
    targeted: bool = True
    path: bool = False
    random: bool = False
    gradient: bool = True
    rules: bool = False
    baselines: int = 0

    @property
    def neuron(self) -> bool:
        """It stops at a neuron."""
        return "neuron_selector" in self.options

    def on(self, model: Any, layer: Any = "conv") -> Attribution:
        return self.make(model, layer) if self.layered else self.make(model)

    def arguments(self, target: Any = None, **more: Any) -> dict[str, Any]:
        given = {**self.options, **more}
        if self.random:
            given["generator"] = seeded(5)
        if self.baselines:
            given.setdefault("baselines", lambda inputs: baselines_for(inputs, self.baselines))
        return {**given, "target": target} if self.targeted else given

    def attribute(self, model: Any, inputs: Any, target: Any = None, layer: Any = "conv", **more: Any) -> Any:
        return self.on(model, layer).attribute(inputs, **self.arguments(target, **more))


def baselines_for(inputs: Any, count: int) -> Any:
    """A distribution of baselines that fits the inputs."""
    if isinstance(inputs, tuple):
        return tuple(baselines_for(x, count) for x in inputs)
    drawn = draw(count, *inputs.shape[1:], seed=8)
    return drawn.to(device=inputs.device, dtype=inputs.dtype)


def _smoothed(method: Any) -> Callable[..., Attribution]:
    return lambda *given: NoiseTunnel(method(*given))


QUARTERS = torch.tensor([0, 1, 1, 2, 3]).expand(6, 5)
"""Features of what the layers of :class:`Pictures` hold: positions, all channels together."""
_NEURON = {"neuron_selector": (1, 2, 3)}
_NOISE = {"nt_samples": 3, "stdevs": 0.1}

METHODS = (
    Method("Saliency", Saliency, {}),
    Method("Saliency signed", Saliency, {"abs": False}),
    Method("InputXGradient", InputXGradient, {}),
    Method("IntegratedGradients", IntegratedGradients, {"n_steps": 7}, path=True),
    Method(
        "IntegratedGradients sensitivity",
        lambda model: IntegratedGradients(model, multiply_by_inputs=False),
        {"n_steps": 6, "method": "riemann_trapezoid"},
        path=True,
    ),
    Method("GradientShap", GradientShap, {"n_samples": 4}, random=True, baselines=2),
    Method("GuidedBackprop", GuidedBackprop, {}, rules=True),
    Method("Deconvolution", Deconvolution, {}, rules=True),
    Method("DeepLift", DeepLift, {}, rules=True),
    Method("DeepLiftShap", DeepLiftShap, {}, rules=True, baselines=3),
    Method("LRP", LRP, {}, rules=True),
    Method("NoiseTunnel", _smoothed(Saliency), _NOISE, random=True),
    Method("LayerActivation", LayerActivation, {}, layered=True, targeted=False),
    Method("LayerActivation input", LayerActivation, {"attribute_to_layer_input": True}, layered=True, targeted=False),
    Method("LayerGradCam", LayerGradCam, {}, layered=True),
    Method("LayerGradCam input", LayerGradCam, {"attribute_to_layer_input": True}, layered=True),
    Method("LayerGradientXActivation", LayerGradientXActivation, {}, layered=True),
    Method("LayerConductance", LayerConductance, {"n_steps": 6, "baselines": 0.2}, layered=True, path=True),
    Method(
        "LayerConductance input",
        LayerConductance,
        {"n_steps": 6, "method": "riemann_right", "attribute_to_layer_input": True},
        layered=True,
        path=True,
    ),
    Method("InternalInfluence", InternalInfluence, {"n_steps": 7}, layered=True, path=True),
    Method("LayerIntegratedGradients", LayerIntegratedGradients, {"n_steps": 7}, layered=True, path=True),
    Method(
        "LayerIntegratedGradients input",
        LayerIntegratedGradients,
        {"n_steps": 7, "attribute_to_layer_input": True},
        layered=True,
        path=True,
    ),
    Method("LayerGradientShap", LayerGradientShap, {"n_samples": 4}, layered=True, random=True, baselines=2),
    Method("LayerDeepLift", LayerDeepLift, {"baselines": 0.1}, layered=True, rules=True),
    Method("LayerDeepLiftShap", LayerDeepLiftShap, {}, layered=True, rules=True, baselines=3),
    Method("LayerLRP", LayerLRP, {}, layered=True, rules=True),
    Method("LayerFeatureAblation", LayerFeatureAblation, {"layer_mask": QUARTERS}, layered=True, gradient=False),
    Method("LayerFeaturePermutation", LayerFeaturePermutation, {"layer_mask": QUARTERS},
           layered=True, random=True, gradient=False),
    Method("NoiseTunnel at a layer", _smoothed(LayerGradientXActivation), _NOISE, layered=True, random=True),
    Method("NeuronGradient", NeuronGradient, _NEURON, layered=True, targeted=False),
    Method("NeuronGradient input", NeuronGradient,
           {"neuron_selector": (0, 1, slice(1, 3)), "attribute_to_neuron_input": True}, layered=True, targeted=False),
    Method("NeuronIntegratedGradients", NeuronIntegratedGradients, {**_NEURON, "n_steps": 7},
           layered=True, targeted=False, path=True),
    Method("NeuronConductance", NeuronConductance, {**_NEURON, "n_steps": 7}, layered=True, path=True),
    Method("NeuronGradientShap", NeuronGradientShap, {**_NEURON, "n_samples": 4},
           layered=True, targeted=False, random=True, baselines=2),
    Method("NeuronDeepLift", NeuronDeepLift, _NEURON, layered=True, targeted=False, rules=True),
    Method("NeuronDeepLiftShap", NeuronDeepLiftShap, _NEURON, layered=True, targeted=False, rules=True, baselines=3),
    Method("NeuronGuidedBackprop", NeuronGuidedBackprop, _NEURON, layered=True, targeted=False, rules=True),
    Method("NeuronDeconvolution", NeuronDeconvolution, _NEURON, layered=True, targeted=False, rules=True),
    Method("NeuronFeatureAblation", NeuronFeatureAblation, _NEURON,
           layered=True, targeted=False, gradient=False),
    Method("NoiseTunnel for a neuron", _smoothed(NeuronGradient), {**_NEURON, **_NOISE},
           layered=True, targeted=False, random=True),
)  # fmt: skip


def _each(methods: Iterator[Method]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("method", list(methods), ids=lambda m: m.name)


every_method = _each(m for m in METHODS)
every_input_method = _each(m for m in METHODS if not m.layered)
every_targeted_method = _each(m for m in METHODS if m.targeted)
every_path_method = _each(m for m in METHODS if m.path)
every_fixed_method = _each(m for m in METHODS if not m.random)
every_fixed_input_method = _each(m for m in METHODS if not (m.random or m.layered))
every_trainable_method = _each(m for m in METHODS if not m.rules)
every_method_in_both_modes = pytest.mark.parametrize(
    ("method", "training"),
    [
        pytest.param(m, training, id=f"{m.name}{' in training' if training else ''}")
        for m in METHODS
        for training in (False, True)
        # Rules refuse dropout and batch statistics.
        if not (m.rules and training)
    ],
)


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
