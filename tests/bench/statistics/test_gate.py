"""`compare` as a gate: bounds on measures and on cases, failed cases, several results."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from bench.cases.case import Case
from bench.results.record import FailedRun, RunRecord
from bench.results.samples import SliceSamples
from bench.results.summary import load_summary
from bench.statistics.comparison import compare
from tests.support.made_up_runs import Bench
from tests.support.synthetic import USAGE, back_to_back, idle_slice, save, steady_record

CASES = (Case("async", "short", 8), Case("sync", "short", 8))
REDOS = 200

Slice = Callable[[Case, float], SliceSamples]


def mixed(slow_count: int, slow_ns: float) -> Slice:
    """Of 200 redos of each client so many take ``slow_ns``, the others 50 us."""

    def slice_of(case: Case, factor: float) -> SliceSamples:
        latencies = np.full(REDOS, 50_000 * factor)
        latencies[:slow_count] = slow_ns * factor
        return back_to_back([latencies.astype(np.int64)] * case.clients)

    return slice_of


def stopping_early(case: Case, factor: float) -> SliceSamples:
    return idle_slice(case.clients, REDOS, round(50_000 * factor))


def runs(slice_of: Slice, cases: Sequence[Case] = CASES, *, cpu_s: float = 0.03) -> list[RunRecord]:
    """Five rounds that scatter by 1 %."""
    random = np.random.default_rng(len(cases))
    usage = replace(USAGE, manager_cpu_s=cpu_s)
    made = []
    for number in range(5):
        for case in cases:
            one = slice_of(case, random.normal(1, 0.01))
            made.append(RunRecord(case, number, (one, one), usage, ((20, 60e-6),)))
    return made


EVEN = mixed(90, 60_000)
"""The median is 50 us, the 99th percentile 60 us."""

ONLY = {
    "redo/s": runs(stopping_early),
    "p50": runs(mixed(110, 60_000)),
    "p99": runs(mixed(4, 100_000)),
    "CPU": runs(EVEN, cpu_s=0.05),
}
"""Runs that are worse in this measure while the time per redo says nothing, or less."""


@pytest.fixture
def gate(bench: Bench) -> Bench:
    """base.json; sync.json, in which only sync is slower, by 50 %; tail.json, in which only the
    p99 of both is higher; failed.json, in which every run of async failed."""
    steady = mixed(4, 60_000)
    slow = [*runs(steady, CASES[:1]), *runs(mixed(REDOS, 75_000), CASES[1:])]
    no_child = [FailedRun(CASES[0], number, "no child") for number in range(5)]
    save(bench.folder / "base.json", runs(steady))
    save(bench.folder / "sync.json", slow)
    save(bench.folder / "tail.json", runs(mixed(4, 100_000)))
    save(bench.folder / "failed.json", runs(steady, CASES[1:]), no_child)
    return bench


@pytest.mark.parametrize(
    ("changed", "bounds", "broken"),
    [
        ("tail", "slower", []),
        ("tail", "p99:slower:20", ["async/short/n=8 p99", "sync/short/n=8 p99"]),
        ("tail", "turn-p99:slower", ["async/short/n=8 p99", "sync/short/n=8 p99"]),
        ("tail", "p99:slower:80", []),
        ("tail", "latency-p99:slower:20,p50:slower", ["async p99 of the call", "sync p99 of"]),
        ("tail", "sync/*@p99:slower:20", ["sync/short/n=8 p99"]),
        ("tail", "sync/*:slower", []),
        ("sync", "sync/*:slower:5", ["sync/short/n=8 time per redo"]),
        ("sync", "sync/short/n=8:slower:5", ["sync/short/n=8 time per redo"]),
        ("sync", "async*:slower:5", []),
        ("sync", "sync/*:slower:60", []),
        ("sync", "throughput:slower:40", ["sync/short/n=8 throughput"]),
        ("sync", "throughput:slower:60", []),
        ("sync", "slower:5,sync/*@p50:slower:5", ["sync time per redo", "sync p50"]),
        ("sync", "cpu-total:slower", []),
    ],
)
def test_bounds(gate: Bench, changed: str, bounds: str, broken: list[str]) -> None:
    for given in ([f"--fail-on={bounds}"], [f"--fail-on={one}" for one in bounds.split(",")]):
        status, out, err = gate(["compare", "base.json", f"{changed}.json", *given])
        assert status == int(bool(broken))
        assert "2 cases" in out
        lines = err.splitlines()
        assert len(lines) == len(broken)
        for says in broken:
            case, _, noun = says.partition(" ")
            (line,) = (one for one in lines if f": {case}" in one and f"times the {noun}" in one)
            assert "is slower: " in line
            assert any(f"(--fail-on {bound})" in line for bound in bounds.split(","))


@pytest.mark.parametrize(
    ("bound", "says"),
    [
        ("p99", "slower or slower:PERCENT"),
        ("p99:faster:3", "slower or slower:PERCENT"),
        ("p99:slower:", "slower or slower:PERCENT"),
        ("p99:slower:x", "slower or slower:PERCENT"),
        ("p99:slower:-1", "slower or slower:PERCENT"),
        ("slower:5,", "slower or slower:PERCENT"),
        ("slower5", "slower or slower:PERCENT"),
        ("p98:slower:5", 'unknown measure "p98"'),
        ("sync/*@p98:slower:5", 'unknown measure "p98"'),
        ("sync/*@:slower:5", 'unknown measure ""'),
        ("@p99:slower:5", "none of the 2 cases is called so"),
        ("floor/*:slower:5", "none of the 2 cases is called so"),
    ],
)
def test_bad_bounds(gate: Bench, bound: str, says: str) -> None:
    err = gate.refuses(["compare", "base.json", "base.json", "--fail-on", bound])
    assert says in err
    assert f"--fail-on {bound.rpartition(',')[2]!r}" in err


def test_a_bound_on_what_nobody_measured_is_refused(gate: Bench) -> None:
    """It would hold for ever."""
    idle = replace(USAGE, child_user_s=0.0)
    for name in ("a", "b"):
        made = [replace(run, usage=idle) for run in runs(EVEN)]
        save(gate.folder / f"{name}.json", made)
    said = gate.refuses("compare a.json b.json --fail-on cpu-child-user:slower:5")
    assert "both results have cpu-child-user above 0 of no such case" in said


# --- Failed cases ---------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", ["slower", "slower:900", "sync/*:slower:900", "p99:slower:900"])
@pytest.mark.parametrize(
    ("base", "changed", "side"),
    [
        ("base", "failed", "changed"),
        ("failed", "base", "base"),
        ("failed", "failed", "base and changed"),
    ],
)
def test_a_failed_case_fails_the_gate(
    gate: Bench, base: str, changed: str, side: str, bound: str
) -> None:
    files = f"compare {base}.json {changed}.json"
    status, out, err = gate(f"{files} --fail-on {bound}")
    assert status == 1
    assert f"async/short/n=8 failed in {side}: no child\n" in err
    assert f"failed in {side}: async/short/n=8: no child" in out
    assert "1 failed" in out
    assert "inconclusive" not in out
    for form in ("--markdown", "--csv"):
        status, out, _ = gate(f"{files} {form}")
        assert status == 0
        (line,) = (each for each in out.splitlines() if each.strip("| `").startswith("async/"))
        assert "failed" in line
    assert json.loads(gate(f"{files} --json")[1])["failed"] == [
        {"case": "async/short/n=8", "side": side, "reason": "no child"}
    ]


def test_a_case_that_failed_where_the_other_side_has_none(gate: Bench) -> None:
    """The sides of an A/B measurement: a pair that fails is kept as a failure of ``changed``."""
    save(gate.folder / "half.json", runs(EVEN, CASES[1:]))
    status, out, err = gate("compare half.json failed.json --fail-on slower:900")
    assert status == 1
    assert "async/short/n=8 failed in changed: no child" in err
    assert "1 case: 1 " in out
    assert "only in" not in out


def test_a_case_that_failed_is_all_there_is_to_compare(gate: Bench) -> None:
    save(gate.folder / "floor.json", runs(EVEN, [Case("floor", "short", 1)]))
    only = [FailedRun(CASES[0], 0, "no child")]
    save(gate.folder / "other.json", runs(EVEN, [Case("noop", "short", 1)]), only)
    for form in ("", "--markdown", "--csv", "--json"):
        status, out, err = gate(f"compare floor.json other.json --fail-on slower {form}")
        assert status == 1
        assert "async/short/n=8" in out
        assert "async/short/n=8 failed in changed: no child" in err


def test_the_page_names_a_failed_case(gate: Bench) -> None:
    assert gate("report base.json failed.json -o page.html")[0] == 0
    page = (gate.folder / "page.html").read_text()
    assert "failed in changed: async/short/n=8: no child" in page


def test_other_cases_can_be_looked_at_without_the_failed_one(gate: Bench) -> None:
    command = "compare base.json failed.json --fail-on slower:900 --case"
    assert gate(f"{command} sync/*")[0] == 0
    assert gate(f"{command} async/*")[0] == 1


# --- What is shown --------------------------------------------------------------------------------


@pytest.mark.parametrize("heading", ONLY)
@pytest.mark.parametrize("order", ["base.json only.json", "only.json base.json"])
def test_the_table_has_whatever_differs(bench: Bench, heading: str, order: str) -> None:
    """Also what is not among the usual columns."""
    save(bench.folder / "base.json", runs(mixed(4, 60_000) if heading == "p99" else EVEN))
    save(bench.folder / "only.json", ONLY[heading])
    status, out, _ = bench(f"compare {order}")
    assert status == 0
    word = "slower" if order.startswith("base") else "faster"
    assert any(heading in line.split() for line in out.splitlines() if line.startswith("case "))
    (other,) = (line for line in out.splitlines() if line.startswith("other measures: "))
    assert f"{heading} 2 {word}" in other
    assert all(len(line) <= 100 for line in out.splitlines())


def test_a_table_of_chosen_measures(gate: Bench) -> None:
    command = "compare base.json tail.json --measure p99,cpu-child-user --measure turn-p50"
    out = gate(command)[1]
    (head,) = (line for line in out.splitlines() if line.startswith("case "))
    assert head.split() == [
        *("case", "p99", "verdict", "MDE"),
        *("child", "user", "CPU", "verdict", "MDE", "p50", "verdict", "MDE"),
    ]
    assert "2 cases, p99: 2 slower" in out
    assert "2 cases, child user CPU: 2 same within" in out
    assert "over all of them" not in out
    (head,) = (line for line in gate(f"{command} --markdown")[1].splitlines() if "p99 |" in line)
    assert head.startswith("| case | p99 | p | verdict | MDE | child user CPU | p |")
    measures = json.loads(gate(f"{command} --json")[1])["cases"][0]["measures"]
    assert {"cpu_child_user_s", "time_per_redo_s"} < set(measures)
    assert 'unknown measure "p98"' in gate.refuses(f"{command},p98")


def test_one_round_has_no_p_value_in_markdown(bench: Bench) -> None:
    for name in ("a", "b"):
        save(bench.folder / f"{name}.json", [steady_record(CASES[0])])
    status, out, _ = bench("compare a.json b.json --markdown")
    assert status == 0
    assert "| - | inconclusive | ? |" in out


def test_chosen_cases(gate: Bench) -> None:
    out = gate("compare base.json sync.json --case async/*")[1]
    assert "1 case: 1 same" in out
    assert "\nsync/short" not in out
    assert "2 cases" in gate("compare base.json sync.json --case async/*,sync/*")[1]
    assert "2 cases" in gate("compare base.json sync.json --case async/* --case sync/*")[1]
    refused = gate.refuses("compare base.json sync.json --case sync/* --case floor/*")
    assert "--case 'floor/*': none of the 2 cases is called so" in refused


# --- Several results ------------------------------------------------------------------------------


def test_several_results(gate: Bench) -> None:
    status, out, err = gate("compare base.json sync.json tail.json --fail-on slower:5")
    assert status == 1
    assert out.count("base.json (") == 2
    assert out.index("to sync.json") < out.index("to tail.json")
    (line,) = err.splitlines()
    assert line.startswith("walredo-bench: sync.json: sync/short/n=8 is slower: 1.")
    assert gate("compare base.json tail.json base.json --fail-on slower:5")[0] == 0
    found = json.loads(gate("compare base.json sync.json tail.json --json")[1])
    assert [each["changed"]["source"] for each in found] == ["sync.json", "tail.json"]
    out = gate("compare base.json sync.json tail.json --csv")[1]
    lines = list(csv.DictReader(io.StringIO(out)))
    assert {line["changed"] for line in lines} == {"sync.json", "tail.json"}
    assert len(lines) == 2 * sum(len(case["measures"]) for case in found[0]["cases"])


def test_the_baseline_can_be_chosen(gate: Bench) -> None:
    command = "compare base.json sync.json tail.json --json --baseline"
    found = json.loads(gate(f"{command} sync.json")[1])
    assert [each["base"]["source"] for each in found] == ["sync.json"] * 2
    assert [each["changed"]["source"] for each in found] == ["base.json", "tail.json"]
    assert "is none of the results" in gate.refuses(f"{command} failed.json")


def test_one_that_cannot_be_compared_is_refused_before_anything_is_printed(gate: Bench) -> None:
    save(gate.folder / "floor.json", runs(EVEN, [Case("floor", "short", 1)]))
    refused = gate.refuses("compare base.json sync.json floor.json")
    assert "base.json and floor.json have no case in common" in refused


def test_a_picture_of_each(gate: Bench) -> None:
    command = "compare base.json sync.json tail.json --plot"
    assert gate(command)[0] == 0
    assert gate(f"{command} -o x")[0] == 0
    names = {path.name for path in gate.folder.glob("*.svg")}
    assert names == {
        *("sync-comparison.svg", "tail-comparison.svg"),
        *("x-sync-comparison.svg", "x-tail-comparison.svg"),
    }
    assert "same name" in gate.refuses("compare base.json sync.json sync.json --plot")


def test_a_result_without_turns_is_compared_by_the_latency_of_the_call(gate: Bench) -> None:
    """A version that measured no turns: neither side's turn stands against the other's call."""
    summary = load_summary(gate.folder / "base.json")
    calls = [
        replace(row, turn_p99_s=replace(row.latency_p99_s, median=0, by_round=((0, 9.0), (1, 9.0))))
        for row in summary.rows
        if row.latency_p99_s is not None
    ]
    older = [replace(row, turn_p99_s=None, turn_p50_s=None) for row in summary.rows]
    for base, changed in ((calls, older), (older, calls)):
        found = compare(replace(summary, rows=tuple(base)), replace(summary, rows=tuple(changed)))
        assert [case.measures["turn_p99_s"].effect.ratio for case in found.cases] == [1.0, 1.0]
