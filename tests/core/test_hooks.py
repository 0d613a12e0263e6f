"""Reading at layers, and leaving a model as it was found."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from attriscope.core.errors import InputTypeError, LayerError
from attriscope.core.hooks import Layers, edited, find_layer, hooked, layer_names, unwrap
from attriscope.core.passes import grad_mode, kept_buffers
from attriscope.core.reading import Reading
from models import Snapshot, draw, mlp, pictures

X = draw(2, 2, 6, 5)


def read(model: nn.Module, *inputs: Any, at: Any, at_input: bool = False, gradient: bool = False) -> Any:
    """The output of the model, and what was read at the layer's last call."""
    reading = Reading(Layers((at,), at_input), gradient)
    with reading.attached():
        output = model(*inputs)
    return output, reading.values()[0]


# --- finding layers -----------------------------------------------------------------------------------------


def test_layers_by_module_or_by_path() -> None:
    model = nn.Sequential(pictures(), nn.ReLU())
    assert find_layer(model, "0.conv") is model[0].conv
    assert find_layer(model, model[0].conv) is model[0].conv
    assert find_layer(model, model) is model
    assert layer_names(model)[model[0].conv] == "0.conv"


def test_a_shared_module_has_several_paths() -> None:
    model = nn.Module()
    model.encoder = model.tied = nn.Linear(2, 2)
    assert find_layer(model, "tied") is find_layer(model, "encoder") is model.encoder


def test_a_plain_function_takes_any_module() -> None:
    layer = nn.ReLU()
    assert find_layer(lambda x: layer(x), layer) is layer
    assert layer_names(lambda x: x) == {}
    with pytest.raises(InputTypeError, match="'conv' is a path, but the model is a plain function"):
        find_layer(lambda x: layer(x), "conv")


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile], ids=["DataParallel", "compile"])
def test_wrapped_models_are_looked_through(wrap: Callable[[nn.Module], Any]) -> None:
    model = pictures()
    assert unwrap(wrap(model)) is model
    assert find_layer(wrap(model), "conv") is model.conv
    assert find_layer(wrap(model), model.conv) is model.conv
    assert find_layer(model, wrap(model.conv)) is model.conv


@pytest.mark.parametrize(
    ("layer", "kind", "says"),
    [
        ("convv", LookupError, ["no layer 'convv'", "'conv'"]),
        ("", None, []),
        ("stem.0", LookupError, ["no layer 'stem.0'", "its layers are"]),
        (nn.Conv2d(1, 1, 7), LookupError, ["Conv2d(1, 1, kernel_size=(7, 7)", "not part of the model Pictures"]),
        (3, TypeError, ["torch.nn.Module or its path, but 3 came"]),
        (None, TypeError, ["but None came"]),
    ],
    ids=str,
)  # fmt: skip
def test_layers_that_are_not_there(layer: Any, kind: type[Exception] | None, says: list[str]) -> None:
    model = pictures()
    if kind is None:
        assert find_layer(model, layer) is model, "torch's own name for the whole model"
        return
    with pytest.raises(kind) as caught:
        find_layer(model, layer)
    assert isinstance(caught.value, AssertionError)
    for words in says:
        assert words in str(caught.value)


def test_an_edit_changes_the_first_tensor_alone() -> None:
    lstm = nn.LSTM(3, 2, batch_first=True).double()
    x = draw(1, 4, 3)
    output, (hidden, cell) = lstm(x)
    with edited({lstm: lambda tensor: tensor.mul_(2)}):
        twice, (same_hidden, same_cell) = lstm(x)
    assert torch.equal(twice, 2 * output)
    assert torch.equal(same_hidden, hidden)
    assert torch.equal(same_cell, cell)
    assert torch.equal(lstm(x)[0], output)


# --- reading ------------------------------------------------------------------------------------------------


def test_what_is_read_is_what_the_layer_gave() -> None:
    model = pictures()
    _, (found,) = read(model, X, at=model.conv)
    assert torch.equal(found, model.conv(X)), "and not what the ReLU in place after it made of it"
    _, (found,) = read(model, X, at=model.relu)
    assert torch.equal(found, model.bn(model.conv(X)).relu())


def test_what_is_read_at_the_input_is_what_came_in() -> None:
    model = pictures()
    _, (found,) = read(model, X, at=model.relu, at_input=True)
    assert torch.equal(found, model.bn(model.conv(X))), "and not what the ReLU in place made of it"


