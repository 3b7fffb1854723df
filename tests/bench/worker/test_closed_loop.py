"""The closed loop that is measured, with managers that are functions: no process, no pipe.

Threads and tasks run the same tests: ``run`` hides which of the two it is.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise
from typing import TypeVar

import numpy as np
import pytest

from bench.results.samples import SliceSamples
from bench.worker.clients import closed_loop as clients_module
from bench.worker.clients import slice
from bench.worker.clients.closed_loop import run_tasks, run_threads
from bench.worker.clients.slice import Slice, Work, WrongPageError
from bench.worker.meters import Used
from bench.worker.protocol import REDO_END, STRIDE
from tests.support.made_up_managers import PAGES, REQUESTS, Clock, CountingMeter, right
from tests.support.made_up_managers import run_closed_loop as run
from tests.support.managers import eventually

Answer = TypeVar("Answer")


@pytest.fixture(params=["threads", "tasks"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.parametrize("clients", [1, 2, 16])
def test_the_payload_counts_every_redo(kind: str, clients: int) -> None:
    done: list[int] = []

    def redo(index: int) -> bytes:
        done.append(index)
        return PAGES[index]

    samples = SliceSamples.from_payload(run(kind, redo, clients).payload, clients)
    assert samples.clients == clients
    assert int(samples.redos.sum()) == len(done) == samples.latency_ns.size
    assert samples.start_ns.min() >= 0


@pytest.mark.parametrize("clients", [1, 3])
def test_each_redo_leaves_its_end(kind: str, clients: int) -> None:
    outcome = run(kind, right, clients)
    samples = SliceSamples.from_payload(outcome.payload, clients)
    ends = outcome.series[REDO_END].tolist()
    assert len(ends) == samples.latency_ns.size
    for redos, latencies in zip(samples.redos.tolist(), split(samples), strict=True):
        own, ends = ends[:redos], ends[redos:]
        turns = [later - earlier for earlier, later in pairwise(own)]
        assert all(turn > latency for turn, latency in zip(turns, latencies[1:], strict=True))


def split(samples: SliceSamples) -> list[list[int]]:
    """The latencies of each client."""
    parts = np.split(samples.latency_ns, samples.redos.cumsum()[:-1])
    return [part.tolist() for part in parts]


@pytest.mark.parametrize("clients", [1, 3])
def test_each_client_stops_at_the_first_redo_that_ends_past_the_deadline(
    kind: str, clients: int
) -> None:
    seconds = 0.01

    def redo(index: int) -> bytes:
        time.sleep(0.001)
        return PAGES[index]

    outcome = run(kind, redo, clients, seconds)
    samples = SliceSamples.from_payload(outcome.payload, clients, round(seconds * 1e9))
    for client in range(clients):
        first = int(samples.redos[:client].sum())
        own_ns = samples.latency_ns[first : first + int(samples.redos[client])]
        start_ns, end_ns = samples.start_ns[client], samples.end_ns[client]
        assert end_ns >= samples.deadline_ns
        assert own_ns.sum() <= end_ns - start_ns
        # Without its last redo it had not got there; but even one that is let go too late does one.
        assert len(own_ns) == 1 or start_ns + own_ns[:-1].sum() < samples.deadline_ns


def test_the_loop_by_hand(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(clients_module, "_now_ns", clock)
    monkeypatch.setattr(slice, "_now_ns", clock)

    def redo(index: int) -> bytes:
        clock.pass_ns(99_000)
        return PAGES[index]

    # Each redo: 1 us to the reading before it, then 99 us and 1 us for the reading after it.
    samples = SliceSamples.from_payload(run(kind, redo, 1, 0.001).payload, 1)
    assert samples.latency_ns.tolist() == [100_000] * 10
    assert samples.start_ns.tolist() == [1_000]
    assert samples.end_ns.tolist() == [1_000 + 10 * 101_000]


def test_a_redo_that_ends_at_the_deadline_is_the_last(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(clients_module, "_now_ns", clock)
    monkeypatch.setattr(slice, "_now_ns", clock)

    def redo(index: int) -> bytes:
        clock.pass_ns(497_000)  # with three readings of the clock: half the slice
        return PAGES[index]

    samples = SliceSamples.from_payload(run(kind, redo, 1, 0.0005).payload, 1)
    assert samples.end_ns.tolist() == [500_000]
    assert samples.redos.tolist() == [1]


def test_a_slice_of_no_time_is_one_redo_each(kind: str) -> None:
    samples = SliceSamples.from_payload(run(kind, right, 5, 0.0).payload, 5)
    assert samples.redos.tolist() == [1] * 5


def test_clients_begin_a_stride_apart(kind: str) -> None:
    done: list[int] = []

    def redo(index: int) -> bytes:
        done.append(index)
        return PAGES[index]

    run(kind, redo, 6, 0.0)
    assert sorted(done) == sorted(client * STRIDE % REQUESTS for client in range(6))
    assert len(set(done)) == 6


def test_a_client_takes_the_requests_in_turn_and_begins_anew(kind: str) -> None:
    done: list[int] = []

    def redo(index: int) -> bytes:
        done.append(index)
        return PAGES[index]

    while len(done) <= REQUESTS:
        done.clear()
        run(kind, redo, 1, 0.01)
    assert done == [at % REQUESTS for at in range(len(done))]


def test_a_wrong_page_is_named(kind: str) -> None:
    def redo(index: int) -> bytes:
        return PAGES[(index + 1) % REQUESTS] if index == 2 else PAGES[index]

    with pytest.raises(WrongPageError, match=r"wrong page: client 0, request 2"):
        run(kind, redo, 1, 1.0)


@pytest.mark.parametrize("page", [b"", PAGES[34] + b"\0", PAGES[34][:-1] + b"\xff"])
def test_a_page_that_is_nearly_right_is_wrong(kind: str, page: bytes) -> None:
    def redo(index: int) -> bytes:
        return page if index == 34 else PAGES[index]

    with pytest.raises(WrongPageError, match=r"client 2, request 34"):
        run(kind, redo, 3, 0.0)


def test_a_failing_call_is_raised_and_the_others_end(kind: str) -> None:
    class RefusedError(Exception):
        """What this manager raises."""

    def redo(index: int) -> bytes:
        if index == STRIDE:  # the second client's first; the others must not hang
            raise RefusedError("no redo today")
        return PAGES[index]

    with pytest.raises(RefusedError, match="no redo today"):
        run(kind, redo, 8, 0.01)


def test_all_calls_may_fail(kind: str) -> None:
    def redo(index: int) -> bytes:
        raise OSError(f"request {index}")

    with pytest.raises(OSError, match="request"):
        run(kind, redo, 8, 0.01)


def test_meters_are_read_just_before_and_just_after(kind: str) -> None:
    done: list[int] = []

    def redo(index: int) -> bytes:
        done.append(index)
        return PAGES[index]

    meters = CountingMeter(lambda: len(done)), CountingMeter(lambda: len(done))
    outcome = run(kind, redo, 4, 0.005, meters)
    assert outcome.used == (Used(1000, 10, 1), Used(1000, 10, 1))
    for meter in meters:
        assert meter.done_when_read == [0, len(done)]
    assert done


def test_a_client_yields_after_every_redo_but_the_last(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    def redo(index: int) -> bytes:
        events.append("redo")
        return PAGES[index]

    if kind == "threads":
        monkeypatch.setattr(os, "sched_yield", lambda: events.append("yield"))
    else:
        give_way = slice.give_way

        async def yielding() -> None:
            events.append("yield")
            await give_way()

        monkeypatch.setattr(clients_module, "give_way", yielding)
    run(kind, redo, 1, 0.005)
    assert len(events) > 2
    assert events == ["redo", "yield"] * (len(events) // 2) + ["redo"]


def test_a_yield_lets_another_task_on() -> None:
    done: list[int] = []

    async def answer(index: int) -> bytes:
        done.append(index)
        return PAGES[index]

    # Answers come without a wait: only the yield lets the second client begin.
    work: Work[Awaitable[bytes]] = Work(
        [partial(answer, index) for index in range(REQUESTS)], PAGES
    )
    asyncio.run(run_tasks(Slice(work, 2, 0.005, ())))
    assert done[:6] == [0, STRIDE, 1, STRIDE + 1, 2, STRIDE + 2]


def test_threads_really_redo_at_the_same_time() -> None:
    everybody = threading.Barrier(4)

    def redo(index: int) -> bytes:
        everybody.wait(timeout=20)
        return PAGES[index]

    samples = SliceSamples.from_payload(run("threads", redo, 4, 0.0).payload, 4)
    assert samples.redos.tolist() == [1] * 4


def test_no_client_starts_before_everybody_is_there(kind: str) -> None:
    started: list[float] = []

    class SlowMeter(CountingMeter):
        """The gate opens once the meters are read."""

        def used(self) -> Used:
            time.sleep(0.02)
            assert not started or len(self.done_when_read) == 1
            return super().used()

    def redo(index: int) -> bytes:
        started.append(time.monotonic())
        return PAGES[index]

    run(kind, redo, 8, 0.0, [SlowMeter()])
    assert len(started) == 8


def test_a_cancelled_slice_leaves_no_task() -> None:
    async def never(index: int) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    async def cancelled() -> None:
        calls: list[Callable[[], Awaitable[bytes]]] = [partial(never, index) for index in range(4)]
        slice_ = asyncio.create_task(run_tasks(Slice(Work(calls, PAGES[:4]), 4, 0.0, ())))
        await asyncio.sleep(0.01)
        slice_.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slice_
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(cancelled())


def test_many_threads_end() -> None:
    before = threading.active_count()
    samples = SliceSamples.from_payload(run("threads", right, 128, 0.01).payload, 128)
    assert samples.clients == 128
    assert eventually(lambda: threading.active_count() == before)


# --- Clients with calls of their own --------------------------------------------------------------


def test_each_client_makes_its_own_calls(kind: str) -> None:
    seen: dict[int, set[int]] = {client: set() for client in range(3)}
    caller: dict[object, int] = {}

    def redo(client: int, index: int) -> bytes:
        me = threading.get_ident() if kind == "threads" else asyncio.current_task()
        assert caller.setdefault(me, client) == client, "it called somebody else's manager"
        seen[client].add(index)
        return PAGES[index]

    async def answer(client: int, index: int) -> bytes:
        return redo(client, index)

    def calls_of(call: Callable[[int, int], Answer]) -> list[list[Callable[[], Answer]]]:
        return [[partial(call, client, index) for index in range(REQUESTS)] for client in range(3)]

    if kind == "threads":
        own = calls_of(redo)
        run_threads(Slice(Work(own[0], PAGES, own), 3, 0.005, ()))
    else:
        awaited = calls_of(answer)
        asyncio.run(run_tasks(Slice(Work(awaited[0], PAGES, awaited), 3, 0.005, ())))
    for client, indices in seen.items():
        assert client * STRIDE % REQUESTS in indices
    assert len(caller) == 3


def test_the_own_meter_is_read_last_before_and_first_after(kind: str) -> None:
    """What it takes to read the others is not the slice's."""
    read: list[str] = []

    class Named(CountingMeter):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def used(self) -> Used:
            read.append(self.name)
            return super().used()

    outcome = run(kind, right, 1, meters=(Named("own"), Named("child")))
    assert read == ["child", "own", "own", "child"]
    assert outcome.used == (Used(1000, 10, 1),) * 2
