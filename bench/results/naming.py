"""Finds the result file that the command line names: a path, a saved name, ``latest``, a commit.

What counts as a result is said here once, for names, ``latest``, commits and for `history`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError, ResultFileError
from bench.places import RESULTS, ROOT
from bench.results.git import GitError, commit_hash
from bench.results.key import SUFFIXES
from bench.results.suite_file import read_bytes

RESULT_METAVAR: Final = "FILE|latest|NAME|COMMIT"
RESULT_HELP: Final = "a result file, `latest`, a name (`run --save-as`), or a commit or tag"

LATEST: Final = "latest"
_LONGEST_BYTES: Final = 200
"""Names of files have at most 255: of a lock or a temporary file more than the name."""

BASELINES: Final = "baselines"
"""The folder in that of results with those that were saved under a name, as NAME.json."""

_HASH: Final = re.compile("[0-9a-f]{4,64}")


@dataclass(frozen=True, slots=True)
class Listed:
    """A result in a folder. ``metadata``: of its suite."""

    path: Path
    metadata: Mapping[str, Any]

    @property
    def is_whole(self) -> bool:
        """Whether it means something alone; one side of an `ab` does not."""
        return "redo_ab" not in self.metadata

    @property
    def commit(self) -> str | None:
        """The commit whose unchanged tree was measured."""
        found = self.metadata.get("redo_git_commit")
        return None if found is None or self.metadata.get("redo_git_dirty") else str(found)


def files_in(folder: Path) -> list[Path]:
    """The files of the folder that are named as results are, by name, and links to nothing; also
    those that were saved under a name in it."""
    folders = (folder, folder / BASELINES)
    found = (path for one in folders for suffix in SUFFIXES for path in one.glob(f"*{suffix}"))
    # To open anything else, like a pipe, could wait for ever.
    return sorted(path for path in found if path.is_file() or not path.exists())


def results_in(folder: Path) -> Iterator[Listed]:
    """The results of the folder, by name. What has been exported from a result is none."""
    for path in files_in(folder):
        metadata = _metadata(path)
        if "redo_schema_version" in metadata:
            yield Listed(path, metadata)


def result_path(name: str, checkout: Path = ROOT) -> Path:
    """The path of the file: a file of that name, else the result that was saved under it, else
    what git or the results know by it.

    The result of a commit is the newest in results/ that was measured on its unchanged tree. One
    side of an `ab` must be named as a file. Raises BenchError.
    """
    if name == LATEST:
        return _latest()
    path = Path(name)
    if path.is_file():
        return path
    if saved := saved_results().get(name):
        return saved
    results = [result for result in results_in(RESULTS) if result.is_whole]
    unknown = (
        f"{name}: neither a result file nor a commit of this checkout nor a saved name"
        " (`list --saved` has those)"
    )
    try:
        commit = commit_hash(checkout, name)
    except GitError as error:
        commit = None
        unknown = (
            f"{name}: not a result file or a saved name, and git cannot say whether it is a commit"
            f" ({error})"
        )
    commit = commit or _hash_of_a_result(name, results)
    if commit is None:
        # Who reads the file says what is wrong with it.
        if name and (path.exists() or "/" in name or name.endswith(SUFFIXES)):
            return path
        raise BenchError(unknown)
    found = [
        (str(result.metadata.get("redo_suite_date", "")), result.path)
        for result in results
        if result.commit == commit
    ]
    if not found:
        raise BenchError(
            f"{name}: no result of commit {commit[:7]} in {RESULTS} (of uncommitted changes to it"
            " none counts): check it out and `run`"
        )
    return max(found)[1]


def result_paths(names: Sequence[str]) -> list[Path]:
    """The paths of several results. Raises BenchError, also for the same file twice."""
    paths = [result_path(name) for name in names]
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise BenchError(f"{path}: is named twice: name each result once")
        seen.add(path.resolve())
    return paths


def saved_results() -> dict[str, Path]:
    """The results that were saved under a name, by name."""
    found = files_in(RESULTS / BASELINES)
    return {_without_suffix(path.name): path for path in found if path.is_file()}


def path_to_save(name: str, checkout: Path = ROOT) -> Path:
    """Where the result is saved that is to have the name: over an older one, if there is one.

    Raises BenchError if another result than that, or none, would be found by the name.
    """
    if why := _no_name(name, checkout):
        raise BenchError(f"--save-as {name!r}: {why}: choose another name")
    return saved_results().get(name, RESULTS / BASELINES / f"{name}.json")


def _no_name(name: str, checkout: Path) -> str | None:
    """Why the name cannot be that of a saved result; None if it can."""
    if not 0 < len(os.fsencode(name)) <= _LONGEST_BYTES:
        return f"a name has 1 to {_LONGEST_BYTES} bytes"
    if not name.isprintable() or "/" in name or "," in name:
        return "a name has no /, no comma and nothing unprintable"
    if name.startswith(("-", ".")):
        return "a name does not begin with - or ."
    if name == LATEST:
        return "that is the newest result"
    if name.endswith(SUFFIXES):
        return f"only the names of files end in {' or '.join(SUFFIXES)}"
    if Path(name).is_file():
        return "there is a file of that name here, which would be read in its place"
    with contextlib.suppress(GitError):
        if commit_hash(checkout, name):
            return "git knows a commit, tag or branch by it"
    is_hash = _HASH.fullmatch(name.lower())
    if is_hash and any((one.commit or "").startswith(is_hash[0]) for one in results_in(RESULTS)):
        return "the hash of a commit with a result begins so"
    return None


def _without_suffix(name: str) -> str:
    return name.removesuffix(next(suffix for suffix in SUFFIXES if name.endswith(suffix)))


def _latest() -> Path:
    whole = [result.path for result in results_in(RESULTS) if result.is_whole]
    if not whole:
        raise BenchError(f"no result file in {RESULTS}: make one with `run`, or name a file")
    return max(whole, key=lambda path: path.stat().st_mtime_ns)


def _hash_of_a_result(name: str, results: list[Listed]) -> str | None:
    """The hash that begins so of a commit that has a result, though git may know it no longer."""
    if not _HASH.fullmatch(name.lower()):
        return None
    commits = {result.commit for result in results if result.commit is not None}
    found = sorted(commit for commit in commits if commit.startswith(name.lower()))
    if len(found) > 1:
        raise BenchError(f"{name}: there are results of {' and '.join(c[:12] for c in found)}")
    return found[0] if found else None


def _metadata(path: Path) -> Mapping[str, Any]:
    """The metadata of the suite; empty if the file is not a result file."""
    try:
        content = json.loads(read_bytes(path))
    except (ResultFileError, ValueError, RecursionError):
        return {}
    if not (isinstance(content, dict) and isinstance(content.get("benchmarks"), list)):
        return {}
    metadata = content.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
