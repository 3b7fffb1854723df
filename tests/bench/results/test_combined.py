"""Several sessions of one suite as one result, and what keeps them from being that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.cases.config import load_profile, override
from bench.cli.combining import read_combined
from bench.errors import ResultFileError
from bench.results.environment import Environment
from bench.results.record import FailedRun, RunRecord, Session
from bench.results.result_file import ResultFile
from bench.results.summary import Summary, summary_of
from bench.worker.protocol import PIPE_FACTS
from tests.support.synthetic import ENVIRONMENT, save, steady_record, steady_slice

SYNC, ASYNC = (Case(manager, "short", 8) for manager in ("sync", "async"))
QUICK = override(load_profile("quick"), rounds=2)
FIRST = replace(ENVIRONMENT, config_json=QUICK.to_json())
SECOND = replace(FIRST, suite_date="2026-11-24T12:00:00+00:00")


def records(*rounds: int, latency_ns: int = 50_000) -> list[RunRecord]:
    return [
        steady_record(case, number, latency_ns=latency_ns + number)
        for case in (SYNC, ASYNC)
        for number in rounds
    ]


def combined(*paths: Path) -> Summary:
    return summary_of(paths[0], read_combined(paths))


def refused(*paths: Path) -> str:
    """Why the last file is not combined with the first."""
    with pytest.raises(ResultFileError) as error:
        read_combined(paths)
    line = str(error.value)
    assert line.startswith(f"{paths[-1]}: ")
    assert "\n" not in line
    return line


def by_round(summary: Summary, case: Case = SYNC) -> Sequence[tuple[int, float]]:
    (row,) = (row for row in summary.rows if row.case == case)
    assert row.time_per_redo_s is not None
    return [(number, round(value * 1e9)) for number, value in row.time_per_redo_s.by_round]


def test_rounds_of_both_are_rounds_of_one(tmp_path: Path) -> None:
    a = save(tmp_path / "a.json", records(1, 2), environment=FIRST)
    b = save(tmp_path / "b.json", records(1, 2, 3, latency_ns=60_000), environment=SECOND)
    before = [path.read_bytes() for path in (a, b)]
    summary = combined(a, b)
    assert summary.source == "a.json + b.json"
    assert summary.rounds == (1, 2, 3, 4, 5)
    times_ns = [50_001, 50_002, 60_001, 60_002, 60_003]
    for case in (SYNC, ASYNC):
        assert by_round(summary, case) == list(enumerate(times_ns, 1))
    assert summary.sessions == (
        Session("a.json", FIRST.suite_date, 2),
        Session("b.json", SECOND.suite_date, 3),
    )
    assert [path.read_bytes() for path in (a, b)] == before


def test_what_all_have_in_common_stays_known(tmp_path: Path) -> None:
    a = save(tmp_path / "a.json", records(1, 2), environment=FIRST)
    more = replace(SECOND, config_json=override(QUICK, rounds=3).to_json())
    b = save(tmp_path / "b.json", records(1, 2, 3), environment=more)
    for paths in ((a, b), (b, a)):
        environment = combined(*paths).environment
        assert json.loads(environment.config_json)["rounds"] == 5
        assert replace(environment, config_json=FIRST.config_json) == FIRST


def test_three_sessions(tmp_path: Path) -> None:
    dates = ("2026-11-25", "2026-11-23", "2026-11-24")
    paths = [
        save(tmp_path / f"{date}.json", records(7), environment=replace(FIRST, suite_date=date))
        for date in dates
    ]
    summary = combined(*paths)
    assert summary.rounds == (7, 8, 9)
    assert tuple(session.date for session in summary.sessions) == dates
    assert summary.environment.suite_date == min(dates)


def test_failed_and_dropped_ones_move_with_their_rounds(tmp_path: Path) -> None:
    paths = []
    for name, environment in (("a", FIRST), ("b", SECOND)):
        result = ResultFile(tmp_path / f"{name}.json", environment)
        for record in records(1, 2):
            result.add(record)
        result.add_failure(FailedRun(Case("floor", "short", 8), 2, name))
        result.drop_cases([Case("sync", "ping", 1)])
        if name == "b":
            result.drop_cases([ASYNC])
        result.save()
        paths.append(result.path)
    summary = combined(*paths)
    assert [(one.round, one.reason) for one in summary.failures] == [(2, "a"), (4, "b")]
    assert summary.dropped_cases == (Case("sync", "ping", 1),)
    assert [number for number, _ in by_round(summary, ASYNC)] == [1, 2]


def test_one_file_is_itself(tmp_path: Path) -> None:
    path = save(tmp_path / "a.json", records(1, 2), environment=FIRST)
    summary = combined(path)
    assert (summary.source, summary.sessions) == ("a.json", ())


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (replace(SECOND, git_commit="f" * 40), "git_commit: 1a2b3c4d5e6f7081"),
        (replace(SECOND, git_dirty=True), "git_dirty: False | True"),
        (replace(SECOND, git_diff_sha256="5eed"), "git_diff_sha256: None | 5eed"),
        (replace(SECOND, cpu_model="Another"), "CPU: Example CPU 3000 | Another"),
        (replace(SECOND, kernel="Linux 6.2"), "kernel: Linux 6.1.0 | Linux 6.2"),
        (replace(SECOND, cpus_allowed="0"), "CPUs allowed: all | 0"),
        (replace(SECOND, seed=8), "seed: 7 | 8"),
        (replace(SECOND, child_build={"compiler": "cc 14"}), "compiler of the child: cc 13.2 |"),
        (replace(SECOND, ab="20261124T120000"), "ab: None | 20261124T120000"),
        (
            replace(SECOND, config_json=override(QUICK, seconds=9.0).to_json()),
            "seconds: ",
        ),
        (
            replace(SECOND, config_json=override(QUICK, clients=[1]).to_json()),
            "clients: [1, 8, 64] and [1]",
        ),
    ],
)
def test_other_code_or_conditions(tmp_path: Path, other: Environment, says: str) -> None:
    a = save(tmp_path / "a.json", records(1), environment=FIRST)
    b = save(tmp_path / "b.json", records(1), environment=other)
    line = refused(a, b)
    assert f"cannot be combined with {a} (" in line
    assert says in line


def test_pipes_of_other_sizes(tmp_path: Path) -> None:
    paths = []
    for name, environment, pipe_bytes in (("a", FIRST, 65536), ("b", SECOND, 1 << 20)):
        facts = dict.fromkeys(PIPE_FACTS, pipe_bytes)
        record = RunRecord(SYNC, 1, (steady_slice(8, 20, 50_000),), worker_metadata=facts)
        paths.append(save(tmp_path / f"{name}.json", [record], environment=environment))
    assert "bytes of pipes: 65536 | 1048576 in sync/short/n=8" in refused(*paths)


def test_another_python(tmp_path: Path) -> None:
    paths = []
    for name, environment, version in (("a", FIRST, "3.98"), ("b", SECOND, "3.99")):
        facts = {"python_version": version, "python_implementation": "cpython"}
        record = RunRecord(SYNC, 1, (steady_slice(8, 20, 50_000),), worker_metadata=facts)
        paths.append(save(tmp_path / f"{name}.json", [record], environment=environment))
    assert "interpreter's version: 3.98 | 3.99" in refused(*paths)


def test_what_pyperf_cannot_put_together(tmp_path: Path) -> None:
    paths = []
    for name, environment, aslr in (("a", FIRST, "on"), ("b", SECOND, "off")):
        facts = {"aslr": aslr}
        record = RunRecord(SYNC, 1, (steady_slice(8, 20, 50_000),), worker_metadata=facts)
        paths.append(save(tmp_path / f"{name}.json", [record], environment=environment))
    with pytest.raises(ResultFileError, match=r"a run of sync/short/n=8 \(.*aslr"):
        read_combined(paths)


def test_a_copy_adds_nothing(tmp_path: Path) -> None:
    a = save(tmp_path / "a.json", records(1, 2), environment=FIRST)
    b = save(tmp_path / "b.json", records(1, 2), environment=SECOND)
    copy = tmp_path / "copy.json"
    copy.write_bytes(a.read_bytes())
    assert "both have the same runs" in refused(a, copy)
    assert "both have the same runs" in refused(a, b, copy)
