"""The machine, code and configuration of a suite: collected once, the same for all of its runs.

It repeats of pyperf's metadata only what a reader must find without knowing pyperf. It keeps no
host name and no path, since result files are published.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.cases import placement
from bench.places import MEASURED
from bench.results.git import git_output
from bench.results.key import Value

UNKNOWN = "unknown"
_CHILD_BUILD = "redo_child_build_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Facts about the suite. None and "unknown" mean that a fact could not be found out.

    ``git_commit`` is a full hash, ``git_diff_sha256`` that of `_diff_sha256`. ``cpus_allowed`` is a
    list as ``0-3,8``. ``config_json`` is the whole configuration as one line of JSON,
    ``suite_date`` is UTC in ISO 8601. ``pythons`` are the interpreters besides the suite's own, by
    label. ``compiled_core`` is that of the cases with such a build. ``workload_files``,
    ``own_managers`` and ``own_children`` are hashes of what belongs to the user, by label. ``ab``
    is the A/B measurement that the file is one side of.
    """

    git_commit: str | None = None
    git_dirty: bool | None = None
    git_diff_sha256: str | None = None
    kernel: str = UNKNOWN
    cpu_model: str = UNKNOWN
    cpu_count: int | None = None
    cpus_allowed: str | None = None
    cpu_governor: str = UNKNOWN
    child_build: Mapping[str, str] = field(default_factory=dict)
    peer_sha256: str | None = None
    pythons: str | None = None
    compiled_core: str | None = None
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
        seed: int,
        profile: str,
        config_json: str,
        now_utc: datetime | None = None,
    ) -> Environment:
        """Looks at the machine and at the git checkout whose top folder is ``root``."""
        commit, dirty = _git_state(root)
        return cls(
            git_commit=commit,
            git_dirty=dirty,
            git_diff_sha256=None if commit is None else _diff_sha256(root),
            kernel=f"{platform.system()} {platform.release()}",
            cpu_model=_cpu_model(),
            cpu_count=os.cpu_count(),
            cpus_allowed=placement.cpus_allowed(),
            cpu_governor=_cpu_governor(),
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
        """The facts from the metadata that all runs of a result file share."""
        facts: dict[str, Any] = {
            name: kind(value)
            for name, kind in _FACTS.items()
            if (value := metadata.get(_key(name))) is not None
            # A file may have been edited: a number that is none counts as unknown.
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
        """As `short_commit`."""
        return short_commit(self.git_commit, self.git_dirty)


_FACTS: Final[Mapping[str, Callable[[Value], Value]]] = {
    item.name: {"git_dirty": bool, "cpu_count": int, "seed": int}.get(item.name, str)
    for item in fields(Environment)
    if item.name != "child_build"
}
"""Each fact that has its own key, and its type."""


def _key(fact: str) -> str:
    return "redo_config" if fact == "config_json" else f"redo_{fact}"


def short_commit(commit: str | None, dirty: bool | None) -> str:
    """As ``1a2b3c4``, ``1a2b3c4-dirty`` if the tree differed from it, or ``nocommit``."""
    return (commit[:7] if commit else "nocommit") + ("-dirty" if dirty else "")


def _git_state(root: Path) -> tuple[str | None, bool | None]:
    """Hash and dirtiness; (None, None) without git or if ``root`` is no checkout's top folder.

    Files that git does not track do not count as dirty: a result file may be one of them.
    """
    top = git_output(root, "rev-parse", "--show-toplevel")
    # An installed copy may lie inside an unrelated checkout.
    if top is None or Path(top).resolve() != root.resolve():
        return None, None
    commit = git_output(root, "rev-parse", "--verify", "--quiet", "HEAD")
    status = git_output(root, "status", "--porcelain", "--untracked-files=no")
    return commit, None if commit is None or status is None else bool(status)


def _diff_sha256(root: Path) -> str | None:
    """A hash of the files below the measured folders that differ from the commit; None if none
    does, or it cannot be found out. Ignored files do not count, other untracked ones do.

    It is one of names, modes and content, and not of the output of `git diff`: that depends on
    git's version, on settings of the user, and on what is staged.
    """
    options = ("--porcelain", "-z", "--no-renames", "--untracked-files=all")
    status = git_output(root, "status", *options, "--", *MEASURED)
    if not status:
        return None
    found = hashlib.sha256()
    for name in sorted(entry[3:] for entry in status.rstrip("\0").split("\0")):
        path = root / name
        try:
            if path.is_symlink():
                kind, content = "link", os.fsencode(path.readlink())
            else:
                # A folder is a checkout inside this one. Anything else could block who reads it.
                kind = "program" if path.stat().st_mode & 0o100 else "file"
                content = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            kind, content = "none", b""
        for part in (os.fsencode(name), kind.encode(), content):
            found.update(len(part).to_bytes(8) + part)
    return found.hexdigest()


def _cpu_model() -> str:
    """As in /proc/cpuinfo; the architecture where that names no model, as on many Arm CPUs."""
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        cpuinfo = ""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name" and value.strip():
            return " ".join(value.split())
    return platform.machine() or UNKNOWN


def _cpu_governor() -> str:
    """The governors of the CPUs, joined by + where they differ; most virtual machines show none."""
    governors = set()
    for path in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor"):
        with contextlib.suppress(OSError):
            governors.add(path.read_text(encoding="ascii").strip())
    return "+".join(sorted(governors)) or UNKNOWN
