"""What tests do to managers and their children: hold back, stop, replace, interrupt."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from bench.places import ROOT
from tests.support.managers import SLACK_S, Driver, eventually, is_stopped
from walredo.child import Child
from walredo.transport import pipes, shared_memory
from walredo.transport.base import Transport
from walredo.transport.ring import RING_BYTES

SMALL_PIPE = 4096

CLASSES: dict[str, type[Transport]] = {
    "pipe": pipes.PipeTransport,
    "shm": shared_memory.SharedMemoryTransport,
}
"""The transports by the name of their kind."""


LARGE = (RING_BYTES + 100_000, 60_000)
"""Sizes of the records of a request that neither a small pipe nor the ring of requests holds."""


def stop(pid: int) -> None:
    """Stops the child; returns once it is stopped, so that it takes nothing of what comes."""
    os.kill(pid, signal.SIGSTOP)
    assert eventually(lambda: is_stopped(pid))


class Gate:
    """Holds launches back while it is closed. In place of ``Child`` in the async manager."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.waiting = threading.Event()

    def __call__(
        self, command: tuple[str, ...], pipe_bytes: int | None, *, inherits: Sequence[int] = ()
    ) -> Child:
        self.waiting.set()
        assert self.open.wait(SLACK_S)
        self.waiting.clear()
        return Child(command, pipe_bytes, inherits=inherits)

    async def reached(self) -> None:
        while not self.waiting.is_set():
            await asyncio.sleep(0.002)


def interrupt_main_when(condition: Callable[[], bool]) -> None:
    """Interrupts the main thread once it holds and that thread has had the time to go to sleep."""
    assert eventually(condition)
    time.sleep(0.05)
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, signal.SIGUSR1)


def serving(first: str) -> tuple[str, ...]:
    """The command of a Python child that runs that code before it serves."""
    code = (
        f"import os, sys, threading, time; sys.path.insert(0, {str(ROOT)!r})\n"
        f"from fake_redo_child.child import python_child\n{first}\n"
        "os._exit(python_child.main(sys.argv[1:]))"
    )
    return (sys.executable, "-I", "-c", code)


def pid_of(driver: Driver) -> int:
    pid = driver.status().pid
    assert pid is not None
    return pid


def stopped_child(driver: Driver) -> int:
    """The pid of the child, which has been launched and stopped."""
    driver.ping()
    stop(pid_of(driver))
    return pid_of(driver)


def replace_child(monkeypatch: pytest.MonkeyPatch, launch: Callable[..., Child]) -> None:
    """Makes managers launch their children with ``launch``, on whatever transport."""
    for module in (pipes, shared_memory):
        monkeypatch.setattr(module, "Child", launch)
