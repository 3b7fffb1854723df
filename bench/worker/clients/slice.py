"""How a slice begins and ends, for threads and for tasks.

All clients start at the same moment. The meters show what was used from then until the last client
has ended. Standard library only. The loops that clients run in between are in the other modules of
this room: nothing here is called inside a sample.
"""

from __future__ import annotations

import asyncio
import operator
import threading
import time
import types
from array import array
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Generic, TypeVar

from bench.worker.meters import Meter, Used, used_before, used_since
from bench.worker.protocol import REDO_END, STRIDE

Answer = TypeVar("Answer")

_now_ns = time.perf_counter_ns


@dataclass(frozen=True, slots=True)
class Work(Generic[Answer]):
    """The calls that clients make: ``calls[i]`` must return ``pages[i]``.

    ``by_client``: the calls of each client, as many as ``calls``, if clients have different ones.
    """

    calls: Sequence[Callable[[], Answer]]
    pages: Sequence[bytes]
    by_client: Sequence[Sequence[Callable[[], Answer]]] = ()

    def of(self, client: int) -> Sequence[Callable[[], Answer]]:
        """The calls of one client."""
        return self.by_client[client] if self.by_client else self.calls


@dataclass(slots=True)
class Slice(Generic[Answer]):
    """What is measured: so many clients do the work for these seconds, between two readings of the
    meters. Its times (perf_counter_ns) are set when it opens, ``used`` when it has ended.

    ``on_open`` is called with the time at which the slice opens, just before the clients start.
    """

    work: Work[Answer]
    clients: int
    seconds: float
    meters: Sequence[Meter]
    on_open: Callable[[int], object] | None = None
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
    """Threads that start at once. ``errors``: those of the threads that have failed so far."""

    def __init__(self, threads: int) -> None:
        self._all_ready = threading.Barrier(threads + 1)
        self._gate = threading.Event()
        self.errors: list[BaseException] = []

    def wait(self) -> None:
        """Each thread calls this first. It returns when the slice is open."""
        # Two steps: the barrier waits for threads to be up, which takes a while, and the gate lets
        # them go only after the meters were read.
        self._all_ready.wait()
        self._gate.wait()

    def run(self, this: Slice[Any], loops: Sequence[Callable[[], None]]) -> None:
        """Runs each loop in a thread. Returns when all have ended.

        Raises what the thread that failed first raised.
        """
        threads = [threading.Thread(target=self._run, args=(loop,), daemon=True) for loop in loops]
        for thread in threads:
            thread.start()
        self._all_ready.wait()
        try:
            this.open()
        finally:  # or the threads would wait for ever
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
        """Each task calls this first. It returns when the slice is open."""
        await self._gate.wait()

    async def run(self, this: Slice[Any], loops: Sequence[Coroutine[None, None, None]]) -> None:
        """Runs each loop in a task, else as `ThreadStart.run`."""
        try:
            async with asyncio.TaskGroup() as group:
                for loop in loops:
                    group.create_task(loop)
                await asyncio.sleep(0)  # all tasks reach the gate
                this.open()
                self._gate.set()
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        this.end()


@types.coroutine
def give_way() -> Generator[None, None, None]:
    """Does what ``asyncio.sleep(0)`` does, without the coroutine that the latter wraps it in."""
    yield


class WrongPageError(Exception):
    """A redo succeeded with a page that does not belong to it."""

    def __init__(self, client: int, request: int) -> None:
        super().__init__(f"wrong page: client {client}, request {request}")


@dataclass(slots=True)
class Client:
    """What one client has done; times are perf_counter_ns."""

    number: int
    start_ns: int = 0
    end_ns: int = 0
    latency_ns: array[int] = field(default_factory=lambda: array("q"))
    begun_ns: list[int] = field(default_factory=list)
    ended_ns: list[int] = field(default_factory=list)
    """When each redo of a closed loop began and ended: the latencies follow from them afterwards.
    Appending to a list takes a fifth of the time that appending to an array takes."""

    def first(self, count: int) -> int:
        """The index of the request that it begins with."""
        return self.number * STRIDE % count


@dataclass(frozen=True, slots=True)
class SliceOutcome:
    """What a slice measured.

    ``payload``: see `bench.worker.protocol`. ``used``: what the process of each meter used in the
    slice. ``series`` (arrays of int64) and ``counts``: further measurements, by name.
    """

    payload: bytes
    used: tuple[Used, ...]
    series: Mapping[str, array[int]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


def joined(parts: Iterable[array[int]]) -> array[int]:
    """The numbers of all arrays, one array after the other."""
    numbers = array("q")
    for part in parts:
        numbers += part
    return numbers


def outcome(
    this: Slice[Any],
    team: Sequence[Client],
    series: Mapping[str, array[int]] | None = None,
    counts: Mapping[str, int] | None = None,
) -> SliceOutcome:
    """The outcome of a slice that has ended, from its clients."""
    head = array("q")
    for client in team:
        client.latency_ns.extend(map(operator.sub, client.ended_ns, client.begun_ns))
        head.append(client.start_ns - this.opened_ns)
        head.append(client.end_ns - this.opened_ns)
        head.append(len(client.latency_ns))
    payload = b"".join((head.tobytes(), *(client.latency_ns.tobytes() for client in team)))
    series = dict(series or {})
    if any(client.ended_ns for client in team):
        series[REDO_END] = array("q", chain.from_iterable(client.ended_ns for client in team))
    return SliceOutcome(payload, this.used, series, counts or {})


ThreadRunner = Callable[[Slice[bytes]], SliceOutcome]
TaskRunner = Callable[[Slice[Awaitable[bytes]]], Coroutine[Any, Any, SliceOutcome]]
"""Runs the loops of all clients of a slice."""
