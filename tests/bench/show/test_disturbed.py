"""Disturbed runs are told and marked wherever a result is read; older files say nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench.cases.case import Case
from bench.results.disturbance import OTHERS, STEAL
from bench.results.record import RunRecord, Session
from bench.results.summary import Summary
from bench.show import comparison as compared
from bench.show.notes import disturbed_line, notes
from bench.show.page.page import page
from bench.show.summary import as_data, print_summary
from bench.statistics.comparison import compare
from tests.support.made_up_runs import Bench
from tests.support.synthetic import reading, save, steady_record, summary_of

CASES = (Case("sync", "short", 8), Case("async", "short", 8))
BUSY = {OTHERS: 0.6, STEAL: 0.01}
QUIET = {OTHERS: 0.02, STEAL: 0.01}
SAID = "2 of 6 runs were disturbed: other processes took up to 61 % of the CPUs"


def records(busy: Mapping[int, Mapping[str, float]]) -> list[RunRecord]:
    """Three rounds; the runs of sync have these metadata, by round."""
    return [
        replace(
            steady_record(case, number),
            worker_metadata=busy.get(number, QUIET) if case.manager == "sync" else QUIET,
        )
        for case in CASES
        for number in (1, 2, 3)
    ]


def printed(summary: Summary, *, legend: bool = False) -> str:
    console = Console(file=io.StringIO(), width=200, color_system=None)
    with console.capture() as captured:
        print_summary(reading(summary), console, legend=legend)
    return captured.get()


@pytest.fixture
def busy(tmp_path: Path) -> Summary:
    return summary_of(tmp_path, records({1: BUSY, 3: {OTHERS: 0.2}}))


@pytest.fixture
def quiet(tmp_path: Path) -> Summary:
    return summary_of(tmp_path, records({}))


@pytest.fixture
def older(tmp_path: Path) -> Summary:
    """Of a version without the counters."""
    return summary_of(tmp_path, [steady_record(case, n) for case in CASES for n in (1, 2, 3)])


def test_a_line_above_the_verdict_and_a_mark_at_the_row(busy: Summary) -> None:
    lines = printed(busy).splitlines()
    assert "~: other processes took CPU during some of its runs." in printed(busy, legend=True)
    (said,) = [number for number, line in enumerate(lines) if SAID in line]
    (verdict,) = [number for number, line in enumerate(lines) if line.startswith("- For short")]
    assert said < verdict
    assert "run --resume" in lines[said]
    rows = [line.split() for line in lines]
    assert sum("sync~" in row for row in rows) == 1
    assert not any("async~" in row for row in rows)
    (note,) = [note for note in notes(busy) if note.kind == "disturbed"]
    assert note.text.endswith("(number of disturbed runs in brackets) sync/short/n=8 (2)")


def test_the_data_have_the_disturbed_rounds_of_each_row(busy: Summary) -> None:
    rows = {row["manager"]: row["disturbed_rounds"] for row in as_data(reading(busy))["cases"]}
    assert rows["async"] == []
    assert [one["round"] for one in rows["sync"]] == [1, 3]
    assert [one["others_cpu_share"] for one in rows["sync"]] == pytest.approx([0.61, 0.2])


def test_the_page_has_the_line_and_the_mark(busy: Summary, quiet: Summary) -> None:
    text = page([reading(busy)])
    assert text.index('<p class="disturbed">') < text.index(SAID) < text.index('<div class="top">')
    assert text.count('<abbr title="others took up to 61 % of the CPUs">~</abbr>') == 1
    calm = page([reading(quiet)])
    assert "disturbed:" not in calm
    assert '<p class="disturbed">' not in calm


@pytest.mark.parametrize("which", ["quiet", "older"])
def test_what_was_not_disturbed_says_nothing(which: str, request: pytest.FixtureRequest) -> None:
    summary = request.getfixturevalue(which)
    text = printed(summary)
    assert "disturbed" not in text
    assert "~" not in text
    assert disturbed_line(summary) is None
    assert all(row["disturbed_rounds"] == [] for row in as_data(reading(summary))["cases"])


def test_what_cannot_be_resumed_names_no_way_that_it_has_not(busy: Summary) -> None:
    side = replace(busy, environment=replace(busy.environment, ab="now"))
    combined = replace(busy, sessions=(Session("a.json", "", 1), Session("b.json", "", 2)))
    for one in (side, combined):
        assert "measure again" in (disturbed_line(one) or "")
        assert "--resume" not in (disturbed_line(one) or "")


def test_a_note_names_only_so_many_cases(tmp_path: Path) -> None:
    many = [
        replace(steady_record(Case("sync", "short", n)), worker_metadata=BUSY) for n in range(1, 21)
    ]
    (note,) = [one for one in notes(summary_of(tmp_path, many)) if one.kind == "disturbed"]
    assert note.text.count("sync/") == 12
    assert note.text.endswith(", 8 more (show --json has all)")


def test_compare_warns_of_each_file(busy: Summary, quiet: Summary) -> None:
    named = replace(busy, source="busy.json")
    found = compare(quiet, named)
    warned = [line for line in compared.warnings(found) if "disturbed" in line]
    assert warned == [f"WARNING: busy.json: {SAID}"]
    data = compared.as_data(found)
    assert (data["base"]["disturbed"], data["changed"]["disturbed"]) == (None, SAID)
    assert SAID in compared.as_markdown(found)


def test_history_warns_of_each_file(tmp_path: Path, bench: Bench) -> None:
    save(tmp_path / "busy.json", records({1: BUSY, 3: {OTHERS: 0.2}}))
    save(tmp_path / "quiet.json", records({}))
    status, out, err = bench(f"history {tmp_path} --case sync/short/n=8 --json")
    assert status == 0
    assert len(json.loads(out)["cases"][0]["points"]) == 2
    assert err.splitlines() == [f"warning: busy.json: {SAID}"]
