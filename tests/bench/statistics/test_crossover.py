"""The N from which async is better: on made-up machines whose crossover is known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from bench.cases.case import Case
from bench.results.summary import load_summary
from bench.show.findings import better_from
from bench.show.summary import as_data
from bench.statistics.crossover import MEASURES, Crossover, crossovers, leads
from tests.support.printed import shown
from tests.support.synthetic import reading, save, steady_record

CLIENTS = (1, 2, 4, 8, 16)


def found(
    folder: Path,
    async_us: Mapping[int, float],
    *,
    scatter: float = 0.01,
    rounds: int = 7,
    manager: str = "async",
) -> dict[str, Crossover]:
    """The crossovers by measure where sync takes 100 us at every N and async what is given."""
    random = np.random.default_rng(4)
    records = []
    for number in range(rounds):
        disturbed = random.uniform(1, 2)
        for clients, us in async_us.items():
            for name, mean_us in ((manager, us), ("sync", 100.0)):
                latency_ns = round(mean_us * 1000 * disturbed * random.normal(1, scatter))
                case = Case(name, "short", clients)
                records.append(steady_record(case, number, latency_ns=latency_ns))
    summary = load_summary(save(folder / "r.json", records))
    (group,) = summary.groups()
    return {one.measure: one for one in crossovers(group)}


def said_of(folder: Path, one: Crossover) -> str:
    """What tables say of a crossover that was `found` there."""
    (group,) = load_summary(folder / "r.json").groups()
    return better_from(leads(group, one.manager, one.measure), one)


@pytest.mark.parametrize(
    ("async_us", "clients", "said"),
    [
        ([150, 120, 90, 60, 40], 4, "4 (4 to 4)"),
        ([90, 80, 70, 60, 50], 1, "every N"),
        ([150, 140, 130, 120, 110], None, "no N"),
        # Better once in between is not better from there on.
        ([150, 80, 120, 60, 40], 8, "8 (8 to 8)"),
        ([80, 80, 80, 80, 120], None, "1 to 8 only"),
        ([80, 120, 80, 120, 120], None, "1, 4 only"),
    ],
)
def test_the_crossover_is_where_the_curves_cross_for_good(
    tmp_path: Path, async_us: list[float], clients: int | None, said: str
) -> None:
    by_measure = found(tmp_path, dict(zip(CLIENTS, async_us, strict=True)))
    assert set(by_measure) == set(MEASURES)
    for measure in ("throughput_per_s", "time_per_redo_s", "turn_p99_s"):
        one = by_measure[measure]
        assert (one.clients, one.low, one.high) == (clients, clients, clients)
        assert one.measured == CLIENTS
        assert said_of(tmp_path, one) == said


def test_equal_cpu_is_not_better(tmp_path: Path) -> None:
    assert found(tmp_path, dict.fromkeys(CLIENTS, 50.0))["cpu_total_s"].clients is None


def test_what_is_nearly_alike_widens_the_interval(tmp_path: Path) -> None:
    near = {1: 150, 2: 120, 4: 100.5, 8: 99, 16: 60}
    one = found(tmp_path, near, scatter=0.03)["time_per_redo_s"]
    assert (one.low, one.high) in {(4, 16), (4, 8), (8, 16)}
    assert one.clients in (4, 8, 16)


def test_the_interval_holds_the_truth(tmp_path: Path) -> None:
    """Of many machines that cross between 4 and 8: how often 8 is in the interval."""
    rng = np.random.default_rng(9)
    held, tries = 0, 20
    for number in range(tries):
        us = {2: 120.0, 4: 103.0, 8: 97.0, 16: 70.0}
        moved = {n: value * rng.normal(1, 0.004) for n, value in us.items()}
        one = found(tmp_path / str(number), moved, scatter=0.03)["time_per_redo_s"]
        held += (one.low or 99) <= 8 <= (one.high or 99)
    assert held >= 17


def test_one_round_has_no_interval(tmp_path: Path) -> None:
    one = found(tmp_path, dict.fromkeys(CLIENTS, 50.0), rounds=1)["time_per_redo_s"]
    assert not one.known
    assert said_of(tmp_path, one) == "1 (?)"


def test_one_n_crosses_nothing(tmp_path: Path) -> None:
    assert found(tmp_path, {8: 50.0}) == {}


def test_yardsticks_are_not_compared(tmp_path: Path) -> None:
    assert found(tmp_path, {1: 50.0, 8: 50.0}, manager="noop-async") == {}
    assert found(tmp_path / "f", {1: 50.0, 8: 50.0}, manager="floor") == {}
    assert len(found(tmp_path / "u", {1: 50.0, 8: 50.0}, manager="async-uvloop")) == len(MEASURES)


def test_rounds_that_a_case_lacks_do_not_count(tmp_path: Path) -> None:
    records = [
        steady_record(Case(manager, "short", clients), number, latency_ns=1000 * us)
        for clients in (1, 8)
        for manager, us in (("async", 50), ("sync", 100))
        for number in range(3)
        if (manager, clients, number) != ("async", 8, 0)
    ]
    # It would be worse in the round that is not whole.
    records[0] = steady_record(Case("async", "short", 1), 0, latency_ns=9_000_000)
    summary = load_summary(save(tmp_path / "r.json", records))
    one = {one.measure: one for one in crossovers(summary.groups()[0])}["time_per_redo_s"]
    assert (one.clients, one.low, one.high) == (1, 1, 1)


def test_show_prints_and_gives_them(tmp_path: Path) -> None:
    found(tmp_path, {1: 150, 4: 90, 8: 60})
    summary = load_summary(tmp_path / "r.json")
    lines = shown(summary, width=80).splitlines()
    line = next(line for line in lines if line.startswith("async, short"))
    assert re.split(" {2,}", line.strip()) == ["async, short", *["4 (4 to 4)"] * 3, "no N"]
    data = as_data(reading(summary))["crossovers"]
    assert {one["measure"]: one["clients"] for one in data} == {
        "throughput_per_s": 4,
        "time_per_redo_s": 4,
        "turn_p99_s": 4,
        "cpu_total_s": None,
    }
    assert {one["group"] for one in data} == {"short"}


def test_two_rounds_that_differ_leave_the_crossover_open(tmp_path: Path) -> None:
    """Of two rounds each draw lies between them: without stretching the interval would be sure."""
    records = [
        steady_record(Case(manager, "short", clients), number, latency_ns=1000 * us)
        for clients in (1, 8)
        for manager, by_round in (("sync", (100, 100)), ("async", (90, 40)))
        for number, us in enumerate(by_round)
    ]
    (group,) = load_summary(save(tmp_path / "r.json", records)).groups()
    one = next(one for one in crossovers(group) if one.measure == "throughput_per_s")
    assert (one.clients, one.low, one.high) == (1, 1, None)
