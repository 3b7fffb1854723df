"""N clients that read: each collects data, redoes and frees it, past semaphores that limit both.

Standard library only. The loops are those of ``clients``, threads and tasks, with a read in the
place of the redo: a sample is the whole read, from just before the first semaphore to the page in
hand. What a redo itself takes is in the series ``redo_ns``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random

from bench.worker.clients.read_path import Passage, ReadPath
from bench.worker.clients.slice import (
    Client,
    Slice,
    SliceOutcome,
    TaskStart,
    ThreadStart,
    Work,
    WrongPageError,
    give_way,
    outcome,
)
from bench.worker.meters import Meter
from bench.worker.protocol import REDO_NS

_now_ns = time.perf_counter_ns


class _Reader:
    """A client, which of its reads begin with a download, and what its redos took."""

    def __init__(self, number: int, path: ReadPath) -> None:
        self.client = Client(number)
        self.redo_ns = array("q")
        # The same in each slice of each case: what differs between two is not their downloads.
        self._random = Random(number)
        self._share = path.download_share if path.download_s > 0 else 0.0

    def must_download(self) -> bool:
        return self._random.random() < self._share


def read_in_threads(
    work: Work[bytes],
    clients: int,
    seconds: float,
    meters: Sequence[Meter],
    *,
    path: ReadPath,
    gives_way: bool = True,
) -> SliceOutcome:
    """One slice with a thread per client. Raises what the first failing client raised, as
    OverBudgetError; the others end with the read that they are at."""
    calls, pages = work.calls, work.pages
    passage = Passage.along(path)
    start, this = ThreadStart(clients), Slice(seconds, meters, passage.redoing.opens)
    may_collect = _thread_semaphore(path.admission.data)
    may_redo = _thread_semaphore(path.admission.redo)

    def read(reader: _Reader, call: Callable[[], bytes]) -> bytes:
        with may_collect, passage.collecting:
            if reader.must_download():
                time.sleep(path.download_s)
            with passage.memory.data(), may_redo, passage.redoing:
                before_ns = _now_ns()
                page = call()
                reader.redo_ns.append(_now_ns() - before_ns)
        return page

    def read_till_deadline(reader: _Reader) -> None:
        client = reader.client
        index, count = client.first(len(calls)), len(calls)
        start.wait()
        client.start_ns = _now_ns()
        while not start.errors:
            before_ns = _now_ns()
            page = read(reader, calls[index])
            client.end_ns = _now_ns()
            client.latency_ns.append(client.end_ns - before_ns)
            if page != pages[index]:
                raise WrongPageError(client.number, index)
            if client.end_ns >= this.deadline_ns:
                break
            index = index + 1 if index + 1 < count else 0
            if gives_way:
                os.sched_yield()

    team = [_Reader(number, path) for number in range(clients)]
    start.run(this, [partial(read_till_deadline, reader) for reader in team])
    return _outcome(this, team, passage)


async def read_in_tasks(
    work: Work[Awaitable[bytes]],
    clients: int,
    seconds: float,
    meters: Sequence[Meter],
    *,
    path: ReadPath,
    gives_way: bool = True,
) -> SliceOutcome:
    """One slice with a task per client, else as `read_in_threads`; the others are cancelled."""
    calls, pages = work.calls, work.pages
    passage = Passage.along(path)
    start, this = TaskStart(), Slice(seconds, meters, passage.redoing.opens)
    may_collect = _task_semaphore(path.admission.data)
    may_redo = _task_semaphore(path.admission.redo)

    async def read(reader: _Reader, call: Callable[[], Awaitable[bytes]]) -> bytes:
        async with may_collect:
            with passage.collecting:
                if reader.must_download():
                    await asyncio.sleep(path.download_s)
                with passage.memory.data():
                    async with may_redo:
                        with passage.redoing:
                            before_ns = _now_ns()
                            page = await call()
                            reader.redo_ns.append(_now_ns() - before_ns)
        return page

    async def read_till_deadline(reader: _Reader) -> None:
        client = reader.client
        index, count = client.first(len(calls)), len(calls)
        await start.wait()
        client.start_ns = _now_ns()
        while True:
            before_ns = _now_ns()
            page = await read(reader, calls[index])
            client.end_ns = _now_ns()
            client.latency_ns.append(client.end_ns - before_ns)
            if page != pages[index]:
                raise WrongPageError(client.number, index)
            if client.end_ns >= this.deadline_ns:
                break
            index = index + 1 if index + 1 < count else 0
            if gives_way:
                await give_way()

    team = [_Reader(number, path) for number in range(clients)]
    await start.run(this, [read_till_deadline(reader) for reader in team])
    return _outcome(this, team, passage)


def _thread_semaphore(limit: int | None) -> contextlib.AbstractContextManager[object]:
    return contextlib.nullcontext() if limit is None else threading.Semaphore(limit)


def _task_semaphore(limit: int | None) -> contextlib.AbstractAsyncContextManager[object]:
    return contextlib.nullcontext() if limit is None else asyncio.Semaphore(limit)


def _outcome(this: Slice, team: Sequence[_Reader], passage: Passage) -> SliceOutcome:
    clients = [reader.client for reader in team]
    redo_ns = array("q")
    for reader in team:
        redo_ns.extend(reader.redo_ns)
    counts = passage.counts(max(client.end_ns for client in clients))
    return outcome(this, clients, {REDO_NS: redo_ns}, counts)
