"""Several things asked of one map: all of them happen, in the order in which they were asked for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope import Explorer
from widget.helpers import Gate, Make, Opaque, TwoLayers, assert_consistent, from_page

METHODS = ["Saliency", "InputXGradient"]


def told(explorer: Explorer) -> list[str]:
    """What an Explorer says of, in the order in which it is ready; how it is, too."""
    said: list[str] = []

    def note(change: Any) -> None:
        new = change["new"]
        if change["name"] == "status":
            said.append(new)
        elif change["name"] == "pinned":
            said.append(f"{len(new)} pinned")
        elif new.get("final"):
            said.append(change["name"])

    explorer.observe(note, ["status", "comparison", "checks", "pinned", "heat"])
    return said


def test_a_comparison_and_a_check_in_one_line_both_happen(make: Make) -> None:
    explorer = make(target=2, method="InputXGradient").wait()
    heat, said = explorer.heat, told(explorer)
    explorer.compare(METHODS, metrics=["sparseness"]).check(draws=1).pin().wait()
    assert said == ["running", "comparison", "checks", "1 pinned", "idle"]
    assert explorer.comparison_table.methods == tuple(METHODS)
    assert set(explorer.check_results) == {"complete", "learned", "stable"}
    assert explorer.heat is heat
    assert (explorer.progress, explorer.message) == (1.0, "")
    assert_consistent(explorer)


def test_they_wait_for_the_map_and_do_not_begin_it_anew(make: Make, model: TwoLayers) -> None:
    gate = Gate()
    model.before = gate
    explorer = make(method="Saliency")  # for the class that is found
    said = told(explorer)
    assert gate.reached.wait(20)
    explorer.check(draws=1).compare(METHODS, metrics=["sparseness"])
    gate.open.set()
    explorer.wait()
    assert said == ["heat", "checks", "comparison", "idle"]
    assert isinstance(explorer.target, int)
    assert explorer.checks["request"]["target"] == explorer.target
    assert explorer.comparison["request"]["target"] == explorer.target
    assert_consistent(explorer)


def test_of_another_example_it_is_the_class_predicted_of_that(model: TwoLayers) -> None:
    images = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(4)) * torch.linspace(
        -3, 3, 6
    ).reshape(-1, 1, 1, 1)
    best = model(images).argmax(1).tolist()
    other = next(i for i in range(1, 6) if best[i] != best[0])
    explorer = Explorer(model, images, method="Saliency").wait()
    gate = Gate()
    model.before = gate
    explorer.example = other
    assert gate.reached.wait(20)
    explorer.check(draws=1)
    gate.open.set()
    assert explorer.wait().checks["request"]["target"] == best[other]
    assert_consistent(explorer)


@pytest.mark.parametrize("end", ["choice", "cancel", "recompute", "error"])
def test_another_choice_cancel_or_an_error_ends_all_of_it(make: Make, model: TwoLayers, end: str) -> None:
    explorer = make(target=2, method="Saliency").wait()
    gate = Gate()

    def refuse(x: Tensor) -> None:
        gate(x)
        if end == "error":
            raise MemoryError("no more")

    model.before = refuse
    explorer.compare(METHODS, metrics=["deletion"]).check(draws=1).pin()
    assert gate.reached.wait(20)
    if end == "choice":
        from_page(explorer, target=3)
    elif end != "error":
        getattr(explorer, end)()
    gate.open.set()
    if end == "error":
        with pytest.raises(MemoryError):
            explorer.wait()
    else:
        explorer.wait()
    assert explorer.status == {"cancel": "cancelled", "error": "error"}.get(end, "idle")
    assert explorer.comparison_table is None
    assert explorer.check_results == {}
    assert explorer.pinned == []
    if end == "choice":
        assert explorer.heat["request"]["target"] == 3
    model.before = lambda x: None
    assert len(explorer.pin().wait().pinned) == 1
    assert explorer.status == "idle"


def test_the_latest_of_a_kind_wins(make: Make, model: TwoLayers) -> None:
    explorer = make(target=2, method="Saliency").wait()
    gate = Gate()
    model.before = gate
    explorer.compare(METHODS, metrics=["deletion"])
    assert gate.reached.wait(20)
    said = told(explorer)
    explorer.check(draws=1).compare(METHODS[:1], metrics=["sparseness"])
    gate.open.set()
    explorer.wait()
    assert said == ["checks", "comparison", "idle"]
    assert explorer.comparison_table.methods == ("Saliency",)


def test_what_the_map_had_to_say_is_said_at_the_end(explore: Any, image: Tensor) -> None:
    explorer = explore(
        Opaque().eval(), image, method="FeatureAblation", settings={"FeatureAblation": {"cells": 2}}
    )
    explorer.check(draws=1).pin().wait()
    assert explorer.message.startswith("No path")
    assert explorer.message.count("No path") == 1
    assert explorer.check().wait().message == ""  # nothing was said of this


def test_a_region_is_covered_whatever_else_is_to_come(make: Make, model: TwoLayers) -> None:
    explorer = make(target=2, method="InputXGradient").wait()
    gate = Gate()
    model.before = gate
    explorer.compare(METHODS, metrics=["deletion"]).check(draws=1)
    assert gate.reached.wait(20)
    explorer.selection = {"kind": "box", "box": [2, 2, 5, 5]}
    gate.open.set()
    explorer.wait()
    assert isinstance(explorer.covered["cost"], float)
    assert explorer.comparison["final"]
    assert explorer.checks["final"]
    assert_consistent(explorer)
