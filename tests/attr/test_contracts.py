"""What holds for every method: numbers that depend on nothing they should not, and a world left as it was."""

from __future__ import annotations

import inspect
import threading
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import attriscope
from attriscope.attr import IntegratedGradients
from models import (
    METHODS,
    Method,
    Recorder,
    Snapshot,
    assert_same,
    draw,
    every_fixed_input_method,
    every_fixed_method,
    every_input_method,
    every_method,
    every_method_in_both_modes,
    every_path_method,
    every_targeted_method,
    every_trainable_method,
    mlp,
    pair,
    pictures,
    tensors_in,
)

X = draw(5, 2, 6, 5)
TARGET = [0, 3, 1, 2, 1]


# --- numbers ------------------------------------------------------------------------------------------------


@every_method
def test_the_same_call_gives_the_same_numbers(method: Method) -> None:
    """Also the first call, which measures batch sizes, and a third from a method made anew."""
    model = pictures()
    explainer = method.on(model)
    first = explainer.attribute(X, **method.arguments(TARGET))
    assert_same(explainer.attribute(X, **method.arguments(TARGET)), first)
    assert_same(method.attribute(model, X, TARGET), first)


@every_fixed_method
def test_a_batch_is_as_many_single_examples(method: Method) -> None:
    whole = method.attribute(pictures(), X, TARGET)
    for i in range(len(X)):
        alone = method.attribute(pictures(), X[i : i + 1], TARGET[i])
        torch.testing.assert_close(alone, whole[i : i + 1], rtol=1e-11, atol=1e-13)


@every_fixed_method
def test_the_order_of_examples_does_not_matter(method: Method) -> None:
    whole = method.attribute(pictures(), X, TARGET)
    turned = method.attribute(pictures(), X.flip(0), TARGET[::-1])
    torch.testing.assert_close(turned.flip(0), whole, rtol=1e-11, atol=1e-13)


@every_path_method
@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5, 6, 9, 10, 11, 34, 35, 36, 1000])
def test_numbers_do_not_depend_on_how_rows_were_cut(method: Method, batch: int) -> None:
    chosen = method.attribute(pictures(), X, TARGET)
    cut = method.attribute(pictures(), X, TARGET, internal_batch_size=batch)
    torch.testing.assert_close(cut, chosen, rtol=1e-11, atol=1e-13)


