"""A section that starts at a layer: values are put in there, in one call or several, and what went before is known."""

from __future__ import annotations

import dataclasses
import gc
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import attriscope
from attriscope.core.errors import ForwardError, InputError, LayerError
from attriscope.core.hooks import Call, resolve_layers
from attriscope.core.inputs import gather_examples
from attriscope.core.section import Section
from attriscope.core.section_start import open_section
from models import Snapshot, assert_same, draw, mlp, pictures, with_drawn_parameters
from sections import Count, again, loop, opened

X = draw(3, 2, 6, 5)


LAYERS = ("conv", "bn", "relu", "drop", "block", "pool", "fc")


# --- starts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("at_input", [False, True])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_section_that_starts_at_a_layer(layer: str, at_input: bool, resume: bool) -> None:
    model = pictures()
    before = Snapshot(model, (X,))
    found = opened(model, layer, X, at_input=at_input, resume=resume)
    whole = model(X)
    for steps, part in ((1, slice(0, 3)), (4, slice(0, 3)), (1, slice(1, 2)), (2, slice(0, 3))):
        assert_same(again(found, steps, part), whole[part].repeat(steps, 1), atol=1e-13)
    changed = again(found, change=0.5)
    assert not torch.allclose(changed, whole)
    assert_same(
        changed, again(opened(model, layer, X, at_input=at_input, resume=False), change=0.5), atol=1e-13
    )
    before.check()


def test_values_are_put_in_and_differentiable() -> None:
    model = pictures()
    found = opened(model, "fc", X, at_input=True)
    (values,) = found.examples.tensors
    leaf = torch.zeros_like(values).requires_grad_()
    output = found.forward(leaf, *found.examples.arguments)
    assert_same(output, model.fc(leaf))
    assert_same(torch.autograd.grad(output[:, 1].sum(), leaf)[0], model.fc.weight[1].expand(3, -1))


def test_what_comes_before_the_layer_runs_a_few_times_and_never_again() -> None:
    model = pictures()
    count = Count(model)
    found = opened(model, "block", X)
    first = dict(count.runs)
    assert max(first.values()) <= 3
    for _ in range(10):
        again(found, 4)
    for name in ("conv", "bn", "drop", "block"):
        assert count.runs[name] == first[name] <= 1, name
    for name in ("pool", "fc", ""):
        assert count.runs[name] == first[name] + 10, name


def test_without_resuming_all_of_it_runs() -> None:
    model = pictures()
    count = Count(model)
    found = opened(model, "block", X, resume=False)
    again(found, 4)
    assert set(count.runs.values()) - {0} == {2}


