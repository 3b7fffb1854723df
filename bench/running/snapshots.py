"""Copies the code of a commit, or of the working tree as it is now, to a folder of its own.

Copies and not git worktrees: nothing is registered in the repository, so nothing can be left in it,
and the working tree can be edited while its copy is measured. A copy has the folders that are
measured. If a manager of the user's is tracked by git, it has the whole tree, since that manager
may import what lies beside it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.places import MEASURED
from bench.results.git import GitError, commit_hash, git_output, run_git

_WORKERS: Final = ("bench/worker/__main__.py", "bench/worker.py")
"""Where a worker's program is: today, and in the commits whose bench was one flat folder."""

_TIMEOUT_S: Final = 120.0
_CHILD_COMMAND: Final = (
    # Its own folder comes first, also where PYTHONSAFEPATH is set.
    "import json, sys; sys.path.insert(0, ''); from fake_redo_child.build import child_command;"
    " print(json.dumps(child_command(**json.loads(sys.argv[1]))))"
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The code in ``folder``. ``commit``: a full hash. ``dirty``: whether the code differs."""

    folder: Path
    commit: str | None
    dirty: bool

    @property
    def worker(self) -> Path:
        """Its worker program. Of a copy that has none: where it would be today."""
        today, flat = (self.folder / place for place in _WORKERS)
        return flat if flat.exists() and not today.exists() else today

    def child_command(self, **options: object) -> tuple[str, ...]:
        """The command of the snapshot's own child, built from its sources. Raises BenchError."""
        command = [sys.executable, "-c", _CHILD_COMMAND, json.dumps(options)]
        done = _run(command, self.folder)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise BenchError(f"{self}: its child cannot be built: {last}")
        return tuple(json.loads(done.stdout))

    def __str__(self) -> str:
        if self.dirty:
            return "the working tree"
        return f"commit {self.commit[:7]}" if self.commit else "an unknown commit"


def tracked(checkout: Path, path: Path) -> bool:
    """Whether git tracks that file of the checkout."""
    where = str(path.resolve())
    return git_output(checkout, "ls-files", "--error-unmatch", "--", where) is not None


def of_commit(name: str, checkout: Path, folder: Path, also: Collection[Path] = ()) -> Snapshot:
    """The code of a commit, tag or branch. Raises BenchError.

    ``also``: files and folders of the checkout that are measured besides.
    """
    try:
        sha = commit_hash(checkout, name)
    except GitError as error:
        raise BenchError(f"{name}: git says nothing about {checkout}: {error}") from error
    if sha is None:
        raise BenchError(f"{name}: no commit, tag or branch of the checkout {checkout}")
    folder.mkdir()
    archive = folder / ".code.tar"
    options = ("--format=tar", f"--output={archive}")
    try:
        run_git(checkout, "archive", *options, sha, *(() if also else MEASURED))
    except GitError as error:
        raise BenchError(f"{name}: its code cannot be had: {error}") from error
    made = _run(["tar", "-x", "-f", str(archive), "-C", str(folder)], checkout)
    if made.returncode != 0:
        raise BenchError(f"{name}: its code cannot be had: {made.stderr.strip()}")
    archive.unlink()
    snapshot = Snapshot(folder, sha, dirty=False)
    if not snapshot.worker.exists():
        raise BenchError(f"{name}: has no worker program, so nothing of it can be measured")
    return snapshot


def of_working_tree(checkout: Path, folder: Path, also: Collection[Path] = ()) -> Snapshot:
    """The code as it is now, whether committed or not. Raises BenchError. ``also``: see
    `of_commit`."""
    folder.mkdir()
    not_copied = shutil.ignore_patterns("__pycache__", "*.pyc")
    for package in MEASURED:
        shutil.copytree(checkout / package, folder / package, ignore=not_copied)
    if also:
        _copy_rest(checkout, folder)
    commit = git_output(checkout, "rev-parse", "--verify", "--quiet", "HEAD")
    status = git_output(checkout, "status", "--porcelain", "--", *MEASURED, *map(str, also))
    if commit is None or status is None:
        return Snapshot(folder, None, dirty=True)
    return Snapshot(folder, commit, dirty=bool(status))


def _copy_rest(checkout: Path, folder: Path) -> None:
    """Copies what git does not ignore and is not there yet."""
    options = ("-z", "--cached", "--others", "--exclude-standard")
    listed = git_output(checkout, "ls-files", *options) or ""
    for name in filter(None, listed.split("\0")):
        file, copy = checkout / name, folder / name
        # A file may have been removed since, and a folder is a checkout inside this one.
        if file.is_file() and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, copy)


def _run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
            timeout=_TIMEOUT_S,
        )
    except FileNotFoundError as error:
        raise BenchError(f"{command[0]} is not installed, and is needed here") from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{command[0]} took longer than {_TIMEOUT_S:g} s") from error
