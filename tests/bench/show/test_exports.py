"""What other tools are given of a result whose truth is known: exactly these keys and values."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from bench.cases.case import Case
from bench.results.record import FailedRun, RunRecord
from bench.results.summary import MEASURES, Summary, load_summary, measure_name
from bench.show.exports import bencher, github_action
from tests.support.synthetic import peer_record, save, steady_record

CASE = Case("async", "short", 8)
CPU_NS = 156_250.0
"""USAGE over the 320 redos of a steady record."""


def summary(
    folder: Path, *latencies_ns: int, more: Iterable[RunRecord] = (), failed: Iterable[Case] = ()
) -> Summary:
    """CASE with a run of each latency, further runs, and cases that only failed."""
    records = [steady_record(CASE, n, latency_ns=ns) for n, ns in enumerate(latencies_ns)]
    failures = [FailedRun(case, 0, "wrong page") for case in failed]
    return load_summary(save(folder / "r.json", [*records, *more], failures))


def entry(case: str, measure: str, unit: str, value: float, spread: str | None) -> dict[str, Any]:
    runs = 1 if spread is None else 3
    return {
        "name": f"{case} {measure}",
        "unit": unit,
        "value": value,
        **({} if spread is None else {"range": spread}),
        "extra": f"runs: {runs}\ncommit: 1a2b3c4\nCPU: Example CPU 3000\nkernel: Linux 6.1.0",
    }


def test_github_action(tmp_path: Path) -> None:
    assert github_action(summary(tmp_path, 50_000, 51_001, 53_001)) == [
        entry(CASE.name, "time-per-redo", "ns/redo", 51_001.0, "± 1500.5"),
        entry(CASE.name, "turn-p99", "ns", 51_001.0, "± 1500.5"),
        entry(CASE.name, "cpu-total", "ns/redo", CPU_NS, "± 0.0"),
    ]


def test_bencher(tmp_path: Path) -> None:
    spread = {"value": 50_000.0, "lower_value": 40_000.0, "upper_value": 80_000.0}
    same = {"value": CPU_NS, "lower_value": CPU_NS, "upper_value": CPU_NS}
    rate = {"value": 160_000.0, "lower_value": 100_000.0, "upper_value": 200_000.0}
    (found,) = bencher(summary(tmp_path, 40_000, 50_000, 80_000)).items()
    assert found[0] == CASE.name
    assert {slug: pytest.approx(metric) for slug, metric in found[1].items()} == {
        "time-per-redo": spread,
        "throughput": rate,
        "latency": spread,
        "turn-p99": spread,
        "cpu-total": same,
    }


def test_one_run_shows_no_spread(tmp_path: Path) -> None:
    one = summary(tmp_path, 50_000)
    assert github_action(one) == [
        entry(CASE.name, "time-per-redo", "ns/redo", 50_000.0, None),
        entry(CASE.name, "turn-p99", "ns", 50_000.0, None),
        entry(CASE.name, "cpu-total", "ns/redo", CPU_NS, None),
    ]
    assert {tuple(metric) for metric in bencher(one)[CASE.name].values()} == {("value",)}


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    failed = Case("sync", "short", 8)
    one = summary(tmp_path, 50_000, more=[peer_record()], failed=[failed])
    assert [row.case for row in one.rows] == [CASE, Case("peer:mine", "short", 8), failed]
    assert [entry["name"] for entry in github_action(one)] == [
        "async/short/n=8 time-per-redo",
        "async/short/n=8 turn-p99",
        "async/short/n=8 cpu-total",
        "peer:mine/short/n=8 time-per-redo",
    ]
    assert list(bencher(one)) == [CASE.name, "peer:mine/short/n=8"]
    assert bencher(one)["peer:mine/short/n=8"] == {
        "time-per-redo": {"value": 20_000.0},
        "throughput": {"value": 400_000.0},
    }


def test_names_of_measures_differ_and_are_slugs() -> None:
    names = [measure_name(measure) for measure in MEASURES]
    assert len(set(names)) == len(names)
    assert names[:3] == ["time-per-redo", "throughput", "turn-p50"]
    for name in names:
        assert name.replace("-", "").isalnum()
        assert name == name.lower()
