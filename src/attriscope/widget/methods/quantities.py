"""What the numbers of a method are: what is said under the colours of its map."""

from __future__ import annotations

from attriscope.widget.messages.types import Quantity
from attriscope.widget.methods.spec import MethodSpec
from attriscope.widget.state.selection import Selection

# All others give contributions, which are in the units of what is explained.
_OTHERS: dict[str, Quantity] = {
    **dict.fromkeys(("Saliency", "NoiseTunnel", "GuidedBackprop", "Deconvolution"), "gradient"),
    **dict.fromkeys(("NeuronGradient", "NeuronGuidedBackprop", "InternalInfluence"), "gradient"),
    **dict.fromkeys(("GuidedGradCam", "LayerGradCam"), "importance"),
    "LayerActivation": "activation",
}
_WORDS: dict[Quantity, str] = {
    "contribution": "contribution to {}",
    "gradient": "gradient of {}",
    "importance": "importance for {}",
    "attribution": "attribution of {}",
    "activation": "activation",
}


def quantity_of(spec: MethodSpec, selection: Selection, custom: bool) -> Quantity:
    """What a map of a method holds.

    Args:
        spec: the method.
        selection: with its settings: without the factor of the inputs a contribution is a gradient.
        custom: whether the method is the user's own, of which nothing is known.
    """
    if custom:
        return "attribution"
    found = _OTHERS.get(spec.name, "contribution")
    factor = selection.shown_settings.get("multiply_by_inputs", True)
    return found if factor or found != "contribution" else "gradient"


def tells_worth(quantity: Quantity, spec: MethodSpec, selection: Selection) -> bool:
    """Whether the sum of a map over a region is what it says that is worth, to be held beside what covering costs.

    So it is of contributions to what covering is measured at, and of a method of the user's own, who may know. What a
    layer gives is not the picture's, and what passes on to the output by way of a neuron is not what the neuron holds.
    """
    at_output = selection.place == "input" or not spec.explains_output
    return selection.place != "layer" and at_output and quantity in ("contribution", "attribution")


def unit_words(quantity: Quantity, of: str) -> str:
    """The same in words, for what is explained."""
    return _WORDS[quantity].format(of)
