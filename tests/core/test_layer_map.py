"""The map of a model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import attriscope
from attriscope.core.errors import InputTypeError
from attriscope.core.layer_map import LayerInfo, map_layers
from models import Snapshot, draw, elsewhere, pictures

X = draw(2, 2, 6, 5)


class Structured(nn.Module):
    def forward(self, x: Any) -> Any:
        return x, None


def test_the_map_of_a_model() -> None:
    shared = nn.ReLU()
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 4), shared), nn.Linear(4, 2), shared, Structured())
    x = torch.ones(5, 3)
    assert list(map_layers(model, lambda: model(x))) == [
        LayerInfo("", "Sequential", 0, 26, (5, 2), 1, ((5, 3),), 0, 40, 5, (5, 2), True, False, 1, "0.1", 6),
        LayerInfo("0", "Sequential", 1, 16, (5, 4), 1, ((5, 3),), 0, 80, 2, (5, 4), True, False, 1, None, 2),
        LayerInfo("0.0", "Linear", 2, 16, (5, 4), 1, ((5, 3),), 0, 80, 0, (5, 4), True, False, 1, None, 0),
        LayerInfo("0.1", "ReLU", 2, 0, (5, 4), 2, ((5, 4),), 0, 120, 1, (5, 2), True, False, 1, None, 4),
        LayerInfo("1", "Linear", 1, 10, (5, 2), 1, ((5, 4),), 0, 40, 3, (5, 2), True, False, 1, None, 3),
        LayerInfo("3", "Structured", 1, 0, (5, 2), 1, ((5, 2),), 0, 40, 4, (5, 2), True, False, 1, "0.1", 5),
    ]


def test_the_map_names_layers_that_did_not_run() -> None:
    model = pictures()
    info = {layer.name: layer for layer in map_layers(model, lambda: model(X))}
    assert (info["unused"].shape, info["unused"].calls) == (None, 0)
    assert info["block"].shape == (2, 3, 6, 5)
    unused = info["unused"]
    assert (unused.order, unused.latest, unused.floating, unused.tensors) == (None, None, False, 0)


def test_the_order_is_that_in_which_modules_are_done_whatever_the_order_of_the_tree() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last, self.first = nn.Linear(3, 2), nn.Sequential(nn.ReLU(), nn.Linear(3, 3))

        def forward(self, x: Any) -> Any:
            return self.last(self.first(self.first(x)))

    model = Backwards().double()
    found = map_layers(model, lambda: model(draw(2, 3)))
    by_order = sorted(found, key=lambda row: row.order)
    assert [row.name for row in by_order] == ["first.0", "first.1", "first", "last", ""]
    assert [row.order for row in by_order] == list(range(5))


class Many(nn.Module):
    """Hands on whatever it gets."""

    def forward(self, *values: Any) -> Any:
        return values[0] if len(values) == 1 else values


@pytest.mark.parametrize(
    ("value", "floating", "tensors"),
    [
        ((X,), True, 1),
        ((X.half(),), True, 1),
        ((X.long(),), False, 1),
        ((X > 0,), False, 1),
        ((X.cfloat(),), False, 1),
        ((X, X.long(), None), True, 2),
        ((X.long(), X), False, 2),
        (("text",), False, 0),
        (({"a": X, "b": [X, X]},), True, 3),
    ],
)
def test_the_map_says_what_kind_of_numbers_and_how_many_tensors_came(
    value: tuple[Any, ...], floating: bool, tensors: int
) -> None:
    model = Many()
    (row,) = map_layers(model, lambda: model(*value))
    assert (row.floating, row.tensors) == (floating, tensors)


SOFT = torch.softmax(draw(2, 3, 4, 5), -1)


@pytest.mark.parametrize(
    ("value", "weighs"),
    [
        (SOFT, True),
        (SOFT.bfloat16(), True),  # whose rows add up to 1 only nearly
        (torch.eye(4).expand(1, 2, 4, 4), True),
        (SOFT.transpose(2, 3), False),
        (SOFT * 1.1, False),
        (SOFT - 0.1, False),
        (draw(2, 3, 4, 5).relu(), False),
        (torch.softmax(draw(2, 3, 4, 5), 1), False),
        (torch.ones(2, 3, 4, 1), False),  # a column of ones is no choice between keys
        (SOFT[:0], False),
        (SOFT[0], False),
        (SOFT.to("meta"), False),
        (torch.full((1, 1, 2, 2), float("nan")), False),
        (torch.eye(4).expand(1, 2, 4, 4).long(), False),
    ],
)
def test_weights_of_attention_are_told_from_maps_by_their_rows(value: Any, weighs: bool) -> None:
    model = Many()
    (row,) = map_layers(model, lambda: model(value))
    assert row.weighs is weighs


def test_of_a_module_that_runs_at_several_sizes_both_ends_are_told() -> None:
    """Methods read the last call, a person reads the first one."""
    model = Many()
    (row,) = map_layers(model, lambda: (model(SOFT), model(X.long(), X))[1])
    assert (row.shape, row.latest, row.calls) == ((2, 3, 4, 5), (2, 2, 6, 5), 2)
    assert (row.floating, row.weighs, row.tensors) == (False, False, 2)


def test_the_map_does_not_depend_on_the_default_device() -> None:
    model = pictures()
    with elsewhere():
        found = list(map_layers(model, lambda: model(X)))
    assert found == list(map_layers(model, lambda: model(X)))


@pytest.mark.parametrize("fails", [False, True])
def test_making_the_map_leaves_no_trace(fails: bool) -> None:
    model = pictures().train()
    before = Snapshot(model.bn, (X,))

    def forward() -> Any:
        model(X)
        if fails:
            raise ZeroDivisionError

    torch.manual_seed(0)  # what dropout draws in training mode is the model's own business
    state = torch.get_rng_state()
    if fails:
        with pytest.raises(ZeroDivisionError):
            map_layers(model, forward)
    else:
        map_layers(model, forward)
    torch.set_rng_state(state)
    before.before["world"]["torch's random state"] = state
    before.check()
    assert not any(m._forward_hooks for m in model.modules())


def test_a_person_reads_the_map_in_a_terminal_and_in_a_notebook() -> None:
    found = attriscope.layers(pictures(), X)
    lines = str(found).splitlines()
    assert lines[0].split() == ["layer", "kind", "parameters", "input", "output", "calls", "time", "memory"]
    conv = next(line for line in lines if line.lstrip().startswith("conv "))
    assert all(word in conv for word in ("Conv2d", "57", "2 x 2 x 6 x 5", "2 x 3 x 6 x 5", "ms"))
    assert next(line for line in lines if "unused" in line).rstrip().endswith("not run")
    assert found["conv"].inputs == ((2, 2, 6, 5),)
    assert found["conv"].seconds > 0
    with pytest.raises(KeyError, match="cnov"):
        found["cnov"]


def test_names_of_layers_are_text() -> None:
    model = nn.Module()
    model.add_module("<img src=x onerror=alert(1)>", nn.Identity())
    model.forward = lambda x: x  # type: ignore[method-assign]
    shown = attriscope.layers(model, X)._repr_html_()
    assert "<img" not in shown
    assert "&lt;img" in shown


def test_the_map_of_something_else_is_refused() -> None:
    with pytest.raises(InputTypeError, match=r"torch\.nn\.Module, but <function"):
        attriscope.layers(lambda x: x, X)


def test_what_hands_on_a_tensor_names_the_layer_that_made_it() -> None:
    """Whatever hands it on, and only as long as nothing changes it."""

    class Skipped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.drop, self.act = (
                nn.Sequential(nn.Linear(3, 3), nn.Identity()),
                nn.Dropout(),
                nn.ReLU(True),
            )
            self.copy = Copy()

        def forward(self, x: Any) -> Any:
            return self.copy(self.act(self.drop(self.inner(x))))

    class Copy(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.clone()

    model = Skipped().double().eval()
    found = {row.name: row.same_as for row in map_layers(model, lambda: model(draw(2, 3)))}
    assert found == {
        "": "copy",
        "inner": "inner.0",
        "inner.0": None,
        "inner.1": "inner.0",
        "drop": "inner.0",
        "act": None,  # the same tensor, but with other values
        "copy": None,  # the same values, in this pass
    }


def test_of_a_layer_that_runs_again_the_last_output_counts() -> None:
    class Again(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act, self.first, self.last = nn.ReLU(), nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: Any) -> Any:
            return self.act(self.last(self.act(self.first(x))))

    model = nn.Sequential(Again().double(), nn.Identity())
    found = {row.name: row for row in map_layers(model, lambda: model(draw(2, 3)))}
    same = {name: row.same_as for name, row in found.items()}
    assert same == {"": "0.act", "0": "0.act", "0.act": None, "0.first": None, "0.last": None, "1": "0.act"}
    order = sorted(found, key=lambda name: found[name].latest_order)
    assert order == ["0.first", "0.last", "0.act", "0", "1", ""]


def test_tensors_that_do_not_count_their_changes_are_nobody_elses() -> None:
    class Inferred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Sequential(nn.Linear(3, 3), nn.ReLU(True))

        def forward(self, x: Any) -> Any:
            with torch.inference_mode():
                return self.one(x)

    model = Inferred().double()
    assert [row.same_as for row in map_layers(model, lambda: model(draw(2, 3)))] == [None] * 4
