"""Children without a manager: launches, uses, kills and reaps them.

Standard library and walredo only. Reaping in the background, which the managers do not do, is here
for comparison.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from bench.cases.names import PIPE_BYTES
from bench.cases.notations import UNREAPED_MOST
from bench.worker.subjects.subject import SubjectError
from walredo import PAGE_SIZE
from walredo.child import Child


class Unreaped:
    """The children that were launched and are not reaped yet, never more than ``most``.

    ``peak``: the highest number of them. ``launches``, ``launch_ns``: the number of launches, and
    the time they took. One thread launches children; another one may reap them.
    """

    def __init__(self, command: tuple[str, ...], most: int = UNREAPED_MOST) -> None:
        self._command = command
        self._room = threading.Semaphore(most)
        self._lock = threading.Lock()
        self.count = self.peak = self.launches = self.launch_ns = 0

    def launch(self) -> Child:
        """Launches a child, once there is room for it. Raises LaunchError."""
        self._room.acquire()
        try:
            child = Child(self._command, PIPE_BYTES)
        except BaseException:
            self._room.release()
            raise
        self.launches += 1
        self.launch_ns += child.launch_ns
        with self._lock:
            self.count += 1
            self.peak = max(self.peak, self.count)
        return child

    def discard(self, child: Child) -> None:
        """Kills and reaps the child."""
        child.discard()
        with self._lock:
            self.count -= 1
        self._room.release()


@contextlib.contextmanager
def reaping_at_once(unreaped: Unreaped) -> Iterator[Callable[[Child], object]]:
    """Gives a function that reaps a child before it returns, as the managers do."""
    yield unreaped.discard


@contextlib.contextmanager
def reaping_in_background(unreaped: Unreaped) -> Iterator[Callable[[Child], object]]:
    """Gives a function that hands a child to a thread that reaps it.

    All children are reaped when the context is left.
    """
    handed_over: list[Future[None]] = []
    with ThreadPoolExecutor(1, "reaper") as reaper:
        yield lambda child: handed_over.append(reaper.submit(unreaped.discard, child))
    for reaped in handed_over:
        reaped.result()  # raises the thread's error, if there was one


def await_failure(child: Child, timeout_s: float) -> None:
    """Returns once the child has closed its output. Raises SubjectError if it answers, or does
    nothing in that time."""
    if not _wait_for(child.stdout, select.POLLIN, time.monotonic() + timeout_s):
        raise SubjectError(f"child {child.pid} was to fail and does nothing")
    if os.read(child.stdout, PAGE_SIZE):
        raise SubjectError(f"child {child.pid} was to fail and has answered")


def ask(child: Child, message: bytes, timeout_s: float) -> bytes:
    """Sends a message and returns the page. Raises SubjectError, OSError if the input is closed."""
    until_s = time.monotonic() + timeout_s
    unsent = memoryview(message)
    while unsent:
        if not _wait_for(child.stdin, select.POLLOUT, until_s):
            raise SubjectError(f"child {child.pid} does not take its request")
        unsent = unsent[os.write(child.stdin, unsent) :]
    page = b""
    while len(page) < PAGE_SIZE:
        if not _wait_for(child.stdout, select.POLLIN, until_s):
            raise SubjectError(f"child {child.pid} does not answer")
        data = os.read(child.stdout, PAGE_SIZE)
        if not data:
            raise SubjectError(f"child {child.pid} ended instead of answering")
        page += data
    return page


def _wait_for(fd: int, event: int, until_s: float) -> bool:
    """Whether the event came before that time (time.monotonic)."""
    ready = select.poll()
    ready.register(fd, event)
    return bool(ready.poll(max(0.0, until_s - time.monotonic()) * 1000))
