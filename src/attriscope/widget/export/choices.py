"""All that is chosen in an Explorer, as JSON: to keep it, to send it, and to make another Explorer of it.

What JSON cannot hold is named and must be given again: the model and the inputs, a baseline that is a tensor, a target
that is a function, and methods of one's own. What was pinned holds pictures and is left out, and so is which of it is
looked at.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from attriscope.core.errors import InputTypeError
from attriscope.core.inputs import describe
from attriscope.widget.state.selection import ChoiceError, TargetFunction
from attriscope.widget.state.table import CHOSEN, ExplorerTraits

VERSION = 1
"""Of the form in which choices are kept; another one is refused."""

NAMES = (*CHOSEN, "effort")
"""The traits that a person sets, and how often the map was refined."""

_FUNCTION = "function"


def state_of(traits: ExplorerTraits) -> dict[str, Any]:
    """All that is chosen, by the names of the traits, and ``version``."""
    return {"version": VERSION, **{name: _plain(name, getattr(traits, name)) for name in NAMES}}


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, TargetFunction):
        return {_FUNCTION: value.name}
    if isinstance(value, Tensor):  # a baseline; a number is one of a single value
        return value.item() if value.numel() == 1 else "custom"
    if isinstance(value, list | tuple):
        return [_plain(name, one) for one in value]
    return {key: _plain(name, one) for key, one in value.items()} if isinstance(value, Mapping) else value


def keywords_of(state: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that make an Explorer with the choices of a state.

    Args:
        state: what :func:`state_of` gave.
        given: further arguments; one that is also in the state takes the place of that.

    Raises:
        InputTypeError: it is no state.
        ChoiceError: it is of another version, holds what an Explorer has no choice for, or names what must be given
            again.
    """
    if not isinstance(state, Mapping):
        raise InputTypeError(
            f"state must be a dict as explorer.state() gives it, but {describe(state)} came; a file of JSON is read "
            "with json.loads(path.read_text())"
        )
    if state.get("version") != VERSION:
        came = f"is {describe(state['version'])}" if "version" in state else "is missing"
        raise ChoiceError(f"the version of the state must be {VERSION}, but {came}")
    for name in state:
        if name != "version" and name not in NAMES:
            near = difflib.get_close_matches(str(name), NAMES, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ChoiceError(f"the state holds {describe(name)}, which an Explorer has no choice for{hint}")
    found = {name: value for name, value in state.items() if name != "version"} | dict(given)
    found["target"] = _target(found.get("target"))
    found["baseline"] = _baseline(state.get("baseline", "zero"), given)
    effort = found.get("effort", 0)
    if isinstance(effort, bool) or not isinstance(effort, int) or effort < 0:
        raise ChoiceError(f"effort must be how often the map was refined, but {describe(effort)} came")
    return found


def _target(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    raise ChoiceError(
        f"the target is the function {value.get(_FUNCTION)!r}, which a state only names: give it again, as in "
        "Explorer.from_state(state, model, inputs, target=function)"
    )


def _baseline(kept: Any, given: Mapping[str, Any]) -> Any:
    """The baseline of the state, with a tensor in its place among others."""
    own = given.get("baseline")
    names = kept if isinstance(kept, list) else [kept]
    if own is None and "custom" in names:
        raise ChoiceError(
            "the baseline is a tensor, which a state only names: give it again, as in "
            "Explorer.from_state(state, model, inputs, baseline=tensor)"
        )
    if own is None:
        return kept
    if isinstance(own, str | list | tuple) or "custom" not in names:
        return own
    found = [own if name == "custom" else name for name in names]
    return found if len(found) > 1 else found[0]
