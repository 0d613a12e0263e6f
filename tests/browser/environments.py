"""Packages of other versions than this environment's, laid over it for one kernel or one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import attriscope
from browser.harness import Server

# What pip says when it cannot reach an index at all, in contrast to an index that has no such package.
_UNREACHABLE = (
    "NewConnectionError",
    "Temporary failure in name resolution",
    "ConnectTimeoutError",
    "ProxyError",
)


def overlay(folder: Path, *packages: str, cannot_run: Callable[[str], NoReturn]) -> dict[str, str]:
    """Installs packages from the index into a folder of their own.

    Args:
        folder: where they go.
        packages: what pip is to install, and options of ``pip install``.
        cannot_run: called with the reason where the index is out of reach.

    Returns:
        The environment variables of a process that shall see them before this environment's packages, and this very
        copy of attriscope.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*command, "--target", str(folder), *packages], capture_output=True, text=True)
    if done.returncode and any(words in done.stderr for words in _UNREACHABLE):
        cannot_run(f"the package index cannot be reached for {' '.join(packages)}")
    assert done.returncode == 0, done.stderr[-3000:]
    here = Path(attriscope.__file__).parents[1]
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(here)])}


def offer_kernel(server: Server, name: str, python: Path, env: Mapping[str, str] | None = None) -> None:
    """Makes a kernel one that the server's notebooks can name in their metadata."""
    spec = server.home / "data" / "kernels" / name
    spec.mkdir(parents=True, exist_ok=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": argv, "display_name": name, "language": "python", "env": dict(env or {})}
    (spec / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
