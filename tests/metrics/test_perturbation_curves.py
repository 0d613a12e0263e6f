"""Curves beside what a reader works out by hand, and beside slow second implementations."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope import plots
from attriscope.attr import InputXGradient
from attriscope.metrics import (
    deletion,
    impute_linearly,
    insertion,
    patch_mask,
    pixel_flipping,
    region_perturbation,
    road,
    road_combined,
    token_mask,
)
from models import assert_same, draw, pair, pictures, seeded

WEIGHTS = torch.tensor([4.0, 3.0, 2.0, 1.0], dtype=torch.float64)


def linear(x: Tensor) -> Tensor:
    return x.flatten(1) @ WEIGHTS.repeat(x[0].numel() // 4)


def test_deletion_and_insertion_of_a_linear_model_by_hand() -> None:
    x = torch.ones(1, 4, dtype=torch.float64)
    curve = deletion(linear, x, WEIGHTS[None])
    assert curve.scores.tolist() == [[10, 6, 3, 1, 0]]
    assert curve.fractions.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert curve.auc.tolist() == [(10 / 2 + 6 + 3 + 1 + 0) / 4]
    assert curve.aopc.tolist() == [(0 + 4 + 7 + 9 + 10) / 5]
    assert curve.better == "lower"
    back = insertion(linear, x, WEIGHTS[None])
    assert back.scores.tolist() == [[0, 4, 7, 9, 10]]
    assert back.auc.tolist() == [(0 + 4 + 7 + 9 + 10 / 2) / 4]
    assert back.better == "higher"


@pytest.mark.parametrize(
    ("order", "scores"),
    [("most", [10, 3, 0]), ("least", [10, 7, 0]), ("size", [10, 7, 0])],
)
def test_order_and_steps(order: str, scores: list[float]) -> None:
    """By size, a feature that speaks against the output goes before one that hardly matters."""
    x = torch.ones(1, 4, dtype=torch.float64)
    attributions = WEIGHTS[None] if order != "size" else torch.tensor([[1.0, 2, -3, -4]])
    assert deletion(linear, x, attributions, steps=2, order=order).scores.tolist() == [scores]


def test_a_random_order_is_the_generators() -> None:
    x = draw(3, 4)
    found = [
        deletion(linear, x, WEIGHTS.expand(3, 4), order="random", generator=seeded(s)).scores
        for s in (1, 1, 2)
    ]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_pictures_lose_whole_pixels() -> None:
    """Without a mask a pixel goes with all its channels, and its attributions are added up."""
    x, model = draw(2, 3, 2, 2).abs(), lambda x: x.sum((1, 2, 3))
    attributions = x.clone()
    scores = deletion(model, x, attributions).scores
    by_pixel = x.sum(1).flatten(1).sort(1, descending=True).values
    left = by_pixel.flip(1).cumsum(1).flip(1)
    torch.testing.assert_close(scores, torch.cat([left, torch.zeros(2, 1, dtype=x.dtype)], 1))


def test_a_map_of_one_channel_counts_for_all() -> None:
    x = draw(2, 3, 4, 4)
    one = draw(2, 1, 4, 4, seed=1)
    every = (one / 3).expand(2, 3, 4, 4)
    model = lambda x: x.square().flatten(1).sum(1)  # noqa: E731
    assert_same(deletion(model, x, one).scores, deletion(model, x, every).scores, atol=1e-12)


def slow_deletion(model: Any, x: Tensor, attributions: Tensor, value: Tensor) -> Tensor:
    """Feature by feature, row by row, in the order that a reader would take."""
    found = []
    for i in range(len(x)):
        order = sorted(range(x[i].numel()), key=lambda p: -float(attributions[i].flatten()[p]))
        rows = [x[i].clone()]
        for place in order:
            row = rows[-1].clone()
            row.flatten()[place] = value[i].flatten()[place]
            rows.append(row)
        found.append(model(torch.stack(rows)))
    return torch.stack(found)


def test_deletion_beside_a_slow_one() -> None:
    x, attributions = draw(3, 5), draw(3, 5, seed=1)
    value = draw(3, 5, seed=2)

    def model(x: Tensor) -> Tensor:
        return (x[:, :2].prod(1) + x[:, 2:].tanh().sum(1)).sin()

    found = deletion(model, x, attributions, replacement=value)
    torch.testing.assert_close(found.scores, slow_deletion(model, x, attributions, value))


@pytest.mark.usefixtures("independent_rows")  # the last that was seen is looked at
def test_replacements() -> None:
    """What each word puts in place of a picture that is wholly removed."""
    x = draw(2, 2, 6, 6)
    seen: list[Tensor] = []

    def model(rows: Tensor) -> Tensor:
        seen.append(rows[-1:].clone())
        return rows.flatten(1).sum(1)

    def gone(replacement: Any) -> Tensor:
        seen.clear()
        deletion(model, x[:1], x[:1], steps=1, replacement=replacement, generator=seeded(0))
        return seen[-1]

    assert torch.equal(gone(None), torch.zeros_like(x[:1]))
    assert torch.equal(gone("zero"), torch.zeros_like(x[:1]))
    assert torch.equal(gone(3), torch.full_like(x[:1], 3))
    assert torch.equal(gone(lambda x: x * 2), x[:1] * 2)
    torch.testing.assert_close(gone("mean"), x[:1].mean((2, 3), keepdim=True).expand_as(x[:1]))
    blurred = gone("blur")
    assert blurred.std() < x[:1].std()
    uniform = gone("uniform")
    assert x[:1].min() <= uniform.min()
    assert uniform.max() <= x[:1].max()
    assert uniform.unique().numel() == uniform.numel()
    noise = gone("noise")
    assert not torch.equal(noise, uniform)
    assert noise.unique().numel() == noise.numel()


def test_tokens() -> None:
    """Token ids are replaced by the number of a token, and never by a fraction of one."""
    ids = torch.tensor([[5, 6, 7]])
    worth = torch.tensor([0.0, 0, 0, 0, 0, 1, 2, 4])
    curve = deletion(lambda ids: worth[ids].sum(1), ids, torch.tensor([[1.0, 2, 4]]), replacement=0)
    assert curve.scores.tolist() == [[7, 3, 1, 0]]


def test_embeddings_by_token() -> None:
    x = draw(2, 3, 5)
    model = lambda x: x.square().flatten(1).sum(1)  # noqa: E731
    curve = deletion(model, x, x.square(), feature_mask=token_mask(x))
    left = x.square().sum(2).sort(1, descending=True).values.flip(1).cumsum(1).flip(1)
    torch.testing.assert_close(curve.scores[:, :-1], left)
    assert curve.scores.shape == (2, 4)


def test_examples_with_different_features() -> None:
    """Shares are of what each example has, and both curves end with nothing left."""
    x = torch.ones(2, 4, dtype=torch.float64)
    mask = torch.tensor([[0, 0, 1, 1], [0, 1, 2, 3]])
    curve = deletion(linear, x, WEIGHTS.expand(2, 4), feature_mask=mask)
    assert curve.scores[1].tolist() == [10, 6, 3, 1, 0]
    assert curve.scores[0].tolist() == [10, 10, 3, 0, 0]  # half a feature is rounded to even
    flipped = pixel_flipping(linear, x, WEIGHTS.expand(2, 4), feature_mask=mask)
    assert flipped.scores[0].tolist() == [10, 3, 0, 0, 0]


def test_pixel_flipping() -> None:
    x = torch.tensor([[1.0, 0, 1, 1]], dtype=torch.float64)
    curve = pixel_flipping(linear, x, WEIGHTS[None], replacement=lambda x: 1 - x, features_per_step=3)
    assert curve.scores.tolist() == [[7, 3 + 1, 3]]
    assert curve.fractions.tolist() == [0, 0.75, 1]


def test_region_perturbation() -> None:
    """Regions go by what they hold together, a step each, and the area is the paper's mean over all points."""
    x = torch.ones(1, 1, 4, 6, dtype=torch.float64)
    weights = (
        torch.tensor([[1.0, 2, 3], [4, 5, 6]], dtype=torch.float64)
        .repeat_interleave(2, 0)
        .repeat_interleave(2, 1)
    )
    model = lambda x: (x[:, 0] * weights).flatten(1).sum(1)  # noqa: E731
    curve = region_perturbation(model, x, weights[None, None], region=2, replacement="zero")
    assert curve.scores.tolist() == [[84, 60, 40, 24, 12, 4, 0]]
    assert curve.aopc.tolist() == [(24 + 44 + 60 + 72 + 80 + 84) / 7]
    some = region_perturbation(model, x, weights[None, None], region=2, replacement="zero", steps=2)
    assert some.scores.tolist() == [[84, 60, 40]]
    assert some.fractions[-1] == 2 / 6


