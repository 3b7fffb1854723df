"""Clients that share K threads, with managers that are functions: no process, no pipe."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import partial

import pytest

from bench.results.measures.redos import self_check
from bench.results.samples import SliceSamples
from bench.worker.clients import executor
from bench.worker.clients.executor import run_on_executor
from bench.worker.clients.slice import Slice, Work, WrongPageError
from bench.worker.meters import Meter, Used
from bench.worker.protocol import STRIDE
from tests.support.made_up_managers import PAGES, REQUESTS, Clock, CountingMeter, Redo, right


def run(
    redo: Redo,
    clients: int,
    threads: int,
    seconds: float = 0.005,
    meters: Sequence[Meter] = (),
    *,
    gives_way: bool = True,
) -> SliceSamples:
    """A slice whose request ``i`` is answered by ``redo(i)``; no thread is left behind."""
    before = threading.active_count()
    work = Work([partial(redo, index) for index in range(REQUESTS)], PAGES)
    try:
        outcome = run_on_executor(
            Slice(work, clients, seconds, meters), threads=threads, gives_way=gives_way
        )
    finally:
        assert threading.active_count() == before
    return SliceSamples.from_payload(outcome.payload, clients, round(seconds * 1e9))


class InFlight:
    """A manager that counts how many redos are in it at once, and who called."""

    def __init__(self, redo_s: float = 0.0005) -> None:
        self._redo_s = redo_s
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0
        self.threads: set[int] = set()

    def __call__(self, index: int) -> bytes:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.threads.add(threading.get_ident())
        time.sleep(self._redo_s)
        with self._lock:
            self._now -= 1
        return PAGES[index]


@pytest.mark.parametrize("gives_way", [True, False])
@pytest.mark.parametrize(("clients", "threads"), [(1, 1), (16, 3), (5, 1), (3, 16), (4, 4)])
def test_no_more_redos_than_threads_are_in_flight(
    clients: int, threads: int, gives_way: bool
) -> None:
    manager = InFlight()
    samples = run(manager, clients, threads, 0.02, gives_way=gives_way)
    assert samples.clients == clients
    assert 1 <= manager.most <= min(threads, clients)
    assert len(manager.threads) <= min(threads, clients)
    assert samples.redos.min() >= 1


def test_as_many_as_there_are_threads_really_redo_at_the_same_time() -> None:
    everybody = threading.Barrier(4)

    def redo(index: int) -> bytes:
        everybody.wait(timeout=20)
        return PAGES[index]

    # 8 clients in two fours: neither would come through with a thread less.
    assert run(redo, 8, 4, 0.0).redos.tolist() == [1] * 8


def test_more_threads_than_clients_are_as_many_as_clients() -> None:
    manager = InFlight(0.002)
    run(manager, 2, 64, 0.0)
    assert len(manager.threads) <= 2


def test_clients_that_give_way_take_turns() -> None:
    done: list[int] = []

    def redo(index: int) -> bytes:
        done.append(index)
        time.sleep(0.001)
        return PAGES[index]

    run(redo, 3, 1, 0.05)
    first = [0, STRIDE, 2 * STRIDE]
    expected = [(start + turn) % REQUESTS for turn in range(REQUESTS) for start in first]
    assert len(done) > 3
    assert done == expected[: len(done)]


def test_one_that_does_not_give_way_keeps_its_thread_until_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    for module in ("slice", "executor"):
        monkeypatch.setattr(f"bench.worker.clients.{module}._now_ns", clock)

    def redo(index: int) -> bytes:
        clock.pass_ns(98_000)  # with two readings of the clock: 100 us
        return PAGES[index]

    samples = run(redo, 3, 1, 0.001, gives_way=False)
    assert samples.redos.tolist() == [10, 1, 1]
    # Those that were not served have waited since the barrier, and their wall says so.
    assert samples.latency_ns.max() == 99_000
    assert samples.end_ns.tolist() == sorted(samples.end_ns.tolist())
    assert (samples.end_ns >= samples.deadline_ns).all()


@pytest.mark.parametrize("gives_way", [True, False])
def test_each_client_stops_with_its_first_redo_that_ends_past_the_deadline(
    gives_way: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    for module in ("slice", "executor"):
        monkeypatch.setattr(f"bench.worker.clients.{module}._now_ns", clock)

    def redo(index: int) -> bytes:
        clock.pass_ns(50_000)
        return PAGES[index]

    samples = run(redo, 4, 1, 0.001, gives_way=gives_way)
    ends = sorted(samples.end_ns.tolist())
    # On one thread redos end one after another, so each end but the first is a redo of its own.
    assert samples.deadline_ns <= ends[0] < samples.deadline_ns + 60_000
    assert ends[-1] < samples.deadline_ns + 4 * 60_000
    assert self_check(samples).ok


def test_a_wait_for_a_thread_is_in_the_wall_and_not_in_the_latency() -> None:
    redo_s = 0.002

    def redo(index: int) -> bytes:
        time.sleep(redo_s)
        return PAGES[index]

    samples = run(redo, 8, 1, 0.05)
    walls_ns = int(samples.end_ns.sum())
    assert int(samples.latency_ns.min()) >= redo_s * 1e9
    # Eight clients of one thread: each redoes for an eighth of its wall at most.
    assert int(samples.latency_ns.sum()) < walls_ns / 4
    assert (samples.start_ns[1:] > samples.start_ns[:-1]).all()


def test_a_wrong_page_is_named_and_the_others_end() -> None:
    def redo(index: int) -> bytes:
        return b"" if index == 2 * STRIDE else PAGES[index]

    with pytest.raises(WrongPageError, match=r"client 2, request 34"):
        run(redo, 8, 2, 0.0)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_all_calls_may_fail(threads: int) -> None:
    def redo(index: int) -> bytes:
        raise OSError(f"request {index}")

    with pytest.raises(OSError, match="request"):
        run(redo, 4, threads, 0.01)


def test_meters_are_read_just_before_and_just_after() -> None:
    done: list[int] = []

    def redo(index: int) -> bytes:
        done.append(index)
        return PAGES[index]

    meter = CountingMeter(lambda: len(done))
    work = Work([partial(redo, index) for index in range(REQUESTS)], PAGES)
    outcome = run_on_executor(Slice(work, 4, 0.005, [meter]), threads=2)
    assert outcome.used == (Used(1000, 10, 1),)
    assert meter.done_when_read == [0, len(done)]


def test_many_clients_on_few_threads() -> None:
    samples = run(right, 512, 3, 0.01)
    assert samples.redos.min() >= 1
    assert samples.latency_ns.size == samples.redos.sum()
    assert executor.run_on_executor is run_on_executor
