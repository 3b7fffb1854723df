"""Clients of a sync manager that are tasks on an event loop, as in a server that is half ported.

Standard library only. The loop is `closed_loop.run_tasks` with a different call, which either
blocks the event loop until the page is there, or runs on a thread of the event loop's executor.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from bench.worker.clients.slice import Slice, SliceOutcome, Work

if TYPE_CHECKING:
    from bench.worker.clients.slice import TaskRunner, ThreadRunner


def executor_threads() -> int:
    """The number of threads of asyncio's own executor, which limits the redos in flight."""
    return min(32, (os.cpu_count() or 1) + 4)


def on_loop(run: TaskRunner, *, to_thread: bool) -> ThreadRunner:
    """Makes a loop for tasks into one for a sync manager, which runs an event loop of its own.

    ``to_thread``: whether each call goes through asyncio.to_thread, on as many threads as asyncio's
    own executor has. The threads are started before the slice begins, as in `run_threads`.
    """

    def run_slice(this: Slice[bytes]) -> SliceOutcome:
        as_awaitable = _in_thread if to_thread else _on_the_spot
        awaited = Work([as_awaitable(call) for call in this.work.calls], this.work.pages)

        async def slice_() -> SliceOutcome:
            if to_thread:
                await _start_executor()
            return await run(Slice(awaited, this.clients, this.seconds, this.meters))

        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            return runner.run(slice_())  # closing the runner joins the executor's threads

    return run_slice


def _on_the_spot(call: Callable[[], bytes]) -> Callable[[], Awaitable[bytes]]:
    async def redo() -> bytes:
        return call()

    return redo


def _in_thread(call: Callable[[], bytes]) -> Callable[[], Awaitable[bytes]]:
    return partial(asyncio.to_thread, call)


async def _start_executor() -> None:
    """Gives the loop an executor whose threads are all running."""
    threads = executor_threads()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads))
    # An executor starts a thread only when no other is idle. A barrier keeps all of them busy.
    all_started = threading.Barrier(threads)
    await asyncio.gather(*(asyncio.to_thread(all_started.wait) for _ in range(threads)))