def test_patches_at_the_edges_are_smaller() -> None:
    mask = patch_mask(torch.zeros(1, 3, 3, 5), 2)
    assert mask.tolist() == [[[[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]]]


def test_several_inputs_and_forward_arguments() -> None:
    model, x, y = pair(), draw(2, 4), draw(2, 2, 3, seed=1)
    extra = draw(2, 3, seed=2)
    a, b = draw(2, 4, seed=3), draw(2, 2, 3, seed=4)
    curve = deletion(model, (x, y), (a, b), target=1, additional_forward_args=(extra, draw(3, seed=5)))

    def joined(rows: Tensor, i: int) -> Tensor:
        return model(rows[:, :4], rows[:, 4:].reshape(-1, 2, 3), extra[i : i + 1], draw(3, seed=5))[:, 1]

    for i in range(2):
        flat = torch.cat([x[i], y[i].flatten()])[None]
        both = torch.cat([a[i], b[i].flatten()])[None]
        expected = slow_deletion(lambda rows: joined(rows, i), flat, both, torch.zeros_like(flat))  # noqa: B023
        torch.testing.assert_close(curve.scores[i : i + 1], expected)


def test_methods_and_functions_explain_for_themselves() -> None:
    model, x, targets = pictures(), draw(2, 2, 6, 5), [1, 3]
    given = InputXGradient(model).attribute(x, target=targets)
    expected = deletion(model, x, given, target=targets).scores
    for explanation in (
        InputXGradient(model),
        (InputXGradient(model), {}),
        InputXGradient(model).attribute,
        lambda x, target: given,
    ):
        assert_same(deletion(model, x, explanation, target=targets).scores, expected)


# --- ROAD -------------------------------------------------------------------------------------------------------


def slow_imputation(picture: Tensor, keep: Tensor) -> Tensor:
    """The equations written out pixel by pixel, and solved densely."""
    h, w = keep.shape
    places = [(i, j) for i in range(h) for j in range(w) if not keep[i, j]]
    number = {place: k for k, place in enumerate(places)}
    left = torch.zeros(len(places), len(places), dtype=torch.float64)
    right = torch.zeros(len(places), dtype=torch.float64)
    for k, (i, j) in enumerate(places):
        for di in (-1, 0, 1):
            for dj in (-1, 0, 1):
                at = (i + di, j + dj)
                if (di, dj) == (0, 0) or not (0 <= at[0] < h and 0 <= at[1] < w):
                    continue
                weight = 1 / 6 if 0 in (di, dj) else 1 / 12
                left[k, k] += weight
                if at in number:
                    left[k, number[at]] -= weight
                else:
                    right[k] += weight * picture[at]
    filled = picture.clone()
    for place, value in zip(places, torch.linalg.solve(left, right), strict=True):
        filled[place] = value
    return filled


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_imputation_beside_a_dense_solver(share: float) -> None:
    pictures = draw(3, 2, 9, 7)
    keep = torch.rand(3, 1, 9, 7, generator=seeded(3)) > share
    keep[:, :, 4, 3] = True
    found = impute_linearly(pictures, keep)
    for i in range(3):
        for c in range(2):
            torch.testing.assert_close(
                found[i, c], slow_imputation(pictures[i, c], keep[i, 0]), rtol=0, atol=1e-5
            )
    assert torch.equal(found[keep.expand_as(found)], pictures[keep.expand_as(found)])


def test_imputation_keeps_what_is_even_and_does_not_look_at_others() -> None:
    """A hole in an even area is filled without a trace, and a picture's numbers are those it has alone."""
    even = torch.full((1, 1, 12, 12), 0.7, dtype=torch.float64)
    keep = torch.ones(1, 1, 12, 12, dtype=torch.bool)
    keep[..., 3:9, 3:9] = False
    torch.testing.assert_close(impute_linearly(even, keep), even, rtol=0, atol=1e-6)
    many = draw(4, 1, 12, 12)
    kept = torch.rand(4, 1, 12, 12, generator=seeded(0)) > torch.tensor([0.1, 0.5, 0.9, 0.98]).reshape(
        4, 1, 1, 1
    )
    together = impute_linearly(many, kept)
    for i in range(4):
        torch.testing.assert_close(
            together[i : i + 1], impute_linearly(many[i : i + 1], kept[i : i + 1]), rtol=0, atol=1e-13
        )


@pytest.mark.usefixtures("independent_rows")  # they are counted
def test_road_fills_in_what_it_removes() -> None:
    """A smooth slope survives the loss of scattered pixels but for the noise; zeros would not."""
    slope = torch.linspace(0, 1, 10, dtype=torch.float64).expand(1, 1, 10, 10)
    attributions = torch.rand(1, 1, 10, 10, generator=seeded(0))
    seen = []

    def model(rows: Tensor) -> Tensor:
        seen.append(rows.clone())
        return rows.flatten(1).mean(1)

    curve = road(model, slope, attributions, fractions=(0.1, 0.3), generator=seeded(1))
    rows = torch.cat(seen)
    assert (rows - slope).abs().max() < 0.15
    changed = (rows != slope).flatten(1).sum(1)
    assert changed.tolist() == [10, 30]
    torch.testing.assert_close(curve.fractions, torch.tensor([0.1, 0.3], dtype=torch.float64))
    same = road(model, slope, attributions, fractions=(0.1, 0.3), generator=seeded(1))
    assert torch.equal(curve.scores, same.scores)


def test_road_combined_rewards_the_right_order() -> None:
    x = draw(2, 1, 8, 8)
    x[:, :, 2:5, 2:5] += 5
    model = lambda x: x[:, :, 2:5, 2:5].flatten(1).sum(1)  # noqa: E731
    where = torch.zeros_like(x)
    where[:, :, 2:5, 2:5] = 1
    right = road_combined(model, x, where + 0.001 * draw(2, 1, 8, 8, seed=9), generator=seeded(0))
    wrong = road_combined(model, x, -where + 0.001 * draw(2, 1, 8, 8, seed=9), generator=seeded(0))
    assert (right > 5).all()
    assert (wrong < -5).all()


def test_fractions_ascend_to_1() -> None:
    curve = deletion(linear, draw(2, 40), draw(2, 40, seed=1))
    assert all(a < b for a, b in pairwise(curve.fractions.tolist()))
    assert curve.fractions[0] == 0
    assert curve.fractions[-1] == 1
    assert curve.scores.shape == (2, 33)


def test_curves_can_be_plotted_together() -> None:
    found = {
        order: deletion(linear, draw(2, 4), draw(2, 4, seed=1), order=order) for order in ("most", "least")
    }
    axes = plots.curves(found)
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [text.split(" (AUC")[0] for text in legend] == ["most", "least"]


def test_figure_shows_the_mean() -> None:
    curve = deletion(linear, draw(2, 4), draw(2, 4, seed=1))
    axes = curve.figure().axes[0]
    mean, *examples = axes.lines
    assert mean.get_ydata().tolist() == pytest.approx(curve.mean.tolist())
    assert [line.get_ydata().tolist() for line in examples] == curve.scores.double().tolist()
    assert "lower is better" in axes.get_title()
