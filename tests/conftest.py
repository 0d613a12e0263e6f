"""What every test shares. Sets the environment before anything imports torch; kernels started by tests inherit it."""

from __future__ import annotations

import os

# OpenMP's idle workers spin by default. On a machine with few cores that are also running a kernel, a notebook server
# and a browser, spinning workers take the time that the others need.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

# Time limits per example are noise on a busy machine; in CI the same examples are drawn in every run.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The whole run goes on two cores (with more, on up to four); what was named runs at once, where it can be seen."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.option.keyword
    return min(4, os.cpu_count() or 1) if whole and (os.cpu_count() or 1) > 1 else 0


class SideBySide(LoadScopeScheduling):
    """What goes together for those that run side by side: a file, and all of the browser.

    Browser tests share their servers, and two browsers on two cores would keep each other waiting.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "browser" if file.startswith("tests/browser/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SideBySide:
    return SideBySide(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Side by side, what takes long begins first, so that the end is short.

    First the browser tests, which are one chain; then the notebooks, whose outputs the documentation's test takes over;
    then the house, whose checks are long and alone.
    """
    if hasattr(config, "workerinput"):
        here = Path(__file__).parent
        order = (here / "browser", here.parent / "notebooks", here / "house", here)
        items.sort(key=lambda item: next(i for i, place in enumerate(order) if place in item.path.parents))


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


@pytest.fixture(scope="module")
def independent_rows() -> Iterator[None]:
    """Rows are said not to depend on each other, so that no row is spent on finding out, and rows can be counted."""
    import attriscope

    with attriscope.control(independent_rows=True):
        yield
