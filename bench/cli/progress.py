"""Progress of a suite on stderr: a bar and a table of the results so far, or lines if piped."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial

from rich import progress
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bench.cases.case import Case
from bench.cli.options import count, say
from bench.results.measures import redos
from bench.results.record import FailedRun, RunRecord
from bench.running.schedule import Plan
from bench.show import units
from bench.show.layout import bare_table

_OTHER_LINES = 6
"""Lines of the terminal that the table of results leaves free."""


class ProgressListener:
    """Shows the events of a suite on the console. A context manager: leaving it removes the bar."""

    def __init__(self, console: Console) -> None:
        self._say = partial(say, console)
        self._task = progress.TaskID(0)
        self._total = 0
        self._known = MiniTable(max(1, console.height - _OTHER_LINES))
        self._bar = progress.Progress(
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(elapsed_when_finished=True),
            progress.TextColumn("{task.description}"),
            console=console,
            auto_refresh=False,
        )
        self._live: Live | None = None  # on terminals only
        if console.is_terminal:
            # Refreshed between runs only: drawing during a run would take CPU from it.
            self._live = Live(self._bar, console=console, transient=True, auto_refresh=False)

    def suite_started(self, plan: Plan, rounds_done: int) -> None:
        cases, missing = len(plan.cases), plan.rounds - rounds_done
        self._total = cases * plan.rounds
        if self._live is not None:
            self._live.start()
            self._task = self._bar.add_task("", total=self._total, completed=cases * rounds_done)
        else:
            done = f", {rounds_done} done before" if rounds_done else ""
            self._say(f"{count(cases, 'case')}, {count(plan.rounds, 'round')}{done}")
        if missing:
            self._say(f"this takes about {_duration(cases * missing * plan.run_s)}, or longer")

    def run_started(self, case: Case, round_number: int) -> None:
        if self._live is not None:
            self._bar.update(self._task, description=f"round {round_number}: {case.name}")
            self._live.refresh()

    def run_ended(self, outcome: RunRecord | FailedRun) -> None:
        if isinstance(outcome, FailedRun):
            self._say(f"failed: {outcome.case.name} in round {outcome.round}: {outcome.reason}")
        else:
            self._known.add(outcome.case, outcome)
        if self._live is not None:
            self._bar.advance(self._task)
            self._live.update(Group(self._known.table(), self._bar), refresh=True)

    def round_saved(self, round_number: int, rounds: int, left_s: float) -> None:
        if self._live is None:
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
        if self._live is not None:
            self._bar.update(self._task, total=self._total)

    def __enter__(self) -> ProgressListener:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"


class MiniTable:
    """The median throughput of each case so far, a line for each of the newest ``lines`` curves."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._throughputs: dict[tuple[str, str], dict[int, list[float]]] = {}

    def add(self, case: Case, record: RunRecord) -> None:
        extra = ", ".join(f"{key}={value}" for key, value in case.extra.items())
        curve = case.manager, ", ".join(filter(None, (case.workload, extra)))
        by_clients = self._throughputs.pop(curve, {})
        by_clients.setdefault(case.clients, []).append(redos.throughput_per_s(record.slices))
        self._throughputs[curve] = by_clients  # now the last of the dict, as the newest curve

    def table(self) -> Table:
        shown = dict(sorted(list(self._throughputs.items())[-self._lines :]))
        clients = sorted({n for by_clients in shown.values() for n in by_clients})
        table = bare_table("redos per second so far" if shown else None)
        table.add_column("")
        for n in clients:
            table.add_column(f"N={n}", justify="right", no_wrap=True)
        for (manager, group), by_clients in shown.items():
            cells = (
                units.short_rate(statistics.median(by_clients[n])) if n in by_clients else "-"
                for n in clients
            )
            table.add_row(Text(f"{manager}, {group}"), *cells)
        return table
