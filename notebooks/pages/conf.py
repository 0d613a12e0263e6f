"""Sphinx's settings for the documentation; build_docs.py, beside this file, is the command that uses them."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, cast

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.environment import BuildEnvironment

import attriscope

sys.path.insert(0, str(Path(__file__).parent))
import docstrings

project = "attriscope"
author = "the attriscope authors"
copyright = author
version = release = attriscope.__version__
language = "en"

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "myst_nb"]
root_doc = "notebooks/pages/index"
html_theme = "furo"
html_title = f"attriscope {release}"
html_static_path: list[str] = []

# Notebooks arrive executed: see executed.py. What a page without a kernel can show comes first.
nb_execution_mode = "off"
nb_mime_priority_overrides = [
    ("html", "image/png", 5),
    ("html", "application/vnd.jupyter.widget-view+json", 500),
]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
# Notebooks begin where they begin, and say nothing of the kernel that ran them.
suppress_warnings = ["myst.header"]

autosummary_generate = False  # build_docs.py writes a page for each name
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Traits", "params_style")]
add_module_names = False
python_maximum_signature_line_length = 100

nitpicky = True
# Their pages are elsewhere, and may be out of reach where this is built.
FOREIGN = (
    "torch.",
    "numpy.",
    "matplotlib.",
    "ipywidgets.",
    "anywidget.",
    "traitlets.",
    "captum.",
    "sklearn.",
)


def process(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Hands a docstring on as napoleon reads it."""
    if what == "data" and thing.__doc__ == type(thing).__doc__:
        lines.clear()  # says what a dict is, say, and not what this one is for
    lines[:] = docstrings.rewritten(what, lines)


def resolve(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, contnode: nodes.TextElement
) -> nodes.Element | None:
    """A name that a docstring says short leads to the one thing that ends so.

    What has no page is plain text if it is there. What is nowhere is a warning, and warnings are errors here.
    """
    if node.get("refdomain") != "py":
        return None
    name = node["reftarget"]
    python = cast(PythonDomain, env.get_domain("py"))
    if found := by_ending(python).get(name):
        return python.resolve_xref(env, node["refdoc"], app.builder, "obj", found, node, contnode)
    in_signature = any(isinstance(parent, addnodes.desc_signature) for parent in parents(node))
    return contnode if in_signature or name.startswith(FOREIGN) or is_there(name) else None


@cache
def by_ending(python: PythonDomain) -> dict[str, str]:
    """What has a page, by every end of its dotted name; of several the one that is nearest to the user."""
    found: dict[str, str] = {}
    for name in sorted(python.objects, key=lambda name: (-name.count("."), name)):
        parts = name.split(".")
        found |= {".".join(parts[i:]): name for i in range(len(parts))}
    return found


def parents(node: nodes.Node) -> Iterator[nodes.Node]:
    while node.parent is not None:
        node = node.parent
        yield node


@cache
def is_there(name: str) -> bool:
    """Whether a dotted name can be imported, as it is or from some module of the package."""
    places = [f"{module}.{name}" for module in sys.modules if module.split(".")[0] == "attriscope"]
    for place in (name, *places):
        with suppress(ImportError, AttributeError, ValueError):
            pkgutil.resolve_name(place)
            return True
    return False


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", process, priority=400)  # before napoleon
    app.connect("missing-reference", resolve)
