"""N clients that start at once: the closed loop that is measured, for threads and for tasks.

Standard library only. A client redoes, checks the page, yields to its executor, and starts again,
until a redo ends past the deadline. A sample is the time from just before the call until the client
has its page.

The two loops are equal line by line and stay apart: a shared loop would put a call or an await that
only one of the two needs into every sample.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable
from functools import partial

from bench.worker.clients.slice import (
    Client,
    Slice,
    SliceOutcome,
    TaskStart,
    ThreadStart,
    WrongPageError,
    give_way,
    outcome,
)

_now_ns = time.perf_counter_ns


def run_threads(this: Slice[bytes], *, gives_way: bool = True) -> SliceOutcome:
    """One slice with a thread per client. Raises what the first failing client raised.

    ``gives_way``: whether a client lets others run between two redos.
    """
    work, pages = this.work, this.work.pages
    start = ThreadStart(this.clients)

    def redo_till_deadline(client: Client) -> None:
        calls = work.of(client.number)
        index, count = client.first(len(calls)), len(calls)
        begun, ended = client.begun_ns.append, client.ended_ns.append
        start.wait()
        deadline_ns = this.deadline_ns
        client.start_ns = _now_ns()
        while True:
            before_ns = _now_ns()
            page = calls[index]()
            after_ns = _now_ns()
            begun(before_ns)
            ended(after_ns)
            if page != pages[index]:
                raise WrongPageError(client.number, index)
            if after_ns >= deadline_ns:
                break
            index = index + 1 if index + 1 < count else 0
            if gives_way:
                os.sched_yield()  # time.sleep(0) would wait for the kernel's timer slack, 50 us
        client.end_ns = after_ns

    team = [Client(number) for number in range(this.clients)]
    start.run(this, [partial(redo_till_deadline, client) for client in team])
    return outcome(this, team)


async def run_tasks(this: Slice[Awaitable[bytes]], *, gives_way: bool = True) -> SliceOutcome:
    """One slice with a task per client, else as `run_threads`."""
    work, pages = this.work, this.work.pages
    start = TaskStart()

    async def redo_till_deadline(client: Client) -> None:
        calls = work.of(client.number)
        index, count = client.first(len(calls)), len(calls)
        begun, ended = client.begun_ns.append, client.ended_ns.append
        await start.wait()
        deadline_ns = this.deadline_ns
        client.start_ns = _now_ns()
        while True:
            before_ns = _now_ns()
            page = await calls[index]()
            after_ns = _now_ns()
            begun(before_ns)
            ended(after_ns)
            if page != pages[index]:
                raise WrongPageError(client.number, index)
            if after_ns >= deadline_ns:
                break
            index = index + 1 if index + 1 < count else 0
            if gives_way:
                await give_way()
        client.end_ns = after_ns

    team = [Client(number) for number in range(this.clients)]
    await start.run(this, [redo_till_deadline(client) for client in team])
    return outcome(this, team)
