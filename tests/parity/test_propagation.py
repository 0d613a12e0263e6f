"""Captum 0.9.0's numbers where it is right about propagation, and the list of where it is not."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import captum.attr
import pytest
import torch
import torch.nn.functional as F
from captum.attr._utils import lrp_rules as captum_rules
from torch import Tensor, nn

import attriscope.attr
from attriscope.attr import LRP, Deconvolution, DeepLift, DeepLiftShap, GuidedBackprop, lrp_rules
from attriscope.zoo import small_cnn, small_pictures, toy_model
from models import draw, with_drawn_parameters

pytestmark = pytest.mark.filterwarnings("ignore")

NAMES = ("DeepLift", "DeepLiftShap", "GuidedBackprop", "Deconvolution", "GuidedGradCam", "LRP")


@pytest.mark.parametrize("name", NAMES)
def test_signatures_begin_with_captums(name: str) -> None:
    ours, theirs = getattr(attriscope.attr, name), getattr(captum.attr, name)
    for method in ("__init__", "attribute"):
        own = list(inspect.signature(getattr(ours, method)).parameters.values())
        for one, other in zip(
            own, inspect.signature(getattr(theirs, method)).parameters.values(), strict=False
        ):
            assert (one.name, one.default) == (other.name, other.default)
        assert all(
            p.default is not p.empty
            for p in own[len(inspect.signature(getattr(theirs, method)).parameters) :]
        )


def _dense(*between: nn.Module) -> Any:
    layers: list[nn.Module] = [nn.Linear(5, 6)]
    for one in between:
        layers += [one, nn.Linear(6, 6)]
    return with_drawn_parameters(nn.Sequential(*layers)).double()


def _pictures() -> Any:
    return with_drawn_parameters(
        nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)
        )
    ).double()


RIGHT: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "toy": (lambda: toy_model().double(), (3,)),
    "dense": (
        lambda: _dense(nn.ReLU(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.ELU(), nn.LeakyReLU()),
        (5,),
    ),
    "pictures": (_pictures, (2, 7, 7)),
}


@pytest.mark.parametrize("multiply", [True, False])
@pytest.mark.parametrize("name", RIGHT)
def test_deeplift(name: str, multiply: bool) -> None:
    make, shape = RIGHT[name]
    model, x, starts = make(), draw(4, *shape), draw(3, *shape, seed=5)
    for start in (None, 0.3, starts[:1]):
        found, delta = DeepLift(model, multiply).attribute(x, start, target=1, return_convergence_delta=True)
        expected, theirs = captum.attr.DeepLift(model, multiply).attribute(
            x, start, target=1, return_convergence_delta=True
        )
        torch.testing.assert_close(found, expected.detach())
        if multiply:
            torch.testing.assert_close(delta, theirs, rtol=0, atol=1e-9)
    found, delta = DeepLiftShap(model, multiply).attribute(x, starts, target=1, return_convergence_delta=True)
    expected, theirs = captum.attr.DeepLiftShap(model, multiply).attribute(
        x, starts, target=1, return_convergence_delta=True
    )
    torch.testing.assert_close(found, expected.detach())
    assert delta.shape == theirs.shape


def test_custom_attributions_see_the_same() -> None:
    model, x, starts = _dense(nn.ReLU()), draw(4, 5), draw(3, 5, seed=5)

    def custom(multipliers: Any, inputs: Any, baselines: Any) -> Any:
        return tuple(m * (i - 2 * b) for m, i, b in zip(multipliers, inputs, baselines, strict=True))

    for name in ("DeepLift", "DeepLiftShap"):
        ours, theirs = (
            getattr(m, name)(model).attribute(
                x,
                starts if name == "DeepLiftShap" else starts[:1],
                target=1,
                custom_attribution_func=custom,
                return_convergence_delta=True,
            )
            for m in (attriscope.attr, captum.attr)
        )
        torch.testing.assert_close(ours[0], theirs[0].detach())
        torch.testing.assert_close(ours[1], theirs[1])  # not zero: pairs come in Captum's order


@pytest.mark.parametrize("name", ["GuidedBackprop", "Deconvolution"])
def test_guided(name: str) -> None:
    model, x = small_cnn(), small_pictures()[0][:3]
    ours, theirs = (getattr(m, name)(model).attribute(x, target=3) for m in (attriscope.attr, captum.attr))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "options", [{}, {"interpolate_mode": "bilinear"}, {"attribute_to_layer_input": True}]
)
def test_guided_grad_cam(options: dict[str, Any]) -> None:
    model, x = _pictures(), draw(3, 2, 7, 7)
    ours, theirs = (
        m.GuidedGradCam(model, model[2]).attribute(x, target=1, **options)
        for m in (attriscope.attr, captum.attr)
    )
    torch.testing.assert_close(ours, theirs.detach())


RULES: dict[str, dict[int, tuple[str, tuple[Any, ...]]]] = {
    "default": {},
    "gamma": {0: ("GammaRule", ()), 3: ("GammaRule", (0.5, True))},
    "alpha beta": {0: ("Alpha1_Beta0_Rule", ()), 3: ("Alpha1_Beta0_Rule", (True,))},
    "epsilon": {0: ("EpsilonRule", (0.2,)), 5: ("EpsilonRule", (0.1,)), 8: ("EpsilonRule", (0.3,))},
    "identity": {1: ("IdentityRule", ()), 3: ("EpsilonRule", (0.1,))},
}


class Flattened(nn.Sequential):
    """Flattens without a module, for which Captum's LRP has no rule."""

    def forward(self, input: Tensor) -> Tensor:
        for i, module in enumerate(self):
            input = module(input.flatten(1) if i == len(self) - 1 else input)
        return input


