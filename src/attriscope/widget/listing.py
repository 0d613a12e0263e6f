"""The Python lines that reproduce a map: what is asked of the library, written down."""

from __future__ import annotations

import re

from attriscope import attr
from attriscope.widget.asked import Written
from attriscope.widget.offers import Question

# Longer calls get a line per argument.
_WIDTH = 80


def listing(question: Question, picture: Written) -> str:
    """Code that leaves the map in ``attributions``, given ``model`` and ``inputs``.

    Args:
        question: the call.
        picture: the picture that it is about; what comes before it cuts it from the inputs.
    """
    arguments = {name: written for name, written in question.written.items() if name != "inputs"}
    parts = [picture, question.made, *question.starts, *arguments.values()]
    before = list(dict.fromkeys(line for part in parts for line in part.before))
    lines = [*before, f"method = {question.made.code}"]
    given = [picture.code, *(f"{name}={written.code}" for name, written in arguments.items())]
    if len(question.starts) > 1:
        lines += ["starts = [", *(f"    {start.code}," for start in question.starts), "]"]
        given.insert(1, "baselines=start")
        call = [f"    {line}" for line in _call("method.attribute", given)]
        lines += ["maps = [", *call, "    for start in starts", "]"]
        lines.append("attributions = torch.stack(maps).mean(0)  # the average over the baselines")
    else:
        given[1:1] = [f"baselines={start.code}" for start in question.starts]
        first, *rest = _call("method.attribute", given)
        lines += [f"attributions = {first}", *rest]
    imports = _imports("\n".join(lines))
    return "\n".join([*imports, *([""] if imports else []), *lines]) + "\n"


def _call(function: str, given: list[str]) -> list[str]:
    line = f"{function}({', '.join(given)})"
    if len(line) <= _WIDTH:
        return [line]
    return [f"{function}(", *(f"    {argument}," for argument in given), ")"]


def _imports(code: str) -> list[str]:
    words = set(re.findall(r"(?<![.\w\"'])\w+", code))
    names = sorted(
        name for name in attr.__all__ if name in words and (name != "baselines" or "baselines." in code)
    )
    blocks = [
        *(["import torch"] if "torch" in words else []),
        *([f"from attriscope.attr import {', '.join(names)}"] if names else []),
    ]
    return [line for block in blocks for line in ("", block)][1:]
