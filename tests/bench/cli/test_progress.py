"""What is shown while a suite runs: plain lines in a file, a bar on a terminal."""

from __future__ import annotations

import io
import re
import threading

import pytest
from rich.console import Console

from bench.cases.case import Case
from bench.cli.progress import Known, PairListener, ProgressListener, StatusLine
from bench.results.record import FailedRun
from bench.running.schedule import Plan
from tests.support.synthetic import steady_record

CASE = Case("async-uvloop", "medium+image", 128, "python")
FAILURE = FailedRun(CASE, 2, "wrong page: client 1, request 17 [bold]/tmp[/bold]")


def console(terminal: bool, width: int = 80) -> tuple[Console, io.StringIO]:
    shown = io.StringIO()
    made = Console(
        file=shown,
        force_terminal=terminal,
        width=width,
        color_system="standard" if terminal else None,
        _environ={"TERM": "xterm"},
    )
    return made, shown


def plan(rounds: int) -> Plan:
    return Plan(cases=(CASE,), rounds=rounds, seed=1, run_s=0.5)


def suite(listener: ProgressListener, rounds_done: int = 0) -> None:
    """The events of a suite of two runs in two rounds, the second of which fails."""
    listener.suite_started(plan(2), rounds_done)
    listener.run_started(CASE, 1)
    listener.run_ended(steady_record(CASE, 1))
    listener.round_saved(1, 2, 130.0)
    listener.run_started(CASE, 2)
    listener.run_ended(FAILURE)
    listener.round_saved(2, 2, 0.0)


def test_plain_lines_where_there_is_no_terminal() -> None:
    where, shown = console(terminal=False, width=40)
    with ProgressListener(where) as listener:
        suite(listener)
    assert shown.getvalue().splitlines() == [
        "1 case, 2 rounds",
        "this takes about 1 s, or longer",
        "round 1 of 2 saved, about 2 min left",
        f"failed: {CASE.name} in round 2: {FAILURE.reason}",
        "round 2 of 2 saved",
    ]
    assert "\x1b" not in shown.getvalue()


def test_a_resumed_suite_says_what_is_done() -> None:
    where, shown = console(terminal=False)
    with ProgressListener(where) as listener:
        listener.suite_started(plan(30), 12)
    assert shown.getvalue().splitlines()[0] == "1 case, 30 rounds, 12 done before"


@pytest.mark.parametrize("terminal", [False, True])
def test_the_end_of_the_budget_is_said_with_the_way_out(terminal: bool) -> None:
    where, shown = console(terminal, width=200)
    with ProgressListener(where) as listener:
        listener.suite_started(plan(30), 0)
        listener.budget_spent(3, 5, 270.0)
    assert "stopped after 3 of 5 rounds" in shown.getvalue()
    assert "270 s (--budget-s)" in shown.getvalue()


@pytest.mark.parametrize("width", [20, 80, 200])
def test_a_bar_on_a_terminal(width: int) -> None:
    where, shown = console(terminal=True, width=width)
    with ProgressListener(where) as listener:
        suite(listener)
    said = shown.getvalue()
    assert "\x1b[" in said
    if width == 200:
        assert f"round 2/2 {CASE.name}" in said
        assert "2/2" in said
    assert FAILURE.reason in said
    # The bar is taken down and the cursor is there again: both were switched in this order.
    assert said.rindex("\x1b[?25h") > said.rindex("\x1b[?25l")


SYNC_8, SYNC, ASYNC = (
    Case("sync", "short", 8),
    Case("sync", "short", 128),
    Case("async", "short", 128),
)


def known(*runs: tuple[Case, int, int]) -> str:
    """What is known after runs of a case in a round, with that latency in us."""
    found = Known()
    for case, number, latency_us in runs:
        found.add(steady_record(case, number, latency_ns=latency_us * 1000))
    return found.text


def test_what_is_known_before_there_are_rounds_enough() -> None:
    assert known() == ""
    assert known((SYNC, 1, 60)) == "sync/short/n=128: 60.0 us per redo"
    assert known((SYNC, 1, 60), (ASYNC, 1, 50)) == "async/short/n=128: 50.0 us per redo"
    # Without sync there is nothing to compare with; what happens once is no redo after another.
    start = Case("async", "short", 1, scenario="cold-start")
    assert known((ASYNC, 1, 50), (ASYNC, 2, 50)) == "async/short/n=128: 50.0 us per redo"
    assert known((start, 1, 50), (start, 2, 50)) == ""