@pytest.mark.parametrize("at_input", [False, True])
@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("layer", ["conv", "relu", "drop", "block", "pool", "fc"])
def test_reading_changes_no_output(layer: str, at_input: bool, gradient: bool) -> None:
    model = pictures()
    output, _ = read(model, X, at=find_layer(model, layer), at_input=at_input, gradient=gradient)
    assert torch.equal(output, model(X))


class Named(NamedTuple):
    scores: Tensor
    extra: Any


class Structured(nn.Module):
    """Returns whatever ``form`` makes of its input."""

    def __init__(self, form: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.form = form

    def forward(self, x: Tensor, *more: Any, **named: Any) -> Any:
        return self.form(x)


ONES, TWOS = torch.ones(2), torch.full((2,), 2.0)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (lambda x: (x, None), [ONES]),
        (lambda x: [x, (2 * x, "text")], [ONES, TWOS]),
        (lambda x: {"a": x, "b": {"c": 2 * x}}, [ONES, TWOS]),
        (lambda x: Named(x, 5), [ONES]),
        (lambda x: (x, (x + 1).long()), [ONES, TWOS.long()]),
    ],
    ids=["(tensor, None)", "nested list", "dict", "named tuple", "with integers"],
)
def test_layers_that_return_structures(form: Callable[[Tensor], Any], expected: list[Tensor]) -> None:
    """Attention layers, LSTMs and model outputs; Captum crashes on these."""
    layer = Structured(form)
    output, found = read(layer, ONES, at=layer)
    assert type(output) is type(form(ONES)), "the model goes on with the structure it expects"
    assert [t.tolist() for t in found] == [t.tolist() for t in expected]
    assert [t.dtype for t in found] == [t.dtype for t in expected]


def test_keyword_arguments_of_a_layer_are_its_input() -> None:
    class Caller(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = Structured(lambda x: x)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x, mask=2 * x, flag=True)

    model = Caller()
    _, found = read(model, ONES, at=model.layer, at_input=True)
    assert [t.tolist() for t in found] == [[1, 1], [2, 2]]


def test_a_layer_that_runs_several_times_is_read_at_its_last_call() -> None:
    layer = nn.ReLU()
    model = nn.Sequential(layer, nn.Linear(2, 2), layer)
    _, (found,) = read(model, ONES, at=layer)
    assert torch.equal(found, model(ONES))


def test_a_layer_that_did_not_run() -> None:
    model = pictures()
    reading = Reading(Layers((model.unused,), False, ("'unused'",)), False)
    with reading.attached():
        model(X)
    with pytest.raises(LayerError, match=r"'unused' did not run in the model's forward pass"):
        reading.values()


@pytest.mark.parametrize(
    ("form", "gradient", "says"),
    [
        (lambda x: "text", False, "no tensor passed at the output of layer"),
        (lambda x: x.long(), True, "no floating point tensor passed at the output of layer"),
    ],
)
def test_a_layer_that_gave_nothing_to_read(form: Any, gradient: bool, says: str) -> None:
    layer = Structured(form)
    with pytest.raises(LayerError, match=says):
        read(layer, ONES, at=layer, gradient=gradient)


def test_gradients_reach_layers_of_a_frozen_model() -> None:
    model = pictures().requires_grad_(False)
    output, (found,) = read(model, X, at=model.block, gradient=True)
    (gradient,) = torch.autograd.grad(output[:, 0].sum(), found)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("at_input", [False, True], ids=["output", "input"])
def test_tensors_of_one_layer_are_told_apart(at_input: bool) -> None:
    """An LSTM's h is made of its c, and self-attention gets one tensor three times: what happens to one of them after
    the layer, or in it, is not counted again at the other."""

    class Pair(nn.Module):
        def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
            made = 3 * first
            return made, 2 * made + 7 * second

    layer = Pair()
    reading = Reading(Layers((layer,), at_input), True)
    x = ONES.clone().requires_grad_() * 1  # as inside a model, no leaf
    with reading.attached():
        _, second = layer(x, x)
    gradients = torch.autograd.grad(second.sum(), reading.values()[0], allow_unused=True)
    assert [None if g is None else g.tolist() for g in gradients] == (
        [[6, 6], [7, 7]] if at_input else [None, [1, 1]]
    )


