"""The numbers of Captum 0.9.0, wherever those are right, in float64 on small nets.

What Captum warns about (gradients that it switches on itself) is none of our business.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor, nn

import attriscope.attr
from attriscope.attr.quadrature import METHODS
from models import draw, mlp, pair, pictures, tensors_in, with_drawn_parameters

pytestmark = pytest.mark.filterwarnings("ignore")

NAMES = ("Saliency", "InputXGradient", "IntegratedGradients", "LayerActivation", "LayerGradCam")
INPUT_METHODS = ("Saliency", "InputXGradient", "IntegratedGradients")
OPTIONS: dict[str, dict[str, Any]] = {"IntegratedGradients": {"n_steps": 9}}


def both(name: str, *args: Any) -> tuple[Any, Any]:
    """Ours and Captum's."""
    return getattr(attriscope.attr, name)(*args), getattr(captum.attr, name)(*args)


def assert_as_captum(found: Any, expected: Any, rtol: float = 1e-10, atol: float = 1e-13) -> None:
    """The same form and the same numbers; Captum keeps a graph on some, ours are detached."""
    assert type(found) is type(expected)
    ours, theirs = list(tensors_in(found)), list(tensors_in(expected))
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        assert not one.requires_grad
        torch.testing.assert_close(one, other.detach(), rtol=rtol, atol=atol)
    assert any(t.abs().max() > 1e-6 for t in theirs), "nothing but zeros is compared"


class _Exact:
    """Captum without its rounding to single precision, so that the same sums can be compared to the last digits.

    IntegratedGradients rounds weights by ``.float()`` and takes the nodes of the Riemann rules from a ``linspace`` of
    the default dtype, so that its results in float64 are right to 8 digits.
    """

    def __init__(self, method: Any) -> None:
        self._method = method

    def attribute(self, *args: Any, **kwargs: Any) -> Any:
        before = torch.get_default_dtype()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.Tensor, "float", torch.Tensor.double)
            torch.set_default_dtype(torch.float64)
            try:
                return self._method.attribute(*args, **kwargs)
            finally:
                torch.set_default_dtype(before)


def both_exactly(name: str, *args: Any) -> tuple[Any, Any]:
    """Ours, and Captum's without rounding."""
    ours, theirs = both(name, *args)
    return ours, _Exact(theirs)


# --- what is not a number ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_signatures_names_and_promises(name: str) -> None:
    model = mlp()
    ours, theirs = both(name, *((model, model.first) if name.startswith("Layer") else (model,)))

    def parameters(function: Callable[..., Any]) -> list[tuple[str, Any]]:
        return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]

    assert parameters(ours.attribute) == parameters(theirs.attribute)
    assert parameters(type(ours)) == parameters(type(theirs))
    assert ours.get_name() == theirs.get_name()
    assert ours.multiplies_by_inputs == theirs.multiplies_by_inputs
    assert ours.has_convergence_delta() == theirs.has_convergence_delta()
    for base in ("Attribution", "GradientAttribution", "LayerAttribution"):
        if isinstance(theirs, getattr(captum.attr, base)) and not name.startswith("Layer"):
            assert isinstance(ours, getattr(attriscope.attr, base))
    assert isinstance(ours, attriscope.attr.LayerAttribution) is name.startswith("Layer")


# --- inputs, baselines, targets, further arguments ------------------------------------------------------------------

X, Y = draw(3, 4), draw(3, 2, 3, seed=5)


@pytest.mark.parametrize("name", INPUT_METHODS)
@pytest.mark.parametrize(
    "target",
    [1, -1, (2,), [0, 2, 1], [(0,), (2,), (1,)], torch.tensor(2), torch.tensor([2]), torch.tensor([0, 2, 1])],
    ids=str,
)
def test_targets(name: str, target: Any) -> None:
    ours, theirs = both_exactly(name, pair())
    options = {**OPTIONS.get(name, {}), "target": target}
    assert_as_captum(ours.attribute((X, Y), **options), theirs.attribute((X, Y), **options))


