"""Two states of the code measured in turn: what `ab` does between its command line and its tables.

A *pair* is two workers, one of each side, alive side by side: they take slices in turn, which of
the two first is drawn each time, so that what disturbs the machine disturbs both. What differs from
process to process is sampled by starting new ones for each pair. So the pair is the unit of the
statistics, saved as one round in the result file of each side.

Cases are measured round by round until they are decided or the time is spent. To look at data again
and again finds something sooner or later where there is nothing: a case is only decided early if
its corrected p-value is below `EARLY_ALPHA`, which leaves the false alarms at the end nearly as
they were (R. Peto et al., "Design and analysis of randomized clinical trials requiring prolonged
observation of each patient", British Journal of Cancer 34 (1976), section 9; Haybittle 1971).
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from bench.cases.case import Case
from bench.cases.config import Config
from bench.cases.cost import ChildCost
from bench.cases.names import NO_FAULT
from bench.cases.own import is_own_child
from bench.interrupts import held_back
from bench.results.record import FailedRun, RunRecord
from bench.results.result_file import ResultFile
from bench.results.summary import load_summary
from bench.running.equipment.equipment import Equipment
from bench.running.processes import RunFailedError
from bench.running.run import Run, failures, worker_spec
from bench.running.snapshots import Snapshot
from bench.running.worker_process import WorkerProcess
from bench.statistics.comparison import DECISIVE, CaseComparison, compare
from bench.statistics.effects import Verdict

MIN_PAIRS: Final = 6
"""Before that no case is decided."""

EARLY_ALPHA: Final = 0.001
GIVE_UP_AFTER: Final = 3
"""Failed pairs after which a case is measured no more."""


@dataclass(frozen=True, slots=True)
class Side:
    """One state of the code, with its own child."""

    snapshot: Snapshot
    equipment: Equipment

    @classmethod
    def of(
        cls, snapshot: Snapshot, equipment: Equipment, config: Config, **child_options: object
    ) -> Side:
        """``child_options``: of `child_command`, beside or in place of the configuration's.

        Raises BenchError.
        """
        options: dict[str, object] = {
            **ChildCost.parse(config.child.cost).child_options(),
            "fault": None if config.child.fault == NO_FAULT else config.child.fault,
            "sandbox": equipment.build_facts.get("c_child_sandbox") != "off",
            **child_options,
        }
        commands = {
            kind: snapshot.child_command(kind=kind, **options)
            for kind in config.child.kind
            if not is_own_child(kind)
        }
        commands = {**equipment.child_commands, **commands}  # those of the user's are the same
        return cls(snapshot, replace(equipment, child_commands=commands))


Pair = tuple[RunRecord, RunRecord]


def measure_pair(
    case: Case, number: int, config: Config, sides: tuple[Side, Side], order: random.Random
) -> Pair:
    """One pair of processes: as many slices of each as the configuration says, in turn.

    Raises RunFailedError; its text tells which side failed.
    """
    with contextlib.ExitStack() as stack:
        runs: list[Run] = []
        for side in sides:
            with _of(side):
                spec = worker_spec(case, number, config, side.equipment)
                python = side.equipment.interpreters[case.python].program
                worker = WorkerProcess(spec, config.run_timeout_s, python, side.snapshot.worker)
            stack.enter_context(worker)
            runs.append(Run(case, number, worker, spec))
        slice_s = 0.0
        for run, side in zip(runs, sides, strict=True):
            with _of(side):
                slice_s = max(slice_s, run.warm_up(config))
        for _ in range(config.slices):
            for at in order.sample((0, 1), 2):
                with _of(sides[at]):
                    runs[at].slice(slice_s)
        records = []
        for run, side in zip(runs, sides, strict=True):
            with _of(side):
                records.append(run.end())
    return records[0], records[1]


@contextlib.contextmanager
def _of(side: Side) -> Iterator[None]:
    """What fails meanwhile is this side's."""
    try:
        with failures():
            yield
    except RunFailedError as error:
        raise RunFailedError(f"{side.snapshot}: {error}") from error


class Store(Protocol):
    """Where pairs go, and what they say so far."""

    def add(self, pair: Pair) -> None: ...

    def add_failure(self, failure: FailedRun) -> None: ...

    def save(self) -> None: ...

    def compared(self) -> Sequence[CaseComparison]: ...


def measure(
    cases: Sequence[Case],
    measure_one: Callable[[Case, int], Pair],
    store: Store,
    *,
    seconds: float,
    now_s: Callable[[], float],
    order: random.Random,
    told: Callable[[int, int, float], None],
) -> None:
    """Measures pairs of all cases until each is decided or the seconds are spent.

    At least `MIN_PAIRS` rounds are done if they can be, then no round starts that would end too
    late, judged by the longest before it. ``told``: after each round its number, how many cases are
    undecided and the seconds left.
    """
    began_s = now_s()
    longest_s = 0.0
    failed = dict.fromkeys(cases, 0)
    undecided = list(cases)
    number = 0
    while undecided:
        round_began_s = now_s()
        if number and round_began_s + longest_s > began_s + seconds:
            break
        for case in order.sample(undecided, len(undecided)):
            try:
                pair = measure_one(case, number)
            except RunFailedError as error:
                failed[case] += 1
                store.add_failure(FailedRun(case, number, str(error)))
            else:
                store.add(pair)
        store.save()
        number += 1
        longest_s = max(longest_s, (now_s() - round_began_s))
        decided = {case for case, count in failed.items() if count >= GIVE_UP_AFTER}
        if number >= MIN_PAIRS:
            decided |= {one.case for one in store.compared() if is_decided(one)}
        undecided = [case for case in undecided if case not in decided]
        told(number, len(undecided), max(0.0, began_s + seconds - now_s()))


def is_decided(one: CaseComparison) -> bool:
    """Whether more pairs would only say the same."""
    decisive = one.measures.get(DECISIVE)
    if decisive is None or decisive.p_corrected is None:
        return False
    if decisive.verdict is Verdict.SAME:
        return True
    differs = decisive.verdict in (Verdict.FASTER, Verdict.SLOWER)
    return differs and decisive.p_corrected <= EARLY_ALPHA


SLICES = 10
"""Of each side of a pair, which needs many: its ratio is the median of those of its slices."""


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
