"""What Captum's tutorials do, as programs that run with either library: only the import is another.

Each program is written anew around a small network of the tutorial's kind, and makes the calls that the tutorial makes.
Numbers agree to 1e-5 of the largest, but for those in ``DIFFERENT``, which says why; the table is in the documentation
(``notebooks/pages/coming_from_captum.md``).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import captum.attr
import pytest
import torch
from captum._utils.models import linear_model
from captum.attr._core import lime
from torch import Tensor, nn

import attriscope.attr

pytestmark = pytest.mark.filterwarnings("ignore")
PAGE = Path(__file__).parents[2] / "notebooks/pages/coming_from_captum.md"

Found = dict[str, Any]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- tables -----------------------------------------------------------------------------------------------------------


class Titanic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.sigmoid1 = nn.Linear(12, 12), nn.Sigmoid()
        self.second, self.sigmoid2 = nn.Linear(12, 8), nn.Sigmoid()
        self.third, self.softmax = nn.Linear(8, 2), nn.Softmax(dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.softmax(self.third(self.sigmoid2(self.second(self.sigmoid1(self.first(x))))))


def titanic(a: ModuleType) -> Found:
    """Who survived: integrated gradients, and what two layers and a neuron have to do with it."""
    model, x = Titanic(), drawn(30, 12).requires_grad_()
    attributions, delta = a.IntegratedGradients(model).attribute(x, target=1, return_convergence_delta=True)
    conductance = a.LayerConductance(model, model.sigmoid1).attribute(x, target=1)
    neuron = a.NeuronConductance(model, model.sigmoid1)
    return {
        "integrated gradients": attributions,
        "delta": attributions.sum(1) - delta,
        "conductance": conductance,
        "neuron 0": neuron.attribute(x, neuron_selector=0, target=1),
        "neuron 10": neuron.attribute(x, neuron_selector=10, target=1),
    }


def house_prices(a: ModuleType) -> Found:
    """A regression, by five methods, beside a layer's weights."""
    model = nn.Sequential(nn.Linear(8, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 1))
    x = drawn(40, 8)
    noisy = a.NoiseTunnel(a.IntegratedGradients(model))
    return {
        "integrated gradients": a.IntegratedGradients(model).attribute(x, n_steps=50),
        "noise tunnel": noisy.attribute(x, stdevs=0.0),
        "DeepLIFT": a.DeepLift(model).attribute(x),
        "feature ablation": a.FeatureAblation(model).attribute(x),
        "conductance": a.LayerConductance(model, model[0]).attribute(
            x, n_steps=50, attribute_to_layer_input=True
        ),
    }


class Dlrm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bags = nn.ModuleList(nn.EmbeddingBag(20, 4, mode="sum") for _ in range(3))
        self.bottom, self.top = (
            nn.Linear(5, 4),
            nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid()),
        )

    def forward(self, dense: Tensor, *embedded: Tensor) -> Tensor:
        parts = torch.stack([self.bottom(dense).relu(), *embedded], 1)
        products = torch.bmm(parts, parts.transpose(1, 2))
        rows, columns = torch.tril_indices(4, 4, -1)
        return self.top(torch.cat([parts[:, 0], products[:, rows, columns]], 1)).flatten()


def clicks(a: ModuleType) -> Found:
    """Advertisements: dense and sparse features, the latter as embeddings."""
    model = Dlrm()
    sparse = [torch.randint(20, (6, 3), generator=torch.Generator().manual_seed(i)) for i in range(3)]
    inputs = (drawn(6, 5), *(bag(ids).detach() for bag, ids in zip(model.bags, sparse, strict=True)))
    found, delta = a.IntegratedGradients(model).attribute(
        inputs, n_steps=100, return_convergence_delta=True, internal_batch_size=6
    )
    return {f"input {i}": one for i, one in enumerate(found)} | {"delta": delta}


# --- pictures ---------------------------------------------------------------------------------------------------------


