"""What came before a layer is given again only where that changes no number: models made to catch it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from models import Snapshot, assert_same, draw, mlp, pictures, with_drawn_parameters
from sections import Count, again, opened

LAYERS = ("conv", "bn", "relu", "drop", "block", "pool", "fc")


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
    found = opened(model, "rnn", x[:2])
    assert [t.shape for t in found.examples.tensors] == [(2, 3, 4), (2, 1, 4)]
    assert_same(again(found, 2), model(x[:2]).repeat(2, 1), atol=1e-13)


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
