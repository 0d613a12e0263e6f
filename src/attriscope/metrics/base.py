"""What a metric is: a :class:`Case` that it is asked about, and a registration under a name.

A metric is registered where it is defined, by :func:`register`; :func:`~attriscope.metrics.evaluate` and the Explorer's
comparison then know it by that name. The metrics themselves stand in a file for each kind (``perturbation_curves``,
``faithfulness``, ``fidelity``, ``robustness``, ``randomisation``, ``localisation``, ``complexity``, ``axioms``), and
what becomes of their numbers in ``evaluation`` and ``table``.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import describe

Direction = Literal["higher", "lower"]
HIGHER: Direction = "higher"
LOWER: Direction = "lower"

Function = TypeVar("Function", bound=Callable[..., Any])


class UndefinedMetricError(InputError, ArithmeticError):
    """The metric has no value for some of the examples; the message says for which and why."""


def refuse_undefined(wrong: Tensor, why: str) -> None:
    """Refuse examples for which a metric has no value.

    Args:
        wrong: bool (N,).
        why: the end of the sentence "... for examples 3, 5: ".

    Raises:
        UndefinedMetricError: there are some.
    """
    if not wrong.is_meta and bool(wrong.any()):
        places = torch.nonzero(wrong).flatten().tolist()
        named = ", ".join(map(str, places[:5])) + (", ..." if len(places) > 5 else "")
        raise UndefinedMetricError(
            f"the metric is undefined for {'example' if len(places) == 1 else 'examples'} {named} of {len(wrong)}: "
            f"{why}"
        )


@dataclasses.dataclass(frozen=True)
class Case:
    """What a metric is asked about: one method's explanation of some examples.

    Attributes:
        model: what is explained.
        inputs: the examples, in the form they were given.
        targets: what is explained of each.
        attributions: the method's, in the form of the inputs.
        explain: makes attributions for other inputs: a function of (inputs, target=..., additional_forward_args=...).
        method: what was given as the method, for :func:`parameter_randomisation` and its like.
        masks: where the object is, for localisation; may be ``None``.
        feature_mask: which numbers are removed together.
        additional_forward_args: further arguments of the model.
        generator: where random numbers come from: the same ones for every method.
    """

    model: Any
    inputs: Any
    targets: Any
    attributions: Any
    explain: Callable[..., Any]
    method: Any
    masks: Tensor | None = None
    feature_mask: Any = None
    additional_forward_args: Any = None
    generator: torch.Generator | None = None

    @property
    def explanation(self) -> tuple[Any, Any, Any]:
        """Model, inputs and attributions: the arguments that metrics begin with that ask the model."""
        return self.model, self.inputs, self.attributions

    @property
    def asked(self) -> dict[str, Any]:
        """Keyword arguments that all metrics share that ask the model."""
        return {"target": self.targets, "additional_forward_args": self.additional_forward_args}

    def removing(self) -> dict[str, Any]:
        """Keyword arguments of metrics that remove features."""
        return {**self.asked, "feature_mask": self.feature_mask, "generator": self.generator}

    def nearby(self) -> dict[str, Any]:
        """Keyword arguments of metrics that explain perturbed inputs."""
        given = {name: value for name, value in self.asked.items() if value is not None}
        return {**given, "generator": self.generator}

    def where(self) -> Tensor:
        """The masks.

        Raises:
            InputError: there are none.
        """
        if self.masks is None:
            raise InputError("this metric needs masks= that say where the object is")
        return self.masks


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric for :func:`evaluate`.

    Attributes:
        function: takes a :class:`Case` and gives one number per example, (N,).
        better: ``"higher"`` or ``"lower"``.
        source: the function that ``function`` calls with what the case holds, if that is another: it has the docstring.
    """

    function: Callable[[Case], Tensor]
    better: Direction
    source: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        if self.better not in (HIGHER, LOWER):
            raise InputError(f"better must be 'higher' or 'lower', but {self.better!r} came")

    @property
    def arrow(self) -> str:
        """The better direction as a sign."""
        return "↑" if self.better == HIGHER else "↓"

    @property
    def summary(self) -> str:
        """What it measures: the first paragraph of its docstring; empty without one."""
        documented = self.function if self.source is None else self.source
        return inspect.cleandoc(documented.__doc__ or "").partition("\n\n")[0]


CATALOGUE: dict[str, Metric] = {}
"""Every metric that :func:`evaluate` knows by name, with its defaults."""


def register(
    name: str, *, better: Direction, call: Callable[[Callable[..., Any], Case], Tensor] | None = None
) -> Callable[[Function], Function]:
    """Make a metric known by name, to :func:`evaluate` and to the Explorer's comparison.

    Args:
        name: in words, as tables show it.
        better: ``"higher"`` or ``"lower"``.
        call: asks the metric about a :class:`Case`, for functions that take something else: called with the function
            and the case. By default the function takes a case itself.

    Returns:
        A decorator that gives the function back as it is. Its docstring says what the metric measures.

    Raises:
        InputTypeError, InputError: no name, no function, no direction; or another metric has that name. The same
            function may come again, as from a notebook's cell that is run twice.

    Example::

        @register("largest", better="higher")
        def largest(case: Case) -> Tensor:
            "The largest attribution."
            return case.attributions.flatten(1).amax(1)

        evaluate(methods, model, pictures, labels, ["deletion", "largest"])
    """
    if not isinstance(name, str) or not name:
        raise InputTypeError(f"the name of a metric must be a string, but {describe(name)} came")

    def decorator(function: Function) -> Function:
        if not callable(function):
            raise InputTypeError(f"the metric {name!r} must be a function, but {describe(function)} came")
        known = CATALOGUE.get(name)
        if known is not None and _address(known.source) != _address(function):
            raise InputError(f"there is a metric {name!r} already; give this one another name")
        asked = function if call is None else functools.partial(call, function)
        CATALOGUE[name] = Metric(asked, better, function)
        return function

    return decorator


def on_removal(function: Callable[..., Any], case: Case) -> Any:
    """For :func:`register`: how metrics are asked that remove features."""
    return function(*case.explanation, **case.removing())


def _address(function: Any) -> Any:
    """Where a function was defined; two of one address are one function, defined again."""
    return getattr(function, "__module__", None), getattr(function, "__qualname__", function)
