"""Rows that go through a model are counted at the model itself."""

from __future__ import annotations

import threading

import torch
from torch import nn

from attriscope.core.row_count import counted_rows


def test_what_goes_through_one_or_the_other_is_counted_and_nothing_stays() -> None:
    inner = nn.Linear(2, 3)
    outer = nn.Sequential(inner, nn.ReLU())
    with counted_rows(outer, inner, outer, None, len) as count:
        outer(torch.rand(4, 2))
        inner(input=torch.rand(5, 2))
        assert count.of_model == [4, 9]  # the inner one is called by the outer one, too
        other = threading.Thread(target=lambda: outer(torch.rand(100, 2)))
        other.start()
        other.join()
    outer(torch.rand(7, 2))
    assert count.of_model == [4, 9]
    assert (count.beside(0), count.beside(2)) == (9, 2)
    assert not outer._forward_pre_hooks


def test_it_is_not_known_of_what_takes_no_hooks() -> None:
    traced = torch.jit.trace(nn.Linear(2, 3), torch.rand(1, 2))
    with counted_rows(traced, len) as count:
        traced(torch.rand(4, 2))
    assert count.beside(0) is None
