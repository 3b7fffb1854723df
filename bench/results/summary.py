"""From a result file to the numbers that tables and figures show: one row per case.

A run is the unit: each measure of a case is the median over its runs, with the spread between the
runs beside it. What runs of one process have in common (the layout of its memory, the CPU it was
put on) makes its samples depend on each other, so a spread of pooled samples would say too little.
Rows are plain data; nothing here draws, prints or knows a live object.
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
from bench.results.record import FailedRun
from bench.results.result_file import common_metadata, failed_runs
from bench.results.row import (
    MEASURE_NAMES,
    MEASURES,
    QUARTILES_FROM,
    CaseRow,
    Estimate,
    Measure,
    less_is_better,
    measure_name,
    measure_of,
    paired_ratio,
)
from bench.results.suite_file import read_suite

__all__ = [
    "MEASURES",
    "MEASURE_NAMES",
    "QUARTILES_FROM",
    "CaseRow",
    "Estimate",
    "Group",
    "Measure",
    "Summary",
    "less_is_better",
    "load_summary",
    "manager_order",
    "measure_name",
    "measure_of",
    "paired_ratio",
    "summary_of",
]

_OF_ROWS = frozenset(measure.key.name for measure in MEASURES.values())
_FURTHER_KEYS = tuple(key.name for key in (*USAGE, *FURTHER) if key.name not in _OF_ROWS)


@dataclass(frozen=True, eq=False)
class Group:
    """The rows of one table or panel: one workload and one value of each further dimension.

    Groups are compared by identity, so that what is computed of one can be kept (`lru_cache`).

    ``extra`` is the further dimensions that differ from their default, as in a case's name.
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
        if not cases:
            return self
        return replace(self, rows=tuple(row for row in self.rows if row.case not in cases))

    def groups(self) -> tuple[Group, ...]:
        """The rows by workload and further dimensions: defaults first, then cheap workloads first.

        Rows are in ascending order of N and then of the manager, as `manager_order` has them. Each
        call gives the same objects.
        """
        return self._groups

    @cached_property
    def _groups(self) -> tuple[Group, ...]:
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
    return summary_of(path, read_suite(path))


def summary_of(path: Path, suite: pyperf.BenchmarkSuite) -> Summary:
    """The summary of a suite that was read from that file, or is to be saved there. Raises
    ResultFileError."""
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
        **{name: estimate(measure.key.name) for name, measure in MEASURES.items()},
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
