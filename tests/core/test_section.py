"""Parts of a model as functions: what is computed, what is not, and that both come to the same."""

from __future__ import annotations

import dataclasses
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import attriscope
from attriscope.core.errors import ForwardError, InputError, LayerError
from attriscope.core.hooks import Call, module_of, resolve_layers
from attriscope.core.inputs import gather_examples
from attriscope.core.section import Section
from attriscope.core.section_start import OpenedSection, open_section
from models import Snapshot, assert_same, draw, mlp, pictures, with_drawn_parameters

X = draw(3, 2, 6, 5)


def opened(
    model: Any, layer: Any, inputs: Any, *arguments: Any, at_input: bool = False, **options: Any
) -> OpenedSection:
    site = resolve_layers(model, layer, at_input)
    return open_section(Section(model, site), gather_examples(inputs, arguments or None), **options)


def again(found: OpenedSection, steps: int = 1, part: slice | None = None, change: float = 0.0) -> Any:
    """Run the section for copies of some of the examples, with something added to the values."""
    part = part or slice(0, found.examples.count)
    values = (t.repeat(steps, *[1] * (t.dim() - 1)) + change for t in found.examples.slices(part))
    return found.forward(*values, *found.examples.forward_arguments(steps, part))


class Count:
    """How often the modules of a model run."""

    def __init__(self, model: nn.Module) -> None:
        self.runs: dict[str, int] = {name: 0 for name, _ in model.named_modules()}
        for name, module in model.named_modules():
            own = module.forward

            def forward(*args: Any, own: Any = own, name: str = name, **kwargs: Any) -> Any:
                self.runs[name] += 1
                return own(*args, **kwargs)

            module.forward = forward  # type: ignore[method-assign]


# --- ends -----------------------------------------------------------------------------------------------------


def test_a_section_that_ends_at_a_layer_gives_what_the_layer_gives() -> None:
    model = pictures()
    before = Snapshot(model, (X,))
    for layer, at_input, expected in (
        ("conv", False, model.conv(X)),
        ("bn", True, model.conv(X)),
        ("fc", False, model(X)),
    ):
        section = Section(model, end=resolve_layers(model, layer, at_input))
        for _ in range(3):
            assert_same(section(X), expected)
    before.check()


def test_nothing_runs_after_the_end() -> None:
    """The first pass of a model on inputs of a shape goes on: it tells whether the layer runs again."""
    model = pictures()
    count = Count(model)
    Section(model, end=resolve_layers(model, "bn"))(X)
    assert count.runs["fc"] == 1
    for rows in (1, 3, 2):
        Section(model, end=resolve_layers(model, "bn"))(X[:rows])
    assert count.runs["bn"] == 4
    assert (count.runs["fc"], count.runs["relu"]) == (1, 1)
    Section(model, end=resolve_layers(model, Call("conv", 0)))(X)
    assert count.runs["fc"] == 1, "the first call is named, so that there is nothing to find out"


class Loop(nn.Module):
    """Runs ``cell`` as often as ``times`` says."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor, times: int = 3) -> Tensor:
        for _ in range(times):
            x = self.cell(x).tanh()
        return self.head(x)


def loop() -> Any:
    return with_drawn_parameters(Loop()).double()


def test_calls_of_a_layer_that_runs_several_times() -> None:
    model, x = loop(), draw(2, 4)
    steps = [model.cell(x)]
    for _ in range(2):
        steps.append(model.cell(steps[-1].tanh()))

    def ends(layer: Any, *args: Any) -> Any:
        return Section(model, end=resolve_layers(model, layer))(x, *args)

    for _ in range(2):
        assert_same(ends("cell"), steps[2])
        assert_same(ends(Call("cell", 0)), steps[0])
        assert_same(ends(Call("cell", 1)), steps[1])
        assert_same(ends(Call("cell", -2)), steps[1])
        assert_same(ends(Call("cell", None)), tuple(steps))
        # What was seen with other arguments, or of another shape, says nothing.
        assert_same(ends("cell", 1), steps[0])
        assert_same(ends("cell", 2), steps[1])
    with pytest.raises(LayerError, match=r"'cell' has no call 3: it ran 3 time\(s\)"):
        ends(Call("cell", 3))


def test_a_model_that_was_changed_is_looked_at_again() -> None:
    model, x = nn.Sequential(nn.Linear(4, 4), nn.Tanh()).double(), draw(2, 4)
    end = resolve_layers(model, "0")
    assert_same(Section(model, end=end)(x), model[0](x))
    model.append(model[0])
    assert_same(Section(model, end=end)(x), model(x))


def test_a_layer_that_never_ran_is_an_error_that_names_those_that_did() -> None:
    model = pictures()
    before = Snapshot(model, (X,))
    with pytest.raises(LayerError, match=r"'unused' did not run.*the layers that ran are 'conv', 'bn'"):
        Section(model, end=resolve_layers(model, "unused"))(X)
    with pytest.raises(LayerError, match=r"'unused' did not run.*the layers that ran are 'conv', 'bn'"):
        opened(model, "unused", X)
    before.check()


def test_a_section_of_a_section_belongs_to_the_model() -> None:
    model = pictures()
    outer = opened(model, "conv", X).forward
    inner = Section(outer, end=resolve_layers(outer, "block"))
    assert module_of(inner) is module_of(outer) is model


# --- starts -------------------------------------------------------------------------------------------------------

LAYERS = ("conv", "bn", "relu", "drop", "block", "pool", "fc")


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


# --- where resuming would be wrong ----------------------------------------------------------------------------


class Bypass(nn.Module):
    """The input goes around the layer, too, by way of a module and a function."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.layer, self.aside = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        aside = self.aside(x).exp()
        return self.layer(self.before(x).sin()) * aside + x.cumsum(1)


