"""The Python lines that make an Explorer again as it is, before those that reproduce its map.

The latter are written by :mod:`~attriscope.widget.model.code`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from attriscope.widget.methods.arguments import as_code
from attriscope.widget.methods.catalogue import INPUT_METHODS
from attriscope.widget.methods.labels import Labels
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.methods.spec import MethodSpec
from attriscope.widget.model.code import call_lines, with_imports
from attriscope.widget.model.explained_model import ExplainedModel
from attriscope.widget.state.selection import Selection, TargetFunction
from attriscope.widget.state.table import CHOSEN, REQUESTED, ROWS, ExplorerTraits

STYLE = tuple(name for name in CHOSEN if name not in REQUESTED)
"""How the map is drawn, and what else a person sets that asks for no new map."""


def whole_code(
    explained: ExplainedModel,
    registry: MethodRegistry,
    labels: Labels,
    traits: ExplorerTraits,
    selection: Selection,
    lines: Sequence[str],
) -> str:
    """Python that makes the Explorer again, reproduces its map, and shows the Explorer.

    Args:
        explained: the model, and what else the Explorer was made with.
        registry: the methods on offer.
        labels: with the names of classes.
        traits: how the map is drawn.
        selection: what the map answers.
        lines: those that reproduce it.
    """
    stage = explained.example(selection.example).stage
    given = {"class_names": labels.names.by_index, **stage.given}
    others = [name for name, value in given.items() if value]  # they have no place in code
    add = f"; add {' and '.join(others)} as you gave them" if others else ""
    style = {name: getattr(traits, name) for name in STYLE}
    arguments = _choices(selection, style, stage.usual_baseline)
    before: list[str] = []
    own = {name: spec for name, spec in registry.input_specs.items() if name not in INPUT_METHODS}
    if own.keys() & {selection.method, *selection.settings}:
        arguments["methods"] = _methods(own)
        before = [line for spec in own.values() for line in spec.before]
    if explained.examples.arguments:
        arguments["additional_forward_args"] = "additional_forward_args"
    first, *rest = call_lines("Explorer", ["model", "inputs", *(f"{k}={v}" for k, v in arguments.items())])
    return with_imports(
        [
            f"# The Explorer again{add}",
            *before,
            f"explorer = {first}",
            *rest,
            "",
            "# The numbers of its map by themselves",
            *lines,
            "",
            "explorer",
        ]
    )


def _choices(selection: Selection, style: Mapping[str, Any], usual_baseline: str) -> dict[str, str]:
    """What is not as it would be by itself, as code; the target always, for it depends on the model."""
    chosen = {name: getattr(selection, name) for name in (*REQUESTED, "effort") if name != "baseline"}
    pairs = {name: [list(pair) for pair in getattr(selection, name)] for name in ("ablated", "edited")}
    chosen |= {**pairs, **style}
    changed = {name: _code(value) for name, value in chosen.items() if value != ROWS[name].default()}
    if selection.baselines != (usual_baseline,):
        changed["baseline"] = _baseline(selection)
    return changed


def _code(value: Any) -> str:
    if isinstance(value, TargetFunction):
        return "target"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{as_code(key)}: {_code(one)}' for key, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_code, value))}]"
    return as_code(value)


def _baseline(selection: Selection) -> str:
    own: Tensor | None = None if selection.custom is None else selection.custom.tensor
    number = own is not None and own.numel() == 1
    custom = repr(own.item()) if own is not None and number else "baseline"
    names = [custom if name == "custom" else as_code(name) for name in selection.baselines]
    return names[0] if len(names) == 1 else f"[{', '.join(names)}]"


def _methods(own: Mapping[str, MethodSpec]) -> str:
    if any(spec.make is not None for spec in own.values()):
        return "methods"  # functions have no code
    classes = {name: spec.method.__name__ for name, spec in own.items()}
    if all(name == code for name, code in classes.items()):
        return f"[{', '.join(classes)}]"
    return f"{{{', '.join(f'{as_code(name)}: {code}' for name, code in classes.items())}}}"
