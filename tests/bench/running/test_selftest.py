"""How the answers of `ab` are counted where the truth is known; and one short real `selftest`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.cases.case import Case
from bench.cli.selftest import KINDS, _order
from bench.places import ROOT
from bench.results.disturbance import OTHERS
from bench.results.summary import load_summary
from bench.running.selftest.laboratory import Laboratory, _slower
from bench.running.selftest.tallies import (
    DECIDED,
    FILES,
    HALF_APART,
    KNOWN_COST_S,
    LATE_P50,
    LATE_P99,
    SHARE_OF_FILES,
    Report,
    Tally,
)
from bench.statistics.comparison import DECISIVE, CaseComparison, Compared, Comparison
from bench.statistics.effects import Effect, Verdict
from tests.support.made_up_runs import Bench
from tests.support.suite_server import SuiteServer

CASES = (Case("sync", "short", 1), Case("async", "short", 1))


def said(case: Case, **verdicts: Verdict) -> CaseComparison:
    effect = Effect(1.0, 0.9, 1.1, 0.5, 0.03, (6, 6))
    measures = {name: Compared(effect, 0.5, verdict) for name, verdict in verdicts.items()}
    return CaseComparison(case, measures)


def test_a_family_counts_once_however_many_of_its_cases_alarm() -> None:
    report = Report()
    both = [said(case, time_per_redo_s=Verdict.SLOWER) for case in CASES]
    none = [said(case, time_per_redo_s=Verdict.INCONCLUSIVE) for case in CASES]
    for trial in (both, none, [both[0], none[1]], none):
        report.add_same(trial)
    tally = report.tallies[f"false alarm: {DECISIVE}"]
    assert (tally.trials, tally.found) == (4, 2)


def test_a_faster_one_is_a_false_alarm_too_and_each_measure_a_family() -> None:
    report = Report()
    report.add_same([said(CASES[0], time_per_redo_s=Verdict.SAME, cpu_total_s=Verdict.FASTER)])
    assert report.tallies["false alarm: time_per_redo_s"].found == 0
    assert report.tallies["false alarm: cpu_total_s"].found == 1


@pytest.mark.parametrize(
    ("change", "found", "wrong"), [(1.05, 1, 0), (1 / 1.05, 0, 1), (1.0001, 0, 0)]
)
def test_a_slower_child_is_judged_after_so_many_pairs(
    change: float, found: int, wrong: int
) -> None:
    report = Report()
    ratios = np.random.default_rng(1).normal(change, 0.003, 12)
    report.add_slower("+5%", ratios.tolist(), (6, 12, 24))
    assert set(report.tallies) == {"+5%, 6 pairs", "+5%, 12 pairs"}
    for tally in report.tallies.values():
        assert (tally.trials, tally.found, tally.wrong) == (1, found, wrong)
        assert 0 < tally.smallest_shown[0] < 0.05
        assert tally.ratios == [pytest.approx(change, rel=0.01)]
    assert any("wrong direction" in problem for problem in report.problems()) is bool(wrong)


def test_a_slower_child_costs_a_share_of_the_time_from_page_to_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """8 clients that wait 80 us each see a page every 10 us, so 5 % more work is 0.5 us."""
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(Laboratory, "__init__", lambda _self: None)
    monkeypatch.setattr(Laboratory, "_values", lambda *_: ([80e-6] * 6, [80e-6] * 6))
    monkeypatch.setattr(Laboratory, "_sides", lambda _self, **options: asked.append(options))
    laboratory = Laboratory()  # type: ignore[call-arg]
    laboratory._page_to_page_s = {}
    laboratory._slowed(Case("sync", "short", 8), 0.05)
    assert asked[-1] == {"cost_per_request_us": pytest.approx(0.5)}


@pytest.mark.parametrize(("p50_low", "found"), [(1.01, 0), (1.06, 1)])
def test_late_replies_are_counted_by_percentile(p50_low: float, found: int) -> None:
    report = Report()
    one = said(CASES[0], turn_p99_s=Verdict.SLOWER, turn_p50_s=Verdict.SLOWER)
    shifted = Effect(1.07, p50_low, 1.08, 0.01, 0.03, (6, 6))
    measures = {**one.measures, "turn_p50_s": Compared(shifted, 0.01, Verdict.SLOWER)}
    report.add_late(CaseComparison(CASES[0], measures))
    assert [tally.found for tally in report.tallies.values()] == [1, found]


@pytest.mark.parametrize(("cost_s", "fits"), [(KNOWN_COST_S, True), (1.1 * KNOWN_COST_S, False)])
def test_the_floor_must_measure_a_known_cost(cost_s: float, fits: bool) -> None:
    report = Report()
    report.add_floor([10e-6] * 3, [10e-6 + cost_s] * 3)
    assert (not report.problems()) is fits


def test_intervals_are_exact_binomial_ones() -> None:
    # With no success of n the upper bound is 1 - (alpha / 2) ** (1 / n).
    low, high = Tally(trials=20, found=0).interval()
    assert low == 0.0
    assert high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert Tally().interval() == (0.0, 1.0)


@pytest.mark.parametrize(("alarms", "contradicted"), [(2, False), (8, True)])
def test_false_alarms_contradict_only_beyond_chance(alarms: int, contradicted: bool) -> None:
    report = Report()
    report.tallies["false alarm: x"] = Tally(trials=40, found=alarms)
    assert bool(report.problems()) is contradicted


@pytest.mark.parametrize(
    ("name", "found", "contradicted"),
    [
        (DECIDED, 20, False),
        (DECIDED, 10, True),
        (LATE_P99, 10, True),
        (LATE_P50, 10, True),
        (LATE_P50, 1, False),
        ("+3%, 6 pairs", 0, False),
    ],
)
def test_what_must_be_found_and_what_must_not(name: str, found: int, contradicted: bool) -> None:
    report = Report()
    report.tallies[name] = Tally(trials=20, found=found)
    assert bool(report.problems()) is contradicted


def files_of(low: float, high: float) -> Comparison:
    """Two files that are the same in one case with 8 clients and slower in two more."""
    cases = [
        said(replace(CASES[0], clients=n), time_per_redo_s=verdict)
        for n, verdict in ((8, Verdict.SAME), (64, Verdict.SLOWER), (1, Verdict.SLOWER))
    ]
    summary = load_summary(ROOT / "results" / "reference" / "tutorial-base.json")
    overall = Effect(1.0, low, high, 0.5, 0.05, (7, 7))
    return Comparison(
        base=summary,
        changed=summary,
        paired=False,
        cases=tuple(cases),
        only_base=(),
        only_changed=(),
        failed=(),
        overall=overall,
        differences=(),
    )


@pytest.mark.parametrize(("low", "alarm"), [(0.99, 0), (1.01, 1)])
def test_two_files_without_a_change(low: float, alarm: int) -> None:
    report = Report()
    report.add_files(files_of(low, 1.02), 0.0)
    found = {name: tally.found for name, tally in report.tallies.items()}
    assert found["false alarm: two files, over all of them"] == alarm
    assert found["false alarm: two files, time_per_redo_s"] == 1


def test_two_files_with_a_change_count_the_cases_with_many_clients() -> None:
    report = Report()
    report.add_files(files_of(0.99, 1.02), 0.10)
    (tally,) = report.tallies.values()
    assert (tally.trials, tally.found) == (2, 1)
    report.tallies["+10%, two files"] = Tally(trials=40, found=20)
    assert report.problems() == ["+10%, two files: found in significantly less than 80%"]


def test_a_known_change_of_a_file_is_one_of_the_managers_only() -> None:
    summary = load_summary(ROOT / "results" / "reference" / "tutorial.json")
    slower = _slower(summary, 1.1)
    for before, after in zip(summary.rows, slower.rows, strict=True):
        assert before.time_per_redo_s is not None
        assert after.time_per_redo_s is not None
        factor = 1.0 if before.case.manager == "floor" else 1.1
        for (_, value), (_, changed) in zip(
            before.time_per_redo_s.by_round, after.time_per_redo_s.by_round, strict=True
        ):
            assert changed == pytest.approx(value * factor)


def test_each_file_is_compared_with_its_neighbour_and_with_one_of_the_other_half() -> None:
    summary = load_summary(ROOT / "results" / "reference" / "tutorial.json")
    report, laboratory = Report(), object.__new__(Laboratory)
    laboratory._files = [summary] * 6
    laboratory.files_apart(report)
    assert report.tallies[f"false alarm: {HALF_APART}, time_per_redo_s"].trials == 3
    managers = [r for r in summary.rows if r.case.clients >= 8 and r.case.manager != "floor"]
    found = report.tallies[FILES.format(SHARE_OF_FILES, HALF_APART)]
    assert found.trials == 3 * len(managers) > 0


def test_rows_are_in_the_order_of_the_effects() -> None:
    names = ["+10%, 6 pairs", "+5%, 12 pairs", "+5%, 6 pairs", "false alarm: x"]
    assert sorted(names, key=_order) == list(reversed(names))


def test_bad_usage(bench: Bench) -> None:
    status, out, err = bench("selftest --minutes 0")
    assert (status, out) == (2, "")
    assert "a number of minutes above 0" in err
    status, out, err = bench("selftest --only slow")
    assert (status, out) == (2, "")
    assert 'unknown kind of trial "slow": did you mean "slower"?' in err


def with_tally(**changed: object) -> str:
    data = {
        "kind": "redo-selftest",
        "schema": 1,
        "minutes": 1.0,
        "only": ["same"],
        "environment": {},
        "floor_costs_s": [],
        "failed": [],
        "known_cost_s": KNOWN_COST_S,
        "tallies": {
            "x": {"trials": 3, "found": 1, "wrong": 0, "ratios": [], "smallest_shown": []} | changed
        },
    }
    return json.dumps(data)


def test_from_takes_no_other_option(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(with_tally())
    assert bench(f"selftest --from {path}")[0] == 0
    assert "leave out --minutes" in bench.refuses(f"selftest --from {path} --only same")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        ("{", "not JSON"),
        ("{}", "not of selftest"),
        ('{"kind": "redo-selftest", "schema": 99}', "schema 99, but this suite reads 1"),
        ('{"kind": "redo-selftest", "schema": 1, "tallies": 3}', "damaged"),
        (with_tally(trials=0), "damaged"),
        (with_tally(trials="many"), "damaged"),
        (with_tally(found=9), "damaged"),
        (with_tally(trials=1).replace("0.001", "0.002"), "of a known cost of 0.002 s"),
    ],
)
def test_what_is_no_selftest_is_not_read(
    bench: Bench, tmp_path: Path, content: str | None, why: str
) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)
    status, out, err = bench(f"selftest --from {path}")
    assert (status, out) == (2, "")
    assert str(path) in err
    assert why in err
    assert len(err.splitlines()) == 1


SMALL = """
from bench.cli import selftest
from bench.running.selftest import laboratory, tallies
laboratory.PAIRS = laboratory.ROUNDS_OF_FILE = 2
laboratory.PAIRS_OF_SLOWER = 6
laboratory.DECIDED_S = laboratory.SAME_S = 0.1
laboratory.SHORT_RUNS = {"slices": 2, "seconds": 0.01, "warmup_s": 0.0}
selftest.SHARES = (0.03,)
selftest.PROFILE = profile

