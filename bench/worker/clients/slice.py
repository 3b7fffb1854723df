"""How a slice begins and ends, for threads and for tasks: everybody starts at once, and the meters
show what was used from then until the last has ended.

Standard library only. What clients do in between is the business of the modules ``clients*``:
nothing here is called within a sample.
"""

from __future__ import annotations

import asyncio
import threading
import time
import types
from array import array
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from bench.worker.meters import Meter, Used, used_before, used_since
from bench.worker.protocol import STRIDE

_now_ns = time.perf_counter_ns


@dataclass(slots=True)
class Slice:
    """Its times (perf_counter_ns) are set when it opens; ``used``, by meter, when it has ended.

    ``on_open``: called with the moment it opens, just before anybody starts.
    """

    seconds: float
    meters: Sequence[Meter]
    on_open: Callable[[int], None] | None = None
    opened_ns: int = 0
    deadline_ns: int = 0
    used: tuple[Used, ...] = ()
    _before: Sequence[Used] = field(default=(), repr=False)

    def open(self) -> None:
        self._before = used_before(self.meters)
        self.opened_ns = _now_ns()
        self.deadline_ns = self.opened_ns + round(self.seconds * 1e9)
        if self.on_open is not None:
            self.on_open(self.opened_ns)

    def end(self) -> None:
        self.used = used_since(self.meters, self._before)


class ThreadStart:
    """Threads that start at once. ``errors``: of those that have failed so far."""

    def __init__(self, threads: int) -> None:
        self._everybody_there = threading.Barrier(threads + 1)
        self._gate = threading.Event()
        self.errors: list[BaseException] = []

    def wait(self) -> None:
        """The first thing that each thread does: returns when the slice is open."""
        self._everybody_there.wait()
        self._gate.wait()

    def run(self, this: Slice, loops: Sequence[Callable[[], None]]) -> None:
        """Runs each loop in a thread. Returns when all have ended; raises what the first that
        failed raised."""
        threads = [threading.Thread(target=self._run, args=(loop,), daemon=True) for loop in loops]
        for thread in threads:
            thread.start()
        self._everybody_there.wait()
        try:
            this.open()
        finally:  # or they would wait for ever
            self._gate.set()
            for thread in threads:
                thread.join()
        if self.errors:
            raise self.errors[0]
        this.end()

    def _run(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except BaseException as error:  # noqa: BLE001 - raised again by `run`, in its thread
            self.errors.append(error)


class TaskStart:
    """Tasks that start at once. When one fails, the others are cancelled."""

    def __init__(self) -> None:
        self._gate = asyncio.Event()

    async def wait(self) -> None:
        """The first thing that each task does: returns when the slice is open."""
        await self._gate.wait()

    async def run(self, this: Slice, loops: Sequence[Coroutine[None, None, None]]) -> None:
        """Runs each loop in a task, else as `ThreadStart.run`."""
        try:
            async with asyncio.TaskGroup() as group:
                for loop in loops:
                    group.create_task(loop)
                await asyncio.sleep(0)  # everybody reaches the gate
                this.open()
                self._gate.set()
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        this.end()


Answer = TypeVar("Answer")


@types.coroutine
def give_way() -> Generator[None, None, None]:
    """What ``asyncio.sleep(0)`` does, without the coroutine that it puts around this."""
    yield


class WrongPageError(Exception):
    """A redo succeeded with a page that is not its own."""

    def __init__(self, client: int, request: int) -> None:
        super().__init__(f"wrong page: client {client}, request {request}")


@dataclass(frozen=True, slots=True)
class Work(Generic[Answer]):
    """What there is to redo: ``calls[i]`` must give ``pages[i]``.

    ``by_client``: the calls of each client, as many as ``calls``, where they are not the same.
    """

    calls: Sequence[Callable[[], Answer]]
    pages: Sequence[bytes]
    by_client: Sequence[Sequence[Callable[[], Answer]]] = ()

    def of(self, client: int) -> Sequence[Callable[[], Answer]]:
        """The calls of one client."""
        return self.by_client[client] if self.by_client else self.calls


@dataclass(slots=True)
class Client:
    """What one client has done; times are perf_counter_ns."""

    number: int
    start_ns: int = 0
    end_ns: int = 0
    latency_ns: array[int] = field(default_factory=lambda: array("q"))

    def first(self, count: int) -> int:
        """The request that it begins with."""
        return self.number * STRIDE % count


@dataclass(frozen=True, slots=True)
class SliceOutcome:
    """``payload``: see ``worker_protocol``. ``used``: what each meter's process used meanwhile.
    ``series`` (arrays of int64) and ``counts``: what else was measured, by name."""

    payload: bytes
    used: tuple[Used, ...]
    series: Mapping[str, array[int]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


def outcome(
    this: Slice,
    team: Sequence[Client],
    series: Mapping[str, array[int]] | None = None,
    counts: Mapping[str, int] | None = None,
) -> SliceOutcome:
    """What a slice was that has ended, from its clients."""
    head = array("q")
    for client in team:
        head.append(client.start_ns - this.opened_ns)
        head.append(client.end_ns - this.opened_ns)
        head.append(len(client.latency_ns))
    payload = b"".join((head.tobytes(), *(client.latency_ns.tobytes() for client in team)))
    return SliceOutcome(payload, this.used, series or {}, counts or {})


ThreadRunner = Callable[[Work[bytes], int, float, Sequence[Meter]], SliceOutcome]


TaskRunner = Callable[
    [Work[Awaitable[bytes]], int, float, Sequence[Meter]], Coroutine[Any, Any, SliceOutcome]
]
"""Work, number of clients, seconds, and the meters to read just before and after."""
