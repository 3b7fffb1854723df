"""Open loads through the whole suite: the command line, real workers, a result, and going on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cases.config import load_profile
from bench.cases.matrix import cases_of
from bench.cli import run as cli_run
from bench.cli.main import main
from bench.results.summary import load_summary

RUN = (
    "run --profile quick --workload ping --clients 3 --child python --slices 2 --seconds 0.02"
    " --warmup-s 0 --budget-s inf"
)


@pytest.fixture(autouse=True)
def process_as_before(monkeypatch: pytest.MonkeyPatch, handlers: None) -> None:
    """A suite takes over its process; this one has other things to do."""
    monkeypatch.setattr(cli_run, "adopt_orphans", lambda: None)


def run(command: str, path: Path) -> int:
    return main([*command.split(), str(path)])


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "r.json"
    load = "closed,open:50%,open:2000"
    assert run(f"{RUN} --manager sync,async --rounds 1 --load {load} -o", path) == 0
    return path


def test_open_loads_are_measured_and_go_on(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--resume", str(suite), "--rounds", "2"]) == 0
    assert "coordinated omission" in " ".join(capsys.readouterr().out.split())
    summary = load_summary(suite)
    assert summary.failures == ()
    assert summary.rounds == (1, 2)
    rows = {(row.case.manager, row.case.load): row for row in summary.rows}
    for manager in ("sync", "async"):
        closed, half, fixed = (rows[manager, load] for load in ("closed", "open:50%", "open:2000"))
        assert not any(key.startswith("redo_open_") for key in closed.further)
        assert closed.throughput_per_s is not None
        reached = dict(closed.throughput_per_s.by_round)
        for number, offered in half.further["redo_open_offered_per_s"].by_round:
            # Two slices of 30 arrivals or more, which scatter by their square root.
            assert 0.1 < offered / reached[number] < 1.2
        # Slices are stretched to 30 arrivals of 0.5 ms each: the same in both managers.
        assert fixed.further["redo_open_offered_per_s"].by_round == (
            rows["sync", "open:2000"].further["redo_open_offered_per_s"].by_round
        )
        for row in (half, fixed):
            assert row.latency_p99_s is not None
            assert row.latency_p99_s.median >= row.further["redo_open_from_call_p99"].median > 0
    first, second = (value for _, value in fixed.further["redo_open_offered_per_s"].by_round)
    assert first != second, "each round has arrivals of its own"


def test_show_json_has_them(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["show", str(suite), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    (panel,) = data["experiments"]["open_loop"]
    assert [one["manager"] for one in panel["managers"]] == ["sync", "async"]
    further = {(case["manager"], case["load"]): case["further"] for case in data["cases"]}
    assert "redo_open_overloaded" in further["sync", "open:50%"]
    assert not any(key.startswith("redo_open_") for key in further["sync", "closed"])


def test_a_manager_without_a_child_has_open_loads_too(tmp_path: Path) -> None:
    path = tmp_path / "noop.json"
    managers = "noop-sync,noop-async"
    assert run(f"{RUN} --manager {managers} --rounds 1 --load open:5000 -o", path) == 0
    for row in load_summary(path).rows:
        assert row.latency_p50_s is not None
        assert row.further["redo_open_offered_per_s"].median == pytest.approx(5000, rel=0.5)


def test_the_profile_has_a_closed_loop_for_every_manager() -> None:
    cases = cases_of(load_profile("open-loop"))
    managers = {case.manager for case in cases}
    assert managers == {"sync", "async", "async-uvloop"}
    assert {case.manager for case in cases if case.load == "closed"} == managers
