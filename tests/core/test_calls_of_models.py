"""Models are called as they want to be: by keyword, one row at a time, with what they keep of their first pass."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import attr, metrics
from attriscope.core.errors import ForwardError, InputTypeError
from attriscope.core.target import resolve_target
from models import draw, mlp, seeded

NET = mlp()
X = draw(5, 4)
METHODS: dict[str, dict[str, Any]] = {
    "Saliency": {},
    "IntegratedGradients": {"n_steps": 7},
    "DeepLift": {},
    "LRP": {},
    "GradientShap": {"baselines": torch.zeros(1, 4, dtype=X.dtype)},
    "FeatureAblation": {},
    "Occlusion": {"sliding_window_shapes": (2,)},
    "ShapleyValueSampling": {"n_samples": 2},
    "KernelShap": {"n_samples": 9},
    "Lime": {},
}
every_method = pytest.mark.parametrize("name", METHODS)


def explained(name: str, model: Any, x: Any = X, **more: Any) -> Any:
    torch.manual_seed(0)
    return getattr(attr, name)(model).attribute(x, target=1, **{**METHODS[name], **more})


# --- by keyword ---------------------------------------------------------------------------------------------------


class Words(nn.Module):
    """A bag of words' embeddings, of which a mask leaves some out; everything by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.net = nn.Linear(4, 4).double(), NET

    def forward(self, *, embeddings: Tensor, mask: Tensor, scale: float = 1.0) -> dict[str, Tensor]:
        held = torch.tanh(self.inner(embeddings)) * mask[..., None]
        return {"logits": self.net(held.sum(1) / mask.sum(1, keepdim=True)) * scale, "held": held}


WORDS = Words().eval()
EMBEDDINGS = draw(3, 5, 4)
MASK = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]])
BESIDE = {"mask": MASK, "scale": 2.0}


@every_method
def test_arguments_beside_the_inputs(name: str) -> None:
    options: dict[str, Any] = {}
    if name in ("ShapleyValueSampling", "KernelShap", "Lime"):
        options["feature_mask"] = {"embeddings": torch.arange(5)[:, None]}
    if name == "GradientShap":
        options["baselines"] = {"embeddings": torch.zeros(1, 5, 4, dtype=X.dtype)}
    if name == "Occlusion":
        options["sliding_window_shapes"] = {"embeddings": (1, 4)}
    given = {"additional_forward_args": BESIDE, **options}
    found = explained(name, WORDS, {"embeddings": EMBEDDINGS}, **given)["embeddings"]

    class Positional(Words):
        def forward(self, embeddings: Tensor, mask: Tensor) -> Any:  # type: ignore[override]
            return super().forward(embeddings=embeddings, mask=mask, scale=2.0)["logits"]

    plain = Positional().eval()
    plain.load_state_dict(WORDS.state_dict())
    options = {key: value["embeddings"] for key, value in options.items()}
    expected = explained(name, plain, EMBEDDINGS, additional_forward_args=MASK, **options)
    torch.testing.assert_close(found, expected)
    if name not in ("KernelShap", "ShapleyValueSampling"):  # which estimate
        assert float(found[0, 3:].abs().max()) < 1e-6, "what the mask leaves out has no effect"


@pytest.mark.parametrize("name", ["LayerIntegratedGradients", "LayerActivation", "LayerFeatureAblation"])
def test_layers_of_such_a_model(name: str) -> None:
    options = {} if name == "LayerActivation" else {"target": 1}
    method = getattr(attr, name)(WORDS, "inner")
    found = method.attribute({"embeddings": EMBEDDINGS}, additional_forward_args=BESIDE, **options)
    assert found.shape == (3, 5, 4)
    if name == "LayerIntegratedGradients":
        f = WORDS(embeddings=EMBEDDINGS, **BESIDE)["logits"][:, 1]
        zero = WORDS(embeddings=0 * EMBEDDINGS, **BESIDE)["logits"][:, 1]
        torch.testing.assert_close(found.sum((1, 2)), f - zero, rtol=1e-5, atol=1e-7)


def test_noise_and_metrics_of_such_a_model() -> None:
    given: dict[str, Any] = {"target": 1, "additional_forward_args": BESIDE}
    inputs = {"embeddings": EMBEDDINGS}
    noisy = attr.NoiseTunnel(attr.Saliency(WORDS)).attribute(inputs, stdevs=0.0, nt_samples=3, **given)
    plain = attr.Saliency(WORDS).attribute(inputs, **given)
    torch.testing.assert_close(noisy["embeddings"], plain["embeddings"])
    gap = metrics.completeness_gap(WORDS, inputs, attr.IntegratedGradients(WORDS), **given)
    assert float(gap.abs().max()) < 1e-6


