"""Managers that are functions, a clock and a meter: what the tests of the clients' loops share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from bench.worker.clients.closed_loop import run_tasks, run_threads
from bench.worker.clients.slice import Slice, SliceOutcome, Work
from bench.worker.meters import Meter, Used

REQUESTS = 64


PAGES = [bytes([index]) * 32 for index in range(REQUESTS)]


Redo = Callable[[int], bytes]
"""What a fake manager does for a request."""


class Clock:
    """Stands in for the loop's clock: each reading is 1 us after the one before it."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            self.now_ns += 1_000
            return self.now_ns

    def pass_ns(self, ns: int) -> None:
        with self._lock:
            self.now_ns += ns


class CountingMeter:
    """Whose totals grow by one with each reading; notes what had been done when it was read."""

    def __init__(self, done: Callable[[], int] = lambda: 0) -> None:
        self._done = done
        self.done_when_read: list[int] = []

    def used(self) -> Used:
        self.done_when_read.append(self._done())
        count = len(self.done_when_read)
        return Used(1000 * count, 10 * count, count)

    def user_share(self) -> float | None:
        return None


def run_closed_loop(
    kind: str, redo: Redo, clients: int, seconds: float = 0.005, meters: Sequence[Meter] = ()
) -> SliceOutcome:
    """A slice whose request ``i`` is answered by ``redo(i)``; no thread is left behind."""
    if kind == "threads":
        before = threading.active_count()
        work = Work([partial(redo, index) for index in range(REQUESTS)], PAGES)
        try:
            return run_threads(Slice(work, clients, seconds, meters))
        finally:
            assert threading.active_count() == before

    async def answer(index: int) -> bytes:
        return redo(index)

    async def everything() -> SliceOutcome:
        calls: list[Callable[[], Awaitable[bytes]]] = [
            partial(answer, index) for index in range(REQUESTS)
        ]
        try:
            return await run_tasks(Slice(Work(calls, PAGES), clients, seconds, meters))
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}

    return asyncio.run(everything())


def right(index: int) -> bytes:
    return PAGES[index]
