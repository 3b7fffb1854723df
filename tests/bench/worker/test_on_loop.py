"""Clients of a sync manager on an event loop: where their calls run, and that the loop is that of
``test_clients``."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from bench.cases.notations import HEARTBEAT_ON_LOOP, HEARTBEAT_THREAD, ON_LOOP, TO_THREAD
from bench.results.samples import SliceSamples
from bench.worker.clients.choice import thread_runner
from bench.worker.clients.closed_loop import run_tasks
from bench.worker.clients.on_loop import executor_threads, on_loop
from bench.worker.clients.slice import Slice, Work, WrongPageError
from bench.worker.protocol import LATE, STRIDE, WorkerSpec
from tests.support.made_up_managers import PAGES, REQUESTS, CountingMeter
from tests.support.managers import eventually, open_descriptors


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    threads, descriptors = threading.active_count(), len(open_descriptors())
    yield
    assert eventually(lambda: threading.active_count() == threads)
    assert len(open_descriptors()) == descriptors


class Called:
    """Redos that note their thread; none returns before so many are at it ``together``."""

    def __init__(self, together: int = 1) -> None:
        self.requests: list[int] = []
        self.threads: set[int] = set()
        self._lock = threading.Lock()
        self._together = threading.Barrier(together)

    def work(self) -> Work[bytes]:
        return Work([partial(self.redo, index) for index in range(REQUESTS)], PAGES)

    def redo(self, index: int) -> bytes:
        with self._lock:
            self.requests.append(index)
            self.threads.add(threading.get_ident())
        self._together.wait(timeout=20)
        return PAGES[index]


def test_on_the_loop_every_call_is_in_its_thread_one_at_a_time() -> None:
    called = Called()
    meter = CountingMeter(lambda: len(called.requests))
    outcome = on_loop(run_tasks, to_thread=False)(Slice(called.work(), 4, 0.2, [meter]))
    samples = SliceSamples.from_payload(outcome.payload, 4)
    assert called.threads == {threading.get_ident()}
    assert int(samples.redos.sum()) == len(called.requests)
    assert meter.done_when_read == [0, len(called.requests)]
    # Each gives way after its redo, so all are ready and take turns.
    assert called.requests[:5] == [0, STRIDE, 2 * STRIDE, 3 * STRIDE % REQUESTS, 1]


def test_to_thread_has_as_many_redos_in_flight_as_the_executor_has_threads() -> None:
    threads = executor_threads()
    called = Called(together=threads)
    on_loop(run_tasks, to_thread=True)(Slice(called.work(), 2 * threads, 0.0, ()))
    assert len(called.threads) == threads
    assert threading.get_ident() not in called.threads
    assert len(called.requests) == 2 * threads


@pytest.mark.parametrize("to_thread", [False, True])
def test_what_a_call_raises_is_raised(to_thread: bool) -> None:
    def refused() -> bytes:
        raise OSError("no redo today")

    run = on_loop(run_tasks, to_thread=to_thread)
    with pytest.raises(OSError, match="no redo today"):
        run(Slice(Work([refused], PAGES[:1]), 3, 0.01, ()))
    with pytest.raises(WrongPageError, match="client 0, request 0"):
        run(Slice(Work([lambda: b""], PAGES[:1]), 1, 0.01, ()))


SPEC = WorkerSpec(
    manager="sync",
    workload="short",
    clients=2,
    child_command=(),
    requests="",
    pages="",
    timeout_s=1.0,
)


@pytest.mark.parametrize("caller", [ON_LOOP, TO_THREAD])
@pytest.mark.parametrize("heartbeat", ["none", HEARTBEAT_ON_LOOP, HEARTBEAT_THREAD])
def test_the_dimensions_choose_the_loop(caller: str, heartbeat: str) -> None:
    run = thread_runner(replace(SPEC, caller=caller, heartbeat=heartbeat))
    called = Called()
    outcome = run(Slice(called.work(), 2, 0.002, ()))
    assert (threading.get_ident() in called.threads) == (caller == ON_LOOP)
    assert (LATE in outcome.series) == (heartbeat != "none")
    assert not outcome.used
