"""What the zoo takes from other packages, looked for when used: importing it needs torch and numpy only."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType


def _missing(module: str, package: str, purpose: str) -> ImportError:
    return ImportError(
        f"{purpose} needs the package {package!r} (imported as {module!r}), which is not installed. "
        "It is part of the extra 'demo': pip install 'attriscope[demo]'",
        name=module,
    )


def import_package(module: str, package: str, purpose: str) -> ModuleType:
    """Import ``module``.

    Args:
        module: what is imported, for example ``"PIL.Image"``.
        package: the name to install it by, for example ``"pillow"``.
        purpose: the beginning of the error message: what needs it.

    Raises:
        ImportError: it is not installed; the message names the package and the command that installs it. An
            error inside an installed package is passed on as it is.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in (module, module.partition(".")[0]):
            raise
        raise _missing(module, package, purpose) from error


def package_file(module: str, package: str, path: str, purpose: str) -> Path:
    """Path of a file that an installed package carries, without importing that package.

    Args:
        module: the package's top-level module.
        package: the name to install it by.
        path: the file, relative to the module's folder, with ``/`` between folders.
        purpose: the beginning of the error message: what needs it.

    Raises:
        ImportError: the package is not installed.
        FileNotFoundError: it is, but without this file.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(module, package, purpose)
    folder = Path(next(iter(spec.submodule_search_locations)))
    file = folder / path
    if not file.is_file():
        raise FileNotFoundError(
            f"{purpose} needs the file {path!r} of the package {package!r}, but the installed version has "
            f"none in {folder}. Install one that attriscope was tested with: "
            "pip install 'attriscope[demo]'"
        )
    return file
