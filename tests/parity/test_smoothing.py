"""The numbers of Captum 0.9.0 for smoothing, baselines, embeddings and statistics, given the same random numbers."""

from __future__ import annotations

import inspect
import types
from typing import Any

import captum._utils.common
import captum.attr
import captum.attr._core.gradient_shap
import pytest
import torch
from torch import Tensor, nn

import attriscope.attr
from attriscope.attr._random import Draws, Noise
from attriscope.attr._random_paths import RandomPaths
from attriscope.core.inputs import gather_examples
from models import draw, mlp, pair, pictures, seeded, tensors_in, with_drawn_parameters

pytestmark = pytest.mark.filterwarnings("ignore")

NAMES = (
    "GradientShap", "NoiseTunnel", "ProductBaselines", "InterpretableEmbeddingBase", "TokenReferenceBase",
    "configure_interpretable_embedding_layer", "remove_interpretable_embedding_layer", "Mean", "Var", "MSE", "StdDev",
    "Min", "Max", "Sum", "Count", "CommonStats", "Summarizer", "SummarizerSingleTensor", "ClassSummarizer",
)  # fmt: skip
X = draw(3, 4, seed=5)
PICTURES = draw(3, 2, 6, 5)


def assert_as_captum(found: Any, expected: Any, rtol: float = 1e-6, atol: float = 1e-7) -> None:
    # Captum's integrated gradients round their weights to single precision.
    assert type(found) is type(expected)
    ours, theirs = list(tensors_in(found)), list(tensors_in(expected))
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other.detach(), rtol=rtol, atol=atol)


# --- signatures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name: str) -> None:
    ours, theirs = getattr(attriscope.attr, name), getattr(captum.attr, name)
    assert name in attriscope.attr.__all__
    pairs = [(ours, theirs)]
    if inspect.isclass(theirs):
        methods = [n for n, f in vars(theirs).items() if inspect.isfunction(f) and not n.startswith("_")]
        pairs += [(getattr(ours, n), getattr(theirs, n)) for n in methods if n != "attribute_future"]
        properties = [n for n, f in vars(theirs).items() if isinstance(f, property)]
        assert all(isinstance(getattr(ours, n), property) for n in properties)
    for one, other in pairs:
        expected = [(p.name, p.kind, p.default) for p in inspect.signature(other).parameters.values()]
        found = [(p.name, p.kind, p.default) for p in inspect.signature(one).parameters.values()]
        extra = [p for p in found if p not in expected]
        # Ours may have keywords of its own; and a default where Captum has none.
        lenient = [n for n, k, _ in extra if k is not inspect.Parameter.KEYWORD_ONLY]
        assert [p[0] for p in found if p[1] is not inspect.Parameter.KEYWORD_ONLY] == [p[0] for p in expected]
        assert all(p[2] is inspect.Parameter.empty for p in expected if p[0] in lenient), (one, extra)


def test_the_type_of_values_is_exported() -> None:
    assert set(attriscope.attr.StatValue.__args__) == set(captum.attr.StatValue.__args__)


# --- NoiseTunnel --------------------------------------------------------------------------------------------


def same_noise(patch: pytest.MonkeyPatch, inputs: Any, stdevs: Any, seed: int, samples: int) -> None:
    """Captum gets the noise that ours draws."""
    examples = gather_examples(inputs)
    noise = Noise(
        examples,
        stdevs if isinstance(stdevs, tuple) else (stdevs,) * len(examples.tensors),
        samples,
        Draws(seeded(seed)),
    )
    drawn = [0]

    def add(self: Any, count: int, given: tuple[Tensor, ...], _: Any) -> tuple[Tensor, ...]:
        first = drawn[0]
        drawn[0] += count
        return tuple(r.requires_grad_() for r in noise.example_by_example(slice(first, first + count)))

    patch.setattr(captum.attr.NoiseTunnel, "_add_noise_to_inputs", add)


