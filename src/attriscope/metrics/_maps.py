"""The attributions that a metric of maps alone is about."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from attriscope.core.errors import InputError, InputTypeError
from attriscope.core.inputs import describe, gather_examples
from attriscope.metrics._explain import FORMS, as_explainer, attributions_of, fit_attributions


def maps_of(given: Any, inputs: Any, target: Any, additional_forward_args: Any) -> tuple[Tensor, ...]:
    """The attributions, checked; inputs are only needed to make them, or to check their shape.

    Raises:
        InputTypeError, InputError, UndefinedMetricError: there is no explanation, or one that does not fit.
    """
    if inputs is not None:
        return attributions_of(given, gather_examples(inputs, additional_forward_args), target)
    if as_explainer(given) is not None:
        raise InputError(
            "inputs must be given for a method or function to explain; attributions would do without"
        )
    if not isinstance(given, Tensor | tuple | dict):
        raise InputTypeError(f"an explanation must be {FORMS}, but {describe(given)} came")
    return fit_attributions(given, gather_examples(given))
