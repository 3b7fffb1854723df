"""What a suite was measured on and with: collected once, the same for all of its runs.

Only what pyperf does not collect, or what a reader must find without knowing pyperf, is here. No
host name and no path is kept: result files are published.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.results.key import Value

UNKNOWN = "unknown"
_CHILD_BUILD = "redo_child_build_"
_GIT_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Facts about the suite. None and "unknown" mean that a fact could not be had.

    ``git_commit`` is a full hash, ``config_json`` the whole configuration as one line of JSON,
    ``suite_date`` is UTC in ISO 8601, ``child_build`` says how the C programs were built,
    ``peer_sha256`` which program a peer was, ``pythons`` which interpreters beside the suite's own
    were measured, by label, ``workload_files`` the hashes of workloads that are files, by label,
    ``own_managers`` and ``own_children`` those of managers and children that are the user's,
    ``ab`` names the measurement that two files are the sides of.
    """

    git_commit: str | None = None
    git_dirty: bool | None = None
    kernel: str = UNKNOWN
    cpu_model: str = UNKNOWN
    cpu_count: int | None = None
    cpu_governor: str = UNKNOWN
    child_build: Mapping[str, str] = field(default_factory=dict)
    peer_sha256: str | None = None
    pythons: str | None = None
    workload_files: str | None = None
    own_managers: str | None = None
    own_children: str | None = None
    ab: str | None = None
    seed: int | None = None
    profile: str = UNKNOWN
    config_json: str = "{}"
    suite_date: str = UNKNOWN

    @classmethod
    def collect(
        cls,
        root: Path,
        *,
        child_build: Mapping[str, str],
        seed: int,
        profile: str,
        config_json: str,
        now_utc: datetime | None = None,
    ) -> Environment:
        """Look at the machine and at the git checkout whose top folder is ``root``."""
        commit, dirty = _git_state(root)
        return cls(
            git_commit=commit,
            git_dirty=dirty,
            kernel=f"{platform.system()} {platform.release()}",
            cpu_model=_cpu_model(Path("/proc/cpuinfo")),
            cpu_count=os.cpu_count(),
            cpu_governor=_cpu_governor(Path("/sys/devices/system/cpu")),
            child_build=dict(child_build),
            seed=seed,
            profile=profile,
            config_json=config_json,
            suite_date=(now_utc or datetime.now(UTC)).isoformat(timespec="seconds"),
        )

    def to_metadata(self) -> dict[str, Value | None]:
        """The facts under the keys of a result file."""
        metadata = {_key(name): getattr(self, name) for name in _FACTS}
        return metadata | {_CHILD_BUILD + key: value for key, value in self.child_build.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Value]) -> Environment:
        """The facts back from what is common to all runs of a result file."""
        facts: dict[str, Any] = {
            name: kind(value)
            for name, kind in _FACTS.items()
            if (value := metadata.get(_key(name))) is not None
            # A file may have been edited: what is no number is not known.
            if kind is not int or isinstance(value, int)
        }
        child_build = {
            key.removeprefix(_CHILD_BUILD): str(value)
            for key, value in metadata.items()
            if key.startswith(_CHILD_BUILD)
        }
        return cls(child_build=child_build, **facts)

    @property
    def version(self) -> str:
        """The commit as people write it: ``1a2b3c4``, ``1a2b3c4-dirty`` or ``nocommit``."""
        return short_commit(self.git_commit, self.git_dirty)


_FACTS: Final[Mapping[str, Callable[[Value], Value]]] = {
    item.name: {"git_dirty": bool, "cpu_count": int, "seed": int}.get(item.name, str)
    for item in fields(Environment)
    if item.name != "child_build"
}
"""Each fact that has a key of its own, and its type."""


def _key(fact: str) -> str:
    return "redo_config" if fact == "config_json" else f"redo_{fact}"


def short_commit(commit: str | None, dirty: bool | None) -> str:
    """Seven digits of the hash, with ``-dirty`` if the tree differed; ``nocommit`` without one."""
    return (commit[:7] if commit else "nocommit") + ("-dirty" if dirty else "")


def _git_state(root: Path) -> tuple[str | None, bool | None]:
    """Hash and dirtiness; (None, None) without git, without a commit or in somebody else's tree.

    Files that git does not track do not count: a result file may be one of them.
    """
    top = git_output(root, "rev-parse", "--show-toplevel")
    # An installed copy may lie inside an unrelated checkout, whose commit says nothing.
    if top is None or Path(top).resolve() != root.resolve():
        return None, None
    commit = git_output(root, "rev-parse", "--verify", "--quiet", "HEAD")
    status = git_output(root, "status", "--porcelain", "--untracked-files=no")
    return commit, None if commit is None or status is None else bool(status)


def git_output(root: Path, *arguments: str) -> str | None:
    """What git says in that folder; None where there is no git or it refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=_GIT_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpu_model(cpuinfo: Path) -> str:
    """As /proc/cpuinfo has it; its architecture where there is no model, as on many Arm CPUs."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name" and value.strip():
            return " ".join(value.split())
    return platform.machine() or UNKNOWN


def _cpu_governor(cpu_folder: Path) -> str:
    """The governor of all CPUs, joined by + where they differ; "unknown" as in most machines."""
    governors = set()
    for path in cpu_folder.glob("cpu[0-9]*/cpufreq/scaling_governor"):
        try:
            governors.add(path.read_text(encoding="ascii").strip())
        except OSError:
            continue
    return "+".join(sorted(governors)) or UNKNOWN
