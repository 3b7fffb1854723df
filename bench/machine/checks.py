"""The list of all checks of the machine, and the checks of memory, kernel and power.

A check is a pure function from a `Machine` to one finding; it changes no setting. If it cannot see
its subject, the finding is unknown, not fine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from bench.machine import cpu, load, pipes
from bench.machine.finding import Finding, Severity, disturbs, fine, may_disturb, unknown
from bench.machine.machine import Machine

Check = Callable[[Machine], Finding]

_SLOW_CLOCKS: Final = ("hpet", "acpi_pm", "jiffies", "pit", "refined-jiffies")
_FAST_CLOCKS: Final = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter")
_HUGE_PAGES: Final = "sys/kernel/mm/transparent_hugepage/enabled"


def clock(machine: Machine) -> Finding:
    name = machine.text("sys/devices/system/clocksource/clocksource0/current_clocksource")
    if name in _FAST_CLOCKS:
        return fine(f"The time comes from {name}, which is read without a system call.")
    if name not in _SLOW_CLOCKS:
        return unknown(f"How long reading the clock takes is not known ({name or 'masked'}).")
    return disturbs(
        f"The time comes from {name}: every look at the clock is a system call of a microsecond"
        " or more, and each redo looks twice.",
        "boot with tsc=reliable if the CPU's time-stamp counter can be trusted (see dmesg)",
        "dmesg | grep -i -e tsc -e clocksource",
        brief=f"slow clock {name}",
    )


def numa(machine: Machine) -> Finding:
    nodes = machine.cpus("sys/devices/system/node/online")
    if not nodes:
        return unknown("Whether the memory has several nodes cannot be seen here.")
    if len(nodes) == 1:
        return fine("All memory is equally near to all CPUs.")
    used = [
        node
        for node in nodes
        if machine.allowed & set(machine.cpus(f"sys/devices/system/node/node{node}/cpulist") or ())
    ]
    if len(used) == 1:
        return fine(f"All CPUs that may be used are on node {used[0]}.")
    return may_disturb(
        f"CPUs and memory are in {len(nodes)} nodes: manager and child may land on different ones,"
        " where pages travel farther.",
        "keep all on one node",
        f"numactl --cpunodebind={nodes[0]} --membind={nodes[0]} python -m bench run",
    )


def huge_pages(machine: Machine) -> Finding:
    text = machine.text(_HUGE_PAGES)
    chosen = (text or "").partition("[")[2].partition("]")[0]
    if not chosen:
        return unknown("Whether memory is merged into huge pages cannot be seen here.")
    if chosen != "always":
        return fine(f"Used as programs ask for them ({chosen}).")
    return may_disturb(
        "The kernel merges memory into huge pages on its own: some processes get them, some do"
        " not, and a kernel thread moves pages meanwhile.",
        "leave it to the programs (to undo: always)",
        f"echo madvise | sudo tee /{_HUGE_PAGES}",
    )


def power(machine: Machine) -> Finding:
    reading = machine.reading("power supply")
    if not reading.states:
        return unknown("No power cable is known here, as on most servers.")
    seen = f"{reading.states[0][:1].upper()}{reading.states[0][1:]}."
    if not reading.advice:
        return fine(seen)
    return disturbs(
        f"{seen} On battery the clock rate is held down.",
        "plug it in",
        brief="on battery",
    )


def aslr(machine: Machine) -> Finding:
    reading = machine.reading("ASLR")
    if reading.ready is None:
        return unknown("Whether addresses are drawn at random cannot be seen here.")
    if reading.ready:
        return fine(
            "Each process gets its memory at other addresses: processes differ a little more, but"
            " the mean over many, which is what this suite takes, owes nothing to one lucky layout."
            " Leave it on.",
        )
    return may_disturb(
        "Addresses are not, or not all, drawn at random: all runs of a program share one memory"
        " layout. They scatter less, but a change that shifts it looks like a gain or a loss.",
        "draw them at random, so that many processes even out the layout",
        "sudo sysctl kernel.randomize_va_space=2",
    )


def perf_events(machine: Machine) -> Finding:
    reading = machine.reading("perf events")
    if not reading.states:
        return unknown("Whether perf can take samples cannot be seen here.")
    return fine(
        f"{reading.states[0]}: costs nothing as long as nobody records with perf.",
    )


CHECKS: Final[Mapping[str, Check]] = {
    "virtual machine": cpu.virtual,
    "CPUs": cpu.cpus,
    "CPU quota": cpu.quota,
    "other load": load.load,
    "CPU pressure": load.pressure,
    "steal time": load.steal,
    "swap": load.swap,
    "governor": cpu.governor,
    "turbo boost": cpu.turbo,
    "idle states": cpu.idle_states,
    "SMT": cpu.smt,
    "isolated CPUs": cpu.isolated,
    "heat": cpu.heat,
    "power supply": power,
    "clock": clock,
    "NUMA": numa,
    "huge pages": huge_pages,
    "pipes": pipes.pipes,
    "ASLR": aslr,
    "irqbalance": load.irqbalance,
    "perf events": perf_events,
}
CHECKS_THAT_MAY_TAKE_LONG: Final[Sequence[Check]] = (load.irqbalance,)
"""They read a file of every process. None of them finds anything worse than ``may disturb``."""


def examine(machine: Machine) -> tuple[Finding, ...]:
    """The findings of all checks."""
    return tuple(replace(check(machine), kind=kind) for kind, check in CHECKS.items())


def in_brief(machine: Machine, leave_out: Collection[str] = ()) -> str | None:
    """Everything that disturbs, in a few words; None if nothing does. Skips the slow checks.

    ``leave_out``: kinds of findings that do not matter.
    """
    quick = (
        check(machine)
        for kind, check in CHECKS.items()
        if check not in CHECKS_THAT_MAY_TAKE_LONG and kind not in leave_out
    )
    return "; ".join(f.brief for f in quick if f.brief and is_disturbing(f)) or None


def is_disturbing(finding: Finding) -> bool:
    return finding.severity is Severity.DISTURBS


def verdict(findings: Sequence[Finding]) -> str:
    """The findings in one sentence. It never claims that nothing disturbs, only what is seen."""
    severities = [finding.severity for finding in findings]
    disturbing, may, hidden = map(
        severities.count, (Severity.DISTURBS, Severity.MAY_DISTURB, Severity.UNKNOWN)
    )
    text = "Nothing that can be seen from here disturbs"
    if disturbing:
        text = f"{disturbing} thing{'s disturb' if disturbing > 1 else ' disturbs'}"
    rest = [f"{may} more may"] if may else []
    rest += [f"{hidden} could not be seen"] if hidden else []
    return f"{text} measurements here{'; ' if rest else ''}{', '.join(rest)}."