def test_a_dict_beside_a_tensor_is_an_argument() -> None:
    """As in Captum: only what goes by name has other things go by name."""

    def model(x: Tensor, settings: dict[str, float]) -> Tensor:
        return (x * settings["scale"]).sum(1)

    found = attr.Saliency(model).attribute(X, additional_forward_args={"scale": 3.0})
    torch.testing.assert_close(found, torch.full_like(X, 3))
    with pytest.raises(ValueError, match="'mask' is given in both"):
        attr.Saliency(WORDS).attribute(
            {"embeddings": EMBEDDINGS, "mask": MASK}, additional_forward_args=BESIDE
        )


# --- what comes out ---------------------------------------------------------------------------------------------

Named = collections.namedtuple("Named", ["logits", "held"])


@dataclasses.dataclass
class Output:
    logits: Tensor
    held: Tensor


FORMS: dict[str, Callable[[Tensor], Any]] = {
    "dict": lambda y: {"held": y * 2, "logits": y},
    "only": lambda y: (y,),
    "with others": lambda y: [y, {"a": 1}],
    "named tuple": lambda y: Named(y, y * 2),
    "data class": lambda y: Output(y, y * 2),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["Saliency", "DeepLift", "FeatureAblation", "KernelShap"])
def test_outputs_in_parts(name: str, form: str) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = NET

        def forward(self, x: Tensor) -> Any:
            return FORMS[form](self.net(x))

    expected = explained(name, NET)
    torch.testing.assert_close(explained(name, Model()), expected)
    torch.testing.assert_close(explained(name, Model().forward), expected)


@every_method
def test_one_number_without_dimensions(name: str) -> None:
    class Total(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = NET

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)[:, 1].sum()

    torch.manual_seed(0)
    found = getattr(attr, name)(Total()).attribute(X[:1], **METHODS[name])
    torch.testing.assert_close(found, explained(name, NET, X[:1]))
    with pytest.raises(IndexError, match=r"shape \(\): 0 are needed; leave target out"):
        getattr(attr, name)(Total()).attribute(X, target=0, **METHODS[name])


# --- one row at a time ----------------------------------------------------------------------------------------------


class Alone(nn.Module):
    """Says so when there is more than one row."""

    def __init__(self) -> None:
        super().__init__()
        self.net = NET

    def forward(self, x: Tensor) -> Tensor:
        assert len(x) == 1, "one at a time"
        return self.net(x)


SINGLE: dict[str, Callable[[], Any]] = {
    "assert": Alone,
    "lambda": lambda: lambda x: NET(x.view(1, 4)),
    "export": lambda: torch.export.export(NET, (X[:1],)).module(),
}


@every_method
@pytest.mark.parametrize("kind", SINGLE)
def test_models_for_one_row(name: str, kind: str) -> None:
    torch.testing.assert_close(explained(name, SINGLE[kind]()), explained(name, NET))


class Squeezing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = NET

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).squeeze()


@every_method
def test_models_that_squeeze_a_batch_of_one_away(name: str) -> None:
    """They give (N, C) for several rows, and (C,) for one."""
    for x, target in ((X[:1], 1), (X[:1], [1]), (X, 1)):
        options = METHODS[name]
        torch.manual_seed(0)
        found = getattr(attr, name)(Squeezing()).attribute(x, target=target, **options)
        torch.testing.assert_close(found, explained(name, NET, x))


# --- what models keep -------------------------------------------------------------------------------------------


class Keeps(nn.Module):
    """Fills a cache in its first pass."""

    def __init__(self, of_the_batch: bool) -> None:
        super().__init__()
        self.net, self.of_the_batch = NET, of_the_batch
        self.kept: Tensor | None = None
        self.weight = nn.Parameter(torch.ones(4, dtype=X.dtype))

    def forward(self, x: Tensor) -> Tensor:
        if self.kept is None:
            self.kept = torch.ones(len(x), 1, dtype=x.dtype) if self.of_the_batch else self.weight * 1.0
        return self.net(x * self.kept)


@every_method
@pytest.mark.parametrize("of_the_batch", [True, False])
@pytest.mark.filterwarnings("ignore:the rows of a batch depend")
def test_caches_filled_in_the_first_pass(name: str, of_the_batch: bool) -> None:
    model = Keeps(of_the_batch)
    for _ in range(2):
        torch.testing.assert_close(explained(name, model), explained(name, NET))
    assert model(X).shape == (5, 3), "what is kept fits the owner's own batches"


