"""Reads the limits of this process's control groups from /sys/fs/cgroup: CPU, tasks, memory.

It knows both versions, at the mounts that systemd and container runtimes use. ``text`` reads a file
below the root folder; it returns None if the file cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

Text = Callable[[str], str | None]

_MOUNT = "sys/fs/cgroup"
_V1_CPU = ("cpu", "cpu,cpuacct", "cpuacct,cpu")
_V1_PIDS = ("pids",)
_V1_MEMORY = ("memory",)
_UNLIMITED = "max"


@dataclass(frozen=True, slots=True)
class Quota:
    """``cpus``: CPU time per wall-clock time that the group grants. ``throttled``: how often its
    processes had to wait for the next period since the group was made."""

    cpus: float
    throttled: int | None


def is_seen(text: Text) -> bool:
    """Whether the groups that limit CPU time are visible at all."""
    return any(True for _ in _mounts(text, _V1_CPU))


def quota(text: Text) -> Quota | None:
    """The lowest quota of the group and the groups around it; None if no quota is visible."""
    found = [
        Quota(cpus, _throttled(text, folder))
        for is_v2, folder in _groups(text, _V1_CPU)
        if (cpus := _granted(text, folder, is_v2)) is not None
    ]
    return min(found, key=lambda quota: quota.cpus, default=None)


def tasks_left(text: Text) -> int | None:
    """How many more processes and threads the group and the groups around it allow.

    None if no limit is visible.
    """
    left = []
    for _, folder in _groups(text, _V1_PIDS):
        most, now = (text(f"{folder}/pids.{name}") or "" for name in ("max", "current"))
        if most.isdecimal() and now.isdecimal():
            left.append(int(most) - int(now))
    return min(left, default=None)


def memory_bytes(text: Text) -> int | None:
    """The memory that the group and the groups around it grant as a whole, or None. What is in use
    is not taken off, as most of it may be files that the kernel drops."""
    granted = []
    for is_v2, folder in _groups(text, _V1_MEMORY):
        most = text(f"{folder}/memory.{'max' if is_v2 else 'limit_in_bytes'}") or ""
        if most.strip().isdecimal():
            granted.append(int(most))
    return min(granted, default=None)


def _mounts(text: Text, v1_names: Sequence[str]) -> Iterator[tuple[bool, str]]:
    """The mounts: whether of version 2, and the folder below the root folder."""
    if text(f"{_MOUNT}/cgroup.controllers") is not None:
        yield True, _MOUNT
    for name in v1_names:
        if text(f"{_MOUNT}/{name}/cgroup.procs") is not None:
            yield False, f"{_MOUNT}/{name}"


def _groups(text: Text, v1_names: Sequence[str]) -> Iterator[tuple[bool, str]]:
    """The group of this process and the groups around it: whether of version 2, and the folder."""
    paths = {}  # by controller, whose name is empty for version 2
    for line in (text("proc/self/cgroup") or "").splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        paths.update(dict.fromkeys(controllers.split(","), path))
    for is_v2, mount in _mounts(text, v1_names):
        # Inside a container the path may be the host's, which does not exist here. The last of its
        # parents is the mount itself, which then is the group.
        group = Path(paths.get("" if is_v2 else v1_names[0], "/").lstrip("/"))
        for part in (group, *group.parents):
            yield is_v2, f"{mount}/{part}"


def _granted(text: Text, folder: str, is_v2: bool) -> float | None:
    if is_v2:
        quota_us, _, period_us = (text(f"{folder}/cpu.max") or _UNLIMITED).partition(" ")
    else:
        quota_us = text(f"{folder}/cpu.cfs_quota_us") or _UNLIMITED
        period_us = text(f"{folder}/cpu.cfs_period_us") or ""
    # Version 1 has -1 if there is no limit.
    if quota_us.isdecimal() and period_us.isdecimal() and int(period_us) > 0:
        return int(quota_us) / int(period_us)
    return None


def _throttled(text: Text, folder: str) -> int | None:
    for line in (text(f"{folder}/cpu.stat") or "").splitlines():
        name, _, count = line.partition(" ")
        if name == "nr_throttled" and count.isdecimal():
            return int(count)
    return None
