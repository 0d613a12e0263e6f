"""Methods of the user's own: offered, set, explained, copied and refused like this library's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope import Explorer, attr
from attriscope.attr import streaming
from attriscope.core.errors import InputTypeError
from attriscope.core.estimate import PartialResult
from attriscope.widget.state.selection import ChoiceError
from widget.helpers import Make, TwoLayers, assert_consistent, attributions_of, from_page, without_bytes


class Mine(attr.GradientAttribution):
    """The gradient to a power, times how far the picture is from the baseline."""

    def __init__(self, forward_func: Any, halved: bool = False) -> None:
        super().__init__(forward_func)
        self.halved = halved

    def attribute(
        self, x: Tensor, target: Any = None, baselines: Any = 0.0, power: float = -1.5, kind: str = "plain"
    ) -> Tensor:
        """Explain.

        Args:
            x: pictures.
            power: what the size of the gradient is raised to.
            kind: "plain" or "signed".
        """
        (gradient,) = self.gradient_func(self.forward_func, x, target)
        size = (gradient.abs() + 1) ** power * (x - baselines)
        return (size * gradient.sign() if kind == "signed" else size) * (0.5 if self.halved else 1.0)


class Drawn(attr.Attribution):
    """Streams, is random, and only asks."""

    @streaming
    def attribute(
        self, inputs: Tensor, target: Any = None, n_samples: int = 3, generator: Any = None
    ) -> Iterator[PartialResult]:
        total = torch.zeros_like(inputs)
        for i in range(n_samples):
            total = total + torch.randn(inputs.shape, generator=generator)
            yield PartialResult(lambda total=total, i=i: total / (i + 1), evaluations=i + 1)


class Bare:
    """Derives from nothing, and leaves its answer on autograd's graph."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def attribute(self, inputs: Tensor, target: Any) -> Tensor:
        return self.model(inputs.clone().requires_grad_())[:, target].sum() * inputs


class Broken(attr.Attribution):
    def attribute(self, inputs: Tensor, target: Any = None) -> Tensor:
        raise ZeroDivisionError("one over nothing")


class Flat(attr.Attribution):
    def attribute(self, inputs: Tensor, target: Any = None) -> Tensor:
        return inputs.sum(1)


def test_a_class_is_offered_with_its_parameters_and_explains(
    make: Make, model: TwoLayers, image: Tensor
) -> None:
    explorer = make(methods=[Mine], method="Mine", target=2, baseline="white").wait()
    (found,) = (one for one in explorer.methods if one["name"] == "Mine")
    assert found["doc"].startswith("The gradient to a power")
    parameters = {one["name"]: one for one in found["parameters"]}
    assert set(parameters) == {"power", "kind", "halved"}
    assert (parameters["power"]["value"], parameters["power"]["min"]) == (-1.5, None)
    assert parameters["power"]["doc"] == "what the size of the gradient is raised to."
    assert parameters["kind"]["choices"] == ["plain", "signed"]
    start = explorer._explained.example(0).baselines(explorer.choice)[0].value
    torch.testing.assert_close(explorer.attributions, Mine(model).attribute(image, 2, start))
    assert explorer.heat["title"] == "Mine for class 2, baseline white"

    from_page(explorer, settings={"Mine": {"power": 0.0, "kind": "signed", "halved": True}})
    wanted = Mine(model, halved=True).attribute(image, 2, start, power=0.0, kind="signed")
    torch.testing.assert_close(explorer.wait().attributions, wanted)
    from_page(explorer, settings={"Mine": {"kind": "no such"}})
    assert explorer.refused["reason"] == "kind must be one of plain, signed, but 'no such' came"
    assert_consistent(explorer)