@pytest.mark.parametrize("name", INPUT_METHODS)
@pytest.mark.parametrize("target", [(1, 2), [(1, 2), (0, 0), (1, 1)], (0, -1)], ids=str)
def test_targets_of_outputs_with_more_dimensions(name: str, target: Any) -> None:
    net = mlp(out=6)
    ours, theirs = both_exactly(name, lambda x: net(x).reshape(-1, 2, 3))
    options = {**OPTIONS.get(name, {}), "target": target}
    assert_as_captum(ours.attribute(X, **options), theirs.attribute(X, **options))


@pytest.mark.parametrize("name", INPUT_METHODS)
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)], ids=str)
def test_no_target(name: str, shape: tuple[int, ...]) -> None:
    net = mlp(out=1)
    ours, theirs = both_exactly(name, lambda x: net(x).reshape(shape))
    options = OPTIONS.get(name, {})
    assert_as_captum(ours.attribute(X, **options), theirs.attribute(X, **options))


@pytest.mark.parametrize("name", INPUT_METHODS)
@pytest.mark.parametrize("inputs", [X, (X,)], ids=["tensor", "1-tuple"])
def test_forms_of_inputs(name: str, inputs: Any) -> None:
    ours, theirs = both_exactly(name, mlp())
    options = {**OPTIONS.get(name, {}), "target": 1}
    assert_as_captum(ours.attribute(inputs, **options), theirs.attribute(inputs, **options))


ONE = torch.tensor(1.5, dtype=torch.float64)


@pytest.mark.parametrize("name", INPUT_METHODS)
@pytest.mark.parametrize(
    "arguments",
    [
        None,
        draw(3, 3, seed=6),
        (draw(3, 3, seed=6),),
        (draw(3, 3, seed=6), None, 0.5),
        (None, None, ONE),
        (None, None, ONE, "squares"),
        (draw(3, 3, seed=6), None, ONE, "squares"),
    ],
    ids=["none", "bare", "per example", "number", "0-d", "string", "all"],
)
def test_further_arguments(name: str, arguments: Any) -> None:
    ours, theirs = both_exactly(name, pair())
    options = {**OPTIONS.get(name, {}), "target": [0, 2, 1], "additional_forward_args": arguments}
    assert_as_captum(ours.attribute((X, Y), **options), theirs.attribute((X, Y), **options))


def test_signed_saliency() -> None:
    ours, theirs = both_exactly("Saliency", mlp())
    assert_as_captum(ours.attribute(X, 0, False), theirs.attribute(X, 0, False))
    assert_as_captum(ours.attribute(X, 0, abs=True), theirs.attribute(X, 0, abs=True))


