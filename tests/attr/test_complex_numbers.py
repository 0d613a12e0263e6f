"""Complex inputs, layers and values on the way: as if real and imaginary parts were numbers of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attriscope import attr, metrics
from attriscope.core.errors import InputError, UnusedTensorWarning
from models import draw

MATRIX = torch.complex(draw(4, 3, seed=1), draw(4, 3, seed=2))
HEAD = draw(3, 2, seed=3)


class Complex(nn.Module):
    """The power of a spectrum."""

    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.Identity()

    def forward(self, z: Tensor) -> Tensor:
        return self.lift(z @ MATRIX).abs().square().tanh() @ HEAD


class Real(nn.Module):
    """The same, written in real numbers (N, 4, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.Identity()

    def forward(self, parts: Tensor) -> Tensor:
        a, b = parts.unbind(-1)
        real, imaginary = a @ MATRIX.real - b @ MATRIX.imag, a @ MATRIX.imag + b @ MATRIX.real
        lifted = self.lift(torch.stack([real, imaginary], -1))
        return lifted.square().sum(-1).sqrt().square().tanh() @ HEAD


def numbers(count: int, seed: int) -> Tensor:
    return torch.complex(draw(count, 4, seed=seed), draw(count, 4, seed=seed + 1))


X, START, MANY = numbers(3, 5), numbers(3, 7), numbers(5, 9)


def as_real(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(as_real, value))
    return torch.view_as_real(value) if value.is_complex() else value


def method(name: str, **options: Any) -> Callable[..., Any]:
    def run(model: Any, x: Tensor, start: Tensor, many: Tensor) -> Any:
        given = {"start": start, "many": many}
        own = {k: given.get(v, v) if isinstance(v, str) else v for k, v in options.items()}
        cls = getattr(attr, name)
        layer = {"Layer": "lift", "Neuron": "lift"}.get(name[:5] if name[0] == "L" else name[:6])
        selector: dict[str, Any] = {"target": 1} if name[:6] != "Neuron" else {}
        if name[:6] == "Neuron":
            selector["neuron_selector"] = lambda y: y.real[:, 1] if y.is_complex() else y[:, 1, 0]
        if name == "InternalInfluence" or name == "LayerActivation":
            layer = "lift"
        if name == "LayerActivation":
            selector = {}
        torch.manual_seed(3)
        return cls(model, *([layer] if layer else [])).attribute(x, **selector, **own)

    return run


def tunnel(kind: str) -> Callable[..., Any]:
    def run(model: Any, x: Tensor, start: Tensor, many: Tensor) -> Any:
        torch.manual_seed(3)
        tunnel = attr.NoiseTunnel(attr.InputXGradient(model))
        return tunnel.attribute(x, nt_type=kind, nt_samples=6, stdevs=0.1, target=1)

    return run


def estimated(model: Any, x: Tensor, start: Tensor, many: Tensor) -> Any:
    found = attr.DeepLiftShap(model).estimate(x, many, target=1)
    return found.attributions, found.error, found.inaccuracy


DELTA = {"return_convergence_delta": True}
RUNS = {
    "Saliency": method("Saliency"),
    "signed": method("Saliency", abs=False),
    "InputXGradient": method("InputXGradient"),
    "IntegratedGradients": method("IntegratedGradients", baselines="start", **DELTA),
    "GradientShap": method("GradientShap", baselines="many", n_samples=7, **DELTA),
    "GradientShap with noise": method("GradientShap", baselines="many", n_samples=7, stdevs=0.1, **DELTA),
    "DeepLift": method("DeepLift", baselines="start", **DELTA),
    "DeepLiftShap": method("DeepLiftShap", baselines="many", **DELTA),
    "estimate": estimated,
    "GuidedBackprop": method("GuidedBackprop"),
    "smoothgrad_sq": tunnel("smoothgrad_sq"),
    "vargrad": tunnel("vargrad"),
    "LayerActivation": method("LayerActivation"),
    "LayerGradientXActivation": method("LayerGradientXActivation"),
    "LayerConductance": method("LayerConductance", baselines="start", **DELTA),
    "InternalInfluence": method("InternalInfluence", baselines="start"),
    "LayerIntegratedGradients": method("LayerIntegratedGradients", baselines="start", **DELTA),
    "LayerGradientShap": method("LayerGradientShap", baselines="many", n_samples=7),
    "LayerDeepLift": method("LayerDeepLift", baselines="start", **DELTA),
    "NeuronGradient": method("NeuronGradient"),
    "NeuronIntegratedGradients": method("NeuronIntegratedGradients", baselines="start"),
    "NeuronConductance": method("NeuronConductance", baselines="start", target=0),
    "NeuronDeepLift": method("NeuronDeepLift", baselines="start"),
}


@pytest.mark.parametrize("name", RUNS)
def test_parts_are_inputs_of_their_own(name: str) -> None:
    run = RUNS[name]
    found = as_real(run(Complex(), X, START, MANY))
    torch.testing.assert_close(found, run(Real(), *map(as_real, (X, START, MANY))), rtol=1e-10, atol=1e-13)


def test_lrp_at_inputs_and_layers() -> None:
    for make in (attr.LRP, lambda model: attr.LayerLRP(model, "lift")):
        found, expected = make(Complex()), make(Real())
        torch.testing.assert_close(
            as_real(found.attribute(X, target=1)),
            expected.attribute(as_real(X), target=1),
            rtol=1e-6,
            atol=1e-8,
        )


def test_a_square_of_five() -> None:
    z = torch.tensor([[1 + 2j]], dtype=torch.complex128)
    for make in (attr.IntegratedGradients, attr.DeepLift, attr.LRP):
        for power in (lambda z: z.abs().square(), lambda z: (z * z.conj()).real):
            found = make(power).attribute(z)
            torch.testing.assert_close(
                found, torch.tensor([[1 + 4j]], dtype=torch.complex128), rtol=1e-8, atol=1e-8
            )


def test_grad_cam_takes_both_parts_for_channels() -> None:
    class Net(nn.Module):
        def __init__(self, joined: bool) -> None:
            super().__init__()
            self.joined, self.lift = joined, nn.Identity()

        def forward(self, z: Tensor) -> Tensor:
            if not self.joined:
                return self.lift(z).abs().sum((1, 2)).square()
            a, b = self.lift(torch.cat([z.real, z.imag], 1)).chunk(2, 1)
            return torch.complex(a, b).abs().sum((1, 2)).square()

    z = X.reshape(3, 2, 2)
    whole, parts = (attr.LayerGradCam(Net(joined), "lift").attribute(z) for joined in (False, True))
    torch.testing.assert_close(whole, parts)


def test_metrics_see_both_parts() -> None:
    both = (Complex(), X), (Real(), as_real(X))
    found = []
    for model, x in both:
        explain = attr.InputXGradient(model).attribute
        gradient = attr.Saliency(model).attribute(x, target=1, abs=False)
        found.append(
            (
                metrics.infidelity(
                    model, metrics.gaussian_perturbation(0.1), x, gradient, target=1, generator=seeded()
                ),
                metrics.sensitivity_max(explain, x, target=1, generator=seeded()),
                metrics.completeness_gap(model, x, attr.IntegratedGradients(model), target=1),
            )
        )
    torch.testing.assert_close(*found)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_removed_numbers_take_both_parts_along() -> None:
    linear, x = draw(4, seed=11), X
    effects = torch.complex(x.real * linear, x.imag * 2 * linear)
    for given in (effects, effects.real + effects.imag):
        found = metrics.infidelity(
            lambda z: (z.real + 2 * z.imag) @ linear,
            metrics.removal_perturbation(),
            x,
            given,
            generator=seeded(),
        )
        assert found.abs().max() < 1e-20


def test_complex_outputs_are_refused_in_words() -> None:
    for make in (attr.Saliency, attr.DeepLift, attr.LRP):
        with pytest.raises(InputError, match="the explained output is complex"):
            make(lambda z: z @ MATRIX).attribute(X, target=1)


def plane(x: Tensor) -> Tensor:
    return torch.view_as_complex((x @ draw(6, 6, seed=12)).reshape(-1, 3, 2))


def in_place(z: Tensor, change: Callable[[Tensor], Any]) -> Tensor:
    z = z * 1
    change(z)
    return z


WINDOW = torch.hann_window(8, dtype=torch.float64)
ON_THE_WAY: dict[str, Callable[[Tensor], Tensor]] = {
    "rfft": lambda x: torch.fft.rfft(x).abs(),
    "power": lambda x: (z := torch.fft.rfft(x)) * z.conj(),
    "stft": lambda x: torch.stft(x.repeat(1, 3), 8, 4, window=WINDOW, return_complex=True).abs(),
    "istft": lambda x: torch.istft(
        2 * torch.stft(x.repeat(1, 4), 8, 4, window=WINDOW, return_complex=True), 8, 4, window=WINDOW
    ),
    "filter": lambda x: torch.fft.irfft(torch.fft.rfft(x) * MATRIX[0, 0]),
    "angle": lambda x: plane(x).angle(),
    "sgn": lambda x: plane(x).sgn(),
    "product": lambda x: plane(x) * plane(x).flip(1),
    "with a real factor": lambda x: plane(x) * x[:, :3],
    "quotient": lambda x: plane(x) / (plane(x).flip(1) + 3),
    "square": lambda x: plane(x) ** 2,
    "exp": lambda x: plane(x).exp(),
    "exp of a phase": lambda x: torch.exp(1j * x[:, :3]),
    "log": lambda x: plane(x).log(),
    "tanh": lambda x: plane(x).tanh(),
    "polar": lambda x: torch.polar(x[:, :3].abs(), x[:, 3:]),
    "where": lambda x: torch.where(x[:, :3] > 0, plane(x), plane(x).flip(1)),
    "masked": lambda x: plane(x).masked_fill(x[:, :3] > 0, 0),
    "times a mask": lambda x: plane(x) * (plane(x).abs() > 1),
    "rectified parts": lambda x: torch.complex(plane(x).real.relu(), plane(x).imag.relu()),
    "matrices": lambda x: plane(x)[:, :, None] @ plane(x)[:, None].conj(),
    "convolution": lambda x: F.conv1d(plane(x)[:, None], MATRIX[:2, None, :2]),
    "norm": lambda x: plane(x).norm(dim=1, keepdim=True),
    "variance": lambda x: plane(x).var(1, keepdim=True),
    "prod": lambda x: plane(x).prod(1, keepdim=True),
    "cumprod": lambda x: plane(x).cumprod(1),
    "real part in place": lambda x: in_place(plane(x), lambda z: z.real.relu_()),
    "part in place": lambda x: in_place(plane(x), lambda z: z[:, 0].mul_(z[:, 1].clone())),
}


@pytest.mark.parametrize("name", ON_THE_WAY)
def test_complex_values_on_the_way(name: str) -> None:
    def model(x: Tensor) -> Tensor:
        y = ON_THE_WAY[name](x)
        y = (torch.view_as_real(y.resolve_conj()) if y.is_complex() else y).flatten(1)
        return y @ torch.linspace(-1, 2, y.shape[1], dtype=y.dtype)

    x, start = draw(4, 6, seed=13), draw(4, 6, seed=14)
    found, delta = attr.DeepLift(model).attribute(x, start, return_convergence_delta=True)
    assert delta.abs().max() < 1e-12 * found.abs().sum(1).max()
    found, delta = attr.LRP(model).attribute(x, return_convergence_delta=True)
    assert delta.abs().max() < 1e-6 * found.abs().sum(1).max()
    attr.GuidedBackprop(model).attribute(x)


def test_complex_rules_are_those_of_the_parts() -> None:
    pairs = {
        "abs": (lambda a, b: torch.complex(a, b).abs(), lambda a, b: (a.square() + b.square()).sqrt()),
        "square": (lambda a, b: (torch.complex(a, b) ** 2).real, lambda a, b: a.square() - b.square()),
        "product": (
            lambda a, b: (torch.complex(a, b) * torch.complex(b.exp(), a)).imag,
            lambda a, b: a * a + b * b.exp(),
        ),
        "exp": (lambda a, b: torch.complex(a, b).exp().real, lambda a, b: a.exp() * b.cos()),
        "angle": (lambda a, b: torch.complex(a, b).angle(), lambda a, b: torch.atan2(b, a)),
        "one axis": (lambda a, b: torch.complex(a, 0 * b).tanh().real, lambda a, b: a.tanh() + 0 * b),
    }
    x, start = draw(5, 2, seed=15), draw(5, 2, seed=16)
    for name, both in pairs.items():
        one, other = (attr.DeepLift(lambda x, f=f: f(x[:, 0], x[:, 1])).attribute(x, start) for f in both)
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12, msg=name)


