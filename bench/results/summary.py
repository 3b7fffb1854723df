"""A result file as the numbers that tables and figures show: one row per case.

A run is the unit: each measure of a case is the median over its runs, with the spread between the
runs beside it. The samples of one process depend on each other (they share its memory layout and
its CPU), so the spread of pooled samples would be too narrow. Rows are plain data.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pyperf

from bench.cases.case import Case
from bench.results.environment import Environment
from bench.results.key import Value
from bench.results.keys import FURTHER, USAGE
from bench.results.record import DroppedRound, FailedRun, Session
from bench.results.row import MEASURE_NAMES as MEASURE_NAMES
from bench.results.row import MEASURES as MEASURES
from bench.results.row import QUARTILES_FROM as QUARTILES_FROM
from bench.results.row import CaseRow as CaseRow
from bench.results.row import Estimate as Estimate
from bench.results.row import less_is_better as less_is_better
from bench.results.row import measure_name as measure_name
from bench.results.row import measure_of as measure_of
from bench.results.row import paired_ratio as paired_ratio
from bench.results.row import pipes_of
from bench.results.suite_file import (
    dropped_cases,
    dropped_rounds,
    failed_runs,
    read_suite,
    sessions,
)

_WITH_FIELDS = frozenset(measure.key.name for measure in MEASURES.values())
_FURTHER_KEYS = tuple(key.name for key in (*USAGE, *FURTHER) if key.name not in _WITH_FIELDS)


@dataclass(frozen=True, eq=False)
class Group:
    """The rows of one table or panel: one workload and one value of each further dimension.

    ``extra`` is the further dimensions that differ from their default, as in a case's name. Groups
    are compared by identity, so that `lru_cache` can keep what was computed of one.
    """

    workload: str
    extra: tuple[tuple[str, str | int], ...]
    rows: tuple[CaseRow, ...]

    @property
    def title(self) -> str:
        """As ``short`` or ``short, child=python``."""
        return ", ".join((self.workload, *(f"{key}={value}" for key, value in self.extra)))

    @cached_property
    def clients(self) -> tuple[int, ...]:
        """Every N of the group, ascending."""
        return tuple(sorted({row.case.clients for row in self.rows}))

    @cached_property
    def managers(self) -> tuple[str, ...]:
        """Every manager of the group in the order of `manager_order`."""
        return tuple(sorted({row.case.manager for row in self.rows}, key=manager_order))

    def row(self, manager: str, clients: int) -> CaseRow | None:
        """The row of a manager at N clients, if it was measured."""
        return self._by_name.get((manager, clients))

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, int], CaseRow]:
        return {(row.case.manager, row.case.clients): row for row in reversed(self.rows)}


@dataclass(frozen=True)
class Summary:
    """The whole content of a result file.

    ``rounds`` are those of all runs and failed runs; a case that lacks one was measured less. A
    case that only failed has a row without numbers. ``metadata`` is what all runs have in common,
    under pyperf's keys. ``dropped_cases`` have no rows: there was no time for them.
    ``dropped_rounds`` were disturbed and measured again. ``sessions`` are those of
    several files that were combined; empty for one file.
    """

    source: str
    environment: Environment
    rows: tuple[CaseRow, ...]
    rounds: tuple[int, ...]
    failures: tuple[FailedRun, ...]
    metadata: Mapping[str, Value]
    dropped_cases: tuple[Case, ...] = ()
    dropped_rounds: tuple[DroppedRound, ...] = ()
    sessions: tuple[Session, ...] = ()

    def without(self, cases: Collection[Case]) -> Summary:
        """The same without the rows of these cases."""
        if not cases:
            return self
        return replace(self, rows=tuple(row for row in self.rows if row.case not in cases))

    @cached_property
    def managers(self) -> tuple[str, ...]:
        """Every manager in the order of `manager_order`."""
        return tuple(sorted({row.case.manager for row in self.rows}, key=manager_order))

    def groups(self) -> tuple[Group, ...]:
        """The rows by workload and further dimensions: defaults first, then cheap workloads first.

        Rows are in ascending order of N, then in `manager_order`. Each call gives the same objects.
        """
        return self._groups

    @cached_property
    def _groups(self) -> tuple[Group, ...]:
        found: dict[tuple[tuple[tuple[str, str | int], ...], str], list[CaseRow]] = {}
        for row in self.rows:
            found.setdefault((tuple(row.case.extra.items()), row.case.workload), []).append(row)
        groups = []
        for (extra, workload), rows in found.items():
            rows.sort(key=lambda row: (row.case.clients, manager_order(row.case.manager)))
            groups.append(Group(workload, extra, tuple(rows)))
        return tuple(sorted(groups, key=_group_order))


def load_summary(path: Path) -> Summary:
    """Reads a result file. Raises ResultFileError."""
    return summary_of(path, read_suite(path))


def summary_of(path: Path, suite: pyperf.BenchmarkSuite) -> Summary:
    """The summary of a suite that is or will be in that file. Raises ResultFileError."""
    metadata: Mapping[str, Value] = suite.get_metadata()
    combined = sessions(path, metadata)
    failures = failed_runs(path, metadata)
    rows = [_row(Case.parse(benchmark.get_name()), benchmark.get_runs()) for benchmark in suite]
    # A case of which every run failed has no benchmark, but must still be shown.
    without_runs = {failed.case for failed in failures} - {row.case for row in rows}
    rows += [_row(case, []) for case in sorted(without_runs)]
    attempted = {number for row in rows for number in row.rounds}
    attempted |= {failed.round for failed in failures}
    return Summary(
        source=" + ".join(session.file for session in combined) or path.name,
        environment=Environment.from_metadata(metadata),
        rows=tuple(rows),
        rounds=tuple(sorted(attempted)),
        failures=failures,
        metadata=metadata,
        dropped_cases=dropped_cases(path, metadata),
        dropped_rounds=dropped_rounds(path, metadata),
        sessions=combined,
    )


def manager_order(manager: str) -> tuple[int, str]:
    """Sort key: sync, the base of comparisons, first; the floor last; the others by name."""
    return {"sync": 0, "floor": 2}.get(manager, 1), manager


def _row(case: Case, pyperf_runs: Iterable[pyperf.Run]) -> CaseRow:
    values: dict[int, tuple[float, ...]] = {}
    runs: dict[int, Mapping[str, Value]] = {}
    for run in pyperf_runs:
        metadata = run.get_metadata()
        number = int(metadata["redo_round"])
        values[number], runs[number] = tuple(run.values), metadata

    def estimate(key: str) -> Estimate | None:
        return Estimate.of(
            (number, float(value))
            for number, run in runs.items()
            if isinstance(value := run.get(key), int | float)
        )

    further = [key for key in _FURTHER_KEYS if any(key in run for run in runs.values())]
    return CaseRow(
        case=case,
        rounds=tuple(sorted(runs)),
        missed=tuple(
            (number, str(run["redo_self_check"]))
            for number, run in sorted(runs.items())
            if run.get("redo_self_check", "ok") != "ok"
        ),
        slices={
            "time_per_redo_s": values,
            "throughput_per_s": {
                number: tuple(json.loads(str(run["redo_slice_throughputs"])))
                for number, run in runs.items()
                if "redo_slice_throughputs" in run
            },
        },
        further={key: found for key in further if (found := estimate(key)) is not None},
        pipe_bytes={n: sizes for n, run in runs.items() if (sizes := pipes_of(run)) is not None},
        **{name: estimate(measure.key.name) for name, measure in MEASURES.items()},
    )


def _group_order(group: Group) -> tuple[tuple[tuple[str, str], ...], float, str]:
    """Cheap first is also the order of the published tables: ping, short, medium."""
    costs = [
        row.time_per_redo_s.median
        for row in group.rows
        if row.case.clients == group.clients[0] and row.time_per_redo_s is not None
    ]
    extra = tuple((key, str(value)) for key, value in group.extra)
    return extra, min(costs, default=0.0), group.workload
