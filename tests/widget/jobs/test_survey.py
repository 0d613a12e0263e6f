"""What the model says of all examples, what is true of them, and which class another example is explained for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attriscope import Explorer
from attriscope.core.errors import InputError, InputTypeError
from attriscope.widget.jobs.survey import read_labels
from attriscope.widget.messages.class_names import read_class_names
from dense_models import Segmenter
from widget.helpers import Gate, assert_consistent

NAMES = ["ant", "bee", "cat"]


class Net(nn.Module):
    """Three scores, each of a colour's mean; counts its passes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(4.0))
        self.norm = nn.BatchNorm2d(3)
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        return self.norm(x).mean((2, 3)) * self.weight


def of_colours(*best: int) -> Tensor:
    """Pictures whose best class is given."""
    pictures = torch.rand(len(best), 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.1
    for i, colour in enumerate(best):
        pictures[i, colour] += 0.5
    return pictures


@pytest.fixture
def made() -> Iterator[Any]:
    explorers = []

    def make(*args: Any, **more: Any) -> Explorer:
        explorers.append(Explorer(*args, n_steps=2, **more))
        return explorers[-1]

    yield make
    for explorer in explorers:
        explorer.close()


def test_each_example_is_told_as_the_model_tells_it(made: Any) -> None:
    model, pictures = Net().eval(), of_colours(2, 0, 1, 0)
    explorer = made(model, pictures, class_names=NAMES, labels=["cat", "bee", 1, 0]).wait()
    shares = model(pictures).softmax(1)
    for i, (told, best, truth) in enumerate(
        zip(explorer.example_predictions, [2, 0, 1, 0], [2, 1, 1, 0], strict=True)
    ):
        assert told["label"] == NAMES[best]
        assert told["amount"] == pytest.approx(float(shares[i, best].detach()), abs=1e-6)
        assert (told["truth"], told["truth_index"]) == (NAMES[truth], truth)
        assert told["wrong"] == (best != truth)
        assert told["of_truth"] == pytest.approx(float(shares[i, truth].detach()), abs=1e-6)


def test_without_labels_nothing_is_called_wrong(made: Any) -> None:
    explorer = made(Net().eval(), of_colours(2, 0)).wait()
    assert [set(one) for one in explorer.example_predictions] == [{"label", "amount", "kind"}] * 2


def test_plain_values_are_told_as_they_are(made: Any) -> None:
    model, pictures = Net().eval(), of_colours(2, 0)
    explorer = made(model, pictures, output="values", labels=[2, 0]).wait()
    found = explorer.example_predictions[0]
    assert found["kind"] == "score"
    assert found["amount"] == pytest.approx(float(model(pictures)[0, 2].detach()), abs=1e-5)
    explorer.output = "logits"
    assert explorer.wait().example_predictions[0]["kind"] == "probability"


def test_one_probability_is_right_or_wrong_by_its_side_of_a_half(made: Any) -> None:
    class Binary(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x.mean((1, 2, 3)) - 0.5)[:, None] * 8

    pictures = torch.stack([torch.full((3, 8, 8), value) for value in (0.2, 0.9)])
    explorer = made(Binary().eval(), pictures, class_names=["no", "yes"], labels=["no", "no"]).wait()
    low, high = explorer.example_predictions
    chance = float(torch.sigmoid(torch.tensor((0.9 - 0.5) * 8)))
    assert (low["truth"], low["wrong"], high["truth"], high["wrong"]) == ("no", False, "no", True)
    assert high["of_truth"] == pytest.approx(1 - chance, abs=1e-5)
    # Each is told as the likelier of the two, with its own chance.
    assert (low["label"], high["label"]) == ("no", "yes")
    assert (
        low["amount"] == low["of_truth"] == pytest.approx(float(torch.sigmoid(torch.tensor(2.4))), abs=1e-5)
    )
    assert high["amount"] == pytest.approx(chance, abs=1e-5)


@pytest.mark.parametrize(
    ("names", "labels", "told"),
    [
        (["no", "yes"], None, ["no", "yes"]),
        (["tumour"], [0, 1], ["not tumour", "tumour"]),
        (None, [0, 1], ["class 0", "class 1"]),
        (
            None,
            None,
            ["class 0", "class 0"],
        ),  # the output's number, of which nobody has said that it is one of two
    ],
)
def test_one_probability_is_told_by_the_names_there_are(
    made: Any, names: Any, labels: Any, told: list[str]
) -> None:
    class Chance(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((1, 2, 3))[:, None].sigmoid()

    pictures = torch.stack([torch.full((3, 8, 8), value) for value in (-0.2, 0.9)])
    explorer = made(Chance().eval(), pictures, class_names=names, labels=labels, output="sigmoid").wait()
    found = explorer.example_predictions
    assert [one["label"] for one in found] == told
    assert [one.get("truth") for one in found] == (told if labels else [None, None])
    low = float(torch.sigmoid(torch.tensor(-0.2)))
    assert found[0]["amount"] == pytest.approx(low if names == labels else 1 - low, abs=1e-5)


def test_a_single_example_costs_no_further_pass(made: Any) -> None:
    model = Net().eval()
    explorer = made(model, of_colours(1)).wait()
    assert explorer.example_predictions == []


def test_each_example_is_looked_at_once_and_the_model_left_as_it_was(made: Any) -> None:
    model = Net().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.warns(UserWarning, match="training mode"):
        explorer = made(model, of_colours(1, 0, 2))
    explorer.wait()
    passes = model.passes
    explorer.sign = "positive"
    explorer.target = 1
    explorer.wait()
    assert len(explorer.example_predictions) == 3
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    explorer.alpha = 0.5
    explorer.recompute().wait()
    assert model.passes > passes  # and yet the examples are asked anew after recompute()


def test_what_does_not_change_is_not_worked_out_again(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    explorer = made(Net().eval(), of_colours(2, 0, 1)).wait()
    asked: list[int] = []
    predict = explorer._explained.predict
    monkeypatch.setattr(explorer._explained, "predict", lambda index: asked.append(index) or predict(index))
    explorer.target = 1
    explorer.wait()
    assert asked == []
    explorer.output = "sigmoid"
    explorer.wait()
    assert asked == [0, 1, 2]


def test_an_example_that_the_model_refuses_is_told_of_when_it_is_asked_for(made: Any) -> None:
    class Picky(Net):
        def forward(self, x: Tensor) -> Tensor:
            if float(x.detach().max()) > 1.5:
                raise ValueError("too bright")
            return super().forward(x)

    pictures = of_colours(2, 0, 1)
    pictures[1] += 2
    explorer = made(Picky().eval(), pictures).wait()
    assert [one.get("label") for one in explorer.example_predictions] == ["class 2", None, "class 1"]
    explorer.example = 1
    with pytest.raises(ValueError, match="too bright"):
        explorer.wait()


def test_other_weights_are_asked_anew(made: Any) -> None:
    model, pictures = Net().eval(), of_colours(2, 0)
    explorer = made(model, pictures).wait()
    with torch.no_grad():
        model.weight.mul_(-1)
    explorer.recompute().wait()
    best = model(pictures).argmax(1).tolist()
    assert [one["label"] for one in explorer.example_predictions] == [f"class {i}" for i in best]


class TestTarget:
    """Which class an example is explained for."""

    def test_follows_the_prediction_until_one_is_chosen(self, made: Any) -> None:
        explorer = made(Net().eval(), of_colours(2, 0, 1)).wait()
        assert (explorer.target, explorer.explain_predicted) == (2, True)
        explorer.example = 1
        assert explorer.wait().target == 0
        assert explorer.heat["request"]["target"] == 0
        explorer.target = 1
        assert not explorer.explain_predicted
        explorer.example = 0
        assert explorer.wait().target == 1

    def test_is_kept_where_it_was_given(self, made: Any) -> None:
        explorer = made(Net().eval(), of_colours(2, 0), target=1).wait()
        assert not explorer.explain_predicted
        explorer.example = 1
        assert explorer.wait().target == 1

    def test_turns_to_the_prediction_when_that_is_wanted_again(self, made: Any) -> None:
        explorer = made(Net().eval(), of_colours(2, 0), target=1).wait()
        explorer.explain_predicted = True
        assert explorer.wait().target == 2
        assert explorer.explain_predicted
        assert explorer.heat["request"]["target"] == 2

    def test_is_no_longer_compared_with_itself(self, made: Any) -> None:
        explorer = made(Net().eval(), of_colours(2, 0)).wait()
        explorer.contrast = 0
        explorer.wait()
        explorer.example = 1  # of which 0 is predicted
        explorer.wait()
        assert (explorer.target, explorer.contrast) == (0, None)


class TestLabels:
    """What they may be."""

    def test_are_read_in_every_usual_form(self) -> None:
        names = read_class_names(NAMES)
        for given in (["cat", "ant"], [2, 0], (2, "ant"), np.array([2, 0]), torch.tensor([2, 0])):
            assert read_labels(given, 2, names) == (2, 0)
        assert read_labels("bee", 1, names) == (1,)
        assert read_labels(None, 2, names) is None

    @pytest.mark.parametrize(
        ("given", "error", "words"),
        [
            ([0], InputError, "1 class"),
            (["dog", "cat"], InputError, "'dog'"),
            ([True, 1], InputError, "True"),
            ([-1, 1], InputError, "-1"),
            ([0.5, 1], InputError, "0.5"),
            ("cat", InputTypeError, "'cat'"),
            ({"a": 1}, InputTypeError, "'a': 1"),
        ],
    )
    def test_are_refused_in_words(self, given: Any, error: type[Exception], words: str) -> None:
        with pytest.raises(error, match=words):
            read_labels(given, 2, read_class_names(NAMES))


def test_of_a_segmentation_the_class_with_the_most_pixels_is_told_and_its_share(made: Any) -> None:
    model, pictures = Segmenter().eval(), torch.rand(5, 3, 6, 8, generator=torch.Generator().manual_seed(3))
    masks = model(pictures)["out"].argmax(1)
    counts = torch.stack([mask.flatten().bincount(minlength=4) for mask in masks])
    names = ["ant", "bee", "cat", "dog"]
    most = int(counts[0].argmax())
    names[most] = "background"  # which has the most pixels, and is what nobody looks for
    explorer = made(model, pictures, class_names=names, labels=[0, 1, 2, 3, 1]).wait()
    things = counts.clone()
    things[:, most] = 0
    assert len(explorer.example_predictions) == 5
    for told, known in zip(explorer.example_predictions, things.tolist(), strict=True):
        assert set(told) == {"label", "amount", "kind", "pixels"}
        assert (told["kind"], told["pixels"]) == ("probability", True)
        assert told["amount"] == pytest.approx(max(known) / 12)
        assert known[names.index(told["label"])] == max(known)
    # It is what an example is explained for.
    explorer.example = 3
    explorer.wait()
    assert names[explorer.target] == explorer.example_predictions[3]["label"]
    explorer.output, explorer.target = "values", (1, 1, 1)
    assert explorer.wait().example_predictions == []


@pytest.mark.parametrize(
    "then",
    [
        lambda explorer: setattr(explorer, "method", "DeepLift"),
        lambda explorer: setattr(explorer, "baseline", "white"),
        lambda explorer: explorer.pin(),
        lambda explorer: explorer.check(draws=1),
        lambda explorer: explorer.cancel(),
    ],
)
@pytest.mark.parametrize("calls", [0, 1])
def test_what_is_asked_next_explains_what_is_predicted_too(made: Any, then: Any, calls: int) -> None:
    """Whatever replaces the job that turned to another example, before that one had seen what is predicted of it."""

    class Held(Net):
        before = staticmethod(lambda x: None)

        def forward(self, x: Tensor) -> Tensor:
            self.before(x)
            return super().forward(x)

    model = Held().eval()
    explorer = made(model, of_colours(2, 0)).wait()
    assert explorer.target == 2
    explorer._explained.forget()
    gate, seen = Gate(), []

    def hold(x: Tensor) -> None:
        seen.append(len(x))
        if len(seen) > calls:
            gate(x)

    model.before = hold
    explorer.example = 1
    assert gate.reached.wait(20)
    then(explorer)
    model.before = lambda x: None
    gate.open.set()
    if explorer.status == "cancelled":
        explorer.recompute()
    explorer.wait()
    assert (explorer.example, explorer.target, explorer.explain_predicted) == (1, 0, True)
    assert explorer.heat["request"]["target"] == 0
    assert_consistent(explorer)
