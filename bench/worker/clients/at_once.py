"""N clients that call at the same moment, once each: for threads and for tasks.

Standard library only. A sample is the time from that moment until the client has its page. It
includes the time that a client waits for its executor before it calls: nobody began earlier. Pages
are checked. The closed loop is in `bench.worker.clients.closed_loop`.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from bench.worker.clients.slice import (
    Client,
    Slice,
    SliceOutcome,
    TaskStart,
    ThreadStart,
    Work,
    WrongPageError,
)
from bench.worker.meters import Used

Episode = Sequence[int]
"""One sample of each client, ns."""

_now_ns = time.perf_counter_ns


def threads_at_once(work: Work[bytes], clients: int, begin: Callable[[], object]) -> Episode:
    """An episode with a thread per client. Raises what the first failing client raised.

    ``begin`` is called at the moment from which the samples count, just before the clients call.
    """
    calls, pages = work.calls, work.pages
    start, this = ThreadStart(clients), Slice(work, clients, 0.0, (), lambda _: begin())

    def call_once(client: Client) -> None:
        index = client.first(len(calls))
        start.wait()
        page = calls[index]()
        client.end_ns = _now_ns()
        if page != pages[index]:
            raise WrongPageError(client.number, index)

    team = [Client(number) for number in range(clients)]
    start.run(this, [partial(call_once, client) for client in team])
    return [client.end_ns - this.opened_ns for client in team]


async def tasks_at_once(
    work: Work[Awaitable[bytes]], clients: int, begin: Callable[[], object]
) -> Episode:
    """An episode with a task per client, else as `threads_at_once`."""
    calls, pages = work.calls, work.pages
    start, this = TaskStart(), Slice(work, clients, 0.0, (), lambda _: begin())

    async def call_once(client: Client) -> None:
        index = client.first(len(calls))
        await start.wait()
        page = await calls[index]()
        client.end_ns = _now_ns()
        if page != pages[index]:
            raise WrongPageError(client.number, index)

    team = [Client(number) for number in range(clients)]
    await start.run(this, [call_once(client) for client in team])
    return [client.end_ns - this.opened_ns for client in team]


def outcome_of(
    episodes: Sequence[Episode], used: tuple[Used, ...], counts: Mapping[str, int]
) -> SliceOutcome:
    """A slice of at least one episode.

    A client's wall clock is the sum of its samples, so that the time per redo is their mean.
    """
    per_client = list(zip(*episodes, strict=True))
    head = array("q")
    for samples in per_client:
        head.extend((0, sum(samples), len(samples)))
    latency_ns = array("q", (ns for samples in per_client for ns in samples))
    return SliceOutcome(head.tobytes() + latency_ns.tobytes(), used, counts=counts)
