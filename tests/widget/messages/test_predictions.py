"""The numbers that are shown for each class, whatever it is that a model gives."""

from __future__ import annotations

import json
import math

import pytest
import torch

from attriscope.widget.messages.class_names import read_class_names
from attriscope.widget.messages.predictions import Outputs, predictions_message
from attriscope.widget.messages.types import OutputKind

SCORES = torch.tensor([1.0, 3.0, -2.0])
NAMES = read_class_names(["a", "<b>b</b>", "c"])


def test_logits_are_told_by_their_softmax() -> None:
    found = predictions_message(SCORES, NAMES, Outputs("logits"))
    assert [item["index"] for item in found["items"]] == [1, 0, 2]
    assert found["items"][0]["label"] == "<b>b</b>"  # data, as it came
    assert [item["probability"] for item in found["items"]] == pytest.approx(
        SCORES.double().softmax(0)[[1, 0, 2]].tolist()
    )
    assert found["doc"] == "softmax of the scores"


def test_what_is_explained_is_listed_however_little_it_is() -> None:
    scores = torch.arange(9.0)
    found = predictions_message(scores, read_class_names(None), Outputs("logits"), explained=[0, 7, 2, 99])
    assert [item["index"] for item in found["items"]] == [8, 7, 6, 5, 4, 2, 0]
    shares = torch.tensor([0.0, 0.6, 0.4])
    found = predictions_message(shares, NAMES, Outputs("segmentation"), explained=[0])
    assert [item["index"] for item in found["items"]] == [1, 2, 0]


@pytest.mark.parametrize(
    ("outputs", "shown", "doc"),
    [
        (Outputs("logits", one=True), torch.tensor([0.3]).sigmoid(), "sigmoid of the score"),
        (Outputs("probabilities", shares=True), torch.tensor([0.3, 0.7]), "probabilities"),
        (Outputs("probabilities"), None, "scores: they are not between 0 and 1"),
        (Outputs("sigmoid", shares=True), torch.tensor([0.9, 0.8]), "each by itself"),
        (Outputs("sigmoid"), torch.tensor([4.0, -1.0]).sigmoid(), "sigmoid of each score"),
        (Outputs("values"), None, "what the model gives"),
    ],
)
def test_everything_else(outputs: Outputs, shown: torch.Tensor | None, doc: str) -> None:
    scores = torch.tensor([0.3]) if outputs.one else torch.tensor([4.0, -1.0]) if shown is None else shown
    if outputs.kind == "sigmoid" and not outputs.shares:
        scores = torch.tensor([4.0, -1.0])
    found = predictions_message(scores, read_class_names(None), outputs)
    best = {item["index"]: item for item in found["items"]}
    assert found["kind"] == ("score" if shown is None else "probability")
    assert found["doc"] == doc
    for i, score in enumerate(scores.tolist()):
        assert best[i]["score"] == pytest.approx(score)
        assert best[i]["probability"] == (None if shown is None else pytest.approx(float(shown[i]), abs=1e-6))


@pytest.mark.parametrize("kind", ["logits", "sigmoid", "values", "probabilities"])
def test_what_is_not_finite_is_no_number_on_the_page(kind: OutputKind) -> None:
    found = predictions_message(torch.tensor([math.inf, math.nan, 0.5]), NAMES, Outputs(kind))
    json.dumps(found, allow_nan=False)
    assert {item["index"]: item["score"] for item in found["items"]} == {0: None, 1: None, 2: 0.5}