def _layers() -> Any:
    return with_drawn_parameters(
        Flattened(
            *(
                nn.Conv2d(2, 4, 3),
                nn.BatchNorm2d(4),
                nn.ReLU(),
                nn.Conv2d(4, 4, 2),
                nn.Tanh(),
                nn.MaxPool2d(2),
            ),
            *(nn.Dropout(), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Linear(4, 3)),
        )
    ).double()


@pytest.mark.parametrize("name", RULES)
def test_lrp(name: str) -> None:
    ours, theirs, x = _layers(), _layers(), draw(3, 2, 9, 9)
    for i, (rule, arguments) in RULES[name].items():
        ours[i].rule = getattr(lrp_rules, rule)(*arguments)
        theirs[i].rule = getattr(captum_rules, rule)(*arguments)
    expected = captum.attr.LRP(theirs).attribute(x, target=1, return_convergence_delta=True)
    for _ in range(2):  # rules survive the call
        found = LRP(ours).attribute(x, target=1, return_convergence_delta=True)
        torch.testing.assert_close(found[0], expected[0].detach(), rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(found[1], expected[1].detach(), rtol=1e-5, atol=1e-7)
    assert not any(hasattr(theirs[i], "rule") for i in RULES[name])  # Captum's do not


# --- where Captum is wrong ---------------------------------------------------------------------------------------


class Twice(nn.Module):
    """One ReLU for two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.relu = nn.Linear(5, 6), nn.Linear(6, 6), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.b(self.relu(self.a(x))))


class Called(nn.Module):
    """A function between two layers."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.function = nn.Linear(5, 6), nn.Linear(6, 6), function

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.function(self.a(x)))


class Sub(nn.ReLU):
    """A ReLU by another name."""


def _pool(*modules: nn.Module) -> Any:
    return nn.Sequential(nn.Unflatten(1, (1, 5)), *modules, nn.Flatten(), nn.LazyLinear(6))


