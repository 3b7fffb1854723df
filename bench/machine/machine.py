"""Reads a machine for the checks: files of /proc and /sys, and its counters at two moments.

The root folder can be another one, with made-up files. Anything that is missing, masked or
unreadable is None. `bench.machine.checks` judges what the values mean for a measurement.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.cases import placement
from bench.machine.pipes import granted_bytes
from bench.machine.pyperf_system import Reading, cpu_list, readings

_SWAP_COUNTERS = ("pswpin", "pswpout")


def read_text(path: Path) -> str | None:
    """The text of a small file without surrounding space; None if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class Process:
    """``ticks``: user and system time since the process began, in ticks of the kernel's clock."""

    name: str
    ticks: int


@dataclass(frozen=True, slots=True)
class Moment:
    """Counters at one time. CPU times are ticks since boot, summed over the CPUs; ``swapped`` is
    pages moved from or to swap since boot."""

    busy: int | None
    steal: int | None
    total: int | None
    swapped: int | None
    processes: Mapping[int, Process]

    @classmethod
    def of(cls, root: Path, *, processes: bool = False) -> Moment:
        times = _cpu_times(root)
        busy = steal = total = None
        if times is not None and any(times):
            user, nice, system, idle, iowait, irq, softirq, steal = times
            busy = user + nice + system + irq + softirq
            total = busy + idle + iowait + steal
        return cls(busy, steal, total, _swapped(root), dict(_processes(root) if processes else ()))


@dataclass(frozen=True, slots=True)
class Machine:
    """``allowed``: the CPUs that this process may use. ``split``: the CPUs that the placement split
    gives to manager and child, if it is possible. ``since``: an earlier moment, if there is one.
    ``pipe_bytes``: what new pipes get if they ask for a manager's."""

    root: Path
    allowed: frozenset[int]
    now: Moment
    since: Moment | None = None
    split: tuple[int, int] | None = None
    pyperf: Mapping[str, Reading] = field(default_factory=dict)
    pipe_bytes: int | None = None

    @classmethod
    def here(cls, *, sample_s: float | None = None) -> Machine:
        """This machine. With ``sample_s`` it waits that long between two moments."""
        root, since = Path("/"), None
        if sample_s is not None:
            since = Moment.of(root, processes=True)
            time.sleep(sample_s)
        now = Moment.of(root, processes=sample_s is not None)
        allowed = frozenset(os.sched_getaffinity(0))
        split = None if placement.problem(placement.SPLIT) else placement.cpus(placement.SPLIT)
        return cls(root, allowed, now, since, split, readings(allowed), granted_bytes())

    def text(self, path: str) -> str | None:
        """The text of a file, whose path begins at the root folder."""
        return read_text(self.root / path)

    def number(self, path: str) -> int | None:
        text = self.text(path)
        return int(text) if text is not None and text.removeprefix("-").isdecimal() else None

    def cpus(self, path: str) -> tuple[int, ...] | None:
        """A list of CPUs or nodes, which may be empty."""
        text = self.text(path)
        try:
            return None if text is None else cpu_list(text)
        except ValueError:
            return None

    def texts(self, pattern: str) -> list[str]:
        """The texts of all files that match."""
        found = (read_text(path) for path in sorted(self.root.glob(pattern)))
        return [text for text in found if text is not None]

    def reading(self, check: str) -> Reading:
        """A check of pyperf; an empty one where it does not apply."""
        return self.pyperf.get(check, Reading())

    @property
    def cpu_count(self) -> int:
        """The number of CPUs that are online, or else of those that this process may use."""
        return len(self.cpus("sys/devices/system/cpu/online") or self.allowed)

    @property
    def is_virtual(self) -> bool | None:
        """Whether the machine runs on a hypervisor; None if that cannot be seen.

        On x86 a CPU flag shows it; elsewhere only the names that the firmware gives.
        """
        if self.text("sys/hypervisor/type"):
            return True
        info = self.text("proc/cpuinfo") or ""
        flags = next((line for line in info.splitlines() if line.startswith("flags")), None)
        if flags is not None:
            return "hypervisor" in flags.split()
        if self.product is None:
            return None
        # Bare-metal machines of a cloud have the cloud's name too, with a suffix.
        name = self.product.lower()
        return ".metal" not in name and any(maker in name for maker in _VIRTUAL_MAKERS)

    @property
    def product(self) -> str | None:
        """The maker and the product as the firmware names them."""
        names = [self.text(f"sys/class/dmi/id/{key}") for key in ("sys_vendor", "product_name")]
        return " ".join(name for name in names if name) or None


_VIRTUAL_MAKERS = (
    *("qemu", "kvm", "vmware", "virtualbox", "innotek", "xen", "virtual machine"),
    *("virtualization", "amazon ec2", "google compute engine", "openstack", "bochs"),
    *("parallels", "bhyve"),
)


def _cpu_times(root: Path) -> list[int] | None:
    """user, nice, system, idle, iowait, irq, softirq and steal. The time of guests is in user."""
    for line in (read_text(root / "proc/stat") or "").splitlines():
        name, *fields = line.split()
        if name == "cpu" and len(fields) >= 8:
            with contextlib.suppress(ValueError):
                return [int(number) for number in fields[:8]]
    return None


def _swapped(root: Path) -> int | None:
    lines = (read_text(root / "proc/vmstat") or "").splitlines()
    counters = dict(line.partition(" ")[::2] for line in lines)
    found = [counters.get(name, "") for name in _SWAP_COUNTERS]
    return sum(map(int, found)) if all(text.isdecimal() for text in found) else None


def _processes(root: Path) -> Iterator[tuple[int, Process]]:
    for path in root.glob("proc/[0-9]*/stat"):
        # The process may have ended since its folder was listed: then there is no text.
        name, _, rest = (read_text(path) or "").partition("(")[2].rpartition(")")
        user_and_system = rest.split()[11:13]
        if len(user_and_system) == 2 and all(text.isdecimal() for text in user_and_system):
            yield int(path.parent.name), Process(name, sum(map(int, user_and_system)))
