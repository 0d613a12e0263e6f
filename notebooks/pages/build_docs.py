"""Builds the documentation into build/docs: pages, API reference and executed notebooks.

    python notebooks/pages/build_docs.py

A warning of Sphinx is an error, and so is a link from one page to another that leads nowhere. Links to other sites are
not followed.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

from executed import NOTEBOOKS, ROOT, executed

import attriscope

PAGES = NOTEBOOKS / "pages"
SOURCE, SITE = ROOT / "build/docs-source", ROOT / "build/docs"
TEXTS = ("CONTRIBUTING.md", "CHANGELOG.md")
# What is public and says so by no __all__: all that is defined there without an underscore.
WHOLE = ("attriscope.attr.baselines", "attriscope.attr.targets", "attriscope.core.errors")
KINDS = {"Classes": "autoclass", "Functions": "autofunction", "Errors": "autoexception", "Data": "autodata"}
# Their members are documented by those who made them.
FOREIGN_BASES = (
    "Widget, AnyWidget, DOMWidget, HasTraits, Module, Exception, ValueError, dict, list, tuple, Enum"
)


def stage() -> None:
    """Lays the sources out as in the repository, so that links between them are the same there and here.

    Notebooks are their executed copies, and what autosummary writes is out of the way.
    """
    shutil.rmtree(SOURCE, ignore_errors=True)
    staged = SOURCE / PAGES.relative_to(ROOT)
    staged.mkdir(parents=True)
    for page in PAGES.glob("*.md"):
        shutil.copy(page, staged)
    for name in TEXTS:
        shutil.copy(ROOT / name, SOURCE)
    for picture in NOTEBOOKS.glob("*.png"):
        shutil.copy(picture, staged.parent)
    for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
        shutil.copy(executed(notebook), staged.parent / notebook.name)
    write_reference(staged / "api")


# --- the API reference ------------------------------------------------------------------------------------------


def public_modules() -> list[ModuleType]:
    """Every module of the package that says what it offers."""
    names = {"attriscope", *WHOLE}
    for found in pkgutil.walk_packages(attriscope.__path__, "attriscope."):
        if not any(part.startswith("_") for part in found.name.split(".")):
            names.add(found.name)
    modules = [importlib.import_module(name) for name in sorted(names)]
    return [module for module in modules if hasattr(module, "__all__") or module.__name__ in WHOLE]


def public_names(module: ModuleType) -> list[str]:
    if module.__name__ in WHOLE:
        own = [name for name, it in vars(module).items() if getattr(it, "__module__", "") == module.__name__]
        return [name for name in own if not name.startswith("_")]
    return [name for name in module.__all__ if not name.startswith("_")]


def kind_of(thing: Any) -> str:
    if inspect.isclass(thing):
        return "Errors" if issubclass(thing, Exception) else "Classes"
    return "Functions" if callable(thing) else "Data"


def heading(text: str, line: str = "=") -> list[str]:
    return [text, line * len(text), ""]


def write_page(folder: Path, name: str, lines: Iterable[str]) -> None:
    (folder / f"{name}.rst").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_reference(folder: Path) -> None:
    """A page per public module, and one per name that it offers and that no module before it did."""
    folder.mkdir()
    contents = [
        *heading("API reference"),
        "Made from the docstrings. What an earlier module offers, too, is described there.",
    ]
    contents += ["", ".. toctree::", "   :titlesonly:", ""]
    described: list[Any] = []
    for module in public_modules():
        home = module.__name__
        things = {name: getattr(module, name) for name in public_names(module)}
        things = {name: it for name, it in things.items() if not inspect.ismodule(it) and it not in described}
        described += [it for it in things.values() if kind_of(it) != "Data"]
        if not things:
            continue
        contents.append(f"   {home}")
        page = [*heading(home), f".. automodule:: {home}", ""]
        for kind, directive in KINDS.items():
            names = sorted((name for name, it in things.items() if kind_of(it) == kind), key=str.lower)
            if not names:
                continue
            page += [*heading(kind, "-"), ".. autosummary::", "   :nosignatures:", ""]
            page += [f"   {name}" for name in names]
            page.append("")
            for name in names:
                # In no table of contents: 200 names beside each of 200 pages help nobody, and take a minute to write.
                lines = [":orphan:", "", *heading(name), f"In :mod:`{home}`.", ""]
                lines.append(f".. {directive}:: {home}.{name}")
                if directive in ("autoclass", "autoexception"):
                    lines += [
                        "   :members:",
                        f"   :inherited-members: {FOREIGN_BASES}",
                        "   :show-inheritance:",
                    ]
                write_page(folder, f"{home}.{name}", lines)
        write_page(folder, home, page)
    write_page(folder, "index", contents)


# --- links ------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """The places in a page that can be linked to, and what it links to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.links: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.places.add(value or "")
            elif (tag, name) in (("a", "href"), ("img", "src"), ("link", "href"), ("script", "src")):
                self.links.append(value or "")


def broken_links(site: Path) -> Iterator[str]:
    """What the pages of a folder link to within it and what is not there."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    for path, page in pages.items():
        for link in page.links:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            to = (path.parent / unquote(url.path)).resolve() if url.path else path
            place = unquote(url.fragment)
            if not to.is_file() or (place and to in pages and place not in pages[to].places):
                yield f"{path.relative_to(site.resolve())} links to {link}"


def main() -> None:
    stage()
    shutil.rmtree(SITE, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    command += ["-c", str(PAGES), str(SOURCE), str(SITE)]
    if subprocess.run(command, cwd=ROOT).returncode:
        sys.exit("the documentation has warnings")
    start = "notebooks/pages/index.html"
    (SITE / "index.html").write_text(
        f'<meta http-equiv="refresh" content="0; url={start}">\n', encoding="utf-8"
    )
    if broken := sorted(set(broken_links(SITE))):
        sys.exit("\n".join(["links that lead nowhere:", *broken]))
    print(f"{SITE / start}")


if __name__ == "__main__":
    main()
