"""Measures, tables and figure of heartbeats on made-up runs; and a real one through the worker."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cases.case import Case
from bench.cases.config import load_profile, override
from bench.cases.matrix import cases_of
from bench.experiments.stall.view import headline, panels, verdict
from bench.results import keys
from bench.results.measures.stall import stall_measures
from bench.results.record import FailedRun, RunRecord
from bench.results.summary import load_summary
from bench.show.pictures.choice import draw
from bench.show.summary import as_data
from bench.worker.protocol import IDLE_LATE, LATE, PERIOD_NS
from tests.support.made_up_runs import Bench
from tests.support.printed import shown
from tests.support.suite_server import SuiteServer
from tests.support.synthetic import int64s, reading, save, steady_record

MS = PERIOD_NS

ON_LOOP = Case("sync", "short", 8, caller="loop", heartbeat="loop")
ASYNC = Case("async", "short", 8, heartbeat="loop")
TO_THREAD = Case("sync", "short", 8, caller="to-thread", heartbeat="loop")
OWN = Case("sync", "short", 8, heartbeat="thread")


def record(
    case: Case, late_ns: Sequence[int], number: int = 0, idle_ns: Sequence[int] = (30_000,)
) -> RunRecord:
    """A run of two slices, whose beats are in the second one alone but for the first of them."""
    slices = (
        {LATE: int64s(*late_ns[:1])},
        {LATE: int64s(*late_ns[1:]), IDLE_LATE: int64s(*idle_ns)},
    )
    return replace(steady_record(case, number), series=slices)


def at_most(ms: float, beats: int = 1000) -> list[int]:
    """Beats spread evenly up to that."""
    return [round(ms * MS * n / beats) for n in range(1, beats + 1)]


def test_measures_by_hand() -> None:
    late_ns = [5 * MS, 0, MS, MS + 1, 2 * MS]
    assert stall_measures(record(ON_LOOP, late_ns, idle_ns=[7, 9, 8])) == {
        "redo_heartbeat_beats": 5,
        "redo_heartbeat_late_p50": 0.001000001,
        "redo_heartbeat_late_max": 0.005,
        "redo_heartbeat_late_share": 0.6,
        "redo_heartbeat_idle_late_p50": 8e-9,
        "redo_heartbeat_idle_late_max": 9e-9,
    }


@pytest.mark.parametrize(
    ("beats", "tails"),
    [
        (999, {}),
        (1000, {"p99": 990}),
        (9999, {"p99": 9900}),
        (10_000, {"p99": 9900, "p99_9": 9990}),
    ],
)
def test_a_tail_needs_ten_beats_beyond_it(beats: int, tails: Mapping[str, int]) -> None:
    shuffled = np.random.default_rng(1).permutation(beats) + 1
    found = stall_measures(record(ON_LOOP, shuffled.tolist()))
    for name in ("p99", "p99_9"):
        expected = tails.get(name)
        assert found.get(f"redo_heartbeat_late_{name}") == (expected and expected / 1e9)
    assert found["redo_heartbeat_late_max"] == beats / 1e9


def test_a_run_without_a_heartbeat_has_none_of_it() -> None:
    assert stall_measures(steady_record(ASYNC)) == {}
    assert set(stall_measures(record(ASYNC, at_most(1, 10_000)))) == {
        key.name for key in keys.KEYS if key.name.startswith("redo_heartbeat_")
    }


def a_result(folder: Path, rounds: int = 3, async_ms: Sequence[float] = (4, 4, 4)) -> Path:
    records = []
    for number in range(rounds):
        records += [
            record(ON_LOOP, at_most(10), number),
            record(ASYNC, at_most(async_ms[number]), number),
            record(TO_THREAD, at_most(20), number),
            record(OWN, at_most(1), number),
            steady_record(Case("sync", "short", 8), number, latency_ns=40_000),
        ]
    return save(folder / "stall.json", records)


def test_panels_and_their_verdicts(tmp_path: Path) -> None:
    loop, thread = panels(load_summary(a_result(tmp_path)))
    assert loop.lines == ("sync on the loop", "sync by to_thread", "async")
    assert verdict(loop) == (
        "short, a beat on the loop: at N = 8 it is late by a median of 5.00 ms beside sync on the"
        " loop (p99 9.90 ms); 10.0 ms beside sync by to_thread (p99 19.8 ms, median 2.00x"
        " (2.00-2.00) of the first); 2.00 ms beside async (p99 3.96 ms, median 0.40x (0.40-0.40)"
        " of the first)."
    )
    assert headline(loop) == (
        "short, a beat on the loop: 2.50x later beside sync on the loop than beside async at N = 8"
    )
    assert verdict(thread) == (
        "short, a beat on a thread: at N = 8 it is late by a median of 500 us beside sync on own"
        " threads (p99 990 us)."
    )
    assert headline(thread) == "short, a beat on a thread"
    (own,) = thread.group.rows
    ratio = thread.to_alone(own)
    assert ratio is not None
    assert ratio.ratio == pytest.approx(0.8)


@pytest.mark.parametrize("async_ms", [(4, 20, 10), (4,)])
def test_what_rounds_do_not_agree_on_is_not_told_apart(
    tmp_path: Path, async_ms: Sequence[float]
) -> None:
    loop, _ = panels(load_summary(a_result(tmp_path, len(async_ms), async_ms)))
    assert "of the first, not significant)." in verdict(loop)
    assert "no significant difference between sync on the loop and async at N = 8" in headline(loop)


def test_the_table_has_the_known_truth_in_100_columns(tmp_path: Path) -> None:
    text = shown(load_summary(a_result(tmp_path)))
    assert max(map(len, map(str.rstrip, text.splitlines()))) <= 100
    lines = [line.split() for line in text.splitlines()]
    row = ["8", "sync", "on", "the", "loop", "5.00", "9.90", "10.00"]
    assert [*row, "90.0", "30.0", "160"] in lines
    assert ["async", "2.00", "3.96", "4.00", "75.0", "30.0", "160"] in lines
    assert next(line for line in lines if line[1:4] == ["sync", "on", "own"])[-2:] == [
        "160",
        "0.80",
    ]
    assert "t/redo" not in text, "the usual tables have none of these cases"


def test_the_data_have_units_and_null_for_what_is_unknown(tmp_path: Path) -> None:
    data = json.loads(json.dumps(as_data(reading(load_summary(a_result(tmp_path))))))
    loop, thread = data["experiments"]["stall"]
    assert (loop["heartbeat"], thread["heartbeat"]) == ("loop", "thread")
    first = loop["cases"][0]
    assert (first["name"], first["clients_call"]) == (ON_LOOP.name, "sync on the loop")
    assert first["late_p99_s"]["median"] == pytest.approx(0.0099, rel=1e-3)
    assert first["late_p99_9_s"] is None
    assert first["throughput_to_alone"] is None
    assert thread["cases"][0]["throughput_to_alone"]["ratio"] == pytest.approx(0.8)


def test_a_case_that_only_failed_is_shown_without_numbers(tmp_path: Path) -> None:
    path = save(tmp_path / "f.json", [record(ASYNC, at_most(4))], [FailedRun(ON_LOOP, 0, "lost")])
    (panel,) = panels(load_summary(path))
    assert verdict(panel).endswith("2.00 ms beside async (p99 3.96 ms).")
    assert "lost" in shown(load_summary(path))
    only = save(tmp_path / "o.json", [steady_record(ASYNC)])
    (panel,) = panels(load_summary(only))
    assert verdict(panel) == "short, a beat on the loop: no beat was measured."
    assert len(draw(reading(load_summary(only)), tmp_path)) == 2


def test_the_figure_says_what_was_found(tmp_path: Path) -> None:
    summary = load_summary(a_result(tmp_path))
    paths = draw(reading(summary), tmp_path, ["svg"])
    assert [path.name for path in paths] == ["stall.svg"]
    svg = paths[0].read_text()
    for text in ("sync by to_thread", "lateness of a beat", "2.50x later", "idle"):
        assert text in svg
    draw(reading(summary), tmp_path, ["svg"], force=True)
    assert paths[0].read_text() == svg


def test_the_profile_has_every_caller_beside_both_heartbeats() -> None:
    config = load_profile("stall")
    found = {(case.manager, case.caller, case.heartbeat) for case in cases_of(config)}
    assert {("sync", "loop"), ("sync", "to-thread"), ("async", "own")} <= {
        (manager, caller) for manager, caller, heartbeat in found if heartbeat == "loop"
    }
    assert ("sync", "own", "loop") not in found
    assert ("sync", "own", "thread") in found
    # A p99 needs a thousand beats.
    assert config.seconds * 1e9 / PERIOD_NS >= 1000
    assert override(config, clients="2").clients == (2,)


def test_what_cannot_be_is_refused_before_anything_is_launched(bench: Bench) -> None:
    assert 'did you mean "loop"?' in bench.refuses("run --profile stall --heartbeat lop")
    assert "--caller" in bench.refuses("run --profile stall --caller own,to-thred")
    assert "caller" in bench.refuses("run --profile stall --topology per-tenant")


def test_a_real_run_measures_every_caller(tmp_path: Path, server: SuiteServer) -> None:
    path = tmp_path / "real.json"
    command = (
        "run --profile stall --rounds 1 --slices 2 --seconds 0.02 --warmup-s 0.001 --clients 3"
        f" --child python --cost none -o {path}"
    )
    ended = server.run(tmp_path, *command.split())
    assert ended.status == 0, ended.err
    summary = load_summary(path)
    assert not summary.failures
    rows = {row.case: row for row in summary.rows}
    assert len(rows) == 8
    for case, row in rows.items():
        beats = row.further.get("redo_heartbeat_beats")
        assert (beats is not None) == (case.heartbeat != "none")
        # Slices are stretched, never shortened; a beat falls due every period of them.
        assert beats is None or beats.median >= 0.02 * 1e9 // PERIOD_NS
        if beats is not None:
            assert "redo_heartbeat_idle_late_p50" in row.further
    metadata: dict[str, Any] = json.loads(path.read_text())
    assert "redo_worker_switch_interval_s" in json.dumps(metadata)
