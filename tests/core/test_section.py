"""Parts of a model as functions: what is computed, what is not, and that both come to the same."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from attriscope.core.errors import LayerError
from attriscope.core.hooks import Call, module_of, resolve_layers
from attriscope.core.section import Section
from models import Snapshot, assert_same, draw, pictures
from sections import Count, loop, opened

X = draw(3, 2, 6, 5)


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
