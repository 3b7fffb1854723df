"""The view of shared memory beside pipes, on runs whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.cases.config import load_profile
from bench.cases.matrix import cases_of
from bench.experiments.published.reference import load
from bench.experiments.registry import VIEWS
from bench.experiments.transport import view as transport_view
from bench.experiments.transport.view import REFERENCE, TransportView, published_ratios
from bench.results.summary import Summary
from bench.show.pictures.choice import draw
from bench.show.summary import as_data
from tests.support.printed import shown
from tests.support.synthetic import reading, steady_record, summary_of

VIEW = TransportView()
FASTER: Mapping[tuple[str, str], float] = {
    ("floor", "park"): 2.0,
    ("sync", "park"): 1.0,
    ("sync", "spin:200"): 4.0,
    ("async", "park"): 1.25,
    ("async", "spin:200"): 8.0,
}
"""How many times the throughput over shared memory is that over pipes."""


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    records = []
    for number in range(3):
        for (manager, wait), faster in FASTER.items():
            for clients in (1, 8):
                case = Case(manager, "short", clients, wait=wait)
                shared = Case(manager, "short", clients, wait=wait, transport="shm")
                ns = (80_000 + 800 * number) * (2 if manager == "sync" and clients == 8 else 1)
                records.append(steady_record(case, number, latency_ns=ns))
                records.append(steady_record(shared, number, latency_ns=int(ns / faster)))
        alone = Case("floor", "short", 1, wait="spin:200", transport="shm")
        records.append(steady_record(alone, number))
    return summary_of(tmp_path, records)


def test_each_case_stands_beside_the_same_over_pipes(summary: Summary) -> None:
    data = as_data(reading(summary))["experiments"]["transport"]
    (group,) = data["groups"]
    of = {(one["manager"], one["wait"], one["clients"]): one for one in group["cases"]}
    assert ("floor", "spin:200", 1) not in of
    for (manager, wait), faster in FASTER.items():
        ratio = of[manager, wait, 8]["throughput_to_pipes"]["ratio"]
        assert ratio == pytest.approx(faster, rel=0.01)
    spun = of["async", "spin:200", 8]
    assert spun["turn_p50_to_pipes"]["ratio"] == pytest.approx(1 / 8, rel=0.01)
    assert spun["turn_p99_to_pipes"]["high"] < 1
    assert "cpu_total_to_pipes" in spun
    assert data["published"]["short"][0] == {
        "clients": 1,
        "value": pytest.approx(7.711 / 4.6662),
        "low": pytest.approx(1.64, abs=0.01),
        "high": pytest.approx(1.66, abs=0.01),
    }


def test_what_is_printed_has_the_ends_and_the_crossover_with_each(summary: Summary) -> None:
    text = shown(summary)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 100
    words = " ".join(text.split())
    assert (
        "short: throughput over shared memory to that over pipes: 1.00x (1.00-1.00) (sync) to"
        " 8.00x (8.00-8.00) (async, spin:200) at N = 1;"
    ) in words
    assert "to that over pipes: short 1.65x at N = 1, 1.45x at N = 2" in words
    # All conditions in one table would be too wide.
    assert "Ratio to sync at N = 8 (95 % CI), transport=shm, wait=spin:200" in words
    verdict = as_data(reading(summary))["verdict"]["rows"]
    assert {row["conditions"] for row in verdict if row["manager"] == "async"} == {
        "",
        "wait=spin:200",
        "transport=shm",
        "transport=shm, wait=spin:200",
    }


def test_the_figure_is_drawn_and_one_transport_has_none(summary: Summary, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    paths = draw(reading(summary), tmp_path / "out", ("svg",), only=["transport"])
    assert [path.name for path in paths] == ["transport.svg"]
    assert paths[0].stat().st_size > 1000
    shared = [row.case for row in summary.rows if row.case.transport == "shm"]
    assert VIEW.covered(shared) == frozenset()


def test_the_profile_has_its_view_and_the_ordinary_tables() -> None:
    cases = cases_of(load_profile("transport"))
    assert [view.name for view in VIEWS.of(cases)] == ["transport"]
    assert VIEWS.covered(cases) == frozenset()
    unpaired = set(cases) - VIEW.covered(cases)
    assert {(case.manager, case.transport, case.wait) for case in unpaired} == {
        ("floor", "shm", "spin:200")
    }


def test_published_figures_are_those_of_both_transports() -> None:
    (table,) = load(REFERENCE).tables
    ratios = published_ratios(table)
    assert {name: list(by) for name, by in ratios.items()} == {
        "short": [1, 2, 4, 8, 16],
        "medium": [1, 2, 4, 8],
    }
    assert ratios["short"][16].value == pytest.approx(257.44 / 149.77)


def test_without_the_published_figures_the_rest_is_shown(
    summary: Summary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_view, "REFERENCE", tmp_path / "none.json")
    assert VIEW.data(summary)["published"] is None
    json.dumps(VIEW.data(summary))
    assert "none.json, the published figures, cannot be read" in " ".join(shown(summary).split())
