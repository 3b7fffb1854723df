"""What else the machine did while something was measured, from the kernel's own counters.

Shares are of the time of all CPUs that this process may use. The kernel counts busy time in clock
ticks (10 ms): a share of a run of half a second is known to a few per cent, that of a run of less
than `MIN_SPAN_S` not at all. A counter that this machine does not have gives None.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.machine.machine import read_text

MIN_SPAN_S: Final = 0.1
"""In less a single tick, by which the counter of a CPU can be off, would be more than a tenth."""

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_IDLE, _IOWAIT, _STEAL = 3, 4, 7  # fields of a CPU's line in /proc/stat (proc_stat(5))


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What else the machine did in a span of time.

    ``others_share``: CPU time that was neither idle nor stolen nor of the measured processes.
    ``steal_share``: CPU time that the host gave to others. ``pressure_share``: the time in which a
    task that could run had to wait for a CPU, those that are measured included. ``frequency_hz``:
    the clock rate at the end, the mean of the CPUs.
    """

    others_share: float | None = None
    steal_share: float | None = None
    pressure_share: float | None = None
    frequency_hz: float | None = None


class Watch:
    """Watches the machine from its making on.

    ``own_cpu_s``: the CPU time that this process and all that it has started have used so far.
    """

    def __init__(
        self,
        own_cpu_s: Callable[[], float],
        root: Path = Path("/"),
        now_s: Callable[[], float] = time.monotonic,
        cpus: Collection[int] | None = None,
    ) -> None:
        self._root, self._now_s, self._own_cpu_s = root, now_s, own_cpu_s
        self._cpus = os.sched_getaffinity(0) if cpus is None else cpus
        self._began_s, self._used_s = now_s(), own_cpu_s()
        self._ticks, self._pressure_us = self._read_ticks(), self._waited()

    def so_far(self) -> Disturbance:
        """What happened since the watch was made."""
        elapsed_s, own_s = self._now_s() - self._began_s, self._own_cpu_s() - self._used_s
        ticks, waited_us = self._read_ticks(), self._waited()
        others = steal = pressure = None
        capacity_s = elapsed_s * len(self._cpus)
        is_known = capacity_s > 0 and elapsed_s >= MIN_SPAN_S
        if ticks is not None and self._ticks is not None and is_known:
            idle, stolen = (
                max(0.0, now - then) / _TICKS_PER_S / capacity_s
                for now, then in zip(ticks, self._ticks, strict=True)
            )
            steal = min(1.0, stolen)
            others = min(1.0, max(0.0, 1.0 - idle - steal - own_s / capacity_s))
        if waited_us is not None and self._pressure_us is not None and elapsed_s > 0:
            pressure = min(1.0, (waited_us - self._pressure_us) / 1e6 / elapsed_s)
        return Disturbance(others, steal, pressure, self._frequency_hz())

    def _read_ticks(self) -> tuple[int, int] | None:
        """Idle and stolen ticks of the CPUs since boot."""
        idle = stolen = seen = 0
        for line in self._text("proc/stat").splitlines():
            name, *fields = line.split()
            if name.startswith("cpu") and name[3:].isdecimal() and int(name[3:]) in self._cpus:
                if len(fields) <= _STEAL:
                    return None
                idle += int(fields[_IDLE]) + int(fields[_IOWAIT])
                stolen += int(fields[_STEAL])
                seen += 1
        return (idle, stolen) if seen == len(self._cpus) else None

    def _waited(self) -> int | None:
        """Microseconds since boot in which a task waited for a CPU (PSI, some)."""
        first, *_ = self._text("proc/pressure/cpu").splitlines() or [""]
        name, _, total = first.rpartition(" total=")
        return int(total) if name.startswith("some") and total.isdecimal() else None

    def _frequency_hz(self) -> float | None:
        place = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq"
        kilohertz = [self._text(place.format(cpu)) for cpu in sorted(self._cpus)]
        found = [int(text) * 1000 for text in kilohertz if text.isdecimal()]
        return sum(found) / len(found) if found else None

    def _text(self, place: str) -> str:
        return read_text(self._root / place) or ""
