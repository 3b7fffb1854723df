"""The row of a case: its measures over the runs, and how each measure is named and shown.

A measure of every row is declared once, as a field of `CaseRow`. Its key in the result file, its
name on the command line, the tables and figures that show it and their words all derive from that
declaration; `pyperf_run` computes it. Measures that only some runs have are in ``keys.FURTHER``.
"""

# ruff: noqa: RUF009 - the defaults of `CaseRow` are fields, which `_measure` makes

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Final

from bench.cases.case import Case
from bench.cases.names import unknown
from bench.errors import BenchError
from bench.results.key import Key
from bench.worker.protocol import PIPE_FACTS

QUARTILES_FROM = 4
"""From this many runs on the spread is their quartiles, below it their least and greatest."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One measure of one case: its median over the runs and the spread between them.

    ``low`` and ``high`` are the first and third quartile (linear between runs) from 4 runs on, the
    least and greatest below that. ``by_round`` is (round, value) of each run, rounds ascending.
    """

    median: float
    low: float
    high: float
    by_round: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, by_round: Iterable[tuple[int, float]]) -> Estimate | None:
        """The estimate of one value per round; None if there is none."""
        pairs = tuple(sorted(by_round))
        values = [value for _, value in pairs]
        if not values:
            return None
        low, high = min(values), max(values)
        if len(values) >= QUARTILES_FROM:
            low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(statistics.median(values), low, high, pairs)

    @property
    def value(self) -> float:
        """The median, under the name that every value with bounds has (`HasBounds`)."""
        return self.median

    @property
    def spread(self) -> float | None:
        """Half of the spread as a share of the median; None for a single run or a median of 0."""
        if len(self.by_round) < 2 or self.median == 0:
            return None
        return (self.high - self.low) / 2 / self.median


