"""A metric is one registration: it has its name, direction and words from it, and is offered everywhere."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope import metrics
from attriscope.attr import IntegratedGradients, Saliency
from attriscope.core.errors import InputError
from attriscope.metrics import CATALOGUE, Case, register
from models import draw, pictures

X, TARGETS = draw(3, 2, 6, 5), [0, 3, 1]


@pytest.fixture
def catalogue() -> Iterator[dict[str, metrics.Metric]]:
    """The catalogue, which is afterwards as it was."""
    before = dict(CATALOGUE)
    yield CATALOGUE
    CATALOGUE.clear()
    CATALOGUE.update(before)


def test_a_metric_of_ones_own(catalogue: dict[str, metrics.Metric]) -> None:
    """As the documentation of ``register`` has it: from then on its name will do."""

    @register("largest", better="higher")
    def largest(case: Case) -> Tensor:
        """The largest attribution.

        Of all channels.
        """
        return case.attributions.flatten(1).amax(1)

    model = pictures()
    methods = {"saliency": Saliency(model), "gradients": (IntegratedGradients(model), {"n_steps": 5})}
    table = metrics.evaluate(methods, model, X, TARGETS, ["deletion", "largest"])
    expected = Saliency(model).attribute(X, target=torch.tensor(TARGETS)).flatten(1).amax(1)
    torch.testing.assert_close(table.values["saliency", "largest"], expected.double())
    assert catalogue["largest"].summary == "The largest attribution."
    assert list(catalogue)[-1] == "largest"
    axes = table.figure().axes[1]
    assert axes.get_title() == "largest ↑"
    shown = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert shown == pytest.approx([table.mean(method, "largest") for method in methods])


def test_a_function_that_takes_no_case(catalogue: dict[str, metrics.Metric]) -> None:
    """It stays as it is, for calls of its own, and ``call`` asks it about a case."""

    @register("share", better="lower", call=lambda function, case: function(case.attributions, 0.1))
    def share(attributions: Tensor, least: float) -> Tensor:
        """How many are large."""
        return (attributions.abs() > least).flatten(1).double().mean(1)

    assert share(torch.tensor([[1.0, 0.0]]), 0.5).tolist() == [0.5]
    model = pictures()
    table = metrics.evaluate({"saliency": Saliency(model)}, model, X, TARGETS, {"mine": "share"})
    maps = Saliency(model).attribute(X, target=torch.tensor(TARGETS))
    torch.testing.assert_close(table.values["saliency", "mine"], share(maps, 0.1))
    assert table.metrics["mine"].better == "lower"
    assert catalogue["share"].summary == "How many are large."


def test_names_are_given_once(catalogue: dict[str, metrics.Metric]) -> None:
    def defined() -> Callable[..., Any]:
        @register("mine", better="higher")
        def mine(case: Case) -> Tensor:
            return case.attributions.flatten(1).amax(1)

        return mine

    defined()
    again = defined()  # a notebook's cell that is run twice
    assert catalogue["mine"].function is again
    assert catalogue["mine"].summary == ""
    with pytest.raises(InputError, match="there is a metric 'mine' already"):
        register("mine", better="lower")(lambda case: case.attributions)
    assert catalogue["mine"].better == "higher"


@pytest.mark.parametrize(
    ("name", "better", "function", "message"),
    [
        ("", "higher", len, "name of a metric must be a string"),
        (3, "higher", len, "name of a metric must be a string"),
        ("mine", "up", len, "'higher' or 'lower'"),
        ("mine", "higher", 3, "'mine' must be a function"),
        ("deletion", "lower", len, "there is a metric 'deletion' already"),
    ],
)
def test_bad_registrations(
    name: Any, better: str, function: Any, message: str, catalogue: dict[str, metrics.Metric]
) -> None:
    before = dict(catalogue)
    with pytest.raises(AssertionError, match=message):
        register(name, better=better)(function)
    assert catalogue == before


@pytest.mark.parametrize("name", CATALOGUE)
def test_what_is_registered_is_public_and_says_what_it_is(name: str) -> None:
    metric = CATALOGUE[name]
    function: Any = metric.source
    assert getattr(metrics, function.__name__) is function
    assert function.__name__ in metrics.__all__
    assert metric.summary == inspect.cleandoc(function.__doc__).split("\n\n")[0] != ""


def test_the_names_of_the_package() -> None:
    assert dir(metrics) == sorted(metrics.__all__) == metrics.__all__
    assert not [name for name in metrics.__all__ if name in ("annotations", "types", "base", "table")]


@pytest.mark.parametrize("explanation", ["method", "function"])
def test_a_metric_explains_other_inputs(explanation: str) -> None:
    """``case.explain`` is a function of inputs, whatever was given as the explanation."""
    model = pictures().double()
    saliency = Saliency(model)

    def of_function(inputs: Tensor, target: Any = None) -> Tensor:
        return saliency.attribute(inputs, target=target)

    def shift(case: Case) -> Tensor:
        """How far the explanation of a brighter picture is from that of the picture."""
        brighter = case.explain(case.inputs + 0.1, target=case.targets)
        return (brighter - case.attributions).abs().flatten(1).amax(1)

    given = saliency if explanation == "method" else lambda model, inputs, target: of_function(inputs, target)
    table = metrics.evaluate(
        {"s": given}, model, X.double(), TARGETS, {"shift": metrics.Metric(shift, "lower")}
    )
    x = X.double()
    wanted = (saliency.attribute(x + 0.1, TARGETS) - saliency.attribute(x, TARGETS)).abs().flatten(1).amax(1)
    torch.testing.assert_close(table.values["s", "shift"], wanted)
