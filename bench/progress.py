"""A suite's progress on stderr: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from bench.cases import Case
from bench.records import FailedRun


class ProgressListener:
    """Shows a suite's events on the console. A context manager: leaving it takes the bar down."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._task = TaskID(0)
        if console.is_terminal:
            self._bar = Progress(
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(elapsed_when_finished=True),
                TextColumn("{task.description}"),
                console=console,
                transient=True,
            )

    def suite_started(self, runs: int, runs_done: int) -> None:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("", total=runs, completed=runs_done)
        else:
            done = f", {runs_done} of them done before" if runs_done else ""
            self._say(f"{runs} runs{done}")

    def run_started(self, case: Case, round_number: int) -> None:
        if self._bar is not None:
            self._bar.update(self._task, description=f"round {round_number}: {case.name}")

    def run_ended(self, case: Case, round_number: int, failure: FailedRun | None) -> None:
        if failure is not None:
            self._say(f"failed: {case.name} in round {round_number}: {failure.reason}")
        if self._bar is not None:
            self._bar.advance(self._task)

    def round_saved(self, round_number: int, rounds: int) -> None:
        if self._bar is None:
            self._say(f"round {round_number} of {rounds} saved")

    def budget_spent(self, rounds_done: int, rounds: int, budget_s: float) -> None:
        self._say(
            f"stopped after {rounds_done} of {rounds} rounds: the next would go beyond the time"
            f" budget of {budget_s:g} s (--budget-s)"
        )

    def __enter__(self) -> ProgressListener:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)
