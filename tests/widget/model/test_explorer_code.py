"""Copy code makes the Explorer again: the lines run elsewhere, and what they make has the same choices and map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope import Explorer, attr
from widget.helpers import Make, Masked, TwoLayers


class Squared(attr.GradientAttribution):
    """The gradient squared."""

    def attribute(self, inputs: Any, target: Any = None, power: float = 2.0) -> Any:
        return self.gradient_func(self.forward_func, inputs, target)[0].abs() ** power


CHOICES: list[dict[str, Any]] = [
    {},
    {"target": 2, "contrast": 4},
    {"target": 2, "baseline": "blur", "method": "Saliency"},
    {"target": 2, "baseline": ["zero", "white"], "settings": {"IntegratedGradients": {"method": "riemann_left"}}},
    {"target": 2, "baseline": 0.25},
    {"target": 1, "layer": "first", "layer_method": "LayerActivation"},
    {"target": 1, "layer": "first", "neuron": [2, 3, 4], "neuron_method": "NeuronDeepLift"},
    {"target": 1, "ablated": [["first", 0], ["first", [1, 2, 2]]], "ablate_to": "baseline", "output": "values"},
    {"target": 1, "alpha": 0.5, "opacity": 0.25, "colormap": "viridis", "sign": "negative", "mode": "side"},
    {"target": 1, "outlier_percent": 5.0, "scale_limit": 3.0, "tab": "trust"},
]  # fmt: skip


@pytest.fixture
def again() -> Iterator[Any]:
    """What the code makes, stopped at the end."""
    made: list[Explorer] = []

    def run(code: str, **names: Any) -> tuple[Explorer, Tensor]:
        exec(compile(code, "<copied>", "exec"), names)
        made.append(names["explorer"])
        return names["explorer"], names["attributions"]

    yield run
    for one in made:
        one.close()


@pytest.mark.parametrize("choices", CHOICES, ids=lambda choices: " ".join(choices) or "none")
def test_the_code_makes_the_explorer_again(
    make: Make, model: TwoLayers, image: Tensor, again: Any, choices: dict[str, Any]
) -> None:
    explorer = make(**choices).wait()
    made, attributions = again(explorer.code, model=model, inputs=image)
    assert made.state() == explorer.state()
    torch.testing.assert_close(made.wait().attributions, explorer.attributions)
    torch.testing.assert_close(attributions, explorer.attributions)
    assert made.code == explorer.code
    assert explorer.code.endswith("\n\nexplorer\n")


def test_only_what_is_not_so_by_itself_is_written(make: Make) -> None:
    explorer = make(target=2).wait()
    call = explorer.code.partition("# The numbers")[0]
    assert call == (
        "from attriscope import Explorer\n"
        "from attriscope.attr import IntegratedGradients, baselines\n\n"
        "# The Explorer again\n"
        "explorer = Explorer(\n    model,\n    inputs,\n    target=2,\n"
        '    settings={"IntegratedGradients": {"n_steps": 8}},\n)\n\n'
    )


def test_the_code_says_what_has_no_place_in_it(make: Make, image: Tensor) -> None:
    def to_image(x: Tensor) -> Any:
        return x[0].clamp(0, 1)

    explorer = make(class_names=list("abcde"), to_image=to_image).wait()
    assert "# The Explorer again; add class_names and to_image as you gave them\n" in explorer.code


def test_the_code_follows_the_style_without_a_new_map(
    make: Make, model: TwoLayers, image: Tensor, again: Any
) -> None:
    explorer = make(target=2).wait()
    evaluations = explorer.heat
    explorer.sign, explorer.opacity = "positive", 0.75
    assert explorer.heat is evaluations
    assert '    opacity=0.75,\n    sign="positive",\n' in explorer.code
    assert again(explorer.code, model=model, inputs=image)[0].state() == explorer.state()


def test_a_refined_map_and_another_example(model: TwoLayers, again: Any) -> None:
    inputs = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    explorer = Explorer(model, inputs, target=1, example=2, n_steps=4).wait().refine().wait()
    made, attributions = again(explorer.code, model=model, inputs=inputs)
    assert made.effort == 1
    torch.testing.assert_close(made.wait().attributions, explorer.attributions)
    torch.testing.assert_close(attributions, explorer.attributions)
    explorer.close()


def test_what_is_ones_own_goes_by_its_name(model: TwoLayers, image: Tensor, again: Any) -> None:
    own = torch.full_like(image, 0.3)

    def margin(output: Tensor) -> Tensor:
        return output[:, 0] - output[:, 1]

    names = {"inputs": image, "baseline": own, "target": margin, "Squared": Squared}
    explorer = Explorer(
        model, image, target=margin, baseline=[own, "zero"], methods=[Squared], method="Squared",
        settings={"Squared": {"power": 3.0}},
    ).wait()  # fmt: skip
    made, attributions = again(explorer.code, model=model, **names)
    assert made.state() == explorer.state()
    torch.testing.assert_close(made.wait().attributions, explorer.attributions)
    torch.testing.assert_close(attributions, explorer.attributions)
    explorer.close()
    functions = {"Smooth": lambda model: attr.NoiseTunnel(Squared(model))}
    explorer = Explorer(model, image, target=1, methods=functions, method="Smooth").wait()
    made, _ = again(explorer.code, model=model, methods=functions, **names)
    torch.testing.assert_close(made.wait().attributions, explorer.attributions)
    explorer.close()


def test_further_arguments_of_the_model(again: Any) -> None:
    model, inputs = Masked().eval(), torch.rand(1, 3, 8, 8)
    more = (torch.rand(1, 1, 8, 8), torch.rand(5), 2.0)
    explorer = Explorer(model, inputs, target=1, n_steps=4, additional_forward_args=more).wait()
    made, _ = again(explorer.code, model=model, inputs=inputs, additional_forward_args=more)
    torch.testing.assert_close(made.wait().attributions, explorer.attributions)
    explorer.close()
