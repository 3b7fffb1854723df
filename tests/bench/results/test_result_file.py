"""The result file: what is in it, that it survives, what is refused, and how a run goes on."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyperf
import pytest
from hdrh.histogram import HdrHistogram

from bench.cases.case import Case
from bench.errors import BenchError, ResultFileError
from bench.places import ROOT
from bench.results import keys
from bench.results.environment import Environment
from bench.results.pyperf_run import to_pyperf_run
from bench.results.record import FailedRun, RunRecord, Usage
from bench.results.result_file import ResultFile, default_name
from bench.results.suite_file import read_suite, write_atomically
from bench.show.units import formatted
from tests.support.synthetic import (
    COMMIT,
    ENVIRONMENT,
    USAGE,
    idle_slice,
    save,
    steady_record,
    steady_slice,
)

ASYNC, SYNC = Case("async", "short", 8), Case("sync", "short", 8)
PAGE = ROOT / "docs" / "measures.md"


def metadata_of(record: RunRecord, environment: Environment = ENVIRONMENT) -> dict[str, Any]:
    metadata: dict[str, Any] = to_pyperf_run(record, environment).get_metadata()
    return metadata


# What a run becomes


def test_values_are_the_time_per_redo_of_each_slice() -> None:
    slices = (steady_slice(8, 20, 50_000), steady_slice(8, 30, 60_000))
    run = to_pyperf_run(RunRecord(ASYNC, 2, slices, USAGE, ((4, 70e-6),)), ENVIRONMENT)
    assert run.values == pytest.approx((50e-6, 60e-6))
    assert run.warmups == ((4, 70e-6),)
    assert run.get_loops() == 200  # (160 + 240) / 2
    assert run.get_metadata()["unit"] == "second"
    assert run.get_metadata()["duration"] == pytest.approx(20 * 50e-6 + 30 * 60e-6)


def test_the_metadata_has_the_known_truth() -> None:
    metadata = metadata_of(steady_record(ASYNC, 3))
    expected = {
        "name": "async/short/n=8",
        "redo_schema_version": 1,
        "redo_manager": "async",
        "redo_workload": "short",
        "redo_clients": 8,
        "redo_child": "c",
        "redo_round": 3,
        "redo_redos": 320,
        "redo_slices": 2,
        "redo_client_redos_min": 40,
        "redo_client_redos_max": 40,
        "redo_self_check": "ok",
        "redo_git_commit": COMMIT,
        "redo_git_dirty": False,
        "redo_child_build_flags": "-O2 -Wall",
        "redo_seed": 7,
    }
    assert metadata.items() >= expected.items()
    measured = {
        "redo_time_per_redo": 50e-6,
        "redo_throughput": 8 / 50e-6,
        "redo_latency_p50": 50e-6,
        "redo_latency_p99": 50e-6,
        "redo_latency_max": 50e-6,
        "redo_littles_law": 1.0,
        "redo_cpu_manager_user": 0.010 / 320,
        "redo_cpu_total": 0.050 / 320,
        "redo_switches_manager_voluntary": 1000 / 320,
        "redo_switches_child_involuntary": 0.0,
        "redo_read_calls": 2000 / 320,
    }
    assert {key: metadata[key] for key in measured} == pytest.approx(measured)
    decoded = HdrHistogram.decode(metadata["redo_hdr_histogram"])
    assert decoded.get_total_count() == 320


def test_what_is_not_known_is_absent_and_never_zero() -> None:
    usage = Usage(manager_user_s=0.0, child_user_s=None)
    record = RunRecord(ASYNC, 0, (steady_slice(8, 20, 50_000),), usage)
    metadata = metadata_of(record, Environment())
    assert metadata["redo_cpu_manager_user"] == 0.0
    absent = {
        "redo_cpu_child_user",
        "redo_cpu_child",
        "redo_cpu_total",
        "redo_poll_calls",
        "redo_git_commit",
    }
    assert not absent & metadata.keys()


def test_a_missed_self_check_says_by_how_much() -> None:
    slices = (steady_slice(8, 90, 1000), idle_slice(8, 90, 1000))
    text = metadata_of(RunRecord(ASYNC, 0, slices))["redo_self_check"]
    assert text.startswith("1 of 2 slices miss")
    assert "42.8% of N" in text


def test_the_worker_speaks_for_its_python() -> None:
    facts: dict[str, str | int | float]
    facts = {"python_version": "3.99.0 (64-bit)", "redo_loop": "uvloop 0.1", "redo_counter_x": 3}
    record = RunRecord(ASYNC, 0, (steady_slice(8, 20, 50_000),), worker_metadata=facts)
    metadata = metadata_of(record)
    assert metadata.items() >= facts.items()
    # What only this process knows of itself is not said of another one.
    assert "python_compiler" not in metadata
    assert "mem_max_rss" not in metadata


def test_no_host_name_and_no_path_is_kept() -> None:
    metadata = metadata_of(steady_record(ASYNC))
    assert not {"hostname", "python_executable", "python_config_args"} & metadata.keys()


def unknown(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith("redo_") and keys.find(name) is None]


def test_every_key_written_is_in_the_table() -> None:
    facts: dict[str, str | int | float]
    facts = {"redo_loop": "asyncio", "redo_counter_redos": 5, "redo_worker_pinned": "0,1"}
    facts |= {"redo_start_ns": 1, "redo_cpus": 2}
    facts |= {f"redo_request_{one}_p{p}": 3 for one in ("records", "bytes") for p in (50, 99)}
    record = RunRecord(ASYNC, 0, (steady_slice(8, 20, 50_000),), USAGE, worker_metadata=facts)
    environment = replace(
        ENVIRONMENT,
        git_diff_sha256="5eed",
        cpus_allowed="0-7",
        peer_sha256="5eed",
        compiled_core="5eed: pipeline",
        ab="20261124T120000",
        pythons="ft: CPython 3.13.5",
        workload_files="file:mine: 5eed",
        own_managers="a.b:c: 5eed",
        own_children="cmd:mine: 5eed",
    )
    of_suite = {"redo_failed", "redo_dropped_cases", "redo_dropped_rounds"}
    written = metadata_of(record, environment).keys() | of_suite
    # What only runs of an experiment have: beside its measures it is found there.
    written |= {key.name for key in keys.FURTHER}
    assert unknown(written) == []
    assert unknown(["redo_nonsense", "python_version"]) == ["redo_nonsense"]
    families = tuple(key.name[:-1] for key in keys.KEYS if key.name.endswith("*"))
    listed = {key.name for key in keys.KEYS if not key.name.endswith("*")}
    ours = {one for one in written if one.startswith("redo_")}
    assert {one for one in listed if not one.startswith(families)} == {
        one for one in ours if not one.startswith(families)
    }


def test_keys_format_with_their_unit() -> None:
    def shown(name: str, value: str | float) -> str:
        key = keys.find(name)
        assert key is not None
        return formatted(key, value)

    assert shown("redo_latency_p99", 24.7e-6) == "24.7 us"
    assert shown("redo_throughput", 40_400.0) == "40.4 k/s"
    assert shown("redo_git_dirty", False) == "no"
    assert shown("redo_clients", 128) == "128"
    assert shown("redo_child_build_flags", "-O2") == "-O2"


def test_the_page_has_the_table_of_keys() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == keys.with_table(page), "docs/measures.md is out of date: make figures"


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(BenchError, match="no place"):
        keys.with_table("# Measures\n")


def test_records_are_checked_when_made() -> None:
    with pytest.raises(ValueError, match="without a slice"):
        RunRecord(ASYNC, 0, ())
    with pytest.raises(ValueError, match="4 clients"):
        RunRecord(ASYNC, 0, (steady_slice(4, 2, 10),))
    with pytest.raises(ValueError, match="below 0"):
        RunRecord(ASYNC, -1, (steady_slice(8, 2, 10),))
    with pytest.raises(ValueError, match="read_calls"):
        Usage(read_calls=-1)


# Saving and loading


def test_a_file_reads_back_and_is_pyperfs_own(tmp_path: Path) -> None:
    records = [steady_record(case, number) for number in (0, 1) for case in (SYNC, ASYNC)]
    failure = FailedRun(ASYNC, 2, 'wrong page\nfor "block" 7')
    path = save(tmp_path / "new" / "a.json", records, [failure])
    suite = pyperf.BenchmarkSuite.load(str(path))
    assert suite.get_benchmark_names() == ["async/short/n=8", "sync/short/n=8"]
    again = ResultFile.load(path)
    assert again.run_count == 4
    assert again.failures == (failure,)
    assert again.environment == ENVIRONMENT
    before = path.read_bytes()
    again.save()
    assert path.read_bytes() == before


def test_a_compressed_file(tmp_path: Path) -> None:
    path = save(tmp_path / "a.json.gz", [steady_record(ASYNC)])
    assert gzip.decompress(path.read_bytes()).startswith(b"{")
    assert len(pyperf.BenchmarkSuite.load(str(path))) == 1
    assert ResultFile.load(path).run_count == 1
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ResultFileError, match="cut short"):
        ResultFile.load(path)


def test_a_new_result_does_not_replace_a_file(tmp_path: Path) -> None:
    path = save(tmp_path / "a.json", [steady_record(ASYNC)])
    with pytest.raises(ResultFileError, match="is there already: resume it"):
        ResultFile(path, ENVIRONMENT)
    assert ResultFile(path, ENVIRONMENT, overwrite=True).run_count == 0


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failing_write_leaves_the_older_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = save(tmp_path / "a.json", [steady_record(ASYNC)])
    before = path.read_bytes()
    result = ResultFile.load(path)
    result.add(steady_record(ASYNC, 1))

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    target: Any = os if failing == "fsync" else Path
    monkeypatch.setattr(target, failing, fail)
    with pytest.raises(ResultFileError, match=r"a\.json: cannot be written \(No space"):
        result.save()
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def test_an_interrupt_while_writing_leaves_the_older_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, [b"new"])
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def test_pieces_that_end_early_leave_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def pieces() -> Iterator[bytes]:
        yield b"new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, pieces())
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def test_a_link_stays_a_link_and_permissions_are_the_users(tmp_path: Path) -> None:
    link, real = tmp_path / "latest.json", tmp_path / "real.json"
    link.symlink_to(real)
    write_atomically(link, [b"new"])
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    plain = tmp_path / "plain"
    plain.touch()
    assert real.stat().st_mode == plain.stat().st_mode


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResultFileError, match="choose another place"):
        save(tmp_path / "file" / "a.json", [steady_record(ASYNC)])


def test_without_a_result_there_is_nothing_to_save(tmp_path: Path) -> None:
    result = ResultFile(tmp_path / "a.json", ENVIRONMENT)
    with pytest.raises(ResultFileError, match="no case was run"):
        result.save()
    result.add_failure(FailedRun(ASYNC, 0, "no child"))
    with pytest.raises(ResultFileError, match="async/short/n=8, with: no child"):
        result.save()
    assert not list(tmp_path.iterdir())


def test_a_file_cut_anywhere_is_called_cut_short(tmp_path: Path) -> None:
    whole = save(tmp_path / "a.json", [steady_record(ASYNC)]).read_bytes()
    cut = tmp_path / "cut.json"
    for size in [*range(0, len(whole) - 2, 7), len(whole) - 2]:
        cut.write_bytes(whole[:size])
        with pytest.raises(ResultFileError, match=r"cut\.json: cut short: "):
            ResultFile.load(cut)


def changed(path: Path, key: str, value: object) -> Path:
    """The file with one metadata of the suite changed, or removed if None."""
    data = json.loads(path.read_text())
    data["metadata"].pop(key, None)
    for benchmark in data["benchmarks"]:
        benchmark.get("metadata", {}).pop(key, None)
        for run in benchmark["runs"]:
            run.get("metadata", {}).pop(key, None)
    if value is not None:
        data["metadata"][key] = value
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("redo_schema_version", 2, "made by a newer walredo-bench .*: upgrade"),
        ("redo_schema_version", None, "without redo_schema_version: give a result file"),
        ("redo_round", None, "without redo_round"),
        ("redo_clients", 9, "redo_clients is not 8"),
        ("name", "telco", "case name 'telco'"),
        ("redo_failed", "[1", "redo_failed cannot be read"),
        ("redo_failed", '[{"case":"x","round":0,"reason":"y"}]', "redo_failed cannot be read"),
    ],
)
def test_other_peoples_files_are_refused_with_the_remedy(
    tmp_path: Path, key: str, value: object, problem: str
) -> None:
    path = changed(save(tmp_path / "a.json", [steady_record(ASYNC)]), key, value)
    with pytest.raises(ResultFileError, match=f"a.json: .*{problem}") as caught:
        ResultFile.load(path)
    assert "\n" not in str(caught.value)
    assert ": " in caught.value.problem


@pytest.mark.parametrize(
    "text",
    [
        "hello world, this is no JSON at all",
        "[]",
        "{}",
        '"text"',
        '{"benchmarks": 3}',
        '{"benchmarks": [], "version": "1.0"}',
        '{"benchmarks": [{"runs": []}], "version": "1.0"}',
        '{"benchmarks": [{"runs": [{"values": [-1.0]}]}], "version": "1.0"}',
        '{"benchmarks": [{"runs": 5}], "version": "1.0"}',
        '{"benchmarks": [{}], "version": "1.0"}',
        '{"benchmarks": [], "version": "99.0"}',
        "\udcff",
    ],
)
def test_foreign_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ResultFileError, match=r"b\.json: .*give a result file"):
        read_suite(path)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ResultFileError, match="no such file"):
        read_suite(tmp_path / "none.json")
    with pytest.raises(ResultFileError, match="cannot be read"):
        read_suite(tmp_path)


def test_a_merged_file_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.json", [steady_record(ASYNC)])
    suite = pyperf.BenchmarkSuite.load(str(path))
    suite.add_runs(pyperf.BenchmarkSuite.load(str(path)))
    suite.dump(str(tmp_path / "merged.json"))
    with pytest.raises(ResultFileError, match="merged from several files"):
        ResultFile.load(tmp_path / "merged.json")


# Going on


def test_rounds_that_are_complete(tmp_path: Path) -> None:
    result = ResultFile(tmp_path / "a.json", ENVIRONMENT)
    cases = [SYNC, ASYNC]
    for case, number in ((SYNC, 0), (ASYNC, 0), (SYNC, 1), (ASYNC, 2)):
        result.add(steady_record(case, number))
    result.add_failure(FailedRun(SYNC, 2, "timed out"))
    result.save()
    for one in (result, ResultFile.load(result.path)):
        assert one.rounds() == (0, 1, 2)
        assert one.complete_rounds(cases) == (0, 2)
        assert one.complete_rounds([SYNC]) == (0, 1, 2)


def test_a_resumed_suite_keeps_its_rounds(tmp_path: Path) -> None:
    path = save(tmp_path / "a.json", [steady_record(ASYNC, 0)])
    resumed = ResultFile.load(path)
    resumed.check_resumable(ENVIRONMENT)
    resumed.add(steady_record(ASYNC, 1))
    resumed.save()
    runs = pyperf.BenchmarkSuite.load(str(path)).get_benchmark(ASYNC.name).get_runs()
    assert [run.get_metadata()["redo_round"] for run in runs] == [0, 1]


def test_a_round_can_be_dropped(tmp_path: Path) -> None:
    result = ResultFile(tmp_path / "a.json", ENVIRONMENT)
    for number in (0, 1):
        result.add(steady_record(ASYNC, number))
    result.add_failure(FailedRun(SYNC, 1, "timed out"))
    assert result.drop_round(1) == 2
    assert result.rounds() == (0,)
    result.add(steady_record(ASYNC, 1))


def test_a_case_runs_once_in_a_round(tmp_path: Path) -> None:
    result = ResultFile(tmp_path / "a.json", ENVIRONMENT)
    result.add(steady_record(ASYNC))
    with pytest.raises(ValueError, match="already"):
        result.add(steady_record(ASYNC))


def test_a_suite_goes_on_only_where_it_was_started(tmp_path: Path) -> None:
    path = save(tmp_path / "a.json", [steady_record(ASYNC)])
    other = Environment(
        git_commit="f" * 40,
        git_dirty=False,
        kernel=ENVIRONMENT.kernel,
        cpu_model="Another CPU",
        cpu_count=ENVIRONMENT.cpu_count,
        cpu_governor=ENVIRONMENT.cpu_governor,
        child_build=ENVIRONMENT.child_build,
        seed=ENVIRONMENT.seed,
        profile=ENVIRONMENT.profile,
        config_json=ENVIRONMENT.config_json,
        suite_date="2027-01-01T00:00:00+00:00",
    )
    with pytest.raises(
        ResultFileError, match="another cpu_model, git_commit: its rounds"
    ) as caught:
        ResultFile.load(path).check_resumable(other)
    assert "start a new file" in str(caught.value)


def test_a_run_of_another_python_cannot_join(tmp_path: Path) -> None:
    result = ResultFile(tmp_path / "a.json", ENVIRONMENT)
    slices = (steady_slice(8, 20, 50_000),)
    result.add(RunRecord(ASYNC, 0, slices, worker_metadata={"python_version": "3.98"}))
    other = RunRecord(ASYNC, 1, slices, worker_metadata={"python_version": "3.99"})
    with pytest.raises(ResultFileError, match="python_version"):
        result.add(other)
    assert result.run_count == 1


# Names and the environment


def test_default_names_sort_by_time() -> None:
    now = datetime(2026, 11, 23, 12, 5, 42, tzinfo=UTC)
    assert default_name(now, COMMIT, dirty=False) == "20261123T120542Z-1a2b3c4.json"
    assert default_name(now, COMMIT, dirty=True) == "20261123T120542Z-1a2b3c4-dirty.json"
    assert default_name(now, None, None) == "20261123T120542Z-nocommit.json"
    assert default_name(now, COMMIT, False, 2) == "20261123T120542Z-1a2b3c4-2.json"
    there = now.astimezone(timezone(timedelta(hours=5)))
    assert default_name(there, COMMIT, dirty=False) == default_name(now, COMMIT, dirty=False)
    with pytest.raises(ValueError, match="time zone"):
        default_name(datetime(2026, 1, 1), COMMIT, dirty=False)


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True
    )


def collect(root: Path) -> Environment:
    return Environment.collect(root, seed=1, profile="p", config_json="{}")


def test_the_environment_knows_the_commit_and_whether_the_tree_differs(tmp_path: Path) -> None:
    assert collect(tmp_path).git_commit is None
    git(tmp_path, "init")
    assert (collect(tmp_path).git_commit, collect(tmp_path).git_dirty) == (None, None)
    assert collect(tmp_path).version == "nocommit"
    git(tmp_path, "commit", "--allow-empty", "-m", "first")
    clean = collect(tmp_path)
    assert len(clean.git_commit or "") == 40
    assert clean.git_dirty is False
    # A file that git does not track may well be the result of the suite itself.
    (tmp_path / "new").touch()
    assert collect(tmp_path).git_dirty is False
    git(tmp_path, "add", "new")
    dirty = collect(tmp_path)
    assert dirty.git_dirty is True
    assert dirty.version == f"{str(clean.git_commit)[:7]}-dirty"
    # A folder inside somebody else's checkout is not that checkout.
    (tmp_path / "inside").mkdir()
    assert collect(tmp_path / "inside").git_commit is None


def test_a_dirty_tree_has_a_hash_of_what_is_measured(tmp_path: Path) -> None:
    code, other = tmp_path / "bench", tmp_path / "docs"
    for folder in (code, other):
        folder.mkdir()
        (folder / "a").write_text("1")
    (tmp_path / ".gitignore").write_text("ignored\n")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")

    def sha256() -> str | None:
        return collect(tmp_path).git_diff_sha256

    (other / "a").write_text("2")
    (code / "ignored").touch()
    assert sha256() is None
    (code / "a").write_text("2")
    edited = sha256()
    assert len(edited or "") == 64
    # What is staged, and how the user likes diffs, is no difference.
    git(tmp_path, "config", "diff.noprefix", "true")
    git(tmp_path, "config", "status.relativePaths", "true")
    git(tmp_path, "add", ".")
    assert sha256() == edited
    seen = {None, edited}
    new = code / "new file \N{SNOWMAN}"

    def differs() -> bool:
        """Whether the tree is one that was not seen so far."""
        found = sha256()
        is_new = found not in seen
        seen.add(found)
        return is_new

    new.write_text("x")
    assert differs()
    new.write_text("y")
    assert differs()
    new.chmod(0o755)
    assert differs()
    new.unlink()
    new.symlink_to("y")
    assert differs()
    new.unlink()
    assert sha256() == edited
    (code / "a").unlink()
    assert differs()
    git(tmp_path, "reset", "--hard")
    assert sha256() is None


def test_variables_that_say_where_git_is_mislead_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a hook of git sets them, or an alias."""
    for name in ("one", "two"):
        (tmp_path / name / "bench").mkdir(parents=True)
        (tmp_path / name / "bench" / "a").write_text(name)
        git(tmp_path / name, "init")
        git(tmp_path / name, "add", ".")
        git(tmp_path / name, "commit", "-m", name)
    (tmp_path / "one" / "bench" / "a").write_text("edited")
    before = replace(collect(tmp_path / "one"), suite_date="x")
    assert before.git_commit
    assert before.git_diff_sha256
    two = tmp_path / "two" / ".git"
    monkeypatch.setenv("GIT_DIR", str(two))
    monkeypatch.setenv("GIT_WORK_TREE", str(two.parent))
    monkeypatch.setenv("GIT_INDEX_FILE", str(two / "index"))
    assert replace(collect(tmp_path / "one"), suite_date="x") == before


def test_the_environment_reads_back(tmp_path: Path) -> None:
    for environment in (collect(tmp_path), ENVIRONMENT, Environment()):
        metadata = metadata_of(steady_record(ASYNC), environment)
        assert Environment.from_metadata(metadata) == environment