class Cifar(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.pool1, self.conv2, self.pool2 = (
            nn.Conv2d(3, 6, 5), nn.MaxPool2d(2), nn.Conv2d(6, 8, 5), nn.MaxPool2d(2),
        )  # fmt: skip
        self.fc1, self.fc2 = nn.Linear(200, 24), nn.Linear(24, 10)
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(self.relu1(self.conv1(x)))
        x = self.pool2(self.relu2(self.conv2(x)))
        return self.fc2(self.relu3(self.fc1(x.flatten(1))))


def cifar(a: ModuleType) -> Found:
    """Small photographs."""
    model, x = Cifar(), drawn(4, 3, 32, 32)
    target = torch.tensor([3, 8, 8, 0])
    attributions, delta = a.IntegratedGradients(model).attribute(
        x, baselines=x * 0, target=target, return_convergence_delta=True
    )
    return {
        "saliency": a.Saliency(model).attribute(x, target=target),
        "integrated gradients": attributions,
        "delta": delta,
        "noise tunnel": a.NoiseTunnel(a.IntegratedGradients(model)).attribute(
            x, baselines=x * 0, target=target, nt_type="smoothgrad_sq", nt_samples=2, stdevs=0.0
        ),
        "DeepLIFT": a.DeepLift(model).attribute(x, target=target, baselines=x * 0),
    }


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn, self.relu = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        self.layer4 = nn.Conv2d(8, 8, 3, padding=1)
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn(self.stem(x)))
        return self.fc(self.pool(x + self.layer4(x)).flatten(1))


def resnet(a: ModuleType) -> Found:
    """A photograph: occlusion, noise, features by a mask, and where the last layer looks."""
    model, x = Residual().eval(), drawn(1, 3, 24, 24)
    mask = (torch.arange(24)[:, None] // 6 * 4 + torch.arange(24) // 6)[None, None]
    cam = a.LayerGradCam(model, model.layer4).attribute(x, target=2)
    return {
        "integrated gradients": a.IntegratedGradients(model).attribute(x, target=2, n_steps=100),
        "occlusion": a.Occlusion(model).attribute(
            x, strides=(3, 6, 6), target=2, sliding_window_shapes=(3, 9, 9), baselines=0
        ),
        "feature ablation": a.FeatureAblation(model).attribute(x, target=2, feature_mask=mask),
        "Grad-CAM": cam,
        "larger": a.LayerAttribution.interpolate(cam, (24, 24)),
        "guided Grad-CAM": a.GuidedGradCam(model, model.layer4).attribute(x, target=2),
    }


def segmentation(a: ModuleType) -> Found:
    """Which pixels make pixels a class: the scores of all pixels of one class are added up."""
    net, x = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 1)), drawn(1, 3, 12, 12)
    largest = net(x).argmax(1, keepdim=True)
    selected = torch.zeros_like(net(x)).scatter_(1, largest, 1)

    def wrapper(inputs: Tensor) -> Tensor:
        return (net(inputs) * selected).sum((2, 3))

    cam = a.LayerGradCam(wrapper, net[0]).attribute(x, target=1)
    return {
        "Grad-CAM": cam,
        "larger": a.LayerAttribution.interpolate(cam, (12, 12)),
        "feature ablation": a.FeatureAblation(wrapper).attribute(
            x, feature_mask=largest, perturbations_per_eval=2, target=1
        ),
    }


