"""What one run leaves behind, before it has a format: plain data, checked when made.

The scheduler makes these, ``pyperf_run`` turns them into what a result file holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from bench.cases.case import Case
from bench.cases.notations import OVER_BUDGET
from bench.results.samples import Int64s, Slice, SliceSamples


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Resources that the measured slices of a run took, summed; None where it is not known.

    CPU times are seconds, the others are counts. A total is exact; how it splits into user and
    system mode is only known in clock ticks, and not at all for a process that used less than one.
    ``manager`` is the process whose clients redo (the C program for the floor), ``child`` the redo
    process. The calls are the manager's.
    """

    manager_cpu_s: float | None = None
    child_cpu_s: float | None = None
    manager_user_s: float | None = None
    manager_system_s: float | None = None
    child_user_s: float | None = None
    child_system_s: float | None = None
    manager_voluntary_switches: int | None = None
    manager_involuntary_switches: int | None = None
    child_voluntary_switches: int | None = None
    child_involuntary_switches: int | None = None
    read_calls: int | None = None
    write_calls: int | None = None
    poll_calls: int | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None and not value >= 0:
                raise ValueError(f"usage {item.name} is {value}, below 0")


@dataclass(frozen=True, slots=True, eq=False)
class RunRecord:
    """One run: one case in one round, measured.

    ``slices`` are all samples or all summaries. ``warmups`` are (redos, seconds per redo) as in
    pyperf. ``worker_metadata`` is merged into the run's metadata as it is and wins over what the
    suite knows: what the worker says of its own Python is the truth about it.
    ``series`` (int64) and ``counts`` are, slice by slice, what is measured beside the redos.
    """

    case: Case
    round: int
    slices: tuple[Slice, ...]
    usage: Usage = field(default_factory=Usage)
    warmups: tuple[tuple[int, float], ...] = ()
    worker_metadata: Mapping[str, str | int | float] = field(default_factory=dict)
    series: tuple[Mapping[str, Int64s], ...] = ()
    counts: tuple[Mapping[str, int], ...] = ()

    @property
    def samples(self) -> tuple[SliceSamples, ...]:
        """The slices, if every redo of them is known; none for a run of summaries."""
        return tuple(one for one in self.slices if isinstance(one, SliceSamples))

    def __post_init__(self) -> None:
        if len(self.samples) not in (0, len(self.slices)):
            raise ValueError(f"run of {self.case.name} with both samples and summaries")
        if not self.slices:
            raise ValueError(f"run of {self.case.name} without a slice")
        if self.round < 0:
            raise ValueError(f"round {self.round} of {self.case.name} is below 0")
        for one in self.slices:
            if one.clients != self.case.clients:
                raise ValueError(f"slice of {one.clients} clients in a run of {self.case.name}")


@dataclass(frozen=True, slots=True)
class FailedRun:
    """One run that gave no result, and why in one line."""

    case: Case
    round: int
    reason: str

    @property
    def over_budget(self) -> str | None:
        """The reason of a run that was ended because its reads would have held more memory than
        they may; None where anything else went wrong."""
        at = self.reason.find(OVER_BUDGET)
        return None if at < 0 else self.reason[at:]
