"""What tests of layers and neurons in the Explorer share: methods by place, and settings that cost little."""

from __future__ import annotations

from attriscope import Explorer
from attriscope.widget.methods.catalogue import INSIDE_METHODS
from attriscope.widget.methods.registry import MethodRegistry
from widget.nets import picture

AT = {
    place: [name for name, spec in INSIDE_METHODS.items() if spec.place == place]
    for place in ("layer", "neuron")
}
FEW = {
    name: {"n_steps": 6}
    for name, spec in INSIDE_METHODS.items()
    if "n_steps" in MethodRegistry(picture()).parameters[name]
}


def scores(explorer: Explorer, when: str) -> dict[int, float]:
    return {one["index"]: one[when] for one in explorer.what_if["items"]}
