"""The worker: a person who clicks fast gets the latest answer, and nothing is left behind."""

from __future__ import annotations

import contextvars
import threading
import time

import pytest

from attriscope.widget.jobs.worker import Job, Worker


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
