"""Where a computation failed in code of the user's own, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer, attr
from attriscope.core.errors import InputError
from attriscope.widget.jobs.failure import traceback_of
from widget.helpers import Make, TwoLayers


class Broken(attr.Attribution):
    def attribute(self, inputs: Tensor, target: Any = None) -> Tensor:
        return self.helper(inputs)

    def helper(self, inputs: Tensor) -> Tensor:
        raise ValueError("<b>my own</b> bug")


def test_the_frames_of_ones_own_method_are_shown_and_go_with_the_error(make: Make) -> None:
    explorer = make(target=2, methods=[Broken], method="Broken")
    with pytest.raises(ValueError, match="my own"):
        explorer.wait()
    assert explorer.message == "ValueError: <b>my own</b> bug"
    lines = explorer.traceback.splitlines()
    assert [line.split(", in ")[1] for line in lines if line.startswith("  File")] == ["attribute", "helper"]
    assert all(__file__ in line for line in lines if line.startswith("  File"))
    assert "return self.helper(inputs)" in explorer.traceback
    assert lines[-1] == "ValueError: <b>my own</b> bug"
    explorer.method = "Saliency"
    assert explorer.wait().traceback == ""


def test_so_are_those_of_ones_own_model() -> None:
    class Failing(TwoLayers):
        def forward(self, x: Tensor) -> Tensor:
            if torch.is_grad_enabled():
                raise KeyError("no gradient")
            return super().forward(x)

    explorer = Explorer(nn.Sequential(Failing()).eval(), torch.rand(1, 3, 8, 8), target=1, method="Saliency")
    with pytest.raises(KeyError):
        explorer.wait()
    files = [line for line in explorer.traceback.splitlines() if line.startswith("  File")]
    assert [line.split(", in ")[1] for line in files] == ["forward"]  # and none of torch's
    explorer.close()


def test_an_error_of_the_librarys_has_none(make: Make) -> None:
    explorer = make(target=99)
    with pytest.raises(InputError, match="target 99"):
        explorer.wait()
    assert explorer.traceback == ""


def test_it_is_that_of_the_cause_where_the_error_has_no_frames_of_its_own() -> None:
    def fail() -> None:
        raise ValueError("inner")

    error = InputError("outer")
    try:
        fail()
    except ValueError as inner:
        error.__cause__ = inner
    assert traceback_of(error).splitlines()[-1] == "ValueError: inner"
    assert "in fail" in traceback_of(error)
    assert traceback_of(InputError("alone")) == ""


def test_what_recurs_without_end_is_cut() -> None:
    def again(n: int) -> None:
        if n == 300:
            raise ValueError("x" * 9000)
        again(n + 1)

    try:
        again(0)
    except ValueError as error:
        found = traceback_of(error)
    assert len(found) <= 4001
    assert found.startswith("…")
