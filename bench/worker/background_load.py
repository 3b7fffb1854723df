"""Busy processes beside manager and child, so that CPU is short. Standard library only; Linux.

Each spins at the same priority as everybody else, and looks now and then whether the pipe that its
worker holds is still open: it ends with its worker, however that ends. They belong to the worker's
process group, too, and are reaped only when the load is closed, so that what they use is in no
meter (a worker's meter of its children counts those that have been reaped).
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
    """CPU is not as short as it should be."""


class BackgroundLoad:
    """The busy processes of one case: none until started. A context manager, which ends them."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        self._alive: int | None = None
        """The end of a pipe that is open as long as they are to spin."""

    def start(self, count: int, cpus: Collection[int] | None) -> None:
        """Starts so many on these CPUs (None: on any), and returns when all of them spin.

        Once only. Raises OSError, and BackgroundLoadError if one ends before it spins.
        """
        assert self._alive is None
        if not count:
            return
        other_end, self._alive = os.pipe()
        ready, say_ready = os.pipe()
        with os.fdopen(ready, "rb") as spinning:
            try:
                for _ in range(count):
                    process = subprocess.Popen(
                        (sys.executable, "-I", "-S", "-c", _BUSY), stdin=other_end, stdout=say_ready
                    )
                    self._processes.append(process)
                    if cpus is not None:
                        os.sched_setaffinity(process.pid, cpus)
            finally:
                os.close(other_end)
                os.close(say_ready)
            spin = len(spinning.read())  # till each has said so, or ended
        if spin < count:
            raise BackgroundLoadError(f"only {spin} of {count} busy processes began to spin")

    def check(self) -> None:
        """Raises ProcessGoneError if one has ended."""
        for process in self._processes:
            # Left unreaped, or it would be in the meter of the worker's children.
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
