"""Which CPUs manager and child run on. Standard library only; Linux.

``any``: the system decides. ``same-cpu``: both on one CPU, which shows the CPU time of each and
scatters least. ``split``: a CPU each, so that neither is moved.
"""

from __future__ import annotations

import os
import re
from typing import Final

ANY: Final = "any"
SAME_CPU: Final = "same-cpu"
SPLIT: Final = "split"
PLACEMENTS: Final = (ANY, SAME_CPU, SPLIT)

_CPUS_NEEDED: Final = {ANY: 1, SAME_CPU: 1, SPLIT: 2}


def problem(placement: str) -> str | None:
    """Why this machine cannot do that placement, in one line; None if it can."""
    if placement == ANY:
        return None
    if not hasattr(os, "sched_setaffinity"):
        return f"placement {placement}: this system cannot pin a process to a CPU"
    allowed = len(os.sched_getaffinity(0))
    if allowed < _CPUS_NEEDED[placement]:
        return f"placement {placement}: it takes 2 CPUs, and this process may use {allowed}"
    return None


def cpus(placement: str) -> tuple[int, int] | None:
    """The CPUs of manager and child; None for any. The last ones: the first take interrupts."""
    if placement == ANY:
        return None
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[-1], allowed[-1] if placement == SAME_CPU else allowed[-2])


def cpu_count(placement: str) -> int:
    """How many CPUs manager and child may use in all."""
    return len(set(cpus(placement) or os.sched_getaffinity(0)))


def cpus_allowed() -> str | None:
    """The CPUs that this process may use, as ``0-3,8``; None where the system does not say."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cpus = os.sched_getaffinity(0)
    firsts = sorted(cpu for cpu in cpus if cpu - 1 not in cpus)
    lasts = sorted(cpu for cpu in cpus if cpu + 1 not in cpus)
    pairs = zip(firsts, lasts, strict=True)
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in pairs)


def count_of(cpus: str) -> int:
    """How many CPUs a list as ``0-3,8`` names; 0 if it is no list."""
    ranges = re.findall(r"(\d+)(?:-(\d+))?", cpus)
    return sum(int(last or first) - int(first) + 1 for first, last in ranges)


def pin(pid: int, cpu: int) -> None:
    """That process (0: the calling thread), and what it starts from now on, to that CPU."""
    os.sched_setaffinity(pid, {cpu})
