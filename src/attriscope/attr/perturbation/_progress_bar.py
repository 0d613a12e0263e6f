"""The bar that ``show_progress=True`` prints."""

from __future__ import annotations

import sys
import time

_EVERY = 0.1  # seconds between two updates


class ProgressBar:
    """Says on stderr how many rows went through the model, and how long the others will take.

    Each line begins as Captum's does, ``"Feature Ablation attribution: 100%"``, for programs that look for that.

    Args:
        name: the method's name.
        total: the number of rows.
    """

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total = name, max(total, 1)
        self._began, self._shown = time.monotonic(), -_EVERY
        self._width = 0

    def show(self, done: int) -> None:
        """``done`` rows have gone through the model."""
        passed = time.monotonic() - self._began
        if done >= self._total or passed - self._shown >= _EVERY:
            self._shown = passed
            left = passed / done * max(self._total - done, 0) if done else 0.0
            share = f"{min(done / self._total, 1):4.0%}"
            self._print(f"{self._name} attribution: {share}, {done}/{self._total} rows, {left:.0f} s left")

    def close(self) -> None:
        """End the line."""
        print(file=sys.stderr, flush=True)

    def _print(self, text: str) -> None:
        print("\r" + text.ljust(self._width), end="", file=sys.stderr, flush=True)
        self._width = len(text)
