"""What everyday use does to an Explorer: models that fail, hang or are slow, pages that go, many of them in a row."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import comm
import ipywidgets
import pytest
import torch
import traitlets
from torch import Tensor

from attriscope import Explorer
from attriscope.core.progress import current
from attriscope.widget.state.part import LOCK
from widget.helpers import Gate, Make, TwoLayers, from_page


def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Wait for something that happens on another thread."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


# --- models ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), MemoryError("no more")]
)
def test_out_of_memory_is_said_and_the_next_choice_works(
    make: Make, model: TwoLayers, error: BaseException
) -> None:
    explorer = make(target=0).wait()

    def refuse(x: Tensor) -> None:
        raise error

    model.before = refuse
    explorer.target = 1
    with pytest.raises(type(error)):
        explorer.wait()
    assert explorer.status == "error"
    assert "not enough memory for one row" in explorer.message
    assert explorer.heat["request"]["target"] == 0
    model.before = lambda x: None
    explorer.target = 2
    assert explorer.wait().heat["request"]["target"] == 2
    assert (explorer.status, explorer.message) == ("idle", "")


def test_an_error_keeps_no_tensors_alive(make: Make, model: TwoLayers) -> None:
    held: list[Any] = []

    def refuse(x: Tensor) -> None:
        activation = torch.ones(1000)
        held.append(weakref.ref(activation))
        raise ValueError(f"no use for {len(activation)} numbers")

    model.before = refuse
    explorer = make(target=0)
    with pytest.raises(ValueError, match="1000 numbers"):
        explorer.wait()
    gc.collect()
    assert held
    assert all(ref() is None for ref in held)
    assert explorer.error is not None


def test_a_model_that_leaves_does_not_take_the_worker_along(make: Make, model: TwoLayers) -> None:
    explorer = make(target=0).wait()

    def leave(x: Tensor) -> None:
        raise SystemExit(3)

    model.before = leave
    explorer.target = 1
    with pytest.raises(SystemExit):
        explorer.wait()
    assert explorer.message == "SystemExit: 3"
    model.before = lambda x: None
    explorer.target = 2
    explorer.wait()


def test_cancel_frees_the_page_at_once_while_the_model_hangs(make: Make, model: TwoLayers) -> None:
    explorer = make(target=0).wait()
    heat, gate = explorer.heat, Gate()
    model.before = gate
    explorer.target = 1
    assert gate.reached.wait(20)
    began = time.monotonic()
    explorer._handle_custom_msg({"type": "cancel"}, [])
    assert time.monotonic() - began < 0.2
    assert explorer.status == "cancelled"
    from_page(explorer, target=2)  # is accepted, and has to wait for the batch: the page says so
    assert (explorer.status, explorer.target) == ("running", 2)
    assert explorer.message == "Waiting for the batch that still runs"
    assert explorer.heat is heat
    gate.open.set()
    assert explorer.wait().heat["request"]["target"] == 2


def test_a_slow_model_gets_small_batches_and_stops_at_the_end_of_one(model: TwoLayers) -> None:
    rows: list[int] = []

    def slow(x: Tensor) -> None:
        rows.append(len(x))
        time.sleep(0.03 * len(x))

    model.before = slow
    explorer = Explorer(model, torch.rand(1, 3, 9, 9), target=0, n_steps=200)
    until(lambda: len(rows) > 10)
    assert max(rows[5:]) <= 4  # about 100 ms
    explorer.cancel()
    done = len(rows)
    assert explorer._jobs.wait(1)
    assert len(rows) <= done + 1
    assert explorer.status == "cancelled"
    explorer.close()


def test_jobs_are_run_under_the_control_of_the_page(make: Make, model: TwoLayers) -> None:
    seen: list[Any] = []
    model.before = lambda x: seen.append(current())
    explorer = make(target=0).wait()
    assert all(control.batch_seconds == 0.1 and control.cancel is not None for control in seen)
    assert explorer.status == "idle"


# --- observers ------------------------------------------------------------------------------------------------


def test_an_observer_cannot_wait_for_itself(make: Make) -> None:
    explorer = make(target=0).wait()
    said: list[str] = []

    def wait(change: Any) -> None:
        try:
            explorer.wait(5)
        except RuntimeError as error:
            said.append(str(error))

    explorer.observe(wait, "target")
    from_page(explorer, target=1)  # would wait for a worker that waits for this to end
    assert len(said) == 1
    assert "do not call wait() from an observer" in said[0]
    explorer.observe(wait, "heat")
    explorer.target = 2  # a cell may wait: its observers hold nothing up
    explorer.unobserve(wait, "target")
    explorer.wait()
    assert len(said) > 1


def test_an_observer_that_raises_leaves_the_explorer_in_order(make: Make) -> None:
    explorer = make(target=0).wait()

    def fail(change: Any) -> None:
        raise ZeroDivisionError("a user's own mistake")

    explorer.observe(fail, "target")
    with pytest.raises(ZeroDivisionError):
        explorer.set_state({"target": 1})
    assert explorer.wait().heat["request"]["target"] == explorer.target == 1
    explorer.unobserve(fail, "target")
    explorer.observe(fail, "heat")
    explorer.target = 2
    with pytest.raises(ZeroDivisionError):
        explorer.wait()
    assert explorer.status == "error"
    explorer.unobserve(fail, "heat")
    assert explorer.recompute().wait().heat["request"]["target"] == 2


def test_linked_explorers_do_not_wait_for_each_other(model: TwoLayers, image: Tensor) -> None:
    both = [Explorer(model, image, target=0, method="Saliency") for _ in range(2)]
    traitlets.link((both[0], "target"), (both[1], "target"))

    def click(explorer: Explorer, start: int) -> None:
        for i in range(60):
            from_page(explorer, target=(start + i) % 5)

    threads = [
        threading.Thread(target=click, args=(explorer, i), daemon=True) for i, explorer in enumerate(both)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    both[0].target = 3
    for explorer in both:
        assert explorer.wait(20).heat["request"]["target"] == 3
        explorer.close()


def test_what_belongs_together_arrives_in_one_message(make: Make) -> None:
    explorer = make(target=0).wait()
    messages: list[set[str]] = []
    send = explorer.send_state

    def note(key: Any = None) -> None:
        messages.append({key} if isinstance(key, str) else set(key))
        send(key)

    explorer.send_state = note
    explorer.target = 1
    explorer.wait()
    final = [m for m in messages if "code" in m]
    assert final
    assert all("heat" in m for m in final)  # code never without the map that it reproduces
    assert {"status", "message"} <= messages[-1]


def test_cells_and_the_worker_tell_the_page_the_same(make: Make) -> None:
    """Updates from two threads at once: what the page was told last is what holds."""
    explorer = make(target=0, method="Saliency").wait()
    page = explorer.get_state()
    send = explorer.send_state

    def note(key: Any = None) -> None:
        page.update(explorer.get_state(key))
        send(key)

    explorer.send_state = note
    for i in range(150):
        explorer.target = i % 5
        explorer.opacity = (i % 10) / 10
        explorer.alpha = (i % 7) / 7
    explorer.wait()
    for name in ("target", "opacity", "alpha", "status", "progress", "message", "heat", "code"):
        assert page[name] == explorer.get_state(name)[name], name


# --- the end --------------------------------------------------------------------------------------------------


def test_closed_by_the_page_it_stops(make: Make, model: TwoLayers) -> None:
    explorer = make(target=0).wait()
    rows: list[int] = []
    gate = Gate()

    def hold(x: Tensor) -> None:
        rows.append(len(x))
        gate(x)

    model.before = hold
    explorer.target = 1
    assert gate.reached.wait(20)
    explorer.comm.handle_close({})
    assert explorer.comm is None
    gate.open.set()
    assert explorer._jobs.wait(10)
    assert len(rows) == 1
    explorer.target = 2  # nobody is there to see it
    assert explorer.wait(10).attributions is None
    explorer.close()  # twice does no harm


def test_close_lets_go_of_what_was_kept(make: Make) -> None:
    explorer = make(target=0).wait()
    map_, walk = (
        weakref.ref(explorer.attributions),
        weakref.ref(next(iter(explorer._explained._paths.values()))),
    )
    layout = explorer.layout
    explorer.close()
    gc.collect()
    assert map_() is None
    assert walk() is None
    assert layout.comm is None


def test_a_layout_of_ones_own_stays(model: TwoLayers, image: Tensor) -> None:
    layout = ipywidgets.Layout()
    Explorer(model, image, target=0, method="Saliency", layout=layout).close()
    assert layout.comm is not None
    layout.close()


def test_an_explorer_that_was_never_made_can_be_thrown_away() -> None:
    with pytest.raises(AssertionError):
        Explorer(None, torch.rand(1, 3, 8, 8))  # type: ignore[arg-type]
    gc.collect()  # __del__ closes it


def test_fifty_of_them_leave_nothing_behind(model: TwoLayers, image: Tensor) -> None:
    instances = ipywidgets.widgets.widget._instances
    comms = comm.get_comm_manager().comms

    def cycle(count: int) -> list[weakref.ref[Explorer]]:
        gone = []
        for i in range(count):
            explorer = Explorer(model, image, target=0, n_steps=4)
            if i % 2:
                explorer.wait()  # the others are closed while they work
            explorer.close()
            gone.append(weakref.ref(explorer))
        return gone

    cycle(5)
    gc.collect()
    counts = len(instances), len(comms), threading.active_count()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    gone = cycle(50)
    until(lambda: threading.active_count() <= counts[2])
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert (len(instances), len(comms)) == counts[:2]
    assert all(ref() is None for ref in gone)
    assert grown < 200_000  # an Explorer alone holds ten times as much
    assert all(not module._forward_hooks for module in model.modules())


def test_one_lock_for_all_widgets(make: Make) -> None:
    """With a lock for each, two that are linked with each other could wait for one another."""
    one, other = make(), make()
    one.wait(), other.wait()
    with LOCK:
        one.alpha = 0.5
        click = threading.Thread(target=from_page, args=(other,), kwargs={"alpha": 0.25})
        click.start()
        click.join(0.2)
        assert other.alpha == 1.0
    click.join(10)
    assert (one.alpha, other.alpha) == (0.5, 0.25)


def test_one_that_is_collected_waits_for_no_lock(model: TwoLayers, image: Tensor) -> None:
    """As in a thread that is just being started by somebody who has the lock, and waits until it has begun."""
    explorer = Explorer(model, image, target=1, n_steps=2)
    explorer.wait()
    collected = threading.Thread(target=explorer.__del__, daemon=True)
    with LOCK:
        collected.start()
        collected.join(10)
        assert not collected.is_alive()
    assert explorer.comm is None
