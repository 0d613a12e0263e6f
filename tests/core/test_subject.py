"""Running the function that is explained: what it may do to its inputs, and what it says when it refuses them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope import attr
from attriscope.core.errors import ForwardError
from attriscope.core.hooks import Layers
from attriscope.core.subject import Evaluation, Subject
from attriscope.core.target import resolve_target
from models import assert_same, draw, mlp, pictures


def run(
    model: Callable[..., Any],
    *rows: Tensor,
    arguments: tuple[Any, ...] = (),
    target: Any = None,
    read: Layers | None = None,
    gradient: bool = True,
    **options: Any,
) -> Evaluation:
    count = len(rows[0])
    subject = Subject(model, resolve_target(target, count), read, options)
    return subject.run(rows, arguments, 1, slice(0, count), gradient)


def test_the_answer() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    found = run(lambda x: x.square(), x, target=1)
    assert_same(found.f, torch.tensor([4.0, 16.0]))
    assert_same(found.values, ((x,),))
    assert_same(found.gradients, ((torch.tensor([[0.0, 4.0], [0.0, 8.0]]),),))
    assert_same(found.output, x.square())
    assert run(lambda x: x.square(), x, target=1, gradient=False).gradients == ()


def test_inputs_without_effect_have_gradient_zero() -> None:
    """Captum raises "One of the differentiated Tensors appears to not have been used"."""
    x, y = draw(2, 3), draw(2, 4)
    ((at_x, at_y),) = run(lambda x, y: x.sum(1), x, y).gradients
    assert_same(at_x, torch.ones_like(x))
    assert_same(at_y, torch.zeros_like(y))


def test_grad_kwargs_reach_autograd() -> None:
    """A caller who wants unused inputs to be an error says so, as in Captum."""
    x, y = draw(2, 3), draw(2, 4)
    with pytest.raises(RuntimeError, match="not have been used"):
        run(lambda x, y: x.sum(1), x, y, allow_unused=False)
    assert_same(
        run(lambda x, y: (x * y).sum(1), x, x, allow_unused=False).gradients, ((x, x),)
    )  # nothing is unused
    (gradients,) = run(lambda x: x.pow(3).sum(1), x, create_graph=True).gradients
    assert gradients[0].requires_grad


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("outside", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_nothing_that_comes_back_holds_a_graph(outside: Callable[[], Any], gradient: bool) -> None:
    """Results that are kept must not keep every activation of the model with them."""
    model = pictures()
    with outside():
        x = draw(2, 2, 6, 5)
        for read in (None, Layers((model.conv, model.fc))):
            found = run(model, x, target=0, read=read, gradient=gradient)
            for tensor in (found.f, found.output, *sum(found.values, ()), *sum(found.gradients, ())):
                assert isinstance(tensor, Tensor)
                assert not tensor.requires_grad


@pytest.mark.parametrize(("layer", "at_input"), [("block", True), ("drop", False), ("conv", False)])
def test_gradients_at_a_layer_do_not_depend_on_frozen_parameters(layer: str, at_input: bool) -> None:
    """Freezing parameters changes no function, so it must change no explanation.

    ``block`` takes in what the residual addition takes in too; ``drop`` hands its input on as it is.
    """
    x = draw(2, 2, 6, 5)
    found = []
    for frozen in (False, True):
        model = pictures().requires_grad_(not frozen)
        read = Layers((model.get_submodule(layer),), at_input)
        found.append(run(model, x, target=0, read=read).gradients)
    assert found[0][0][0].abs().sum() > 0
    assert_same(found[0], found[1])


def test_integer_rows_pass_where_only_a_layer_is_read() -> None:
    model = nn.Sequential(nn.Embedding(10, 3), nn.Flatten(), nn.Linear(6, 2))
    tokens = torch.tensor([[1, 2], [3, 3]])
    ((gradient,),) = run(model, tokens, target=1, read=Layers((model[0],))).gradients
    assert_same(gradient, model[2].weight[1].detach().reshape(1, 2, 3).expand(2, 2, 3))


def test_a_function_without_parameters_is_called_without_inputs() -> None:
    model = mlp()
    x = draw(2, 4)
    found = run(lambda: model(x), draw(2, 1), target=0, read=Layers((model.first,)))
    expected = run(model, x, target=0, read=Layers((model.first,)))
    assert_same(found.values, expected.values)
    assert_same(found.gradients, expected.gradients)


# --- what the model may do to its inputs --------------------------------------------------------------------


def in_place(x: Tensor) -> Tensor:
    x *= 2
    return x.relu_().square().sum(1)


@pytest.mark.parametrize("outside", [torch.enable_grad, torch.inference_mode])
def test_a_model_may_work_in_place_on_what_it_is_given(outside: Callable[[], Any]) -> None:
    with outside():
        x = torch.tensor([[1.0, -2.0], [3.0, 4.0]])
        found = run(in_place, x)
        assert_same(x.tolist(), [[1.0, -2.0], [3.0, 4.0]])
        assert_same(found.values[0][0].tolist(), x.tolist())
        assert_same(found.gradients[0][0].tolist(), [[8.0, 0.0], [24.0, 32.0]])


def test_arguments_made_in_inference_mode() -> None:
    with torch.inference_mode():
        x, mask = torch.ones(2, 3), torch.full((2, 3), 2.0)
    assert_same(run(lambda x, m: (x * m).sum(1), x, arguments=(mask,)).gradients, ((mask.clone(),),))


# --- refusals -----------------------------------------------------------------------------------------------


SINGLE = torch.float32


@pytest.mark.parametrize(
    ("model", "x", "says"),
    [
        (
            mlp(dtype=SINGLE),
            draw(2, 5, dtype=SINGLE),
            ["Mlp", "(2, 5), float32", "mat1 and mat2", "first: Linear(in_features=4"],
        ),
        (
            mlp(dtype=SINGLE),
            draw(2, 4),
            ["float64 on cpu", "parameters are torch.float32", "x.to(torch.float32)"],
        ),
        (mlp().to("meta"), draw(2, 4), ["model is on meta", "x.to('meta')"]),
        (mlp(), draw(2, 4).to("meta"), ["model is on cpu", "x.to('cpu')"]),
        (nn.Unflatten(1, (2, 2)), draw(2, 5), ["the model Unflatten refused its inputs", "(2, 5)"]),
    ],
    ids=["shape", "dtype", "device of the model", "device of the input", "no parameters"],
)
def test_what_the_model_refuses_is_quoted(model: nn.Module, x: Tensor, says: list[str]) -> None:
    with pytest.raises(ForwardError) as caught:
        run(model, x, target=0)
    assert isinstance(caught.value, RuntimeError)
    for words in says:
        assert words in str(caught.value)


def test_errors_of_the_model_itself_stay_as_they_are() -> None:
    class Own(RuntimeError):
        pass

    class Picky(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise Own("only on Sundays")

    with pytest.raises(Own, match="only on Sundays"):
        run(Picky(), draw(2, 4))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as caught:
        run(lambda x: mlp()(x), draw(2, 5), target=0)
    assert type(caught.value) is RuntimeError, "a function of the user's: nothing to add"


class Padded(nn.Module):
    """Torch leaves padded positions out of passes without gradients, and gives zeros there."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(8, 3)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        return self.head(self.encoder(x, src_key_padding_mask=padding).mean(1))


@pytest.mark.parametrize(
    "given", [lambda m: m, lambda m: m.forward, functools.partial], ids=["module", "method", "partial"]
)
@pytest.mark.parametrize("frozen", [False, True])
def test_a_transformer_encoder_is_one_function_with_gradients_and_without(frozen: bool, given: Any) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Padded().double().eval().requires_grad_(not frozen)
    x, padding = draw(2, 6, 8), torch.tensor([[0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 1]]).bool()
    options = {"additional_forward_args": (padding,)}
    _, delta = attr.IntegratedGradients(given(model)).attribute(
        x, target=1, n_steps=500, return_convergence_delta=True, **options
    )
    assert delta.abs().max() < 0.01, "0.2 if the ends of the path are those of the other function"
    layer = "encoder.layers.0.linear1"
    held = attr.LayerActivation(model, layer).attribute(x, **options)
    assert not held.is_nested
    assert held.shape == attr.LayerGradientXActivation(model, layer).attribute(x, target=1, **options).shape
    gap = attr.LayerIntegratedGradients(model, "encoder.layers.0").attribute(
        x, target=1, n_steps=300, return_convergence_delta=True, **options
    )[1]
    assert gap.abs().max() < 0.01
