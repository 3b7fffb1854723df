"""Finds the result file that the command line names: a path, ``latest``, a commit or a tag."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.places import RESULTS, ROOT
from bench.results.environment import git_output

RESULT_METAVAR: Final = "FILE|latest|COMMIT"
RESULT_HELP: Final = "a result file, `latest` in results/, or the latest of a commit or tag"


def result_path(name: str, checkout: Path = ROOT) -> Path:
    """The path of the file. A name that exists or looks like a path is taken as one.

    The result of a commit is the newest in results/ that was measured on its unchanged tree. One
    side of an `ab` means nothing without the other: it must be named as a file. Raises BenchError.
    """
    if name == "latest":
        by_age = sorted(RESULTS.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        newest = next((path for path in reversed(by_age) if "redo_ab" not in _metadata(path)), None)
        if newest is None:
            raise BenchError(f"no result file in {RESULTS}: make one with `run`, or name a file")
        return newest
    if Path(name).exists() or "/" in name or name.endswith(".json"):
        return Path(name)
    commit = git_output(
        checkout, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
    )
    if commit is None:
        raise BenchError(f"{name}: neither a result file nor a commit of this checkout")
    found = [
        (str(metadata.get("redo_suite_date", "")), path)
        for path in RESULTS.glob("*.json")
        if (metadata := _metadata(path)).get("redo_git_commit") == commit
        and not metadata.get("redo_git_dirty")
        and "redo_ab" not in metadata
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


def _metadata(path: Path) -> dict[str, Any]:
    """The metadata of the suite; empty if the file is not a result file."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    metadata = content.get("metadata") if isinstance(content, dict) else None
    return metadata if isinstance(metadata, dict) else {}
