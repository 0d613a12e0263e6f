"""The model's outputs: the one place where a metric meets the evaluator; and a model's probabilities."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from attriscope.core.batch_checks import MakeRows
from attriscope.core.batch_size import check_batch
from attriscope.core.errors import InputTypeError, NonFiniteError
from attriscope.core.evaluate import Evaluator
from attriscope.core.inputs import Examples, describe
from attriscope.core.subject import Subject
from attriscope.core.target import resolve_target


def outputs_of_rows(
    forward_func: Any,
    examples: Examples,
    target: Any,
    steps: int,
    rows: MakeRows,
    max_examples_per_batch: int | None = None,
) -> Tensor:
    """The explained number of every row of a grid, (steps, N); single precision at least.

    Raises:
        InputTypeError, InputError, TargetError, NonFiniteError: arguments that cannot be used; an output that is not
            finite.
    """
    if not callable(forward_func):
        raise InputTypeError(f"forward_func must be a model or a function, but {describe(forward_func)} came")
    batch = check_batch(max_examples_per_batch, "max_examples_per_batch")
    subject = Subject(forward_func, resolve_target(target, examples.count))
    evaluator = Evaluator(subject, examples, gradient=False, batch=batch)
    found: Tensor | None = None
    for block in evaluator.run(steps, rows):
        assert block.f is not None
        if found is None:
            found = block.f.new_empty((steps, examples.count), dtype=_real(block.f))
        found[block.steps, block.examples] = block.f.to(found.dtype)
    assert found is not None
    if not found.is_meta and not bool(torch.isfinite(found).all()):
        raise NonFiniteError(
            "the explained output is infinite for some of the rows that this metric sent through"
        )
    return found


def outputs_at_inputs(
    forward_func: Any, examples: Examples, target: Any, max_examples_per_batch: int | None = None
) -> Tensor:
    """f at the inputs themselves, (N,)."""
    return outputs_of_rows(
        forward_func,
        examples,
        target,
        1,
        lambda steps, part: tuple(x.clone() for x in examples.slices(part)),
        max_examples_per_batch,
    )[0]


def _real(f: Tensor) -> torch.dtype:
    if f.is_complex():
        raise InputTypeError("the explained output is complex; take its absolute value")
    if not f.is_floating_point():
        return torch.get_default_dtype()
    return torch.float32 if f.dtype in (torch.float16, torch.bfloat16) else f.dtype


class Probabilities(nn.Module):
    """A model followed by a softmax over dimension 1."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = model.training  # train() would reach into the model

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """The model's output for these arguments as probabilities."""
        return nn.functional.softmax(self.model(*args, **kwargs), dim=1)


def probabilities(model: nn.Module) -> Probabilities:
    """The model followed by a softmax over dimension 1; parameters and buffers are the model's own.

    Raises:
        InputTypeError: it is no module.
    """
    if not isinstance(model, nn.Module):
        raise InputTypeError(f"the model must be a torch.nn.Module, but {describe(model)} came")
    return Probabilities(model)
