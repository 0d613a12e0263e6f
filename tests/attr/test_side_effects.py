"""What all methods promise about the world afterwards, whatever happened, and about other threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import attriscope
from attriscope.attr import IntegratedGradients
from methods import (
    METHODS,
    Method,
    every_method,
    every_method_in_both_modes,
)
from models import Snapshot, draw, pictures

# Rows are counted, so none is spent on finding out whether they depend on each other.
pytestmark = pytest.mark.usefixtures("independent_rows")

X = draw(5, 2, 6, 5)


TARGET = [0, 3, 1, 2, 1]


# --- the world afterwards -----------------------------------------------------------------------------------


class Failing(nn.Module):
    """``net`` that fails in its n-th call, after everything else has happened."""

    def __init__(self, net: nn.Module, at: int) -> None:
        super().__init__()
        self.net = net
        self.calls = [at]  # a list, so that counting leaves the module's attributes as they are

    def forward(self, x: Tensor) -> Tensor:
        out = self.net(x)
        self.calls[0] -= 1
        if self.calls[0] == 0:
            raise ZeroDivisionError("in the model")
        return out


def prepared(frozen: bool, training: bool = False) -> Any:
    """A net with everything on it that could be lost: gradients, hooks, flags of its own."""
    model = pictures()
    model(X).sum().backward()
    model.conv.register_forward_hook(lambda *_: None)
    model.conv.register_forward_pre_hook(lambda *_: None)
    model.conv.register_full_backward_hook(lambda *_: None)
    model.conv.note = "mine"
    if frozen:
        model.conv.requires_grad_(False)
    if training:
        model.bn.train()  # not dropout: what that draws is the model's own business
    return model


def inputs_to_watch() -> tuple[Tensor, ...]:
    plain, leaf = X.clone(), X.clone().requires_grad_()
    leaf.grad = torch.ones_like(leaf)
    return plain, leaf


@every_method_in_both_modes
@pytest.mark.parametrize("frozen", [False, True])
def test_nothing_is_changed_after_success(method: Method, frozen: bool, training: bool) -> None:
    model = prepared(frozen, training)
    for x in inputs_to_watch():
        before = Snapshot(model, (x, *model.parameters()))
        method.attribute(model, x, TARGET)
        before.check()


@every_method_in_both_modes
def test_nothing_is_changed_after_an_exception_in_the_model(method: Method, training: bool) -> None:
    net = prepared(False, training)
    options = {"internal_batch_size": 3} if method.path else {}
    for x in inputs_to_watch():
        for call in (1, 3) if method.path and not method.neuron else (1,):
            model = Failing(net, call)
            before = Snapshot(net, (x, *net.parameters()))
            with pytest.raises(ZeroDivisionError, match="in the model"):
                method.attribute(model, x, TARGET, layer="net.conv", **options)
            before.check()


@pytest.mark.parametrize(
    "method", [m for m in METHODS if m.targeted and m.gradient and not m.rules], ids=lambda m: m.name
)
def test_nothing_is_changed_after_an_exception_in_the_backward_pass(method: Method) -> None:
    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            raise ZeroDivisionError("going back")

    model = prepared(False)
    before = Snapshot(model, (X,))
    with pytest.raises(ZeroDivisionError, match="going back"):
        method.attribute(model, X, lambda out: Bad.apply(out)[:, 0])
    before.check()


@every_method_in_both_modes
def test_nothing_is_changed_after_cancel(method: Method, training: bool) -> None:
    model = prepared(False, training)
    stop = threading.Event()
    before = Snapshot(model, (X,))
    rows: list[int] = []

    def progress(done: int, total: int) -> None:
        rows.append(done)
        stop.set()

    if not method.path:
        stop.set()  # one batch only: it is stopped before that, or not at all
    with attriscope.control(progress=progress, cancel=stop), pytest.raises(attriscope.Cancelled):
        method.attribute(model, X, TARGET, **({"internal_batch_size": 2} if method.path else {}))
    assert rows == ([2] if method.path else [])
    before.check()
    method.attribute(model, X, TARGET)  # and nothing remembers that it was cancelled


@every_method
def test_nothing_is_changed_after_the_progress_callback_raised(method: Method) -> None:
    """A progress bar that was closed must not break the model."""

    def progress(done: int, total: int) -> None:
        raise KeyboardInterrupt

    model = prepared(False, training=not method.rules)
    before = Snapshot(model, (X,))
    with attriscope.control(progress=progress), pytest.raises(KeyboardInterrupt):
        method.attribute(model, X, TARGET)
    before.check()


@every_method
def test_nothing_is_changed_after_bad_input(method: Method) -> None:
    model = prepared(False, training=not method.rules)
    before = Snapshot(model, (X,))
    with pytest.raises(AssertionError):
        method.attribute(model, X[:, :1], TARGET)
    if method.targeted:
        with pytest.raises(IndexError):
            method.attribute(model, X, 4)
        with pytest.raises(ArithmeticError):
            method.attribute(model, X * torch.nan, 0)
    before.check()


@every_method
def test_random_numbers_of_the_caller_are_not_drawn(method: Method) -> None:
    model = pictures()
    torch.manual_seed(7)
    np.random.seed(7)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(7)
    np.random.seed(7)
    method.attribute(model, X, TARGET)
    assert torch.equal(torch.rand(3), expected[0])
    assert np.array_equal(np.random.rand(3), expected[1])


# --- threads ------------------------------------------------------------------------------------------------


@every_method
def test_two_threads_share_a_model(method: Method) -> None:
    """As when a job of the Explorer runs while a cell explains the same model."""
    model = pictures()
    jobs = [(draw(3, 2, 6, 5, seed=i), [0, 3, 1], i) for i in range(4)]
    expected = [method.attribute(model, x, t) for x, t, _ in jobs]
    together = threading.Barrier(len(jobs))

    def work(job: tuple[Tensor, list[int], int]) -> list[Any]:
        x, target, _ = job
        together.wait(60)
        return [method.attribute(model, x, target) for _ in range(5)]

    before = Snapshot(model, tuple(x for x, _, _ in jobs))
    with ThreadPoolExecutor(len(jobs)) as pool:
        for found, wanted in zip(pool.map(work, jobs), expected, strict=True):
            for one in found:
                torch.testing.assert_close(one, wanted, rtol=1e-11, atol=1e-13)
    before.check()


def test_cancelling_one_thread_leaves_the_other_alone() -> None:
    net = pictures()
    inside, stop = threading.Event(), threading.Event()
    expected = IntegratedGradients(net).attribute(X, target=0, n_steps=9)

    def cancelled() -> None:
        with attriscope.control(progress=lambda *_: (inside.set(), stop.wait(60)), cancel=stop):
            IntegratedGradients(net).attribute(X, target=0, n_steps=9, internal_batch_size=1)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(cancelled)
        assert inside.wait(60)
        found = IntegratedGradients(net).attribute(X, target=0, n_steps=9)
        stop.set()
        with pytest.raises(attriscope.Cancelled):
            future.result(60)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)