@every_path_method
def test_numbers_do_not_depend_on_the_clock(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    """The automatic choice follows a clock; whatever that says, the numbers stay."""
    from attriscope.core import evaluate

    expected = method.attribute(pictures(), X, TARGET)
    monkeypatch.setattr("attriscope.core.batch_size._FIRST_BATCH_NUMBERS", X[0].numel())
    cuts = set()
    for seed in range(8):
        ticks = np.random.default_rng(seed).uniform(0, 0.2, size=1000).cumsum().tolist()
        monkeypatch.setattr(evaluate, "time", types.SimpleNamespace(perf_counter=iter(ticks).__next__))
        model = Recorder(pictures())
        with attriscope.control(batch_seconds=0.3 if seed % 2 else None):
            for _ in range(3):
                torch.testing.assert_close(
                    method.attribute(model, X, TARGET, layer="inner.conv"), expected, rtol=1e-11, atol=1e-13
                )
        cuts.add(tuple(model.rows))
    assert len(cuts) > 4, "the clock had no effect, so this test shows nothing"


@every_fixed_method
def test_numbers_survive_memory_running_out(method: Method) -> None:
    """Above two rows the device is full. What is read at a layer is put together again in order."""

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = pictures()

        def forward(self, x: Tensor) -> Tensor:
            out = self.net(x)
            if len(x) > 2:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            return out

    model = Small()
    before = Snapshot(model, (X,))
    found = method.attribute(model, X, TARGET, layer="net.conv")
    before.check()
    torch.testing.assert_close(found, method.attribute(pictures(), X, TARGET), rtol=1e-11, atol=1e-13)


@every_method
@pytest.mark.parametrize("outside", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_the_callers_grad_mode_does_not_matter(method: Method, outside: Callable[[], Any]) -> None:
    model = pictures()
    expected = method.attribute(model, X, TARGET)
    before = Snapshot(model, (X,))
    with outside():
        found = method.attribute(model, X, TARGET)
        made_here = method.attribute(model, X * 1, TARGET)
    assert_same(found, expected)
    assert_same(made_here, expected)
    before.check()


@every_method
def test_results_are_copies_without_a_graph(method: Method) -> None:
    """What a caller does with a result reaches neither inputs, nor model, nor the next result."""
    model = pictures()
    x = X.clone().requires_grad_()
    found = method.attribute(model, x, TARGET)
    for tensor in tensors_in(found):
        assert not tensor.requires_grad
    expected = found.clone()
    before = Snapshot(model, (x,))
    for tensor in tensors_in(found):
        tensor.add_(1000)
    before.check()
    assert_same(method.attribute(model, x, TARGET), expected)


@every_method
def test_inputs_that_require_gradients_and_frozen_models_change_no_number(method: Method) -> None:
    expected = method.attribute(pictures(), X, TARGET)
    assert_same(method.attribute(pictures(), X.clone().requires_grad_(), TARGET), expected)
    assert_same(method.attribute(pictures().requires_grad_(False), X, TARGET), expected)
    not_a_leaf = X.clone().requires_grad_() * 1
    assert_same(method.attribute(pictures().requires_grad_(False), not_a_leaf, TARGET), expected)


@every_fixed_method
def test_strides_do_not_matter(method: Method) -> None:
    expected = method.attribute(pictures(), X, TARGET)
    for x in (
        X.contiguous(memory_format=torch.channels_last),
        torch.stack([X, X], -1)[..., 0],
        X[:1].expand(5, -1, -1, -1),
    ):
        found = method.attribute(pictures(), x, TARGET)
        if x.stride()[0] == 0:
            expected = method.attribute(pictures(), x.contiguous(), TARGET)
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)


@every_fixed_input_method
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_results_are_of_the_type_that_is_documented(method: Method, dtype: torch.dtype) -> None:
    found = method.attribute(pictures(dtype), X.to(dtype), TARGET)
    half = dtype in (torch.float16, torch.bfloat16)
    assert found.dtype == (torch.float32 if half and (method.path or method.baselines) else dtype)
    exact = method.attribute(pictures(), X, TARGET)
    # A ReLU or a pooling may decide otherwise where rounding makes two numbers equal, so compare what is typical.
    wrong = (found.double() - exact).abs().median() / exact.abs().median()
    assert wrong < 8 * torch.finfo(dtype).eps


# --- forms of inputs, targets and arguments -----------------------------------------------------------------


@every_input_method
def test_the_form_of_inputs_is_the_form_of_results(method: Method) -> None:
    x, y = draw(3, 4), draw(3, 2, 3, seed=4)
    both = method.attribute(pair(), (x, y), 1)
    assert [t.shape for t in both] == [x.shape, y.shape]
    bare = method.attribute(mlp(), x, 1)
    wrapped = method.attribute(mlp(), (x,), 1)
    assert isinstance(bare, Tensor)
    assert isinstance(wrapped, tuple)
    assert_same(wrapped[0], bare)


@every_targeted_method
@pytest.mark.parametrize(
    "target",
    [
        np.array(TARGET),
        torch.tensor(TARGET),
        [np.int64(t) for t in TARGET],
        [(t,) for t in TARGET],
        lambda out: out.gather(1, torch.tensor([[t] for t in TARGET])),
    ],
    ids=["array", "tensor", "numpy integers", "tuples", "function"],
)
def test_every_form_of_target_means_the_same(method: Method, target: Any) -> None:
    if callable(target) and (method.random or method.baselines):
        pytest.skip("the function is written for five rows")
    options = {} if not method.path else {"internal_batch_size": 5}
    expected = method.attribute(pictures(), X, TARGET, **options)
    assert_same(method.attribute(pictures(), X, target, **options), expected)


@every_targeted_method
@pytest.mark.parametrize(
    "target", [np.int64(2), np.uint8(2), (2,), torch.tensor(2), -2, lambda out: out[:, 2]]
)
def test_every_form_of_one_target_for_all(method: Method, target: Any) -> None:
    assert_same(method.attribute(pictures(), X, target), method.attribute(pictures(), X, 2))


@every_fixed_input_method
@pytest.mark.parametrize("batch", [None, 1, 4])
def test_arguments_beside_the_inputs(method: Method, batch: int | None) -> None:
    """Each example keeps its own mask; what is shared by all is passed on as it came."""
    x, y = draw(3, 4), draw(3, 2, 3, seed=4)
    mask, shared = draw(3, 3, seed=5), draw(1, 3, seed=6)
    weights, scale = draw(5, 3, seed=7), torch.tensor(1.5, dtype=torch.float64)
    options = {"internal_batch_size": batch} if method.path else {}

    def with_table(x: Tensor, y: Tensor, mask: Tensor, shared: Tensor, table: Tensor, *more: Any) -> Tensor:
        assert table.shape == weights.shape
        assert len(mask) == len(x)
        return pair()(x, y, mask * shared, table[2], *more)

    args = (mask, shared, weights, scale, "squares")
    both = method.attribute(with_table, (x, y), 1, additional_forward_args=args, **options)
    for i in range(3):
        one = slice(i, i + 1)
        args = (mask[one], shared, weights, scale, "squares")
        alone = method.attribute(with_table, (x[one], y[one]), 1, additional_forward_args=args)
        for part, whole in zip(alone, both, strict=True):
            torch.testing.assert_close(part, whole[one], rtol=1e-11, atol=1e-13)


@every_input_method
def test_a_single_argument_needs_no_tuple(method: Method) -> None:
    x, mask = draw(3, 4), draw(3, 3, seed=5)
    net = mlp()
    expected = method.attribute(lambda x, m: net(x) * m, x, 1, additional_forward_args=(mask,))
    assert_same(method.attribute(lambda x, m: net(x) * m, x, 1, additional_forward_args=mask), expected)
    assert expected.abs().sum() > 0


@every_input_method
@pytest.mark.parametrize(
    "reduce",
    [lambda s: s.sum(), lambda s: s.sum()[None], lambda s: s.sum()[None, None]],
    ids=["()", "(1,)", "(1, 1)"],
)
def test_one_number_for_a_batch_is_explained_example_by_example(method: Method, reduce: Any) -> None:
    """As for a loss. For one example that is the loss itself."""
    net = mlp()
    x = draw(3, 4)
    expected = method.attribute(lambda x: net(x).square().sum(1), x)
    found = method.attribute(lambda x: reduce(net(x).square()), x)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)