METHODS: dict[str, tuple[Any, dict[str, Any]]] = {
    "Saliency": (lambda lib, m: lib.Saliency(m), {}),
    "InputXGradient": (lambda lib, m: lib.InputXGradient(m), {}),
    "IntegratedGradients": (
        lambda lib, m: lib.IntegratedGradients(m),
        {"n_steps": 4, "baselines": draw(3, 2, 6, 5, seed=8), "return_convergence_delta": True},
    ),
    "IntegratedGradients, shared baseline": (
        lambda lib, m: lib.IntegratedGradients(m, multiply_by_inputs=False),
        {"n_steps": 3, "baselines": draw(1, 2, 6, 5, seed=8), "internal_batch_size": 20},
    ),
    "LayerGradCam": (lambda lib, m: lib.LayerGradCam(m, m.conv), {}),
    "LayerActivation": (lambda lib, m: lib.LayerActivation(m, m.block), {}),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", ["smoothgrad", "smoothgrad_sq", "vargrad"])
@pytest.mark.parametrize("target", [1, [0, 3, 1], torch.tensor([0, 3, 1])], ids=["one", "list", "tensor"])
def test_noise_tunnel(name: str, kind: str, target: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make, kwargs = METHODS[name]
    model = pictures()
    kwargs = kwargs if name == "LayerActivation" else {**kwargs, "target": target}
    same_noise(monkeypatch, PICTURES, 0.3, 1, 6)
    expected = captum.attr.NoiseTunnel(make(captum.attr, model)).attribute(
        PICTURES, kind, 6, stdevs=0.3, **kwargs
    )
    found = attriscope.attr.NoiseTunnel(make(attriscope.attr, model)).attribute(
        PICTURES, kind, 6, stdevs=0.3, generator=seeded(1), **kwargs
    )
    assert_as_captum(found, expected)


@pytest.mark.parametrize("batch", [1, 3, 4, 6])
def test_noise_tunnel_in_batches(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = pictures()
    same_noise(monkeypatch, PICTURES, 0.3, 1, 6)
    options: dict[str, Any] = {
        "nt_samples": 6,
        "nt_samples_batch_size": batch,
        "stdevs": 0.3,
        "target": [0, 3, 1],
    }
    expected = captum.attr.NoiseTunnel(captum.attr.Saliency(model)).attribute(PICTURES, **options)
    found = attriscope.attr.NoiseTunnel(attriscope.attr.Saliency(model)).attribute(
        PICTURES, generator=seeded(1), **options
    )
    assert_as_captum(found, expected)


def test_noise_tunnel_with_two_inputs_and_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs = pair(), (X, draw(3, 2, 3))
    same_noise(monkeypatch, inputs, (0.3, 0.1), 2, 5)
    options: dict[str, Any] = {
        "stdevs": (0.3, 0.1),
        "target": [0, 2, 1],
        "additional_forward_args": (draw(3, 3), None, 2.0, "squares"),
        "baselines": (0.5, draw(3, 2, 3, seed=7)),
        "n_steps": 3,
        "return_convergence_delta": True,
    }
    expected = captum.attr.NoiseTunnel(captum.attr.IntegratedGradients(model)).attribute(inputs, **options)
    found = attriscope.attr.NoiseTunnel(attriscope.attr.IntegratedGradients(model)).attribute(
        inputs, generator=seeded(2), **options
    )
    assert_as_captum(found, expected)


@pytest.mark.parametrize("kind", ["smoothgrad", "smoothgrad_sq", "vargrad"])
def test_noise_tunnel_without_noise_and_a_pool_of_one_baseline(kind: str) -> None:
    options: dict[str, Any] = {
        "stdevs": 0.0,
        "target": 1,
        "baselines": draw(1, 4, seed=9),
        "draw_baseline_from_distrib": True,
        "n_steps": 3,
    }
    expected = captum.attr.NoiseTunnel(captum.attr.IntegratedGradients(mlp())).attribute(X, kind, **options)
    found = attriscope.attr.NoiseTunnel(attriscope.attr.IntegratedGradients(mlp())).attribute(
        X, kind, **options
    )
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-12)


def test_captums_own_methods_may_be_smoothed(monkeypatch: pytest.MonkeyPatch) -> None:
    same_noise(monkeypatch, X, 0.2, 3, 5)
    theirs = captum.attr.DeepLift(mlp())
    expected = captum.attr.NoiseTunnel(theirs).attribute(X, stdevs=0.2, target=1)
    found = attriscope.attr.NoiseTunnel(theirs).attribute(X, stdevs=0.2, target=1, generator=seeded(3))
    assert_as_captum(found, expected)


# --- GradientShap -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("multiply", [True, False])
@pytest.mark.parametrize(("among", "samples", "stdev"), [(1, 6, 0.0), (4, 8, 0.0), (9, 5, 0.2), (3, 9, 0.2)])
def test_gradient_shap(
    multiply: bool, among: int, samples: int, stdev: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the positions and baselines that ours draws, which weigh the same where their numbers divide."""
    baselines = draw(among, 2, 6, 5, seed=9)
    paths = RandomPaths(gather_examples(PICTURES), (baselines,), samples, (stdev,), Draws(seeded(4)))
    drawn = types.SimpleNamespace(
        uniform=lambda low, high, count: paths._positions.T.flatten().numpy(),
        choice=lambda among, count: paths.choices[0].T.flatten().numpy(),
    )
    for module in (captum.attr._core.gradient_shap, captum._utils.common):
        monkeypatch.setattr(module, "np", types.SimpleNamespace(random=drawn))
    same_noise(monkeypatch, PICTURES, stdev, 4, samples)
    options: dict[str, Any] = {"n_samples": samples, "stdevs": stdev, "target": [0, 3, 1]}
    options["return_convergence_delta"] = True
    expected = captum.attr.GradientShap(pictures(), multiply).attribute(PICTURES, baselines, **options)
    found = attriscope.attr.GradientShap(pictures(), multiply).attribute(
        PICTURES, baselines, generator=seeded(4), **options
    )
    if multiply:
        assert_as_captum(found, expected)
    else:  # Captum's deltas then compare sensitivities with a change of f
        assert_as_captum(found[0], expected[0])


def test_gradient_shap_converges_to_the_same_and_faster() -> None:
    """To the same mean, from which ours is away less than a third as far."""
    model, baselines = mlp(), draw(5, 4, seed=11)
    x = X[:1].expand(200, 4)
    truth = attriscope.attr.GradientShap(model).attribute(X[:1], baselines, 20000, target=1)
    torch.manual_seed(0)
    ours = attriscope.attr.GradientShap(model).attribute(x, baselines, 30, target=1) - truth
    theirs = captum.attr.GradientShap(model).attribute(x, baselines, 30, target=1) - truth
    assert theirs.mean(0).abs().max() < 4 * theirs.std(0).max() / 200**0.5
    assert ours.square().mean() < 0.1 * theirs.square().mean()


# --- the rest -----------------------------------------------------------------------------------------------


def test_statistics() -> None:
    values = draw(7, 3, 2)

    def summary(lib: Any, stats: list[Any]) -> Any:
        summarizer = lib.Summarizer(stats)
        assert summarizer.summary is None
        for value in values:
            summarizer.update(value)
        return summarizer.summary

    for lists in (
        lambda lib: lib.CommonStats(),
        lambda lib: [lib.Var(), lib.StdDev(), lib.MSE(), lib.Sum(), lib.Count(), lib.Var(order=3)],
        lambda lib: [lib.Mean("middle"), lib.Max()],
    ):
        found, expected = (
            summary(attriscope.attr, lists(attriscope.attr)),
            summary(captum.attr, lists(captum.attr)),
        )
        assert {*found} == {*expected}
        for name, value in expected.items():
            if name == "count":
                assert found[name] == value
            else:
                torch.testing.assert_close(found[name], value)


def test_class_summaries() -> None:
    ours, theirs = (
        attriscope.attr.ClassSummarizer([attriscope.attr.Mean()]),
        captum.attr.ClassSummarizer([captum.attr.Mean()]),
    )
    for summarizer in (ours, theirs):
        summarizer.update(draw(4, 2), [0, 1, 0, 1])
        summarizer.update(draw(3, 2, seed=1), "all")
    assert {*ours.class_summaries} == {*theirs.class_summaries} == {0, 1, "all"}
    for label, expected in theirs.class_summaries.items():
        torch.testing.assert_close(ours.class_summaries[label][0]["mean"], expected[0]["mean"])
    torch.testing.assert_close(ours.summary[0]["mean"], theirs.summary[0]["mean"])


def test_products_of_baselines() -> None:
    for values in ([[1, 2], [3]], {"a": [1, 2], ("b", "c"): [(3, 4)]}):
        ours, theirs = attriscope.attr.ProductBaselines(values), captum.attr.ProductBaselines(values)
        assert ours.baseline_values == theirs.baseline_values
        assert ours.dict_keys == theirs.dict_keys
        seen = [[str(make()) for _ in range(40)] for make in (ours, theirs)]
        assert {*seen[0]} == {*seen[1]}


def test_embeddings() -> None:
    class Texts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(6, 4)
            self.last = nn.Linear(4, 2)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.last(self.embedding(tokens).tanh().mean(1))

    model = with_drawn_parameters(Texts()).double()
    tokens = torch.tensor([[1, 5, 2], [3, 0, 0]])
    results = []
    for lib in (attriscope.attr, captum.attr):
        embedding = lib.configure_interpretable_embedding_layer(model)
        reference = lib.TokenReferenceBase(4).generate_reference(3, torch.device("cpu"))
        assert reference.dtype == torch.int64
        x = embedding.indices_to_embeddings(tokens).detach()
        start = embedding.indices_to_embeddings(reference[None]).detach()
        results.append(lib.IntegratedGradients(model).attribute(x, start, target=1))
        assert (embedding.num_embeddings, embedding.embedding_dim, embedding.full_name) == (6, 4, "embedding")
        lib.remove_interpretable_embedding_layer(model, embedding)
        assert isinstance(model.embedding, nn.Embedding)
    torch.testing.assert_close(results[0], results[1], rtol=1e-6, atol=1e-9)