@pytest.mark.parametrize("mode", ["cosine", "euclidean"])
def test_similarity_of_samples_is_that_of_both_parts(mode: str) -> None:
    found = []
    mask = torch.arange(4).reshape(1, 4)
    for model, x, features in ((Complex(), X, mask), (Real(), as_real(X), mask[:, :, None].expand(1, 4, 2))):
        kernel = attr.get_exp_kernel_similarity_function(mode, 2.0)
        torch.manual_seed(3)
        effects = attr.Lime(model, similarity_func=kernel).attribute(
            x, target=1, feature_mask=features, n_samples=50
        )
        found.append(effects if effects.dim() == 2 else effects[..., 0])
        apart = kernel(x[0], x[1])
        found.append(torch.tensor(apart))
    torch.testing.assert_close(found[0], found[2])
    torch.testing.assert_close(found[1], found[3])


class Spectrum(nn.Module):
    """A layer of imaginary numbers that has time before the examples, or runs on all times of all examples at once."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.layer, self.form = nn.Identity(), form

    def forward(self, x: Tensor) -> Tensor:
        z = x * 2j
        if self.form == "time first":
            z = self.layer(z.transpose(0, 1)).transpose(0, 1)
        elif self.form == "flat":
            z = self.layer(z.transpose(0, 1).flatten(0, 1)).unflatten(0, x.shape[1::-1]).transpose(0, 1)
        else:
            z = self.layer(z)
        return (z.abs() ** 2 * (z.real + z.imag)).sum((1, 2)).unsqueeze(1)


@pytest.mark.parametrize("form", ["time first", "flat"])
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize(
    "name", ["LayerGradientXActivation", "LayerConductance", "LayerDeepLift", "LayerFeatureAblation"]
)
def test_complex_layers_that_have_examples_elsewhere(name: str, count: int, form: str) -> None:
    x = draw(count, 4, 3)
    found, rows = (
        getattr(attr, name)(Spectrum(one), "layer").attribute(x, target=0) for one in (form, "rows first")
    )
    found = found if form == "time first" else found.unflatten(0, (4, count))
    torch.testing.assert_close(found.transpose(0, 1), rows)


class Inside(nn.Module):
    """Gives complex numbers, and others that are made of them."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = torch.complex(x, 2 * x)
        return z, z.abs() ** 2


def test_one_complex_tensor_of_a_layer() -> None:
    model = nn.Sequential(Inside())
    x = draw(3, 4)
    found = attr.LayerGradientXActivation(lambda x: model(x)[1], attr.Call(model[0], tensor=0)).attribute(
        x, target=1
    )
    expected = torch.zeros(3, 4, dtype=torch.complex128)
    expected[:, 1] = torch.complex(2 * x[:, 1] ** 2, 8 * x[:, 1] ** 2)
    torch.testing.assert_close(found, expected)
    with pytest.warns(UnusedTensorWarning, match="goes into another"):
        both = attr.LayerGradientXActivation(lambda x: model(x)[1], model[0]).attribute(x, target=1)
    assert not both[0].any()
