"""What the control groups of this process grant, read from /sys/fs/cgroup: CPU time, and tasks.

Both versions; the mounts are looked for where systemd and container runtimes put them. ``text``
gives a file below the root folder, None if it cannot be had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

Text = Callable[[str], str | None]

_MOUNT = "sys/fs/cgroup"
_V1_CPU = ("cpu", "cpu,cpuacct", "cpuacct,cpu")
_V1_PIDS = ("pids",)
_UNLIMITED = "max"


@dataclass(frozen=True, slots=True)
class Quota:
    """``cpus``: CPU time per wall-clock time that the tightest group grants. ``throttled``: how
    often its processes had to wait for the next period since it was made."""

    cpus: float
    throttled: int | None


def is_seen(text: Text) -> bool:
    """Whether the groups that grant CPU time can be seen at all."""
    return any(True for _ in _mounts(text, _V1_CPU))


def quota(text: Text) -> Quota | None:
    """The tightest one of the group and those around it; None if there is none to be seen."""
    return min(_quotas(text), key=lambda one: one.cpus, default=None)


def tasks_left(text: Text) -> int | None:
    """How many more processes and threads the group and those around it let in; None if there is
    no limit to be seen."""
    left = []
    for _, folder in _groups(text, _V1_PIDS):
        most, now = (text(f"{folder}/pids.{name}") or "" for name in ("max", "current"))
        if most.isdecimal() and now.isdecimal():
            left.append(int(most) - int(now))
    return min(left, default=None)


def _mounts(text: Text, v1_names: Sequence[str]) -> Iterator[tuple[bool, str]]:
    """Whether it is of version 2, and where below the root folder."""
    if text(f"{_MOUNT}/cgroup.controllers") is not None:
        yield True, _MOUNT
    for name in v1_names:
        if text(f"{_MOUNT}/{name}/cgroup.procs") is not None:
            yield False, f"{_MOUNT}/{name}"


def _groups(text: Text, v1_names: Sequence[str]) -> Iterator[tuple[bool, str]]:
    """The group of this process and those around it: of which version, and its folder."""
    paths = dict(_paths(text))
    for is_v2, mount in _mounts(text, v1_names):
        # Inside a container the path may be that of the host: then the mount itself is the group.
        group = Path(paths.get("" if is_v2 else v1_names[0], "/").lstrip("/"))
        for part in (group, *group.parents):
            yield is_v2, f"{mount}/{part}"


def _quotas(text: Text) -> Iterator[Quota]:
    for is_v2, folder in _groups(text, _V1_CPU):
        cpus = _granted(text, folder, is_v2)
        if cpus is not None:
            yield Quota(cpus, _throttled(text, folder))


def _paths(text: Text) -> Iterator[tuple[str, str]]:
    """The group of this process by controller; that of version 2 has none."""
    for line in (text("proc/self/cgroup") or "").splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        for controller in controllers.split(","):
            yield controller, path


def _granted(text: Text, folder: str, is_v2: bool) -> float | None:
    if is_v2:
        quota_us, _, period_us = (text(f"{folder}/cpu.max") or _UNLIMITED).partition(" ")
    else:
        quota_us = text(f"{folder}/cpu.cfs_quota_us") or _UNLIMITED
        period_us = text(f"{folder}/cpu.cfs_period_us") or ""
    # Version 1 says -1 where there is no limit.
    if quota_us.isdecimal() and period_us.isdecimal() and int(period_us) > 0:
        return int(quota_us) / int(period_us)
    return None


def _throttled(text: Text, folder: str) -> int | None:
    for line in (text(f"{folder}/cpu.stat") or "").splitlines():
        name, _, count = line.partition(" ")
        if name == "nr_throttled" and count.isdecimal():
            return int(count)
    return None
