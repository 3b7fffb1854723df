"""A result file named by a commit or a tag of a checkout."""

from __future__ import annotations

import gzip
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.errors import BenchError
from bench.results import naming
from bench.results.naming import path_to_save, result_path, results_in, saved_results
from tests.support.checkouts import git
from tests.support.synthetic import ENVIRONMENT, save, steady_record


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the commits ``first`` (a tag) and HEAD, and its results."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "commit", "--allow-empty", "--quiet", "-m", "one")
    git(folder, "tag", "first")
    git(folder, "commit", "--allow-empty", "--quiet", "-m", "two")
    monkeypatch.setattr(naming, "RESULTS", folder / "results")
    return folder


def result_of(checkout: Path, name: str, commit: str, date: str, *, dirty: bool = False) -> Path:
    environment = replace(
        ENVIRONMENT, git_commit=git(checkout, "rev-parse", commit), git_dirty=dirty, suite_date=date
    )
    path = checkout / "results" / f"{name}.json"
    return save(path, [steady_record(Case("sync", "short", 1))], environment=environment)


def test_the_newest_clean_result_of_a_commit(checkout: Path) -> None:
    result_of(checkout, "z", "first", "2026-01-01T00:00:00+00:00")
    newest = result_of(checkout, "a", "first", "2026-02-01T00:00:00+00:00")
    result_of(checkout, "b", "first", "2026-03-01T00:00:00+00:00", dirty=True)
    result_of(checkout, "c", "HEAD", "2026-04-01T00:00:00+00:00")
    (checkout / "results" / "notes.json").write_text("[]")
    (checkout / "results" / "broken.json").write_text("{")
    for name in ("first", "HEAD~1", git(checkout, "rev-parse", "first")[:8]):
        assert result_path(name, checkout) == newest


def test_a_commit_without_a_result(checkout: Path) -> None:
    result_of(checkout, "b", "first", "2026-03-01T00:00:00+00:00", dirty=True)
    with pytest.raises(BenchError, match=r"first: no result of commit [0-9a-f]{7} in"):
        result_path("first", checkout)


@pytest.mark.parametrize("name", ["no-such-tag", "--all", "HEAD^{tree}", "^HEAD"])
def test_what_is_no_commit(checkout: Path, name: str) -> None:
    with pytest.raises(BenchError, match="neither a result file nor a commit"):
        result_path(name, checkout)


@pytest.mark.parametrize("name", ["some/where", "absent.json", "first"])
def test_what_is_or_looks_like_a_path_is_one(
    checkout: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout)
    (checkout / "first").write_text("a file of that name")
    assert result_path(name, checkout) == Path(name)


@pytest.mark.parametrize("name", ["release/v1", "origin/main", "v1.json", "v1.json.gz", "docs"])
def test_a_name_of_git_may_look_like_a_path_or_be_a_folder(
    checkout: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result_of(checkout, "other", "HEAD", "2026-02-01T00:00:00+00:00")
    wanted = result_of(checkout, "a", "first", "2026-01-01T00:00:00+00:00")
    place = {"release/v1": "heads", "origin/main": "remotes"}.get(name, "tags")
    git(checkout, "update-ref", f"refs/{place}/{name}", "first")
    monkeypatch.chdir(checkout)
    (checkout / "docs").mkdir()
    assert result_path(name, checkout) == wanted
    # A file of that name comes first.
    if name != "docs":
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).touch()
        assert result_path(name, checkout) == Path(name)


def test_a_hash_that_git_knows_no_longer(checkout: Path) -> None:
    """As after a rebase; or without git."""
    wanted = result_of(checkout, "a", "first", "2026-01-01T00:00:00+00:00")
    known = result_of(checkout, "b", "HEAD", "2026-02-01T00:00:00+00:00")
    first, head = (git(checkout, "rev-parse", name) for name in ("first", "HEAD"))
    shutil.rmtree(checkout / ".git")
    for name in (first, first[:7], first[:12].upper()):
        assert result_path(name, checkout) == wanted
    assert result_path(head[:7], checkout) == known
    with pytest.raises(BenchError, match=r"git cannot say .*not a git repository"):
        result_path("first", checkout)


