"""How much CPU time the control groups of this process grant, read from /sys/fs/cgroup.

Both versions; the mounts are looked for where systemd and container runtimes put them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.machine import Machine

_MOUNT = "sys/fs/cgroup"
_V1_NAMES = ("cpu", "cpu,cpuacct", "cpuacct,cpu")
_UNLIMITED = "max"


@dataclass(frozen=True, slots=True)
class Quota:
    """``cpus``: CPU time per wall-clock time that the tightest group grants. ``throttled``: how
    often its processes had to wait for the next period since it was made."""

    cpus: float
    throttled: int | None


def is_seen(machine: Machine) -> bool:
    """Whether the groups can be seen at all."""
    return any(True for _ in _mounts(machine))


def quota(machine: Machine) -> Quota | None:
    """The tightest one of the group and those around it; None if there is none to be seen."""
    return min(_quotas(machine), key=lambda one: one.cpus, default=None)


def _mounts(machine: Machine) -> Iterator[tuple[bool, str]]:
    """Whether it is of version 2, and where below the root folder."""
    if machine.text(f"{_MOUNT}/cgroup.controllers") is not None:
        yield True, _MOUNT
    for name in _V1_NAMES:
        if machine.text(f"{_MOUNT}/{name}/cgroup.procs") is not None:
            yield False, f"{_MOUNT}/{name}"


def _quotas(machine: Machine) -> Iterator[Quota]:
    paths = dict(_paths(machine))
    for is_v2, mount in _mounts(machine):
        # Inside a container the path may be that of the host: then the mount itself is the group.
        group = Path(paths.get("" if is_v2 else "cpu", "/").lstrip("/"))
        for part in (group, *group.parents):
            folder = f"{mount}/{part}"
            cpus = _granted(machine, folder, is_v2)
            if cpus is not None:
                yield Quota(cpus, _throttled(machine, folder))


def _paths(machine: Machine) -> Iterator[tuple[str, str]]:
    """The group of this process by controller; that of version 2 has none."""
    for line in (machine.text("proc/self/cgroup") or "").splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        for controller in controllers.split(","):
            yield controller, path


def _granted(machine: Machine, folder: str, is_v2: bool) -> float | None:
    if is_v2:
        quota_us, _, period_us = (machine.text(f"{folder}/cpu.max") or _UNLIMITED).partition(" ")
    else:
        quota_us = machine.text(f"{folder}/cpu.cfs_quota_us") or _UNLIMITED
        period_us = machine.text(f"{folder}/cpu.cfs_period_us") or ""
    # Version 1 says -1 where there is no limit.
    if quota_us.isdecimal() and period_us.isdecimal() and int(period_us) > 0:
        return int(quota_us) / int(period_us)
    return None


def _throttled(machine: Machine, folder: str) -> int | None:
    for line in (machine.text(f"{folder}/cpu.stat") or "").splitlines():
        name, _, count = line.partition(" ")
        if name == "nr_throttled" and count.isdecimal():
            return int(count)
    return None
