"""Methods by whatever people call them: ``"IG"``, ``"integrated gradients"`` and ``"IntegratedGradients"`` are one.

Case, spaces, hyphens and the like do not count. What a method is called is in its
:class:`~attriscope.widget.methods.spec.MethodSpec`: its name, its label, and what else it is known as.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from attriscope.core.inputs import describe
from attriscope.widget.methods.spec import MethodSpec
from attriscope.widget.state.selection import ChoiceError

# How to ask for what explains something else than the input.
_ELSEWHERE = {
    "input": "{label} explains the input: set method",
    "layer": "{label} explains a layer: set layer, and layer_method",
    "neuron": "{label} explains a neuron: set layer, neuron and neuron_method",
}


def method_name(
    value: Any,
    offered: Mapping[str, MethodSpec],
    what: str,
    *,
    others: Iterable[str] = (),
    elsewhere: Mapping[str, MethodSpec] | None = None,
) -> str:
    """The name of a method on offer, from any usual spelling of it.

    Args:
        value: what came.
        offered: methods by name. Where several are called the same, those for the input go before those inside the
            model.
        what: what the value is, for the error.
        others: names that are no methods, but may be given as well; only as they are.
        elsewhere: methods that are offered for something else, to say so.

    Raises:
        ChoiceError: nothing is called that, or several are; it names those that may be meant.
    """
    others = tuple(others)
    if isinstance(value, str) and (value in offered or value in others):
        return value
    found = _called(value, offered) if isinstance(value, str) else []
    found = [name for name in found if offered[name].place == "input"] or found
    if len(found) == 1:
        return found[0]
    came = f"but {describe(value)} came"
    if found:
        raise ChoiceError(f"{what} must say which of {', '.join(found)} is meant, {came}")
    hint = _hint(value, offered, elsewhere or {}) if isinstance(value, str) else ""
    raise ChoiceError(f"{what} must be one of {', '.join((*offered, *others))}, {came}{hint}")


def _called(value: str, offered: Mapping[str, MethodSpec]) -> list[str]:
    plain = _plain(value)
    return [name for name, spec in offered.items() if plain and plain in map(_plain, _spellings(name, spec))]


def _hint(value: str, offered: Mapping[str, MethodSpec], elsewhere: Mapping[str, MethodSpec]) -> str:
    for name in _called(value, elsewhere):
        return "; " + _ELSEWHERE[elsewhere[name].place].format(label=elsewhere[name].title)
    known = {_plain(one): name for name, spec in offered.items() for one in _spellings(name, spec)}
    near = difflib.get_close_matches(_plain(value), known, n=1, cutoff=0.7)
    return f"; did you mean {known[near[0]]!r}?" if near else ""


def _spellings(name: str, spec: MethodSpec) -> tuple[str, ...]:
    return (name, spec.title, *spec.known_as)


def _plain(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
