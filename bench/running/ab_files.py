"""Where the pairs of an A/B measurement are kept: one result file of each side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.interrupts import held_back
from bench.results.record import FailedRun
from bench.results.result_file import ResultFile
from bench.results.summary import load_summary
from bench.running.ab import Pair
from bench.statistics.comparison import CaseComparison, compare


@dataclass(frozen=True, slots=True)
class PairFiles:
    """The result files of both sides; what is said so far is read from them."""

    base: ResultFile
    changed: ResultFile
    margin: float

    def add(self, pair: Pair) -> None:
        self.base.add(pair[0])
        self.changed.add(pair[1])

    def add_failure(self, failure: FailedRun) -> None:
        self.changed.add_failure(failure)

    def save(self) -> None:
        with held_back():
            for file in (self.base, self.changed):
                if file.run_count:
                    file.save()

    def compared(self) -> Sequence[CaseComparison]:
        if not self.base.run_count:
            return ()
        summaries = (load_summary(file.path) for file in (self.base, self.changed))
        return compare(*summaries, margin=self.margin).cases
