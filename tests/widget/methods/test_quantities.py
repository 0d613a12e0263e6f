"""What is said under the colours of a map."""

from __future__ import annotations

from typing import Any

import pytest

from widget.helpers import Make


@pytest.mark.parametrize(
    ("choices", "unit"),
    [
        ({"method": "IntegratedGradients"}, "contribution to the score of class 2"),
        ({"method": "Saliency"}, "gradient of the score of class 2"),
        (
            {
                "method": "IntegratedGradients",
                "settings": {"IntegratedGradients": {"multiply_by_inputs": False}},
            },
            "gradient of the score of class 2",
        ),
        ({"method": "DeepLift", "contrast": 1}, "contribution to the score of class 2 rather than class 1"),
        ({"method": "Occlusion", "output": "values"}, "contribution to the output of class 2"),
    ],
)
def test_the_numbers_are_named(make: Make, choices: dict[str, Any], unit: str) -> None:
    assert make(target=2, **choices).wait().heat["unit"] == unit


def test_a_layers_and_a_neurons_numbers_are_named(make: Make) -> None:
    explorer = make(target=2).wait()
    layer = next(row["name"] for row in explorer.layers if row["spatial"] and row["name"])
    explorer.layer = layer
    assert explorer.wait().heat["unit"] == "importance for the score of class 2"
    assert explorer.layer_maps["unit"] == "importance for the score of class 2"
    explorer.layer_method = "LayerActivation"
    assert explorer.wait().heat["unit"] == "activation"
    explorer.neuron = 1
    assert explorer.wait().heat["unit"] == f"gradient of the activation of channel 1 of {layer}"


def test_a_function_of_the_output_is_named(make: Make) -> None:
    def margin(output: Any) -> Any:
        return output[:, 0] - output[:, 1]

    assert make(target=margin).wait().heat["unit"] == "contribution to margin"
