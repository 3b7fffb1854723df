"""One run as it was measured: plain data, checked when it is made.

``pyperf_run`` turns it into the format of the result file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from bench.cases.case import Case
from bench.cases.notations import OVER_BUDGET
from bench.results.samples import Int64s, Slice, SliceSamples


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Resources used in the measured slices of a run, summed; None where unknown.

    CPU times are seconds, the others are counts. A total is exact. Its split into user and system
    mode is only known in clock ticks, and unknown for a process that used less than one.
    ``manager`` is the process with the clients (for the floor, the C program). The calls are its.
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
    pyperf. ``worker_metadata`` overrides the suite's own metadata of the run, because the worker
    knows its own Python best. ``series`` (int64) and ``counts`` have an entry per slice, for what
    is measured besides the redos.
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
        """The slices if each of their redos is known; empty for a run of summaries."""
        return tuple(part for part in self.slices if isinstance(part, SliceSamples))

    def __post_init__(self) -> None:
        if len(self.samples) not in (0, len(self.slices)):
            raise ValueError(f"run of {self.case.name} with both samples and summaries")
        if not self.slices:
            raise ValueError(f"run of {self.case.name} without a slice")
        if self.round < 0:
            raise ValueError(f"round {self.round} of {self.case.name} is below 0")
        for part in self.slices:
            if part.clients != self.case.clients:
                raise ValueError(f"slice of {part.clients} clients in a run of {self.case.name}")


@dataclass(frozen=True, slots=True)
class DroppedRound:
    """A measurement of a round that was dropped, as the round was disturbed and measured twice.

    ``others_share``: the most that others took of the CPUs during a run of the first measurement.
    ``why``: why this measurement was dropped and not the other one.
    """

    round: int
    others_share: float
    why: str


@dataclass(frozen=True, slots=True)
class Session:
    """One of the results that were combined into one: the name of its file, when it was started
    (as in `Environment`), and how many rounds it has. Their rounds follow each other."""

    file: str
    date: str
    rounds: int


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run without a result, and the reason in one line."""

    case: Case
    round: int
    reason: str

    @property
    def over_budget(self) -> str | None:
        """The reason if the run was ended because its reads would have exceeded their memory
        budget; None if anything else went wrong."""
        at = self.reason.find(OVER_BUDGET)
        return None if at < 0 else self.reason[at:]