# --- threads ------------------------------------------------------------------------------------------------


class Meeting(nn.Module):
    """Hands its input on; in the thread that made it, waits until the other thread is through."""

    def __init__(self) -> None:
        super().__init__()
        self.ours = threading.get_ident()
        self.inside, self.go_on = threading.Event(), threading.Event()

    def forward(self, x: Tensor) -> Tensor:
        if threading.get_ident() == self.ours:
            self.inside.set()
            assert self.go_on.wait(60)
        return x * 1


@pytest.mark.parametrize("at_input", [False, True])
def test_hooks_act_only_in_the_thread_that_set_them(at_input: bool) -> None:
    """A cell that uses the model while a job reads a layer gets the numbers, and the graph, that it gets alone."""
    meeting = Meeting()
    net = mlp()
    model = nn.Sequential(net, meeting, nn.ReLU())
    reading = Reading(Layers((net.first, meeting), at_input), gradient=True)
    x, other = draw(2, 4), draw(3, 4, seed=5)

    def elsewhere() -> tuple[Tensor, Any]:
        assert meeting.inside.wait(60)
        try:
            with torch.no_grad():
                return model(other), len(reading.calls[net.first])
        finally:
            meeting.go_on.set()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(elsewhere)
        with reading.attached():
            model(x)
        output, calls = future.result(60)
    assert calls == 1, "the other thread's call was recorded"
    assert len(reading.calls[net.first]) == 1
    assert torch.equal(output, net(other).relu())
    assert not output.requires_grad
    ((found,), _) = reading.values()
    assert torch.equal(found, x if at_input else net.first(x))


# --- leaving no trace ---------------------------------------------------------------------------------------


def test_scripted_modules_take_no_hooks_and_the_others_have_theirs() -> None:
    scripted, plain, x = torch.jit.script(nn.Linear(2, 2)), nn.ReLU(), draw(3, 2).float()
    seen: list[nn.Module] = []

    def change(module: nn.Module, output: Tensor) -> Tensor:
        seen.append(module)
        return output + 1

    with hooked([scripted, plain], False, change):
        found = plain(scripted(x))
    assert seen == [plain]
    torch.testing.assert_close(found, scripted(x).relu() + 1)


def test_hooks_are_gone_after_an_exception() -> None:
    model = pictures()
    mine = model.conv.register_forward_hook(lambda *_: None)
    before = Snapshot(model, (X,))
    reading = Reading(Layers((model.conv, model.block), True), True)

    def fail() -> None:
        with reading.attached():
            model(X)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    before.check()
    mine.remove()


class Counting(nn.Module):
    """Counts its calls in buffers: in place, and by putting a new tensor there."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("in_place", torch.zeros(()))
        self.register_buffer("replaced", torch.zeros(()))
        self.register_buffer("none", None)
        self.bn = nn.BatchNorm1d(2)

    def forward(self, x: Tensor) -> Tensor:
        self.in_place += 1
        self.replaced = self.replaced + 1
        return self.bn(x)


@pytest.mark.parametrize("fails", [False, True])
def test_buffers_that_training_mode_changes_are_put_back(fails: bool) -> None:
    model = nn.Sequential(Counting()).train()
    model(torch.rand(4, 2))
    before = {name: (id(b), b.clone()) for name, b in model.named_buffers()}
    try:
        with kept_buffers(model):
            model(torch.rand(4, 2) + 3)
            assert model[0].in_place == 2
            assert not torch.equal(model[0].bn.running_mean, before["0.bn.running_mean"][1])
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        assert fails
    after = dict(model.named_buffers())
    assert after.keys() == before.keys()
    for name, (identity, value) in before.items():
        assert id(after[name]) == identity, name
        assert torch.equal(after[name], value), name


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize(
    "outside", [torch.enable_grad, torch.no_grad, torch.inference_mode, lambda: torch.inference_mode(False)]
)
def test_gradients_are_on_when_wanted_and_the_mode_comes_back(
    outside: Callable[[], Any], gradient: bool
) -> None:
    with outside():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        with grad_mode(gradient):
            x = torch.ones(2, requires_grad=True)
            assert (x * 2).requires_grad is gradient
            assert not (x * 2).is_inference()
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
        with pytest.raises(ZeroDivisionError), grad_mode(gradient):
            raise ZeroDivisionError
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