def test_several_baselines_are_averaged(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(methods=[Mine], method="Mine", target=2, baseline=[0.25, "zero"]).wait()
    wanted = sum(Mine(model).attribute(image, 2, b) for b in (0.25, 0.0)) / 2
    torch.testing.assert_close(explorer.attributions, wanted)
    torch.testing.assert_close(attributions_of(explorer.code, model=model, inputs=image, Mine=Mine), wanted)


@pytest.mark.parametrize("method", [Mine, Drawn, Bare], ids=lambda m: m.__name__)
def test_copied_code_calls_it_by_its_name(make: Make, model: TwoLayers, image: Tensor, method: Any) -> None:
    explorer = make(methods=[method], method=method.__name__, target=2).wait()
    names = {method.__name__: method, "model": model, "inputs": image}
    torch.testing.assert_close(attributions_of(explorer.code, **names), explorer.attributions)
    assert f"method = {method.__name__}(model)" in explorer.code
    assert not explorer.attributions.requires_grad


def test_code_imports_a_class_that_stands_in_a_module(make: Make, model: TwoLayers, image: Tensor) -> None:
    explorer = make(methods=[Mine], method="Mine", target=2).wait()
    assert f"from {Mine.__module__} import Mine" in explorer.code
    attributions_of(explorer.code, model=model, inputs=image)
    explorer = make(methods=[attr.FeaturePermutation], target=2).wait()
    assert "FeaturePermutation" in [one["name"] for one in explorer.methods]


def test_a_function_makes_a_method(make: Make, model: TwoLayers, image: Tensor) -> None:
    methods = {"Smooth": lambda f: attr.NoiseTunnel(Mine(f)), "Halved": lambda f: Mine(f, halved=True)}
    explorer = make(methods=methods, method="Smooth", target=2, settings={"Smooth": {"nt_samples": 4}}).wait()
    wanted = attr.NoiseTunnel(Mine(model)).attribute(
        image, nt_samples=4, target=2, generator=torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(explorer.attributions, wanted)
    found = attributions_of(explorer.code, model=model, inputs=image, methods=methods)
    torch.testing.assert_close(found, wanted)
    explorer.method = "Halved"
    torch.testing.assert_close(
        explorer.wait().attributions, Mine(model, halved=True).attribute(image, 2, torch.zeros_like(image))
    )
    halved = next(one for one in explorer.methods if one["name"] == "Halved")
    assert "halved" not in [one["name"] for one in halved["parameters"]]  # the function has settled that
    assert "power" in [one["name"] for one in halved["parameters"]]


def test_what_streams_is_shown_growing_and_can_be_refined(make: Make) -> None:
    explorer = make(methods=[Drawn], method="Drawn", target=2).wait()
    first = explorer.attributions
    assert explorer.heat["refinable"]
    assert explorer.refine().wait().heat["evaluations"] == 6
    explorer.recompute().wait()
    explorer.method = "Saliency"
    explorer.method = "Drawn"
    torch.testing.assert_close(explorer.wait().attributions, first)  # the same choice, the same draws


def test_errors_of_it_are_shown_and_what_comes_next_works(make: Make) -> None:
    explorer = make(methods=[Broken, Flat], method="Broken", target=2)
    with pytest.raises(ZeroDivisionError, match="one over nothing"):
        explorer.wait()
    assert explorer.message == "ZeroDivisionError: one over nothing"
    explorer.method = "Flat"
    with pytest.raises(ValueError, match=r"Flat gives .*which is no map \(1, C, H, W\) to show"):
        explorer.wait()
    explorer.method = "Saliency"
    explorer.wait()
    assert_consistent(explorer)


def test_it_compares_like_any_other(make: Make) -> None:
    explorer = (
        make(methods=[Mine], method="Mine", target=2).compare(["Mine", "random"], ["sparseness"]).wait()
    )
    assert explorer.comparison_table.methods == ("Mine", "random")
    json.dumps(without_bytes(explorer.comparison), allow_nan=False)


def _made(*args: Any) -> Any:
    raise KeyError("no layer")


class NeedsLayer(Mine):
    def __init__(self, forward_func: Any, layer: str) -> None:
        super().__init__(forward_func)


class WithoutTarget(attr.Attribution):
    def attribute(self, inputs: Tensor, scale: float = 1.0) -> Tensor:
        return inputs * scale


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        (Mine, r"methods must be a list of classes .* but the class Mine came"),
        ("Mine", r"methods must be a list of classes .* but 'Mine' came"),
        ([Mine(len)], r"a list with .*Mine.* came"),
        ({"It": Mine(len)}, r"methods\['It'\] is .*Mine.*made already: give its class"),
        ([lambda f: Mine(f)], r"a function needs a name"),
        ({"It": 3}, r"methods\['It'\] is 3"),
        ({3: Mine}, r"names of methods must be strings, but 3 came"),
        ({"It": lambda f: 3}, r"methods\['It'\] must make a method of the model, but made 3"),
        ({"It": _made}, r"methods\['It'\] must make a method .* raised KeyError: 'no layer'"),
        ([NeedsLayer], r"NeedsLayer is made with layer besides the model"),
        ([WithoutTarget], r"attribute of methods\['WithoutTarget'\] must take target.*it takes inputs, scale"),
        ([attr.Attribution], r"methods\['Attribution'\] must have a method attribute"),
        ([dict], r"methods\['dict'\] must have a method attribute"),
    ],
)  # fmt: skip
def test_what_is_no_method_is_refused(model: TwoLayers, image: Tensor, methods: Any, words: str) -> None:
    with pytest.raises(InputTypeError, match=words):
        Explorer(model, image, methods=methods)


def test_a_name_is_given_once(model: TwoLayers, image: Tensor) -> None:
    for methods in ({"Saliency": Mine}, {"random": Mine}, [Mine, type("Mine", (Mine,), {})]):
        with pytest.raises(ChoiceError, match=r"there is a method '.*' already; give yours another name"):
            Explorer(model, image, methods=methods)
    with pytest.raises(ChoiceError, match=r"method must be one of .*Lime, Mine, but 'Yours' came"):
        Explorer(model, image, methods=[Mine], method="Yours")
