"""Clients of a sync manager that are tasks on an event loop, as in a server that is half ported.

Standard library only. The closed loop is that of ``clients.run_tasks``: only the call is another
one. It either blocks the loop until its page is there, or goes to a thread of the loop's executor.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from bench.worker.clients.slice import SliceOutcome, Work
from bench.worker.meters import Meter

if TYPE_CHECKING:
    from bench.worker.clients.slice import TaskRunner, ThreadRunner


def executor_threads() -> int:
    """How many redos `to_thread` can have in flight: the threads of asyncio's own executor."""
    return min(32, (os.cpu_count() or 1) + 4)


def on_loop(run: TaskRunner, *, to_thread: bool) -> ThreadRunner:
    """A loop for tasks as one for a sync manager: called in a thread, it runs an event loop.

    ``to_thread``: each call by asyncio.to_thread, on as many threads as asyncio's own executor has;
    they are there before the slice begins, as those of ``run_threads`` are.
    """

    def run_slice(
        work: Work[bytes], clients: int, seconds: float, meters: Sequence[Meter]
    ) -> SliceOutcome:
        as_awaitable = _in_thread if to_thread else _on_the_spot
        awaited = Work([as_awaitable(call) for call in work.calls], work.pages)

        async def slice_() -> SliceOutcome:
            if to_thread:
                await _start_executor()
            return await run(awaited, clients, seconds, meters)

        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            return runner.run(slice_())  # and closing it joins the executor's threads

    return run_slice


def _on_the_spot(call: Callable[[], bytes]) -> Callable[[], Awaitable[bytes]]:
    async def redo() -> bytes:
        return call()

    return redo


def _in_thread(call: Callable[[], bytes]) -> Callable[[], Awaitable[bytes]]:
    return partial(asyncio.to_thread, call)


async def _start_executor() -> None:
    """Gives the loop an executor, all of whose threads are running."""
    threads = executor_threads()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads))
    everybody = threading.Barrier(threads)  # no thread is free for a second of these
    await asyncio.gather(*(asyncio.to_thread(everybody.wait) for _ in range(threads)))