SILENTLY_WRONG: dict[str, Callable[[], Any]] = {
    "F.relu": lambda: Called(F.relu),
    "ReLU6": lambda: Called(nn.ReLU6()),
    "GELU": lambda: Called(nn.GELU()),
    "SiLU": lambda: Called(nn.SiLU()),
    "SELU": lambda: Called(nn.SELU()),
    "PReLU": lambda: Called(nn.PReLU()),
    "a subclass of ReLU": lambda: Called(Sub()),
    "Softmax": lambda: Called(nn.Softmax(1)),
    "LogSoftmax": lambda: Called(nn.LogSoftmax(1)),
    "LayerNorm": lambda: Called(nn.LayerNorm(6)),
    "product": lambda: Called(lambda h: h * h.flip(1)),
    "ReLU then max pool": lambda: _pool(nn.Conv1d(1, 2, 2), nn.ReLU(), nn.MaxPool1d(2)),
    "overlapping max pool": lambda: _pool(nn.MaxPool1d(3, 1)),
}


def _made(make: Callable[[], Any]) -> Any:
    model = make()
    model(torch.zeros(1, 5))  # lazy layers
    return with_drawn_parameters(model).double()


@pytest.mark.parametrize("name", SILENTLY_WRONG)
def test_captums_deeplift_misses_the_sum_and_ours_does_not(name: str) -> None:
    model, x, start = _made(SILENTLY_WRONG[name]), 2 * draw(6, 5), 2 * draw(6, 5, seed=5)
    deltas = [
        m.DeepLift(model).attribute(x, start, target=1, return_convergence_delta=True)[1].abs().max()
        for m in (attriscope.attr, captum.attr)
    ]
    assert deltas[0] < 1e-12
    assert deltas[1] > 1e-3


def test_captum_refuses_what_runs_twice() -> None:
    model, x = _made(Twice), draw(3, 5)
    with pytest.raises(RuntimeError, match="used more than once"):
        captum.attr.DeepLift(model).attribute(x, target=1)
    assert DeepLift(model).attribute(x, target=1, return_convergence_delta=True)[1].abs().max() < 1e-12


def test_captums_guided_methods_do_not_see_functions() -> None:
    function, module, x = _made(lambda: Called(F.relu)), _made(lambda: Called(nn.ReLU())), draw(4, 5)
    plain = captum.attr.Saliency(function).attribute(x, target=1, abs=False)
    for name, ours in (("GuidedBackprop", GuidedBackprop), ("Deconvolution", Deconvolution)):
        theirs = getattr(captum.attr, name)
        torch.testing.assert_close(theirs(function).attribute(x, target=1), plain)
        expected = theirs(module).attribute(x, target=1)
        torch.testing.assert_close(ours(function).attribute(x, target=1), expected)
        assert not torch.allclose(expected, plain)


def test_captum_in_half_precision_at_the_baseline() -> None:
    model, x = _dense(nn.ReLU()).half(), draw(3, 5, dtype=torch.float16)
    assert captum.attr.DeepLift(model).attribute(x, x.clone(), target=1).isnan().any()
    assert (DeepLift(model).attribute(x, x.clone(), target=1) == 0).all()


def test_captums_softmax_looks_at_batch_mates() -> None:
    model, x, start = _made(lambda: Called(nn.Softmax(1))), 2 * draw(4, 5), draw(4, 5, seed=5)
    for method, same in ((DeepLift, True), (captum.attr.DeepLift, False)):
        together = method(model).attribute(x, start, target=1)[:1]
        alone = method(model).attribute(x[:1], start[:1], target=1)
        assert torch.allclose(together, alone, rtol=1e-9, atol=1e-12) == same


@pytest.mark.parametrize("layer", [nn.ELU, nn.Identity, nn.GELU, nn.ReLU6])
def test_captums_lrp_refuses_common_layers(layer: type[nn.Module]) -> None:
    model, x = _dense(layer()), draw(3, 5)
    with pytest.raises(TypeError, match="no rule"):
        captum.attr.LRP(_dense(layer())).attribute(x, target=1)  # and leaves rules on the model
    assert LRP(model).attribute(x, target=1).isfinite().all()
