"""Sphinx's settings for the documentation; build_docs.py, beside this file, is the command that uses them."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from typing import Any, cast

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.environment import BuildEnvironment

import attriscope

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


NOTHING = "\\ "  # a line that shows nothing, and in which there is no colon


def colons_are_prose(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Types are in signatures: what stands before the first colon of "Returns:" or of a value begins a sentence."""
    if what == "data" and thing.__doc__ == type(thing).__doc__:
        lines.clear()  # says what a dict is, say, and not what this one is for
    for number in reversed(range(len(lines) - 1)):
        if lines[number].strip() in ("Returns:", "Yields:"):
            following = lines[number + 1]
            lines.insert(number + 1, following[: len(following) - len(following.lstrip())] + NOTHING)
    if what in ("attribute", "data", "property") and lines:
        lines.insert(0, NOTHING)


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
    found = [key for key in python.objects if key == name or key.endswith(f".{name}")]
    if found:  # of several the one that is nearest to the user
        nearest = min(found, key=lambda key: (key.count("."), key))
        return python.resolve_xref(env, node["refdoc"], app.builder, "obj", nearest, node, contnode)
    in_signature = any(isinstance(parent, addnodes.desc_signature) for parent in parents(node))
    module, cls = node.get("py:module"), node.get("py:class")
    places = [name, *(f"{place}.{name}" for place in (module, module and cls and f"{module}.{cls}") if place)]
    known = in_signature or name.startswith(FOREIGN) or any(is_there(place) for place in places)
    return contnode if known else None


def parents(node: nodes.Node) -> Iterator[nodes.Node]:
    while node.parent is not None:
        node = node.parent
        yield node


def is_there(name: str) -> bool:
    """Whether a dotted name can be imported."""
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        return False
    return True


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", colons_are_prose, priority=400)  # before napoleon
    app.connect("missing-reference", resolve)
