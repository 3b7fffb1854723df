"""Measures two states of the code in turn: `ab` without its command line and its tables.

A *pair* is two workers, one of each side, that live at the same time and take slices in turn. Which
of them goes first is drawn for each slice, so that a disturbance of the machine hits both alike.
Each pair has new processes, since processes of the same code differ too. The pair is therefore the
unit of the statistics; it is saved as one round in the result file of each side.

Cases are measured round by round until they are decided or the time is spent. Testing the same data
again and again finds a difference sooner or later even if there is none. So a case is only decided
early if its corrected p-value is below `EARLY_ALPHA`, which hardly changes the rate of false alarms
at the end (R. Peto et al., "Design and analysis of randomized clinical trials requiring prolonged
observation of each patient", British Journal of Cancer 34 (1976), section 9; Haybittle 1971).
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from bench.cases.case import Case
from bench.cases.config import Config
from bench.errors import BenchError
from bench.interrupts import held_back
from bench.machine.machine import Machine
from bench.machine.pipes import why_they_differ
from bench.places import ROOT
from bench.results.record import FailedRun, RunRecord
from bench.results.result_file import ResultFile
from bench.results.row import pipes_of, pipes_text
from bench.results.summary import summary_of
from bench.running.equipment.equipment import Equipment, child_options
from bench.running.equipment.own import of_copy
from bench.running.processes import RunFailedError
from bench.running.run import Run, failures
from bench.running.snapshots import Snapshot, tracked
from bench.statistics.comparison import DECISIVE, MEASURES, CaseComparison, Comparison, compare
from bench.statistics.effects import Verdict

MIN_PAIRS: Final = 6
"""No case is decided with fewer."""

EARLY_ALPHA: Final = 0.001
GIVE_UP_AFTER: Final = 3
"""A case is dropped after so many failed pairs."""

SLICES: Final = 10
"""Slices of each side of a pair, whose ratio is the median of the slices' ratios: it needs many."""


@dataclass(frozen=True, slots=True)
class Side:
    """One state of the code, with its own child."""

    snapshot: Snapshot
    equipment: Equipment

    @classmethod
    def of(
        cls, snapshot: Snapshot, equipment: Equipment, config: Config, **changed: object
    ) -> Side:
        """The side of a snapshot, with children built from its own sources, and with its own copy
        of the user's managers that git tracks. Raises BenchError.

        ``changed``: arguments of `child_command`, in place of the configuration's.
        """
        sandbox = equipment.build_facts.get("c_child_sandbox") != "off"
        # A child that the user brings is the same on both sides.
        commands = dict(equipment.child_commands)
        for variant, options in child_options(config, sandbox=sandbox).items():
            commands[variant] = snapshot.child_command(**{**options, **changed})
        managers = equipment.own_managers
        in_checkout = [name for name, own in managers.items() if tracked(ROOT, own.file)]
        try:
            managers = of_copy(
                managers, config, equipment.interpreters, snapshot.folder, in_checkout
            )
        except BenchError as error:
            raise BenchError(f"{snapshot}: {error}") from error
        own = replace(equipment, child_commands=commands, own_managers=managers)
        return cls(snapshot, own)


Pair = tuple[RunRecord, RunRecord]


def measure_pair(
    case: Case, number: int, config: Config, sides: tuple[Side, Side], order: random.Random
) -> Pair:
    """One pair of processes: as many slices of each as the configuration says, in turn.

    Raises RunFailedError; its text names the side that failed. Raises BenchError if the kernel
    granted the sides pipes of different sizes: those would be compared, and not the code.
    """
    with contextlib.ExitStack() as stack:
        runs: list[Run] = []
        for side in sides:
            with failures(f"{side.snapshot}: "):
                run = Run(case, number, config, side.equipment, program=side.snapshot.worker)
            runs.append(stack.enter_context(run))
        # Both sides get slices of the same length, that of the slower one: their ratios are paired.
        slice_s = 0.0
        for run, side in zip(runs, sides, strict=True):
            with failures(f"{side.snapshot}: "):
                slice_s = max(slice_s, run.warm_up(config))
        for _ in range(config.slices):
            for at in order.sample((0, 1), 2):
                with failures(f"{sides[at].snapshot}: "):
                    runs[at].slice(slice_s)
        records = []
        for run, side in zip(runs, sides, strict=True):
            with failures(f"{side.snapshot}: "):
                records.append(run.end())
    _check_pipes(*records)
    return records[0], records[1]


