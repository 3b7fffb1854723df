"""git is asked about one folder, whatever its own variables say, and its reasons are passed on."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bench.places import ROOT
from bench.results.git import GitError, check_checkout, commit_hash, git_output, run_git
from bench.running.snapshots import of_commit, of_working_tree
from tests.support.checkouts import commit_all, git

LISTED = subprocess.run(
    ["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True, check=True
).stdout.split()
CONFIGURATION = {"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"}


def make(folder: Path) -> Path:
    """A checkout of one commit (tag: the name of the folder) that has what is measured."""
    for package in ("bench", "walredo", "fake_redo_child"):
        (folder / package).mkdir(parents=True)
        (folder / package / "worker.py").write_text(folder.name)
    git(folder, "init", "--quiet")
    commit_all(folder, tag=folder.name)
    return folder


def commit_all_of(folder: Path) -> None:
    git(folder, "init", "--quiet")
    (folder / "file").touch()
    commit_all(folder)


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout, where git's variables speak of another one, as in a hook of that."""
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    monkeypatch.setenv("GIT_DIR", str(two / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(two))
    monkeypatch.setenv("GIT_INDEX_FILE", str(two / ".git" / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(two / ".git" / "objects"))
    return one


def test_snapshots_are_of_the_checkout_that_is_asked_for(one: Path, tmp_path: Path) -> None:
    base, changed = of_commit("one", one, tmp_path / "a"), of_working_tree(one, tmp_path / "b")
    assert (base.folder / "bench" / "worker.py").read_text() == "one"
    assert base.commit == changed.commit == commit_hash(one, "one")
    assert not changed.dirty
    assert commit_hash(one, "two") is None


def test_none_of_the_variables_that_git_calls_local_reaches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "--quiet")
    assert len(LISTED) > 10
    for name in CONFIGURATION.symmetric_difference(LISTED):
        monkeypatch.setenv(name, f"elsewhere-{name}")
    passed_on = git_output(tmp_path, "-c", "alias.variables=!env", "variables")
    assert passed_on is not None
    assert "elsewhere-" not in passed_on


def test_settings_for_every_checkout_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "/some/where")
    assert git_output(tmp_path, "config", "safe.directory") == "/some/where"


def test_nothing_else_starts_git() -> None:
    starting = [path for path in (ROOT / "bench").rglob("*.py") if '["git"' in path.read_text()]
    assert starting == [ROOT / "bench" / "results" / "git.py"]


def test_no_git_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "--quiet")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    for ask in (check_checkout, lambda root: commit_hash(root, "HEAD")):
        with pytest.raises(GitError, match=r"^git is not installed$"):
            ask(tmp_path)


def test_a_folder_that_is_no_checkout_of_its_own(tmp_path: Path) -> None:
    """As a tarball is, beside a checkout or inside one."""
    with pytest.raises(GitError, match="not a git repository"):
        check_checkout(tmp_path)
    git(tmp_path, "init", "--quiet")
    with pytest.raises(GitError, match="no commit yet"):
        check_checkout(tmp_path)
    commit_all_of(tmp_path)
    check_checkout(tmp_path)
    (tmp_path / "inside").mkdir()
    with pytest.raises(GitError, match="not a checkout of its own"):
        check_checkout(tmp_path / "inside")


def test_a_checkout_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit_all_of(tmp_path)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for ask in (check_checkout, lambda root: commit_hash(root, "HEAD")):
        with pytest.raises(GitError, match=r"^detected dubious ownership.*safe\.directory") as info:
            ask(tmp_path)
        assert "\n" not in str(info.value)


def test_an_index_that_is_damaged_is_no_clean_tree(tmp_path: Path) -> None:
    commit_all_of(tmp_path)
    (tmp_path / ".git" / "index").write_bytes(b"nothing like it")
    with pytest.raises(GitError, match="index"):
        check_checkout(tmp_path)


def test_names_that_are_no_text(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    commit_all_of(folder)
    check_checkout(folder)
    assert run_git(folder, "rev-parse", "--show-toplevel") == str(folder)
