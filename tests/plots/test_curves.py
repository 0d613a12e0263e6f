"""Curves: the lines, bands and areas are those of the data."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib import pyplot as plt

from attriscope import plots
from attriscope.core.errors import InputError, InputTypeError

FRACTIONS = np.array([0.0, 0.25, 1.0])


def entries(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_one_example() -> None:
    ax = plots.curves({"a": (FRACTIONS, [4.0, 2.0, 0.0])})
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_xydata(), [[0, 4], [0.25, 2], [1, 0]])
    assert not ax.collections  # no band
    assert entries(ax) == ["a (AUC 1.5)"]  # (4 + 2) / 2 / 4 + (2 + 0) / 2 * 3 / 4


@settings(max_examples=30)
@given(hnp.arrays(np.float64, (5, 3), elements=st.floats(-10, 10)))
def test_several_examples(scores: np.ndarray[Any, Any]) -> None:
    ax = plots.curves({"a": (FRACTIONS, scores)})
    mean = scores.mean(0)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), mean, atol=1e-12)
    error = np.sqrt(((scores - mean) ** 2).sum(0) / (5 - 1) / 5)
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices
    for x, low, high in zip(FRACTIONS, mean - error, mean + error, strict=True):
        at = corners[corners[:, 0] == x, 1]
        np.testing.assert_allclose([at.min(), at.max()], [low, high], atol=1e-12)
    auc = np.array([np.interp(np.linspace(0, 1, 4001), FRACTIONS, row).mean() for row in scores])
    written = float(entries(ax)[0].split("AUC ")[1].split(" ")[0].replace("\N{MINUS SIGN}", "-"))
    assert written == pytest.approx(auc.mean(), rel=0.01, abs=0.02)
    plt.close("all")


def test_objects_bring_their_own_area() -> None:
    one = SimpleNamespace(
        fractions=torch.tensor(FRACTIONS), scores=torch.ones(2, 3), auc=torch.tensor([3.0, 5.0])
    )
    assert entries(plots.curves({"a": one})) == ["a (AUC 4 ± 1)"]
    del one.auc
    assert entries(plots.curves({"a": one})) == ["a (AUC 1 ± 0)"]


def test_what_the_metrics_return_can_be_drawn() -> None:
    metrics = pytest.importorskip("attriscope.metrics")
    curve = metrics.deletion(lambda x: x.sum(1), torch.tensor([[3.0, 1.0]]), torch.tensor([[3.0, 1.0]]))
    ax = plots.curves({"deletion": curve})
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [4, 1, 0])
    assert entries(ax) == ["deletion (AUC 1.5)"]  # (4 + 1) / 2 / 2 + (1 + 0) / 2 / 2


def test_many_curves_can_be_told_apart() -> None:
    ax = plots.curves({str(i): (FRACTIONS, FRACTIONS) for i in range(25)})
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.lines}) == 25


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "at least one curve"),
        ([1, 2], "a mapping such as .* but a list came"),
        ({"a": 3}, "'a' must be a pair of fractions and scores, .* but 3 came"),
        ({"a": ([0, 1], [1, 2, 3])}, r"scores of 'a', of shape \(3,\), do not fit 2 fractions"),
        ({"a": ([0, 1], np.ones((2, 3, 4)))}, r"\(points,\) or \(examples, points\), but \(2, 3, 4\)"),
        ({"a": ([0, 1], [1, float("nan")])}, "scores of 'a' must be finite, but 1 of 2 are not; .* nan at 1"),
        ({"a": ([0, 0], [1, 2])}, "fractions of 'a' must increase"),
        ({"a": ([], [])}, r"shape \(points,\), but \(0,\) came"),
    ],
)
def test_refused(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plots.curves(given)
    assert plt.get_fignums() == []


def test_path_of_several_classes() -> None:
    outputs = torch.tensor([[1.0, 5.0], [2.0, 5.0], [4.0, 6.0]])
    ax = plots.path([0, 0.5, 1], outputs, names=["$a", "b"])
    np.testing.assert_array_equal([line.get_ydata() for line in ax.lines], outputs.T)
    assert entries(ax) == ["$a", "b"]


def test_path_with_attributions_says_where_they_end() -> None:
    outputs = np.array([[1.0, 5.0], [2.0, 5.0], [4.0, 6.0]])
    sums = outputs - outputs[0] + [[0, 0], [0, 0], [-0.5, 0]]
    ax = plots.path([0, 0.5, 1], outputs, sums, names=["a", "b"])
    drawn = [line.get_ydata() for line in ax.lines]
    np.testing.assert_array_equal(drawn, [outputs[:, 0], [1, 2, 3.5], outputs[:, 1], outputs[:, 1]])
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--"] * 2
    assert ax.lines[0].get_color() == ax.lines[1].get_color() != ax.lines[2].get_color()
    assert entries(ax) == ["a (attributions end 0.5 below)", "b", "first output + attributions so far"]


def test_path_of_one_class_needs_no_legend() -> None:
    assert plots.path([0, 1], [3, 4]).get_legend() is None
    assert entries(plots.path([0, 1], [3, 4], [0, 1.25])) == [
        "output (attributions end 0.25 above)",
        "first output + attributions so far",
    ]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([0, 1], [1, 2, 3]), {}, r"scores of shape \(3,\) does not fit 2 alphas"),
        (([1, 0], [1, 2]), {}, "alphas must increase"),
        (([0, 1], [1, float("inf")]), {}, "must be finite, .* inf at 1"),
        (([0, 1], [[1, 2], [3, 4]], [1, 2]), {}, "accumulated, of 1 classes, does not fit scores, of 2"),
        (([0, 1], [[1, 2], [3, 4]]), {"names": ["a"]}, "one name for each of 2, but 1 came"),
        (([0, 1], [[1, 2], [3, 4]]), {"names": "ab"}, "one name for each of 2, but 'ab' came"),
        (([0, 1], [["a"], ["b"]]), {}, "must be an array of numbers"),
    ],
)
def test_path_refuses(arguments: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plots.path(*arguments, **options)


def test_wrong_types_are_type_errors() -> None:
    with pytest.raises(InputTypeError):
        plots.curves(None)


def test_each_example_in_place_of_the_band() -> None:
    scores = [[1.0, 2.0], [3.0, 6.0]]
    ax = plots.curves({"a": ([0, 1], scores), "b": ([0, 1], scores[0])}, each_example=True)
    mean, first, second, alone = ax.lines
    assert mean.get_ydata().tolist() == [2, 4]
    assert [first.get_ydata().tolist(), second.get_ydata().tolist()] == scores
    assert first.get_color() == mean.get_color() != alone.get_color()
    assert first.get_linewidth() < mean.get_linewidth()
    assert not ax.collections
    assert len(ax.get_legend().get_texts()) == 2
