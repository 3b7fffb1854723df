"""The views of executors, fairness and CPU, on runs whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.cases.case import Case
from bench.experiments.cpu.view import CpuView
from bench.experiments.executor.view import ExecutorView
from bench.experiments.fairness.view import FairnessView
from bench.results.record import FailedRun, RunRecord, Usage
from bench.results.summary import Summary
from bench.show.families import families, lines
from bench.show.pictures import figures
from bench.show.pictures.choice import draw
from bench.show.summary import as_data
from tests.support.printed import shown
from tests.support.synthetic import USAGE, int64s, reading, steady_record, summary_of

EXECUTOR, FAIRNESS, CPU = ExecutorView(), FairnessView(), CpuView()
ROUNDS = 5
MB = 1_000_000


def words_of(summary: Summary) -> str:
    """What is printed, in one line; it fits into 100 columns."""
    text = shown(summary)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 100
    assert "…" not in text
    return " ".join(text.split())


def limited(clients: int, executor: str) -> int:
    return clients if executor == "per-client" else min(clients, int(executor))


@pytest.fixture
def executors(tmp_path: Path) -> Summary:
    """In flight as many as threads; 1 MB and 10 kB for each redo in flight; async is twice as
    fast as sync with a thread each, which is as fast as sync on 4."""
    cases = [Case("async", "short", n) for n in (1, 64)]
    cases += [Case("sync", "short", n, executor=e) for n in (1, 64) for e in ("per-client", "4")]
    records = []
    for number in range(ROUNDS):
        for case in cases:
            at_once = limited(case.clients, case.executor)
            facts = {
                "redo_counter_in_flight_peak": at_once,
                "redo_worker_peak_rss_bytes": MB + 10_000 * at_once,
            }
            ns = 50_000 * (1 if case.manager == "async" else 2) + 10 * number
            records.append(
                replace(steady_record(case, number, latency_ns=ns), worker_metadata=facts)
            )
    return summary_of(tmp_path, records)


def test_in_flight_against_threads(executors: Summary) -> None:
    text = words_of(executors)
    peaks = "at N = 64 most in flight: sync, a thread each 64, sync on 4 threads 4, async 64"
    assert f"short: {peaks}" in text
    ratios = "sync, a thread each 0.50x (0.50-0.50), sync on 4 threads 0.50x (0.50-0.50)"
    assert f"throughput to that of async: {ratios}" in text
    assert "/floor" not in text, "no ordinary table repeats them"
    (group,) = as_data(reading(executors))["experiments"]["executor"]
    by = {(one["manager"], one["executor"], one["clients"]): one for one in group["cases"]}
    assert len(by) == 6
    on_four = by["sync", "4", 64]
    assert (on_four["in_flight_peak"], on_four["peak_rss_added_bytes"]) == (4, 30_000)
    assert by["async", "per-client", 64]["peak_rss_added_bytes"] == 630_000
    assert by["async", "per-client", 1]["peak_rss_added_bytes"] is None
    assert on_four["throughput_to_async"]["ratio"] == pytest.approx(0.5, rel=0.01)
    assert by["async", "per-client", 64]["throughput_to_async"] is None


def test_lines_have_the_default_first_and_threads_by_number(tmp_path: Path) -> None:
    choices = ("16", "4", "ncpus", "per-client")
    records = [steady_record(Case("sync", "short", n, executor=e)) for e in choices for n in (8, 2)]
    summary = summary_of(tmp_path, records)
    cases = [row.case for row in summary.rows]
    (family,) = families(summary, ("executor",), EXECUTOR.covered(cases))
    found = [line.case.executor for line in lines(family)]
    assert found == ["per-client", "ncpus", "4", "16"]
    assert all([r.case.clients for r in line.rows] == [2, 8] for line in lines(family))


def test_views_take_what_is_theirs() -> None:
    plain, shared = Case("sync", "short", 8), Case("sync", "short", 8, executor="4")
    keeps, both = replace(plain, pause="none"), replace(shared, pause="none")
    loaded = replace(plain, background_load=2)
    other = Case("sync", "medium", 8)
    for view in (EXECUTOR, FAIRNESS, CPU):
        assert view.covered([plain, other]) == frozenset()
    assert EXECUTOR.covered([plain, shared, other]) == {plain, shared}
    assert FAIRNESS.covered([plain, keeps, other]) == {plain, keeps}
    assert EXECUTOR.covered([plain, keeps, shared, both]) == frozenset()
    assert FAIRNESS.covered([plain, keeps, shared, both]) == {plain, keeps, shared, both}
    assert CPU.covered([plain, loaded, other]) == {plain, loaded}


def test_fairness_shows_who_is_starved(tmp_path: Path) -> None:
    def record(case: Case, number: int, *redos: int) -> RunRecord:
        one = steady_record(case, number).samples[0]
        shares = int64s(*redos)
        uneven = replace(
            one,
            redos=shares,
            latency_ns=np.full(sum(redos), 50_000, dtype=np.int64),
            redo_end_ns=None,
        )
        return RunRecord(case, number, (uneven,), USAGE)

    gives, keeps = Case("sync", "short", 4), Case("sync", "short", 4, pause="none")
    records = [record(gives, n, 10, 10, 10, 10) for n in range(ROUNDS)]
    records += [record(keeps, n, 37, 1, 1, 1) for n in range(ROUNDS)]
    summary = summary_of(tmp_path, records)
    text = words_of(summary)
    jain = 40**2 / (4 * (37**2 + 3))
    said = f"yielding 1.00 to 1.00, going on {jain:.2f} to {jain:.2f}; lowest with sync, goes on"
    assert f"short: Jain's index at N = 4: {said}" in text
    (group,) = as_data(reading(summary))["experiments"]["fairness"]
    by = {one["pause"]: one for one in group["cases"]}
    assert by["none"]["jain"] == pytest.approx(jain)
    assert by["none"]["slowest_share"] == pytest.approx(0.1)
    assert by["yield"]["slowest_share"] == 1


@pytest.fixture
def cpu(tmp_path: Path) -> Summary:
    """On 2 CPUs async needs half of sync's CPU at N = 2, twice as much at N = 8; the manager has
    60 % of it, 80 % beside busy processes."""
    records = []
    for number in range(ROUNDS):
        for load, part in ((0, 0.6), (2, 0.8)):
            for manager, by_clients in (("sync", (1, 1)), ("async", (0.5, 2))):
                for clients, factor in zip((2, 8), by_clients, strict=True):
                    cpu_s = 0.01 * factor * clients * (1 + number / 1000)
                    usage = Usage(
                        manager_cpu_s=cpu_s * part,
                        child_cpu_s=cpu_s * (1 - part),
                        manager_voluntary_switches=40 * clients,
                        manager_involuntary_switches=20 * clients,
                    )
                    case = Case(manager, "short", clients, background_load=load)
                    record = steady_record(case, number)
                    records.append(replace(record, usage=usage, worker_metadata={"redo_cpus": 2}))
    return summary_of(tmp_path, records)


def test_cpu_says_where_the_claim_holds(cpu: Summary) -> None:
    text = words_of(cpu)
    sides = "async needs less CPU than sync at N = 2; more at N = 8"
    assert f"short, with no busy process: {sides} (claimed: less at 0.5 to 1.5 x CPUs" in text
    assert "so at 2 of 2 N)" in text
    assert "child use at N = 8: 60% with no busy, 80% with 2 busy" in text
    (group,) = as_data(reading(cpu))["experiments"]["cpu"]
    by = {(o["manager"], o["background_load"], o["clients"]): o for o in group["cases"]}
    one = by["async", 2, 8]
    assert one["cpu_to_sync"]["ratio"] == pytest.approx(2)
    assert one["manager_share"] == pytest.approx(0.8)
    assert one["cpus"] == 2
    assert one["switches_manager_per_redo"] == pytest.approx(60 / 40)
    assert one["switches_child_per_redo"] is None
    assert by["sync", 2, 8]["cpu_to_sync"] is None
    # 40 redos of 50 us by 8 clients: 0.16 s of CPU in 2 ms.
    assert one["busy_cpus"] == pytest.approx(one["cpu_total_s"] * 8 / 50e-6)


def test_one_round_tells_nothing_apart(tmp_path: Path) -> None:
    cases = [Case(m, "short", 2, background_load=b) for m in ("sync", "async") for b in (0, 1)]
    text = words_of(summary_of(tmp_path, [steady_record(case) for case in cases]))
    assert "async compared with sync: no significant difference at N = 2" in text
    assert "(claimed" not in text, "N / CPUs is not known"


@pytest.mark.parametrize("made", ["executors", "cpu"])
def test_figures_are_written_whatever_is_known(
    made: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    summary: Summary = request.getfixturevalue(made)
    names = {"executors": "executor", "cpu": "cpu"}
    (tmp_path / "out").mkdir()
    paths = draw(reading(summary), tmp_path / "out", ("svg",))
    assert [path.name for path in paths] == [f"{names[made]}.svg"]
    assert paths[0].stat().st_size > 1000


def test_where_every_run_failed_there_is_a_figure_without_lines(tmp_path: Path) -> None:
    case = Case("sync", "short", 8, executor="4")
    record = steady_record(Case("sync", "medium", 8))
    summary = summary_of(tmp_path, [record], [FailedRun(case, 0, "no thread")])
    assert list(EXECUTOR.tables(summary)) == []
    assert EXECUTOR.data(summary) == []
    figures.write(tmp_path / "x.svg", lambda: EXECUTOR.figure("executor", summary))
    json.dumps(as_data(reading(summary)))
