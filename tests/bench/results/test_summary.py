"""From a file to rows: medians, spreads, pairs of rounds, and the order of things."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.results.record import FailedRun
from bench.results.summary import MEASURES, CaseRow, Estimate, load_summary, paired_ratio
from tests.support.synthetic import ENVIRONMENT, modelled_records, save, steady_record

ASYNC, SYNC = Case("async", "short", 8), Case("sync", "short", 8)


def estimate(*values: float) -> Estimate:
    found = Estimate.of(enumerate(values))
    assert found is not None
    return found


def test_the_spread_is_least_and_greatest_of_few_runs_and_quartiles_of_more() -> None:
    few = estimate(3, 1, 2)
    assert (few.median, few.low, few.high) == (2, 1, 3)
    more = estimate(5, 1, 2, 3, 4)
    assert (more.median, more.low, more.high) == (3, 2, 4)
    assert more.spread == pytest.approx(1 / 3)
    assert estimate(7).spread is None
    assert Estimate.of([]) is None


def test_ratios_are_taken_round_by_round() -> None:
    # Each round disturbs both sides alike: the pairs agree where the medians' ranges overlap.
    ratio = paired_ratio(estimate(20, 40, 200), estimate(10, 20, 100))
    assert ratio is not None
    assert (ratio.median, ratio.low, ratio.high) == (2, 2, 2)


def test_ratios_use_the_rounds_that_both_have() -> None:
    ratio = paired_ratio(Estimate.of([(0, 2.0), (2, 9.0)]), Estimate.of([(1, 5.0), (2, 3.0)]))
    assert ratio is not None
    assert ratio.by_round == ((2, 3.0),)
    assert paired_ratio(estimate(1), None) is None
    assert paired_ratio(estimate(1), estimate(0)) is None
    assert paired_ratio(Estimate.of([(0, 1.0)]), Estimate.of([(1, 1.0)])) is None


def test_a_summary_has_the_known_truth(tmp_path: Path) -> None:
    records = [
        steady_record(ASYNC, number, latency_ns=ns)
        for number, ns in enumerate((50_000, 40_000, 60_000))
    ]
    summary = load_summary(save(tmp_path / "a.json", records))
    assert (summary.source, summary.environment) == ("a.json", ENVIRONMENT)
    (row,) = summary.rows
    assert row.rounds == summary.rounds == (0, 1, 2)
    assert row.latency_p99_s == estimate(50e-6, 40e-6, 60e-6)
    assert row.time_per_redo_s is not None
    assert row.time_per_redo_s.median == pytest.approx(50e-6)
    assert row.throughput_per_s is not None
    assert row.throughput_per_s.high == pytest.approx(8 / 40e-6)
    assert row.missed == ()


def test_groups_are_in_the_order_people_expect(tmp_path: Path) -> None:
    managers = ["floor", "async-uvloop", "sync", "async"]
    records = modelled_records(managers, ["medium", "short", "ping"], [8, 1], 1)
    records += modelled_records(["async"], ["ping"], [1], 1, child="python")
    groups = load_summary(save(tmp_path / "a.json", records)).groups()
    assert [group.title for group in groups] == ["ping", "short", "medium", "ping, child=python"]
    assert groups[0].managers == ("sync", "async", "async-uvloop", "floor")
    assert groups[0].clients == (1, 8)
    assert groups[0].rows[0].case == Case("sync", "ping", 1)
    assert groups[3].row("async", 1) is not None
    assert groups[3].row("sync", 1) is None


def test_a_case_that_only_failed_keeps_its_row(tmp_path: Path) -> None:
    path = save(tmp_path / "a.json", [steady_record(SYNC)], [FailedRun(ASYNC, 0, "no child")])
    rows = {row.case: row for row in load_summary(path).rows}
    assert rows[ASYNC].rounds == ()
    assert rows[ASYNC].throughput_per_s is None


def test_every_measure_is_a_field() -> None:
    assert MEASURES.keys() <= {item.name for item in fields(CaseRow)}
