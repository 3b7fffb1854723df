"""No manager and no child: what a redo takes then is what the harness costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from bench.cases.managers.registry import kind_of
from bench.worker.clients.slice import Slice, SliceOutcome, Work
from bench.worker.meters import Meter, OwnMeter
from bench.worker.protocol import WorkerSpec
from bench.worker.subjects.runtime import runtime_of
from bench.worker.subjects.subject import Fact, pages_of


class NoopSubject:
    """No manager and no child: each redo is answered with the ready page."""

    child_pids = ()

    def __init__(self, spec: WorkerSpec) -> None:
        pages = pages_of(spec)
        redo: Callable[[bytes], Any] = _ready_async if kind_of(spec.manager).is_async else _ready
        # Copies, since a page that is the expected object itself is compared for nothing.
        calls = [partial(redo, bytes(bytearray(page))) for page in pages]
        self._work: Work[Any] = Work(calls, pages)
        self._clients, self._runtime = spec.clients, runtime_of(spec)
        self.meters: tuple[Meter, ...] = (OwnMeter(),)

    def run_slice(self, seconds: float) -> SliceOutcome:
        this = Slice(self._work, self._clients, seconds, self.meters)
        return self._runtime.run_slice(this)

    def counters(self) -> Mapping[str, int]:
        return {}

    def facts(self) -> Mapping[str, Fact]:
        return {}

    def close(self) -> None:
        self._runtime.close()


def _ready(page: bytes) -> bytes:
    return page


async def _ready_async(page: bytes) -> bytes:
    return page