class Report(tallies.Report):
    def add_floor(self, base_s, changed_s):
        # However busy the machine is, a child that is late by so much makes its redos take longer.
        assert min(changed_s) > tallies.KNOWN_COST_S
        super().add_floor(base_s, changed_s)

selftest.Report = Report
"""
"""Fewer pairs and cases than the real one, and shorter runs."""


def test_every_kind_of_trial_for_real(tmp_path: Path, bench: Bench, server: SuiteServer) -> None:
    """Nothing here depends on how fast the machine is: not even what a trial finds."""
    profile = tmp_path / "tiny.toml"
    profile.write_text(
        'title = "x"\nmanager = ["sync", "async"]\nworkload = ["short"]\nclients = [2]\n'
        "slices = 2\nseconds = 0.02\nwarmup_s = 0.01\n"
    )
    words = ("selftest", "--minutes", "0.001", "--json", "--only", ",".join(KINDS))
    done = server.run(tmp_path, *words, code=SMALL, profile=str(profile))
    data = json.loads(done.out)
    assert data["failed"] == [], done.err
    assert {name: tally["trials"] for name, tally in data["tallies"].items()}.items() >= {
        "false alarm: time_per_redo_s": 2,
        "+3%, 6 pairs": 1,
        "false alarm: two files, time_per_redo_s": 1,
        "false alarm: two files, half of the time apart, time_per_redo_s": 1,
        "late:ms=1,p=0.02: turn_p99_s": 1,
    }.items()
    assert len(data["floor_costs_s"]) == 2
    assert data["machine"].keys() >= {OTHERS}
    kept = tmp_path / "kept.json"
    kept.write_text(done.out)
    assert bench(f"selftest --from {kept} --json")[1] == done.out
    _, table, _ = bench(f"selftest --from {kept}")
    asked = [line.split("  ")[0] for line in table.splitlines()]
    names = ("CPU", "redo/s", "t/redo", "p50", "p99")
    assert asked[1:6] == [f"false alarm: {name}" for name in names]
    assert "--minutes 0.001 --only floor,slower,same,late,ab,files" in table
    assert "meanwhile others took " in table.splitlines()[-1]
