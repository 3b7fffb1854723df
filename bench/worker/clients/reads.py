"""N clients that read: each collects data, redoes and frees the data; semaphores limit both steps.

Standard library only. The loops are those of `bench.worker.clients.closed_loop` with a read in
place of the redo: a sample is the whole read, from just before the first semaphore until the client
has its page. The time of the redo alone is in the series `REDO_NS`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from bench.worker.clients.read_path import Passage, ReadPath
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
from bench.worker.protocol import REDO_NS

_now_ns = time.perf_counter_ns


@dataclass(slots=True)
class _Reader(Client):
    """A client that draws which of its reads begin with a download.

    ``redo_ns``: how long each of its redos took.
    """

    download_share: float = 0.0
    redo_ns: array[int] = field(default_factory=lambda: array("q"))
    random: Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # The same draws in each slice of each case, so that cases do not differ in them.
        self.random = Random(self.number)

    def must_download(self) -> bool:
        return self.random.random() < self.download_share


def read_in_threads(this: Slice[bytes], *, path: ReadPath, gives_way: bool = True) -> SliceOutcome:
    """One slice with a thread per client.

    Raises what the first failing client raised, for example OverBudgetError; the other clients end
    after their current read.
    """
    calls, pages = this.work.calls, this.work.pages
    passage = Passage.along(path)
    this.on_open = passage.redoing.opens
    start = ThreadStart(this.clients)
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
        index, count = reader.first(len(calls)), len(calls)
        start.wait()
        reader.start_ns = _now_ns()
        while not start.errors:
            before_ns = _now_ns()
            page = read(reader, calls[index])
            reader.end_ns = _now_ns()
            reader.begun_ns.append(before_ns)
            reader.ended_ns.append(reader.end_ns)
            if page != pages[index]:
                raise WrongPageError(reader.number, index)
            if reader.end_ns >= this.deadline_ns:
                break
            index = index + 1 if index + 1 < count else 0
            if gives_way:
                os.sched_yield()

    team = _readers(this.clients, path)
    start.run(this, [partial(read_till_deadline, reader) for reader in team])
    return _outcome(this, team, passage)


async def read_in_tasks(
    this: Slice[Awaitable[bytes]], *, path: ReadPath, gives_way: bool = True
) -> SliceOutcome:
    """One slice with a task per client, else as `read_in_threads`.

    When a client fails, the other clients are cancelled.
    """
    calls, pages = this.work.calls, this.work.pages
    passage = Passage.along(path)
    this.on_open = passage.redoing.opens
    start = TaskStart()
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
        index, count = reader.first(len(calls)), len(calls)
        await start.wait()
        reader.start_ns = _now_ns()
        while True:
            before_ns = _now_ns()
            page = await read(reader, calls[index])
            reader.end_ns = _now_ns()
            reader.begun_ns.append(before_ns)
            reader.ended_ns.append(reader.end_ns)
            if page != pages[index]:
                raise WrongPageError(reader.number, index)
            if reader.end_ns >= this.deadline_ns:
                break
            index = index + 1 if index + 1 < count else 0
            if gives_way:
                await give_way()

    team = _readers(this.clients, path)
    await start.run(this, [read_till_deadline(reader) for reader in team])
    return _outcome(this, team, passage)


def _readers(clients: int, path: ReadPath) -> list[_Reader]:
    share = path.download_share if path.download_s > 0 else 0.0
    return [_Reader(number, download_share=share) for number in range(clients)]


def _thread_semaphore(limit: int | None) -> contextlib.AbstractContextManager[object]:
    return contextlib.nullcontext() if limit is None else threading.Semaphore(limit)


def _task_semaphore(limit: int | None) -> contextlib.AbstractAsyncContextManager[object]:
    return contextlib.nullcontext() if limit is None else asyncio.Semaphore(limit)


def _outcome(this: Slice[Any], team: Sequence[_Reader], passage: Passage) -> SliceOutcome:
    counts = passage.counts(max(reader.end_ns for reader in team))
    return outcome(this, team, {REDO_NS: joined(reader.redo_ns for reader in team)}, counts)
