"""What a model's numbers are: found in the numbers, and in what it ends with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer
from attriscope.widget.model.output_kind import ends_with_sigmoid, outputs_of


def never() -> bool:
    raise AssertionError("the numbers say enough: the model need not run")


@pytest.mark.parametrize(
    ("scores", "binary", "sigmoid", "kind"),
    [
        ([2.0, -1.0, 0.5], False, never, "logits"),
        ([0.2, 0.5, 0.3], False, never, "probabilities"),
        ([0.2, 0.9, 0.3], False, lambda: True, "sigmoid"),
        ([0.2, 0.9, 0.3], False, lambda: False, "logits"),  # three logits may all lie there by chance
        ([0.2, 0.9, 0.3, 0.4, 0.8], False, never, "sigmoid"),
        ([118.4, 115.5, 103.3], False, never, "values"),
        ([0.7], False, lambda: True, "sigmoid"),
        ([0.7], False, lambda: False, "values"),
        ([21.5], False, never, "values"),
        ([-1.5], True, never, "logits"),
        ([float("nan"), 1.0], False, never, "values"),
        ([float("inf"), 1.0], False, never, "values"),
    ],
)
def test_what_is_found(scores: list[float], binary: bool, sigmoid: Callable[[], bool], kind: str) -> None:
    assert outputs_of(torch.tensor(scores), "auto", binary, sigmoid).kind == kind


def test_what_a_person_says_holds() -> None:
    for said in ("logits", "probabilities", "sigmoid", "values"):
        found = outputs_of(torch.tensor([0.2, 0.8]), said, False, lambda: True)
        assert (found.kind, found.shares) == (said, True)
    # Two logits of one example may lie there by chance, and need a sigmoid as those of the others do.
    assert not outputs_of(torch.tensor([0.2, 0.8]), "sigmoid", False, lambda: False).shares
    assert not outputs_of(torch.tensor([0.2, 1.8]), "sigmoid", False, never).shares


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (torch.sigmoid, True),
        (lambda y: y.sigmoid_(), True),
        (nn.Sigmoid(), True),
        (nn.functional.hardsigmoid, True),
        (lambda y: torch.sigmoid(y)[:, None].flatten(1), True),
        (lambda y: {"logits": torch.sigmoid(y)}, True),
        (torch.jit.script(nn.Sequential(nn.Linear(4, 3), nn.Sigmoid())), True),
        (lambda y: torch.sigmoid(y) * 0.5, False),
        (lambda y: torch.sigmoid(y).clone(), False),
        (torch.tanh, False),
    ],
)
def test_a_last_sigmoid_is_seen(head: Callable[[Tensor], Any], wanted: bool) -> None:
    y = torch.randn(1, 4)
    assert ends_with_sigmoid(head, lambda: head(y * 1)) == wanted


class Headed(nn.Module):
    def __init__(self, classes: int, head: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.body, self.out, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, classes), head

    def forward(self, x: Tensor) -> Any:
        return self.head(self.out(self.body(x).relu().mean((2, 3))))


def explore(classes: int, head: Callable[[Tensor], Any], **given: Any) -> Explorer:
    torch.manual_seed(0)
    model = Headed(classes, head).eval()
    return Explorer(model, torch.randn(1, 3, 8, 8), n_steps=4, **given).wait(60)


def told(explorer: Explorer) -> dict[str, float]:
    field = "score" if explorer.predictions["kind"] == "score" else "probability"
    return {item["label"]: item[field] for item in explorer.predictions["items"]}


def test_the_page_shows_what_python_gives() -> None:
    sigmoids = explore(5, torch.sigmoid)
    with torch.no_grad():
        wanted = sigmoids._explained.model(sigmoids._explained.examples.tensors[0])[0]
    assert told(sigmoids) == pytest.approx({f"class {i}": float(p) for i, p in enumerate(wanted)})
    assert sigmoids.path["probabilities"][0][-1] == pytest.approx(float(wanted.max()))

    values = explore(4, lambda y: y * 50 + 300)
    assert values.predictions["kind"] == "score"
    assert values.path["probabilities"] == []

    binary = explore(1, torch.sigmoid, class_names=["benign", "malignant"])
    assert list(told(binary)) == ["malignant"]
    assert binary.predictions["kind"] == "probability"


def test_what_it_is_said_to_be_changes_all_that_is_told_and_asks_for_no_new_map() -> None:
    explorer = explore(3, lambda y: y, target=1, ablated=[["body", 0]])
    calls: list[object] = []
    explorer._explained.model.register_forward_pre_hook(lambda *given: calls.append(given))
    heat, softmax = explorer.heat, told(explorer)
    assert sum(softmax.values()) == pytest.approx(1)
    explorer.output = "sigmoid"
    explorer.wait(60)
    scores = {item["label"]: item["score"] for item in explorer.predictions["items"]}
    assert told(explorer) == pytest.approx(
        {name: float(torch.tensor(score, dtype=torch.float64).sigmoid()) for name, score in scores.items()}
    )
    before = {item["label"]: item["before"] for item in explorer.what_if["items"]}
    assert before == pytest.approx(told(explorer))
    assert [row[-1] for row in explorer.path["probabilities"]] == pytest.approx(list(told(explorer).values()))
    explorer.output = "values"
    explorer.wait(60)
    assert told(explorer) == scores
    assert explorer.what_if["kind"] == "score"
    assert explorer.heat is heat
    assert len(calls) <= 2  # what the model says without the neuron, which is cheap
    assert explorer.predictions["output"] == "values"
