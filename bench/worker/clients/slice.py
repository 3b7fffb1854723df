"""How a slice begins and ends, for threads and for tasks: everybody starts at once, and the meters
show what was used from then until the last has ended.

Standard library only. What clients do in between is the business of the modules ``clients*``:
nothing here is called within a sample.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field

from bench.worker.meters import Meter, Used, used_before, used_since

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
