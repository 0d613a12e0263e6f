"""The Python lines that reproduce a map: what is asked of the library, written down."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from attriscope import attr
from attriscope.core.layouts import Layout
from attriscope.widget.methods.arguments import CodeValue, as_code
from attriscope.widget.methods.registry import MethodCall

# Longer calls get a line per argument.
_WIDTH = 80


def listing(
    question: MethodCall, picture: CodeValue, after: Sequence[str] = (), several: bool = False
) -> str:
    """Code that leaves the map in ``attributions``, given ``model`` and ``inputs``.

    Args:
        question: the call.
        picture: the picture that it is about; what comes before it cuts it from the inputs.
        after: lines that make the map of what the method gives.
        several: whether the method gives a tuple, of which the first counts.
    """
    return _with_imports([*_lines(question, picture, several), *after])


def cam_listing(
    questions: Sequence[MethodCall], picture: CodeValue, form: Layout, after: Sequence[str] = ()
) -> str:
    """Grad-CAM of tokens: from what a layer holds and its gradients, which the two questions ask for."""
    lines: list[str] = []
    for name, question in zip(("values", "gradients"), questions, strict=True):
        found = [line for line in _lines(question, picture, form.several) if line not in picture.before]
        lines += [re.sub(r"^attributions = ", f"{name} = ", line) for line in found]
        lines += [f"{name} = {name}.transpose(0, 1)"] if form.batch_dimension else []
    lines = [*picture.before, *lines]
    kept = f"[:, {form.skipped}:]" if form.skipped else ""
    height, width = form.grid or (1, form.size[2])
    lines += [
        f"weights = gradients{kept}.mean(1, keepdim=True)  # over the positions in the picture",
        f"attributions = (weights * values{kept}).sum(-1).reshape(1, 1, {height}, {width})",
        *after,
    ]
    return _with_imports(lines)


def what_if_lines(
    neurons: Sequence[tuple[str, str]],
    picture: CodeValue,
    arguments: CodeValue | None,
    instead: Mapping[str, Sequence[CodeValue]],
    several: Mapping[str, bool],
) -> list[str]:
    """Lines that leave what the model says without some neurons in ``changed``.

    Args:
        neurons: layers and the code of the neuron's index.
        picture, arguments: what the model is run with.
        instead: for each layer the baselines whose activations, averaged, the neurons are set to; empty for zero.
        several: of which layers the first of several tensors is meant.
    """
    lines = [""]
    to = ""
    if instead:
        lines += list(dict.fromkeys(line for starts in instead.values() for s in starts for line in s.before))
        lines.append("to = {")
        for layer, starts in instead.items():
            first = "[0]" if several[layer] else ""
            name = as_code(layer)
            more = "" if arguments is None else f", additional_forward_args={arguments.code}"
            held = [f"LayerActivation(model, {name}).attribute({s.code}{more}){first}" for s in starts]
            one = held[0] if len(held) == 1 else f"torch.stack([{', '.join(held)}]).mean(0)"
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


def _lines(question: MethodCall, picture: CodeValue, several: bool) -> list[str]:
    arguments = {name: written for name, written in question.written.items() if name != "inputs"}
    parts = [picture, question.made, *question.starts, *arguments.values()]
    before = list(dict.fromkeys(line for part in parts for line in part.before))
    lines = [*before, f"method = {question.made.code}"]
    given = [picture.code, *(f"{name}={written.code}" for name, written in arguments.items())]
    if len(question.starts) > 1:
        lines += ["starts = [", *(f"    {start.code}," for start in question.starts), "]"]
        given.insert(1, "baselines=start")
        call = [f"    {line}" for line in _call("method.attribute", given, several)]
        lines += ["maps = [", *call, "    for start in starts", "]"]
        lines.append("attributions = torch.stack(maps).mean(0)  # the average over the baselines")
    else:
        given[1:1] = [f"baselines={start.code}" for start in question.starts]
        first, *rest = _call("method.attribute", given, several)
        lines += [f"attributions = {first}", *rest]
    return lines


def _with_imports(lines: list[str]) -> str:
    imports = _imports("\n".join(lines))
    return "\n".join([*imports, *([""] if imports else []), *lines]) + "\n"


def _call(function: str, given: list[str], several: bool) -> list[str]:
    first = "[0]" if several else ""
    line = f"{function}({', '.join(given)}){first}"
    if len(line) <= _WIDTH:
        return [line]
    return [f"{function}(", *(f"    {argument}," for argument in given), f"){first}"]


def _imports(code: str) -> list[str]:
    words = set(re.findall(r"(?<![.\w\"'])\w+", code))
    names = sorted(
        name for name in attr.__all__ if name in words and (name != "baselines" or "baselines." in code)
    )
    ours = [
        *(["from attriscope import switched_off"] if "switched_off" in words else []),
        *([f"from attriscope.attr import {', '.join(names)}"] if names else []),
    ]
    blocks = [["import torch"] if "torch" in words else [], ours]
    return [line for block in blocks if block for line in ("", *block)][1:]
