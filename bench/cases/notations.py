"""The values of dimensions that describe the system around a manager, and how they are written.

The default of each dimension adds nothing to the system. bench/profiles/default.toml explains what
each value means for a measurement. Standard library only, because the worker imports it. Every
``parse`` raises ValueError and says what would be right.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final

from bench.cases.names import NO_FAULT, unknown

SHARED: Final = "shared"
PER_TENANT: Final = "per-tenant"
TOPOLOGIES: Final = (SHARED, PER_TENANT)

PER_CLIENT: Final = "per-client"
NCPUS: Final = "ncpus"
MAX_THREADS: Final = 4096

CLOSED: Final = "closed"
OPEN: Final = "open:"
MAX_RATE_PER_S: Final = 10_000_000.0
MAX_PERCENT: Final = 1000.0

NO_ADMISSION: Final = "none"
UNLIMITED: Final = "unlimited"
MAX_ADMITTED: Final = 4096

YIELD: Final = "yield"
NO_PAUSE: Final = "none"
PAUSES: Final = (YIELD, NO_PAUSE)

OWN: Final = "own"
ON_LOOP: Final = "loop"
TO_THREAD: Final = "to-thread"
CALLERS: Final = (OWN, ON_LOOP, TO_THREAD)

NO_HEARTBEAT: Final = "none"
HEARTBEAT_ON_LOOP: Final = "loop"
HEARTBEAT_THREAD: Final = "thread"
HEARTBEATS: Final = (NO_HEARTBEAT, HEARTBEAT_ON_LOOP, HEARTBEAT_THREAD)

OVER_BUDGET: Final = "over budget"
"""Stands in the reason of a run that ended because it would have exceeded its memory budget."""

MAX_BACKGROUND: Final = 256
"""Each busy process takes 3 MB of memory and a share of the CPUs."""

REDO: Final = "redo"
COLD_START: Final = "cold-start"
RELAUNCH: Final = "relaunch"
REAP: Final = "reap"
STORM: Final = "storm"
STORM_BACK_OFF: Final = "storm-back-off"
STORM_WAIT: Final = "storm-wait"
STORM_BACKGROUND: Final = "storm-background"
STORMS: Final = (STORM_BACK_OFF, STORM, STORM_WAIT, STORM_BACKGROUND)
SCENARIOS: Final = (REDO, COLD_START, RELAUNCH, REAP, *STORMS)

WITHOUT_PAGES: Final = (REAP, *STORMS)
"""Scenarios that need one client only, and no particular request."""

WITHOUT_MANAGER: Final = (REAP, STORM_WAIT, STORM_BACKGROUND)
"""Scenarios that launch children without a manager."""

_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


def executor_threads(choice: str) -> int | None:
    """How many threads the clients share; None: each has its own."""
    if choice == PER_CLIENT:
        return None
    if choice == NCPUS:
        return len(os.sched_getaffinity(0))
    if choice.isdecimal() and 1 <= int(choice) <= MAX_THREADS:
        return int(choice)
    raise ValueError(
        f"{choice!r}: expected {PER_CLIENT}, {NCPUS}, or a number of threads from 1 to"
        f" {MAX_THREADS}"
    )


@dataclass(frozen=True, slots=True)
class Load:
    """The arrivals of an open loop: a rate, or a percentage of the closed loop's throughput.

    Exactly one of the two is set; for a closed loop neither is.
    """

    rate_per_s: float | None = None
    percent: float | None = None

    @property
    def is_open(self) -> bool:
        return self != Load()

    @classmethod
    def parse(cls, text: str) -> Load:
        """``closed``, ``open:RATE`` or ``open:PERCENT%``. Raises ValueError."""
        if text == CLOSED:
            return cls()
        number = text.removeprefix(OPEN).removesuffix("%")
        most = MAX_PERCENT if text.endswith("%") else MAX_RATE_PER_S
        if not (text.startswith(OPEN) and _NUMBER.fullmatch(number) and 0 < float(number) <= most):
            raise ValueError(
                f"{text!r}: expected closed, open:RATE with redos per second above 0, or"
                f" open:PERCENT% with a share of the closed loop's capacity above 0 (at most"
                f" {MAX_PERCENT:g} %)"
            )
        value = float(number)
        return cls(percent=value) if text.endswith("%") else cls(rate_per_s=value)


@dataclass(frozen=True, slots=True)
class Admission:
    """How many clients of a read path may be past a point at once; None: all of them.

    A client takes ``data`` before it collects what its redo needs, and gives it back after the
    redo. It takes ``redo`` after that, around the redo alone.
    """

    data: int | None = None
    redo: int | None = None

    @classmethod
    def parse(cls, text: str) -> Admission:
        """``none``, ``unlimited``, ``before:K``, ``after:K`` or ``both:D,K``. Raises ValueError.

        ``none`` means that there is no read path, so it limits nothing either.
        """
        if text in (NO_ADMISSION, UNLIMITED):
            return cls()
        where, _, numbers = text.partition(":")
        limits = [int(n) if n.isdecimal() else 0 for n in numbers.split(",")]
        wanted = {"before": 1, "after": 1, "both": 2}.get(where)
        if wanted != len(limits) or not all(1 <= n <= MAX_ADMITTED for n in limits):
            raise ValueError(
                f"{text!r}: expected none, unlimited, before:K, after:K or both:D,K with whole"
                f" numbers from 1 to {MAX_ADMITTED}"
            )
        if where == "both":
            return cls(*limits)
        return cls(data=limits[0]) if where == "before" else cls(redo=limits[0])


MIN_ARRIVALS: Final = 30
"""A slice is stretched until this many arrivals are expected in it."""


def min_slice_s(rate_per_s: float) -> float:
    """The shortest slice of an open load with that rate, in seconds."""
    return MIN_ARRIVALS / rate_per_s


UNREAPED_MOST: Final = 64
"""The most children that are launched and not reaped: launches wait if reaping falls behind."""


def check_fault(text: str) -> None:
    """Raises ValueError unless that is a fault of the fake child, or none."""
    # The worker imports this module, and needs nothing of what builds programs.
    from fake_redo_child import build

    name = text.partition(":")[0]
    if name not in (NO_FAULT, *build.FAULTS):
        raise ValueError(unknown("fault", name, (NO_FAULT, *build.FAULTS)))
    if text != NO_FAULT:
        build.check_fault(text)