def paired_ratio(above: Estimate | None, below: Estimate | None) -> Estimate | None:
    """The ratio of two cases, from one ratio for each round that both have.

    Rounds interleave all cases, so what disturbed a round disturbed both and largely cancels out.
    None without a common round. Rounds with a zero below are left out.
    """
    if above is None or below is None:
        return None
    divisors = dict(below.by_round)
    return Estimate.of(
        (number, value / divisors[number])
        for number, value in above.by_round
        if divisors.get(number)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measure of every row. The unit of its ``key`` decides how its values are written."""

    # Those that code names; a new measure needs no name here.
    TIME_PER_REDO: ClassVar[Measure]
    LATENCY: ClassVar[Measure]
    LATENCY_P99: ClassVar[Measure]
    THROUGHPUT: ClassVar[Measure]
    CPU_TOTAL: ClassVar[Measure]
    CPU_MANAGER_USER: ClassVar[Measure]
    CPU_MANAGER_SYSTEM: ClassVar[Measure]
    CPU_CHILD_USER: ClassVar[Measure]
    CPU_CHILD_SYSTEM: ClassVar[Measure]

    field: str
    """The field of a row, and the key in `show --json`."""
    key: Key
    """Its key in the metadata of a run."""
    noun: str
    """Its name in titles: ``async has a lower p99 than sync``."""
    label: str
    """On the axis of a figure."""
    heading: str | None = None
    """In the tables of all cases; None: it is not in them."""
    less_is_better: bool = True
    instead: str | None = None
    """The field that stands in for it in a result of a version that did not measure it."""

    @property
    def name(self) -> str:
        """Its name without the unit, as ``latency-p99``: on the command line and in exports."""
        return self.field.removesuffix("_per_s").removesuffix("_s").replace("_", "-")

    @property
    def better(self) -> str:
        """The words for "better" in this measure. A lower p50 is called just that, not "quicker": a
        mean or a tail may say something else."""
        return f"has a lower {self.noun} than" if self.less_is_better else "is ahead of"

    @property
    def times_better(self) -> str:
        """The same with a place for ``times``."""
        return self.better.replace("lower", "{times} lower").replace("is ahead", "is {times} ahead")

    @classmethod
    def of_field(cls, field: str) -> Measure:
        return MEASURES[field]

    def of(self, row: CaseRow | None) -> Estimate | None:
        """The estimate in a row."""
        return None if row is None else measure_of(row, self.field)


def _measure(key: Key, **words: Any) -> Any:
    """The field of a row for a measure with this key; ``words`` are further fields of `Measure`."""
    return field(default=None, metadata={"key": key, "words": words})


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRow:
    """All measures of one case over its runs; None where no run has the measure.

    Times are seconds, ``throughput_per_s`` redos per second, CPU times seconds per redo. ``missed``
    are the failed self-checks: (round, text of the run). ``slices`` has the values of each slice,
    in order, by measure and round, for the measures that slices have. ``further`` has the measures
    of experiments (``keys.FURTHER``) and the usage without a field, by key. ``pipe_bytes`` is what
    the kernel granted in each round: the sizes of the pipes to the child and from it.
    """

    case: Case
    rounds: tuple[int, ...]
    time_per_redo_s: Estimate | None = _measure(
        Key(
            "redo_time_per_redo",
            "s/redo",
            "sum of the clients' walls / redos, over all slices; of an open load the mean latency",
        ),
        noun="time per redo",
        label="time per redo",
        heading="t/redo",
    )
    throughput_per_s: Estimate | None = _measure(
        Key("redo_throughput", "1/s", "redos / wall from the barrier to the last client's end"),
        noun="throughput",
        label="redos per second",
        heading="redo/s",
        less_is_better=False,
    )
    turn_p50_s: Estimate | None = _measure(
        Key(
            "redo_turn_p50",
            "s",
            "median turn: from the end of a client's redo to that of its next; all samples of the"
            " run pooled, nearest rank; where a client does not redo all the time, from the moment"
            " at which the redo was wanted",
        ),
        noun="p50",
        label="latency of a redo",
        heading="p50",
        instead="latency_p50_s",
    )
    turn_p90_s: Estimate | None = _measure(
        Key("redo_turn_p90", "s", "90th percentile of the same samples"),
        noun="p90",
        label="90th percentile of latency",
        instead="latency_p90_s",
    )
    turn_p99_s: Estimate | None = _measure(
        Key("redo_turn_p99", "s", "99th percentile of the same samples"),
        noun="p99",
        label="99th percentile of latency",
        heading="p99",
        instead="latency_p99_s",
    )
    turn_p99_9_s: Estimate | None = _measure(
        Key("redo_turn_p99_9", "s", "99.9th percentile; the maximum if under 1000 samples"),
        noun="p99.9",
        label="99.9th percentile of latency",
        instead="latency_p99_9_s",
    )
    turn_max_s: Estimate | None = _measure(
        Key("redo_turn_max", "s", "the longest turn"),
        noun="greatest latency",
        label="greatest latency of a run",
        instead="latency_max_s",
    )
    latency_p50_s: Estimate | None = _measure(
        Key(
            "redo_latency_p50",
            "s",
            "median latency of the call, without what a client waits before it; of an open load"
            " from the intended start",
        ),
        noun="p50 of the call",
        label="latency of the call",
    )
    latency_p90_s: Estimate | None = _measure(
        Key("redo_latency_p90", "s", "90th percentile of the same samples"),
        noun="p90 of the call",
        label="90th percentile of the call's latency",
    )
    latency_p99_s: Estimate | None = _measure(
        Key("redo_latency_p99", "s", "99th percentile of the same samples"),
        noun="p99 of the call",
        label="99th percentile of the call's latency",
    )
    latency_p99_9_s: Estimate | None = _measure(
        Key("redo_latency_p99_9", "s", "99.9th percentile; the maximum if under 1000 samples"),
        noun="p99.9 of the call",
        label="99.9th percentile of the call's latency",
    )
    latency_max_s: Estimate | None = _measure(
        Key("redo_latency_max", "s", "the longest latency of a call"),
        noun="greatest latency of the call",
        label="greatest latency of a call in a run",
    )
    cpu_total_s: Estimate | None = _measure(
        Key("redo_cpu_total", "s/redo", "CPU time of both processes"),
        noun="CPU per redo",
        label="CPU per redo, manager and child",
        heading="CPU",
    )
    cpu_manager_user_s: Estimate | None = _measure(
        Key("redo_cpu_manager_user", "s/redo", "CPU time of the manager's process in user mode"),
        noun="manager user CPU",
        label="CPU per redo, manager, user mode",
    )
    cpu_manager_system_s: Estimate | None = _measure(
        Key("redo_cpu_manager_system", "s/redo", "CPU time of the manager's process in the kernel"),
        noun="manager system CPU",
        label="CPU per redo, manager, system",
    )
    cpu_child_user_s: Estimate | None = _measure(
        Key("redo_cpu_child_user", "s/redo", "CPU time of the redo child in user mode"),
        noun="child user CPU",
        label="CPU per redo, child, user mode",
    )
    cpu_child_system_s: Estimate | None = _measure(
        Key("redo_cpu_child_system", "s/redo", "CPU time of the redo child in the kernel"),
        noun="child system CPU",
        label="CPU per redo, child, system",
    )
    missed: tuple[tuple[int, str], ...] = ()
    slices: Mapping[str, Mapping[int, tuple[float, ...]]] = field(default_factory=dict)
    further: Mapping[str, Estimate] = field(default_factory=dict)
    pipe_bytes: Mapping[int, tuple[int, int]] = field(default_factory=dict)


MEASURES: Final[Mapping[str, Measure]] = {
    item.name: Measure(field=item.name, key=item.metadata["key"], **item.metadata["words"])
    for item in fields(CaseRow)
    if item.metadata
}
"""Every measure by its field of a row."""

MEASURE_NAMES: Final = {measure.name: measure.field for measure in MEASURES.values()}
"""Name on the command line -> field of a row."""

_SHORT_NAMES: Final = {
    measure.noun: measure.field
    for measure in MEASURES.values()
    if measure.field.startswith("turn_p")
}

Measure.TIME_PER_REDO = MEASURES["time_per_redo_s"]
Measure.LATENCY = MEASURES["turn_p50_s"]
Measure.LATENCY_P99 = MEASURES["turn_p99_s"]
Measure.THROUGHPUT = MEASURES["throughput_per_s"]
Measure.CPU_TOTAL = MEASURES["cpu_total_s"]
Measure.CPU_MANAGER_USER = MEASURES["cpu_manager_user_s"]
Measure.CPU_MANAGER_SYSTEM = MEASURES["cpu_manager_system_s"]
Measure.CPU_CHILD_USER = MEASURES["cpu_child_user_s"]
Measure.CPU_CHILD_SYSTEM = MEASURES["cpu_child_system_s"]


def measure_of(row: CaseRow, measure: str) -> Estimate | None:
    """The estimate of a measure (a field of a row), or of the one that stands in for it."""
    estimate: Estimate | None = getattr(row, measure)
    instead = MEASURES[measure].instead
    if estimate is None and instead is not None:
        estimate = getattr(row, instead)
    return estimate


def both(measure: str, row: CaseRow, other: CaseRow) -> str:
    """The field under which two rows can be compared in a measure: what stands in for it where one
    of them is of a version that did not measure it."""
    instead = MEASURES[measure].instead
    if instead is None or None not in (getattr(row, measure), getattr(other, measure)):
        return measure
    return instead


def measure_field(option: str, name: str) -> str:
    """The field of a row for a name on the command line, as ``turn-p99`` or short ``p99``. Raises
    BenchError, which names the option."""
    field = MEASURE_NAMES.get(name, _SHORT_NAMES.get(name))
    if field is None:
        raise BenchError(f"{option}: {unknown('measure', name, tuple(MEASURE_NAMES))}")
    return field


def measure_name(measure: str) -> str:
    """`Measure.name` of a field of a row."""
    return MEASURES[measure].name


def pipes_of(metadata: Mapping[str, object]) -> tuple[int, int] | None:
    """The sizes of a run's pipes to the child and from it, in bytes; None if it does not say."""
    to_child, from_child = map(metadata.get, PIPE_FACTS)
    if isinstance(to_child, int) and isinstance(from_child, int):
        return to_child, from_child
    return None


def pipes_text(sizes: Iterable[tuple[int, int]]) -> str:
    """As ``1048576``, ``65536 and 1048576``, or ``1048576 to / 65536 from`` the child."""
    return " and ".join(
        str(to) if to == back else f"{to} to / {back} from" for to, back in sorted(set(sizes))
    )


def less_is_better(measure: str) -> bool:
    """`Measure.less_is_better` of a field of a row."""
    return MEASURES[measure].less_is_better
