"""What an estimate says about itself."""

from __future__ import annotations

import pytest
import torch

from attriscope.core.estimate import Estimate, PartialResult


def test_the_inaccuracy_is_the_largest_of_all() -> None:
    delta = torch.tensor([0.1, -0.3, 0.2])
    errors = (torch.tensor([0.01, 0.05]), torch.tensor([[0.02]]))
    assert Estimate(None).inaccuracy is None
    assert float(Estimate(None, delta=delta).inaccuracy) == pytest.approx(0.3)
    assert float(Estimate(None, delta=delta, error=errors).inaccuracy) == pytest.approx(0.05)
    assert float(Estimate(None, error=errors[1]).inaccuracy) == pytest.approx(0.02)


def test_a_partial_result_costs_nothing_until_it_is_worked_out() -> None:
    calls: list[str] = []
    result = PartialResult(
        lambda: calls.append("attributions"), lambda: calls.append("delta"), None, evaluations=3
    )
    assert calls == []
    estimate = result.estimate("complete")
    assert calls == ["attributions", "delta"]
    assert (estimate.evaluations, estimate.stopped) == (3, "complete")
