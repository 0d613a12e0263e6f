"""Switching neurons off: the answers are those of a model written without them, and the model is never changed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import attriscope
from attriscope import switched_off
from attriscope.core.errors import InputError, InputTypeError, LayerError
from models import Pictures, Snapshot, draw, mlp, pictures, spelled, with_drawn_parameters

X = draw(2, 2, 6, 5)


def by_hand(model: Pictures, x: Tensor, **factors: Tensor) -> Tensor:
    """``Pictures`` written once more, with what each layer gives multiplied by a factor."""

    def times(name: str, value: Tensor) -> Tensor:
        return value * factors[name] if name in factors else value

    x = times("relu", times("bn", model.bn(times("conv", model.conv(x)))).relu())
    x = x + times("block", model.block(x)).tanh()
    return times("fc", model.fc(times("pool", model.pool(x)).flatten(1)))


SHAPES = {
    "conv": (3, 6, 5),
    "bn": (3, 6, 5),
    "relu": (3, 6, 5),
    "block": (3, 6, 5),
    "pool": (3, 3, 2),
    "fc": (4,),
}


@st.composite
def neurons(draw: Any) -> tuple[str, tuple[int | slice, ...]]:
    """A layer and some indices, negative ones and slices among them."""
    name = draw(st.sampled_from(sorted(SHAPES)))
    shape = SHAPES[name]
    places = [
        draw(st.integers(-size, size - 1) | st.builds(slice, st.integers(0, size), st.integers(0, size)))
        for size in shape[: draw(st.integers(1, len(shape)))]
    ]
    return name, tuple(places)


@settings(max_examples=40)
@given(st.lists(neurons(), min_size=1, max_size=4))
def test_without_neurons_is_the_model_with_them_multiplied_by_zero(
    off: list[tuple[str, tuple[int | slice, ...]]],
) -> None:
    model = pictures()
    factors = {name: torch.ones(SHAPES[name], dtype=torch.float64) for name, _ in off}
    for name, places in off:
        factors[name][places] = 0
    with switched_off(model, off):
        found = model(X)
    torch.testing.assert_close(found, by_hand(model, X, **factors), rtol=1e-12, atol=1e-12)


def test_one_index_is_a_whole_channel_and_a_module_is_as_good_as_its_path() -> None:
    model = pictures()
    mask = torch.tensor([1.0, 0.0, 1.0]).double()[:, None, None]
    for layer in ("conv", model.conv):
        with switched_off(model, [(layer, 1)]):
            torch.testing.assert_close(model(X), by_hand(model, X, conv=mask))


@pytest.mark.parametrize("index", [np.int64(1), np.int32(1)])
def test_indices_as_numpy_finds_them(index: Any) -> None:
    model = pictures()
    with switched_off(model, [("conv", index), ("block", (index, 2))]):
        found = model(X)
    with switched_off(model, [("conv", 1), ("block", (1, 2))]):
        assert model(X).equal(found)


def test_neurons_can_be_set_to_a_number() -> None:
    model = pictures()
    weight = model.fc.weight.reshape(4, 3, 6)
    with switched_off(model, [("pool", 2)], to=0.7):
        found = model(X)
    held = torch.full((3,), 0.0, dtype=torch.float64)
    held[2] = 0.7
    mask = torch.tensor([1.0, 1.0, 0.0]).double()[:, None, None]
    wanted = by_hand(model, X, pool=mask) + 0.7 * weight[:, 2].sum(1)
    torch.testing.assert_close(found, wanted)


def test_neurons_can_be_set_to_what_they_are_elsewhere() -> None:
    """All of a layer set to what it holds for another picture: the model then says what it says of that one."""
    model, other = pictures(), draw(1, 2, 6, 5, seed=9)
    held = attriscope.attr.LayerActivation(model, "pool").attribute(other)
    with switched_off(model, [("pool", slice(None))], to={"pool": held.float()}):
        found = model(X)
    torch.testing.assert_close(found, model(other).expand(2, -1), rtol=1e-5, atol=1e-5)


def test_each_layer_gets_its_own_tensor() -> None:
    model = pictures()
    to = {"conv": draw(3, 1, 1), model.block: draw(2, 3, 6, 5, seed=2)}
    with switched_off(model, [("conv", (0, 1)), (model.block, (2, slice(1, 4))), ("conv", 2)], to=to):
        found = model(X)
    conv = model.conv(X)
    conv[:, 0, 1] = to["conv"][0]
    conv[:, 2] = to["conv"][2]
    x = model.bn(conv).relu()
    block = model.block(x)
    block[:, 2, 1:4] = to[model.block][:, 2, 1:4]
    torch.testing.assert_close(found, model.fc(model.pool(x + block.tanh()).flatten(1)))


def test_a_function_may_say_what_is_silent() -> None:
    model = pictures()
    mask = torch.ones(6, 5, dtype=torch.float64)
    mask[:, :2] = 0
    with switched_off(model, [("conv", lambda output: output[..., :2])]):
        torch.testing.assert_close(model(X), by_hand(model, X, conv=mask))


def test_blocks_may_be_nested_and_each_ends_alone() -> None:
    model = pictures()
    off = [torch.ones(3, 1, 1, dtype=torch.float64) for _ in range(2)]
    off[0][0], off[1][:2] = 0, 0
    with switched_off(model, [("conv", 0)]):
        with switched_off(model, [("conv", 1)]):
            torch.testing.assert_close(model(X), by_hand(model, X, conv=off[1]))
        torch.testing.assert_close(model(X), by_hand(model, X, conv=off[0]))
    assert model(X).equal(pictures()(X))


def test_a_layer_that_runs_several_times_is_silent_each_time() -> None:
    model = with_drawn_parameters(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))).double()
    model.append(model[1]).append(model[2])
    x = draw(3, 4)
    mask = torch.tensor([1.0, 1.0, 0.0, 1.0]).double()
    last = model[2]
    with switched_off(model, [("1", 2)]):
        found = model(x)
    torch.testing.assert_close(found, last((last(model[0](x).relu() * mask)).relu() * mask))


class Pair(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return {"first": x, "more": (2 * x, None)}


def test_of_several_tensors_the_first_is_meant() -> None:
    layer = Pair()
    x = draw(2, 3)
    with switched_off(layer, [(layer, 1)]):
        found = layer(x)
    assert found["first"].tolist() == (x * torch.tensor([1.0, 0.0, 1.0])).tolist()
    assert found["more"][0].equal(2 * x)
    assert found["more"][1] is None


def test_a_unit_of_an_lstm_is_silent_at_all_positions_or_at_one() -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(3, 5, batch_first=True)
            self.out = nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.lstm(x)[0].cumsum(1)[:, -1])

    model = with_drawn_parameters(Reader()).double()
    x = draw(2, 4, 3)
    held = model.lstm(x)[0]
    for index in ((slice(None), 1), (2, 1), (slice(None),)):
        changed = held.clone()
        changed[(slice(None), *index)] = 0
        with switched_off(model, [("lstm", index)]):
            torch.testing.assert_close(model(x), model.out(changed.sum(1)))


def test_memory_in_another_order_changes_no_number() -> None:
    model = pictures().to(memory_format=torch.channels_last)
    x = X.to(memory_format=torch.channels_last)
    assert not model.conv(x).is_contiguous()
    mask = torch.tensor([1.0, 0.0, 1.0]).double()[:, None, None]
    with switched_off(model, [("conv", 1), ("block", lambda output: output.view(2, -1)[:, :7])]):
        found = model(x)
    flat = torch.ones(90, dtype=torch.float64)
    flat[:7] = 0
    torch.testing.assert_close(found, by_hand(pictures(), X, conv=mask, block=flat.reshape(3, 6, 5)))


def test_other_threads_run_the_whole_model_meanwhile() -> None:
    model = pictures()
    alone = model(X)
    with switched_off(model, [("conv", 1), ("fc", 0)]), ThreadPoolExecutor(1) as pool:
        assert pool.submit(model, X).result(60).equal(alone)
        assert not model(X).equal(alone)


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_on_the_model(fails: bool) -> None:
    model = pictures()
    mine = model.conv.register_forward_hook(lambda *_: None)
    before = Snapshot(model, (X,))

    def use() -> None:
        with switched_off(model, [("conv", 1), ("relu", (2, 0, slice(None)))], to=3.0):
            model(X)
            if fails:
                raise ZeroDivisionError

    if fails:
        with pytest.raises(ZeroDivisionError):
            use()
    else:
        use()
    before.check()
    mine.remove()


def test_gradients_flow_through_the_rest_and_not_through_what_is_silent() -> None:
    model = pictures()
    x = X.clone().requires_grad_()
    factors = {"conv": torch.tensor([1.0, 0.0, 1.0]).double()[:, None, None]}
    with switched_off(model, [("conv", 1)]):
        found = torch.autograd.grad(model(x)[:, 2].sum(), (x, model.conv.weight))
    wanted = torch.autograd.grad(by_hand(model, x, **factors)[:, 2].sum(), (x, model.conv.weight))
    torch.testing.assert_close(found, wanted)
    assert not found[1][1].any()


def test_methods_explain_the_model_as_it_is_in_the_block() -> None:
    model = pictures()
    x = X[:1]
    mask = torch.tensor([1.0, 0.0, 1.0]).double()[:, None, None]
    with switched_off(model, [("block", 1)]):
        found = attriscope.attr.IntegratedGradients(model).attribute(x, target=1, n_steps=200)
    assert found.sum().item() == pytest.approx(
        (by_hand(model, x, block=mask) - by_hand(model, 0 * x, block=mask))[0, 1].item(), abs=2e-2
    )


class Odd:
    def __repr__(self) -> str:
        return "<something odd>"


@pytest.mark.parametrize(
    ("neurons", "to", "kind", "says"),
    [
        ("conv", 0, TypeError, "neurons must be a list of pairs (layer, neuron), but 'conv' came"),
        ({"conv": 1}, 0, TypeError, "neurons must be a list of pairs (layer, neuron), but {'conv': 1} came"),
        (("conv", 1), 0, TypeError, "neurons must be pairs (layer, neuron), but 'conv' came"),
        ([("conv", 1, 2)], 0, TypeError, "neurons must be pairs (layer, neuron), but ('conv', 1, 2) came"),
        ([("conv", "1")], 0, TypeError, "an int, a tuple of ints and slices or a function, but '1' came"),
        ([("conv", 1.0)], 0, TypeError, "but 1.0 came"),
        ([("conv", True)], 0, TypeError, "but True came"),
        ([("conv", (1, None))], 0, TypeError, "but (1, None) came"),
        ([("convv", 1)], 0, LookupError, "no layer 'convv'; its layers are 'conv'"),
        ([(3, 1)], 0, TypeError, "a layer must be a torch.nn.Module or its path, but 3 came"),
        ([("conv", 1), ("bn", 2)], {"conv": torch.zeros(())}, ValueError, "no tensor for layer 'bn'; it has 'conv'"),
        ([("conv", 1)], {}, ValueError, "no tensor for layer 'conv'; it has none"),
        ([("conv", 1)], "zero", TypeError, "to must be a number, or a dict of tensors by layer, but 'zero' came"),
        ([("conv", 1)], None, TypeError, "but None came"),
        ([("conv", 1)], {"conv": Odd()}, TypeError, "but <something odd> came for layer 'conv'"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_is_refused_before_the_model_runs(
    neurons: Any, to: Any, kind: type[Exception], says: str
) -> None:
    model = pictures()
    before = Snapshot(model, ())
    with pytest.raises(kind) as caught, switched_off(model, neurons, to):
        raise AssertionError("the block was entered")
    assert says in str(caught.value)
    assert isinstance(caught.value, InputError)
    before.check()


@pytest.mark.parametrize(
    ("neuron", "to", "kind", "says"),
    [
        (3, 0.0, LayerError, ["no neuron 3 in an output of shape (2, 3, 6, 5)", "out of bounds"]),
        ((0, 6), 0.0, LayerError, ["no neuron 0, 6 in an output of shape (2, 3, 6, 5)"]),
        ((0, 0, 0, 0), 0.0, LayerError, ["no neuron 0, 0, 0, 0 in an output"]),
        (1, {"conv": draw(7)}, InputError, ["output (2, 3, 6, 5) is set to has shape (7,)"]),
        (lambda output: output.tolist(), 0.0, InputTypeError, ["must give a part of the output", "but [[[["]),
        (lambda output: output[:, [0, 2]], 0.0, InputError, ["gave a copy of the output, not a view of it"]),
    ],
    ids=spelled,
)  # fmt: skip
def test_what_the_layer_does_not_have_is_said_when_it_runs(
    neuron: Any, to: Any, kind: type[Exception], says: list[str]
) -> None:
    model = pictures()
    before = Snapshot(model, (X,))
    with pytest.raises(kind) as caught, switched_off(model, [("conv", neuron)], to):
        model(X)
    for words in says:
        assert words in str(caught.value)
    before.check()


def test_a_call_in_which_nothing_is_to_be_set_is_left_alone() -> None:
    """Some models use one module at several sizes: a function can choose between its calls."""
    model = nn.Sequential(nn.ReLU(), nn.Linear(3, 4))
    model.append(model[0])
    model = with_drawn_parameters(model).double()
    x = draw(2, 3)

    def fourth(output: Tensor) -> Tensor:
        return output[:, 3] if output.shape[1] == 4 else output[:0]

    wanted = model(x)
    for to, value in ((0.0, 0.0), ({"0": torch.full((4,), 2.5)}, 2.5)):
        with switched_off(model, [("0", fourth)], to=to):
            found = model(x)
        assert found[:, :3].equal(wanted[:, :3])
        assert found[:, 3].tolist() == [value] * 2


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda model: model], ids=["DataParallel", "plain"])
def test_no_neurons_is_no_change(wrap: Callable[[nn.Module], Any]) -> None:
    model = mlp()
    x = draw(2, 4)
    with switched_off(wrap(model), []):
        assert wrap(model)(x).equal(model(x))
    with switched_off(wrap(model), [("first", 0)]):
        assert not wrap(model)(x).equal(mlp()(x))
