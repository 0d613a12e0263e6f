"""Errors for what a caller got wrong.

Each is an ``AssertionError`` (what Captum raises, so ported code keeps catching it) and also the built-in error that
Python's users expect.
"""

from __future__ import annotations


class InputError(AssertionError, ValueError):
    """An argument cannot be used; the message quotes it and says what would be right."""


class InputTypeError(InputError, TypeError):
    """An argument is of a type that cannot be used."""


class TargetError(InputError, IndexError):
    """The target does not select one number per example of the model's output."""


class LayerError(InputError, LookupError):
    """A layer is not part of the model, or gave nothing to read when the model ran."""


class ForwardError(InputError, RuntimeError):
    """The model refused the inputs; the model's own exception is the ``__cause__``."""


class OperationError(AssertionError, NotImplementedError):
    """The model uses an operation for which the method has no rule; the message says how to register one."""


class AnotherWayError(OperationError):
    """The model did other operations for the baseline than for the input."""


class NonFiniteError(InputError, ArithmeticError):
    """The explained output, or its gradient, is NaN or infinite."""


class RowDependenceWarning(UserWarning):
    """The rows of a batch depend on each other, so each step runs with exactly the examples that were given."""


class TrainingModeWarning(UserWarning):
    """Modules of the explained model are in training mode, and behave otherwise than when the model predicts."""


class ConvergenceWarning(UserWarning):
    """Attributions miss by far the change of the output that they should add up to."""


class UnusedTensorWarning(UserWarning):
    """A tensor of a layer gets zeros, as nothing after the layer uses it, though it has an effect inside the layer."""


class Cancelled(Exception):
    """The computation was asked to stop and did; model and inputs are as they were before."""