def test_the_beginning_of_two_hashes(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        commit = f"abcd{number:036}"
        environment = replace(ENVIRONMENT, git_commit=commit)
        path = checkout / "results" / f"{number}.json"
        save(path, [steady_record(Case("sync", "short", 1))], environment=environment)
    assert result_path(f"abcd{2:036}", checkout).name == "2.json"
    with pytest.raises(BenchError, match=r"abcd: there are results of abcd0+ and abcd0+"):
        result_path("abcd", checkout)


def test_a_result_that_is_packed_is_a_result(checkout: Path) -> None:
    packed = result_of(checkout, "a", "first", "2026-01-01T00:00:00+00:00")
    packed = packed.rename(packed.with_suffix(".json.gz"))
    packed.write_bytes(gzip.compress(packed.read_bytes()))
    assert result_path("first", checkout) == packed
    assert result_path("latest", checkout) == packed


@pytest.mark.parametrize("content", ["{", "[]", '{"cases": []}', '{"metadata": {}}', '"x"'])
def test_other_files_are_never_the_latest(checkout: Path, content: str) -> None:
    result = result_of(checkout, "a", "first", "2026-01-01T00:00:00+00:00")
    os.utime(result, (1, 1))
    (checkout / "results" / "newer.json").write_text(content)
    (checkout / "results" / "broken.json.gz").write_text(content)
    assert result_path("latest", checkout) == result


def test_what_is_no_file_is_never_the_latest(checkout: Path) -> None:
    result = result_of(checkout, "a", "first", "2026-01-01T00:00:00+00:00")
    os.utime(result, (1, 1))
    (checkout / "results" / "folder.json").mkdir()
    (checkout / "results" / "gone.json").symlink_to("nowhere")
    os.mkfifo(checkout / "results" / "fifo.json")
    assert result_path("latest", checkout) == result


def saved(checkout: Path, name: str, commit: str = "HEAD", date: str = "2026-01-01") -> Path:
    return result_of(checkout, f"baselines/{name}", commit, date)


def test_a_saved_name_comes_after_a_file_and_before_a_commit(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result_of(checkout, "a", "first", "2026-02-01T00:00:00+00:00")
    path = saved(checkout, "first")
    assert result_path("first", checkout) == path
    monkeypatch.chdir(checkout)
    (checkout / "first").touch()
    assert result_path("first", checkout) == Path("first")


def test_a_saved_result_is_a_result_like_the_others(checkout: Path) -> None:
    """For `latest`, for commits and for all that lists results."""
    older = result_of(checkout, "a", "first", "2026-01-01T00:00:00+00:00")
    os.utime(older, (1, 1))
    path = saved(checkout, "before", "first", "2026-02-01T00:00:00+00:00")
    assert result_path("latest", checkout) == result_path("HEAD~1", checkout) == path
    assert [one.path for one in results_in(checkout / "results")] == [older, path]
    os.utime(path, (0, 0))
    assert result_path("latest", checkout) == older


def test_a_saved_result_that_is_packed_keeps_its_name(checkout: Path) -> None:
    path = saved(checkout, "before")
    packed = path.rename(path.with_suffix(".json.gz"))
    packed.write_bytes(gzip.compress(packed.read_bytes()))
    assert saved_results() == {"before": packed}
    assert result_path("before", checkout) == path_to_save("before", checkout) == packed


@pytest.mark.parametrize("name", ["before", "1.2", "with space", "main_2", "a%sb", "ab", "abcde"])
def test_what_can_be_a_name(checkout: Path, name: str) -> None:
    assert path_to_save(name, checkout) == checkout / "results" / "baselines" / f"{name}.json"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "1 to 200 bytes"),
        ("x" * 201, "1 to 200 bytes"),
        ("a/b", "no /"),
        ("a,b", "no comma"),
        ("a\nb", "nothing unprintable"),
        ("a\udcff", "nothing unprintable"),
        ("-a", "does not begin with -"),
        ("..", "does not begin with - or ."),
        ("latest", "newest result"),
        ("a.json", "end in .json"),
        ("a.json.gz", "end in .json"),
        ("first", "git knows a commit, tag or branch"),
        ("HEAD", "git knows a commit, tag or branch"),
        ("abcd1", "hash of a commit with a result begins so"),
        ("file", "a file of that name here"),
    ],
)
def test_what_cannot_be_a_name(
    checkout: Path, name: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = replace(ENVIRONMENT, git_commit=f"abcd1{1:035}")
    save(checkout / "results" / "a.json", [steady_record(Case("sync", "short", 1))], (), gone)
    monkeypatch.chdir(checkout)
    (checkout / "file").touch()
    with pytest.raises(BenchError, match=r"^--save-as ") as refused:
        path_to_save(name, checkout)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_names_without_git(checkout: Path) -> None:
    shutil.rmtree(checkout / ".git")
    assert path_to_save("first", checkout).name == "first.json"