def test_managers_are_compared_at_the_greatest_n() -> None:
    async_8 = Case("async", "short", 8)
    runs = [
        *((SYNC, 1, 60), (ASYNC, 1, 50), (SYNC_8, 1, 5), (async_8, 1, 5)),
        *((SYNC, 2, 60), (ASYNC, 2, 48), (async_8, 2, 5), (SYNC_8, 2, 9)),
    ]
    text = known(*runs)
    ratio, low, high = map(float, re.findall(r"\d\.\d\d", text))
    assert low < ratio < high
    assert ratio == pytest.approx(1.22, abs=0.02)
    assert text.startswith(f"async/sync {ratio:.2f} (95 % CI: ")
    assert text.endswith(") in throughput, short, N=128")
    # It does not matter which of the two comes last in a round, and what else is measured then.
    assert known(*runs[:4], runs[5], runs[4]) == text
    assert known(*runs, (Case("floor", "short", 128), 2, 5)) == text
    # Of a round that is measured again the last measurement counts.
    assert known(*runs, (ASYNC, 2, 50)) == "async/sync 1.20 (95 % CI: 1.20 to 1.20)" + text[39:]


@pytest.mark.parametrize("width", [80, 120])
def test_it_is_one_line_that_is_drawn_between_runs_only(width: int) -> None:
    where, shown = console(terminal=True, width=width)
    threads = threading.active_count()
    with StatusLine(where) as line:
        line.begin(4)
        for done in range(3):
            line.update(done=done)
            before = shown.tell()
            line.draw(f"{done} " + "long " * 40)
            assert shown.tell() > before
        assert threading.active_count() == threads  # nobody else draws it
        assert "\n" not in shown.getvalue()
        assert "…" in shown.getvalue()
        shown_before, _, _ = shown.getvalue().rpartition("2 long")
        assert re.search(r"-:--|\d\d:\d\d", shown_before[-30:])  # a long text does not cut the time


@pytest.mark.parametrize("terminal", [False, True])
def test_pairs(terminal: bool) -> None:
    where, shown = console(terminal, width=120)
    with PairListener(where, cases=2, seconds=60.0) as listener:
        listener.pair_started(SYNC, 0, 60.0)
        listener.round_saved(1, 1, 45.0)
        listener.pair_started(SYNC, 1, 45.0)
    if terminal:
        assert "pair 1 of sync/short/n=128; 2 of 2 cases undecided" in shown.getvalue()
        assert "pair 2 of sync/short/n=128; 1 of 2 cases undecided" in shown.getvalue()
        assert shown.getvalue().rindex("\x1b[?25h") > shown.getvalue().rindex("\x1b[?25l")
    else:
        assert shown.getvalue() == "pair 1 of each saved, 1 undecided, 45 s left\n"


def test_the_bar_counts_what_was_done_before() -> None:
    where, shown = console(terminal=True, width=200)
    with ProgressListener(where) as listener:
        listener.suite_started(plan(30), 12)
        listener.run_started(CASE, 3)
        listener.run_ended(steady_record(CASE, 3))
    assert "13/30" in shown.getvalue()


def test_an_error_takes_the_bar_down() -> None:
    where, shown = console(terminal=True)
    with pytest.raises(KeyboardInterrupt), ProgressListener(where) as listener:
        listener.suite_started(plan(2), 0)
        raise KeyboardInterrupt
    assert shown.getvalue().rindex("\x1b[?25h") > shown.getvalue().rindex("\x1b[?25l")


@pytest.mark.parametrize("terminal", [False, True])
def test_leaving_before_anything_began(terminal: bool) -> None:
    where, _ = console(terminal)
    with pytest.raises(ZeroDivisionError), ProgressListener(where):
        raise ZeroDivisionError


@pytest.mark.parametrize("terminal", [False, True])
def test_what_is_dropped_and_what_is_measured_again_is_said(terminal: bool) -> None:
    where, shown = console(terminal, width=200)
    with ProgressListener(where) as listener:
        listener.suite_started(plan(5), 0)
        listener.cases_dropped([CASE], 3, 26.0)
        listener.repeat_started(2, 64, [0.2, 0.61])
        listener.run_ended(steady_record(CASE, 2))
        listener.repeat_ended(2, is_better=False)
    said = shown.getvalue()
    assert f"26 s (--budget-s): {CASE.name}" in said
    assert "round 2 is measured again: 2 of 64 runs disturbed, others took up to 61 %" in said
    assert "round 2 stays as it was" in said
    # 5 runs, 3 of them dropped, and the 64 of the repeat.
    assert ("1/66" in said) is terminal
