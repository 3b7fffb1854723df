"""What a reader must know before trusting a result: marks with advice, as values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.cases.case import Case, has_unknown_pages
from bench.cases.managers.registry import competes
from bench.cases.managers.yours import is_peer
from bench.cases.names import FLOOR
from bench.results.disturbance import (
    MAX_DISTURBED_SHARE,
    disturbed_rounds,
    repeated_sentence,
    sentence,
)
from bench.results.record import FailedRun
from bench.results.row import pipes_text
from bench.results.summary import CaseRow, Summary
from bench.show import units
from bench.statistics.effects import side
from bench.statistics.rounds import ratio

MAX_TURN_TO_CALL: Final = 2.0
"""From this ratio of their medians on, a note says why turn and call differ."""

MAX_LISTED: Final = 12
"""A note names no more cases than this."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to know about a case: ``kind`` is self-check, failed, over-budget, rounds,
    page-check, pipes, disturbed, repeated, dropped, stopped, single-round, no-turn, long-turn or
    floor.

    ``case`` is None where the note is about the whole file.
    """

    kind: str
    case: Case | None
    text: str


def notes(summary: Summary) -> tuple[Note, ...]:
    """Every mark of a result, cases in the order of the tables."""
    rows = [row for group in summary.groups() for row in group.rows]
    found = [note for row in rows for note in _of_row(row, summary)]
    found += _failed(summary)
    for child in dict.fromkeys(
        row.case.child for row in summary.rows if has_unknown_pages(row.case)
    ):
        text = (
            f"child={child}: only length and LSN of its pages were checked, because the rest of"
            " their content is known to the child only"
        )
        found.append(Note("page-check", None, text))
    found += _pipes(summary)
    found += _turns(summary)
    found += _slow_floors(summary)
    found += _disturbed(rows)
    if repeated := repeated_sentence(summary.dropped_rounds):
        found.append(Note("repeated", None, repeated))
    if summary.dropped_cases:
        text = (
            "dropped, as the time (--budget-s) was too short for all rounds of all cases:"
            f" {_listed([case.name for case in summary.dropped_cases])}"
        )
        found.append(Note("dropped", None, text))
    wanted = _rounds_wanted(summary)
    if len(summary.rounds) < wanted:
        text = (
            f"{len(summary.rounds)} of {wanted} rounds: the suite was stopped, or its time was"
            " used up (--budget-s); `run --resume` measures the others"
        )
        found.append(Note("stopped", None, text))
    if len(summary.rounds) == 1:
        text = (
            "one round only: without a spread no difference can be tested; run more rounds"
            " (--rounds 5)"
        )
        found.append(Note("single-round", None, text))
    return tuple(found)


def rounds_text(summary: Summary) -> str:
    """As ``7 rounds``, or ``2 sessions, 7 + 7 rounds``."""
    if not summary.sessions:
        return units.counted(len(summary.rounds), "round")
    rounds = " + ".join(str(session.rounds) for session in summary.sessions)
    return f"{len(summary.sessions)} sessions, {rounds} rounds"


def disturbed_line(summary: Summary) -> str | None:
    """What stands above the verdict of a result with disturbed runs, with the way out."""
    said = sentence(summary.rows)
    if said is None:
        return None
    # A side of an A/B measurement cannot be resumed, nor can what is in several files.
    resume = (
        ""
        if summary.environment.ab or summary.sessions
        else " (run --resume does those rounds again)"
    )
    return f"{said}; measure again when less else runs{resume}"


def _disturbed(rows: Iterable[CaseRow]) -> Iterable[Note]:
    """One note for all cases: on a busy machine a note each would bury the others."""
    found = {row.case.name: len(disturbed_rounds(row)) for row in rows}
    listed = [f"{name} ({runs})" for name, runs in found.items() if runs]
    if listed:
        text = (
            f"other processes took more than {MAX_DISTURBED_SHARE * 100:.0f} % of the CPUs during"
            f" runs of (number of disturbed runs in brackets) {_listed(listed)}"
        )
        yield Note("disturbed", None, text)


def _listed(names: Sequence[str]) -> str:
    """No more than `MAX_LISTED` of them, and how many more there are."""
    left_out = len(names) - MAX_LISTED
    more = [f"{left_out} more (show --json has all)"] if left_out > 0 else []
    return ", ".join([*names[:MAX_LISTED], *more])


def _pipes(summary: Summary) -> Iterable[Note]:
    """Managers whose runs did not all get pipes of the same size. With another topology a manager
    asks for another size."""
    sizes: dict[tuple[str, str], set[tuple[int, int]]] = {}
    for row in summary.rows:
        of_manager = sizes.setdefault((row.case.manager, row.case.topology), set())
        of_manager.update(row.pipe_bytes.values())
    for (manager, _), found in sizes.items():
        if len(found) > 1:
            text = (
                f"{manager}: its runs had pipes of {pipes_text(found)} bytes and are not"
                " comparable: the kernel grants smaller pipes once a user's pipes hold too much;"
                " end the processes that hold pipes (see `python -m bench check`) and run it again"
            )
            yield Note("pipes", None, text)


def _turns(summary: Summary) -> Iterable[Note]:
    """Whether p50 and p99 are those of the turn, and where the call alone says something else."""
    rows = [row for row in summary.rows if row.latency_p50_s is not None]
    without = [row for row in rows if row.turn_p50_s is None]
    if without:
        text = (
            "p50 and p99 are those of the call and leave out what a client waits between two"
            " redos: the file is of a version that did not measure the whole turn; run it again"
        )
        yield Note("no-turn", None, text)
    apart: dict[str, list[int]] = {}
    for row in rows:
        turn, call = row.turn_p50_s, row.latency_p50_s
        if turn is not None and call is not None and turn.median > MAX_TURN_TO_CALL * call.median:
            apart.setdefault(row.case.manager, []).append(row.case.clients)
    if apart:
        where = "; ".join(f"{name} at N = {_span(clients)}" for name, clients in apart.items())
        text = (
            f"{where}: the call takes less than half of the turn (p50), because a client waits"
            " between two redos until it runs again; compare turns (docs/measures.md#latency)"
        )
        yield Note("long-turn", None, text)


def _slow_floors(summary: Summary) -> Iterable[Note]:
    """Where the floor, which does nothing but the traffic, is slower than a manager.

    A peer times itself, in its own way.
    """
    for group in summary.groups():
        extra = ", ".join(f"{key}={value}" for key, value in group.extra)
        about = f"{group.workload} requests{' with ' + extra if extra else ''}"
        managers = [name for name in group.managers if competes(name) and not is_peer(name)]
        for clients in group.clients:
            floor, slower = group.row(FLOOR, clients), []
            for manager in managers:
                pair = [
                    None if row is None else row.throughput_per_s
                    for row in (group.row(manager, clients), floor)
                ]
                found = ratio(*pair)
                if found is not None and found.low is not None and side(found) > 0:
                    slower.append((found.ratio, found.low, found.high, manager))
            if floor is not None and slower:
                times, low, high, manager = max(slower)
                text = (
                    f"floor is slower than {manager} for {about} at N = {clients}"
                    f" (ratio {times:.2f}, 95 % CI {low:.2f} to {high:.2f}): it should be the"
                    " fastest; the machine was busy, or the file mixes conditions"
                )
                yield Note("floor", floor.case, text)


def _span(clients: Iterable[int]) -> str:
    """As ``8`` or ``8 to 128``."""
    found = sorted(clients)
    least, most = found[0], found[-1]
    return str(least) if least == most else f"{least} to {most}"


def _rounds_wanted(summary: Summary) -> int:
    """How many the suite was to do; 0 where nobody said, as `ab` decides that as it goes on."""
    settings = json.loads(summary.environment.config_json)
    if summary.environment.ab is not None or not isinstance(settings, dict):
        return 0
    wanted = settings.get("rounds", 0)
    return wanted if isinstance(wanted, int) else 0


def _of_row(row: CaseRow, summary: Summary) -> Iterable[Note]:
    if row.missed:
        _, missed = row.missed[0]
        text = (
            f"{row.case.name}: the self-check fails in {len(row.missed)} of"
            f" {units.counted(len(row.rounds), 'run')} ({missed}); fewer than N clients were at"
            " work, so a low throughput may be the machine's: run it again with less else going on,"
            " or with longer slices"
        )
        yield Note("self-check", row.case, text)
    failed = {failure.round for failure in summary.failures if failure.case == row.case}
    if not set(summary.rounds) <= failed | set(row.rounds):
        text = (
            f"{row.case.name}: only {len(row.rounds)} of"
            f" {units.counted(len(summary.rounds), 'round')}; ratios use the rounds that both sides"
            " have; resume the run to complete it"
        )
        yield Note("rounds", row.case, text)


def _failed(summary: Summary) -> Iterable[Note]:
    by_case: dict[Case, list[FailedRun]] = {}
    for failure in summary.failures:
        by_case.setdefault(failure.case, []).append(failure)
    measured = {row.case for row in summary.rows if row.rounds}
    for case, failures in sorted(by_case.items()):
        times = "once" if len(failures) == 1 else f"{len(failures)} times"
        rest = "it has no result" if case not in measured else "its other runs stand"
        # A failure for another reason than too little memory is the one to know of.
        first = next((failure for failure in failures if failure.over_budget is None), None)
        if first is None:
            why = _short(failures[0].over_budget or "")
            yield Note("over-budget", case, f"{case.name}: ended {times}, {why}; {rest}")
        else:
            text = (
                f"{case.name}: failed {times}, first in round {first.round} with: "
                f"{_short(first.reason)}; {rest}, find the cause before you trust the others"
            )
            yield Note("failed", case, text)


def _short(reason: str) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= 160 else line[:157] + "..."
