"""Layers of models of token ids: every method that has an answer gives it, and what has none says what would do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import attr, metrics
from attriscope.core.errors import InputTypeError, LayerError
from models import seeded, with_drawn_parameters


class Text(nn.Module):
    """Words and positions, a curved layer, and scores that are linear in what that gives."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(9, 4), nn.Embedding(5, 4)
        self.body, self.last = nn.Sequential(nn.Linear(4, 6), nn.Tanh()), nn.Linear(6, 3)

    def forward(self, ids: Tensor, features: Tensor | None = None) -> Tensor:
        vectors = self.words(input=ids) + self.positions(torch.arange(ids.shape[1])[None])
        if features is not None:
            vectors = vectors + features[:, None]
        return self.last(self.body(vectors).mean(1))


class Pair(Text):
    """One embedding for two texts."""

    def forward(self, ids: Tensor, others: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(ids) * super().forward(others)


def text(kind: type[Text] = Text) -> Text:
    return with_drawn_parameters(kind()).double().eval()


IDS, OTHERS = torch.tensor([[1, 5, 2, 3], [8, 4, 1, 2]]), torch.tensor([[0, 0, 0, 0], [7, 0, 0, 6]])
METHODS: dict[str, dict[str, Any]] = {
    "LayerConductance": {"n_steps": 200}, "LayerIntegratedGradients": {}, "LayerDeepLift": {},
    "LayerDeepLiftShap": {}, "LayerGradientShap": {"n_samples": 40, "generator": seeded(0)},
}  # fmt: skip


def starts(method: str) -> Tensor:
    return OTHERS[1:].expand(2, 4) if "Shap" in method else OTHERS


@pytest.mark.parametrize("method", METHODS)
def test_contributions_after_the_curve_and_their_sums_before_it(method: str) -> None:
    model, baselines = text(), starts(method)

    def explained(layer: Any, **more: Any) -> Any:
        made = getattr(attr, method)(model, layer)
        return made.attribute(IDS, baselines=baselines, target=1, **METHODS[method], **more)

    def held(ids: Tensor) -> Tensor:
        return model.body(model.words(ids) + model.positions.weight[:4])

    with torch.no_grad():
        right = (held(IDS) - held(baselines)) * model.last.weight[1] / 4
        change = (model(IDS) - model(baselines))[:, 1]
    torch.testing.assert_close(explained("body"), right)
    for layer, at_input in (("words", False), ("body", True), ("body.0", False)):
        found = explained(layer, attribute_to_layer_input=at_input)
        torch.testing.assert_close(found.sum((1, 2)), change, rtol=2e-3, atol=1e-3)
    several = explained(["words", "body"])
    torch.testing.assert_close(several[1], right)


def test_at_the_embedding_a_path_through_it_is_that_of_integrated_gradients() -> None:
    model = text()
    given = {"inputs": IDS, "baselines": OTHERS, "target": 2}
    path = attr.LayerIntegratedGradients(model, "words", multiply_by_inputs=False).attribute(**given)
    torch.testing.assert_close(attr.InternalInfluence(model, "words").attribute(**given), path)
    whole = attr.LayerIntegratedGradients(model, "words").attribute(**given)
    parts = attr.LayerConductance(model, "words").attribute(**given, n_steps=2000)
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-7)


def test_ids_beside_features_and_an_embedding_that_runs_twice() -> None:
    model, features = text(), torch.randn(2, 4, generator=seeded(1), dtype=torch.float64)
    given = {"inputs": (IDS, features), "baselines": (OTHERS, 0.5), "target": 1}
    change = (model(IDS, features) - model(OTHERS, torch.full_like(features, 0.5)))[:, 1]
    for layer in ("body.0", "body"):
        found = attr.LayerConductance(model, layer).attribute(
            **given, n_steps=200, return_convergence_delta=True
        )
        torch.testing.assert_close(found[0].sum((1, 2)), change, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found[1], found[0].sum((1, 2)) - change)
    pair = text(Pair)
    found = attr.LayerConductance(pair, attr.Call("words", None)).attribute(
        (IDS, OTHERS), baselines=(OTHERS, IDS), target=1, n_steps=200
    )
    change = (pair(IDS, OTHERS) - pair(OTHERS, IDS))[:, 1]
    torch.testing.assert_close(sum(f.sum((1, 2)) for f in found), change, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("explain", "says"),
    [
        (
            lambda m: attr.IntegratedGradients(m).attribute(IDS, target=1),
            r"At\(IntegratedGradients, model, layer=",
        ),
        (
            lambda m: attr.LayerIntegratedGradients(m, "words").attribute(
                IDS, target=1, attribute_to_layer_input=True
            ),
            r"at the input of layer 'words' is a tensor of shape \(2, 4\), int64.*attribute_to_layer_input=False",
        ),
        (
            lambda m: attr.LayerDeepLift(m, "words").attribute(IDS, target=1, attribute_to_layer_input=True),
            "no floating point tensor passed at the input of layer 'words'; explain what the layer gives",
        ),
        (lambda m: attr.NeuronIntegratedGradients(m, "body").attribute(IDS, 0), r"neuron=Neuron\(layer"),
        (lambda m: attr.NeuronGradient(m, "body").attribute(IDS, 0), r"neuron=Neuron\(layer"),
        (
            lambda m: attr.LayerDeepLiftShap(m, "words").attribute(IDS, OTHERS + 0.5, 1),
            "whole numbers in its range",
        ),
        (
            lambda m: attr.LayerGradientShap(m, "words").attribute(IDS, OTHERS + 0.5),
            "whole numbers in its range",
        ),
        (
            lambda m: attr.LayerConductance(lambda ids: m(ids), m.body).attribute(IDS, target=1),
            "no module that takes these and gives vectors",
        ),
    ],
)
def test_what_has_no_answer_says_what_would_do(explain: Any, says: str) -> None:
    with pytest.raises((InputTypeError, LayerError), match=says):
        explain(text())


def test_metrics_judge_explanations_of_ids() -> None:
    model = text()
    methods = {
        "ablation": attr.FeatureAblation(model),
        "gradients": attr.LayerIntegratedGradients(model, "words"),
    }
    table = metrics.evaluate(methods, model, IDS, torch.tensor([1, 1]))
    assert "sensitivity" not in table.metrics
    whole = attr.LayerIntegratedGradients(model, "words").attribute(IDS, target=1).sum(-1)
    by_hand = metrics.evaluate(
        {"by hand": lambda *given: whole}, model, IDS, torch.tensor([1, 1]), ["deletion"]
    )
    assert torch.equal(table.values["gradients", "deletion"], by_hand.values["by hand", "deletion"])
