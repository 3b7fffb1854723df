"""Checks of the CPUs, and of whether they run at one speed: clock rate, idling, neighbours, limits.

Other users of the CPUs are checked in `bench.machine.load`, memory and kernel in
`bench.machine.checks`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bench.machine import cgroup
from bench.machine.finding import Finding, disturbs, fine, may_disturb, unknown
from bench.machine.machine import Machine
from bench.machine.pyperf_system import Reading, as_cpu_list

DEEP_IDLE_US: Final = 10
"""A CPU that takes so long to wake up delays a redo by as much as the redo takes."""
_CPU_FOLDER: Final = "sys/devices/system/cpu"


def virtual(machine: Machine) -> Finding:
    if machine.is_virtual is None:
        return unknown("Neither CPU flags nor firmware say whether this is one.")
    if not machine.is_virtual:
        return fine("This is not one.")
    named = f" ({machine.product})" if machine.product else ""
    return disturbs(
        f"This is a virtual machine{named}: its CPUs are shared with others or moved by the host,"
        " and waking an idle one may go through the host as well.",
        "take absolute figures on bare metal; here trust comparisons that were measured together"
        " only, best on one CPU (`ab`, or `run --placement same-cpu`)",
        brief="virtual machine",
    )


def cpus(machine: Machine) -> Finding:
    allowed = len(machine.allowed)
    quota = cgroup.quota(machine.text)
    usable = min(float(allowed), quota.cpus if quota else allowed)
    seen = f"This process may use {allowed} of {machine.cpu_count} CPUs"
    if quota and quota.cpus < allowed:
        seen += f", for {quota.cpus:g} CPUs' worth of time"
    if usable >= 2:
        return fine(f"{seen}: manager and child can run at the same time.")
    return disturbs(
        f"{seen}: manager and child wait for each other even where they need not.",
        "allow at least 2 (taskset, the container's --cpus and --cpuset-cpus), or compare with"
        " --placement same-cpu only",
        brief=f"{usable:g} CPU{'' if usable == 1 else 's'} only",
    )


def quota(machine: Machine) -> Finding:
    found = cgroup.quota(machine.text)
    if found is None:
        if cgroup.is_seen(machine.text):
            return fine("No control group limits the CPU time.")
        return unknown("Control groups cannot be seen here.")
    seen = f"The control group grants {found.cpus:g} CPUs' worth of time"
    if found.throttled:
        seen += f" and has made its processes wait {found.throttled} times"
    if found.cpus >= len(machine.allowed) and not found.throttled:
        return fine(f"{seen}, which is all that can be used.")
    return disturbs(
        f"{seen}: who has used it up stands still for the rest of the period, tens of ms.",
        "measure without the limit (docker: without --cpus; systemd: CPUQuota=)",
        brief=f"CPU quota of {found.cpus:g}",
    )


def governor(machine: Machine) -> Finding:
    reading = machine.reading("governor")
    if reading.ready is None:
        return unknown(f"The clock rate of the CPUs cannot be seen here{_why(reading)}.")
    seen = f"The frequency governor is: {'; '.join(reading.states)}"
    if reading.ready:
        return fine(f"{seen}.")
    return disturbs(
        f"{seen}. The clock rate follows the load with a delay: few clients are measured on"
        " slower CPUs than many.",
        "have the highest rate always (to undo: the name above)",
        "sudo cpupower frequency-set -g performance",
        brief=f"governor {reading.states[0].partition('=')[2] or 'not performance'}",
    )


def turbo(machine: Machine) -> Finding:
    # The kernel's drivers have one of two files. Only without both pyperf reads a CPU register.
    off, on = (f"{_CPU_FOLDER}/{name}" for name in ("intel_pstate/no_turbo", "cpufreq/boost"))
    undo = "have one rate at every load (to undo: write the other digit)"
    if (no_turbo := machine.number(off)) is not None:
        is_on, command = no_turbo == 0, f"echo 1 | sudo tee /{off}"
    elif (boost := machine.number(on)) is not None:
        is_on, command = boost == 1, f"echo 0 | sudo tee /{on}"
    else:
        # The register bit that pyperf reads means turbo boost on Intel only.
        is_intel = "GenuineIntel" in (machine.text("proc/cpuinfo") or "")
        reading = machine.reading("turbo boost") if is_intel else Reading()
        if reading.ready is None:
            return unknown(f"Whether CPUs boost their rate cannot be seen here{_why(reading)}.")
        is_on, command, undo = not reading.ready, None, "switch it off in the firmware"
    if not is_on:
        return fine("Off: the clock rate does not depend on how many CPUs are busy.")
    return disturbs(
        "On: the clock rate falls as more CPUs are busy and as they get hot, so that what runs"
        " later, or keeps more CPUs busy, runs slower.",
        undo,
        command,
        brief="turbo boost",
    )


def idle_states(machine: Machine) -> Finding:
    """How long a CPU takes to wake up. With one client each redo wakes two CPUs."""
    folder = Path(f"{_CPU_FOLDER}/cpu{min(machine.allowed)}/cpuidle")
    states = (state.relative_to(machine.root) for state in (machine.root / folder).glob("state*"))
    latencies_us = [
        latency_us
        for state in states
        if (latency_us := machine.number(f"{state}/latency")) is not None
        and not machine.number(f"{state}/disable")
    ]
    if not latencies_us or machine.is_virtual:
        return unknown(
            "How deep idle CPUs sleep, and how long waking up takes, cannot be seen here."
        )
    deepest_us = max(latencies_us)
    seen = f"An idle CPU takes up to {deepest_us} us to wake up"
    if deepest_us < DEEP_IDLE_US:
        return fine(f"{seen}.")
    return may_disturb(
        f"{seen}, longer than a redo: latencies with few clients show how deep it slept.",
        "forbid deep sleep while you measure (to undo: cpupower idle-set -E), unless waking up is"
        " what you want to measure",
        f"sudo cpupower idle-set -D {DEEP_IDLE_US}",
    )


def smt(machine: Machine) -> Finding:
    active = machine.number(f"{_CPU_FOLDER}/smt/active")
    if active is None or (active == 0 and machine.is_virtual):
        return unknown("Whether two CPUs are threads of one core cannot be seen here.")
    if active == 0:
        return fine("Every CPU is a core of its own.")
    seen = "CPUs come in pairs that share a core: each is slower while the other works"
    if machine.split:
        cpu, other = machine.split
        siblings = machine.cpus(f"{_CPU_FOLDER}/cpu{cpu}/topology/thread_siblings_list")
        if siblings is not None and other in siblings:
            pair = as_cpu_list(machine.split)
            seen += f". --placement split puts manager and child on such a pair, CPUs {pair}"
    return may_disturb(
        f"{seen}.",
        "use one thread of each core (to undo: on), or allow such CPUs only, with taskset",
        f"echo off | sudo tee /{_CPU_FOLDER}/smt/control",
    )


def isolated(machine: Machine) -> Finding:
    found = machine.cpus(f"{_CPU_FOLDER}/isolated")
    if found is None:
        return unknown("The kernel does not say whether CPUs are set apart.")
    if not found:
        return fine("None is set apart, which is needed only where other work cannot stop.")
    names = as_cpu_list(found)
    used = machine.allowed & set(found)
    if not used:
        return may_disturb(
            f"CPUs {names} are kept free of other work, and not used.",
            "measure on them",
            f"taskset -c {names} python -m bench run --placement same-cpu",
        )
    if len(used) > 1:
        return may_disturb(
            f"CPUs {names} are kept free of other work; between them the kernel moves nothing, so"
            " that with --placement any all may stay on one.",
            "say where to run: --placement same-cpu or split",
        )
    return fine(f"CPUs {names} are kept free of other work, and one of them is used.")


def heat(machine: Machine) -> Finding:
    counts = machine.texts(f"{_CPU_FOLDER}/cpu[0-9]*/thermal_throttle/core_throttle_count")
    numbers = [int(count) for count in counts if count.isdecimal()]
    if not numbers:
        return unknown("Whether CPUs were slowed down for heat cannot be seen here.")
    if not any(numbers):
        return fine("No CPU was slowed down for heat since boot.")
    return may_disturb(
        f"A CPU was slowed down for heat {max(numbers)} times since boot.",
        "let it cool down first, and look whether the number grows while you measure",
    )


def _why(reading: Reading) -> str:
    return f" ({reading.problems[0]})" if reading.problems else ""
