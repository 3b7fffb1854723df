"""A result file named by a commit or a tag of a checkout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.errors import BenchError
from bench.results import naming
from bench.results.naming import result_path
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


@pytest.mark.parametrize("name", ["no-such-tag", "--all", "HEAD^{tree}"])
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
