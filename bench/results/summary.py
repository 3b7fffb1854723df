"""From a result file to the numbers that tables and figures show: one row per case.

A run is the unit: each measure of a case is the median over its runs, with the spread between the
runs beside it. What runs of one process have in common (the layout of its memory, the CPU it was
put on) makes its samples depend on each other, so a spread of pooled samples would say too little.
Rows are plain data; nothing here draws, prints or knows a live object.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pyperf

from bench.cases.case import Case
from bench.results.environment import Environment
from bench.results.key import Value
from bench.results.keys import FURTHER, USAGE
from bench.results.record import FailedRun
from bench.results.result_file import common_metadata, failed_runs
from bench.results.suite_file import read_suite

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
    def spread(self) -> float | None:
        """Half of the spread as a share of the median; None with one run, which shows none."""
        if len(self.by_round) < 2 or self.median == 0:
            return None
        return (self.high - self.low) / 2 / self.median


def paired_ratio(above: Estimate | None, below: Estimate | None) -> Estimate | None:
    """The ratio of two cases, round by round: the rounds that both have, one ratio each.

    Rounds interleave all cases, so what disturbed a round disturbed both and largely cancels out.
    None without a common round or with a zero below.
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
class CaseRow:
    """All measures of one case over its runs; None where no run has the measure.

    Times are seconds, ``throughput_per_s`` redos per second, CPU times seconds per redo. ``missed``
    are the self-checks that were not ok: (round, what the run said). ``slices`` has the values of
    each slice, in order, by measure and round, for those measures that slices have.
    ``further`` has the measures of experiments (``keys.FURTHER``) and the usage that has no field,
    by their key.
    """

    case: Case
    rounds: tuple[int, ...]
    time_per_redo_s: Estimate | None
    throughput_per_s: Estimate | None
    latency_p50_s: Estimate | None
    latency_p90_s: Estimate | None
    latency_p99_s: Estimate | None
    latency_p99_9_s: Estimate | None
    latency_max_s: Estimate | None
    cpu_total_s: Estimate | None
    cpu_manager_user_s: Estimate | None
    cpu_manager_system_s: Estimate | None
    cpu_child_user_s: Estimate | None
    cpu_child_system_s: Estimate | None
    missed: tuple[tuple[int, str], ...] = ()
    slices: Mapping[str, Mapping[int, tuple[float, ...]]] = field(default_factory=dict)
    further: Mapping[str, Estimate] = field(default_factory=dict)


MEASURES: Mapping[str, str] = {
    "time_per_redo_s": "redo_time_per_redo",
    "throughput_per_s": "redo_throughput",
    "latency_p50_s": "redo_latency_p50",
    "latency_p90_s": "redo_latency_p90",
    "latency_p99_s": "redo_latency_p99",
    "latency_p99_9_s": "redo_latency_p99_9",
    "latency_max_s": "redo_latency_max",
    "cpu_total_s": "redo_cpu_total",
    "cpu_manager_user_s": "redo_cpu_manager_user",
    "cpu_manager_system_s": "redo_cpu_manager_system",
    "cpu_child_user_s": "redo_cpu_child_user",
    "cpu_child_system_s": "redo_cpu_child_system",
}
"""Field of a row -> key of the result file."""

_FURTHER_KEYS = tuple(key.name for key in (*USAGE, *FURTHER) if key.name not in MEASURES.values())


def measure_name(measure: str) -> str:
    """What a measure (a field of a row) is called where its unit is said elsewhere, as
    ``latency-p99``: on the command line and in other tools' files."""
    return measure.removesuffix("_per_s").removesuffix("_s").replace("_", "-")


def measure_of(row: CaseRow, measure: str) -> Estimate | None:
    """The estimate of a measure (a field of a row)."""
    estimate: Estimate | None = getattr(row, measure)
    return estimate


