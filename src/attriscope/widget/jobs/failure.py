"""Where a computation failed, in the code that a person has written: a method or a model of their own."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path

import torch

import attriscope

# The last frames say where it was; so many are enough.
_MOST_FRAMES = 12
_MOST_LETTERS = 4000

_LIBRARIES = tuple(str(Path(module.__file__ or "").parent) for module in (attriscope, torch))
_STANDARD = sysconfig.get_paths()["stdlib"]


def traceback_of(error: BaseException) -> str:
    """The frames of the user's own code through which an error came, in Python's form; empty if there are none.

    Those of this library, of torch and of Python's own modules are left out. Where an error was raised because of
    another one, it is the first of them that has such frames.
    """
    for one in _causes(error):
        frames = [frame for frame in traceback.extract_tb(one.__traceback__) if _is_own(frame.filename)]
        if frames:
            last = traceback.format_exception_only(type(one), one)
            text = "".join([*traceback.format_list(frames[-_MOST_FRAMES:]), *last]).rstrip()
            return text if len(text) <= _MOST_LETTERS else "…" + text[-_MOST_LETTERS:]
    return ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it came from, and so on."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _is_own(file: str) -> bool:
    installed = "site-packages" in file or "dist-packages" in file
    standard = file.startswith("<frozen ") or (file.startswith(_STANDARD) and not installed)
    return not standard and not file.startswith(_LIBRARIES)
