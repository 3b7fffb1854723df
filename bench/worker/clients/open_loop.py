"""N clients and a clock: the open loop that is measured, for threads and for tasks.

Standard library only. Arrivals have intended starts that are drawn beforehand. A free client takes
the next arrival, waits until it is due, redoes and checks the page. Latency counts from the
intended start, so it includes the time that a redo waits for a free client. A loop that starts a
redo when the last one is done sends nothing to a stalled system, and so hides the redos that would
have waited (G. Tene, "How NOT to Measure Latency": coordinated omission).

The two loops are equal line by line and stay apart for the reason given in
`bench.worker.clients.closed_loop`.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from array import array
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bench.worker.clients.arrivals import Backlog, PoissonLoad
from bench.worker.clients.slice import (
    Client,
    Slice,
    SliceOutcome,
    TaskStart,
    ThreadStart,
    WrongPageError,
    give_way,
    joined,
    outcome,
)
from bench.worker.clients.timers import Pacer, precise_sleep
from bench.worker.protocol import FROM_CALL, PACER_LATE

_now_ns = time.perf_counter_ns


@dataclass(slots=True)
class _Client(Client):
    """``latency_ns`` counts from the intended start. A client without a redo ends at its start.

    ``from_call_ns``: from the call to the page, of each redo. ``late_ns``: how late each call was
    that waited for its intended start.
    """

    from_call_ns: array[int] = field(default_factory=lambda: array("q"))
    late_ns: array[int] = field(default_factory=lambda: array("q"))


def run_open_threads(
    this: Slice[bytes], *, load: PoissonLoad, gives_way: bool = True
) -> SliceOutcome:
    """One slice with a thread per client. Raises what the first failing client raised.

    It ends when all arrivals are served; once too many wait, no more arrive (`Backlog`).
    """
    calls, pages = this.work.calls, this.work.pages
    start = ThreadStart(this.clients)
    backlog = load.next_slice(this.seconds)
    one_at_a_time = threading.Lock()

    def redo_arrivals(client: _Client) -> None:
        index, count = client.first(len(calls)), len(calls)
        sample, from_call = client.latency_ns.append, client.from_call_ns.append
        start.wait()
        opened_ns = this.opened_ns
        client.start_ns = client.end_ns = _now_ns()
        while not start.errors:
            with one_at_a_time:
                intended_ns = backlog.take(_now_ns() - opened_ns)
            if intended_ns is None:
                break
            due_ns = opened_ns + intended_ns
            early_ns = due_ns - _now_ns()
            if early_ns > 0:
                time.sleep(early_ns / 1e9)
            called_ns = _now_ns()
            page = calls[index]()
            client.end_ns = after_ns = _now_ns()
            sample(after_ns - due_ns)
            from_call(after_ns - called_ns)
            if early_ns > 0:
                client.late_ns.append(called_ns - due_ns)
            if page != pages[index]:
                raise WrongPageError(client.number, index)
            index = index + 1 if index + 1 < count else 0
            if gives_way:
                os.sched_yield()

    team = [_Client(number) for number in range(this.clients)]
    with precise_sleep():  # threads inherit the timer slack of the thread that starts them
        start.run(this, [partial(redo_arrivals, client) for client in team])
    return _outcome(this, team, backlog)


async def run_open_tasks(
    this: Slice[Awaitable[bytes]], *, load: PoissonLoad, gives_way: bool = True
) -> SliceOutcome:
    """One slice with a task per client, else as `run_open_threads`."""
    calls, pages = this.work.calls, this.work.pages
    start = TaskStart()
    backlog = load.next_slice(this.seconds)

    async def redo_arrivals(client: _Client, pacer: Pacer) -> None:
        index, count = client.first(len(calls)), len(calls)
        sample, from_call = client.latency_ns.append, client.from_call_ns.append
        await start.wait()
        opened_ns = this.opened_ns
        client.start_ns = client.end_ns = _now_ns()
        while True:
            intended_ns = backlog.take(_now_ns() - opened_ns)
            if intended_ns is None:
                break
            due_ns = opened_ns + intended_ns
            early_ns = due_ns - _now_ns()
            if early_ns > 0:
                await pacer.until(due_ns)
            called_ns = _now_ns()
            page = await calls[index]()
            client.end_ns = after_ns = _now_ns()
            sample(after_ns - due_ns)
            from_call(after_ns - called_ns)
            if early_ns > 0:
                client.late_ns.append(called_ns - due_ns)
            if page != pages[index]:
                raise WrongPageError(client.number, index)
            index = index + 1 if index + 1 < count else 0
            if gives_way:
                await give_way()

    team = [_Client(number) for number in range(this.clients)]
    with Pacer(asyncio.get_running_loop()) as pacer:
        await start.run(this, [redo_arrivals(client, pacer) for client in team])
    return _outcome(this, team, backlog)


def _outcome(this: Slice[Any], team: Sequence[_Client], backlog: Backlog) -> SliceOutcome:
    series = {
        FROM_CALL: joined(client.from_call_ns for client in team),
        PACER_LATE: joined(client.late_ns for client in team),
    }
    return outcome(this, team, series, backlog.counts())
