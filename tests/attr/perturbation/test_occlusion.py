"""Occlusion: windows laid out and averaged as loops over them would."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from attriscope.attr import Occlusion
from attriscope.core.errors import InputError
from attriscope.core.inputs import describe
from models import Recorder, draw, pictures

# Rows are counted, so none is spent on finding out whether they depend on each other.
pytestmark = pytest.mark.usefixtures("independent_rows")

X = draw(2, 2, 6, 5)


def by_hand(
    f: Any, x: Tensor, window: tuple[int, ...], strides: tuple[int, ...], baseline: Tensor
) -> tuple[Tensor, int]:
    """The mean effect of all windows over each element, and how many windows there are."""
    sums, counts = torch.zeros_like(x), torch.zeros_like(x)
    starts = [range(0, n - w + s, s) for n, w, s in zip(x.shape[1:], window, strides, strict=True)]
    places = list(itertools.product(*starts))
    for place in places:
        at = (slice(None), *(slice(p, p + w) for p, w in zip(place, window, strict=True)))
        hidden = x.clone()
        hidden[at] = baseline.expand_as(x)[at]
        sums[at] += (f(x) - f(hidden)).reshape(-1, *[1] * (x.dim() - 1))
        counts[at] += 1
    return sums / counts, len(places)


@given(st.data())
def test_every_layout(data: Any) -> None:
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    count = data.draw(st.integers(1, 2))
    window = tuple(data.draw(st.integers(1, n)) for n in shape)
    # Where one window covers all, its stride does not matter.
    strides = tuple(data.draw(st.integers(1, w if w < n else 9)) for w, n in zip(window, shape, strict=True))
    batch = data.draw(st.sampled_from([None, 1, 2, 7]))
    x, baseline = draw(count, *shape), draw(data.draw(st.sampled_from([1, count])), *shape, seed=1)
    weights = draw(*shape, seed=2)

    def f(x: Tensor) -> Tensor:
        return (x * weights).flatten(1).sum(1).tanh()

    model = Recorder(f)
    found = Occlusion(model).attribute(x, window, strides, baseline, perturbations_per_eval=batch)
    expected, windows = by_hand(f, x, window, strides, baseline)
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-6)
    assert sum(model.rows) == (windows + 1) * count
    if batch is not None:
        assert max(model.rows) <= batch * count


def test_what_may_be_left_out() -> None:
    """Strides of 1, a baseline of 0; ints for all dimensions."""
    model = pictures()
    plain = Occlusion(model).attribute(X, (1, 3, 3), target=1)
    torch.testing.assert_close(plain, Occlusion(model).attribute(X, (1, 3, 3), 1, 0.0, 1), rtol=0, atol=0)
    torch.testing.assert_close(
        plain, Occlusion(model).attribute((X,), ((1, 3, 3),), (1,), target=1)[0], rtol=0, atol=0
    )
    torch.testing.assert_close(
        plain, Occlusion(model).attribute(X, (1, 3, 3), (1, 1, 1), target=1), rtol=0, atol=0
    )


def test_several_inputs_each_with_its_windows() -> None:
    """Windows move over one input at a time."""
    x, y = draw(2, 3), draw(2, 2, 4, seed=1)

    def f(x: Tensor, y: Tensor) -> Tensor:
        return x.sum(1) * 2 + (y * y).flatten(1).sum(1)

    for batch in (None, 1, 3):
        a, b = Occlusion(f).attribute(
            (x, y), ((2,), (1, 2)), (1, (1, 2)), (1.0, 0.0), perturbations_per_eval=batch
        )
        expected, _ = by_hand(lambda z: f(z, y), x, (2,), (1,), torch.ones(1))
        torch.testing.assert_close(a, expected.float())
        expected, _ = by_hand(lambda z: f(x, z), y, (1, 2), (1, 2), torch.zeros(1))
        torch.testing.assert_close(b, expected.float())


def test_outputs_of_several_numbers_and_of_the_batch() -> None:
    model = pictures()
    each = torch.stack([Occlusion(model).attribute(X, (2, 3, 3), 2, target=k) for k in range(4)], 1)
    torch.testing.assert_close(
        Occlusion(model).attribute(X, (2, 3, 3), 2), each.flatten(0, 1), rtol=0, atol=0
    )
    whole = Occlusion(lambda x: model(x)[:, 1].sum()).attribute(X, (2, 3, 3), 2)
    torch.testing.assert_close(
        whole, Occlusion(model).attribute(X, (2, 3, 3), 2, target=1).sum(0, keepdim=True)
    )
    assert Occlusion(lambda x: int(x.sum())).attribute(X, (2, 3, 3), 2).dtype == torch.float32


def test_estimates_cover_the_input_early() -> None:
    """For those who watch: after half of the windows there is something nearly everywhere, and some of it is final."""
    model = pictures()
    final = Occlusion(model).attribute(X, (2, 2, 2), target=1)
    *_, last = stream = list(Occlusion(model).stream(X, (2, 2, 2), target=1, perturbations_per_eval=1))
    assert len(stream) == 21
    torch.testing.assert_close(last.attributions, final, rtol=0, atol=0)
    assert float(last.error.abs().max()) == 0
    middle = stream[11]
    assert float((middle.attributions != 0).double().mean()) > 0.8
    known = middle.error == 0
    assert known.any()
    torch.testing.assert_close(middle.attributions[known], final[known])
    assert stream[0].error.isinf().all()


@pytest.mark.parametrize(
    ("windows", "strides", "kind", "says"),
    [
        (3, None, TypeError, "such as (2, 3, 3), but 3 came"),
        ([2, 3, 3], None, TypeError, "[2, 3, 3] came"),
        ((3, 3), None, ValueError, "must be 3 whole number(s) for input 0, whose examples have shape (2, 6, 5)"),
        ((2, 3.0, 3), None, ValueError, "but (2, 3.0, 3) came"),
        ((3, 3, 3), None, ValueError, "(3, 3, 3) is larger than an example of input 0, of shape (2, 6, 5)"),
        ((0, 3, 3), None, ValueError, "must be at least 1 everywhere, but (0, 3, 3) came"),
        ((2, 3, 3), (1, 4, 3), ValueError, "strides of (1, 4, 3) leave gaps between sliding windows of (2, 3, 3)"),
        ((2, 3, 3), (1, 1), ValueError, "strides must be 3 whole number(s)"),
        ((2, 3, 3), 0, ValueError, "strides must be at least 1"),
        ((2, 3, 3), "a", ValueError, "'a' came"),
        (((2, 3, 3), (1,)), None, ValueError, "one entry per input (1), but"),
        ((), None, ValueError, "sliding_window_shapes must have one entry per input"),
    ],
    ids=describe,
)  # fmt: skip
def test_windows_that_cannot_be_used(windows: Any, strides: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind) as caught:
        Occlusion(pictures()).attribute(X, windows, strides, target=0)
    assert says in str(caught.value)
    assert isinstance(caught.value, InputError)


def test_there_is_no_future() -> None:
    with pytest.raises(NotImplementedError, match="Occlusion"):
        Occlusion(pictures()).attribute_future(X, (2, 3, 3))


def test_on_the_meta_device() -> None:
    found = Occlusion(lambda x: x.flatten(1).sum(1)).attribute(X.to("meta"), (2, 3, 3), 2)
    assert found.shape == X.shape
    assert found.is_meta
