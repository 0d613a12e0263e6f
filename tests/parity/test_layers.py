"""Layers and neurons beside Captum 0.9.0: the same numbers where it is right, and the list of where it is not."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor, nn

import attriscope.attr
from attriscope.attr import LayerConductance, LayerGradientShap, NeuronConductance
from attriscope.attr.quadrature import METHODS
from models import draw, pictures, seeded, with_drawn_parameters

pytestmark = pytest.mark.filterwarnings("ignore")

LAYER = (
    "LayerActivation", "LayerGradientXActivation", "LayerConductance", "InternalInfluence", "LayerGradCam",
    "LayerDeepLift", "LayerDeepLiftShap", "LayerGradientShap", "LayerIntegratedGradients", "LayerLRP",
    "LayerFeatureAblation", "LayerFeaturePermutation",
)  # fmt: skip
NEURON = (
    "NeuronConductance", "NeuronGradient", "NeuronIntegratedGradients", "NeuronGradientShap", "NeuronDeepLift",
    "NeuronDeepLiftShap", "NeuronGuidedBackprop", "NeuronDeconvolution", "NeuronFeatureAblation",
)  # fmt: skip
NAMES = (*LAYER, *NEURON)
X, STARTS = draw(3, 2, 6, 5), draw(4, 2, 6, 5, seed=6)


def chain() -> Any:
    """Only what Captum has rules for, and no two of them side by side."""
    return with_drawn_parameters(
        nn.Sequential(
            nn.Conv2d(2, 3, 2), nn.ReLU(), nn.Conv2d(3, 4, 2), nn.Tanh(), nn.Conv2d(4, 4, 1), nn.Flatten(),
            nn.Linear(48, 5), nn.Sigmoid(), nn.Linear(5, 3),
        )
    ).double()  # fmt: skip


def both(name: str, model: Any, layer: Any, *more: Any) -> tuple[Any, Any]:
    ours, theirs = getattr(attriscope.attr, name), getattr(captum.attr, name)
    return ours(model, layer, *more), theirs(model, layer, *more)


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_name_is_there_with_captums_signature(name: str) -> None:
    assert name in attriscope.attr.__all__
    ours, theirs = getattr(attriscope.attr, name), getattr(captum.attr, name)
    for method in ("__init__", "attribute"):
        own = list(inspect.signature(getattr(ours, method)).parameters.values())
        other = list(inspect.signature(getattr(theirs, method)).parameters.values())
        for one, its in zip(own, other, strict=False):
            assert one.name == its.name
            # Captum's default of one perturbation at a time is ours to choose; it changes no number.
            assert one.default == its.default or one.name == "perturbations_per_eval"
        assert len(own) >= len(other)
        assert all(p.default is not p.empty for p in own[len(other) :])


@pytest.mark.parametrize("name", NAMES)
def test_promises_and_bases(name: str) -> None:
    model = chain()
    ours, theirs = both(name, model, model[2])
    assert ours.get_name().replace(" ", "") == theirs.get_name().replace(
        " ", ""
    )  # Captum writes "Layer L R P"
    assert ours.multiplies_by_inputs == theirs.multiplies_by_inputs
    assert ours.has_convergence_delta() == theirs.has_convergence_delta()
    for base in (
        "Attribution",
        "GradientAttribution",
        "PerturbationAttribution",
        "LayerAttribution",
        "NeuronAttribution",
    ):
        if isinstance(theirs, getattr(captum.attr, base)) and (name, base) not in NOT_GRADIENTS:
            assert isinstance(ours, getattr(attriscope.attr, base)), base


# These only carry the base for its helpers in Captum.
NOT_GRADIENTS = {
    (name, "GradientAttribution") for name in ("LayerActivation", "LayerGradientXActivation", "LayerGradCam")
}


def test_nothing_of_captums_layers_and_neurons_is_missing() -> None:
    wanted = [n for n in captum.attr.__all__ if n.startswith(("Layer", "Neuron", "Internal"))]
    assert set(wanted) <= set(attriscope.attr.__all__)


# --- numbers --------------------------------------------------------------------------------------------------------

Case = tuple[str, dict[str, Any]]
SAME_AT_LAYERS: list[Case] = [
    ("LayerActivation", {}),
    ("LayerGradientXActivation", {"target": [0, 2, 1]}),
    ("LayerGradCam", {"target": 1}),
    ("LayerGradCam", {"target": 1, "attr_dim_summation": False, "relu_attributions": True}),
    ("InternalInfluence", {"target": 1, "baselines": 0.1, "n_steps": 8}),
    ("InternalInfluence", {"target": 1, "n_steps": 8, "method": "riemann_middle"}),
    ("LayerIntegratedGradients", {"target": [0, 2, 1], "baselines": STARTS[:1], "n_steps": 8}),
    ("LayerIntegratedGradients", {"target": 1, "n_steps": 8, "method": "riemann_left"}),
    ("LayerDeepLift", {"target": 1, "baselines": STARTS[:3]}),
    ("LayerDeepLiftShap", {"target": 1, "baselines": STARTS}),
    ("LayerFeatureAblation", {"target": 1, "layer_baselines": 0.1}),
]


@pytest.mark.parametrize("at_input", [False, True])
@pytest.mark.parametrize("layer", [0, 2, 4])
@pytest.mark.parametrize("case", SAME_AT_LAYERS, ids=lambda c: f"{c[0]}{len(c[1])}")
def test_layers(case: Case, layer: int, at_input: bool) -> None:
    name, options = case
    model = chain()
    ours, theirs = both(name, model, model[layer])
    given = {**options, "attribute_to_layer_input": at_input}
    if "baselines" in given and isinstance(given["baselines"], Tensor) and len(given["baselines"]) == 1:
        given["baselines"] = given["baselines"].expand(3, -1, -1, -1)  # Captum wants them whole
    found, expected = ours.attribute(X, **given), theirs.attribute(X, **given)
    if isinstance(expected, tuple):  # Captum wraps what passes at an input
        expected = expected[0]
    torch.testing.assert_close(found, expected.detach(), rtol=1e-6, atol=1e-8)


SAME_FOR_NEURONS: list[Case] = [
    ("NeuronGradient", {}),
    ("NeuronIntegratedGradients", {"baselines": 0.1, "n_steps": 8}),
    ("NeuronConductance", {"target": 1, "n_steps": 8, "method": "riemann_middle"}),
    ("NeuronConductance", {"target": [0, 2, 1], "baselines": 0.1, "n_steps": 8, "method": "gausslegendre"}),
    ("NeuronDeepLift", {"baselines": STARTS[:3]}),
    ("NeuronDeepLiftShap", {"baselines": STARTS}),
    ("NeuronGuidedBackprop", {}),
    ("NeuronDeconvolution", {}),
    ("NeuronFeatureAblation", {"baselines": 0.1}),
]
SELECTORS: dict[str, Any] = {
    "indices": (1, 2, 0),
    "slices": (slice(0, 2), 1, slice(1, 3)),
    "function": lambda out: out[:, 1].sum((1, 2)),
}


@pytest.mark.parametrize("at_input", [False, True])
@pytest.mark.parametrize("selector", SELECTORS)
@pytest.mark.parametrize("case", SAME_FOR_NEURONS, ids=lambda c: f"{c[0]}{len(c[1])}")
def test_neurons(case: Case, selector: str, at_input: bool) -> None:
    name, options = case
    if name == "NeuronConductance" and selector != "indices":
        pytest.skip("see test_conductance_of_several_neurons")
    model = chain()
    ours, theirs = both(name, model, model[3])
    given = {**options, "attribute_to_neuron_input": at_input}
    found = ours.attribute(X, SELECTORS[selector], **given)
    expected = theirs.attribute(X, SELECTORS[selector], **given)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-6, atol=1e-8)


def test_relevance_at_layers() -> None:
    """Captum propagates all relevance to the output of a layer with the rules of those after it, as here."""
    model = with_drawn_parameters(
        nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 3))
    ).double()
    x = draw(3, 4)
    for layer in (0, 2, 4):
        ours, theirs = both("LayerLRP", model, model[layer])
        found, delta = ours.attribute(x, 1, return_convergence_delta=True)
        expected, its = theirs.attribute(x, 1, return_convergence_delta=True)
        torch.testing.assert_close(found, expected.detach(), rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(delta, its.detach(), rtol=1e-6, atol=1e-8)


def test_expected_gradients_have_captums_mean() -> None:
    """The points are drawn otherwise (each piece of the path gets its own), so only means can be compared."""
    model = with_drawn_parameters(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))).double()
    x, starts = draw(2, 4), draw(3, 4, seed=6)
    ours, theirs = both("LayerGradientShap", model, model[0])
    found = ours.attribute(x, starts, n_samples=3000, target=1, generator=seeded(1))
    torch.manual_seed(0)
    import numpy as np

    np.random.seed(0)
    expected = theirs.attribute(x, starts, n_samples=3000, target=1).detach()
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()
    neuron, its = both("NeuronGradientShap", model, model[1])
    found = neuron.attribute(x, 2, starts, n_samples=3000, generator=seeded(1))
    expected = its.attribute(x, 2, starts, n_samples=3000).detach()
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()


def test_lists_where_captum_takes_them() -> None:
    model = chain()
    layers = [model[0], model[4]]
    for name, options in (("LayerActivation", {}), ("LayerGradientXActivation", {"target": 1})):
        ours, theirs = both(name, model, layers)
        found, expected = ours.attribute(X, **options), theirs.attribute(X, **options)
        assert isinstance(found, list)
        torch.testing.assert_close(found, [e.detach() for e in expected])

    class Sides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.places, self.head = nn.Embedding(7, 4), nn.Embedding(5, 4), nn.Linear(4, 2)

        def forward(self, ids: Tensor, at: Tensor) -> Tensor:
            return self.head((self.words(ids) * self.places(at).sin()).tanh().mean(1))

    sides: Any = with_drawn_parameters(Sides()).double()
    ids, at = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.arange(3).expand(2, -1)
    ours, theirs = both("LayerIntegratedGradients", sides, [sides.words, sides.places])
    given: dict[str, Any] = {"target": 1, "n_steps": 8, "return_convergence_delta": True}
    found, delta = ours.attribute((ids, at), (ids * 0, at * 0), **given)
    expected, its = theirs.attribute((ids, at), (ids * 0, at * 0), **given)
    torch.testing.assert_close(found, [e.detach() for e in expected], rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(delta, its, rtol=1e-6, atol=1e-6)


# --- where Captum is not right ---------------------------------------------------------------------------------------


def test_conductance_is_a_finer_sum() -> None:
    """Captum takes the gradient at the beginning of each piece; both come to the same in the end, ours sooner."""
    model = chain()
    exact = LayerConductance(model, "2").attribute(X, target=1, n_steps=600)
    ours, theirs = both("LayerConductance", model, model[2])
    near = (ours.attribute(X, target=1, n_steps=20) - exact).abs().max()
    far = (theirs.attribute(X, target=1, n_steps=20).detach() - exact).abs().max()
    assert near < far / 4
    torch.testing.assert_close(theirs.attribute(X, target=1, n_steps=400).detach(), exact, rtol=0, atol=5e-2)


def test_the_trapezoids_weights_add_up_to_one() -> None:
    """Captum's add up to (n - 1) / n, and the trapezoid is its default for a neuron's conductance."""
    model = with_drawn_parameters(nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 2))).double()
    x = draw(3, 4)
    ours, theirs = both("NeuronConductance", model, model[0])
    exact = x * model[0].weight[2] * model[1].weight[1, 2]
    torch.testing.assert_close(ours.attribute(x, 2, target=1), exact.detach())
    torch.testing.assert_close(theirs.attribute(x, 2, target=1).detach(), exact.detach() * 49 / 50)


def test_conductance_of_several_neurons() -> None:
    """Captum multiplies the sum of the neurons' gradients by the sum of the output's: neither is a conductance."""
    model = chain()
    given: dict[str, Any] = {"target": 1, "n_steps": 8, "method": "gausslegendre"}
    ours, theirs = both("NeuronConductance", model, model[3])
    pair = (1, slice(0, 2), 0)
    parts = [theirs.attribute(X, (1, i, 0), **given).detach() for i in range(2)]
    torch.testing.assert_close(ours.attribute(X, pair, **given), parts[0] + parts[1], rtol=1e-6, atol=1e-8)
    assert not torch.allclose(theirs.attribute(X, pair, **given).detach(), parts[0] + parts[1], rtol=1e-2)


class Gives(nn.Module):
    """A layer that gives what ``make`` makes of a tensor, and a model that takes a tensor out of it."""

    def __init__(self, make: Callable[[Tensor], Any], take: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.make, self.take = make, take
        self.layer = Made(make)

    def forward(self, x: Tensor) -> Tensor:
        return self.take(self.layer(hidden=x)).sum(1)


class Made(nn.Module):
    def __init__(self, make: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.make = make

    def forward(self, hidden: Tensor) -> Any:
        return self.make(hidden)


FORMS: dict[str, tuple[Callable[[Tensor], Any], Callable[[Any], Tensor]]] = {
    "tuple with None": (lambda x: (x.sin(), None), lambda made: made[0]),
    "dict": (lambda x: {"a": x.sin()}, lambda made: made["a"]),
    "nested": (lambda x: (x.sin(), (x.sin(), x.sin())), lambda made: made[0]),
}


@pytest.mark.parametrize("name", FORMS)
def test_what_layers_give(name: str) -> None:
    """Captum refuses these, or breaks."""
    model, x = Gives(*FORMS[name]), draw(3, 4)
    ours, theirs = both("LayerGradientXActivation", model, model.layer)
    found = ours.attribute(x)
    first = found[0] if isinstance(found, tuple) else found
    torch.testing.assert_close(first, x.sin())
    with pytest.raises(Exception):  # noqa: B017  whatever it happens to run into
        theirs.attribute(x)


def test_layers_called_by_keyword() -> None:
    """Captum finds nothing at the input of a layer that gets it by keyword."""
    model, x = Gives(lambda x: x.sin(), lambda made: made), draw(3, 4)
    ours, theirs = both("LayerActivation", model, model.layer)
    torch.testing.assert_close(ours.attribute(x, attribute_to_layer_input=True), x)
    with pytest.raises(Exception):  # noqa: B017
        theirs.attribute(x, attribute_to_layer_input=True)


def test_lists_that_captum_does_not_take() -> None:
    model = chain()
    for name, options in (
        ("LayerGradCam", {"target": 1}),
        ("LayerConductance", {"target": 1, "n_steps": 4}),
        ("InternalInfluence", {"target": 1, "n_steps": 4}),
        ("LayerDeepLift", {"target": 1}),
        ("LayerFeatureAblation", {"target": 1}),
    ):
        found = getattr(attriscope.attr, name)(model, [model[0], model[2]]).attribute(X, **options)
        assert [f.shape[0] for f in found] == [3, 3]
        with pytest.raises(Exception):  # noqa: B017
            getattr(captum.attr, name)(model, [model[0], model[2]]).attribute(X, **options)


@pytest.mark.parametrize("method", METHODS)
def test_every_rule_adds_up_in_the_limit(method: str) -> None:
    model = chain()
    _, delta = LayerConductance(model, "2").attribute(
        X, target=1, n_steps=1000, method=method, return_convergence_delta=True
    )
    change = (model(X) - model(X * 0))[:, 1]
    assert delta.abs().max() < 2e-2 * change.abs().max()


def test_results_carry_no_graph() -> None:
    """Captum's of these do, and with it the memory of the whole pass."""
    model = pictures()
    for kind, options in (
        (LayerConductance, {"target": 1, "n_steps": 3}),
        (LayerGradientShap, {"baselines": STARTS, "target": 1}),
        (NeuronConductance, {"neuron_selector": (0, 0, 0), "target": 1}),
    ):
        assert not kind(model, "conv").attribute(X, **options).requires_grad


def test_captums_input_wrapper_is_a_model_like_another() -> None:
    from captum.attr._utils.input_layer_wrapper import ModelInputWrapper as CaptumsWrapper

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.last = nn.Embedding(9, 4), nn.Linear(4, 3)

        def forward(self, features: Tensor, ids: Tensor) -> Tensor:
            return self.last((features * self.embedding(ids).mean(1)).tanh())

    model = with_drawn_parameters(Both()).double()
    x, ids = draw(2, 4), torch.tensor([[1, 5, 2], [8, 4, 4]])
    found = []
    for wrap in (CaptumsWrapper, attriscope.attr.ModelInputWrapper):
        wrapped = wrap(model)
        layers = [wrapped.input_maps["features"], wrapped.module.embedding]
        for library in (attriscope.attr, captum.attr):
            method = library.LayerIntegratedGradients(wrapped, layers)
            found.append(method.attribute((x, ids), (0 * x, 0 * ids), 1, n_steps=50))
    for other in found[1:]:
        for one, right in zip(other, found[0], strict=True):
            torch.testing.assert_close(one, right, rtol=1e-5, atol=1e-8)
