"""What is shown of many tenants: on made-up machines whose knee and crossover are known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from bench.cases.case import Case
from bench.cases.notations import PER_TENANT, SHARED
from bench.experiments.registry import VIEWS
from bench.results.record import FailedRun, RunRecord
from bench.show.pictures.choice import draw
from bench.show.summary import as_data
from tests.support.printed import shown
from tests.support.synthetic import reading, steady_record, summary_of

CLIENTS = (1, 2, 4, 8, 16)
SERVICE_US = {
    # Saturated at N = 2, and slower with many tenants.
    "sync": {1: 100, 2: 100, 4: 200, 8: 500, 16: 1200},
    # Saturated at N = 4.
    "async": {1: 110, 2: 110, 4: 110, 8: 220, 16: 440},
}
"""Time per redo by N with many tenants; with one manager for all it is half of that."""


def records(
    rounds: int, topologies: tuple[str, ...] = (SHARED, PER_TENANT), workload: str = "short"
) -> list[RunRecord]:
    random = np.random.default_rng(5)
    made = []
    for number in range(rounds):
        slower = random.uniform(1, 2)
        for topology in topologies:
            share = 1.0 if topology == PER_TENANT else 0.5
            for manager, by_clients in SERVICE_US.items():
                for clients, us in by_clients.items():
                    case = Case(manager, workload, clients, topology=topology)
                    latency_ns = round(us * 1000 * share * slower * random.normal(1, 0.005))
                    made.append(steady_record(case, number, latency_ns=latency_ns))
    return made


def rows(lines: list[str], manager: str) -> list[list[str]]:
    """The cells of the lines of a manager, without the N before it."""
    cells = [line.split() for line in lines]
    return [one[one.index(manager) :] for one in cells if manager in one[:2]]


def test_the_view_covers_the_tenants_alone(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, records(2))
    cases = [row.case for row in summary.rows]
    assert {case.topology for case in VIEWS.covered(cases)} == {PER_TENANT}
    assert len(VIEWS.covered(cases)) == len(cases) / 2
    assert VIEWS.of([Case("sync", "short", 1)]) == ()


def test_the_tables_tell_knee_and_crossover(tmp_path: Path) -> None:
    lines = shown(summary_of(tmp_path, records(5))).splitlines()
    begin = next(i for i, line in enumerate(lines) if "topology=per-tenant" in line)
    assert lines[begin].startswith(
        "short, topology=per-tenant: async is ahead of sync from N = 4 on, 2.7x at N = 16; knee: "
    )
    assert "sync 2, async 4" in " ".join(" ".join(lines[begin : begin + 2]).split())
    of_view = lines[begin + 2 :]
    *by_n, knee = rows(of_view, "async")
    assert len(by_n) == len(CLIENTS)
    assert [cells[5] for cells in by_n] == ["0.91", "0.91", "1.82", "2.27", "2.73"]
    assert all(cells[-1] == "0.50" for cells in by_n)
    assert (knee[1], knee[-4:]) == ("4", ["4", "(4", "to", "4)"])
    assert knee[-5] == "4"
    *_, knee = rows(of_view, "sync")
    assert (knee[1], knee[-2], knee[-1]) == ("2", "2", "-")


def test_lines_fit(tmp_path: Path) -> None:
    text = shown(summary_of(tmp_path, records(5)), 80, parts=("experiments",), legend=True)
    assert "N tenants: N managers" in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80


def test_intervals_that_say_nothing_stay_short(tmp_path: Path) -> None:
    """Two rounds that contradict each other."""
    made = [
        steady_record(_case(manager, clients), number, latency_ns=ns)
        for number, by_manager in enumerate(({"sync": 100, "async": 5}, {"sync": 5, "async": 100}))
        for manager, ns in by_manager.items()
        for clients in CLIENTS
    ]
    lines = shown(summary_of(tmp_path, made)).splitlines()
    first = next(cells for cells in rows(lines, "async") if "(<0.01->999)" in cells)
    assert first[5] == "1.00"


def test_one_round_shows_no_interval_and_no_pair_no_ratio(tmp_path: Path) -> None:
    alone = [one for one in records(1, (PER_TENANT,)) if one.case != _case("sync", 16)]
    lines = shown(summary_of(tmp_path, alone)).splitlines()
    begin = next(i for i, line in enumerate(lines) if "topology=per-tenant" in line)
    *by_n, knee = rows(lines[begin + 2 :], "async")
    assert by_n[0][5:] == ["0.91", "(?)"]
    assert by_n[-1][5:] == ["-"]
    assert knee[1:3] == ["4", "(?)"]


def _case(manager: str, clients: int) -> Case:
    return Case(manager, "short", clients, topology=PER_TENANT)


def test_a_case_that_only_failed_has_no_numbers(tmp_path: Path) -> None:
    failure = FailedRun(_case("async", 32), 0, "no more children")
    lines = shown(summary_of(tmp_path, records(2), [failure])).splitlines()
    (failed,) = [cells for cells in rows(lines, "async") if set(cells[1:]) == {"-"}]
    assert len(failed) == 7


def test_only_failures_are_shown_as_such(tmp_path: Path) -> None:
    failures = [FailedRun(_case("async", 32), 0, "no more children")]
    summary = summary_of(tmp_path, records(2, (SHARED,)), failures)
    lines = shown(summary).splitlines()
    assert "short, topology=per-tenant: no result" in (line.strip() for line in lines)
    assert not any("The knee" in line for line in lines)
    (data,) = as_data(reading(summary))["experiments"]["tenants"]
    assert data["knees"] == data["throughput_to_sync"] == []
    draw(reading(summary), tmp_path / "p", ("svg",))
    assert "no result" in (tmp_path / "p-tenants.svg").read_text()


def test_the_data(tmp_path: Path) -> None:
    (data,) = as_data(reading(summary_of(tmp_path, records(5))))["experiments"]["tenants"]
    assert data["group"] == "short, topology=per-tenant"
    assert {one["manager"]: one["clients"] for one in data["knees"]} == {"sync": 2, "async": 4}
    assert {one["manager"]: one["clients"] for one in data["shared_knees"]} == {
        "sync": 2,
        "async": 4,
    }
    to_sync = {one["clients"]: one for one in data["throughput_to_sync"]}
    assert set(to_sync) == set(CLIENTS)
    for clients, us in SERVICE_US["sync"].items():
        expected = us / SERVICE_US["async"][clients]
        assert to_sync[clients]["ratio"] == pytest.approx(expected, rel=0.02)
        assert to_sync[clients]["low"] <= to_sync[clients]["ratio"] <= to_sync[clients]["high"]
    ratios = [one["ratio"] for one in data["throughput_to_shared"]]
    assert len(ratios) == 2 * len(CLIENTS)
    assert ratios == pytest.approx([0.5] * len(ratios), rel=0.02)


@pytest.mark.parametrize("workloads", [("short",), ("short", "medium")])
def test_the_figure(tmp_path: Path, workloads: tuple[str, ...]) -> None:
    made = [one for workload in workloads for one in records(3, workload=workload)]
    files = draw(reading(summary_of(tmp_path, made)), tmp_path / "p", ("svg",))
    drawn: Mapping[str, str] = {path.name: path.read_text() for path in files}
    svg = drawn["p-tenants.svg"]
    for said in ("one manager for all", "time per redo", ">knee</text>"):
        assert said in svg
    text = " ".join(re.findall(r">([^<>]+)</", svg))
    for workload in workloads:
        assert f"{workload}, topology=per-tenant: async is ahead of sync from N = 4 on" in text
    assert text.count("knee: sync 2, async 4") == len(workloads)
    # Every N of both managers, at its point.
    assert svg.count(">16</text>") == 2 * len(workloads)


def test_shared_is_not_drawn_where_it_was_not_measured(tmp_path: Path) -> None:
    files = draw(reading(summary_of(tmp_path, records(3, (PER_TENANT,)))), tmp_path / "p", ("svg",))
    assert [path.name for path in files] == ["p-tenants.svg"]
    assert "one manager for all" not in files[0].read_text()