class Doubles(nn.Module):
    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.in_place = in_place

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(2) if self.in_place else x * 2


@every_method
def test_models_that_work_in_place_on_their_input(method: Method) -> None:
    """The caller's tensor stays, and so does the gradient with respect to it; the end points of a delta too."""
    takes = inspect.signature(method.on(pictures()).attribute).parameters
    options = {"return_convergence_delta": True} if "return_convergence_delta" in takes else {}
    model, same = (nn.Sequential(Doubles(in_place), pictures()) for in_place in (True, False))
    before = Snapshot(model, (X,))
    found = method.attribute(model, X, TARGET, layer="1.conv", **options)
    before.check()
    assert_same(found, method.attribute(same, X, TARGET, layer="1.conv", **options))


@every_input_method
def test_inputs_that_the_output_does_not_depend_on_get_zeros(method: Method) -> None:
    x, y = draw(3, 4), draw(3, 2, seed=2)
    used, unused = method.attribute(lambda x, y: x.square().sum(1), (x, y))
    assert_same(used, method.attribute(lambda x: x.square().sum(1), x))
    assert_same(unused, torch.zeros_like(unused))


# --- names and signatures that Captum's users know ----------------------------------------------------------


@every_method
def test_arguments_may_be_given_by_position(method: Method) -> None:
    explainer = method.on(pictures())
    parameters = inspect.signature(explainer.attribute).parameters
    fixed = [name for name, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]

    def named() -> dict[str, Any]:
        return {"inputs": X, **method.arguments(TARGET)}

    given = named()
    positional = [given.pop(name, parameters[name].default) for name in fixed]
    assert_same(explainer.attribute(*positional, **given), explainer.attribute(**named()))


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


# --- training mode ------------------------------------------------------------------------------------------


@every_trainable_method
def test_batch_statistics_are_used_but_not_learned(method: Method) -> None:
    """A model that someone forgot to put into evaluation mode is explained as it runs, and learns nothing from it."""
    model = pictures()
    model.bn.train()
    running = {name: b.clone() for name, b in model.bn.named_buffers()}
    method.attribute(model, X, TARGET)
    for name, buffer in model.bn.named_buffers():
        assert torch.equal(buffer, running[name]), name
    assert model.bn.training
    model(X)
    assert not torch.equal(model.bn.running_mean, running["running_mean"]), "the test's own control"


@every_trainable_method
def test_dropout_in_training_mode_draws_as_the_model_does(method: Method) -> None:
    model = pictures().train()
    torch.manual_seed(3)
    first = method.attribute(model, X, TARGET)
    torch.manual_seed(3)
    assert_same(method.attribute(model, X, TARGET), first)
    assert all(m.training for m in model.modules())


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
