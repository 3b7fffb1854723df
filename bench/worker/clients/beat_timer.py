"""The timer of a heartbeat: a descriptor that becomes readable at every beat (timerfd_create(2)).

Standard library only. It is imported where there is a heartbeat and nowhere else: no other worker
is to load ctypes for it. (``os`` has these calls from Python 3.13 on.)
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

_NS_PER_S: Final = 1_000_000_000
_CLOCK_MONOTONIC: Final = 1
_TFD_CLOEXEC: Final = os.O_CLOEXEC
_TFD_TIMER_ABSTIME: Final = 1

_libc = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("it_interval", _Timespec), ("it_value", _Timespec))


class BeatTimer:
    """Not readable until it is armed. Raises OSError where the kernel gives none."""

    def __init__(self) -> None:
        self.fd: int = _checked(_libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_CLOEXEC))

    def arm(self, first_ns: int, period_ns: int) -> None:
        """Readable at that time (perf_counter_ns), at once if it is past, and each period later."""
        times = _Itimerspec(
            _Timespec(*divmod(period_ns, _NS_PER_S)), _Timespec(*divmod(first_ns, _NS_PER_S))
        )
        _checked(_libc.timerfd_settime(self.fd, _TFD_TIMER_ABSTIME, ctypes.byref(times), None))

    def wait(self) -> None:
        """Returns when it is readable, which it is not again before the next beat. Lets go of the
        interpreter lock meanwhile."""
        os.read(self.fd, 8)

    def close(self) -> None:
        os.close(self.fd)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