class SequenceFirst(nn.Module):
    """A recurrent net that wants time in dimension 0, as torch's do by default."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.layer = nn.GRU(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        out, last = self.rnn(x.transpose(0, 1))
        return self.layer((out[-1] + last[0]).tanh())


class ByBatch(nn.Module):
    """What a module gives belongs to no example, but may be as long as there are examples."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.layer = nn.Embedding(3, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        prototypes = self.table(torch.arange(3))
        return self.layer(x) + prototypes.cumsum(0)[-1] + (self.layer.weight[0] * prototypes.mean(0)).sum()


class Weights(nn.Module):
    """A module makes the weights of what comes later: four of them, which may be as many as there are examples."""

    def __init__(self) -> None:
        super().__init__()
        self.maker, self.layer = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.layer(x), self.maker(torch.eye(4, dtype=x.dtype)))


class InPlace(nn.Module):
    """A module changes what it is given, and its result is thrown away."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.act, self.layer = nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.before(x)
        self.act(y)
        return self.layer(y).add_(y).mul_(2)


class Shared(nn.Module):
    """One module before and after the layer, and once inside another."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Linear(4, 4)
        self.layer = nn.Linear(4, 4)
        self.last = nn.Sequential(self.twice, nn.Tanh(), self.twice)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(self.twice(self.twice(x)).tanh()) + x)


class Remembers(nn.Module):
    """A module leaves something for a later one, beside what it gives."""

    class Leaves(nn.Module):
        left: Tensor

        def forward(self, x: Tensor) -> Tensor:
            self.left = x.sin()
            return x.cos()

    def __init__(self) -> None:
        super().__init__()
        self.leaves, self.layer = Remembers.Leaves(), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.leaves(x)) * self.leaves.left


