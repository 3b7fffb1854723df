"""The verdict, as sentences, rows and a table: from results whose truth is known."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.cases.case import Case
from bench.results.record import FailedRun
from bench.results.summary import Summary, load_summary
from bench.show import units
from bench.show.verdict import Mark, Row, verdict_data, verdict_of
from bench.show.verdict_table import print_verdict
from tests.support.synthetic import save, steady_record

N = (1, 4, 16)

Latencies = Mapping[str, Sequence[Sequence[int]]]
"""By manager, for each of N, the latency (us) of each round."""


def summary(
    folder: Path, latencies: Latencies, failures: Sequence[FailedRun] = (), name: str = "r.json"
) -> Summary:
    records = [
        steady_record(Case(manager, "short", n), number, latency_ns=us * 1000)
        for manager, by_clients in latencies.items()
        for n, by_round in zip(N, by_clients, strict=False)
        for number, us in enumerate(by_round)
    ]
    return load_summary(save(folder / name, records, failures))


def steady(*latencies: int, rounds: int = 5) -> list[list[int]]:
    """Each round is disturbed as a whole, alike for all managers."""
    return [[us * (10 + number) // 10 for number in range(rounds)] for us in latencies]


def only_row(found: Summary) -> Row:
    (row,) = verdict_of(found).rows
    return row


def only_sentence(found: Summary) -> str:
    (sentence,) = verdict_of(found).sentences
    return sentence


def marks(row: Row) -> list[Mark | None]:
    return [None if amount is None else amount.mark for amount in row.amounts]


def test_a_clear_lead(tmp_path: Path) -> None:
    found = summary(tmp_path, {"sync": steady(50, 200, 800), "async": steady(100, 100, 200)})
    assert only_sentence(found) == (
        "For short requests with a free child, async is faster than sync from N = 4 on (95 % CI:"
        " 4 to 4) and slower at N = 1."
    )
    row = only_row(found)
    assert (row.manager, row.workload, row.child, row.conditions) == ("async", "short", "free", "")
    assert (row.clients, row.faster_from) == (16, "4 (4 to 4)")
    assert (row.faster_at, row.slower_at) == ((4, 16), (1,))
    assert marks(row) == [Mark.BETTER, Mark.SAME, Mark.BETTER]
    throughput, cpu, p99 = (amount.effect.ratio for amount in row.amounts if amount)
    assert (throughput, cpu, p99) == pytest.approx((4, 1, 0.25), rel=0.02)


def test_a_lead_at_every_n(tmp_path: Path) -> None:
    found = summary(tmp_path, {"sync": steady(200, 200, 800), "async": steady(100, 100, 200)})
    assert only_sentence(found) == (
        "For short requests with a free child, async is faster than sync at every N from 1 to 16."
    )
    assert only_row(found).faster_from == "every N"


def test_no_lead(tmp_path: Path) -> None:
    found = summary(tmp_path, {"sync": steady(50, 100, 200), "async": steady(100, 200, 400)})
    assert only_sentence(found) == (
        "For short requests with a free child, async is slower than sync at N = 1 to 16."
    )
    assert only_row(found).faster_from == "no N"
    assert marks(only_row(found))[0] is Mark.WORSE


def test_rounds_that_disagree_decide_nothing(tmp_path: Path) -> None:
    even = [[100, 100, 100, 100, 100]] * 3
    either = [[50, 200, 60, 190, 90]] * 3
    found = summary(tmp_path, {"sync": even, "async": either})
    sentence, row = only_sentence(found), only_row(found)
    assert sentence.startswith(
        "For short requests with a free child, there is no significant difference between sync and"
        " async at N = 1 to 16; the smallest difference that this result could detect (MDE) is "
    )
    share = row.leads[-1].effect.smallest_shown
    assert share is not None
    assert sentence.endswith(f" {units.percent(share)} %.")
    assert row.faster_from == "no N"
    assert marks(row)[0] is Mark.SAME


def test_the_smallest_detectable_difference_is_a_range_over_n(tmp_path: Path) -> None:
    even = [[100] * 5] * 2
    either = [[90, 110, 95, 105, 100], [50, 200, 60, 190, 90]]
    found = summary(tmp_path, {"sync": even, "async": either})
    shares = [lead.effect.smallest_shown or 0 for lead in only_row(found).leads]
    low, high = map(units.percent, sorted(shares))
    assert only_sentence(found).endswith(f"(MDE) is {low} to {high} %.")


def test_the_greatest_n_does_not_hide_a_lead_before_it(tmp_path: Path) -> None:
    sync = [[100] * 5] * 3
    other = [[100] * 5, [50] * 5, [100] * 5]
    found = summary(tmp_path, {"sync": sync, "async": other})
    assert only_row(found).faster_from == "4 only"
    assert marks(only_row(found))[0] is Mark.SAME
    assert only_sentence(found) == (
        "For short requests with a free child, async is faster than sync at N = 4 only."
    )


def test_leads_beside_each_other_are_a_span(tmp_path: Path) -> None:
    sync = [[100] * 5] * 3
    found = summary(tmp_path, {"sync": sync, "async": [[50] * 5, [50] * 5, [200] * 5]})
    assert only_row(found).faster_from == "1 to 4 only"
    assert "is faster than sync at N = 1 to 4 only and slower at N = 16." in only_sentence(found)


def test_a_crossover_that_wavers_has_its_bounds(tmp_path: Path) -> None:
    sync = [[100] * 5] * 3
    other = [[150] * 5, [80, 130, 80, 120, 85], [50] * 5]
    found = summary(tmp_path, {"sync": sync, "async": other})
    assert "async is faster than sync from N = 4 on (95 % CI: 4 to 16)" in only_sentence(found)
    assert only_row(found).faster_from == "4 (4 to 16)"


def test_one_round_has_no_interval(tmp_path: Path) -> None:
    one = {"sync": steady(50, 200, rounds=1), "async": steady(100, 100, rounds=1)}
    found = summary(tmp_path, one)
    assert only_sentence(found) == (
        "For short requests with a free child, async was faster than sync from N = 4 on and slower"
        " at N = 1 (one round, so no 95 % CI: measure more rounds)."
    )
    assert only_row(found).faster_from == "4 (?)"
    assert marks(only_row(found)) == [Mark.UNKNOWN] * 3


def test_one_round_without_a_difference(tmp_path: Path) -> None:
    one = {"sync": steady(50, 200, rounds=1), "async": steady(50, 200, rounds=1)}
    found = summary(tmp_path, one)
    assert only_sentence(found).endswith(
        "there was no difference between sync and async at N = 1 to 4 (one round, so no 95 % CI:"
        " measure more rounds)."
    )
    assert only_row(found).faster_from == "no N (?)"


def test_one_n_has_no_crossover(tmp_path: Path) -> None:
    found = summary(tmp_path, {"sync": steady(300), "async": steady(100)})
    assert only_sentence(found) == (
        "For short requests with a free child, async is faster than sync at N = 1."
    )
    assert only_row(found).faster_from == "1"


def test_the_sentence_is_about_async_and_the_table_about_all(tmp_path: Path) -> None:
    latencies = {
        "sync": steady(200, 200),
        "async": steady(100, 100),
        "async-uvloop": steady(50, 50),
    }
    found = summary(tmp_path, latencies)
    assert "async is faster than sync" in only_sentence(found)
    assert [row.manager for row in verdict_of(found).rows] == ["async", "async-uvloop"]
    del latencies["async"]
    without = summary(tmp_path, latencies, name="without.json")
    assert "async-uvloop is faster than sync" in only_sentence(without)


def two_workloads(folder: Path, **dimensions: Any) -> list[Any]:
    return [
        steady_record(
            replace(Case(manager, workload, n), **dimensions), number, latency_ns=us * 1000
        )
        for workload, by_manager in {
            "short": {"sync": (50, 200), "async": (100, 100)},
            "medium": {"sync": (500, 800), "async": (500, 400)},
        }.items()
        for manager, latencies in by_manager.items()
        for n, us in zip(N, latencies, strict=False)
        for number in range(3)
    ]


def test_a_sentence_for_each_weight_of_the_child(tmp_path: Path) -> None:
    records = [*two_workloads(tmp_path), *two_workloads(tmp_path, cost="pg14")]
    found = verdict_of(load_summary(save(tmp_path / "r.json", records)))
    answers = (
        "async is faster than sync from N = 4 on (95 % CI: 4 to 4) and slower at N = 1; for medium"
        " requests, async is faster than sync from N = 4 on (95 % CI: 4 to 4)."
    )
    assert found.sentences == (
        f"For short requests with a free child, {answers}",
        f"For short requests with a child as heavy as real redo (pg14), {answers}",
    )
    assert [(row.child, row.workload) for row in found.rows] == [
        ("free", "short"),
        ("free", "medium"),
        ("pg14", "short"),
        ("pg14", "medium"),
    ]


def test_as_plain_data(tmp_path: Path) -> None:
    found = summary(tmp_path, {"sync": steady(50, 200, 800), "async": steady(100, 100, 200)})
    data = verdict_data(verdict_of(found))
    assert data["sentences"] == [only_sentence(found)]
    (row,) = data["rows"]
    amounts = row.pop("amounts")
    assert row == {
        "manager": "async",
        "workload": "short",
        "child": "free",
        "conditions": "",
        "clients": 16,
        "from_clients": 4,
        "faster_from": "4 (4 to 4)",
        "faster_at": [4, 16],
        "slower_at": [1],
    }
    assert {measure: amount["mark"] for measure, amount in amounts.items()} == {
        "throughput_per_s": "better",
        "cpu_total_s": "same",
        "turn_p99_s": "better",
    }
    assert amounts["throughput_per_s"]["ratio"] == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize(
    ("managers", "expected"),
    [
        (
            ["sync"],
            "There is no result of another manager with a free child and short requests to compare"
            " sync with.",
        ),
        (
            ["async"],
            "There is no result of sync with a free child and short requests to compare async"
            " with.",
        ),
        (
            ["async", "async-uvloop", "floor"],
            "There is no result of sync with a free child and short requests to compare async and"
            " async-uvloop with.",
        ),
        (
            ["floor"],
            "Only yardsticks have a result with a free child and short requests: there is nothing"
            " to compare.",
        ),
        (
            ["sync", "floor", "noop-sync"],
            "There is no result of another manager with a free child and short requests to compare"
            " sync with.",
        ),
    ],
)
def test_without_a_pair_it_says_so(managers: list[str], expected: str, tmp_path: Path) -> None:
    found = verdict_of(summary(tmp_path, {name: steady(50, 100) for name in managers}))
    assert found.sentences == (expected,)
    assert not found.rows


def test_a_manager_that_only_failed_has_no_result(tmp_path: Path) -> None:
    failures = [FailedRun(Case("async", "short", 1), 0, "no child")]
    found = verdict_of(summary(tmp_path, {"sync": steady(50)}, failures=failures))
    assert found.sentences == (
        "There is no result of another manager with a free child and short requests to compare"
        " sync with.",
    )


@pytest.mark.parametrize("other", [(2, 0), (1, 1)], ids=["N", "round"])
def test_nothing_in_common(other: tuple[int, int], tmp_path: Path) -> None:
    clients, number = other
    records = [
        steady_record(Case("sync", "short", 1)),
        steady_record(Case("async", "short", clients), number),
    ]
    found = verdict_of(load_summary(save(tmp_path / "n.json", records)))
    assert found.sentences == (
        "async and sync have no N and round in common with a free child and short requests.",
    )
    (row,) = found.rows
    assert (row.faster_from, row.clients, row.amounts) == ("not comparable", None, ())


@pytest.mark.parametrize(
    ("dimensions", "said", "columns"),
    [
        ({}, "a free child", ("free", "")),
        ({"cost": "pg14"}, "a child as heavy as real redo (pg14)", ("pg14", "")),
        ({"cost": "us:12+1"}, "a child that burns us:12+1", ("us:12+1", "")),
        ({"wait": "spin:20"}, "a free child, wait=spin:20", ("free", "wait=spin:20")),
        ({"child": "python"}, "child=python", ("python", "")),
        (
            {"child": "python", "cost": "pg14"},
            "a child as heavy as real redo (pg14), child=python",
            ("python, pg14", ""),
        ),
    ],
)
def test_sentence_and_row_say_for_which_child(
    dimensions: dict[str, Any], said: str, columns: tuple[str, str], tmp_path: Path
) -> None:
    cases = (replace(Case(name, "short", 1), **dimensions) for name in ("sync", "async"))
    found = load_summary(save(tmp_path / "r.json", list(map(steady_record, cases))))
    assert only_sentence(found).startswith(f"For short requests with {said}, there was no diff")
    assert (only_row(found).child, only_row(found).conditions) == columns


def printed(found: Summary) -> list[str]:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    with console.capture() as captured:
        print_verdict(verdict_of(found), console)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_the_table(tmp_path: Path) -> None:
    found = summary(tmp_path, {"sync": steady(50, 200, 800), "async": steady(100, 100, 200)})
    lines = printed(found)
    title, headings, row, marks_read = lines[lines.index("") + 1 :]
    assert title == "Ratio to sync at N = 16 (95 % CI)"
    words = "workload manager faster from N throughput CPU per redo p99 turn latency"
    assert " ".join(headings.split()) == words
    assert re.fullmatch(
        r"short +async +4 \(4 to 4\) +4\.\S+ \(\S+\) \+ +1\.00 \(\S+\) = +0\.25 \(\S+\) \+", row
    )
    assert marks_read == "Compared with sync: + better, = no significant difference."


def test_the_table_names_the_child_only_where_it_varies(tmp_path: Path) -> None:
    records = [*two_workloads(tmp_path), *two_workloads(tmp_path, cost="pg14")]
    headings = printed(load_summary(save(tmp_path / "r.json", records)))
    assert any(line.startswith("child  workload  manager") for line in headings)


def test_a_table_too_wide_for_the_n_of_its_amounts_is_one_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heavy = two_workloads(tmp_path, cost="pg14")
    shorter = [each for each in heavy if (each.case.workload, each.case.clients) != ("medium", 4)]
    found = load_summary(save(tmp_path / "r.json", [*two_workloads(tmp_path), *shorter]))
    assert any(" at N " in line for line in printed(found) if "manager" in line)
    monkeypatch.setattr("bench.show.verdict_table.WIDTH", 80)
    lines = printed(found)
    titles = [at for at, line in enumerate(lines) if line.startswith("Ratio to")]
    assert [lines[at] for at in titles] == [
        "Ratio to sync at N = 4 (95 % CI)",
        "Ratio to sync at N = 1 (95 % CI)",
    ]
    # Its child is named, though it is the same in all of its rows.
    assert lines[titles[1] + 2].split()[:3] == ["pg14", "medium", "async"]


def test_what_is_better_and_worse_has_a_colour(tmp_path: Path) -> None:
    found = summary(tmp_path, {"sync": steady(50, 100), "async": steady(100, 50)})
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard")
    with console.capture() as captured:
        print_verdict(verdict_of(found), console)
    assert "\x1b[32m" in captured.get()


def test_a_result_without_turns_has_the_latency_of_the_call(tmp_path: Path) -> None:
    found = summary(tmp_path, {"sync": steady(50, 100), "async": steady(100, 50)})
    older = replace(found, rows=tuple(replace(row, turn_p99_s=None) for row in found.rows))
    assert verdict_of(found).headings[-1] == "p99 turn latency"
    assert verdict_of(older).headings[-1] == "p99 call latency"
    assert marks(only_row(older)) == marks(only_row(found))


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0321, "3.2"), (0.26, "26"), (0.999, "100"), (3.04, "304"), (12.0, ">999")],
)
def test_percentages_have_no_exponent(share: float, text: str) -> None:
    assert units.percent(share) == text
