"""Grids of rows of which every answer is known, for tests of how they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from attriscope.core.evaluate import Block, Evaluator
from attriscope.core.inputs import Examples
from attriscope.core.subject import Subject
from attriscope.core.target import resolve_target
from models import Recorder


def evaluator(
    model: Callable[..., Any], examples: Examples, batch: int | None = None, target: Any = None
) -> Evaluator:
    return Evaluator(Subject(model, resolve_target(target, examples.count)), examples, batch=batch)


def grid_rows(examples: Examples, steps: int) -> Callable[[slice, slice], tuple[Tensor, ...]]:
    """Row (step, example) is the example plus 100 times the step, so that each row can be told from all others."""

    def rows(at: slice, part: slice) -> tuple[Tensor, ...]:
        assert 0 <= at.start < at.stop <= steps
        (x,) = examples.slices(part)
        return (torch.cat([x + 100 * step for step in range(at.start, at.stop)]),)

    return rows


def put_together(blocks: Iterator[Block], steps: int, count: int) -> Tensor:
    """The explained numbers of all blocks as (steps, count); every cell must come once, in order."""
    found = torch.full((steps, count), torch.nan, dtype=torch.float64)
    done = 0
    for block in blocks:
        assert block.f is not None
        cells = block.f.shape
        assert found[block.steps, block.examples].shape == cells
        assert found[block.steps, block.examples].isnan().all(), "a row came twice"
        assert block.steps.start * count + block.examples.start == done, "a row came out of order"
        assert torch.equal(
            block.grid(block.gradients[0][0])[..., 0], 2 * block.grid(block.values[0][0])[..., 0]
        )
        found[block.steps, block.examples] = block.f
        done += cells.numel()
    assert not found.isnan().any(), "a row is missing"
    return found


def squares(x: Tensor, more: Tensor | None = None) -> Tensor:
    return x.square().sum(1) if more is None else x.square().sum(1) + more


def expected(examples: Examples, steps: int) -> Tensor:
    (x,) = examples.tensors
    return torch.stack([squares(x + 100 * step) for step in range(steps)])


def out_of_memory_above(most: int) -> Recorder:
    def model(x: Tensor) -> Tensor:
        if len(x) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return squares(x)

    return Recorder(model)
