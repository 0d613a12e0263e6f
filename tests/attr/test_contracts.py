"""What holds for every method: numbers that depend on nothing they should not, and a world left as it was."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import attriscope
from methods import (
    Method,
    every_fixed_input_method,
    every_fixed_method,
    every_method,
    every_path_method,
    every_trainable_method,
)
from models import Recorder, Snapshot, assert_same, draw, pictures, tensors_in

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
