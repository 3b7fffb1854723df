"""What must be known of a result's latencies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.results.record import RunRecord
from bench.results.row import measure_of
from bench.results.samples import SliceSamples
from bench.results.summary import load_summary
from bench.show.notes import notes
from tests.support.synthetic import (
    USAGE,
    int64s,
    save,
    steady_record,
    with_pipes,
    without_turn,
)

KINDS = ("no-turn", "long-turn", "pipes")


def waiting_record(case: Case, call_ns: int, turn_ns: int) -> RunRecord:
    """A run whose clients wait between two redos."""
    redos = 20
    ends = [turn_ns * (number + 1) for number in range(redos)]
    one = SliceSamples(
        int64s(*[0] * case.clients),
        int64s(*[ends[-1]] * case.clients),
        int64s(*[redos] * case.clients),
        int64s(*[call_ns] * redos * case.clients),
        redo_end_ns=int64s(*ends * case.clients),
    )
    return RunRecord(case, 0, (one,), USAGE)


def texts(path: Path, *records: RunRecord) -> list[tuple[str, str]]:
    summary = load_summary(save(path / "r.json", records))
    return [(note.kind, note.text) for note in notes(summary) if note.kind in KINDS]


def test_a_turn_much_longer_than_its_call_is_explained_once(tmp_path: Path) -> None:
    cases = [Case("sync", "short", n) for n in (8, 64)]
    long = [waiting_record(case, 10_000, 21_000) for case in cases]
    usual = waiting_record(Case("async", "short", 8), 10_000, 19_000)
    ((kind, text),) = texts(tmp_path, *long, usual)
    assert kind == "long-turn"
    assert text.startswith("sync at N = 8 to 64: ")


def test_a_file_without_turns_says_so_and_shows_the_call(tmp_path: Path) -> None:
    record = without_turn(steady_record(Case("sync", "short", 8)))
    ((kind, text),) = texts(tmp_path, record)
    assert kind == "no-turn"
    assert text.startswith("p50 and p99 are those of the call")
    (row,) = load_summary(tmp_path / "r.json").rows
    assert row.turn_p99_s is None
    shown = measure_of(row, "turn_p99_s")
    assert shown is not None
    assert shown.median == pytest.approx(50e-6)


def test_turn_and_call_that_are_alike_need_no_word(tmp_path: Path) -> None:
    assert texts(tmp_path, steady_record(Case("sync", "short", 8))) == []


def floor_notes(folder: Path, floor_us: tuple[int, ...], sync_us: tuple[int, ...]) -> list[str]:
    folder.mkdir()
    records = [
        steady_record(Case(manager, "short", 8, child="python"), number, latency_ns=us * 1000)
        for manager, latencies in (("floor", floor_us), ("sync", sync_us), ("async", (60,) * 4))
        for number, us in enumerate(latencies)
    ]
    summary = load_summary(save(folder / "r.json", records))
    (group,) = summary.groups()
    found = [note for note in notes(summary) if note.kind == "floor"]
    assert all(note.case == group.rows[-1].case for note in found)
    return [note.text for note in found]


def test_a_floor_slower_than_a_manager_is_a_warning(tmp_path: Path) -> None:
    (text,) = floor_notes(tmp_path / "1", (48, 49, 47, 48), (40, 41, 40, 39))
    assert text == (
        "floor is slower than sync for short requests with child=python at N = 8 (ratio 1.20,"
        " 95 % CI 1.16 to 1.24): it should be the fastest; the machine was busy, or the file mixes"
        " conditions"
    )
    # The interval holds 1; the floor is the fastest; one round has no interval.
    assert not floor_notes(tmp_path / "2", (48, 40, 47, 30), (40, 41, 40, 39))
    assert not floor_notes(tmp_path / "3", (20, 21, 20, 20), (40, 41, 40, 39))
    assert not floor_notes(tmp_path / "4", (48,), (40,))


def test_pipes_of_one_manager_that_are_not_alike_are_a_warning(tmp_path: Path) -> None:
    sync, other = Case("sync", "short", 8), Case("async", "short", 8)
    tenants = Case("async", "short", 8, topology="per-tenant")
    large, small = 1 << 20, 1 << 16
    runs = [
        with_pipes(steady_record(sync), large),
        with_pipes(steady_record(other), large),
        with_pipes(steady_record(replace(other, clients=64)), large),
        # It asks for other sizes, as it must.
        with_pipes(steady_record(tenants), small),
    ]
    assert texts(tmp_path, *runs) == []
    (tmp_path / "r.json").unlink()
    ((kind, text),) = texts(tmp_path, *runs, with_pipes(steady_record(other, 1), small))
    assert kind == "pipes"
    assert text.startswith("async: its runs had pipes of 65536 and 1048576 bytes")
