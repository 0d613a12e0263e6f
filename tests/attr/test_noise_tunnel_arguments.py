"""What the method inside a NoiseTunnel is told: what belongs to an example is repeated with it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attriscope.attr import (
    Attribution,
    GradientShap,
    IntegratedGradients,
    NoiseTunnel,
    Saliency,
)
from models import assert_same, draw, seeded
from own_methods import Spy, linear

# Rows are counted, so none is spent on finding out whether they depend on each other.
pytestmark = pytest.mark.usefixtures("independent_rows")

X = draw(3, 4, seed=5)


def spied(inputs: Any = X, nt_samples: int = 2, **kwargs: Any) -> dict[str, Any]:
    spy = Spy(linear)
    NoiseTunnel(spy).attribute(inputs, nt_samples=nt_samples, stdevs=0.0, **kwargs)
    return spy.seen


def test_what_belongs_to_an_example_is_repeated_with_it() -> None:
    per, shared, table, scalar = draw(3, 2), draw(1, 2), draw(5, 2), torch.tensor(2.0)
    seen = spied(
        target=[0, 3, 1],
        additional_forward_args=(per, shared, table, scalar, "mode"),
        baselines=X + 1,
        feature_mask=torch.arange(12).reshape(3, 4),
        n_steps=9,
    )
    assert_same(seen["inputs"], X.repeat_interleave(2, 0))
    assert seen["target"] == [0, 0, 3, 3, 1, 1]
    a, b, c, d, e = seen["additional_forward_args"]
    assert_same(a, per.repeat_interleave(2, 0))
    assert_same(b, shared.expand(6, 2))
    assert c is table
    assert d is scalar
    assert e == "mode"
    assert_same(seen["baselines"], (X + 1).repeat_interleave(2, 0))
    assert_same(seen["feature_mask"], torch.arange(12).reshape(3, 4).repeat_interleave(2, 0))
    assert seen["n_steps"] == 9


def test_what_is_shared_stays_as_it_is() -> None:
    shared = {
        "target": 2,
        "baselines": draw(1, 4),
        "feature_mask": torch.arange(4)[None],
        "additional_forward_args": None,
    }
    seen = spied(**shared)
    for name, value in shared.items():
        assert seen[name] is value
    # As long as there are examples, and yet no example's: it has fewer dimensions than the input.
    mask = torch.arange(3)
    assert spied(draw(3, 4, 3), feature_mask=mask)["feature_mask"] is mask
    assert spied(baselines=0.5)["baselines"] == 0.5
    assert spied(target=torch.tensor([0, 1, 2]))["target"].tolist() == [0, 0, 1, 1, 2, 2]
    assert spied(target=np.array([0, 1, 2]))["target"].tolist() == [0, 0, 1, 1, 2, 2]
    assert spied(target=(1,))["target"] == (1,)


def test_a_table_as_long_as_there_are_rows_is_not_taken_for_one_entry_per_row() -> None:
    """Six rows of two samples, and six weights: then there are other rows."""
    weights = draw(6)

    def model(x: Tensor, w: Tensor) -> Tensor:
        assert w.shape == (6,)
        return (x * w[:4]).sum(1)

    options: dict[str, Any] = {"stdevs": 0.0, "additional_forward_args": weights, "n_steps": 3}
    for samples in (1, 2, 3, 4):
        found = NoiseTunnel(IntegratedGradients(model)).attribute(X, nt_samples=samples, **options)
        torch.testing.assert_close(found, X * weights[:4])


def test_a_distribution_as_long_as_there_are_examples_belongs_to_none_of_them() -> None:
    seen: list[int] = []

    class Pooled(GradientShap):
        def attribute(self, inputs: Tensor, baselines: Tensor) -> Tensor:
            seen.append(len(baselines))
            return inputs

    Pooled.__module__ = "attriscope.attr.somewhere"
    NoiseTunnel(Pooled(linear)).attribute(X, nt_samples=4, nt_samples_batch_size=2, baselines=draw(3, 4))
    assert seen == [3, 3]


def test_drawn_baselines() -> None:
    """Each sample of each example gets one, all about as often; the same however samples are cut."""
    pool = torch.arange(5.0)[:, None].expand(5, 4).double()
    seen = spied(nt_samples=10, baselines=pool, draw_baseline_from_distrib=True, generator=seeded(0))
    drawn = seen["baselines"].reshape(3, 10, 4)[..., 0]
    assert (drawn.sort(1).values == torch.arange(5.0).double().repeat_interleave(2)).all()
    assert not drawn[0].equal(drawn[1]) or not drawn[0].equal(drawn[2])

    def run(batch: int | None) -> Tensor:
        return NoiseTunnel(InputLessBaseline(linear)).attribute(
            X, nt_samples=10, nt_samples_batch_size=batch, baselines=pool[:3], generator=seeded(2),
            draw_baseline_from_distrib=True,
        )  # fmt: skip

    for batch in (1, 3, 10):
        torch.testing.assert_close(run(batch), run(None))


class InputLessBaseline(Attribution):
    def attribute(self, inputs: Tensor, baselines: Tensor) -> Tensor:
        return (inputs - baselines).square()


def test_drawn_baselines_of_two_inputs_stay_together() -> None:
    pool = (torch.arange(4.0)[:, None].expand(4, 4), torch.arange(4.0)[:, None, None].expand(4, 2, 3))
    seen = spied((X, draw(3, 2, 3)), 8, baselines=pool, draw_baseline_from_distrib=True)
    a, b = seen["baselines"]
    assert a[:, 0].equal(b[:, 0, 0])
    numbers = spied((X, draw(3, 2, 3)), 8, baselines=(pool[0], 0.5), draw_baseline_from_distrib=True)
    assert numbers["baselines"][1] == 0.5


class Doubled:
    def __call__(self, inputs: Tensor, **kwargs: Any) -> Tensor:
        return 2 * inputs


class Unsaid(Doubled):
    """``inspect.signature`` makes nothing of it: a TypeError."""

    __signature__ = "nothing"


@pytest.mark.parametrize(("attribute", "factor"), [(torch.neg, -1), (Unsaid(), 2)])
def test_a_method_that_does_not_say_what_it_takes(attribute: Any, factor: float) -> None:
    """A function of torch's is none of Python's, and has no parameters to look at."""
    given = {"baselines": X} if isinstance(attribute, Doubled) else {}
    found = NoiseTunnel(SimpleNamespace(attribute=attribute)).attribute(X, nt_samples=3, stdevs=0.0, **given)
    torch.testing.assert_close(found, factor * X)


def test_an_error_counts_the_callers_rows() -> None:
    """A function that refuses rows is asked again with those of one sample before its error is shown."""

    def refuses(x: Tensor) -> Tensor:
        return x.reshape(7).sum()

    with pytest.raises(RuntimeError, match="size 12"):
        NoiseTunnel(Saliency(refuses)).attribute(draw(3, 4), nt_samples=5)
