"""The table of `show` and the same as data."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.results.record import FailedRun, RunRecord
from bench.results.summary import load_summary
from bench.show import units
from bench.show.layout import WIDTH, named_table, whole_table
from bench.show.summary import as_data, print_summary
from tests.support.printed import printed
from tests.support.synthetic import (
    USAGE,
    idle_slice,
    modelled_records,
    reading,
    save,
    steady_record,
    summary_of,
)

ASYNC, SYNC, FLOOR = (Case(manager, "short", 8) for manager in ("async", "sync", "floor"))


def shown(
    folder: Path,
    records: Iterable[RunRecord],
    failures: Iterable[FailedRun] = (),
    *,
    width: int = 80,
) -> str:
    """What is printed into a pipe of that width."""
    return printed(partial(print_summary, reading(summary_of(folder, records, failures))), width)


def line_with(text: str, start: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.split()[:1] == [start])


def test_a_row_has_the_known_truth(tmp_path: Path) -> None:
    records = [
        steady_record(case, number, latency_ns=ns)
        for case, ns in ((SYNC, 100_000), (ASYNC, 50_000), (FLOOR, 20_000))
        for number in range(5)
    ]
    text = shown(tmp_path, records)
    head = ["N", "manager", "us", "%", "k", "us", "us", "us", "/sync", "/floor"]
    assert line_with(text, "N") == head
    assert line_with(text, "t/redo") == ["t/redo", "+-", "redo/s", "p50", "p99", "CPU"]
    sync = ["8", "sync", "100.0", "0", "80.0", "100.0", "100.0", "156", "-", "0.20"]
    assert line_with(text, "8") == sync
    fast = ["async", "50.0*", "0", "160.0*", "50.0*", "50.0*", "156", "2.00", "0.40"]
    assert line_with(text, "async") == fast
    assert line_with(text, "floor")[-2:] == ["5.00", "-"]
    assert "!" not in text.replace("!: see the notes", "")


def test_decimal_points_stand_below_each_other(tmp_path: Path) -> None:
    records = [
        steady_record(Case("sync", "short", n), number, latency_ns=ns)
        for n, ns in ((1, 12_345), (8, 123_456), (128, 2_345_678))
        for number in range(3)
    ]
    table = shown(tmp_path, records).partition("Medians")[0]
    lines = [line for line in table.splitlines() if " sync " in line]
    assert [line.split()[2] for line in lines] == ["12.3", "123.5", "2345.7"]
    assert len({line.index(".") for line in lines}) == 1


def test_the_best_is_marked_only_where_the_runs_tell_it_apart(tmp_path: Path) -> None:
    alike = [
        steady_record(case, number, latency_ns=ns)
        for number, pair in enumerate([(50_000, 60_000), (60_000, 50_000), (51_000, 50_000)])
        for case, ns in zip((SYNC, ASYNC), pair, strict=True)
    ]
    assert "*" not in shown(tmp_path, alike).partition("Medians")[0]


def test_a_small_curve_per_manager_from_three_n_on(tmp_path: Path) -> None:
    records = [
        steady_record(Case(manager, "short", n), 0, latency_ns=ns * n)
        for manager, ns in (("sync", 10_000), ("async", 5_000))
        for n in (1, 8, 64)
    ]
    text = shown(tmp_path, records)
    assert "sync   ▁▄█" in text or "sync   ▂▅█" in text
    assert "p50 5.00 us at N = 1, 320 us at N = 64" in text
    summary = summary_of(tmp_path, records)
    assert "█" not in printed(partial(print_summary, reading(summary), plain=True))


def test_a_title_may_be_wider_than_its_table() -> None:
    table = whole_table("a title that is wider than what stands below it", ["x"], [["1"]])
    text = printed(lambda console: console.print(table, crop=False))
    assert text.splitlines()[0].rstrip() == table.title.plain  # type: ignore[union-attr]


def test_two_n_make_no_curve(tmp_path: Path) -> None:
    assert "█" not in shown(tmp_path, [steady_record(Case("sync", "short", n)) for n in (1, 8)])


def test_100_columns_are_enough_and_a_pipe_has_no_colour(tmp_path: Path) -> None:
    managers = ["sync", "async", "async-uvloop", "floor"]
    records = modelled_records(managers, ["ping", "medium"], [1, 1024], 3, drift=0.4)
    failures = [FailedRun(Case("async-uvloop", "ping", 1), 0, "x" * 300)]
    text = shown(tmp_path, records, failures, width=100)
    assert "\x1b" not in text
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 100
    assert "async-uvloop!" in text
    assert text.index("ping") < text.index("medium")


def test_a_terminal_that_is_narrower_still_shows_every_number(tmp_path: Path) -> None:
    text = shown(tmp_path, [steady_record(Case("async-uvloop", "short", 8))], width=72)
    assert "…" not in text
    assert " 160 " in text


def test_what_is_missing_is_a_dash(tmp_path: Path) -> None:
    record = steady_record(ASYNC)
    text = shown(tmp_path, [RunRecord(ASYNC, 0, record.slices)])
    dash = ["8", "async", "50.0", "-", "160", "50.0", "50.0", "-"]
    assert line_with(text, "8") == dash


def test_marks_come_with_advice(tmp_path: Path) -> None:
    records = [steady_record(SYNC, 0), steady_record(SYNC, 1), steady_record(FLOOR, 0)]
    records.append(RunRecord(ASYNC, 0, (idle_slice(8, 90, 1000),), USAGE))
    failures = [FailedRun(ASYNC, 1, "wrong page\n(block 7)"), FailedRun(ASYNC, 2, "again")]
    text = " ".join(shown(tmp_path, records, failures).split())
    assert "async/short/n=8: the self-check fails in 1 of 1 run (1 of 1 slices miss" in text
    assert "run it again with less else going on" in text
    assert "async/short/n=8: failed 2 times, first in round 1 with: wrong page (block 7)" in text
    assert "floor/short/n=8: only 1 of 3 rounds" in text
    assert "async/short/n=8: only" not in text  # its other rounds failed, which is said


def test_a_case_that_only_failed_is_there(tmp_path: Path) -> None:
    text = shown(tmp_path, [steady_record(SYNC)], [FailedRun(ASYNC, 0, "no child")])
    assert line_with(text, "async!")[1:] == ["-"] * 6
    assert "it has no result" in " ".join(text.split())


def test_one_round_has_no_spread(tmp_path: Path) -> None:
    assert "one round only" in shown(tmp_path, [steady_record(ASYNC)])


def test_further_dimensions_have_tables_of_their_own(tmp_path: Path) -> None:
    python = Case("async", "short", 8, "python")
    text = shown(tmp_path, [steady_record(ASYNC), steady_record(python)])
    assert "short, child=python" in text


def test_names_are_not_markup(tmp_path: Path) -> None:
    text = shown(tmp_path, [steady_record(ASYNC)], [FailedRun(ASYNC, 1, "[red]bad[/red] [/x]")])
    assert "[red]bad[/red]" in text


def test_the_same_as_data(tmp_path: Path) -> None:
    records = [steady_record(SYNC, latency_ns=100_000), steady_record(ASYNC, latency_ns=50_000)]
    failure = FailedRun(FLOOR, 0, "no compiler")
    path = save(tmp_path / "a.json", records, [failure])
    data = json.loads(json.dumps(as_data(reading(load_summary(path)))))
    assert (data["version"], data["schema_version"], data["source"]) == (1, 1, "a.json")
    assert data["environment"]["cpu_model"] == "Example CPU 3000"
    assert data["failures"] == [{"case": FLOOR.name, "round": 0, "reason": "no compiler"}]
    by_name = {case["name"]: case for case in data["cases"]}
    fast = by_name["async/short/n=8"]
    assert fast["latency_p99_s"]["median"] == pytest.approx(50e-6)
    assert fast["throughput_to_sync"]["median"] == pytest.approx(2)
    assert fast["throughput_to_floor"] is None
    assert fast["clients"] == 8
    assert by_name["floor/short/n=8"]["latency_p99_s"] is None
    assert {note["kind"] for note in data["notes"]} == {"failed", "single-round"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (24.68e-6, "24.7 us"),
        (999.6e-6, "1.00 ms"),
        (0.000_001, "1.00 us"),
        (0.001, "1.00 ms"),
        (123e-9, "123 ns"),
        (1.5e-10, "0.150 ns"),
        (59.99, "60.0 s"),
        (1234.0, "1230 s"),
        (0.0, "0 s"),
    ],
)
def test_seconds_for_people(value: float, text: str) -> None:
    assert units.seconds(value) == text


def test_other_numbers_for_people() -> None:
    assert units.rate(40_396.0) == "40.4 k/s"
    assert units.rate(999_900.0) == "1.00 M/s"
    assert units.rate(12.0) == "12.0 /s"
    assert [units.factor(one) for one in (3.1, 0.949, 12.34, 0.0123)] == [
        "3.10x",
        "0.95x",
        "12.3x",
        "0.0123x",
    ]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_table_that_is_wider_than_the_window_keeps_its_columns(width: int) -> None:
    names = ("N", "manager", *(f"column {number}" for number in range(12)))
    table = whole_table("wide", names, [["128", "sync", *["0.123-0.456"] * 12]], left=[1])
    text = printed(lambda console: console.print(table, crop=False), width)
    assert "…" not in text
    assert text.count("0.123-0.456") == 12


def test_a_name_is_broken_after_separators_only_where_there_is_no_room() -> None:
    name = "async-uvloop, medium, wait=spin:200"
    numbers = ["0.123-0.456"] * 5
    headings = ["manager", *(f"column {number}" for number in range(5))]
    fits = printed(lambda console: console.print(named_table(None, headings, [[name, *numbers]])))
    assert name in fits
    more = [*numbers, "0.123-0.456"]
    table = named_table("narrow", [*headings, "last"], [[name, *more]])
    text = printed(lambda console: console.print(table, crop=False))
    assert max(len(line.rstrip()) for line in text.splitlines()) <= WIDTH
    first_cells = [line.split("  ")[0] for line in text.splitlines()[2:]]
    assert [cell.rstrip() for cell in first_cells] == ["async-uvloop, medium,", "wait=spin:200"]