class Mixed(nn.Module):
    """Dropout and batch statistics, which are drawn and taken anew in each pass."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.norm, self.layer = nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.norm(self.before(x))) - self.norm(x)


class Opaque(nn.Module):
    """A module gives something that is no container of tensors."""

    class Box:
        def __init__(self, x: Tensor) -> None:
            self.x = x

    class Boxes(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return Opaque.Box(x.sin()), x

    def __init__(self) -> None:
        super().__init__()
        self.boxes, self.layer = Opaque.Boxes(), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        box, y = self.boxes(x)
        return self.layer(y) * box.x


class Keyword(nn.Module):
    """Layers called by keyword, with something that is no tensor among what they give."""

    class Part(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, *, hidden: Tensor, scale: float = 1.0) -> dict[str, Any]:
            return {"hidden": self.inner(hidden) * scale, "attention": None, "kind": "plain"}

    def __init__(self) -> None:
        super().__init__()
        self.before, self.layer = Keyword.Part(), Keyword.Part()

    def forward(self, x: Tensor) -> Tensor:
        made = self.before(hidden=x, scale=2.0)
        assert made["kind"] == "plain"
        return self.layer(hidden=made["hidden"])["hidden"] + made["hidden"]


AWKWARD: dict[str, Callable[[], nn.Module]] = {
    kind.__name__: kind
    for kind in (
        Bypass, ByBatch, Weights, InPlace, Shared, Remembers, Mixed, Opaque, Keyword,
    )
}  # fmt: skip


@pytest.mark.parametrize("count", [1, 3, 4])
@pytest.mark.parametrize("at_input", [False, True])
@pytest.mark.parametrize("name", AWKWARD)
def test_resuming_changes_no_number(name: str, at_input: bool, count: int) -> None:
    """Compared with a hook that puts the values in, one example after the other."""
    model: Any = with_drawn_parameters(AWKWARD[name]()).double()
    x = draw(count, 4)
    # Something a model may leave behind in its modules is its own.
    before = None if name == "Remembers" else Snapshot(model, (x,))
    found = opened(model, "layer", x, at_input=at_input)
    for steps, part in ((1, slice(0, count)), (3, slice(0, count)), (1, slice(0, 1))):
        expected = [slow(model, one[None], at_input, 0.25) for one in x[part]]
        assert_same(again(found, steps, part, 0.25), torch.cat(expected * steps), atol=1e-12)
    if before is not None:
        before.check()


def slow(model: Any, x: Tensor, at_input: bool, change: float) -> Tensor:
    def add(value: Any) -> Any:
        return {**value, "hidden": value["hidden"] + change} if isinstance(value, dict) else value + change

    def before(module: nn.Module, args: Any, kwargs: Any) -> Any:
        return (tuple(map(add, args)), add(kwargs) if kwargs else kwargs)

    if at_input:
        handle = model.layer.register_forward_pre_hook(before, with_kwargs=True)
    else:
        handle = model.layer.register_forward_hook(lambda module, args, output: add(output))
    try:
        return model(x.clone()).detach()
    finally:
        handle.remove()


def test_time_first() -> None:
    """Dimension 0 of what the recurrent net gives is time; three steps of three examples look like examples."""
    model: Any = with_drawn_parameters(SequenceFirst()).double()
    x = draw(3, 3, 4)
    found = opened(model, "layer", x)
    assert_same(again(found, 2), model(x).repeat(2, 1), atol=1e-13)
    assert_same(again(found, 1, slice(1, 2)), model(x)[1:2], atol=1e-13)
    with pytest.raises(
        LayerError, match=r"'rnn' are tensors of shape \(3, 2, 4\), \(1, 2, 4\).*the 2 example"
    ):
        opened(model, "rnn", x[:2])


def test_training_mode_draws_anew() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 4), nn.Linear(4, 2)).double().train()
    count = Count(model)
    found = opened(model, "2", draw(3, 4))
    before = count.runs["1"]
    again(found)
    assert count.runs["1"] == before + 1
    model.eval()
    found = opened(model, "2", draw(3, 4))
    before = count.runs["1"]
    again(found)
    assert count.runs["1"] == before


def test_a_model_that_works_in_place_on_its_inputs_leaves_the_callers() -> None:
    class Doubles(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Identity()

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.layer(x.mul_(2)) + y.add_(1)

    x, y = draw(3, 4), draw(3, 4, seed=2)
    before = Snapshot(None, (x, y))
    found = opened(Doubles(), "layer", (x, y))
    for _ in range(2):
        assert_same(again(found), 2 * x + y + 1, atol=1e-14)
    before.check()


def test_user_hooks_are_kept_and_obeyed() -> None:
    model = mlp()
    model.first.register_forward_hook(lambda module, args, output: output * 2)
    model.act.register_forward_hook(lambda module, args, output: output - 1)
    x = draw(3, 4)
    found = opened(model, "act", x)
    before = Snapshot(model, (x,))
    assert_same(again(found, 2), model(x).repeat(2, 1), atol=1e-13)
    assert_same(again(found, change=0.5), model.last(model.first(x).tanh() - 1 + 0.5), atol=1e-13)
    before.check()


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 99), st.sampled_from([*LAYERS]), st.booleans())
def test_any_number_of_examples_and_copies(
    count: int, steps: int, seed: int, layer: str, at_input: bool
) -> None:
    model, x = pictures(), draw(count, 2, 6, 5, seed=seed)
    found = opened(model, layer, x, at_input=at_input)
    assert_same(again(found, steps), model(x).repeat(steps, 1), atol=1e-12)


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
