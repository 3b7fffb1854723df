"""What is said of admissions, on results whose truth is known."""

from __future__ import annotations

import json
from array import array
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.experiments.admission.view import finding, panels, verdict
from bench.results.measures.admission import admission_measures
from bench.results.record import FailedRun, RunRecord
from bench.results.samples import int64s_from
from bench.results.summary import Summary
from bench.running.processes import RunFailedError
from bench.show.notes import notes
from bench.show.pictures.choice import draw
from bench.show.summary import as_data
from tests.support.made_up_runs import RUN, Bench
from tests.support.printed import shown
from tests.support.synthetic import ENVIRONMENT, reading, steady_record, summary_of

KIB = 1024
BUDGET = replace(ENVIRONMENT, config_json=json.dumps({"read_path": {"budget_bytes": 40 * KIB}}))
OVER = "OverBudgetError: over budget: data of 5 x 10240 bytes is more than 40960"


def case_of(admission: str, manager: str = "sync", clients: int = 8) -> Case:
    return Case(manager, "short", clients, admission=admission)


def run_of(
    case: Case,
    number: int = 0,
    *,
    collecting: int = 8,
    redoing: int = 8,
    idle: float = 0.0,
    latency_ns: int = 50_000,
) -> RunRecord:
    """Both slices alike, but for the first, whose peaks are half; ``idle`` is of the wall."""
    record = steady_record(case, number, latency_ns=latency_ns)
    wall_ns = 20 * latency_ns
    redo_ns = int64s_from(array("q", [1000] * 98 + [5000] * 2).tobytes())

    def counts(collecting: int, redoing: int) -> dict[str, int]:
        return {
            "held_peak_bytes": collecting * KIB,
            "collecting_peak": collecting,
            "redoing_peak": redoing,
            "child_idle_ns": round(idle * wall_ns),
        }

    return replace(
        record,
        series=({"redo_ns": redo_ns},) * 2,
        counts=(counts(collecting // 2, redoing // 2), counts(collecting, redoing)),
    )


def test_measures_of_a_run() -> None:
    record = run_of(case_of("both:4,2"), collecting=4, redoing=2, idle=0.25)
    assert admission_measures(record) == {
        "redo_admission_held_peak": 4 * KIB,
        "redo_admission_collecting_peak": 4,
        "redo_admission_redoing_peak": 2,
        "redo_admission_child_idle": pytest.approx(0.25),
        "redo_admission_redo_p50": 1e-6,
        "redo_admission_redo_p99": 5e-6,
    }


def test_a_run_without_a_read_path_has_none_of_them() -> None:
    assert admission_measures(steady_record(Case("sync", "short", 8))) == {}
    other = replace(steady_record(Case("sync", "short", 8)), counts=({"launches": 3},) * 2)
    assert admission_measures(other) == {}


def four(manager: str = "sync", rounds: int = 3) -> list[RunRecord]:
    """before:2 at half the throughput of no limit, with a child that idles; both:4,2 at 0.8."""
    return [
        record
        for number in range(rounds)
        for record in (
            run_of(case_of("unlimited", manager), number),
            run_of(
                case_of("before:2", manager),
                number,
                collecting=2,
                redoing=2,
                idle=0.5,
                latency_ns=100_000,
            ),
            run_of(case_of("after:2", manager), number, redoing=2),
            run_of(
                case_of("both:4,2", manager), number, collecting=4, redoing=2, latency_ns=62_500
            ),
        )
    ]


def test_the_verdict_says_what_each_bounds_and_at_which_price(tmp_path: Path) -> None:
    (panel,) = panels(summary_of(tmp_path, four(), environment=BUDGET))
    assert [line.admission for line in panel.lines] == [
        *("unlimited", "before:2", "after:2", "both:4,2")
    ]
    assert verdict(panel, "sync") == (
        "sync, N = 8: unlimited bounds neither: 8.00 KiB held, child idle 0%; before:2 bounds"
        " memory and redos in flight: 2.00 KiB held, 0.50x (0.50-0.50) of unlimited's throughput,"
        " child idle 50%; after:2 bounds redos in flight only: 8.00 KiB held, 1.00x (1.00-1.00) of"
        " unlimited's throughput, child idle 0%; both:4,2 bounds memory and redos in flight:"
        " 4.00 KiB held, 0.80x (0.80-0.80) of unlimited's throughput, child idle 0%."
    )
    assert finding(panel) == "N = 8: memory bounded fastest by both:4,2 (sync 0.80x of unlimited)"


def test_what_grows_in_a_single_run_is_not_bounded(tmp_path: Path) -> None:
    case = case_of("before:2")
    records = [run_of(case, number, collecting=2) for number in range(3)] + [run_of(case, 3)]
    (panel,) = panels(summary_of(tmp_path, records, environment=BUDGET))
    assert panel.lines[0].bounds_memory is False


def over_budget(folder: Path) -> Summary:
    records = [one for one in four() if one.case.admission in ("before:2", "both:4,2")]
    failures = [
        FailedRun(case_of(name), number, OVER)
        for name in ("unlimited", "after:2")
        for number in range(3)
    ]
    return summary_of(folder, records, failures, environment=BUDGET)


def test_what_ran_over_budget_is_shown(tmp_path: Path) -> None:
    summary = over_budget(tmp_path)
    (panel,) = panels(summary)
    said = verdict(panel, "sync")
    assert said.startswith(
        "sync, N = 8: unlimited and after:2 run over the budget of 40.0 KiB; before:2 bounds"
    )
    assert finding(panel).startswith("N = 8: unlimited and after:2 over budget; memory bounded")
    text = shown(summary)
    rows = [line.split() for line in text.splitlines() if line.split()[-4:-2] == ["over", "budget"]]
    assert [next(cell for cell in row if cell != "sync") for row in rows] == [
        "unlimited",
        "after:2",
    ]
    assert "find the cause" not in text
    marks = [note for note in notes(summary) if note.kind == "over-budget"]
    assert [note.case for note in marks] == [case_of("after:2"), case_of("unlimited")]
    assert "ended 3 times, over budget: data of 5 x 10240 bytes" in marks[0].text


def test_another_failure_is_not_hidden_by_those_over_budget(tmp_path: Path) -> None:
    case = case_of("unlimited")
    failures = [FailedRun(case, 0, OVER), FailedRun(case, 1, "wrong page")]
    summary = summary_of(tmp_path, four(), failures, environment=BUDGET)
    (mark,) = [note for note in notes(summary) if note.kind in ("failed", "over-budget")]
    assert mark.kind == "failed"
    assert "wrong page" in mark.text


def test_the_table_has_a_line_per_admission_and_fits(tmp_path: Path) -> None:
    records = [*four("sync"), *four("async-uvloop")]
    text = shown(summary_of(tmp_path, records, environment=BUDGET))
    lines = text.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 100
    assert "…" not in text
    (both, _) = [line.split() for line in lines if line.split()[:1] == ["both:4,2"]]
    assert both == [
        *("both:4,2", "128.0", "0", "0.80", "62.5", "62.5", "5.00", "4.00", "2", "0"),
    ]
    # They have no ordinary table besides.
    assert "t/redo" not in text


def test_as_data(tmp_path: Path) -> None:
    (load,) = as_data(reading(over_budget(tmp_path)))["experiments"]["admission"]
    assert (load["clients"], load["budget_bytes"]) == (8, 40 * KIB)
    by_name = {one["name"]: one for one in load["cases"]}
    unlimited = by_name["sync/short/n=8/admission=unlimited"]
    assert (unlimited["over_budget_runs"], unlimited["held_peak_bytes"]) == (3, None)
    before = by_name["sync/short/n=8/admission=before:2"]
    assert (before["held_peak_bytes"], before["child_idle_share"]) == (2 * KIB, pytest.approx(0.5))
    assert (before["bounds_memory"], before["throughput_to_unlimited"]) == (True, None)


@pytest.mark.parametrize("over", [False, True])
def test_its_figure_is_the_only_one(over: bool, tmp_path: Path) -> None:
    summary = over_budget(tmp_path) if over else summary_of(tmp_path, four(), environment=BUDGET)
    (picture,) = draw(reading(summary), tmp_path / "a", ["svg"])
    assert picture.name == "a-admission.svg"
    text = picture.read_text()
    assert "memory bounded fastest" in text
    assert text.count(">over budget<") == (2 if over else 0)
    assert ">50%<" in text


def test_a_suite_in_which_some_ran_over_budget_is_a_success(bench: Bench) -> None:
    bench.error = {1: RunFailedError(OVER)}
    status, out, err = bench(f"{RUN} --admission unlimited,before:1 --rounds 1 -o o.json")
    assert status == 0, err
    assert "over budget" in out
    bench.error = {3: RunFailedError("wrong page")}
    status, _, _ = bench(f"{RUN} --admission unlimited,before:1 --rounds 1 -o p.json")
    assert status == 1
