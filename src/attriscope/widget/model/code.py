"""The Python lines that reproduce a map: the calls of the library that gave it, written down.

Before them stands what makes the Explorer again (:mod:`~attriscope.widget.model.explorer_code`). All of it can be
pasted into a cell.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from attriscope import attr
from attriscope.core.layouts import Layout
from attriscope.widget.methods.arguments import CodeValue, as_code
from attriscope.widget.methods.spec import MethodCall
from attriscope.widget.model import layer_code
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.state.selection import Selection

# Longer calls get a line per argument.
_WIDTH = 80


def code_of(explained: ExplainedModel, selection: Selection) -> str:
    """Python that gives the answer outside the Explorer."""
    return with_imports(lines_of(explained, selection))


def lines_of(explained: ExplainedModel, selection: Selection) -> list[str]:
    """The same without what has to be imported."""
    picture = explained.example(selection.example).inputs
    changed = _ablation_code(explained, selection) if selection.ablated else []
    if selection.place != "layer" or selection.layer is None:
        return [*_lines(explained.call(selection), picture, several=False), *changed]
    layout = explained.layer_cache.layout(selection.layer)
    if explained.is_cam_of_tokens(selection):
        both = [
            dataclasses.replace(selection, layer_method=name, settings=settings)
            for name, settings in (
                ("LayerActivation", {}),
                ("LayerGradientXActivation", {"LayerGradientXActivation": {"multiply_by_inputs": False}}),
            )
        ]
        positive = selection.shown_settings.get("relu_attributions")
        after = ["attributions = attributions.relu()"] if positive else []
        return _grad_cam_lines([explained.call(one) for one in both], picture, layout, [*after, *changed])
    laid = layout.spatial and (layout.kind != "map" or layout.channels_last)
    laid = laid and not (layout.kind == "map" and selection.layer_method == "LayerGradCam")
    after = [f"{layer_code.over_picture_code(layout)}  # as it lies in the picture"] if laid else []
    return [*_lines(explained.call(selection), picture, layout.several), *after, *changed]


def _ablation_code(explained: ExplainedModel, selection: Selection) -> list[str]:
    example = explained.example(selection.example)
    layers = list(dict.fromkeys(layer for layer, _ in selection.ablated))
    return _ablation_lines(
        [
            (layer, layer_code.index_code(explained.layer_cache.layout(layer), neuron))
            for layer, neuron in selection.ablated
        ],
        example.inputs,
        example.arguments,
        {layer: example.baselines(selection) for layer in layers}
        if selection.ablate_to == "baseline"
        else {},
        {layer: explained.layer_cache.layout(layer).several for layer in layers},
    )


def _grad_cam_lines(
    calls: Sequence[MethodCall], picture: CodeValue, layout: Layout, after: Sequence[str] = ()
) -> list[str]:
    """Grad-CAM of tokens: from what a layer holds and its gradients, which the two calls ask for."""
    lines: list[str] = []
    for name, call in zip(("values", "gradients"), calls, strict=True):
        found = [line for line in _lines(call, picture, layout.several) if line not in picture.before]
        lines += [re.sub(r"^attributions = ", f"{name} = ", line) for line in found]
        lines += [f"{name} = {name}.transpose(0, 1)"] if layout.batch_dimension else []
    kept = f"[:, {layout.skipped}:]" if layout.skipped else ""
    height, width = layout.grid or (1, layout.size[2])
    return [
        *picture.before,
        *lines,
        f"weights = gradients{kept}.mean(1, keepdim=True)  # over the positions in the picture",
        f"attributions = (weights * values{kept}).sum(-1).reshape(1, 1, {height}, {width})",
        *after,
    ]


def _ablation_lines(
    neurons: Sequence[tuple[str, str]],
    picture: CodeValue,
    arguments: CodeValue | None,
    replacements: Mapping[str, Sequence[CodeValue]],
    several: Mapping[str, bool],
) -> list[str]:
    """Lines that leave what the model says without some neurons in ``changed``.

    Args:
        neurons: layers and the code of the neuron's index.
        picture, arguments: what the model is run with.
        replacements: for each layer the baselines whose activations, averaged, the neurons are set to; empty for zero.
        several: of which layers the first of several tensors is meant.
    """
    lines = [""]
    to = ""
    if replacements:
        needed = (start for starts in replacements.values() for start in starts)
        lines += list(dict.fromkeys(line for start in needed for line in start.before))
        lines.append("to = {")
        for layer, baselines in replacements.items():
            first = "[0]" if several[layer] else ""
            name = as_code(layer)
            more = "" if arguments is None else f", additional_forward_args={arguments.code}"
            activations = [
                f"LayerActivation(model, {name}).attribute({s.code}{more}){first}" for s in baselines
            ]
            one = (
                activations[0]
                if len(activations) == 1
                else f"torch.stack([{', '.join(activations)}]).mean(0)"
            )
            lines.append(f"    {name}: {one},")
        lines.append("}")
        to = ", to=to"
    given = picture.code
    if arguments is not None:
        code = arguments.code
        lines.append(f"more = {code} if isinstance({code}, tuple) else ({code},)")
        given += ", *more"
    pairs = ", ".join(f"({as_code(layer)}, {index})" for layer, index in neurons)
    return [*lines, f"with switched_off(model, [{pairs}]{to}):", f"    changed = model({given})"]


def _lines(call: MethodCall, picture: CodeValue, several: bool) -> list[str]:
    """Lines that leave the map in ``attributions``, given ``model`` and ``inputs``.

    Args:
        call: the call.
        picture: the picture that it is about; what comes before it cuts it from the inputs.
        several: whether the method gives a tuple, of which the first counts.
    """
    arguments = {name: argument for name, argument in call.arguments_in_code.items() if name != "inputs"}
    parts = [picture, call.made, *call.baselines, *arguments.values()]
    before = list(dict.fromkeys(line for part in parts for line in part.before))
    lines = [*before, f"method = {call.made.code}"]
    given = [picture.code, *(f"{name}={argument.code}" for name, argument in arguments.items())]
    if len(call.baselines) > 1:
        lines += ["starts = [", *(f"    {start.code}," for start in call.baselines), "]"]
        given.insert(1, "baselines=start")
        each = [f"    {line}" for line in call_lines("method.attribute", given, several)]
        lines += ["maps = [", *each, "    for start in starts", "]"]
        lines.append("attributions = torch.stack(maps).mean(0)  # the average over the baselines")
    else:
        given[1:1] = [f"baselines={start.code}" for start in call.baselines]
        first, *rest = call_lines("method.attribute", given, several)
        lines += [f"attributions = {first}", *rest]
    return lines


def with_imports(lines: Sequence[str]) -> str:
    """Lines of code, after what has to be imported from torch and from this library."""
    imports = _imports("\n".join(lines))
    return "\n".join([*imports, *([""] if imports else []), *lines]) + "\n"


def call_lines(function: str, given: Sequence[str], several: bool = False) -> list[str]:
    """A call in one line, or in one for each argument."""
    first = "[0]" if several else ""
    line = f"{function}({', '.join(given)}){first}"
    if len(line) <= _WIDTH:
        return [line]
    return [f"{function}(", *(f"    {argument}," for argument in given), f"){first}"]


def _imports(code: str) -> list[str]:
    words = set(re.findall(r"(?<![.\w\"'])\w+", code))
    names = sorted(
        name
        for name in attr.__all__
        if name in words and (name not in ("baselines", "targets") or f"{name}." in code)
    )
    whole = [name for name in ("Explorer", "switched_off") if name in words]
    ours = [
        *([f"from attriscope import {', '.join(whole)}"] if whole else []),
        *([f"from attriscope.attr import {', '.join(names)}"] if names else []),
    ]
    blocks = [["import torch"] if "torch" in words else [], ours]
    return [line for block in blocks if block for line in ("", *block)][1:]
