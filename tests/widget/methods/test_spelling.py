"""Methods may be called what people call them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from attriscope import attr
from attriscope.widget.methods.catalogue import INPUT_METHODS, INSIDE_METHODS
from attriscope.widget.methods.spelling import method_name
from attriscope.widget.state.selection import ChoiceError
from widget.helpers import Make, TwoLayers, from_page

SPELLINGS = [
    ("integrated gradients", "IntegratedGradients"),
    ("IG", "IntegratedGradients"),
    ("integrated_gradients", "IntegratedGradients"),
    ("Integrated-Gradients ", "IntegratedGradients"),
    ("deeplift", "DeepLift"),
    ("DeepLIFT", "DeepLift"),
    ("Deep SHAP", "DeepLiftShap"),
    ("DeepLIFT-SHAP", "DeepLiftShap"),
    ("gradient shap", "GradientShap"),
    ("KernelSHAP", "KernelShap"),
    ("LIME", "Lime"),
    ("smoothgrad", "NoiseTunnel"),
    ("input x gradient", "InputXGradient"),
    ("Input * Gradient", "InputXGradient"),
    ("guided backprop", "GuidedBackprop"),
    ("Guided Backpropagation", "GuidedBackprop"),
    ("guided grad-cam", "GuidedGradCam"),
    ("lrp", "LRP"),
    ("vanilla gradient", "Saliency"),
]
PLACES = [
    {name: spec for name, spec in {**INPUT_METHODS, **INSIDE_METHODS}.items() if spec.place == place}
    for place in ("input", "layer", "neuron")
]


@pytest.mark.parametrize(("spelling", "name"), SPELLINGS)
def test_usual_spellings_are_the_method(spelling: str, name: str) -> None:
    assert method_name(spelling, INPUT_METHODS, "method") == name


@pytest.mark.parametrize("specs", PLACES)
def test_what_the_page_calls_a_method_is_that_method_and_no_other(specs: Any) -> None:
    for name, spec in specs.items():
        assert method_name(spec.title, specs, "method") == name
        assert method_name(spec.title.upper(), specs, "method") == name
    titles = [spec.title for spec in specs.values()]
    assert all(a != b for a, b in itertools.combinations(titles, 2))


def test_a_name_that_several_have_is_asked_about(make: Make) -> None:
    explorer = make(method="Saliency", target=2).wait()
    with pytest.raises(
        ChoiceError,
        match="method must say which of GradientShap, DeepLiftShap, KernelShap is meant, but 'SHAP' came",
    ):
        explorer.method = "SHAP"
    with pytest.raises(ChoiceError, match="which of ShapleyValues, ShapleyValueSampling is meant"):
        explorer.method = "shapley"
    assert explorer.method == "Saliency"


@pytest.mark.parametrize(
    ("trait", "value", "words"),
    [
        ("method", "integrated gradents", "did you mean 'IntegratedGradients'"),
        ("method", "oclusion", "did you mean 'Occlusion'"),
        ("method", "grad-cam", "Grad-CAM explains a layer: set layer, and layer_method"),
        ("layer_method", "KernelSHAP", "Kernel SHAP explains the input: set method"),
        ("neuron_method", "grad cam", "Grad-CAM explains a layer"),
        ("method", "", "method must be one of .*, but '' came$"),
        ("method", "something else entirely", "'something else entirely' came$"),
    ],
)
def test_near_misses_say_what_may_be_meant(make: Make, trait: str, value: Any, words: str) -> None:
    explorer = make(target=2)
    before = getattr(explorer, trait)
    with pytest.raises(ChoiceError, match=words):
        setattr(explorer, trait, value)
    assert getattr(explorer, trait) == before


def test_every_place_that_names_a_method_takes_any_spelling(make: Make) -> None:
    explorer = make(
        target=2,
        method="input x gradient",
        layer="act",
        layer_method="gradcam",
        neuron_method="guided backprop",
        settings={"Integrated gradients": {"n_steps": 9}, "smoothgrad": {"nt_samples": 3}},
    )
    assert (explorer.method, explorer.layer_method, explorer.neuron_method) == (
        "InputXGradient",
        "LayerGradCam",
        "NeuronGuidedBackprop",
    )
    assert explorer.settings == {"IntegratedGradients": {"n_steps": 9}, "NoiseTunnel": {"nt_samples": 3}}
    explorer.compare(["input x gradient", "lrp", "edges"], ["sparseness"]).wait()
    assert [line["name"] for line in explorer.comparison["methods"]] == ["InputXGradient", "LRP", "edges"]
    assert [line["label"] for line in explorer.comparison["methods"]][:2] == ["Input x gradient", "LRP"]
    from_page(explorer, method="ig")
    assert explorer.method == "IntegratedGradients"


def test_two_spellings_of_one_method_in_settings_are_refused(make: Make) -> None:
    explorer = make(target=2)
    with pytest.raises(ChoiceError, match="settings has IntegratedGradients twice, once as 'IG'"):
        explorer.settings = {"IntegratedGradients": {"n_steps": 9}, "IG": {"n_steps": 10}}
    with pytest.raises(ChoiceError, match="which of LayerConductance, NeuronConductance is meant"):
        explorer.settings = {"conductance": {"n_steps": 9}}
    assert explorer.settings == {"IntegratedGradients": {"n_steps": 8}}


def test_a_method_of_ones_own_goes_by_its_name_before_all_others(make: Make) -> None:
    class IG(attr.Saliency):
        """A method that has the short name of another."""

    explorer = make(target=2, methods=[IG], method="IG")
    assert explorer.method == "IG"
    explorer.method = "integrated gradients"
    assert explorer.method == "IntegratedGradients"


def test_contrast_takes_a_class_by_name(model: TwoLayers, make: Make) -> None:
    explorer = make(target="cat", class_names=["ant", "bee", "cat", "dog", "elk"], contrast="Dog").wait()
    assert (explorer.target, explorer.contrast) == (2, 3)
    for wrong, words in [
        ("cta", "contrast 'cta' is the name of no class; did you mean 'cat'"),
        ("cat", "both are 2"),
    ]:
        with pytest.raises(ChoiceError, match=words):
            explorer.contrast = wrong
    assert explorer.contrast == 3
