"""Writes what the page knows of the table of traits: types, defaults and lists.

    python -m attriscope.widget.state.typescript          # write js/src/state/*.generated.ts
    python -m attriscope.widget.state.typescript --print  # only show them

They are in the form that prettier gives them. Types come from the source of :mod:`~attriscope.widget.messages.types`,
:mod:`~attriscope.widget.messages.layer_types`, :mod:`~attriscope.widget.messages.judgements`,
:mod:`~attriscope.widget.messages.region_types` and
:mod:`~attriscope.widget.state.table`, because names such as
``Target`` are not in the types themselves.
"""

from __future__ import annotations

import ast
import inspect
import json
import pathlib
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from attriscope.widget.messages import judgements, layer_types, region_types, types
from attriscope.widget.state import table

FOLDER = "js/src/state"
_WIDTH = 110
_HEAD = """\
/**
 * {what}
 *
 * Made from src/attriscope/widget/{source}; to change it, change that and run
 * `python -m attriscope.widget.state.typescript`.
 */"""
_PLAIN = {
    "str": "string",
    "int": "number",
    "float": "number",
    "bool": "boolean",
    "None": "null",
    "object": "unknown",
}
# Made of rows of the table, and not of what Python says.
_OF_ROWS = "Request"


def generated() -> dict[str, str]:
    """The text of each file, by its name."""
    head = _HEAD.format(
        what="What travels between kernel and page.",
        source="messages/types.py, layer_types.py, judgements.py and region_types.py",
    )
    messages = [head, *_declarations(), _request()]
    names = re.findall(r"^export (?:type|interface) (\w+)", "\n".join(messages), re.MULTILINE)
    traits = [_traits(), _defaults(), *_lists()]
    used = sorted(set(names) & set(re.findall(r"\w+", " ".join(traits))), key=str.lower)
    head = _HEAD.format(what="The traits that kernel and page share.", source="state/table.py")
    traits = [f"{head}\n{_import(used)}", *traits]
    return {
        "messages.generated.ts": "\n\n".join(messages) + "\n",
        "traits.generated.ts": "\n\n".join(traits) + "\n",
    }


def _import(names: list[str]) -> str:
    return "\n".join(["import type {", *(f"  {name}," for name in names), '} from "./messages.generated";'])


def _declarations() -> Iterator[str]:
    """The types of the messages in their order."""
    for module in (types, layer_types, judgements, region_types):
        yield from _declarations_in(inspect.getsource(module))


def _declarations_in(source: str) -> Iterator[str]:
    comments = [line.removeprefix("# ") if line.startswith("# ") else "" for line in source.splitlines()]
    for node in ast.parse(source).body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id != _OF_ROWS
        ):
            assert node.value is not None
            comment = comments[node.lineno - 2]
            yield _comment(comment) + _alias(node.target.id, _type(node.value))
        elif isinstance(node, ast.ClassDef):
            yield _interface(node)


def _alias(name: str, kind: str) -> str:
    """A type's name, on one line, or with a line for each of its members where that is too long."""
    line = f"export type {name} = {kind};"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"export type {name} =", *(f"  | {one}" for one in kind.split(" | "))]) + ";"


def _interface(node: ast.ClassDef) -> str:
    doc, fields = _documented(ast.get_docstring(node) or "")
    optional = any(word.arg == "total" for word in node.keywords)
    lines = [_comment(doc) + f"export interface {node.name} {{"]
    for field in node.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            name, kind = field.target.id, field.annotation
            inner = _subscript(kind, "NotRequired")
            lines.append(_member(name, inner or kind, optional or inner is not None, fields.get(name, "")))
    return "\n".join([*lines, "}"])


def _member(name: str, kind: ast.expr, optional: bool, comment: str = "") -> str:
    return _comment(comment, "  ") + f"  {name}{'?' if optional else ''}: {_type(kind)};"


def _comment(text: str, indent: str = "") -> str:
    if not text:
        return ""
    text = text.replace("``", "`")
    return f"{indent}/** {text[0].upper()}{text[1:]} */\n"


def _documented(doc: str) -> tuple[str, dict[str, str]]:
    """A docstring's first paragraph, and what it says about each attribute."""
    head, _, attributes = doc.partition("\nAttributes:\n")
    return head.strip().split("\n\n")[0].replace("\n", " "), dict(
        re.findall(r"^    (\w+): (.*)$", attributes, re.MULTILINE)
    )


def _subscript(node: ast.expr, name: str) -> ast.expr | None:
    """What stands in the brackets after a name; ``None`` if that is not what this is."""
    found = isinstance(node, ast.Subscript) and ast.unparse(node.value) == name
    return node.slice if found and isinstance(node, ast.Subscript) else None


