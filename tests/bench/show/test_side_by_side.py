"""Several results side by side: where they agree and disagree, in the terminal, on the page and as
data; from results whose truth is known."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.errors import BenchError
from bench.results.environment import Environment
from bench.results.record import FailedRun, RunRecord
from bench.results.summary import load_summary
from bench.show.page.page import page
from bench.show.side_by_side import (
    NOT_MEASURED,
    Result,
    SideBySide,
    side_by_side,
    side_by_side_data,
)
from bench.show.side_by_side_table import print_side_by_side
from bench.show.verdict import Mark, rows_of
from bench.show.view import Reading
from tests.support.made_up_runs import Bench
from tests.support.printed import printed
from tests.support.synthetic import ENVIRONMENT, reading, save, steady_record, without_turn

OTHER_MACHINE = replace(
    ENVIRONMENT,
    cpu_model="Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz",
    cpu_count=2,
    cpus_allowed="0",
    kernel="Linux 6.8.0",
)

ByManager = Mapping[str, Mapping[int, int | Sequence[int]]]
"""By manager and N, the latency (us): of every round, or of each."""

AHEAD: ByManager = {"sync": {1: 50, 4: 200, 16: 800}, "async": {1: 100, 4: 100, 16: 200}}
"""Async is slower at N = 1, and faster from N = 4 on."""

BEHIND: ByManager = {"sync": {1: 50, 4: 100, 16: 800}, "async": {1: 100, 4: 200, 16: 200}}
"""Async is faster from N = 16 on."""


def records_of(
    latencies: ByManager, *, workload: str = "short", rounds: int = 5, cost: str = "none"
) -> list[RunRecord]:
    """Each round is disturbed as a whole, alike for all managers."""
    return [
        steady_record(
            Case(manager, workload, n, cost=cost),
            number,
            latency_ns=(us * (10 + number) * 100 if isinstance(us, int) else us[number] * 1000),
        )
        for manager, by_clients in latencies.items()
        for n, us in by_clients.items()
        for number in range(rounds)
    ]


def result(
    folder: Path,
    name: str,
    records: Sequence[RunRecord],
    failures: Sequence[FailedRun] = (),
    environment: Environment = ENVIRONMENT,
) -> Reading:
    path = save(folder / f"{name}.json", records, failures, environment)
    return reading(load_summary(path))


Compare = Callable[..., SideBySide]


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    """Puts results of these latencies side by side."""

    number = itertools.count()

    def of(*several: ByManager) -> SideBySide:
        return side_by_side(
            [result(tmp_path, f"r{next(number)}", records_of(each)) for each in several]
        )

    return of


def test_two_that_disagree(compare: Compare) -> None:
    found = compare(AHEAD, BEHIND)
    assert found.sentences == (
        "For short requests with a free child, the results disagree on whether async is faster"
        " than sync at N = 4 (faster on A, slower on B) and agree at N = 1 (slower) and at N = 16"
        " (faster).",
    )
    (question,) = found.questions
    assert (question.clients, question.disagree_at, question.agree_at) == (
        (1, 4, 16),
        (4,),
        (1, 16),
    )
    assert [answer.faster_from for answer in found.answers] == ["4 (4 to 4)", "16 (16 to 16)"]
    assert found.notes == ()


def test_two_that_agree(compare: Compare) -> None:
    ahead: ByManager = {"sync": {1: 200, 4: 300}, "async": {1: 100, 4: 100}}
    assert compare(ahead, ahead).sentences == (
        "For short requests with a free child, the results agree on whether async is faster than"
        " sync at N = 1 to 4 (faster).",
    )


def test_workloads_share_a_sentence(tmp_path: Path) -> None:
    ahead: ByManager = {"sync": {1: 200}, "async": {1: 100}}
    slow: ByManager = {"sync": {1: 2000}, "async": {1: 1000}}
    both = [*records_of(ahead), *records_of(slow, workload="medium")]
    readings = [result(tmp_path, name, both) for name in ("here", "there")]
    assert side_by_side(readings).sentences == (
        "For short requests with a free child, the results agree on whether async is faster than"
        " sync at N = 1 (faster); for medium requests, they agree at N = 1 (faster).",
    )


def test_a_difference_that_only_one_has_is_a_disagreement(compare: Compare) -> None:
    clear: ByManager = {"sync": {4: 200}, "async": {4: 100}}
    unclear: ByManager = {"sync": {4: 100}, "async": {4: [50, 200, 60, 190, 90]}}
    assert (
        "disagree on whether async is faster than sync at N = 4 (faster on A and C, no"
        in (compare(clear, unclear, clear).sentences[0])
    )
    slower: ByManager = {"sync": {4: 100}, "async": {4: 200}}
    assert (
        "N = 4 (slower on A, no significant difference on B)."
        in (compare(slower, unclear).sentences[0])
    )
    assert (
        "agree on whether async is faster than sync at N = 4 (no significant difference)."
        in (compare(unclear, unclear).sentences[0])
    )


def test_the_rows_are_those_of_each_verdict(compare: Compare) -> None:
    found = compare(AHEAD, BEHIND)
    for answer in found.answers:
        (group,) = answer.result.reading.ordinary.groups()
        assert list(rows_of(group)) == [answer.row]
        assert answer.row is not None
        assert answer.amounts == answer.row.amounts  # N = 16 is the greatest of both


def test_amounts_are_those_of_the_greatest_common_n(compare: Compare) -> None:
    few: ByManager = {manager: {n: by[n] for n in (1, 4)} for manager, by in AHEAD.items()}
    found = compare(AHEAD, few)
    (question,) = found.questions
    assert question.clients == (1, 4)
    assert question.title == "async, short requests, a free child, N = 4"
    for answer in found.answers:
        throughput, p99 = (answer.amount(heading) for heading in ("throughput", "p99 latency"))
        assert throughput is not None
        assert p99 is not None
        assert (throughput.effect.ratio, p99.effect.ratio) == pytest.approx((2, 0.5), rel=0.02)
        assert (throughput.mark, p99.mark) == (Mark.BETTER, Mark.BETTER)
    # From which N on is the result's own answer, from all of its N.
    assert [answer.row.clients for answer in found.answers if answer.row] == [16, 4]


def test_no_n_in_common(compare: Compare) -> None:
    here: ByManager = {"sync": {1: 50, 4: 200}, "async": {1: 100}}
    there: ByManager = {"sync": {1: 50, 4: 200}, "async": {4: 100}}
    found = compare(here, there)
    assert found.sentences == (
        "For short requests with a free child, the results have no N in common for async and sync.",
    )
    assert [answer.amounts for answer in found.answers] == [(), ()]
    lines = printed_lines(found)
    headings = lines[lines.index("Ratio to sync (95 % CI)") + 1]
    assert headings.split()[-3:] == ["faster", "from", "N"]


def test_the_manager_is_named_whatever_the_first_workload_lacks(tmp_path: Path) -> None:
    medium = records_of({"sync": {1: 500}, "async": {1: 400}}, workload="medium")
    readings = [
        result(tmp_path, name, [*records_of({"sync": {1: 50, 4: 200}, "async": {n: 100}}), *medium])
        for name, n in (("here", 1), ("there", 4))
    ]
    assert side_by_side(readings).sentences == (
        "For short requests with a free child, the results have no N in common for async and sync;"
        " for medium requests, the results agree on whether async is faster than sync at N = 1"
        " (faster).",
    )


def test_other_managers_workloads_and_children(tmp_path: Path) -> None:
    ahead: ByManager = {"sync": {1: 200, 4: 300}, "async": {1: 100, 4: 100}}
    with_uvloop = {**ahead, "async-uvloop": ahead["async"]}
    first = [*records_of(with_uvloop), *records_of(ahead, cost="pg14")]
    second = [*records_of(with_uvloop), *records_of(ahead, workload="medium")]
    third = [*records_of(ahead), *records_of(ahead, workload="medium")]
    readings = [
        result(tmp_path, name, records)
        for name, records in (("first", first), ("second", second), ("third", third))
    ]
    found = side_by_side(readings)
    assert found.sentences == (
        "For short requests with a free child, the results agree on whether async is faster than"
        " sync at N = 1 to 4 (faster); for medium requests, B and C agree at N = 1 to 4 (faster).",
        "For short requests with a free child, A and B agree on whether async-uvloop is faster than"
        " sync at N = 1 to 4 (faster).",
    )
    answers = [
        (answer.workload, answer.manager, answer.result.label)
        for answer in found.answers
        if answer.faster_from == NOT_MEASURED
    ]
    assert answers == [("short", "async-uvloop", "C"), ("medium", "async", "A")]
    assert found.notes == ("only A compares async (short, pg14) with sync",)


def test_a_failed_case(tmp_path: Path) -> None:
    without = {**AHEAD, "async": {n: us for n, us in AHEAD["async"].items() if n < 16}}
    failures = [FailedRun(Case("async", "short", 16), 0, "no memory")]
    readings = [
        result(tmp_path, "whole", records_of(AHEAD)),
        result(tmp_path, "failed", records_of(without), failures),
    ]
    found = side_by_side(readings)
    (question,) = found.questions
    assert question.clients == (1, 4)
    (note,) = found.notes
    assert note.startswith("B: ")
    assert "async/short/n=16" in note
    assert "no memory" in note


def test_a_manager_of_which_every_run_failed(tmp_path: Path) -> None:
    sync = {"sync": AHEAD["sync"]}
    failures = [FailedRun(Case("async", "short", n), 0, "no memory") for n in (1, 4, 16)]
    records = (records_of(AHEAD), records_of(AHEAD), records_of(sync))
    readings = [
        result(tmp_path, f"r{at}", each, failures if at == 2 else ())
        for at, each in enumerate(records)
    ]
    found = side_by_side(readings)
    assert [answer.faster_from for answer in found.answers][2] == NOT_MEASURED
    assert found.sentences[0].startswith("For short requests with a free child, A and B agree on ")


def test_an_older_file_without_turns(tmp_path: Path) -> None:
    readings = [
        result(tmp_path, "new", records_of(AHEAD)),
        result(tmp_path, "old", list(map(without_turn, records_of(AHEAD)))),
    ]
    found = side_by_side(readings)
    (note,) = found.notes
    assert note.startswith("B: p50 and p99 are those of the call")
    ratios = [answer.amount("p99 latency") for answer in found.answers]
    assert [amount.effect.ratio for amount in ratios if amount] == pytest.approx(
        [0.25, 0.25], rel=0.02
    )


def test_one_round_has_no_ci(tmp_path: Path) -> None:
    readings = [
        result(tmp_path, f"r{rounds}", records_of(AHEAD, rounds=rounds)) for rounds in (5, 1)
    ]
    found = side_by_side(readings)
    assert any(note.startswith("B: one round only") for note in found.notes)
    assert [answer.faster_from for answer in found.answers] == ["4 (4 to 4)", "4 (?)"]


def test_what_differs_besides_the_machine_is_said(tmp_path: Path) -> None:
    other = replace(OTHER_MACHINE, config_json='{"slices":9}', git_commit="f" * 40)
    readings = [
        result(tmp_path, "here", records_of(AHEAD)),
        result(tmp_path, "there", records_of(AHEAD), environment=other),
    ]
    assert side_by_side(readings).notes == (
        "A and B differ in code or settings: commit: 1a2b3c4 | fffffff; slices: 5 | 9",
    )
    alike = replace(OTHER_MACHINE, seed=8)
    readings[1] = result(tmp_path, "alike", records_of(AHEAD), environment=alike)
    assert side_by_side(readings).notes == ()


@pytest.mark.parametrize(
    ("environment", "machine", "cpus"),
    [
        (ENVIRONMENT, "Example 3000", "8"),
        (OTHER_MACHINE, "Intel Xeon Platinum 8370C", "1 of 2"),
        (replace(ENVIRONMENT, cpus_allowed="0-7"), "Example 3000", "8"),
        (replace(ENVIRONMENT, cpus_allowed="0-1,6"), "Example 3000", "3 of 8"),
        (Environment(cpu_model="CPU @ 3 GHz"), "CPU", "-"),
        (Environment(), "unknown", "-"),
    ],
)
def test_the_machine(environment: Environment, machine: str, cpus: str, tmp_path: Path) -> None:
    one = Result("A", result(tmp_path, "r", records_of(AHEAD), environment=environment))
    assert (one.machine, one.cpus) == (machine, cpus)


def test_nothing_in_common(tmp_path: Path) -> None:
    readings = [
        result(tmp_path, "one", records_of({"sync": {1: 50}, "async": {1: 50}})),
        result(tmp_path, "two", records_of({"sync": {4: 50}, "async": {4: 50}})),
    ]
    with pytest.raises(BenchError, match=r"^one\.json and two\.json have no case in common$"):
        side_by_side(readings)


def test_labels_go_beyond_the_alphabet(tmp_path: Path) -> None:
    one = result(tmp_path, "r", records_of({"sync": {1: 50}, "async": {1: 50}}))
    labels = [each.label for each in side_by_side([one] * 28).results]
    assert (labels[0], labels[25:]) == ("A", ["Z", "A2", "B2"])


# Printed


def printed_lines(found: SideBySide) -> list[str]:
    return [line.rstrip() for line in printed(partial(print_side_by_side, found)).splitlines()]


def test_the_table(tmp_path: Path) -> None:
    readings = [
        result(tmp_path, "here", records_of(AHEAD)),
        result(tmp_path, "there", records_of(BEHIND), environment=OTHER_MACHINE),
    ]
    lines = printed_lines(side_by_side(readings))
    assert lines[0].startswith("A  here.json: Example CPU 3000, CPUs: 8, Linux 6.1.0; commit")
    at = lines.index("Ratio to sync at N = 16 (95 % CI)")
    words = "workload manager result machine CPUs faster from N throughput p99 latency"
    assert " ".join(lines[at + 1].split()) == words
    assert re.fullmatch(
        r"short +async +A +Example 3000 +8 +4 \(4 to 4\) +4\.\S+ \(\S+\) \+ +0\.25 \(\S+\) \+",
        lines[at + 2],
    )
    assert re.match(r" +B +Intel Xeon +1 of 2 +16 \(16 to 16\) ", lines[at + 3])
    assert " ".join(lines[at + 4].split()) == "Platinum 8370C"
    assert max(map(len, lines[at:])) <= 100


# On the page


def test_the_page_begins_with_it(tmp_path: Path) -> None:
    readings = [
        result(tmp_path, "here", records_of(AHEAD)),
        result(tmp_path, "there", records_of(BEHIND), environment=OTHER_MACHINE),
    ]
    text = page(readings)
    section = text[text.index('<section aria-labelledby="side-by-side">') :].partition("</section>")
    assert text.index('<section aria-labelledby="side-by-side">') == text.index("<section")
    for said in (
        "disagree on whether async is faster than sync at N = 4 (faster on A, slower on B)",
        "async, short requests, a free child, N = 16",
        "<span>Intel Xeon Platinum 8370C</span>",
        "<span>1 of 2</span>",
        "<span>16 (16 to 16)</span>",
        '<b class="better">',
        "Compared with sync: + better.",
    ):
        assert said in section[0]
    assert "side-by-side" not in page(readings[:1])


def test_results_of_several_machines_have_no_section_of_changes(tmp_path: Path) -> None:
    both = records_of(AHEAD)
    here = result(tmp_path, "here", both)
    there = result(tmp_path, "there", both, environment=OTHER_MACHINE)
    newer = result(tmp_path, "newer", both, environment=replace(ENVIRONMENT, kernel="Linux 7.0"))
    assert "Changes:" not in page([here, there])
    assert "Changes:" in page([here, there], other_conditions=True)
    text = page([here, there, newer])
    assert text.count("Changes:") == 1  # those of the same machine: it says why they do not compare
    assert "kernel: Linux 6.1.0, then Linux 7.0" in text


def test_words_of_the_table_are_on_the_left(tmp_path: Path) -> None:
    text = page(
        [
            result(tmp_path, "here", records_of(AHEAD)),
            result(tmp_path, "there", records_of(BEHIND), environment=OTHER_MACHINE),
        ]
    )
    table = text[text.index('<table class="stack answer">') :].partition("</table>")[0]
    assert table.count('<td class="words" data-label="machine">') == 2
    assert table.count('<td data-label="CPUs">') == 2
    assert table.count('<th scope="col" class="words">machine</th>') == 1


def test_results_that_cannot_be_compared_with_sync_have_no_such_section(tmp_path: Path) -> None:
    only_async = records_of({"async": AHEAD["async"]})
    readings = [result(tmp_path, name, only_async) for name in ("here", "there")]
    assert "side-by-side" not in page(readings)


# The commands


@pytest.fixture
def files(bench: Bench) -> Bench:
    result(bench.folder, "a", records_of(AHEAD))
    result(bench.folder, "b", records_of(BEHIND), environment=OTHER_MACHINE)
    result(bench.folder, "async", records_of({"async": AHEAD["async"]}))
    result(bench.folder, "far", records_of({"sync": {512: 50}, "async": {512: 50}}))
    return bench


def test_show_several(files: Bench) -> None:
    status, out, err = files("show a.json b.json")
    assert (status, err) == (0, "")
    assert out.startswith("A  a.json: ")
    words, with_legend = (
        " ".join(text.split()) for text in (out, files("show a.json b.json --legend")[1])
    )
    assert "disagree on whether async is faster than sync at N = 4" in words
    assert "does not prove" not in words
    assert "does not prove" in with_legend


def test_show_several_as_json(files: Bench) -> None:
    status, out, err = files("show a.json b.json --json")
    assert (status, err) == (0, "")
    data = json.loads(out)
    single = json.loads(files("show b.json --json")[1])
    assert data["version"] == single["version"]
    assert data["results"][1] == single
    found = data["side_by_side"]
    assert [one["source"] for one in found["results"]] == ["a.json", "b.json"]
    (question,) = found["questions"]
    assert question["disagree_at"] == [4]
    for answer, one in zip(question["answers"], data["results"], strict=True):
        (row,) = one["verdict"]["rows"]
        assert answer["row"] == row
        assert answer["amounts"] == row["amounts"]
        assert answer["amounts_at"] == 16


def test_report_of_several(files: Bench) -> None:
    assert files("report a.json b.json -o p.html") == (0, "p.html\n", "")
    assert "Result by result" in (files.folder / "p.html").read_text()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("show a.json a.json", "a.json: is named twice"),
        ("show a.json b.json ./a.json", "a.json: is named twice"),
        ("report a.json a.json", "a.json: is named twice"),
        ("show a.json far.json", "a.json and far.json have no case in common"),
        ("report a.json far.json", "a.json and far.json have no case in common"),
        ("show a.json async.json", "no two of them compare the same manager with sync"),
        ("show a.json b.json --tails", "--tails: goes with one result, not with 2"),
        ("show a.json b.json --only cases", "--only: goes with one result, not with 2"),
        ("show a.json b.json --against floor", "--against: goes with one result, not with 2"),
        ("show a.json b.json --format bencher", "--format bencher: goes with one result"),
        ("show a.json none.json", "none.json: no such file"),
    ],
)
def test_what_cannot_be_put_side_by_side(command: str, says: str, files: Bench) -> None:
    assert says in files.refuses(command)


def test_data_have_no_row_of_what_was_not_measured(compare: Compare) -> None:
    both, neither = AHEAD, {"sync": AHEAD["sync"]}
    (question,) = side_by_side_data(compare(both, both, neither))["questions"]
    assert question["answers"][2] == {"result": "C", "amounts_at": 16, "amounts": {}, "row": None}