def less_is_better(measure: str) -> bool:
    """Which way a measure (a field of a row) is better."""
    return measure != "throughput_per_s"


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one table or panel: one workload and one value of each further dimension.

    ``extra`` is the further dimensions that differ from their default, as in a case's name.
    """

    workload: str
    extra: tuple[tuple[str, str | int], ...]
    rows: tuple[CaseRow, ...]

    @property
    def title(self) -> str:
        """As ``short`` or ``short, child=python``."""
        return ", ".join((self.workload, *(f"{key}={value}" for key, value in self.extra)))

    @property
    def clients(self) -> tuple[int, ...]:
        """Every N of the group, ascending."""
        return tuple(sorted({row.case.clients for row in self.rows}))

    @property
    def managers(self) -> tuple[str, ...]:
        """Every manager of the group in the order of `manager_order`."""
        return tuple(sorted({row.case.manager for row in self.rows}, key=manager_order))

    def row(self, manager: str, clients: int) -> CaseRow | None:
        """The row of a manager at N clients, if it was measured."""
        wanted = (manager, clients)
        found = (row for row in self.rows if (row.case.manager, row.case.clients) == wanted)
        return next(found, None)


@dataclass(frozen=True, slots=True)
class Summary:
    """All that a result file says, ready to be shown.

    ``rounds`` are the rounds of any run or failed run; a case that lacks one was measured less. A
    case that only failed has a row without numbers. ``metadata`` is what all runs have in common,
    with pyperf's keys.
    """

    source: str
    environment: Environment
    rows: tuple[CaseRow, ...]
    rounds: tuple[int, ...]
    failures: tuple[FailedRun, ...]
    metadata: Mapping[str, Value]

    def without(self, cases: Collection[Case]) -> Summary:
        """The same without the rows of these cases."""
        return replace(self, rows=tuple(row for row in self.rows if row.case not in cases))

    def groups(self) -> tuple[Group, ...]:
        """The rows by workload and further dimensions: defaults first, then cheap workloads first.

        Rows are in ascending order of N and then of the manager, as `manager_order` has them.
        """
        found: dict[tuple[tuple[tuple[str, str | int], ...], str], list[CaseRow]] = {}
        for row in self.rows:
            found.setdefault((tuple(row.case.extra.items()), row.case.workload), []).append(row)
        groups = [
            Group(workload, extra, tuple(sorted(rows, key=_row_order)))
            for (extra, workload), rows in found.items()
        ]
        return tuple(sorted(groups, key=_group_order))


def load_summary(path: Path) -> Summary:
    """Read a result file. Raises ResultFileError."""
    suite = read_suite(path)
    metadata = common_metadata(suite)
    failures = failed_runs(path, metadata)
    rows = [_row(Case.parse(one.get_name()), one.get_runs()) for one in suite]
    # A case of which every run failed has no benchmark, and must not vanish for it.
    without_runs = {one.case for one in failures} - {row.case for row in rows}
    rows += [_row(case, []) for case in sorted(without_runs)]
    attempted = {number for row in rows for number in row.rounds} | {one.round for one in failures}
    return Summary(
        source=path.name,
        environment=Environment.from_metadata(metadata),
        rows=tuple(rows),
        rounds=tuple(sorted(attempted)),
        failures=failures,
        metadata=metadata,
    )


def manager_order(manager: str) -> tuple[int, str]:
    """Sort key: sync, which the others are compared with, first; the floor last; else by name."""
    return {"sync": 0, "floor": 2}.get(manager, 1), manager


def _row(case: Case, pyperf_runs: Iterable[pyperf.Run]) -> CaseRow:
    all_runs = list(pyperf_runs)
    runs: list[Mapping[str, Value]] = [run.get_metadata() for run in all_runs]
    rounds = [int(run["redo_round"]) for run in runs]

    def estimate(key: str) -> Estimate | None:
        return Estimate.of(
            (number, float(run[key]))
            for number, run in zip(rounds, runs, strict=True)
            if isinstance(run.get(key), int | float)
        )

    return CaseRow(
        case=case,
        rounds=tuple(sorted(rounds)),
        missed=tuple(
            (number, str(run["redo_self_check"]))
            for number, run in sorted(zip(rounds, runs, strict=True), key=lambda pair: pair[0])
            if run.get("redo_self_check", "ok") != "ok"
        ),
        slices={
            "time_per_redo_s": {
                number: tuple(run.values) for number, run in zip(rounds, all_runs, strict=True)
            },
            "throughput_per_s": {
                number: tuple(json.loads(str(run["redo_slice_throughputs"])))
                for number, run in zip(rounds, runs, strict=True)
                if "redo_slice_throughputs" in run
            },
        },
        further={key: one for key in _FURTHER_KEYS if (one := estimate(key)) is not None},
        **{name: estimate(key) for name, key in MEASURES.items()},
    )


def _row_order(row: CaseRow) -> tuple[int, tuple[int, str]]:
    return row.case.clients, manager_order(row.case.manager)


def _group_order(group: Group) -> tuple[tuple[tuple[str, str], ...], float, str]:
    """Cheap first is also the order of the published tables: ping, short, medium."""
    least_clients = group.clients[0]
    costs = [
        row.time_per_redo_s.median
        for row in group.rows
        if row.case.clients == least_clients and row.time_per_redo_s is not None
    ]
    extra = tuple((key, str(value)) for key, value in group.extra)
    return extra, min(costs, default=0.0), group.workload


MEASURE_NAMES: Final[Mapping[str, str]] = {measure_name(measure): measure for measure in MEASURES}
"""What users call a measure -> field of a row."""