def superpixels(a: ModuleType) -> Found:
    """LIME on regions of a picture, with the kernel and the linear model that the tutorial takes."""
    ours = a is attriscope.attr
    models, kernels = (attriscope.attr.linear, attriscope.attr) if ours else (linear_model, lime)
    model, x = Residual().eval(), drawn(1, 3, 24, 24)
    mask = (torch.arange(24)[:, None] // 8 * 3 + torch.arange(24) // 8)[None, None]
    method = a.Lime(
        model,
        interpretable_model=models.SkLearnLinearRegression(),
        similarity_func=kernels.get_exp_kernel_similarity_function("cosine", kernel_width=1000),
    )
    found = method.attribute(x, target=2, feature_mask=mask, n_samples=400)
    return {"LIME": found}


# --- text -------------------------------------------------------------------------------------------------------------


class Reviews(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(30, 8)
        self.convs = nn.ModuleList(nn.Conv2d(1, 5, (size, 8)) for size in (2, 3))
        self.fc = nn.Linear(10, 1)

    def forward(self, ids: Tensor) -> Tensor:
        embedded = self.embedding(ids)[:, None]
        held = [conv(embedded).relu().squeeze(3).amax(2) for conv in self.convs]
        return self.fc(torch.cat(held, 1))


def reviews(a: ModuleType) -> Found:
    """Is a review friendly: integrated gradients at the embedding, against a text of nothing but padding."""
    model, ids = Reviews(), torch.tensor([[3, 1, 4, 1, 5, 9, 2]])
    reference = a.TokenReferenceBase(reference_token_idx=0).generate_reference(7, device="cpu")[None]
    found, delta = a.LayerIntegratedGradients(model, model.embedding).attribute(
        ids, reference, n_steps=500, return_convergence_delta=True
    )
    record = a.visualization.VisualizationDataRecord(
        found.sum(2)[0].detach(), 0.7, "pos", "pos", "pos", found.sum(), list("abcdefg"), delta
    )
    words = a.visualization.format_word_importances(record.raw_input_ids, record.word_attributions / 10)
    return {"embedding": found, "delta": delta, "tags": torch.tensor(words.count("<mark"))}


class Encoder(nn.Module):
    """The parts of BERT that the tutorial looks into."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions, self.types = nn.Embedding(30, 8), nn.Embedding(12, 8), nn.Embedding(2, 8)
        self.norm = nn.LayerNorm(8)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8)) for _ in range(3)
        )
        self.start, self.end = nn.Linear(8, 1), nn.Linear(8, 1)

    def embeddings(self, ids: Tensor, types: Tensor, positions: Tensor) -> Tensor:
        return self.norm(self.words(ids) + self.positions(positions) + self.types(types))

    def forward(self, ids: Tensor, types: Tensor, positions: Tensor, embedded: Tensor | None = None) -> Any:
        h = self.embeddings(ids, types, positions) if embedded is None else embedded
        for layer in self.layers:
            h = h + layer(h - h.mean(1, keepdim=True))
        return self.start(h)[..., 0], self.end(h)[..., 0]


def answers(a: ModuleType) -> Found:
    """Where an answer begins and ends: embeddings one by one and together, and every layer's conductance."""
    model = Encoder()
    ids, types, positions = (
        torch.tensor([[1, 5, 7, 2, 9, 11]]),
        torch.tensor([[0, 0, 0, 1, 1, 1]]),
        torch.arange(6)[None],
    )
    pad = ids * 0

    def forward(ids: Tensor, types: Tensor, positions: Tensor, position: int = 0) -> Tensor:
        return model(ids, types, positions)[position].max(1).values

    def from_embedding(embedded: Tensor, position: int = 0) -> Tensor:
        return model(ids, types, positions, embedded)[position].max(1).values

    inputs, baselines = (ids, types, positions), (pad, types * 0, positions * 0)
    one = a.LayerIntegratedGradients(forward, model.norm)
    several = a.LayerIntegratedGradients(forward, [model.words, model.types, model.positions])
    parts = several.attribute(inputs, baselines=baselines, additional_forward_args=1)
    embedded = model.embeddings(*inputs).detach()
    start = model.embeddings(*baselines).detach()
    conductance = [
        a.LayerConductance(from_embedding, layer).attribute(
            embedded, baselines=start, additional_forward_args=0
        )
        for layer in model.layers
    ]
    return {
        "start": one.attribute(inputs, baselines=baselines, additional_forward_args=0),
        "end": one.attribute(inputs, baselines=baselines, additional_forward_args=1),
        **{f"embedding {i}": part for i, part in enumerate(parts)},
        **{f"layer {i}": part for i, part in enumerate(conductance)},
    }


class Question(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.text = nn.Embedding(30, 8)
        self.conv, self.attend, self.classify = nn.Conv2d(3, 8, 3), nn.Linear(8, 8), nn.Linear(16, 4)

    def forward(self, picture: Tensor, question: Tensor) -> Tensor:
        seen = self.conv(picture).relu().flatten(2).transpose(1, 2)
        asked = self.attend(self.text(question).mean(1)).tanh()
        weights = (seen @ asked[:, :, None]).softmax(1)
        return self.classify(torch.cat([(weights * seen).sum(1), asked], 1))


def questions(a: ModuleType) -> Found:
    """Questions about a picture: pixels and words together, by an embedding that is taken out of the model."""
    model, picture, question = Question(), drawn(1, 3, 9, 9), torch.tensor([[4, 8, 15, 16]])
    interpretable = a.configure_interpretable_embedding_layer(model, "text")
    embedded = interpretable.indices_to_embeddings(question)
    start = interpretable.indices_to_embeddings(question * 0)
    pixels, words = a.IntegratedGradients(model).attribute(
        (picture, embedded), (picture * 0, start), target=2, n_steps=30
    )
    a.remove_interpretable_embedding_layer(model, interpretable)
    assert isinstance(model.text, nn.Embedding)
    return {"pixels": pixels, "words": words, "scores": model(picture, question)}


PROGRAMS: dict[str, Callable[[ModuleType], Found]] = {
    program.__name__: program
    for program in (
        titanic, house_prices, clicks, cifar, resnet, segmentation, superpixels, reviews, answers, questions,
    )
}  # fmt: skip

CONDUCTANCE = (
    "the gradient between two points of the path is the mean of those at both, and the path goes from end to end: the "
    "sum misses f(x) - f(baseline) by less with the same points"
)
TRAPEZOIDAL = "the weights of the trapezoidal rule, its default, add up to 1"
POOLING = (
    "a rectifier before a max pool, which Captum's hooks do not put together right: with most baselines its sum misses "
    "f(x) - f(baseline)"
)
# What differs, and why; that ours is right is shown in the tests of the method.
DIFFERENT: dict[tuple[str, str], str] = {
    ("titanic", "conductance"): CONDUCTANCE,
    ("titanic", "neuron 0"): TRAPEZOIDAL,
    ("titanic", "neuron 10"): TRAPEZOIDAL,
    ("house_prices", "conductance"): CONDUCTANCE,
    ("cifar", "DeepLIFT"): POOLING,
    ("answers", "layer 0"): CONDUCTANCE,
    ("answers", "layer 1"): CONDUCTANCE,
    ("answers", "layer 2"): CONDUCTANCE,
}


def run(program: str, library: ModuleType) -> Found:
    before = torch.get_default_dtype()
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    try:
        return PROGRAMS[program](library)
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_program_runs_with_either_import_and_gives_the_same(program: str) -> None:
    ours, theirs = run(program, attriscope.attr), run(program, captum.attr)
    assert ours.keys() == theirs.keys()
    differ = set()
    for name, wanted in theirs.items():
        found = ours[name]
        assert found.shape == wanted.shape, name
        largest = float(wanted.detach().double().abs().max().clamp(min=1e-3))
        if not torch.allclose(found.detach().double(), wanted.detach().double(), rtol=0, atol=1e-5 * largest):
            differ.add(name)
    assert differ == {name for key, name in DIFFERENT if key == program}


def test_the_page_has_the_table() -> None:
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    for program in PROGRAMS:
        assert f"`{program}`" in page, program
    for reason in set(DIFFERENT.values()):
        assert reason in page, reason


def test_conductance_misses_less_of_the_change_than_captums() -> None:
    torch.manual_seed(0)
    model, x = Titanic().double(), drawn(30, 12)
    change = (model(x) - model(x * 0))[:, 1].detach()
    ours, theirs = (
        (
            library.LayerConductance(model, model.sigmoid1).attribute(x, target=1, n_steps=20).detach().sum(1)
            - change
        )
        .abs()
        .max()
        for library in (attriscope.attr, captum.attr)
    )
    assert ours < theirs / 10
