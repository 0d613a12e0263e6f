"""Running something else in place of a module's forward, and leaving the module as it was."""

from __future__ import annotations

import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attriscope.core.replaced_forward import replaced_forward
from models import Snapshot, draw, mlp

X = draw(3, 4)


def doubled(module: nn.Module, original: Any, *args: Any, **kwargs: Any) -> Any:
    return 2 * original(*args, **kwargs)


def test_inside_the_block_something_else_runs() -> None:
    net = mlp()
    before = Snapshot(net, (X,))
    plain = net(X)
    with replaced_forward([net.last], doubled):
        assert torch.equal(net(X), 2 * plain)
        assert torch.equal(net.last(net.act(net.first(X))), 2 * plain)
    assert torch.equal(net(X), plain)
    before.check()


def test_the_inner_of_two_blocks_counts_and_both_are_undone() -> None:
    net = mlp()
    before = Snapshot(net, (X,))
    plain = net(X)
    with replaced_forward([net.last], doubled):
        with replaced_forward([net.last, net.act], lambda module, original, *args: original(*args)):
            assert torch.equal(net(X), plain)
        assert torch.equal(net(X), 2 * plain)
    before.check()


def test_another_thread_runs_the_module_itself() -> None:
    net, inside, go_on = mlp(), threading.Event(), threading.Event()
    plain = net(X)

    def borrow() -> Tensor:
        with replaced_forward(net.modules(), doubled):
            inside.set()
            assert go_on.wait(60)
            return net.last(X.new_ones(1, 6))

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(borrow)
        assert inside.wait(60)
        assert torch.equal(net(X), plain)
        with replaced_forward([net.last], lambda module, original, *args: original(*args) - 1):
            assert torch.equal(net(X), plain - 1)
        go_on.set()
        assert torch.equal(future.result(60), 2 * net.last(X.new_ones(1, 6)))
    assert torch.equal(net(X), plain)


def test_many_threads_leave_no_trace() -> None:
    net = mlp()
    before = Snapshot(net, (X,))
    plain = net(X)

    ones = torch.ones(6).double()
    last = net.last(ones).detach()

    def borrow(times: int) -> bool:
        right = []
        for _ in range(200):
            with replaced_forward(net.modules(), lambda module, original, *args: original(*args) * times):
                right.append(torch.equal(net.last(ones), times * last))
        return all(right)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(borrow, range(4)))
    assert torch.equal(net(X), plain)
    before.check()


def test_a_forward_that_the_module_had_of_its_own_comes_back() -> None:
    net = mlp()
    own = net.act.forward = lambda x: x + 1
    with replaced_forward([net.act], doubled):
        assert torch.equal(net.act(X), 2 * (X + 1))
    assert vars(net.act)["forward"] is own
    assert "forward" not in vars(net.first)


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_exceptions_undo_it(kind: type[BaseException]) -> None:
    net = mlp()
    before = Snapshot(net, (X,))

    def broken(module: nn.Module, original: Any, *args: Any) -> Any:
        raise kind

    with pytest.raises(kind), replaced_forward(net.modules(), broken):
        net(X)
    before.check()


def test_hooks_run_around_what_runs_instead() -> None:
    net = mlp()
    seen: list[str] = []
    net.last.register_forward_pre_hook(lambda *_: seen.append("before"))
    net.last.register_forward_hook(lambda *_: seen.append("after"))
    with replaced_forward(
        [net.last], lambda module, original, *args: seen.append("instead") or original(*args)
    ):
        net(X)
    assert seen == ["before", "instead", "after"]


def test_compiled_script_modules_are_left_alone() -> None:
    net = nn.Sequential(torch.jit.trace(mlp(), X), nn.ReLU())
    plain = net(X)
    with replaced_forward(net.modules(), doubled):
        assert torch.equal(net(X), 2 * (2 * plain)), "of the container and of the ReLU"
    assert torch.equal(net(X), plain)


def test_a_model_can_be_copied_afterwards() -> None:
    net = mlp()
    with replaced_forward(net.modules(), doubled):
        pass
    assert torch.equal(copy.deepcopy(net)(X), net(X))
