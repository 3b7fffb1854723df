"""The sentences of a verdict: from results whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cases.case import Case
from bench.results.record import FailedRun
from bench.results.summary import Summary, load_summary
from bench.show.verdict import sentences
from tests.support.synthetic import save, steady_record

N = (1, 4, 16)

Latencies = Mapping[str, Sequence[Sequence[int]]]
"""By manager, for each of N, the latency (us) of each round."""


def summary(
    folder: Path, latencies: Latencies, workload: str = "short", failures: Sequence[FailedRun] = ()
) -> Summary:
    records = [
        steady_record(Case(manager, workload, n), number, latency_ns=us * 1000)
        for manager, by_clients in latencies.items()
        for n, by_round in zip(N, by_clients, strict=False)
        for number, us in enumerate(by_round)
    ]
    return load_summary(save(folder / "r.json", records, failures))


def steady(*latencies: int, rounds: int = 5) -> list[list[int]]:
    """Each round is disturbed as a whole, alike for all managers."""
    return [[us * (10 + number) // 10 for number in range(rounds)] for us in latencies]


def test_a_clear_lead(tmp_path: Path) -> None:
    found = summary(tmp_path, {"sync": steady(50, 200, 800), "async": steady(100, 100, 200)})
    assert sentences(found) == (
        "async overtakes sync from N = 4 (interval: 4 alone) for short requests with"
        " a free child; at N = 16 its"
        " throughput is 4.0 times (4.0 to 4.0) that of sync, its CPU per redo 1.00 times (1.00 to"
        " 1.00: undecided), its p99 latency 0.25 times (0.25 to 0.25).",
    )


def test_a_lead_at_every_n(tmp_path: Path) -> None:
    found = summary(tmp_path, {"sync": steady(200, 200, 800), "async": steady(100, 100, 200)})
    assert sentences(found)[0].startswith(
        "async is ahead of sync at every N from 1 to 16 for short requests with"
        " a free child; at N = 16"
    )


def test_no_lead(tmp_path: Path) -> None:
    found = summary(tmp_path, {"sync": steady(50, 100, 200), "async": steady(100, 200, 400)})
    (only,) = sentences(found)
    assert only.startswith(
        "async overtakes sync at no N from 1 to 16 for short requests with a free child; at N"
    )
    assert "its throughput is 0.50 times (0.50 to 0.50) that of sync" in only


def test_rounds_that_disagree_decide_nothing(tmp_path: Path) -> None:
    even = [[100, 100, 100, 100, 100]] * 3
    either = [[50, 200, 60, 190, 90]] * 3
    (only,) = sentences(summary(tmp_path, {"sync": even, "async": either}))
    assert only.startswith(
        "async and sync are not told apart for short requests with a free child at N = 16: "
    )
    assert ": undecided) that of sync" in only


def test_a_crossover_that_wavers_has_its_bounds(tmp_path: Path) -> None:
    sync = [[100] * 5] * 3
    other = [[150] * 5, [80, 130, 80, 120, 85], [50] * 5]
    (only,) = sentences(summary(tmp_path, {"sync": sync, "async": other}))
    assert only.startswith(
        "async overtakes sync from N = 4 (4 to 16) for short requests with a free child"
    )


def test_one_round_shows_no_interval(tmp_path: Path) -> None:
    one = {"sync": steady(50, 200, rounds=1), "async": steady(100, 100, rounds=1)}
    (only,) = sentences(summary(tmp_path, one))
    assert only == (
        "async overtakes sync from N = 4 (one round shows no interval) for short requests with"
        " a free child; at N = 4"
        " its throughput is 2.0 times that of sync, its CPU per redo 1.00 times, its p99 latency"
        " 0.50 times (one round shows no interval)."
    )


def test_one_n_has_no_crossover(tmp_path: Path) -> None:
    (only,) = sentences(summary(tmp_path, {"sync": steady(300), "async": steady(100)}))
    assert only.startswith(
        "async for short requests with"
        " a free child, at N = 1: its throughput is 3.0 times (3.0 to 3.0) that of sync"
    )


@pytest.mark.parametrize(
    ("managers", "expected"),
    [
        (
            ["sync"],
            "sync for short requests with a free child: there is no result of another manager",
        ),
        (
            ["async"],
            "async for short requests with"
            " a free child: there is no result of sync to compare with.",
        ),
        (
            ["async", "async-uvloop", "floor"],
            "async and async-uvloop for short requests with"
            " a free child: there is no result of sync",
        ),
        (["floor"], "Only yardsticks have a result for short requests with a free child: "),
        (
            ["sync", "floor", "noop-sync"],
            "sync for short requests with a free child: there is no result of another",
        ),
    ],
)
def test_without_a_pair_it_says_so(managers: list[str], expected: str, tmp_path: Path) -> None:
    (only,) = sentences(summary(tmp_path, {name: steady(50, 100) for name in managers}))
    assert only.startswith(expected)


def test_a_manager_that_only_failed_has_no_result(tmp_path: Path) -> None:
    failures = [FailedRun(Case("async", "short", 1), 0, "no child")]
    (only,) = sentences(summary(tmp_path, {"sync": steady(50)}, failures=failures))
    assert (
        only == "sync for short requests with"
        " a free child: there is no result of another manager to compare with."
    )


def test_nothing_in_common(tmp_path: Path) -> None:
    records = [steady_record(Case("sync", "short", 1)), steady_record(Case("async", "short", 2))]
    (only,) = sentences(load_summary(save(tmp_path / "n.json", records)))
    assert only == "async and sync for short requests with a free child: they have no N in common."
    records = [
        steady_record(Case("sync", "short", 1), 0),
        steady_record(Case("async", "short", 1), 1),
    ]
    (only,) = sentences(load_summary(save(tmp_path / "r.json", records)))
    assert (
        only == "async and sync for short requests with"
        " a free child: they have no round in common at N = 1."
    )


def test_a_further_dimension_is_named(tmp_path: Path) -> None:
    records = [steady_record(Case(name, "ping", 1, child="python")) for name in ("sync", "async")]
    (only,) = sentences(load_summary(save(tmp_path / "r.json", records)))
    assert only.startswith("async for ping requests with child=python, at N = 1")


@pytest.mark.parametrize(
    ("dimensions", "said"),
    [
        ({}, "a free child"),
        ({"cost": "pg14"}, "a child as heavy as real redo (pg14)"),
        ({"cost": "us:12+1"}, "a child that burns us:12+1"),
        ({"wait": "spin:20"}, "a free child, wait=spin:20"),
        ({"child": "python"}, "child=python"),
        ({"child": "python", "cost": "pg14"}, "a child as heavy as real redo (pg14), child=python"),
    ],
)
def test_every_sentence_says_for_which_child(
    dimensions: dict[str, Any], said: str, tmp_path: Path
) -> None:
    cases = (replace(Case(name, "short", 1), **dimensions) for name in ("sync", "async"))
    (only,) = sentences(load_summary(save(tmp_path / "r.json", list(map(steady_record, cases)))))
    assert only.startswith(f"async for short requests with {said}, at N = 1: its throughput")
