"""Meters of CPU time and context switches, of this process or another one.

Standard library only; Linux's /proc. A worker reads its meters just before and just after a slice.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Iterable, Mapping, Sequence
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
        self._pid, self._name = pid, name
        self._clock = ~pid << 3 | _CPU_CLOCK_OF_PROCESS

    def used(self) -> Used:
        switches = {}
        for line in _read(self._pid, "status", self._name).splitlines():
            name, _, value = line.partition(":")
            if name.endswith("ctxt_switches"):
                switches[name] = int(value)
        try:
            cpu_ns = time.clock_gettime_ns(self._clock)
        except OSError:
            raise ProcessGoneError(self._name, self._pid) from None
        return Used(
            cpu_ns,
            switches["voluntary_ctxt_switches"],
            switches["nonvoluntary_ctxt_switches"],
        )

    def user_share(self) -> float | None:
        return _share(*_times_s(self._pid, self._name)[:2])


class DescendantsMeter:
    """Meters the descendants of a process as one sum: children, their children, and so on.

    One that has ended counts once its parent has reaped it. ``but_for``: children that are not
    counted, nor what they start; they must not be reaped while the meter is used. Context switches
    are those of each process's first thread. Read the meter only while no child is being replaced.
    """

    def __init__(self, pid: int | None = None, but_for: Iterable[int] = ()) -> None:
        """``pid``: the process; None is this one. Raises NotImplementedError on a kernel that does
        not list the children of a process."""
        self._pid = os.getpid() if pid is None else pid
        if not Path(f"/proc/{self._pid}/task/{self._pid}/children").exists():
            raise NotImplementedError(
                "/proc lists no children: it is not mounted, or the kernel has no"
                " CONFIG_PROC_CHILDREN"
            )
        self._but_for = frozenset(but_for)

    def used(self) -> Used:
        total = self._reaped()
        for pid in self._living():
            # Gone since the list was made: what it used is in no sum that is exact.
            with contextlib.suppress(ProcessGoneError):
                total = total.plus(ProcessMeter(pid).used())
                total = total.plus(Used(_reaped_ns(pid), 0, 0))
        return total

    def user_share(self) -> float | None:
        _, _, user, system = _times_s(self._pid)
        for pid in self._living():
            with contextlib.suppress(ProcessGoneError):
                own_user, own_system, reaped_user, reaped_system = _times_s(pid)
                user += own_user + reaped_user
                system += own_system + reaped_system
        return _share(user, system)

    def _reaped(self) -> Used:
        if self._pid != os.getpid():
            return Used(_reaped_ns(self._pid), 0, 0)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Used(round((usage.ru_utime + usage.ru_stime) * 1e9), usage.ru_nvcsw, usage.ru_nivcsw)

    def _living(self) -> list[int]:
        found = [pid for pid in children_of(self._pid) if pid not in self._but_for]
        for pid in found:  # grows while it is walked
            found += children_of(pid)
        return found


def children_of(pid: int) -> list[int]:
    """The living and unreaped children of a process; none if it has ended."""
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
            found += map(int, children.read_text().split())
    return found


def _times_s(pid: int, name: str = "process") -> tuple[float, float, float, float]:
    """User and system time of a process, then of the children that it has reaped, in seconds and in
    whole clock ticks. Raises ProcessGoneError."""
    # Counted after the program's name, which may contain blanks and brackets: utime, stime, cutime
    # and cstime are the 12th to 15th field from there (proc(5)).
    fields = _read(pid, "stat", name).rpartition(")")[2].split()
    user, system, reaped_user, reaped_system = (int(each) / _TICKS_PER_S for each in fields[11:15])
    return user, system, reaped_user, reaped_system


def _reaped_ns(pid: int) -> int:
    return round(sum(_times_s(pid)[2:]) * 1e9)


def _read(pid: int, file: str, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{file}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessGoneError(name, pid) from None


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
