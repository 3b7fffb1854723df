"""Timers as precise as the kernel's, for sleeping threads, waiting tasks and heartbeats.

Threads sleep, for which they need a small timer slack. asyncio rounds its timers up to a
millisecond, the unit of epoll, which would make every manager on a loop look late. So tasks and
heartbeats wait for a timerfd (timerfd_create(2)).

Standard library only; Linux only. Only workers with an open loop or a heartbeat import this module,
so that no other worker loads ctypes. (``os`` has these calls from Python 3.13 on.)
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

_NS_PER_S: Final = 1_000_000_000
_PR_SET_TIMERSLACK: Final = 29
_PR_GET_TIMERSLACK: Final = 30
_TFD_TIMER_ABSTIME: Final = 1

_libc = ctypes.CDLL(None, use_errno=True)


class _TimerSpec(ctypes.Structure):
    """struct itimerspec: a period and the first time, each as seconds and nanoseconds."""

    _fields_ = tuple(
        (name, ctypes.c_long) for name in ("period_s", "period_ns", "time_s", "time_ns")
    )


@contextlib.contextmanager
def precise_sleep() -> Iterator[None]:
    """Threads that are started inside sleep with a slack of 1 ns. The usual slack is 50 us."""
    usual_ns = _checked(_libc.prctl(_PR_GET_TIMERSLACK, 0, 0, 0, 0), "prctl")
    _set_slack_ns(1)
    try:
        yield
    finally:
        _set_slack_ns(usual_ns)


class Pacer:
    """Wakes the tasks of one event loop, each at its time.

    A context manager. No task may still wait when it is left.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raises OSError."""
        self._loop = loop
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._timer = _timer(os.O_NONBLOCK | os.O_CLOEXEC)
        loop.add_reader(self._timer, self._wake)

    async def until(self, due_ns: int) -> None:
        """Returns at or after that time (perf_counter_ns). Times must ascend from call to call."""
        woken = self._loop.create_future()
        self._waiting.append((due_ns, woken))
        if len(self._waiting) == 1:
            _arm(self._timer, due_ns)
        await woken

    def _wake(self) -> None:
        now_ns = time.perf_counter_ns()
        waiting = self._waiting
        while waiting and waiting[0][0] <= now_ns:
            _, woken = waiting.popleft()
            if not woken.done():  # its task may have been cancelled
                woken.set_result(None)
        # Setting the timer, even to 0, also makes its descriptor unreadable until it is due, so
        # that the loop does not call this again.
        _arm(self._timer, waiting[0][0] if waiting else 0)

    def __enter__(self) -> Pacer:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._timer)
        os.close(self._timer)


class BeatTimer:
    """The timer of a heartbeat: its descriptor ``fd`` becomes readable at every beat."""

    def __init__(self) -> None:
        """Makes the timer without arming it. Raises OSError."""
        self.fd: int = _timer(os.O_CLOEXEC)

    def arm(self, first_ns: int, period_ns: int) -> None:
        """Sets the first beat (perf_counter_ns; at once if that is past) and the period."""
        _arm(self.fd, first_ns, period_ns)

    def wait(self) -> None:
        """Blocks until the next beat and consumes it. It releases the interpreter lock."""
        os.read(self.fd, 8)

    def close(self) -> None:
        os.close(self.fd)


def _set_slack_ns(slack_ns: int) -> None:
    _checked(_libc.prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(slack_ns), 0, 0, 0), "prctl")


def _timer(flags: int) -> int:
    return _checked(_libc.timerfd_create(time.CLOCK_MONOTONIC, flags), "timerfd_create")


def _arm(timer: int, first_ns: int, period_ns: int = 0) -> None:
    """Sets the timer to that time (perf_counter_ns). A time of 0 stops it."""
    spec = _TimerSpec(*divmod(period_ns, _NS_PER_S), *divmod(first_ns, _NS_PER_S))
    _checked(
        _libc.timerfd_settime(timer, _TFD_TIMER_ABSTIME, ctypes.byref(spec), None),
        "timerfd_settime",
    )


def _checked(result: int, call: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result