# --- integrated gradients ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "n_steps"),
    [
        ("gausslegendre", 1),
        *((m, n) for m in METHODS if m != "riemann_trapezoid" for n in (2, 9, 50)),
    ],
)
@pytest.mark.parametrize("multiply", [True, False])
def test_rules(method: str, n_steps: int, multiply: bool) -> None:
    ours, theirs = both_exactly("IntegratedGradients", pair(), multiply)
    options: dict[str, Any] = {"target": 1, "method": method, "n_steps": n_steps}
    options["return_convergence_delta"] = True
    found, delta = ours.attribute((X, Y), **options)
    expected, their_delta = theirs.attribute((X, Y), **options)
    assert_as_captum(found, expected)
    torch.testing.assert_close(delta, their_delta, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("n_steps", [2, 9, 50])
def test_the_trapezoid_is_captums_times_what_its_weights_lack(n_steps: int) -> None:
    """Captum's weights add up to (n - 1) / n, so it finds 98 % of a linear function at 50 steps; ours finds all."""
    ours, theirs = both_exactly("IntegratedGradients", pair())
    options: dict[str, Any] = {"target": 1, "method": "riemann_trapezoid", "n_steps": n_steps}
    lacking = theirs.attribute((X, Y), **options)
    assert_as_captum(ours.attribute((X, Y), **options), tuple(t * n_steps / (n_steps - 1) for t in lacking))
    ours, theirs = both("IntegratedGradients", lambda x: x.sum(1))
    torch.testing.assert_close(ours.attribute(X, method="riemann_trapezoid", n_steps=n_steps), X)
    short = theirs.attribute(X, method="riemann_trapezoid", n_steps=n_steps)
    torch.testing.assert_close(short, X * (n_steps - 1) / n_steps, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "baselines",
    [
        None,
        (0, 0.5),
        (draw(3, 4, seed=7), draw(1, 2, 3, seed=8)),
        (draw(1, 4, seed=7), 1),
        (0.25, draw(3, 2, 3, seed=8)),
    ],
    ids=["none", "numbers", "each and one", "one and number", "number and each"],
)
@pytest.mark.parametrize("batch", [None, 3, 4, 9])
def test_baselines(baselines: Any, batch: int | None) -> None:
    ours, theirs = both_exactly("IntegratedGradients", pair())
    options: dict[str, Any] = {
        "baselines": baselines,
        "target": [0, 2, 1],
        "additional_forward_args": (draw(3, 3, seed=6), None, ONE),
        "n_steps": 7,
        "internal_batch_size": batch,
        "return_convergence_delta": True,
    }
    found, delta = ours.attribute((X, Y), **options)
    expected, their_delta = theirs.attribute((X, Y), **options)
    assert_as_captum(found, expected)
    torch.testing.assert_close(delta, their_delta, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("baseline", [None, 0.5, draw(3, 4, seed=7), draw(1, 4, seed=7)], ids=str)
def test_the_delta_on_its_own(baseline: Any) -> None:
    ours, theirs = both("IntegratedGradients", mlp())
    found = draw(3, 4, seed=11)
    start = 0 if baseline is None else baseline
    if isinstance(start, Tensor) and len(start) == 1:
        start = start.expand(3, 4)  # Captum's own check wants as many baselines as examples here
    assert_as_captum(
        ours.compute_convergence_delta(found, baseline, X, target=[0, 2, 1]),
        theirs.compute_convergence_delta(found, start, X, target=[0, 2, 1]),
    )


@pytest.mark.parametrize("method", [m for m in METHODS if m != "riemann_trapezoid"])
def test_captum_as_it_is(method: str) -> None:
    """Only its rounding, at the eighth digit, is between us in double precision."""
    ours, theirs = both("IntegratedGradients", pair())
    options = {"target": [0, 2, 1], "method": method}
    assert_as_captum(
        ours.attribute((X, Y), **options), theirs.attribute((X, Y), **options), rtol=1e-6, atol=1e-7
    )


def test_the_numbers_of_single_precision_too() -> None:
    ours, theirs = both("IntegratedGradients", pair(torch.float32))
    inputs = (X.float(), Y.float())
    assert_as_captum(
        ours.attribute(inputs, target=1), theirs.attribute(inputs, target=1), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", INPUT_METHODS)
def test_half_precision_gives_the_same_type(name: str, dtype: torch.dtype) -> None:
    ours, theirs = both(name, mlp(dtype=dtype))
    x = X.to(dtype)
    found, expected = ours.attribute(x, target=1), theirs.attribute(x, target=1)
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected, rtol=0.05, atol=20 * torch.finfo(dtype).eps)


# --- layers ----------------------------------------------------------------------------------------------------------

Z = draw(3, 2, 6, 5)


@pytest.mark.parametrize("at_input", [False, True])
@pytest.mark.parametrize("layer", ["conv", "bn", "relu", "drop", "block", "pool", "fc"])
def test_activation(layer: str, at_input: bool) -> None:
    model = pictures()
    ours, theirs = both("LayerActivation", model, model.get_submodule(layer))
    assert_as_captum(
        ours.attribute(Z, attribute_to_layer_input=at_input),
        theirs.attribute(Z, attribute_to_layer_input=at_input),
    )


def test_activation_of_a_list_of_layers() -> None:
    model = pictures()
    ours, theirs = both("LayerActivation", model, [model.conv, model.pool])
    assert_as_captum(ours.attribute(Z), theirs.attribute(Z))


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("at_input", [False, True])
@pytest.mark.parametrize("summed", [False, True])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("layer", ["conv", "bn", "relu", "drop", "block", "pool", "fc"])
def test_grad_cam(layer: str, relu: bool, summed: bool, at_input: bool, frozen: bool) -> None:
    """The layer before a ReLU in place, inside and before a residual addition, and a linear one."""
    model = pictures().requires_grad_(not frozen)
    ours, theirs = both("LayerGradCam", model, model.get_submodule(layer))
    options: dict[str, Any] = {
        "target": [0, 3, 1],
        "attribute_to_layer_input": at_input,
        "relu_attributions": relu,
        "attr_dim_summation": summed,
    }
    assert_as_captum(ours.attribute(Z, **options), theirs.attribute(Z, **options))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: nn.Conv1d(2, 3, 3), (3, 2, 7)),
        (lambda: nn.Conv2d(2, 3, 3, stride=2), (3, 2, 7, 6)),
        (lambda: nn.Conv3d(2, 3, 2), (3, 2, 4, 3, 5)),
        (lambda: nn.ConvTranspose2d(2, 3, 2), (3, 2, 3, 4)),
        (lambda: nn.Linear(4, 3), (3, 4)),
        # Over positions, Captum takes these for channels: tests/attr/layer/test_channels.py.
    ],
    ids=["Conv1d", "Conv2d", "Conv3d", "ConvTranspose2d", "Linear"],
)
@pytest.mark.parametrize("at_input", [False, True])
@pytest.mark.parametrize("summed", [False, True])
def test_grad_cam_of_every_kind_of_layer(
    layer: Callable[[], nn.Module], shape: tuple[int, ...], at_input: bool, summed: bool
) -> None:
    x = draw(*shape)
    body = nn.Sequential(layer(), nn.ReLU(inplace=True), nn.Flatten()).double()
    head = nn.Linear(body(x).shape[1], 3)
    model = with_drawn_parameters(nn.Sequential(*body, head)).double()
    ours, theirs = both("LayerGradCam", model, model[0])
    options: dict[str, Any] = {
        "target": 2,
        "attribute_to_layer_input": at_input,
        "attr_dim_summation": summed,
    }
    assert_as_captum(ours.attribute(x, **options), theirs.attribute(x, **options))