def _type(node: ast.expr) -> str:
    """A Python type as TypeScript."""
    if isinstance(node, ast.BinOp):
        return f"{_type(node.left)} | {_type(node.right)}".replace("number | number", "number")
    if isinstance(node, ast.Constant | ast.Name):
        name = ast.unparse(node)
        return _PLAIN.get(name, name)
    assert isinstance(node, ast.Subscript), f"no TypeScript for {ast.unparse(node)}"
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    match ast.unparse(node.value):
        case "Literal":
            return " | ".join(json.dumps(ast.literal_eval(one)) for one in inner)
        case "Annotated":
            return str(ast.literal_eval(inner[1]))
        case "Sequence":
            one = _type(inner[0])
            return f"readonly ({one})[]" if " " in one else f"readonly {one}[]"
        case "tuple":
            return f"readonly [{', '.join(map(_type, inner))}]"
        case "Mapping":
            return f"Readonly<Record<{_type(inner[0])}, {_type(inner[1])}>>"
    raise AssertionError(f"no TypeScript for {ast.unparse(node)}")


def _parsed(annotation: str) -> ast.expr:
    return ast.parse(annotation, mode="eval").body


def _request() -> str:
    lines = [
        _comment("The choices a result was computed for, as far as they matter to it.")
        + "export interface Request {"
    ]
    for name, row in table.ROWS.items():
        requested = row.metadata["requested"]
        if requested:
            kind = requested if isinstance(requested, str) else _annotation(name)
            lines.append(_member(name, _parsed(kind), True))
    return "\n".join([*lines, "}"])


def _traits() -> str:
    lines = ["export interface Traits {"]
    for name, row in table.ROWS.items():
        lines.append(_member(name, _parsed(_annotation(name)), False, row.help or ""))
    return "\n".join([*lines, "}"])


def _annotation(name: str) -> str:
    """The type of a trait on the page, in Python."""
    given = table.ROWS[name].metadata.get("page_type") or table.ExplorerTraits.__annotations__[name]
    return str(given)


def _defaults() -> str:
    """The defaults that are plain values: colour maps are not."""
    values = {name: _default(row) for name, row in table.ROWS.items()}
    fixed = {name: text for name, text in values.items() if text is not None}
    left_out = " | ".join(json.dumps(name) for name, text in values.items() if text is None)
    lines = [
        _comment("What traits are before anybody sets them.")
        + f"export const DEFAULTS: Omit<Traits, {left_out}> = {{"
    ]
    return "\n".join([*lines, *(f"  {name}: {text}," for name, text in fixed.items()), "};"])


def _default(row: Any) -> str | None:
    value = row.default()
    try:
        text = json.dumps(value)
    except TypeError:
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else text


def _lists() -> Iterator[str]:
    rows = table.ROWS
    doc = "What is chosen, and answered by a computation: a change asks the kernel for a new answer."
    yield _comment(doc) + _list("REQUESTED", table.REQUESTED)
    doc = "What only the kernel writes: a change of any of these is a sign of life."
    yield _comment(doc) + _list(
        "KERNEL_WRITTEN", (name for name, row in rows.items() if not row.metadata["page"])
    )
    doc = "For each result the traits that its request says it answers: where one of these is another now, it is stale."
    lines = [_comment(doc) + "export const ANSWERS = {"]
    lines += [
        _array(f"  {name}: ", row.metadata["answers"], ",")
        for name, row in rows.items()
        if row.metadata["answers"]
    ]
    yield "\n".join(
        [*lines, "} as const satisfies Partial<Record<keyof Traits, readonly (keyof Request)[]>>;"]
    )


def _list(name: str, names: Iterable[str]) -> str:
    return _array(f"export const {name} = ", names, " as const satisfies readonly (keyof Traits)[];")


def _array(before: str, names: Iterable[str], after: str) -> str:
    """A list on one line, or with a line for each of its entries where that is too long."""
    entries = [json.dumps(name) for name in names]
    line = f"{before}[{', '.join(entries)}]{after}"
    if len(line) <= _WIDTH:
        return line
    indent = " " * (len(before) - len(before.lstrip()))
    return "\n".join([f"{before}[", *(f"{indent}  {entry}," for entry in entries), f"{indent}]{after}"])


def main(arguments: list[str]) -> None:
    """Write the files, or show them."""
    folder = pathlib.Path(__file__).parents[4] / FOLDER
    for name, text in generated().items():
        if arguments == ["--print"]:
            print(text, end="")
        else:
            (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
