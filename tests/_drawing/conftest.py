"""Figures without a window."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import matplotlib
import pytest
from matplotlib import pyplot as plt


@pytest.fixture(autouse=True)
def headless() -> Iterator[None]:
    with matplotlib.rc_context({"backend": "agg"}), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    plt.close("all")