def test_a_cache_that_cannot_be_used_is_named() -> None:
    model = Keeps(False)
    with torch.inference_mode():
        model(X)
    with pytest.raises(ForwardError, match=r"made under torch.inference_mode\(\), such as a cache"):
        attr.Saliency(model).attribute(X, target=1)


@pytest.mark.parametrize("training", [False, True])
def test_buffers_made_under_inference_mode(training: bool) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = NET
            with torch.inference_mode():
                self.register_buffer("scale", torch.ones(4, dtype=X.dtype))

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x * self.scale)

    found = explained("FeatureAblation", Net().train(training))
    torch.testing.assert_close(found, explained("FeatureAblation", NET))


# --- targets ----------------------------------------------------------------------------------------------------


def test_many_targets_are_checked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 20,000 entries only the smallest and the largest are compared with the output, in whatever batch."""
    seen: list[int] = []
    count = 20_000
    target = resolve_target([i % 3 for i in range(count)], count)
    check = type(target)._check

    def counting(self: Any, output: Tensor, indices: list[tuple[Any, ...]]) -> None:
        seen.append(sum(map(len, indices)))
        check(self, output, indices)

    monkeypatch.setattr(type(target), "_check", counting)
    output = torch.arange(30.0).reshape(10, 3)
    for first in (0, 10):
        found = target.select(output, 1, slice(first, first + 10))
        assert found.tolist() == [3 * i + (first + i) % 3 for i in range(10)]
    assert seen == [2, 2]
    with pytest.raises(IndexError, match="index 3 does not exist in dimension 1"):
        resolve_target([0, 3], 2).select(torch.zeros(2, 3), 1, slice(0, 2))
    with pytest.raises(IndexError, match="index -4 does not exist in dimension 1"):
        resolve_target([0, -4], 2).select(torch.zeros(2, 3), 1, slice(0, 2))


# --- words -------------------------------------------------------------------------------------------------------


@every_method
def test_a_model_of_another_number_of_inputs(name: str) -> None:
    options = {"baselines": (torch.zeros(1, 4, dtype=X.dtype),) * 2} if name == "GradientShap" else {}
    if name == "Occlusion":
        options["sliding_window_shapes"] = ((1,), (1,))
    with pytest.raises(InputTypeError, match=r"Mlp takes \(x\), but was given 2 input\(s\)"):
        explained(name, NET, (X, X), **options)
    with pytest.raises(TypeError, match=r"takes \(a, b\), but was given 1 input\(s\)"):
        explained(name, lambda a, b: NET(a + b))
    with pytest.raises(TypeError, match=r"1 input\(s\) and 1 further argument\(s\)"):
        explained(name, NET, additional_forward_args=3)


def test_a_type_error_of_the_models_own_stays() -> None:
    def model(x: Tensor) -> Tensor:
        raise TypeError("mine")

    with pytest.raises(TypeError, match=r"^mine$"):
        attr.Saliency(model).attribute(X)


def test_gradients_that_a_model_takes_itself() -> None:
    class Force(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = NET

        def forward(self, x: Tensor) -> Tensor:
            return torch.autograd.grad(self.net(x).sum(), x, create_graph=True)[0].sum(1)

    assert attr.Saliency(Force()).attribute(X).shape == X.shape
    with pytest.raises(ForwardError, match="asks autograd for a gradient in its forward pass") as told:
        attr.FeatureAblation(Force()).attribute(X)
    assert "refused its inputs" not in str(told.value)
    assert "torch.enable_grad()" in str(told.value)


def test_chance_in_evaluation_is_no_matter_of_the_mode(recwarn: pytest.WarningsRecorder) -> None:
    net = nn.Sequential(nn.FractionalMaxPool2d(2, output_size=2), nn.Flatten()).train()
    attr.Saliency(net).attribute(draw(2, 1, 5, 5), target=0)
    assert not [one for one in recwarn if "training mode" in str(one.message)]


def test_the_same_seed_for_noise() -> None:
    """What is told once for a call with many calls in it is not kept for the next."""
    for _ in range(2):
        with pytest.warns(UserWarning, match="do not add up"):
            attr.NoiseTunnel(attr.IntegratedGradients(lambda x: (x.sum(1) * 9000).sigmoid())).attribute(
                X.abs(), n_steps=3, stdevs=0.0, nt_samples_batch_size=1, generator=seeded(0)
            )


@every_method
def test_one_number_per_example_is_not_taken_for_scores(name: str) -> None:
    """A target that the output has no dimension for is refused, for however many examples."""
    for x in (X, X[:3], X[:1]):
        with pytest.raises(IndexError, match=r"0 are needed; leave target out"):
            getattr(attr, name)(lambda x: NET(x)[:, 1]).attribute(x, target=0, **METHODS[name])
