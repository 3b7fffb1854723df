"""Two result files whose difference is known: what `compare` says of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.cases.case import Case
from bench.results.environment import Environment
from bench.results.record import RunRecord
from bench.results.summary import Summary, load_summary
from bench.show.comparison import as_csv, as_data, as_markdown
from bench.statistics.comparison import Comparison, compare, differences
from bench.statistics.effects import Verdict
from bench.statistics.gate import Bound, breaches
from tests.support.made_up_runs import Bench
from tests.support.synthetic import ENVIRONMENT, save, steady_record, with_pipes

CASES = (Case("async", "short", 8), Case("sync", "short", 1))
SLOWER = [Bound.parse("slower")]


def records(cases: Sequence[Case], factor: float, seed: int, rounds: int = 6) -> list[RunRecord]:
    """Runs of 50 us, times the factor, that scatter by 1 % or so; a round is disturbed as a whole,
    by the same in every file."""
    disturbance = np.random.default_rng(99).uniform(1.0, 1.4, rounds)
    own = np.random.default_rng(seed)
    return [
        steady_record(
            case,
            number,
            latency_ns=round(50_000 * factor * disturbance[number] * own.normal(1, 0.01)),
        )
        for number in range(rounds)
        for case in cases
    ]


def compared(
    folder: Path,
    factor: float,
    *,
    paired: bool = True,
    environment: Environment = ENVIRONMENT,
    cases: Sequence[Case] = CASES,
    rounds: int = 6,
) -> Comparison:
    together = "20261124T120000" if paired else None
    base = save(
        folder / "base.json",
        records(CASES, 1.0, 1),
        environment=replace(ENVIRONMENT, ab=together),
    )
    changed = save(
        folder / "changed.json",
        records(cases, factor, 2, rounds),
        environment=replace(environment, ab=together),
    )
    return compare(load_summary(base), load_summary(changed))


@pytest.mark.parametrize(
    ("factor", "says"),
    [(1.1, Verdict.SLOWER), (0.9, Verdict.FASTER), (1.0, Verdict.SAME)],
)
def test_a_change_of_the_managers(tmp_path: Path, factor: float, says: Verdict) -> None:
    comparison = compared(tmp_path, factor)
    assert [one.verdict for one in comparison.cases] == [says, says]
    for one in comparison.cases:
        time = one.measures["time_per_redo_s"]
        assert time.verdict is one.measures["throughput_per_s"].verdict is says
        assert time.effect.ratio == pytest.approx(factor, rel=0.02)
        assert time.effect.smallest_shown is not None
        assert one.measures["throughput_per_s"].effect.ratio == pytest.approx(1 / factor, rel=0.02)
    assert comparison.overall is not None
    assert comparison.overall.ratio == pytest.approx(factor, rel=0.02)
    assert not (comparison.differences or comparison.only_base or comparison.only_changed)


def test_files_that_were_not_measured_together_are_not_paired(tmp_path: Path) -> None:
    comparison = compared(tmp_path, 1.03, paired=False)
    assert {one.verdict for one in comparison.cases} == {Verdict.INCONCLUSIVE}
    shown = comparison.cases[0].measures["time_per_redo_s"].effect.smallest_shown
    assert shown is not None
    assert shown > 0.08


def test_the_cpu_of_a_redo_is_compared_by_itself(tmp_path: Path) -> None:
    one = compared(tmp_path, 1.1).cases[0]
    assert one.measures["cpu_total_s"].effect.ratio == 1.0
    assert one.measures["cpu_total_s"].verdict is Verdict.SAME


def test_cases_that_only_one_file_has_are_listed(tmp_path: Path) -> None:
    other = Case("floor", "short", 1)
    comparison = compared(tmp_path, 1.0, cases=(CASES[1], other))
    assert [one.case for one in comparison.cases] == [CASES[1]]
    assert (comparison.only_base, comparison.only_changed) == ((CASES[0],), (other,))
    assert "only in base: async/short/n=8" in as_markdown(comparison)


def test_one_round_is_a_ratio_and_no_verdict(tmp_path: Path) -> None:
    comparison = compared(tmp_path, 2.0, rounds=1)
    effect = comparison.cases[0].measures["time_per_redo_s"].effect
    assert effect.ratio == pytest.approx(2.0, rel=0.1)
    assert effect.low is effect.p_value is None
    assert comparison.cases[0].verdict is Verdict.INCONCLUSIVE


def test_the_worst_is_the_slowest_that_is_surely_slower(tmp_path: Path) -> None:
    together = replace(ENVIRONMENT, ab="20261124T120000")
    base = save(tmp_path / "b.json", records(CASES, 1.0, 1), environment=together)
    slow = [*records(CASES[:1], 1.2, 2), *records(CASES[1:], 1.5, 3)]
    changed = save(tmp_path / "c.json", slow, environment=together)
    comparison = compare(load_summary(base), load_summary(changed))
    assert [breach.case for breach in breaches(comparison, SLOWER)] == [CASES[1], CASES[0]]
    assert breaches(compared(tmp_path / "same", 1.0), SLOWER) == []


def test_what_forbids_a_comparison_is_named(tmp_path: Path) -> None:
    environment = replace(
        ENVIRONMENT,
        kernel="Linux 6.12.0",
        config_json='{"rounds":9,"slices":6}',
        git_commit="f" * 40,
    )
    comparison = compared(tmp_path, 1.0, environment=environment)
    assert comparison.differences == ("kernel: Linux 6.1.0 | Linux 6.12.0", "slices: 5 | 6")
    assert "kernel: Linux 6.1.0, then Linux 6.12.0" in as_markdown(comparison)


LARGE, SMALL = 1 << 20, 1 << 16


def differing(folder: Path, base: Sequence[RunRecord], changed: Sequence[RunRecord]) -> list[str]:
    """The conditions that differ between results of these runs."""
    both = [load_summary(save(folder / f"{len(list(folder.iterdir()))}.json", base))]
    both.append(load_summary(save(folder / f"{len(list(folder.iterdir()))}.json", changed)))
    return list(compare(*both).differences)


def test_pipes_of_other_sizes_are_other_conditions(tmp_path: Path) -> None:
    plain = records(CASES, 1.0, 1, rounds=2)
    large = [with_pipes(record, LARGE) for record in plain]
    small = [with_pipes(record, SMALL) for record in plain]
    assert differing(tmp_path, large, large) == []
    assert differing(tmp_path, large, small) == [
        "bytes of pipes: 1048576 | 65536 in async/short/n=8 and 1 more"
    ]
    # Only one case of one file, only one way, and only in one of its rounds.
    other = [*large[:-1], with_pipes(plain[-1], LARGE, SMALL)]
    assert differing(tmp_path, large, other) == [
        "bytes of pipes: 1048576 | 1048576 to / 65536 from and 1048576 in sync/short/n=1"
    ]
    # The floor and results of older versions do not say.
    assert differing(tmp_path, plain, small) == []


def test_results_with_other_pipes_are_refused(bench: Bench) -> None:
    plain = records(CASES, 1.0, 1)
    save(bench.folder / "a.json", [with_pipes(record, LARGE) for record in plain])
    save(bench.folder / "b.json", [with_pipes(record, SMALL) for record in plain])
    assert "bytes of pipes: 1048576 | 65536" in bench.refuses("compare a.json b.json")
    status, out, _ = bench("compare a.json b.json --force --markdown")
    assert status == 0
    assert "not the same conditions: bytes of pipes: 1048576, then 65536" in out
    assert bench("report a.json b.json -o page.html")[0] == 0
    page = (bench.folder / "page.html").read_text(encoding="utf-8")
    assert "bytes of pipes: 1048576, then 65536" in page


@pytest.mark.parametrize(
    ("before", "after", "difference"),
    [
        ("0-1", "0-1", None),
        ("0-1", "0,2", "CPUs allowed: 0-1 | 0,2"),
        ("0-7", "3", "CPUs allowed: all | 3"),
        # A version that did not store them left pyperf's list, which leaves out that all are.
        (None, "0-7", None),
        (None, "0-1", "CPUs allowed: all | 0-1"),
    ],
)
def test_other_cpus_are_other_conditions(
    before: str | None, after: str, difference: str | None, tmp_path: Path
) -> None:
    base, changed = (
        load_summary(
            save(
                tmp_path / f"{number}.json",
                records(CASES, 1.0, 1),
                environment=replace(ENVIRONMENT, cpus_allowed=allowed),
            )
        )
        for number, allowed in enumerate((before, after))
    )
    # That of the process that runs this test.
    others = {key: value for key, value in base.metadata.items() if key != "cpu_affinity"}
    base = replace(base, metadata=others)
    assert compare(base, changed).differences == ((difference,) if difference else ())


def test_the_number_of_cpus_of_a_case_is_a_condition(tmp_path: Path) -> None:
    plain = records(CASES, 1.0, 1, rounds=1)
    two, one = (
        [replace(record, worker_metadata={"redo_cpus": count}) for record in plain]
        for count in (2, 1)
    )
    assert differing(tmp_path, two, [*two[:-1], one[-1]]) == [
        "CPUs of manager and child: 2 | 1 in sync/short/n=1"
    ]


def test_all_forms_say_the_same(tmp_path: Path) -> None:
    comparison = compared(tmp_path, 1.1)
    data = json.loads(json.dumps(as_data(comparison)))
    lines = list(csv.DictReader(io.StringIO(as_csv(comparison))))
    assert [case["case"] for case in data["cases"]] == [case.name for case in CASES]
    assert len(lines) == sum(len(case["measures"]) for case in data["cases"]) == 10
    for line in lines:
        case = next(case for case in data["cases"] if case["case"] == line["case"])
        measure = case["measures"][line["measure"]]
        for key in ("ratio", "low", "high", "p_value", "p_corrected", "smallest_shown"):
            assert float(line[key]) == measure[key]
        assert line["verdict"] == measure["verdict"]
    rows = [line for line in as_markdown(comparison).splitlines() if line.startswith("| `")]
    for row, case in zip(rows, data["cases"], strict=True):
        ratio = case["measures"]["time_per_redo_s"]["ratio"]
        assert f"| {ratio:.2f} (" in row
        assert "**slower**" in row


# --- The command ----------------------------------------------------------------------------------


@pytest.fixture
def three(bench: Bench) -> Bench:
    """No round disturbs all: base.json, slow.json (+50 %), other.json (another kernel)."""
    for name, factor, environment in (
        ("base", 1.0, ENVIRONMENT),
        ("slow", 1.5, ENVIRONMENT),
        ("other", 1.0, replace(ENVIRONMENT, kernel="Linux 6.12.0")),
    ):
        random = np.random.default_rng(len(name))
        runs = [
            steady_record(case, n, latency_ns=round(50_000 * factor * random.normal(1, 0.01)))
            for n in range(5)
            for case in CASES
        ]
        save(bench.folder / f"{name}.json", runs, environment=environment)
    return bench


def test_the_table(three: Bench) -> None:
    status, out, err = three("compare base.json slow.json")
    assert (status, err) == (0, "")
    assert "not measured together" in out
    assert "2 cases: 2 slower" in out
    row = next(line for line in out.splitlines() if line.startswith("sync/short/n=1"))
    assert "1.5" in row
    assert "slower" in row
    assert all(len(line) <= 100 for line in out.splitlines()[2:5])


@pytest.mark.parametrize(
    ("changed", "fail_on", "status"),
    [
        ("slow", "slower", 1),
        ("slow", "slower:40", 1),
        ("slow", "slower:60", 0),
        ("base", "slower", 0),
    ],
)
def test_fail_on(three: Bench, changed: str, fail_on: str, status: int) -> None:
    found, out, err = three(f"compare base.json {changed}.json --csv --fail-on {fail_on}")
    assert found == status
    assert out.startswith("case,measure,")
    assert ("is slower" in err) == bool(status)


def test_other_conditions_need_force(three: Bench) -> None:
    status, out, err = three("compare base.json other.json")
    assert (status, out) == (2, "")
    assert "not measured under the same conditions (kernel: Linux 6.1.0 | Linux 6.12.0)" in err
    status, out, err = three("compare base.json other.json --force")
    assert (status, err) == (0, "")
    assert "WARNING: not the same conditions: kernel: Linux 6.1.0, then Linux 6.12.0" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("base.json slow.json --fail-on faster", "slower or slower:PERCENT"),
        ("base.json slow.json --fail-on slower:x", "slower or slower:PERCENT"),
        ("base.json slow.json --fail-on slower:-1", "slower or slower:PERCENT"),
        ("base.json slow.json --fail-on slower:nan", "slower or slower:PERCENT"),
        ("base.json slow.json --margin 0", "a percentage above 0 and below 100"),
        ("base.json slow.json --margin many", "a percentage above 0 and below 100"),
        ("base.json slow.json --json --csv", "not allowed with"),
        ("base.json absent.json", "absent.json"),
        ("base.json nothing-like-it", "neither a result file nor a commit"),
        ("base.json", "no result file in"),  # CHANGED is the latest
        ("", "required: BASE"),
    ],
)
def test_bad_usage(three: Bench, arguments: str, says: str) -> None:
    status, out, err = three(f"compare {arguments}")
    assert (status, out) == (2, "")
    assert says in err
    assert len(err.strip().splitlines()) == 1


def test_nothing_in_common(three: Bench) -> None:
    save(three.folder / "floor.json", [steady_record(Case("floor", "short", 1))])
    status, _, err = three("compare base.json floor.json")
    assert status == 2
    assert "no case in common" in err


@pytest.mark.parametrize(
    ("fact", "value", "other", "case", "said"),
    [
        (
            *("workload_files", "file:a: 11", "file:a: 22", Case("sync", "file:a", 1)),
            "workload file: 11 | 22 in sync/file:a/n=1",
        ),
        (
            *("own_children", "cmd:a: 11", "cmd:a: 22", Case("sync", "short", 1, child="cmd:a")),
            "own child: 11 | 22 in sync/short/n=1/child=cmd:a",
        ),
        (
            *("peer_sha256", "1" * 64, "2" * 64, Case("peer:async", "short", 1)),
            "peer: 111111111111 | 222222222222 in peer:async/short/n=1",
        ),
        (
            *("pythons", "a: CPython 3.13.1", "a: CPython 3.14.0"),
            Case("sync", "short", 1, python="a"),
            "further interpreter: CPython 3.13.1 | CPython 3.14.0 in sync/short/n=1/python=a",
        ),
    ],
)
def test_what_the_user_brings_is_a_condition_of_the_cases_that_use_it(
    fact: str, value: str, other: str, case: Case, said: str, tmp_path: Path
) -> None:
    ordinary = Case("sync", "short", 1)

    def summary(name: str, *cases: Case, **facts: str) -> Summary:
        records = [steady_record(one, number) for one in cases for number in range(3)]
        environment = replace(ENVIRONMENT, **facts)  # type: ignore[arg-type]
        return load_summary(save(tmp_path / f"{name}.json", records, environment=environment))

    without = summary("without", ordinary)
    before = summary("before", ordinary, case, **{fact: value})
    after = summary("after", ordinary, case, **{fact: other})
    assert differences(without, before) == ()
    assert differences(before, after) == (said,)
    assert differences(before, after, [ordinary]) == ()
