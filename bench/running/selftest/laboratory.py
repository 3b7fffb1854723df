"""The trials of `selftest`: the working tree against itself, with a child for each side."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from bench.cases.case import Case
from bench.cases.config import Config, override
from bench.cases.managers.floor import FLOOR
from bench.cases.placement import ANY
from bench.results.environment import Environment
from bench.results.result_file import ResultFile
from bench.results.row import CaseRow, Estimate
from bench.results.summary import Summary, summary_of
from bench.running import ab
from bench.running.ab import PairFiles, Side
from bench.running.equipment.equipment import Equipment
from bench.running.run import measure_run
from bench.running.selftest import tallies
from bench.running.selftest.tallies import DECIDED_S, Report
from bench.running.snapshots import Snapshot
from bench.statistics.comparison import DECISIVE, MARGIN, compare, pair_ratios

SHORT_RUNS: Final = {"slices": 7, "seconds": 0.105, "warmup_s": 0.02}
"""There are many trials, so their runs are short. ``seconds``: of all slices together."""

PAIRS: Final = ab.MIN_PAIRS
PAIRS_OF_SLOWER: Final = 24
JUDGED_AT: Final = (6, 12, 24)
SHARES: Final = (0.03, 0.05, 0.10)
SAME_S: Final = 45.0
"""The time for `ab` over the whole matrix: its smallest number of pairs takes about 30 s."""

ROUNDS_OF_FILE: Final = 7
"""As many as the default profile has."""


class Laboratory:
    """Measures trials, one after another. Their result files in ``folder`` overwrite each other."""

    def __init__(
        self,
        config: Config,
        snapshot: Snapshot,
        equipment: Equipment,
        environment: Environment,
        folder: Path,
    ) -> None:
        self._config = config
        self._short = override(config, **SHORT_RUNS)
        self._snapshot = snapshot
        self._equipment = equipment
        self._environment = replace(environment, ab="selftest")
        self._folder = folder
        self._order = random.Random(config.seed)
        self._page_to_page_s: dict[Case, float] = {}
        self._trials = 0
        self._files: list[Summary] = []

    def same(self, report: Report, cases: Sequence[Case]) -> None:
        """All cases with nothing changed, until `ab` has decided them or its time is spent."""
        report.add_same(self._as_ab(cases, self._sides(), self._short, SAME_S).compared())

    def slower(self, report: Report, share: float) -> None:
        """One case with a child that costs more by that share of a redo."""
        case = self._next_case()
        rows = self._rows(case, self._slowed(case, share), PAIRS_OF_SLOWER)
        ratios = pair_ratios(DECISIVE, *rows)
        report.add_slower(f"+{share:.0%}", list(ratios.values()), JUDGED_AT)

    def decided(self, report: Report) -> None:
        """One case with a slower child, measured as `ab` does with a minute to spend."""
        case = self._next_case()
        sides = self._slowed(case, tallies.DECIDED_SHARE)
        files = self._as_ab([case], sides, self._config, DECIDED_S)
        report.add_decided(tallies.DECIDED, files.compared()[0])

    def files(self, report: Report, cases: Sequence[Case]) -> None:
        """A whole result file, as `run` makes it, and compared with the one before it if that has
        not been compared yet. Unlike pairs, files are measured where the system puts processes."""
        path = self._folder / f"whole-{len(self._files)}.json"
        file = ResultFile(path, replace(self._environment, ab=None))
        for number in range(1, ROUNDS_OF_FILE + 1):
            for case in self._order.sample(cases, len(cases)):
                case = replace(case, placement=ANY)
                file.add(measure_run(case, number, self._short, self._equipment))
        self._files.append(summary_of(file.path, file.suite()))
        if len(self._files) % 2 == 0:
            _compare_files(report, self._files[-2], self._files[-1], tallies.MINUTES_APART)

    def files_apart(self, report: Report) -> None:
        """Compares each file of the first half of the time with one of the second."""
        half = len(self._files) // 2
        for base, changed in zip(self._files[:half], self._files[-half:], strict=True):
            _compare_files(report, base, changed, tallies.HALF_APART)

    def late(self, report: Report) -> None:
        """One client with a child that is sometimes late."""
        case = replace(self._next_case(), clients=1)
        files = self._pairs(case, self._sides(fault=tallies.LATE), PAIRS)
        report.add_late(files.compared()[0])

    def floor(self, report: Report) -> None:
        """The floor with a child that is always late."""
        case = replace(self._next_case(), manager="floor", clients=1)
        report.add_floor(*self._values(case, self._sides(fault=tallies.LATE_ALWAYS)))

    def _next_case(self) -> Case:
        self._trials += 1
        manager = ("sync", "async")[self._trials % 2]
        return Case(manager, "short", 8, placement=self._config.placement[0])

    def _slowed(self, case: Case, share: float) -> tuple[Side, Side]:
        """Two sides, of which the changed one has a child that is slower by that share.

        It is a share of the time from page to page, which is the time per redo divided by N.
        """
        if case not in self._page_to_page_s:
            base_s, changed_s = self._values(case, self._sides())
            self._page_to_page_s[case] = statistics.median([*base_s, *changed_s]) / case.clients
        return self._sides(cost_per_request_us=self._page_to_page_s[case] * share * 1e6)

    def _sides(self, **changed: object) -> tuple[Side, Side]:
        return (
            Side.of(self._snapshot, self._equipment, self._config),
            Side.of(self._snapshot, self._equipment, self._config, **changed),
        )

    def _values(self, case: Case, sides: tuple[Side, Side]) -> tuple[list[float], list[float]]:
        """The time per redo of each pair, of both sides."""
        estimates = [getattr(row, DECISIVE).by_round for row in self._rows(case, sides, PAIRS)]
        base_s, changed_s = ([value for _, value in sorted(by_round)] for by_round in estimates)
        return base_s, changed_s

    def _rows(self, case: Case, sides: tuple[Side, Side], pairs: int) -> list[CaseRow]:
        """The row of each side, after so many pairs."""
        files = self._pairs(case, sides, pairs)
        return [summary_of(file.path, file.suite()).rows[0] for file in (files.base, files.changed)]

    def _pairs(self, case: Case, sides: tuple[Side, Side], pairs: int) -> PairFiles:
        files = self._new_files()
        for number in range(pairs):
            files.add(ab.measure_pair(case, number, self._short, sides, self._order))
        files.save()
        return files

    def _as_ab(
        self, cases: Sequence[Case], sides: tuple[Side, Side], config: Config, seconds: float
    ) -> PairFiles:
        """As many pairs as `ab` takes in that time."""
        files = self._new_files()
        ab.measure(
            cases,
            partial(ab.measure_pair, config=config, sides=sides, order=self._order),
            files,
            seconds=seconds,
            now_s=time.monotonic,
            order=self._order,
            report_round=lambda *_: None,
        )
        return files

    def _new_files(self) -> PairFiles:
        base, changed = (
            ResultFile(self._folder / f"trial-{side}.json", self._environment, overwrite=True)
            for side in ("base", "changed")
        )
        return PairFiles(base, changed, MARGIN)


def _compare_files(report: Report, base: Summary, changed: Summary, when: str) -> None:
    """Two files of the same code; then with a change of a size that is exactly known: the times of
    the changed file's managers, multiplied."""
    report.add_files(compare(base, changed, margin=MARGIN), 0.0, when)
    share = tallies.SHARE_OF_FILES
    report.add_files(compare(base, _slower(changed, 1 + share), margin=MARGIN), share, when)


def _slower(summary: Summary, factor: float) -> Summary:
    """The same with the time per redo of all managers multiplied. The floor stays as it is."""

    def slower(row: CaseRow) -> CaseRow:
        if row.case.kind is FLOOR or row.time_per_redo_s is None:
            return row
        by_round = [(number, value * factor) for number, value in row.time_per_redo_s.by_round]
        return replace(row, time_per_redo_s=Estimate.of(by_round))

    return replace(summary, rows=tuple(map(slower, summary.rows)))
