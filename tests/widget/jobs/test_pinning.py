"""Maps that are kept: the list of them, which are looked at, and one minus another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import traitlets

from attriscope import Explorer
from attriscope.widget.export import colours, figure
from attriscope.widget.export.difference import difference, why_not
from attriscope.widget.jobs import pinning
from attriscope.widget.state.selection import ChoiceError
from widget.helpers import Make, assert_consistent, from_page


def ids(explorer: Explorer) -> list[int]:
    return [pin["id"] for pin in explorer.pinned]


@pytest.fixture
def two(make: Make) -> Explorer:
    """Saliency is pinned first, the gradient times the input second, and on show."""
    explorer = make(target=1, method="Saliency").wait().pin().wait()
    explorer.method = "InputXGradient"
    return explorer.pin().wait()


def test_pins_are_added_oldest_first_and_the_newest_is_looked_at(two: Explorer) -> None:
    assert ids(two) == [1, 2]
    assert [pin["title"] for pin in two.pinned] == [pin["heat"]["title"] for pin in two.pinned]
    assert "Saliency" in two.pinned[0]["title"]
    assert two.pinned[1]["heat"] is two.heat
    assert two.pinned[1]["picture"] is two.picture
    assert two.beside == [2]
    assert_consistent(two)


def test_the_same_map_is_not_pinned_twice_but_looked_at(two: Explorer) -> None:
    two.method = "Saliency"
    two.wait().pin().wait()
    assert ids(two) == [1, 2]
    assert two.beside == [1]


def test_a_map_that_is_ready_is_pinned_before_anything_else_is_asked(two: Explorer) -> None:
    two.unpin()
    title = two.heat["title"]
    two.pin()
    assert [one["title"] for one in two.pinned] == [title]
    assert two.beside == [two.pinned[0]["id"]]
    two.baseline = "white"
    two.wait()
    assert [one["title"] for one in two.pinned] == [title]
    with torch.no_grad():
        two._explained.model.first.weight.add_(
            1
        )  # of other weights it is no longer the map of what is chosen
    two.pin().wait()
    assert len(two.pinned) == 2
    assert two.pinned[1]["heat"] == two.heat


def test_one_pin_or_all_of_them_are_let_go(two: Explorer) -> None:
    two.beside = [2, 1]
    assert two.unpin(2) is two
    assert (ids(two), two.beside) == ([1], [1])
    two._handle_custom_msg({"type": "unpin", "pin": 5}, [])  # from a page that is late
    assert ids(two) == [1]
    two.method = "Saliency"
    two.target = 2
    two.pin().wait()
    assert ids(two) == [1, 2]
    two._handle_custom_msg({"type": "unpin", "pin": 1}, [])
    assert (ids(two), two.beside) == ([2], [2])
    two.unpin()
    assert (two.pinned, two.beside) == ([], [])


def test_who_lets_go_of_what_is_not_there_is_told(two: Explorer) -> None:
    with pytest.raises(ChoiceError, match="pin must be the number of a pin, but 7 came; there are 1, 2"):
        two.unpin(7)
    assert ids(two) == [1, 2]
    two.unpin()
    with pytest.raises(
        ChoiceError, match="pin must be the number of a pin, but True came; nothing is pinned"
    ):
        two.unpin(True)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([3], "each in beside must be the number of a pin, but 3 came; there are 1, 2"),
        ([True], "but True came"),
        ([[1]], "number of a pin"),
        ([1, 2, 1], "beside must be a list of at most two numbers of pins"),
        (1, "beside must be a list of at most two numbers of pins, but 1 came"),
        (None, "beside must be a list of at most two numbers of pins, but None came"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(two: Explorer, value: Any, words: str) -> None:
    with pytest.raises(traitlets.TraitError, match=words):
        two.beside = value
    assert two.beside == [2]
    two.beside = (2, 1)
    assert two.beside == [2, 1]
    two.beside = [1, 1]
    assert two.beside == [1]


def test_the_page_picks_and_is_refused_alike(two: Explorer) -> None:
    from_page(two, beside=[2, 1], compare_as="flicker")
    assert (two.beside, two.compare_as) == ([2, 1], "flicker")
    from_page(two, beside=[9])
    assert two.refused["trait"] == "beside"
    assert two.beside == [2, 1]
    with pytest.raises(traitlets.TraitError, match="compare_as must be one of side, difference, flicker"):
        two.compare_as = "above"


def test_the_oldest_pin_makes_room_and_that_is_said(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinning, "MOST_PINS", 2)
    explorer = make(target=1, method="Saliency").wait().pin().wait()
    oldest = explorer.pinned[0]["title"]
    for target in (2, 3):
        explorer.target = target
        explorer.pin().wait()
    assert ids(explorer) == [2, 3]
    assert f"Let go of the oldest pin: {oldest}" in explorer.message


def test_pins_take_no_more_bytes_than_a_page_can_take_in(
    two: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    heat, picture = two.heat, two.picture
    assert len(heat["data"]) + len(picture["data"]) == 8 * 8 * (4 + 3)
    monkeypatch.setattr(pinning, "MOST_BYTES", 3 * 8 * 8 * 7)
    pins, number, said = pinning.with_pin(two.pinned, {**heat, "title": "third"}, picture)
    assert ([pin["id"] for pin in pins], number, said) == ([1, 2, 3], 3, "")
    pins, number, said = pinning.with_pin(pins, {**heat, "title": "fourth"}, picture)
    assert ([pin["id"] for pin in pins], number) == ([2, 3, 4], 4)
    assert said == f"Let go of the oldest pin: {two.pinned[0]['title']}"
    monkeypatch.setattr(pinning, "MOST_BYTES", 1)
    assert [pin["id"] for pin in pinning.with_pin(pins, {**heat, "title": "fifth"}, picture)[0]] == [4, 5]


def test_a_state_has_no_pins(two: Explorer) -> None:
    two.compare_as = "difference"
    state = two.state()
    assert state["compare_as"] == "difference"
    assert not {"beside", "pinned"} & set(state)
    assert 'compare_as="difference"' in two.code
    assert "beside" not in two.code


def test_a_difference_is_numpys(two: Explorer) -> None:
    first, second = (pin["heat"] for pin in two.pinned)
    second = {**second, "quantity": first["quantity"]}
    left = difference(first, second)
    wanted = np.frombuffer(first["data"], "<f4") - np.frombuffer(second["data"], "<f4")
    np.testing.assert_array_equal(np.frombuffer(left["data"], "<f4"), wanted)
    assert left["title"] == f"{first['title']} − {second['title']}"
    sums = first.get("sum"), second.get("sum")
    assert left.get("sum") == (None if None in sums else sums[0] - sums[1])


def test_what_cannot_be_subtracted_says_why(two: Explorer) -> None:
    first, second = (pin["heat"] for pin in two.pinned)
    assert why_not(first, second) == "the maps are of different quantities"  # a gradient, and a contribution
    assert why_not(first, first) == ""
    assert why_not(first, {**first, "shape": [2, 2]}) == "the maps are of different sizes"
    assert why_not(first, {**first, "pixels": 4.0}) == "the maps are of different sizes"


def test_the_figure_draws_what_is_looked_at(two: Explorer) -> None:
    two.outlier_percent = 0
    first, second = two.pinned
    two.method = "Deconvolution"
    two.wait().beside = [1, 2]
    view = figure.shown(two)
    assert (view.pinned.title, view.title) == (first["title"], second["title"])
    own = [np.abs(colours.values(pin["heat"])).max() for pin in (first, second)]
    assert [view.pinned.scale.limit, view.scale.limit] == own  # a gradient, and a contribution
    np.testing.assert_array_equal(view.drawn, colours.values(second["heat"]))
    two.compare_as = "difference"  # which they do not have
    assert figure.shown(two).title == second["title"]
    two.beside = [1]  # a gradient, as is the map on show
    view = figure.shown(two)
    assert view.pinned is None
    wanted = (colours.values(two.heat) - colours.values(first["heat"])).astype("<f4")
    np.testing.assert_array_equal(view.drawn, wanted)
    assert view.scale.limit == np.abs(wanted).max()
    assert len(two.figure().axes) == 2  # the map and its colours
    two.compare_as = "side"
    view = figure.shown(two)
    assert (view.pinned.title, view.title) == (first["title"], two.heat["title"])
    assert view.scale.limit == view.pinned.scale.limit  # both are gradients
    two.beside = []
    assert figure.shown(two).pinned is None
