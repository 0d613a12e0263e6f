"""What every test shares. Sets the environment before anything imports torch; kernels started by tests inherit it."""

from __future__ import annotations

import os

# OpenMP's idle workers spin by default. On a machine with few cores that are also running a kernel, a notebook server
# and a browser, spinning workers take the time that the others need.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import warnings
from collections.abc import Callable
from typing import NoReturn

import hypothesis
import pytest

# Time limits per example are noise on a busy machine; in CI the same examples are drawn in every run.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def cannot_run() -> Callable[[str], NoReturn]:
    """Called with the reason when something outside Python is missing, such as Node or Chromium.

    A skip that nobody sees is a test that nobody has: it stands among the warnings of the summary, and in CI it fails.
    """

    def stop(reason: str) -> NoReturn:
        if os.environ.get("CI"):
            pytest.fail(f"{reason} (CI is set, so this is a failure)", pytrace=False)
        warnings.warn(pytest.PytestWarning(f"NOT TESTED HERE: {reason}"), stacklevel=2)
        pytest.skip(reason)

    return stop