def _check_pipes(base: RunRecord, changed: RunRecord) -> None:
    """Raises BenchError. The code of some commits does not tell the sizes."""
    sizes = [pipes_of(record.worker_metadata) for record in (base, changed)]
    if None not in sizes and sizes[0] != sizes[1]:
        of_base, of_changed = (pipes_text([size]) for size in sizes if size is not None)
        raise BenchError(
            f"base has pipes of {of_base} bytes, changed of {of_changed}:"
            f" {why_they_differ(Machine.here())}"
        )


class Store(Protocol):
    """Keeps pairs, and compares those it has so far."""

    def add(self, pair: Pair) -> None: ...
    def add_failure(self, failure: FailedRun) -> None: ...
    def save(self) -> None: ...
    def compared(self) -> Sequence[CaseComparison]: ...


def measure(
    cases: Sequence[Case],
    run_pair: Callable[[Case, int], Pair],
    store: Store,
    *,
    seconds: float,
    now_s: Callable[[], float],
    order: random.Random,
    report_round: Callable[[int, int, float], None],
    report_pair: Callable[[Case, int, float], None] = lambda *_: None,
) -> None:
    """Measures pairs of all cases until each is decided or the seconds are spent.

    After the first round none starts that would end too late, judged by the longest before it.
    ``report_round`` gets the number of the round, of the undecided cases and of the seconds left;
    ``report_pair`` before each pair its case, its number from 0 on, and the seconds left.
    """
    began_s = now_s()

    def left_s() -> float:
        return max(0.0, began_s + seconds - now_s())

    longest_s = 0.0
    failed = dict.fromkeys(cases, 0)
    undecided = list(cases)
    number = 0
    while undecided:
        round_began_s = now_s()
        if number and round_began_s + longest_s > began_s + seconds:
            break
        for case in order.sample(undecided, len(undecided)):
            report_pair(case, number, left_s())
            try:
                pair = run_pair(case, number)
            except RunFailedError as error:
                failed[case] += 1
                store.add_failure(FailedRun(case, number, str(error)))
            else:
                store.add(pair)
        store.save()
        number += 1
        longest_s = max(longest_s, now_s() - round_began_s)
        decided = {case for case, count in failed.items() if count >= GIVE_UP_AFTER}
        if number >= MIN_PAIRS:
            decided |= {each.case for each in store.compared() if is_decided(each)}
        undecided = [case for case in undecided if case not in decided]
        report_round(number, len(undecided), left_s())


def is_decided(comparison: CaseComparison) -> bool:
    """Whether more pairs of the case would most likely change nothing."""
    decisive = comparison.measures.get(DECISIVE)
    if decisive is None or decisive.p_corrected is None:
        return False
    differs = decisive.verdict in (Verdict.FASTER, Verdict.SLOWER)
    return decisive.verdict is Verdict.SAME or (differs and decisive.p_corrected <= EARLY_ALPHA)


@dataclass(frozen=True, slots=True)
class PairFiles:
    """The result files of both sides, from which the comparison is read."""

    base: ResultFile
    changed: ResultFile
    margin: float

    def add(self, pair: Pair) -> None:
        self.base.add(pair[0])
        self.changed.add(pair[1])

    def add_failure(self, failure: FailedRun) -> None:
        self.changed.add_failure(failure)

    def save(self) -> None:
        # An interruption between the two files would leave one with a round more.
        with held_back():
            for file in (self.base, self.changed):
                if file.run_count:
                    file.save()

    def compared(self) -> Sequence[CaseComparison]:
        return self.comparison().cases if self.base.run_count else ()

    def comparison(self, measures: Iterable[str] = MEASURES) -> Comparison:
        """For files that have runs. ``measures``: fields of a row."""
        summaries = (summary_of(file.path, file.suite()) for file in (self.base, self.changed))
        return compare(*summaries, margin=self.margin, measures=measures)
