"""Targets that are functions of the output: classes of a segmentation, boxes of a detector, likeness."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import attr
from attriscope.attr import targets
from attriscope.core.errors import InputError, InputTypeError, TargetError
from attriscope.core.target import scores_in
from dense_models import Detector, Segmenter, X, boxes


def test_out_is_what_a_target_selects_from() -> None:
    output = Segmenter()(X)
    assert scores_in(output) is output["out"]
    found = attr.Saliency(Segmenter()).attribute(X, target=(2, 1, 3), abs=False)
    x = X.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(Segmenter()(x)["out"][0, 2, 1, 3], x)
    torch.testing.assert_close(found, wanted)


def test_only_scores_of_pixels_are_a_segmentation() -> None:
    scores = torch.rand(1, 3, 4, 5)
    assert targets.pixel_scores({"out": scores}).equal(scores[0])
    for other in ((scores, scores), {"a": 1}, scores[0], torch.cat([scores, scores]), scores + 0j):
        assert targets.pixel_scores(other) is None


def test_a_region_is_where_the_class_is_predicted_and_stays_there() -> None:
    model = Segmenter()
    region = targets.class_region(model(X), 1, contrast=3)
    mask = model(X)["out"][0].argmax(0) == 1
    assert 0 < mask.sum() < mask.numel()
    other = torch.cat([X, 1 - X])
    scores = model(other)["out"]
    wanted = ((scores[:, 1] - scores[:, 3]) * mask).sum((1, 2))
    torch.testing.assert_close(region(model(other)), wanted)
    found, delta = attr.IntegratedGradients(model).attribute(
        X, target=region, n_steps=40, return_convergence_delta=True
    )
    assert found.shape == X.shape
    assert abs(float(delta)) < 1e-2


@pytest.mark.parametrize("squeeze", [lambda y: y, torch.sigmoid])
def test_of_a_single_class_it_is_where_the_model_says_yes(squeeze: Any) -> None:
    scores = torch.randn(1, 1, 5, 5, generator=torch.Generator().manual_seed(3))
    region = targets.class_region(squeeze(scores), 0)
    assert torch.equal(region.mask, scores[0, 0] > 0)


@pytest.mark.parametrize(
    ("output", "index", "error", "words"),
    [
        (torch.zeros(2, 3, 4, 4), 0, InputError, "scores \\(1, C, H, W\\) of one picture's pixels"),
        (torch.zeros(1, 3), 0, InputError, "of one picture's pixels"),
        (torch.zeros(1, 3, 4, 4), 3, TargetError, "no class 3: the model has classes 0 to 2"),
        (torch.zeros(1, 3, 4, 4), 2, InputError, "class 2 is predicted at no pixel"),
    ],
)
def test_what_is_no_region_is_refused(output: Tensor, index: int, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        targets.class_region(output, index)


def test_a_box_is_followed_by_its_label_and_its_place() -> None:
    model = Detector()
    target = targets.box_score(boxes, model(X), 1)
    assert target.box.label == 6
    assert target.box.corners == (4.0, 0.0, 8.0, 3.0)
    dark = X.clone()
    dark[:, :, :3, 4:] = 0  # its quarter: the box is gone, and those with the same label elsewhere are others
    moved = X.clone()
    moved[:, :, :3, 4:] *= 0.9
    rows = torch.cat([X, dark, moved])
    wanted = (6 * rows[:, :, :3, 4:].mean((1, 2, 3)) - 3).sigmoid()
    wanted[1] = 0
    torch.testing.assert_close(target(model(rows)), wanted)
    found = attr.Saliency(model).attribute(X, target=target, abs=False)
    assert found[:, :, :3, 4:].abs().min() > 0
    assert found[:, :, 3:].abs().max() == 0
    gone = attr.Saliency(model).attribute(dark, target=target, abs=False)
    assert gone.abs().max() == 0  # zero, as a function of the picture, and no error


def test_overlap_is_what_boxes_have_in_common_of_both() -> None:
    def box(*corners: float) -> targets.Box:
        return targets.Box(corners, 0, torch.tensor(0.5))  # type: ignore[arg-type]

    assert box(0, 0, 2, 2).overlap(box(1, 0, 3, 2)) == pytest.approx(2 / 6)
    assert box(0, 0, 2, 2).overlap(box(0, 0, 2, 2)) == 1
    assert box(0, 0, 2, 2).overlap(box(2, 2, 3, 3)) == 0
    assert box(0, 0, 0, 0).overlap(box(0, 0, 0, 0)) == 0


SCORE = torch.tensor(0.5)


@pytest.mark.parametrize(
    ("given", "index", "error", "words"),
    [
        (lambda output: None, 0, InputTypeError, "a list with, for each example, a list of boxes"),
        (lambda output: [(0, 0, 1, 1, "a", SCORE)], 0, InputTypeError, r"stand in a list, too: \[\[...\]\]"),
        (lambda output: [[(0, 0, 1, 1, SCORE)]], 0, InputTypeError, "each box must be"),
        (lambda output: [[(0, 0, 1, 1, "a", 0.5)]], 0, InputTypeError, "score of each box must be a tensor"),
        (lambda output: [[], []], 0, InputError, "that of one picture, but boxes finds 2"),
        (lambda output: [[]], 0, TargetError, "no box 0: the model finds no box"),
        (
            lambda output: [[(0, 0, 1, 1, "a", SCORE)]],
            1,
            TargetError,
            "no box 1: the model finds boxes 0 to 0",
        ),
    ],
)
def test_what_is_no_box_is_refused(given: Any, index: int, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        targets.box_score(given, None, index)


def test_similarity_is_the_cosine_of_two_embeddings() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 7), nn.BatchNorm1d(7)).eval()
    target = targets.similarity_to(model, 1 - X)
    rows = torch.cat([X, 1 - X])
    with torch.no_grad():
        a, b = model(rows), model(1 - X)
    wanted = (a * b).sum(1) / (a.norm(dim=1) * b.norm())
    torch.testing.assert_close(target(model(rows)), wanted)
    assert float(target(model(rows))[1].detach()) == pytest.approx(1.0, abs=1e-5)
    assert not target.reference.requires_grad
    with pytest.raises(InputError, match=r"one embedding \(1, D\)"):
        targets.similarity_to(model, rows)
