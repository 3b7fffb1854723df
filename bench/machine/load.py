"""Checks of other users of the machine: other processes, other guests, and short memory.

The checks of the CPUs themselves are in `bench.machine.cpu`.
"""

from __future__ import annotations

import os
from typing import Final

from bench.machine.finding import Finding, Severity, disturbs, fine, may_disturb, unknown
from bench.machine.machine import Machine

QUIET_CPUS: Final = 0.3
"""CPUs that the usual services of an idle machine use."""
_PRESSURE: Final = (1.0, 5.0)
"""Per cent of the time from which on the pressure may disturb, and disturbs."""
_STEAL_NOW: Final = 0.02
_STEAL_SINCE_BOOT: Final = (0.001, 0.01)
_MAX_NAMED: Final = 3


def load(machine: Machine) -> Finding:
    cpus = machine.cpu_count
    average = _first_number(machine.text("proc/loadavg"))
    share = _share(machine, "busy")
    busy = None if share is None else share * cpus
    if average is None and busy is None:
        return unknown("Neither /proc/loadavg nor /proc/stat says what else runs.")
    on = f"{cpus} CPU{'' if cpus == 1 else 's'}"
    seen, found = [], []
    if average is not None:
        seen.append(f"Over the last minute {average:.1f} tasks ran or waited on average, on {on}.")
        found.append(_load_severity(average, cpus))
    if busy is not None:
        seen.append(f"Right now others use {busy:.1f} of them{_busiest(machine)}.")
        found.append(_load_severity(busy, cpus))
    worst = min(found, key=list(Severity).index)
    if worst is Severity.FINE:
        return fine(" ".join(seen))
    # Work that has ended still counts in the average for a minute or two.
    if found[-1] is Severity.FINE:
        worst = Severity.MAY_DISTURB
    shown = max(number for number in (average, busy) if number is not None)
    return Finding(
        worst,
        " ".join(seen) + " It takes CPUs, caches and memory away from what is measured.",
        "end other work or wait until it is done, then look again",
        "top",
        brief=f"load {shown:.1f} on {on}",
    )


def pressure(machine: Machine) -> Finding:
    share = _first_number((machine.text("proc/pressure/cpu") or "").partition("avg10=")[2])
    if share is None:
        return unknown("The kernel does not say how long tasks wait for a CPU.")
    seen = f"In {share:.1f} % of the last 10 s a task that could run had to wait for a CPU."
    may, does = _PRESSURE
    if share < may:
        return fine(seen)
    return Finding(
        Severity.DISTURBS if share >= does else Severity.MAY_DISTURB,
        seen + " A redo that waits its turn is late.",
        "end other work or wait until it is done, then look again",
        brief=f"CPU pressure {share:.0f} %",
    )


def steal(machine: Machine) -> Finding:
    now = machine.now
    if now.steal is None or not now.total:
        return unknown("/proc/stat does not tell how long the host ran something else.")
    since_boot = now.steal / now.total
    seen = f"The host ran something else in {100 * since_boot:.2f} % of the time since boot"
    lately = _share(machine, "steal")
    if lately is not None:
        seen += f" and in {100 * lately:.1f} % of the last moment"
    may, does = _STEAL_SINCE_BOOT
    if since_boot >= does or (lately or 0) >= _STEAL_NOW:
        severity = Severity.DISTURBS
    elif since_boot >= may or lately:
        severity = Severity.MAY_DISTURB
    elif now.steal == 0 and machine.is_virtual:
        return unknown("None is reported, which not every host does.")
    else:
        return fine(seen + ".")
    return Finding(
        severity,
        seen + "; this machine stood still meanwhile.",
        "measure at another time, or on an instance whose CPUs are not shared",
        brief=f"{100 * max(since_boot, lately or 0):.1f} % of CPU time stolen",
    )


def swap(machine: Machine) -> Finding:
    lines = (machine.text("proc/meminfo") or "").splitlines()
    sizes = dict(line.split(":", 1) for line in lines if ":" in line)
    total_kb, free_kb = (_first_number(sizes.get(key)) for key in ("SwapTotal", "SwapFree"))
    if total_kb is None or free_kb is None:
        return unknown("/proc/meminfo does not tell whether memory is swapped.")
    now, before = machine.now.swapped, machine.since.swapped if machine.since else None
    moved = 0 if before is None or now is None else now - before
    used_mib = (total_kb - free_kb) / 1024
    seen = f"{used_mib:.0f} MiB of {total_kb / 1024:.0f} MiB swap space are in use"
    if moved:
        return disturbs(
            f"{seen}, and {moved} pages were moved right now: memory is short, and who touches"
            " such a page waits for the disk.",
            "end what uses the memory, then look again",
            "ps --sort=-rss -eo rss,comm | head",
            brief="swapping",
        )
    if used_mib >= 1:
        return may_disturb(
            f"{seen}: what was moved there comes back when it is touched.",
            "if there is memory enough for all of it, fetch it back before measuring",
            "sudo swapoff -a && sudo swapon -a",
        )
    return fine(f"{seen}." if total_kb else "There is no swap space.")


def irqbalance(machine: Machine) -> Finding:
    names = machine.texts("proc/[0-9]*/comm")
    if "irqbalance" in names:
        return may_disturb(
            "irqbalance runs: it moves interrupts between CPUs, also to those that are measured.",
            "stop it while you measure (afterwards: start)",
            "sudo systemctl stop irqbalance",
        )
    # Only a process that can see the kernel's threads can see all processes.
    if "kthreadd" not in names:
        return unknown("Processes outside of this container cannot be seen.")
    return fine("Not running.")


def _load_severity(tasks: float, cpus: int) -> Severity:
    """How bad so many busy CPUs are.

    Manager and child need a CPU each. And if half of the CPUs are busy, heat and shared caches slow
    down the others too.
    """
    if tasks < QUIET_CPUS:
        return Severity.FINE
    return Severity.DISTURBS if tasks > min(cpus - 2, cpus / 2) else Severity.MAY_DISTURB


def _share(machine: Machine, counter: str) -> float | None:
    """The growth of a counter as a share of the CPU time between the two moments."""
    now, since = machine.now, machine.since
    if since is None or now.total is None or since.total is None or now.total <= since.total:
        return None
    grown: int = getattr(now, counter) - getattr(since, counter)
    return max(0, grown) / (now.total - since.total)


def _busiest(machine: Machine) -> str:
    """The other processes that used most CPU between the moments, as a part of a sentence."""
    now, since = machine.now, machine.since
    if since is None or now.total is None or since.total is None:
        return ""
    one_cpu = (now.total - since.total) / machine.cpu_count
    used = []
    for pid, process in now.processes.items():
        before = since.processes.get(pid)
        # A process that is new used all of its time between the moments. So did one with fewer
        # ticks than before: it is another process that got the same number.
        earlier = before.ticks if before and before.ticks <= process.ticks else 0
        share = (process.ticks - earlier) / one_cpu
        if share >= QUIET_CPUS / 10 and pid != os.getpid():
            used.append((share, f"{process.name} (pid {pid}) {100 * share:.0f} %"))
    used.sort(reverse=True)
    names = ", ".join(text for _, text in used[:_MAX_NAMED])
    return f", the busiest {names}" if names else ""


def _first_number(text: str | None) -> float | None:
    try:
        return float((text or "").split()[0])
    except (IndexError, ValueError):
        return None
