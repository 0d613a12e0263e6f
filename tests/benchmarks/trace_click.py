"""How far one click goes: the functions that a new target passes, in the calling thread and on the worker.

    python tests/benchmarks/trace_click.py [--list]

It sets ``explorer.target`` on the small network, with integrated gradients and everything as it is at first, waits, and
counts what Python called meanwhile: functions, their files, and how often a call goes to another file than the call
before it did in that thread. Only functions with a name in ``attriscope.widget`` count, that is no comprehensions and
lambdas (``--list`` shows them with how often each was called).
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import attriscope
from attriscope import Explorer
from attriscope.zoo import small_cnn, small_pictures

WIDGET = str(Path(attriscope.__file__).parent / "widget")


class Trace:
    """What was called in ``attriscope.widget`` while it was on."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, str, str, int]] = []

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(WIDGET) and not code.co_name.startswith("<"):
            name = getattr(code, "co_qualname", code.co_name)  # Python 3.10 has only the latter
            self.calls.append((threading.get_ident(), code.co_filename, name, code.co_firstlineno))

    def __enter__(self) -> Trace:
        threading.setprofile(self)
        sys.setprofile(self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def changes_of_file(self) -> int:
        """How often a call is in another file than the one before it in its thread."""
        latest: dict[int, str] = {}
        changes = 0
        for thread, file, _, _ in self.calls:
            changes += latest.get(thread, file) != file
            latest[thread] = file
        return changes


def main() -> None:
    pictures, _ = small_pictures()
    explorer = Explorer(small_cnn(), pictures[:1], method="IntegratedGradients").wait()
    target = (int(explorer.target) + 1) % 10
    with Trace() as trace:
        explorer.target = target
        explorer.wait()
    functions = Counter(call[1:] for call in trace.calls)
    files = {file for file, _, _ in functions}
    print(f"{len(functions)} functions in {len(files)} files, {len(trace.calls)} calls")
    print(f"{trace.changes_of_file()} changes of file")
    if "--list" in sys.argv[1:]:
        for (file, name, line), count in sorted(functions.items()):
            print(f"{count:5} {file.removeprefix(WIDGET)}:{line} {name}")


if __name__ == "__main__":
    main()
