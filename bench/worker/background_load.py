"""Busy processes beside manager and child, which compete for CPU. Standard library only; Linux.

Each spins at normal priority, and checks about every millisecond whether the pipe that its worker
holds is still open: so it ends with its worker, however the worker ends. It also belongs to the
worker's process group. The processes are reaped only when the load is closed: the worker's meter of
its children counts every child that has been reaped, and these must not be in it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection
from typing import Final

from bench.worker.meters import ProcessGoneError

_BUSY: Final = """\
import os, select
worker = select.poll()
worker.register(0, 0)  # reports nothing but that the other end is closed
os.write(1, b".")
os.close(1)
while not worker.poll(0):
    for _ in range(20_000):  # about a millisecond
        pass
"""


class BackgroundLoadError(Exception):
    """Not all busy processes could be started."""


class BackgroundLoad:
    """The busy processes of one case, none until `start`. A context manager, which ends them."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        self._alive: int | None = None
        """Our end of a pipe. The processes spin for as long as it is open."""

    def start(self, count: int, cpus: Collection[int] | None) -> None:
        """Starts so many on these CPUs (None: on any CPU). Returns when all of them spin.

        May be called once. Raises OSError, and BackgroundLoadError if one ends before it spins.
        """
        assert self._alive is None
        if not count:
            return
        other_end, self._alive = os.pipe()
        ready, report_ready = os.pipe()
        with os.fdopen(ready, "rb") as spinning:
            try:
                for _ in range(count):
                    process = subprocess.Popen(
                        (sys.executable, "-I", "-S", "-c", _BUSY),
                        stdin=other_end,
                        stdout=report_ready,
                    )
                    self._processes.append(process)
                    if cpus is not None:
                        os.sched_setaffinity(process.pid, cpus)
            finally:
                os.close(other_end)
                os.close(report_ready)
            # Each process writes a byte when it spins. The read ends when all have closed the pipe.
            spin = len(spinning.read())
        if spin < count:
            raise BackgroundLoadError(f"only {spin} of {count} busy processes began to spin")

    def check(self) -> None:
        """Raises ProcessGoneError if a process has ended."""
        for process in self._processes:
            # WNOWAIT leaves it unreaped, or the worker's meter of its children would count it.
            if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                raise ProcessGoneError("busy process", process.pid)

    def close(self) -> None:
        """Ends and reaps them."""
        if self._alive is not None:
            os.close(self._alive)
            self._alive = None
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        self._processes.clear()

    def __enter__(self) -> BackgroundLoad:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
