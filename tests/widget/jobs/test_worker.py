"""The worker: a person who clicks fast gets the latest answer, and nothing is left behind."""

from __future__ import annotations

import contextvars
import os
import subprocess
import sys
import threading
import time
import warnings

import pytest

from attriscope.widget.jobs.worker import Job, Worker, nothing


def test_latest_request_wins() -> None:
    worker, started, release = Worker("test"), threading.Event(), threading.Event()
    ran: list[str] = []

    def first(job: Job) -> None:
        started.set()
        release.wait(10)
        ran.append("first stopped" if job.is_set() else "first not told")

    worker.submit(Job(first))
    assert started.wait(10)
    worker.submit(Job(lambda job: ran.append("second")))
    worker.submit(Job(lambda job: ran.append("third")))
    release.set()
    assert worker.wait(10)
    assert ran == ["first stopped", "third"]


def test_what_comes_besides_is_done_in_turn_and_takes_the_place_of_its_kind() -> None:
    worker, started = Worker("test"), threading.Event()
    ran: list[str] = []

    def note(job: Job) -> None:
        if job.about == "map":
            started.set()
            time.sleep(0.02)
        ran.append(f"{job.about}{' stopped' if job.is_set() else ''}")

    def ask(about: str) -> None:
        worker.submit(Job(note, about), instead_of=lambda other: other.about == about)

    worker.submit(Job(note, "map"))
    assert started.wait(10)
    for about in ("table", "checks", "table"):
        ask(about)
    worker.submit(Job(note, "region", quiet=True), instead_of=nothing)
    assert worker.awaited
    assert worker.wait(10)
    assert ran == ["map", "checks", "table", "region"]

    started.clear()
    worker.submit(Job(note, "map"))
    assert started.wait(10)
    ask("table")
    ask("map")  # what runs is of this kind, and what waits is not
    assert worker.wait(10)
    assert ran[4:] == ["map stopped", "table", "map"]


def test_cancel_drops_what_waits_and_stops_what_runs() -> None:
    worker, started = Worker("test"), threading.Event()
    ran: list[str] = []

    def long(job: Job) -> None:
        started.set()
        ran.append("stopped" if job.stop.wait(10) else "ran on")

    worker.submit(Job(long))
    assert started.wait(10)
    worker.submit(Job(lambda job: ran.append("waiting one")))
    assert worker.cancel()
    assert worker.wait(10)
    assert ran == ["stopped"]
    assert not worker.cancel()  # there is nothing left to cancel


def test_no_thread_is_left_when_idle_and_work_can_go_on_later() -> None:
    before = threading.active_count()
    worker = Worker("test")
    ran: list[int] = []
    for i in range(3):
        worker.submit(Job(lambda job, i=i: ran.append(i)))
        assert worker.wait(10)
        end = time.monotonic() + 10
        while threading.active_count() > before and time.monotonic() < end:
            time.sleep(0.001)
        assert threading.active_count() == before
    assert ran == [0, 1, 2]


def test_an_exception_in_a_job_does_not_stop_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    worker, ran = Worker("test"), []

    def broken(job: Job) -> None:
        raise SystemExit("a model that leaves")

    worker.submit(Job(broken))
    assert worker.wait(10)
    worker.submit(Job(lambda job: ran.append("next")))
    assert worker.wait(10)
    assert ran == ["next"]


def test_a_job_sees_the_context_of_whoever_asked_for_it() -> None:
    where: contextvars.ContextVar[str] = contextvars.ContextVar("where", default="nowhere")
    worker, seen = Worker("test"), []
    where.set("cell 3")
    worker.submit(Job(lambda job: seen.append(where.get())))
    assert worker.wait(10)
    assert seen == ["cell 3"]


def test_waiting_for_oneself_is_refused_rather_than_hanging() -> None:
    worker, said = Worker("test"), []

    def waits(job: Job) -> None:
        try:
            worker.wait(5)
        except RuntimeError as error:
            said.append(str(error))

    worker.submit(Job(waits))
    assert worker.wait(10)
    assert said
    assert "observer" in said[0]


END_WHILE_COMPUTING = """
import torch
from torch import nn
from attriscope import Explorer

torch.set_num_threads(1)
model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()
explorer = Explorer(model, torch.randn(1, 3, 256, 256), n_steps=400)
while explorer.status != "running" or not explorer.heat:
    pass
print("the last line")
"""


def test_a_script_may_end_while_a_job_is_running() -> None:
    """A thread that is inside torch when the interpreter ends would abort the process (exit code 134)."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", END_WHILE_COMPUTING],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "the last line\n"), done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_a_forked_process_begins_without_jobs() -> None:
    worker, started, release = Worker("test"), threading.Event(), threading.Event()

    def long(job: Job) -> None:
        started.set()
        release.wait(30)

    worker.submit(Job(long))
    assert started.wait(10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking a process of several threads
        child = os.fork()
    if child == 0:  # nothing of pytest may run in here
        ran = threading.Event()
        worker.submit(Job(lambda job: ran.set()))
        os._exit(0 if ran.wait(10) and worker.wait(10) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert worker.busy, "here it goes on"
    release.set()
    assert worker.wait(10)
