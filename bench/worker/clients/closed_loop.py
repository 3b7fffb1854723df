"""N clients that start at once: the closed loop that is measured, for threads and for tasks.

Standard library only. A client redoes, checks the page, yields to its executor, and again, until a
redo ends past the deadline. One sample per redo: from just before the call to its page in hand.

The two loops are alike line for line and stay apart: a shared one would put a call or an await that
only one of them needs into every sample.
"""

from __future__ import annotations

import os
import time
import types
from array import array
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from bench.worker.clients.slice import Slice, TaskStart, ThreadStart
from bench.worker.meters import Meter, Used
from bench.worker.protocol import STRIDE

Answer = TypeVar("Answer")

_now_ns = time.perf_counter_ns


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


def run_threads(
    work: Work[bytes],
    clients: int,
    seconds: float,
    meters: Sequence[Meter],
    *,
    gives_way: bool = True,
) -> SliceOutcome:
    """One slice with a thread per client. Raises what the first failing client raised.

    ``gives_way``: whether a client lets others run between two redos.
    """
    pages = work.pages
    start, this = ThreadStart(clients), Slice(seconds, meters)

    def redo_till_deadline(client: Client) -> None:
        calls = work.of(client.number)
        index, count = client.first(len(calls)), len(calls)
        sample = client.latency_ns.append
        start.wait()
        deadline_ns = this.deadline_ns
        client.start_ns = _now_ns()
        while True:
            before_ns = _now_ns()
            page = calls[index]()
            after_ns = _now_ns()
            sample(after_ns - before_ns)
            if page != pages[index]:
                raise WrongPageError(client.number, index)
            if after_ns >= deadline_ns:
                break
            index = index + 1 if index + 1 < count else 0
            if gives_way:
                os.sched_yield()  # time.sleep(0) would wait for the kernel's timer slack, 50 us
        client.end_ns = after_ns

    team = [Client(number) for number in range(clients)]
    start.run(this, [partial(redo_till_deadline, client) for client in team])
    return outcome(this, team)


async def run_tasks(
    work: Work[Awaitable[bytes]],
    clients: int,
    seconds: float,
    meters: Sequence[Meter],
    *,
    gives_way: bool = True,
) -> SliceOutcome:
    """One slice with a task per client, else as `run_threads`."""
    pages = work.pages
    start, this = TaskStart(), Slice(seconds, meters)

    async def redo_till_deadline(client: Client) -> None:
        calls = work.of(client.number)
        index, count = client.first(len(calls)), len(calls)
        sample = client.latency_ns.append
        await start.wait()
        deadline_ns = this.deadline_ns
        client.start_ns = _now_ns()
        while True:
            before_ns = _now_ns()
            page = await calls[index]()
            after_ns = _now_ns()
            sample(after_ns - before_ns)
            if page != pages[index]:
                raise WrongPageError(client.number, index)
            if after_ns >= deadline_ns:
                break
            index = index + 1 if index + 1 < count else 0
            if gives_way:
                await give_way()
        client.end_ns = after_ns

    team = [Client(number) for number in range(clients)]
    await start.run(this, [redo_till_deadline(client) for client in team])
    return outcome(this, team)


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