class Deep(nn.Module):
    """Parts in parts; ``left`` and ``right`` stand side by side, ``tied`` runs before and after them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Tanh(), nn.Linear(4, 4)))
        self.tied = nn.Linear(4, 4)
        self.left, self.right = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.tied(self.stem(x).relu() * 0.5) + x  # functions between the modules
        return self.head(self.tied((self.left(x) * self.right(x)).tanh()))


def deep() -> Any:
    return with_drawn_parameters(Deep()).double()


def test_the_outermost_of_what_had_ended_is_kept() -> None:
    model, x = deep(), draw(3, 4)
    expected = model(x)
    count = Count(model)
    found = opened(model, ["left", "right.0"], x)
    before = dict(count.runs)
    assert_same(again(found, 3), expected.repeat(3, 1), atol=1e-13)
    ran = {name for name in before if count.runs[name] > before[name]}
    assert ran == {"", "tied", "right", "right.0", "right.1", "head"}, "tied: in its second call only"
    assert count.runs["tied"] == before["tied"] + 1


# --- several places, calls, forms -----------------------------------------------------------------------------------


def test_a_layer_that_runs_several_times_is_varied_in_one_call() -> None:
    model, x = loop(), draw(2, 4)
    with pytest.raises(InputError, match=r"'cell' runs several times.*as in Call\(layer, 0\)"):
        opened(model, "cell", x)
    for call in range(3):
        found = opened(model, Call("cell", call), x)
        (values,) = found.examples.tensors
        state = x
        for i in range(3):
            state = model.cell(state)
            if i == call:
                assert_same(values, state.detach())
                state = state + 0.5
            state = state.tanh()
        assert_same(again(found, 2, change=0.5), model.head(state).repeat(2, 1), atol=1e-13)
    with pytest.raises(LayerError, match=r"'cell' has no call 3: it ran 3 time\(s\)"):
        opened(model, Call("cell", 3), x)


def test_between_a_layer_and_a_neuron() -> None:
    model = pictures()
    count = Count(model)
    section = Section(model, resolve_layers(model, "conv"), resolve_layers(model, "block"))
    found = open_section(section, gather_examples(X))
    expected = model.block(model.relu(model.bn(model.conv(X) + 0.5)))
    before = dict(count.runs)
    assert_same(again(found, change=0.5), expected, atol=1e-13)
    assert count.runs["block"] == before["block"] + 1
    assert (count.runs["conv"], count.runs["fc"]) == (before["conv"], before["fc"])


@pytest.mark.parametrize("call", [-1, 0])
def test_a_neuron_before_the_layer_cannot_depend_on_it(call: int) -> None:
    model = pictures()
    before = Snapshot(model, (X,))
    section = Section(model, resolve_layers(model, "block"), resolve_layers(model, Call("conv", call)))
    with pytest.raises(LayerError, match="'block' did not run before what is explained was reached"):
        again(open_section(section, gather_examples(X)))
    before.check()


@dataclasses.dataclass
class Output:
    logits: Tensor
    extra: Any = None


def test_models_that_take_and_give_what_they_like() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.emb, self.layer = nn.Embedding(9, 4), nn.Linear(4, 4)

        def forward(self, *, ids: Tensor, scale: Tensor | None = None, add: Any = 0) -> Output:
            hidden = self.layer(self.emb(ids))
            return Output(hidden.mean(1) if scale is None else hidden.mean(1) * scale + add)

    model: Any = with_drawn_parameters(Net()).double()
    ids, scale = torch.tensor([[1, 2], [3, 0], [5, 5]]), draw(3, 1)
    for inputs in ({"ids": ids}, {"ids": ids, "scale": None}, {"ids": ids, "scale": scale}):
        found = opened(model, "emb", inputs)
        result = again(found, 2)
        assert isinstance(result, Output)
        assert_same(result.logits, model(**inputs).logits.repeat(2, 1), atol=1e-13)


def test_plain_functions_are_run_as_they_are() -> None:
    model = mlp()
    x = draw(3, 4)
    found = opened(lambda x: model(x * 2), model.first, x)
    assert_same(again(found, change=0.5), model.last(model.act(model.first(2 * x) + 0.5)), atol=1e-13)


# --- errors, memory, cancelling --------------------------------------------------------------------------------------


def test_a_model_that_refuses_its_inputs_is_quoted() -> None:
    model = pictures()
    with pytest.raises(ForwardError, match=r"(?s)Pictures refused its inputs.*\(3, 1, 6, 5\).*conv: Conv2d"):
        opened(model, "conv", X[:, :1])
    with pytest.raises(ForwardError, match="Pictures refused its inputs"):
        Section(model, end=resolve_layers(model, "conv"))(X[:, :1])


class Fails(nn.Module):
    """``net`` that raises something in its n-th call, after everything else has happened."""

    def __init__(self, error: BaseException, at: int = 1) -> None:
        super().__init__()
        self.net, self.error, self.left = pictures(), error, [at]

    def forward(self, x: Tensor) -> Tensor:
        out = self.net(x)
        self.left[0] -= 1
        if self.left[0] == 0:
            raise self.error
        return out


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_exceptions_leave_nothing_behind(error: BaseException, at: int) -> None:
    model = Fails(error, at)
    before = Snapshot(model.net, (X,))
    with pytest.raises(type(error)):  # noqa: PT012  it may come in any of these
        found = opened(model, "net.block", X)
        while True:
            again(found)
    before.check()


def test_what_does_not_fit_into_memory_is_opened_in_parts() -> None:
    class Small(nn.Module):
        def __init__(self, most: int) -> None:
            super().__init__()
            self.net, self.most = pictures(), most

        def forward(self, x: Tensor) -> Tensor:
            out = self.net(x)
            if len(x) > self.most:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            return out

    x = draw(5, 2, 6, 5)
    expected = opened(pictures(), "block", x)
    for most in (1, 2, 5):
        model = Small(most)
        before = Snapshot(model, (x,))
        found = opened(model, "net.block", x)
        before.check()
        assert_same(found.examples.tensors, expected.examples.tensors, atol=1e-14)
        assert_same(again(found, 1, slice(1, 2), 0.5), again(expected, 1, slice(1, 2), 0.5), atol=1e-13)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        opened(Small(0), "net.block", x)


def test_a_cancelled_call_does_not_begin() -> None:
    class Set:
        def is_set(self) -> bool:
            return True

    model = pictures()
    count = Count(model)
    with attriscope.control(cancel=Set()), pytest.raises(attriscope.Cancelled):
        opened(model, "conv", X)
    assert count.runs["conv"] == 0


def test_sections_do_not_keep_a_model_alive() -> None:
    model = pictures()
    there = weakref.ref(model)
    found = opened(model, model, X)
    again(found)
    Section(model, end=resolve_layers(model, model))(X)
    del model, found
    gc.collect()
    assert there() is None
