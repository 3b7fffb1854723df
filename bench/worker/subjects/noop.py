"""No manager and no child: what a redo takes then is what the harness costs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from functools import partial

from bench.cases.managers.registry import kind_of
from bench.worker.clients.choice import task_runner, thread_runner
from bench.worker.clients.slice import SliceOutcome, Work
from bench.worker.meters import Meter, OwnMeter
from bench.worker.protocol import WorkerSpec
from bench.worker.subjects.subject import Fact, pages_of


class NoopSubject:
    """No manager and no child: each redo is answered with the ready page."""

    child_pids = ()

    def __init__(self, spec: WorkerSpec) -> None:
        pages = pages_of(spec)
        # Copies, since a page that is the expected object itself is compared for nothing.
        ready = [bytes(bytearray(page)) for page in pages]
        self._clients = spec.clients
        self._run_threads, self._run_tasks = thread_runner(spec), task_runner(spec)
        self._is_async = kind_of(spec.manager).is_async
        self._sync = Work([partial(_ready, page) for page in ready], pages)
        self._async: Work[Awaitable[bytes]] = Work(
            [partial(_ready_async, page) for page in ready], pages
        )
        self._runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
        self.meters: tuple[Meter, ...] = (OwnMeter(),)

    def run_slice(self, seconds: float) -> SliceOutcome:
        if self._is_async:
            run = self._run_tasks(self._async, self._clients, seconds, self.meters)
            return self._runner.run(run)
        return self._run_threads(self._sync, self._clients, seconds, self.meters)

    def counters(self) -> Mapping[str, int]:
        return {}

    def facts(self) -> Mapping[str, Fact]:
        return {}

    def close(self) -> None:
        self._runner.close()


def _ready(page: bytes) -> bytes:
    return page


async def _ready_async(page: bytes) -> bytes:
    return page
