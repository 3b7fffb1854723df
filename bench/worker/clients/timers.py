"""Waiting until a moment, as precisely as the kernel can, for threads and for tasks.

Threads sleep, and need a small timer slack for it. asyncio rounds its timers up to a millisecond
(epoll takes no less), which would count against every manager on a loop: tasks wait for a timerfd.
Standard library only; Linux only.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Final

_NS_PER_S: Final = 1_000_000_000
_PR_SET_TIMERSLACK: Final = 29
_PR_GET_TIMERSLACK: Final = 30
_TFD_TIMER_ABSTIME: Final = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, call: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result


@contextlib.contextmanager
def precise_sleep() -> Iterator[None]:
    """Threads that are started meanwhile sleep to the microsecond; usual are 50 us more."""
    usual_ns = _checked(_libc.prctl(_PR_GET_TIMERSLACK, 0, 0, 0, 0), "prctl")
    _set_slack_ns(1)
    try:
        yield
    finally:
        _set_slack_ns(usual_ns)


def _set_slack_ns(slack_ns: int) -> None:
    _checked(_libc.prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(slack_ns), 0, 0, 0), "prctl")


class _TimerSpec(ctypes.Structure):
    """struct itimerspec: a period, which is not used, and a time."""

    _fields_ = tuple(
        (name, ctypes.c_long) for name in ("period_s", "period_ns", "time_s", "time_ns")
    )


class Pacer:
    """Wakes the tasks of one event loop, each at its time.

    A context manager; nobody may wait any more when it is left.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raises OSError."""
        self._loop = loop
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._timer = _checked(
            _libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC),
            "timerfd_create",
        )
        loop.add_reader(self._timer, self._wake)

    async def until(self, due_ns: int) -> None:
        """Returns at or after that time (perf_counter_ns); to be called in the order of times."""
        woken = self._loop.create_future()
        self._waiting.append((due_ns, woken))
        if len(self._waiting) == 1:
            self._set(due_ns)
        await woken

    def _wake(self) -> None:
        now_ns = time.perf_counter_ns()
        waiting = self._waiting
        while waiting and waiting[0][0] <= now_ns:
            _, woken = waiting.popleft()
            if not woken.done():  # or its task was cancelled
                woken.set_result(None)
        self._set(waiting[0][0] if waiting else 0)

    def _set(self, due_ns: int) -> None:
        """Sets the timer, or stops it with 0; either way it is not readable until it is due."""
        seconds, ns = divmod(due_ns, _NS_PER_S)
        spec = _TimerSpec(0, 0, seconds, ns)
        _checked(
            _libc.timerfd_settime(self._timer, _TFD_TIMER_ABSTIME, ctypes.byref(spec), None),
            "timerfd_settime",
        )

    def __enter__(self) -> Pacer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.remove_reader(self._timer)
        os.close(self._timer)
