r"""What this package's docstrings mean, said so that napoleon and docutils read it.

They are written for people in a terminal, in Google's style, with some freedoms:

- types stand in signatures, so a colon after "Returns:" or in a property's sentence is punctuation;
- a star or a bar is a star or a bar, as in (N, \*shape) and \|f(x)\|: nothing is emphasised;
- names that share a description may need more than one line;
- "Raises:" may say "as" another function.
"""

from __future__ import annotations

import re

SECTIONS_OF_NAMES = ("Args:", "Attributes:", "Traits:")
NOTHING = "\\ "  # a line that shows nothing, and in which there is no colon


def rewritten(what: str, lines: list[str]) -> list[str]:
    """The lines of a docstring of a thing of a kind ("class", "property", ...), for napoleon."""
    found = []
    section, inside = "", ""  # the section that a line stands in, and the indentation of its entries
    for line in map(escaped, lines):
        text = line.strip()
        indent = line[: len(line) - len(line.lstrip())]
        if re.fullmatch(r"[A-Z][a-z]+:", text):
            section, inside = text, ""
        elif section and text and not inside:  # the first line of a section
            inside = indent
            if section in ("Returns:", "Yields:"):
                found.append(indent + NOTHING)
            if section == "Raises:" and text.lower().startswith("as "):
                section, found[-1] = "prose", found[-1].replace(":", "")
        if inside and len(indent) < len(inside) and text:
            section, inside = "", ""
        if section == "prose":
            line = inside + text
        elif section in SECTIONS_OF_NAMES and found and is_unfinished(found[-1], inside):
            found[-1] = f"{found[-1]} {text}"
            continue
        found.append(line)
    return [NOTHING, *found] if what in ("attribute", "data", "property") and found else found


def escaped(line: str) -> str:
    """Stars and bars outside of double backquotes, as what they are."""
    parts = line.split("``")
    return "``".join(
        re.sub(r"[*|]", r"\\\g<0>", part) if i % 2 == 0 else part for i, part in enumerate(parts)
    )


def is_unfinished(line: str, inside: str) -> bool:
    """Whether a line is the beginning of a list of names that share a description."""
    return bool(re.fullmatch(rf"{inside}\S[\w\\*, ]*,", line)) and ":" not in line
