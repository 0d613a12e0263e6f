"""The methods' own parameters: read from signatures, checked, and honoured."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope.attr import IntegratedGradients, KernelShap, NoiseTunnel, Saliency
from attriscope.widget.methods.catalogue import INPUT_METHODS
from attriscope.widget.methods.parameters import argument_docs, plain
from attriscope.widget.methods.registry import MethodRegistry
from attriscope.widget.state.selection import ChoiceError
from widget.helpers import Make, TwoLayers, from_page


@pytest.fixture(scope="module")
def menu() -> MethodRegistry:
    return MethodRegistry(torch.rand(2, 3, 40, 60, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("name", list(INPUT_METHODS))
def test_every_parameter_is_one_of_the_method_and_explained(menu: MethodRegistry, name: str) -> None:
    method = INPUT_METHODS[name].method
    known = {*inspect.signature(method.attribute).parameters, *inspect.signature(method).parameters}
    for parameter in menu.parameters[name].values():
        assert parameter.name in known or parameter.home == "own" or name == "NoiseTunnel"
        assert parameter.doc
        assert "`" not in parameter.doc
        if parameter.default != parameter.usual:  # what is the default there is not the one here
            assert "(default)" not in parameter.doc
        assert parameter.check(parameter.default) == parameter.default
        message = parameter.message
        assert set(message) == {"name", "label", "kind", "value", "min", "max", "choices", "doc"}


def test_what_a_person_would_look_for_is_there(menu: MethodRegistry) -> None:
    steps = menu.parameters["IntegratedGradients"]["n_steps"].message
    assert (steps["kind"], steps["value"], steps["min"], steps["label"]) == ("int", 50, 1, "Steps")
    assert steps["doc"] == "how many points on the path are evaluated per example."
    rule = menu.parameters["IntegratedGradients"]["method"].message
    assert rule["kind"] == "choice"
    assert rule["choices"] == [
        "gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid"
    ]  # fmt: skip
    smooth = menu.parameters["NoiseTunnel"]
    assert {p.name: p.kind for p in smooth.values()} == {
        "abs": "bool", "nt_type": "choice", "nt_samples": "int", "stdevs": "float"
    }  # fmt: skip
    assert smooth["stdevs"].default == pytest.approx(0.15, rel=0.01)
    assert menu.parameters["Occlusion"]["window"].default == 5
    assert menu.parameters["Saliency"]["abs"].default is False
    assert menu.parameters["ShapleyValues"]["cells"].most == 4


def test_settings_reach_the_method(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=1, method="NoiseTunnel")
    explorer.settings = {"NoiseTunnel": {"nt_samples": 7, "stdevs": 0.5, "nt_type": "vargrad", "abs": True}}
    explorer.wait()
    wanted = NoiseTunnel(Saliency(model)).attribute(
        image, nt_type="vargrad", nt_samples=7, stdevs=0.5, target=1, abs=True,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    torch.testing.assert_close(explorer.attributions, wanted)
    assert explorer.heat["request"]["settings"] == explorer.settings["NoiseTunnel"]


def test_settings_of_the_path_hold_for_the_path_under_any_method(make: Make) -> None:
    explorer = make(target=1, method="Saliency").wait()
    assert len(explorer.path["alphas"]) == 10
    explorer.settings = {"IntegratedGradients": {"n_steps": 20}}
    explorer.wait()
    assert len(explorer.path["alphas"]) == 22
    assert explorer.heat["request"]["settings"] == {}


def test_defaults_are_dropped_so_that_only_changes_are_kept(make: Make) -> None:
    explorer = make(target=1).wait()
    explorer.settings = {"IntegratedGradients": {"n_steps": 50}, "Saliency": {}, "Lime": {"n_samples": 30.0}}
    assert explorer.settings == {"Lime": {"n_samples": 30}}
    assert isinstance(explorer.settings["Lime"]["n_samples"], int)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([], "a dict by method"),
        ({"Magic": {}}, "'Magic'"),
        ({3: {}}, "but 3 came"),
        ({"Saliency": 3}, "dict by parameter, but 3"),
        ({"Saliency": {"n_steps": 3}}, r"no parameter 'n_steps'; it has abs"),
        ({"IntegratedGradients": {"n_steps": 0}}, "n_steps must be a whole number of at least 1, but 0"),
        ({"IntegratedGradients": {"n_steps": 10**9}}, "at most 1000"),
        ({"IntegratedGradients": {"n_steps": 10**400}}, "n_steps must be a whole number"),
        ({"IntegratedGradients": {"n_steps": 2.5}}, r"whole number, but 2\.5"),
        ({"IntegratedGradients": {"n_steps": "50"}}, "'50'"),
        ({"IntegratedGradients": {"n_steps": True}}, "whole number, but True"),
        ({"IntegratedGradients": {"n_steps": math.nan}}, "nan"),
        ({"IntegratedGradients": {"method": "simpson"}}, "one of gausslegendre.*'simpson'"),
        ({"IntegratedGradients": {"method": "riemann_trapezoid", "n_steps": 1}}, "at least 2"),
        ({"Saliency": {"abs": 1}}, "true or false, but 1"),
        ({"NoiseTunnel": {"stdevs": -1}}, "at least 0"),
        ({"ShapleyValues": {"cells": 5}}, "at most 4"),
    ],
)
def test_nonsense_is_refused_with_the_reason_and_nothing_changes(
    make: Make, settings: Any, said: str
) -> None:
    explorer = make(target=1).wait()
    before = explorer.settings
    with pytest.raises(ChoiceError, match=said):
        explorer.settings = settings
    assert explorer.settings == before
    assert explorer.status == "idle"


def test_a_refusal_tells_the_page_which_control_and_why(make: Make) -> None:
    explorer = make(target=1).wait()
    before = explorer.settings
    for count in (1, 2):
        from_page(explorer, settings={"IntegratedGradients": {"n_steps": 0}})
        assert explorer.refused == {
            "trait": "settings",
            "method": "IntegratedGradients",
            "name": "n_steps",
            "value": 0,
            "reason": "n_steps must be a whole number of at least 1, but 0 came",
            "count": count,
        }
    assert explorer.settings == before
    from_page(explorer, settings={"IntegratedGradients": {"n_steps": 5}})
    assert explorer.refused == {}
    assert explorer.wait().heat["request"]["settings"] == {"n_steps": 5}


def test_one_bad_wish_does_not_take_the_good_ones_with_it(make: Make) -> None:
    explorer = make(target=1).wait()
    from_page(explorer, target=3, sign="sideways", opacity=0.2)
    assert (explorer.target, explorer.sign, explorer.opacity) == (3, "all", 0.2)
    assert explorer.refused["trait"] == "sign"
    assert explorer.wait().heat["request"]["target"] == 3


@pytest.mark.parametrize(
    ("method", "name", "once", "twice"),
    [("IntegratedGradients", "n_steps", 16, 32), ("KernelShap", "n_samples", 800, 1600)],
)
def test_refine_doubles_what_is_spent_until_something_else_is_chosen(
    make: Make, model: TwoLayers, image: Tensor, method: str, name: str, once: int, twice: int
) -> None:
    explorer = make(target=1, method=method).wait()
    assert explorer.heat["refinable"]
    assert explorer.refine().wait().effort == 1
    assert f"{name}={once}" in explorer.code
    explorer._handle_custom_msg({"type": "refine"}, [])
    explorer.wait()
    assert f"{name}={twice}" in explorer.code
    assert explorer.heat["request"]["effort"] == 2
    explorer.target = 2
    assert explorer.wait().effort == 0
    assert explorer.heat["request"]["effort"] == 0


def test_refine_makes_the_gap_smaller(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(target=1).wait()
    gap = abs(explorer.heat["gap"])
    for _ in range(4):
        explorer.refine().wait()
    assert abs(explorer.heat["gap"]) < gap / 2
    wanted = IntegratedGradients(model).attribute(image, target=1, n_steps=128)
    torch.testing.assert_close(explorer.attributions, wanted)


def test_there_is_an_end_to_refining(make: Make) -> None:
    explorer = make(target=1, method="Saliency").wait()
    assert not explorer.heat["refinable"]
    with pytest.raises(ChoiceError, match="Saliency has nothing more to spend"):
        explorer.refine()
    explorer._handle_custom_msg({"type": "refine"}, [])
    assert (explorer.effort, explorer.status) == (0, "idle")
    explorer.settings = {"IntegratedGradients": {"n_steps": 1000}}
    assert not explorer._registry.refinable("IntegratedGradients", {"n_steps": 1000}, 0)
    assert explorer._registry.values("KernelShap", {}, 30)["n_samples"] == 100_000
    explorer.cancel()


def test_docs_without_marks() -> None:
    assert (
        plain("see :meth:`~a.b.Saliency.attribute`, ``None``\n  or :func:`f`") == "see attribute, None or f"
    )
    docs = argument_docs(KernelShap.attribute)
    assert "at least 2" in docs["n_samples"]
    docs = argument_docs(IntegratedGradients.attribute)
    assert docs["target"] == docs["additional_forward_args"]  # one line for both
    assert argument_docs(lambda: None) == {}


def test_what_follows_the_arguments_is_none_of_theirs() -> None:
    def documented(first: int, second: int) -> None:
        """Does something.

        Args:
            first: one.
            second: two,
                and more of it.

        Returns:
            Nothing of the second.
        """

    assert argument_docs(documented) == {"first": "one.", "second": "two, and more of it."}
