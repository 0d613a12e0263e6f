"""A job computes as the cell that asked for it would have."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from attriscope import Explorer
from attriscope.widget.jobs.torch_context import TorchContext
from attriscope.widget.jobs.worker import Job, Worker
from attriscope.widget.methods.catalogue import INPUT_METHODS
from models import elsewhere
from widget.helpers import TwoLayers, from_page


def seen_by_a_job(torch_context: TorchContext | None = None) -> dict[str, Any]:
    """What torch says on the worker's thread."""
    found: dict[str, Any] = {}

    def look(job: Job) -> None:
        with job.torch_context.restored():
            found.update(
                device=torch.get_default_device().type,
                dtype=torch.get_default_dtype(),
                autocast=torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu"),
                cache=torch.is_autocast_cache_enabled(),
                gradients=torch.is_grad_enabled(),
                inference=torch.is_inference_mode_enabled(),
            )

    worker = Worker("test")
    worker.submit(Job(look, torch_context=torch_context))
    assert worker.wait(10)
    return found


def test_as_in_any_thread_unless_something_was_set() -> None:
    assert seen_by_a_job() == {
        "device": "cpu",
        "dtype": torch.float32,
        "autocast": False,
        "cache": True,
        "gradients": True,
        "inference": False,
    }


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_goes_along(dtype: torch.dtype) -> None:
    with torch.autocast("cpu", dtype=dtype, cache_enabled=False):
        found = seen_by_a_job()
    assert (found["autocast"], found["cache"]) == (dtype, False)
    assert not seen_by_a_job()["autocast"]


def test_default_device_goes_along() -> None:
    with torch.device("meta"):
        assert seen_by_a_job()["device"] == "meta"
    with elsewhere():
        assert seen_by_a_job()["device"] == "meta"


def test_default_dtype_is_the_process_own() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        assert seen_by_a_job()["dtype"] == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_gradients_are_on_whatever_the_caller_had() -> None:
    with torch.no_grad():
        assert seen_by_a_job()["gradients"]
    with torch.inference_mode():
        found = seen_by_a_job()
    assert found["gradients"]
    assert not found["inference"]


def test_cuda_stream_and_its_device_go_along_if_cuda_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a CUDA device: that the caller's stream is asked for, and made current on the worker's thread."""
    entered: list[Any] = []

    @contextlib.contextmanager
    def stream(which: Any) -> Iterator[None]:
        entered.append(which)
        yield

    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: "the cell's stream")
    assert TorchContext.of_caller().stream is None  # asking would make CUDA start up
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    seen_by_a_job()
    assert entered == ["the cell's stream"]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_for_real() -> None:
    stream = torch.cuda.Stream()
    found: list[Any] = []

    def look(job: Job) -> None:
        with job.torch_context.restored():
            found.append((torch.cuda.current_device(), torch.cuda.current_stream()))

    worker = Worker("test")
    with torch.cuda.stream(stream):
        worker.submit(Job(look))
    assert worker.wait(10)
    assert found == [(stream.device_index, stream)]


def test_clicks_compute_in_the_surroundings_of_the_cell(model: TwoLayers, image: Tensor) -> None:
    """A page's message comes on a thread that knows nothing of the cell's autocast."""
    seen: list[bool] = []
    model.before = lambda x: seen.append(torch.is_autocast_enabled("cpu"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        explorer = Explorer(model, image, target=0, n_steps=4).wait()
    assert seen
    assert all(seen)
    seen.clear()
    from_page(explorer, target=1)
    explorer.wait()
    assert seen
    assert all(seen)
    seen.clear()
    explorer.target = 2  # from a cell without autocast
    explorer.wait()
    assert seen
    assert not any(seen)
    explorer.close()


def test_a_default_device_puts_nothing_where_it_does_not_belong(model: TwoLayers, image: Tensor) -> None:
    alone = Explorer(model, image, target=0, n_steps=4, baseline=["zero", "noise"]).wait()
    with torch.device("meta"):
        explorer = Explorer(model, image, target=0, n_steps=4, baseline=["zero", "noise"]).wait()
    torch.testing.assert_close(explorer.attributions, alone.attributions)
    assert explorer.path["totals"] == pytest.approx(alone.path["totals"], abs=1e-5)
    for one in (alone, explorer):
        one.close()


@pytest.mark.parametrize("method", INPUT_METHODS)
def test_a_default_device_changes_no_number(method: str, model: TwoLayers, image: Tensor) -> None:
    def found() -> Tensor | None:
        explorer = Explorer(model, image, target=0, method=method).wait()
        attributions = explorer.attributions
        explorer.close()
        return attributions

    with elsewhere():
        there = found()
    assert there is not None
    torch.testing.assert_close(there, found(), rtol=1e-4, atol=1e-6)


def test_a_default_device_changes_no_comparison_and_no_picture(model: TwoLayers, image: Tensor) -> None:
    def found() -> tuple[Any, bytes]:
        explorer = Explorer(model, image, target=0, n_steps=4).compare().wait()
        table = explorer.comparison_table
        explorer.layer = "first"
        picture = explorer.wait().snapshot()
        explorer.close()
        return table.values, picture

    with elsewhere():
        there = found()
    here = found()
    torch.testing.assert_close(there[0], here[0], rtol=1e-4, atol=1e-6)
    assert there[1] == here[1]


def test_the_callers_state_is_as_before(model: TwoLayers, image: Tensor) -> None:
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        Explorer(model, image, target=0, n_steps=4).wait().close()
        assert not torch.is_grad_enabled()
        assert torch.is_autocast_enabled("cpu")
    assert torch.get_default_device() == torch.device("cpu")
