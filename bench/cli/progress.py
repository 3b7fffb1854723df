"""Progress on stderr: one line on a terminal, or a line per round where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Final, Self

from rich import progress
from rich.console import Console
from rich.table import Column

from bench.cases.case import Case, is_closed_loop
from bench.cases.managers.registry import is_rival
from bench.cases.names import BASE
from bench.cli.options import count, say
from bench.results.measures import redos
from bench.results.record import FailedRun, RunRecord
from bench.running.schedule import Plan
from bench.show import units
from bench.statistics import effects

_WIDE: Final = 100
"""Columns of a terminal that has room for the bar."""

_MIN_ROUNDS: Final = 2
"""A ratio of fewer has no confidence interval."""


class StatusLine:
    """One line on a terminal: a bar, the time left, and what is going on. Elsewhere nothing.

    It is drawn when it is told to be and when something else is printed, and at no other time:
    drawing during a run would take CPU from what is measured. A context manager: leaving it removes
    the line.
    """

    def __init__(self, console: Console, *columns: progress.ProgressColumn) -> None:
        self.is_shown = console.is_terminal
        the_rest = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        bar = [progress.BarColumn(bar_width=10)] if console.width >= _WIDE else []
        self._line = progress.Progress(
            *bar,
            *columns,
            progress.TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            progress.TextColumn("{task.description}", markup=False, table_column=the_rest),
            console=console,
            auto_refresh=False,
            transient=True,
            expand=True,
        )
        self._task: progress.TaskID | None = None

    def begin(self, total: float, done: int = 0) -> None:
        """Shows it from now on."""
        if self.is_shown:
            self._task = self._line.add_task("", total=total, completed=done)
            self._line.start()

    def update(self, *, total: float | None = None, done: float | None = None) -> None:
        """What the next drawing shows."""
        if self._task is not None:
            self._line.update(self._task, total=total, completed=done)

    def draw(self, text: str) -> None:
        """Draws it with that text."""
        if self._task is not None:
            self._line.update(self._task, description=text)
            self._line.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._line.stop()


class ProgressListener(StatusLine):
    """Shows the events of a suite on the console."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, progress.MofNCompleteColumn())
        self._say = partial(say, console)
        self._known = Known()
        self._rounds = self._total = self._done = 0

    def suite_started(self, plan: Plan, rounds_done: int) -> None:
        cases, missing = len(plan.cases), plan.rounds - rounds_done
        self._rounds = plan.rounds
        self._total, self._done = cases * plan.rounds, cases * rounds_done
        self.begin(self._total, self._done)
        if not self.is_shown:
            done = f", {rounds_done} done before" if rounds_done else ""
            self._say(f"{count(cases, 'case')}, {count(plan.rounds, 'round')}{done}")
        if missing:
            self._say(f"this takes about {_duration(cases * missing * plan.run_s)}, or longer")

    def run_started(self, case: Case, round_number: int) -> None:
        known = f"; {self._known.text}" if self._known.text else ""
        self.draw(f"round {round_number}/{self._rounds} {case.name}{known}")

    def run_ended(self, outcome: RunRecord | FailedRun) -> None:
        self._done += 1
        self.update(done=self._done)
        if isinstance(outcome, FailedRun):
            self._say(f"failed: {outcome.case.name} in round {outcome.round}: {outcome.reason}")
        else:
            self._known.add(outcome)

    def round_saved(self, round_number: int, rounds: int, left_s: float) -> None:
        if not self.is_shown:
            left = f", about {_duration(left_s)} left" if left_s else ""
            self._say(f"round {round_number} of {rounds} saved{left}")

    def budget_spent(self, rounds_done: int, rounds: int, budget_s: float) -> None:
        self._say(
            f"stopped after {rounds_done} of {rounds} rounds: the next would go beyond the time"
            f" budget of {budget_s:g} s (--budget-s)"
        )

    def cases_dropped(self, cases: Sequence[Case], rounds_left: int, budget_s: float) -> None:
        self._say(
            "dropped, as all rounds of all cases would go beyond the time budget of"
            f" {budget_s:g} s (--budget-s): {', '.join(case.name for case in cases)}"
        )
        self._extend(-len(cases) * rounds_left)

    def repeat_started(self, round_number: int, runs: int, shares: Sequence[float]) -> None:
        self._say(
            f"round {round_number} is measured again: {len(shares)} of {count(runs, 'run')}"
            f" disturbed, others took up to {max(shares) * 100:.0f} % of the CPUs"
        )
        self._extend(runs)

    def repeat_ended(self, round_number: int, *, is_better: bool) -> None:
        if not is_better:
            self._say(f"round {round_number} stays as it was: its repeat was no better")

    def _extend(self, runs: int) -> None:
        self._total += runs
        self.update(total=self._total)


class PairListener(StatusLine):
    """Shows the events of `ab` on the console. ``seconds``: how long it measures at most."""

    def __init__(self, console: Console, cases: int, seconds: float) -> None:
        super().__init__(console)
        self._say = partial(say, console)
        self._cases = self._undecided = cases
        self._seconds = seconds
        self.begin(seconds)

    def pair_started(self, case: Case, number: int, left_s: float) -> None:
        self.update(done=self._seconds - left_s)
        self.draw(
            f"pair {number + 1} of {case.name}; {self._undecided} of"
            f" {count(self._cases, 'case')} undecided"
        )

    def round_saved(self, number: int, undecided: int, left_s: float) -> None:
        self._undecided = undecided
        if not self.is_shown:
            self._say(f"pair {number} of each saved, {undecided} undecided, {left_s:.0f} s left")


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"


class Known:
    """What is known so far, in few words: how a manager compares with sync at the greatest N, once
    there are rounds enough, and before that the time per redo of the last run."""

    def __init__(self) -> None:
        self.text = ""
        self._has_ratio = False
        self._rival = ""
        self._per_s: dict[Case, dict[int, float]] = {}

    def add(self, record: RunRecord) -> None:
        """Takes the throughput of a run; of a round that is measured again the last one counts."""
        case = record.case
        per_s = redos.throughput_per_s(record.slices)
        self._per_s.setdefault(case, {})[record.round] = per_s
        if is_rival(case.manager):
            self._rival = case.manager
        if ratio := self._ratio(replace(case, manager=self._rival or case.manager)):
            self.text, self._has_ratio = ratio, True
        elif case.redoes and not self._has_ratio:
            time_s = redos.time_per_redo_s(record.slices)
            self.text = f"{case.name}: {units.seconds(time_s)} per redo"

    def _ratio(self, case: Case) -> str | None:
        """Its throughput as a ratio to sync's, at the greatest N where that is known; None if it is
        known at no N yet."""
        if not (is_rival(case.manager) and is_closed_loop(case)):
            return None
        for n in sorted({other.clients for other in self._per_s}, reverse=True):
            own = self._per_s.get(replace(case, clients=n), {})
            base = self._per_s.get(replace(case, clients=n, manager=BASE), {})
            pairs = [own[number] / base[number] for number in own.keys() & base.keys()]
            if len(pairs) < _MIN_ROUNDS:
                continue
            effect = effects.ratios_effect(pairs)
            bounds = f"(95 % CI: {effect.low:.2f} to {effect.high:.2f})"
            extra = (f"{key}={value}" for key, value in case.extra.items())
            where = ", ".join((case.workload, f"N={n}", *extra))
            return f"{case.manager}/{BASE} {effect.ratio:.2f} {bounds} in throughput, {where}"
        return None
