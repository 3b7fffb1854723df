"""``show --against``: every case beside the same with another manager, or another value."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.errors import BenchError
from bench.results.summary import load_summary
from bench.show.against import Against, pairs
from tests.support.made_up_runs import Bench
from tests.support.synthetic import save, steady_record

US = 1000
CASES = {
    Case("sync", "short", 1): 20 * US,
    Case("sync", "short", 4): 80 * US,
    Case("sync", "short", 4, wait="spin:50"): 40 * US,
    Case("async", "short", 4): 40 * US,
    Case("peer:async", "short", 4): 10 * US,
    Case("sync", "medium", 4): 160 * US,
}


@pytest.fixture
def result(bench: Bench) -> Path:
    records = [
        steady_record(case, number, latency_ns=latency_ns * (9 + number) // 10)
        for case, latency_ns in CASES.items()
        for number in range(3)
    ]
    return save(bench.folder / "r.json", records)


@pytest.mark.parametrize(
    ("against", "wanted"),
    [
        # A peer knows nothing of how others wait.
        (
            "peer:async",
            {"sync/short/n=4": 8.0, "sync/short/n=4/wait=spin:50": 4.0, "async/short/n=4": 4.0},
        ),
        (
            "manager=async",
            {
                "sync/short/n=4": 2.0,
                "sync/short/n=4/wait=spin:50": 1.0,
                "peer:async/short/n=4": 0.25,
            },
        ),
        ("wait=park", {"sync/short/n=4/wait=spin:50": 0.5}),
        ("n=1", {"sync/short/n=4": 4.0}),
        ("clients=1", {"sync/short/n=4": 4.0}),
        ("workload=short", {"sync/medium/n=4": 2.0}),
    ],
)
def test_each_case_has_the_one_that_differs_in_that_alone(
    result: Path, against: str, wanted: dict[str, float]
) -> None:
    found = {
        pair.row.case.name: effect.ratio
        for pair in pairs(load_summary(result), Against.parse(against))
        if (effect := pair.ratio("latency_p50_s")) is not None
    }
    assert found == {name: pytest.approx(value, rel=0.02) for name, value in wanted.items()}


@pytest.mark.parametrize(
    ("against", "says"),
    [
        ("rust", "r.json has no such case; manager there is async, peer:async, sync"),
        ("wate=park", 'unknown dimension "wate": did you mean "wait"?'),
        ("n=many", "clients is a whole number"),
        ("n=2", "clients there is 1, 4"),
        ("workload=medium", None),
    ],
)
def test_what_is_not_there_is_named(result: Path, against: str, says: str | None) -> None:
    if says is None:
        assert pairs(load_summary(result), Against.parse(against))
        return
    with pytest.raises(BenchError, match="--against") as refused:
        pairs(load_summary(result), Against.parse(against))
    assert says in str(refused.value)


def test_a_floor_that_spins_over_shared_memory_only_stands_beside_all(tmp_path: Path) -> None:
    parked, spun = ("", "/transport=shm"), ("/wait=spin:50", "/transport=shm/wait=spin:50")
    cases = [Case.parse(f"sync/short/n=1{way}") for way in (*parked, *spun)]
    floors = [Case.parse(f"floor/short/n=1{way}") for way in (*parked, spun[1])]
    records = [steady_record(case) for case in (*cases, *floors)]
    summary = load_summary(save(tmp_path / "r.json", records))

    def bases(against: str) -> dict[Case, Case]:
        return {p.row.case: p.base.case for p in pairs(summary, Against.parse(against))}

    of_floor = zip(cases, (*floors[:2], floors[0], floors[2]), strict=True)
    assert bases("floor") == dict(of_floor)
    pipes = {cases[1]: cases[0], cases[3]: cases[2], floors[1]: floors[0]}
    assert bases("transport=pipe") == pipes


def test_the_table_has_a_line_per_case_and_fits(result: Path, bench: Bench) -> None:
    status, out, _ = bench("show r.json --against peer:async")
    assert status == 0
    lines = [line.rstrip() for line in out.splitlines()]
    assert max(map(len, lines)) <= 100
    assert "short: ratio to peer:async (95 % CI)" in lines
    assert _cells(lines, "sync, wait=spin:50")[2:4] == ["4.00", "(4.00-4.00)"]
    assert _cells(lines, "async")[2:4] == ["4.00", "(4.00-4.00)"]
    assert "medium" not in out


def _cells(lines: Sequence[str], case: str) -> list[str]:
    (line,) = [one for one in lines if one.removeprefix("4").strip().startswith(f"{case} ")]
    return line.partition(case)[2].split()


def test_the_same_as_data(result: Path, bench: Bench) -> None:
    _, out, _ = bench("show r.json --json --against wait=park")
    (one,) = json.loads(out)["against"]
    assert (one["name"], one["base"]) == ("sync/short/n=4/wait=spin:50", "sync/short/n=4")
    assert one["throughput_per_s"]["ratio"] == pytest.approx(2.0, rel=0.02)
    assert "against" not in json.loads(bench("show r.json --json")[1])


@pytest.mark.parametrize("options", ["--tails", "--format bencher", "--only verdict"])
def test_it_goes_with_tables_and_json_only(result: Path, bench: Bench, options: str) -> None:
    assert "--against" in bench.refuses(f"show r.json --against sync {options}")


def test_only_some_cases_are_shown_but_all_are_there_to_compare_with(
    result: Path, bench: Bench
) -> None:
    _, out, _ = bench("show r.json --against peer:async --case sync/*")
    words = " ".join(out.split())
    assert "sync, wait=spin:50 8" not in words
    assert "sync, wait=spin:50 2.00" not in words
    assert "sync, wait=spin:50 0.25" in words
    assert "async 0." not in words.replace("peer:async", "")
    assert "none of the 6 cases of r.json is called so; one is" in bench.refuses(
        "show r.json --against sync --case rust/*"
    )
    assert "has a counterpart that differs in" in bench.refuses(
        "show r.json --against sync --case sync/*"
    )
    assert "give --against as well" in bench.refuses("show r.json --case sync/*")


def test_one_that_differs_in_more_is_no_base(tmp_path: Path) -> None:
    """A heartbeat is none of a manager's own business: sync without one is no base."""
    cases = [
        Case("sync", "short", 1),
        Case("async", "short", 1, heartbeat="loop"),
        Case("async", "short", 1),
    ]
    records = [steady_record(case, number) for case in cases for number in range(2)]
    found = pairs(load_summary(save(tmp_path / "r.json", records)), Against.parse("sync"))
    assert [pair.row.case for pair in found] == [cases[2]]


def test_long_names_are_broken_and_what_all_share_is_in_the_title(
    tmp_path: Path, bench: Bench
) -> None:
    cases = [
        Case(manager, "short", 128, cost="pg14", caller=caller, heartbeat="thread")
        for manager in ("sync", "async-uvloop-of-a-long-name")
        for caller in ("own", "loop")
    ]
    records = [steady_record(case, number) for case in cases for number in range(3)]
    save(bench.folder / "r.json", records)
    _, out, _ = bench("show r.json --against caller=own")
    assert "short, cost=pg14, caller=loop, heartbeat=thread: ratio to caller=own (95 % CI)" in out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 100
