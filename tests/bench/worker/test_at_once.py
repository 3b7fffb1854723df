"""Clients that call at the same moment, with managers that are functions: no process, no pipe."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from bench.results.samples import SliceSamples
from bench.worker.clients import at_once
from bench.worker.clients import slice as slice_module
from bench.worker.clients.at_once import Episode, outcome_of, tasks_at_once, threads_at_once
from bench.worker.clients.slice import Work, WrongPageError
from bench.worker.meters import Used
from bench.worker.protocol import STRIDE

REQUESTS = 64
PAGES = [bytes([index]) * 32 for index in range(REQUESTS)]
Redo = Callable[[int], bytes]


@pytest.fixture(params=["threads", "tasks"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def run(kind: str, redo: Redo, clients: int, begin: Callable[[], object]) -> Episode:
    """An episode whose request ``i`` is answered by ``redo(i)``; no thread is left behind."""
    if kind == "threads":
        before = threading.active_count()
        try:
            work = Work([partial(redo, index) for index in range(REQUESTS)], PAGES)
            return threads_at_once(work, clients, begin)
        finally:
            assert threading.active_count() == before

    async def answer(index: int) -> bytes:
        return redo(index)

    async def everything() -> Episode:
        calls: list[Callable[[], Awaitable[bytes]]] = [
            partial(answer, index) for index in range(REQUESTS)
        ]
        try:
            return await tasks_at_once(Work(calls, PAGES), clients, begin)
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}

    return asyncio.run(everything())


def test_each_calls_once_after_the_beginning_and_counts_from_it(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = 1_000
    events: list[object] = []

    def clock() -> int:
        return now_ns

    def begin() -> None:
        nonlocal now_ns
        events.append("begin")
        now_ns += 500

    def redo(index: int) -> bytes:
        events.append(index)
        return PAGES[index]

    for module in (at_once, slice_module):
        monkeypatch.setattr(module, "_now_ns", clock)
    assert run(kind, redo, 5, begin) == [500] * 5
    assert events[0] == "begin"
    assert sorted(map(str, events[1:])) == sorted(str(n * STRIDE % REQUESTS) for n in range(5))


def test_a_wrong_page_is_named(kind: str) -> None:
    def redo(index: int) -> bytes:
        return PAGES[0] if index == STRIDE else PAGES[index]

    with pytest.raises(WrongPageError, match=f"client 1, request {STRIDE}"):
        run(kind, redo, 3, lambda: None)


def test_a_client_that_fails_and_a_beginning_that_fails_leave_nobody_waiting(kind: str) -> None:
    def fail(*_: object) -> bytes:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        run(kind, fail, 3, lambda: None)
    with pytest.raises(OSError, match="no"):
        run(kind, lambda index: PAGES[index], 3, fail)


def test_a_slice_is_its_episodes_and_time_per_redo_their_mean() -> None:
    used = (Used(5, 1, 0),)
    outcome = outcome_of([(10, 40), (20, 60), (30, 80)], used, {"launches": 3})
    samples = SliceSamples.from_payload(outcome.payload, 2)
    assert samples.latency_ns.tolist() == [10, 20, 30, 40, 60, 80]
    assert samples.redos.tolist() == [3, 3]
    assert samples.end_ns.tolist() == [60, 180]
    assert (outcome.used, outcome.counts) == (used, {"launches": 3})