@pytest.mark.parametrize(
    ("shape", "size", "mode"),
    [
        ((2, 1, 3), 7, "nearest"),
        ((2, 1, 3), 7, "linear"),
        ((2, 1, 3, 4), (7, 9), "nearest"),
        ((2, 1, 3, 4), (7, 9), "bilinear"),
        ((2, 3, 3, 4), (6, 2), "bicubic"),
        ((2, 3, 3, 4), (6, 2), "area"),
        ((2, 1, 2, 3, 2), (4, 5, 6), "trilinear"),
    ],
    ids=str,
)
def test_interpolate(shape: tuple[int, ...], size: Any, mode: str) -> None:
    small = draw(*shape)
    assert_as_captum(
        attriscope.attr.LayerAttribution.interpolate(small, size, mode),
        captum.attr.LayerAttribution.interpolate(small, size, mode),
    )


# --- what cannot be done ----------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "inputs in a list": ("IntegratedGradients", {"inputs": [X], "target": 0}),
    "baseline of another shape": ("IntegratedGradients", {"inputs": X, "baselines": draw(2, 4), "target": 0}),
    "baseline of no type": ("IntegratedGradients", {"inputs": X, "baselines": "zero", "target": 0}),
    "too many baselines": ("IntegratedGradients", {"inputs": X, "baselines": (0, 0), "target": 0}),
    "no target": ("Saliency", {"inputs": X}),
    "target out of range": ("Saliency", {"inputs": X, "target": 3}),
    "too few targets": ("Saliency", {"inputs": X, "target": [0, 1]}),
    "too few targets in a tensor": ("Saliency", {"inputs": X, "target": torch.tensor([0, 1])}),
    "target of no type": ("Saliency", {"inputs": X, "target": "cat"}),
    "target with too many indices": ("Saliency", {"inputs": X, "target": (0, 0)}),
    "unknown rule": ("IntegratedGradients", {"inputs": X, "target": 0, "method": "simpson"}),
    "inputs of another width": ("Saliency", {"inputs": X[:, :2], "target": 0}),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_whoever_catches_captums_errors_catches_ours(wrong: str) -> None:
    name, arguments = WRONG[wrong]
    ours, theirs = both(name, mlp())
    with pytest.raises(Exception) as expected:
        theirs.attribute(**arguments)
    with pytest.raises(type(expected.value)):
        ours.attribute(**arguments)
