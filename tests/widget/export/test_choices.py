"""The state of an Explorer as JSON, and an Explorer made of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope import Explorer, attr
from attriscope.widget.export.choices import NAMES, VERSION
from attriscope.widget.state.selection import ChoiceError
from attriscope.widget.state.table import ROWS
from widget.helpers import Make, TwoLayers

# Another value than the default for each trait that a person can set, and what else it needs.
OTHER: dict[str, dict[str, Any]] = {
    "method": {"method": "Saliency"},
    "target": {"target": 3},
    "baseline": {"baseline": ["blur", "zero"]},
    "contrast": {"contrast": 2, "target": 1},
    "example": {"example": 1},
    "settings": {"settings": {"Occlusion": {"window": 3}, "IntegratedGradients": {"n_steps": 5}}},
    "output": {"output": "sigmoid"},
    "effort": {"effort": 2},
    "layer": {"layer": "first"},
    "layer_method": {"layer_method": "LayerActivation"},
    "neuron": {"neuron": [1, 2, 3], "layer": "first"},
    "neuron_method": {"neuron_method": "NeuronDeepLift"},
    "ablated": {"ablated": [["first", 1]]},
    "ablate_to": {"ablate_to": "baseline"},
    "explain_predicted": {"explain_predicted": True},
    "detail": {"detail": 3},
    "selection": {"selection": {"kind": "box", "box": [1, 2, 4, 6]}},
    "tab": {"tab": "inside"},
    "view_box": {"view_box": [1, 2, 5, 6]},
    "alpha": {"alpha": 0.25},
    "compare_as": {"compare_as": "flicker"},
    "opacity": {"opacity": 0.5},
    "colormap": {"colormap": "viridis"},
    "sign": {"sign": "absolute"},
    "mode": {"mode": "masked"},
    "outlier_percent": {"outlier_percent": 7.0},
    "scale_limit": {"scale_limit": 2.5},
}  # fmt: skip

# Of pictures there is nothing to edit: tests/widget/test_explorer_tables.py.
OF_TABLES = "edited"


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(5))


def test_every_trait_that_a_person_sets_is_in_the_state() -> None:
    chosen = {name for name, row in ROWS.items() if row.metadata["page"]} | {"effort"}
    assert set(NAMES) == chosen - {"beside"}  # which names pins, and these are not in the state
    assert set(NAMES) - {OF_TABLES} <= set(OTHER), "say what else this trait can be, above"


@pytest.mark.parametrize("name", [name for name in NAMES if name != OF_TABLES])
def test_it_goes_there_and_back(explore: Any, model: TwoLayers, images: Tensor, name: str) -> None:
    explorer = explore(model, images, **{"method": "IntegratedGradients", "target": 0, **OTHER[name]})
    state = json.loads(json.dumps(explorer.state(), allow_nan=False))
    assert state[name] == OTHER[name][name] != ROWS[name].default()
    again = Explorer.from_state(state, model, images)
    assert again.state() == explorer.state() == state
    assert again.choice == explorer.choice
    torch.testing.assert_close(again.wait().attributions, explorer.wait().attributions)
    again.close()


def test_it_is_a_copy(make: Make) -> None:
    explorer = make(target=1, ablated=[["first", 1]])
    state = explorer.state()
    state["ablated"][0][1] = 2
    state["settings"]["IntegratedGradients"]["n_steps"] = 3
    assert explorer.ablated == [["first", 1]]
    assert explorer.settings == {"IntegratedGradients": {"n_steps": 8}}


def test_what_is_ones_own_is_named_and_given_again(explore: Any, model: TwoLayers, images: Tensor) -> None:
    class Mine(attr.GradientAttribution):
        """The gradient."""

        def attribute(self, inputs: Any, target: Any = None, baselines: Any = None) -> Any:
            return self.gradient_func(self.forward_func, inputs, target)[0] * (inputs - baselines)

    def margin(output: Tensor) -> Tensor:
        return output[:, 0] - output[:, 1]

    own = torch.full_like(images, 0.3)
    explorer = explore(model, images, target=margin, baseline=["zero", own], methods=[Mine], method="Mine")
    state = json.loads(json.dumps(explorer.state()))
    assert state["target"] == {"function": "margin"}
    assert state["baseline"] == ["zero", "custom"]
    given = {"target": margin, "baseline": own, "methods": [Mine]}
    again = Explorer.from_state(state, model, images, **given)
    torch.testing.assert_close(again.wait().attributions, explorer.wait().attributions)
    assert again.state() == explorer.state()
    again.close()
    for name, words in (("target", "'margin'"), ("baseline", "baseline=tensor"), ("methods", "'Mine'")):
        less = {key: value for key, value in given.items() if key != name}
        with pytest.raises(ChoiceError, match=words):
            Explorer.from_state(state, model, images, **less)


def test_a_number_as_baseline_is_kept(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=1, baseline=0.25)
    assert explorer.state()["baseline"] == 0.25
    again = Explorer.from_state(explorer.state(), model, image)
    torch.testing.assert_close(again.wait().attributions, explorer.wait().attributions)
    again.close()


def test_what_is_given_again_wins(make: Make, model: TwoLayers, image: Tensor) -> None:
    state = make(target=1, baseline="blur").state()
    again = Explorer.from_state(state, model, image, target=2, baseline="white", opacity=0.1)
    assert (again.target, again.baseline, again.opacity) == (2, "white", 0.1)
    again.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, "version of the state must be 1, but is 2"),
        ({"version": None}, "but is None"),
        ({"opactiy": 1}, "'opactiy', which an Explorer has no choice for; did you mean 'opacity'?"),
        ({"heat": {}}, "'heat', which an Explorer has no choice for"),
        ({"effort": -1}, "effort must be how often the map was refined, but -1 came"),
        ({"effort": True}, "but True came"),
        ({"baseline": "blurred"}, "baseline must be one of"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    make: Make, model: TwoLayers, image: Tensor, change: dict[str, Any], words: str
) -> None:
    explorer = make(target=1)
    explorer.wait()
    with pytest.raises(ChoiceError) as refused:
        Explorer.from_state({**explorer.state(), **change}, model, image)
    assert words in str(refused.value)


@pytest.mark.parametrize("state", ["{}", None, 3, [1]])
def test_what_is_no_state_is_refused(model: TwoLayers, image: Tensor, state: Any) -> None:
    with pytest.raises(TypeError, match=r"state must be a dict as explorer.state\(\) gives it"):
        Explorer.from_state(state, model, image)
    with pytest.raises(ChoiceError, match=f"must be {VERSION}, but is missing"):
        Explorer.from_state({}, model, image)


def test_missing_choices_are_the_usual_ones(model: TwoLayers, image: Tensor) -> None:
    explorer = Explorer.from_state({"version": VERSION, "target": 1}, model, image)
    assert (explorer.target, explorer.method, explorer.opacity) == (1, "IntegratedGradients", 0.6)
    explorer.close()
