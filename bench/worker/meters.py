"""Meters of CPU time and context switches, of this process or another one.

Standard library only; Linux's /proc. A worker reads its meters just before and just after a slice.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_CPU_CLOCK_OF_PROCESS = 2
"""CPUCLOCK_SCHED in the kernel's include/linux/posix-timers.h: a process's CPU time in ns."""

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def peak_rss_bytes() -> int:
    """The highest resident memory of this process so far.

    Not getrusage's ru_maxrss, which starts at the value of the process that started this one.
    """
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
    )
    return int(line.split()[1]) * 1024


@dataclass(frozen=True, slots=True)
class Used:
    """Totals since the process began."""

    cpu_ns: int
    voluntary_switches: int
    involuntary_switches: int

    def plus(self, other: Used) -> Used:
        return Used(
            self.cpu_ns + other.cpu_ns,
            self.voluntary_switches + other.voluntary_switches,
            self.involuntary_switches + other.involuntary_switches,
        )

    def since(self, before: Used) -> Used:
        return Used(
            self.cpu_ns - before.cpu_ns,
            self.voluntary_switches - before.voluntary_switches,
            self.involuntary_switches - before.involuntary_switches,
        )


class ProcessGoneError(Exception):
    """A process that must be alive has ended."""

    def __init__(self, name: str, pid: int) -> None:
        super().__init__(f"the {name}, process {pid}, has ended")


class Meter(Protocol):
    """Reads one process's totals. Both methods raise ProcessGoneError."""

    def used(self) -> Used: ...

    def user_share(self) -> float | None:
        """User time / CPU time over the life of the process; None if it has used none."""


def used_before(meters: Sequence[Meter]) -> list[Used]:
    """The readings of the meters before something is measured."""
    # Last to first, since the first meter is that of this process: the time that it takes to read
    # the others (a file for each child) must not count. `used_since` reads the first one first.
    return [meter.used() for meter in reversed(meters)][::-1]


def used_since(meters: Sequence[Meter], before: Sequence[Used]) -> tuple[Used, ...]:
    """What the process of each meter has used since ``before``."""
    after = [meter.used() for meter in meters]
    return tuple(now.since(then) for now, then in zip(after, before, strict=True))


class OwnMeter:
    """Meters this process, with all its threads."""

    def used(self) -> Used:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return Used(time.process_time_ns(), usage.ru_nvcsw, usage.ru_nivcsw)

    def user_share(self) -> float | None:
        times = os.times()
        return _share(times.user, times.system)


class ProcessMeter:
    """Meters another process that has one thread.

    The total is exact. The split into user and system time is only known in clock ticks (10 ms), so
    it is taken over the whole life of the process.
    """

    def __init__(self, pid: int, name: str = "process") -> None:
        self._clock = ~pid << 3 | _CPU_CLOCK_OF_PROCESS
        self._folder = Path(f"/proc/{pid}")
        self._gone = ProcessGoneError(name, pid)

    def used(self) -> Used:
        switches = {}
        for line in self._read("status").splitlines():
            name, _, value = line.partition(":")
            if name.endswith("ctxt_switches"):
                switches[name] = int(value)
        try:
            cpu_ns = time.clock_gettime_ns(self._clock)
        except OSError:
            raise self._gone from None
        return Used(
            cpu_ns,
            switches["voluntary_ctxt_switches"],
            switches["nonvoluntary_ctxt_switches"],
        )

    def user_share(self) -> float | None:
        return _share(*self.times_s())

    def times_s(self) -> tuple[float, float]:
        """User and system time in seconds, in whole clock ticks. Raises ProcessGoneError."""
        # Counted after the program's name, which may contain blanks and brackets: utime and stime
        # are the 12th and 13th field from there (proc(5)).
        fields = self._read("stat").rpartition(")")[2].split()
        return int(fields[11]) / _TICKS_PER_S, int(fields[12]) / _TICKS_PER_S

    def _read(self, name: str) -> str:
        try:
            return (self._folder / name).read_text()
        except (FileNotFoundError, ProcessLookupError):
            raise self._gone from None


class ChildrenMeter:
    """Meters the children of this process as one sum: those in ``pids``, and all that have ended.

    A child counts as ended once it is reaped. Read the meter only while no child is being replaced.
    """

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        self._pids = pids

    def used(self) -> Used:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        total = Used(
            round((usage.ru_utime + usage.ru_stime) * 1e9), usage.ru_nvcsw, usage.ru_nivcsw
        )
        for pid in self._pids():
            total = total.plus(ProcessMeter(pid, "child").used())
        return total

    def user_share(self) -> float | None:
        times = os.times()
        user, system = times.children_user, times.children_system
        for pid in self._pids():
            own_user, own_system = ProcessMeter(pid, "child").times_s()
            user, system = user + own_user, system + own_system
        return _share(user, system)


def _share(user: float, system: float) -> float | None:
    return user / (user + system) if user + system > 0 else None


def memory_bytes(pid: int) -> Mapping[str, int]:
    """``rss_bytes``: the resident memory. ``pss_bytes``: the same, with each page divided by the
    number of processes that share it. Empty if the kernel does not report them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, PermissionError):
        return {}
    fields = {name: value for name, _, value in (line.partition(":") for line in lines)}
    return {
        f"{name.lower()}_bytes": int(fields[name].split()[0]) * 1024
        for name in ("Rss", "Pss")
        if name in fields
    }
