"""What disturbs a measurement: each check on made-up folders whose truth is known, both ways; then
pyperf's own checks, and the command on the real machine."""

from __future__ import annotations

import io
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from pyperf import _system
from rich.console import Console

from bench.cases import placement
from bench.cases.case import Case
from bench.cases.names import PIPE_BYTES
from bench.cli.measuring import say_what_disturbs
from bench.machine import checks, load
from bench.machine import cpu as machine_cpu_checks
from bench.machine.checks import Check, examine, in_brief, verdict
from bench.machine.finding import Finding, Severity
from bench.machine.machine import Machine, Moment
from bench.machine.pipes import pipes, why_they_differ
from bench.machine.pyperf_system import OPERATIONS, Reading, as_cpu_list, cpu_list, readings
from bench.places import ROOT
from tests.support.made_up_runs import RUN, Bench
from tests.support.suite_server import SuiteServer

CPU = "sys/devices/system/cpu"
QUIET = {
    "proc/cpuinfo": "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu tsc\n",
    "proc/stat": "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 100 0 100 800 0 0 0 0 0 0\n",
    "proc/loadavg": "0.05 0.10 0.20 1/200 4321\n",
    "proc/pressure/cpu": "some avg10=0.00 avg60=9.00 avg300=9.00 total=1\n",
    "proc/meminfo": "MemTotal: 8000000 kB\nSwapTotal: 2048000 kB\nSwapFree: 2048000 kB\n",
    "proc/vmstat": "pgpgin 1\npswpin 5\npswpout 7\n",
    "proc/2/comm": "kthreadd\n",
    "proc/self/cgroup": "0::/user.slice/session.scope\n",
    "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
    f"{CPU}/online": "0-3\n",
    f"{CPU}/isolated": "\n",
    f"{CPU}/smt/active": "0\n",
    f"{CPU}/intel_pstate/no_turbo": "1\n",
    f"{CPU}/cpu0/cpuidle/state0/latency": "0\n",
    f"{CPU}/cpu0/cpuidle/state1/latency": "2\n",
    f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "0\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
    "sys/devices/system/node/online": "0\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
}
"""Four CPUs of a bare machine on which nothing disturbs."""
READY = {
    "governor": Reading(True, ("0-3=performance",)),
    "ASLR": Reading(True, ("Full randomization",)),
    "perf events": Reading(False, ("Maximum sample rate: 100000 per second",), ("lower it",)),
    "power supply": Reading(None, ("the power cable is plugged",)),
}
V1 = "sys/fs/cgroup/cpu,cpuacct"
CLOCK = "sys/devices/system/clocksource/clocksource0/current_clocksource"
HYPERVISOR = {"proc/cpuinfo": "flags : fpu hypervisor\n"}
ARM = {"proc/cpuinfo": "processor : 0\nFeatures : fp asimd\n"}

DISTURBS, MAY, UNKNOWN, FINE = (
    Severity.DISTURBS,
    Severity.MAY_DISTURB,
    Severity.UNKNOWN,
    Severity.FINE,
)


def write(root: Path, files: Mapping[str, str | None]) -> None:
    """Makes them; those that are None are taken away."""
    for name, text in files.items():
        path = root / name
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def machine(
    root: Path,
    files: Mapping[str, str | None] | None = None,
    *,
    allowed: tuple[int, ...] = (0, 1, 2, 3),
    pyperf: Mapping[str, Reading] = READY,
    split: tuple[int, int] | None = None,
    later: Mapping[str, str] | None = None,
    pipe_bytes: int | None = PIPE_BYTES,
) -> Machine:
    """The quiet machine with those files changed; ``later`` are written a moment afterwards."""
    write(root, QUIET)
    write(root, files or {})
    since = None
    if later is not None:
        since = Moment.of(root, processes=True)
        write(root, later)
    now = Moment.of(root, processes=since is not None)
    return Machine(root, frozenset(allowed), now, since, split, pyperf, pipe_bytes)


def test_a_quiet_machine(tmp_path: Path) -> None:
    findings = examine(machine(tmp_path))
    assert {f.kind: f.text for f in findings if f.severity is not FINE} == {}
    assert in_brief(machine(tmp_path)) is None
    assert verdict(findings) == "Nothing that can be seen from here disturbs measurements here."


def test_where_everything_is_masked_nothing_is_fine(tmp_path: Path) -> None:
    bare = Machine(tmp_path, frozenset({0, 1}), Moment.of(tmp_path))
    findings = {f.kind: f for f in examine(bare)}
    assert len(findings) == len(checks.CHECKS)
    seen = {kind for kind, f in findings.items() if f.severity is not UNKNOWN}
    # How many CPUs a process may use is asked of the kernel, not of a file.
    assert seen == {"CPUs"}
    assert in_brief(bare) is None


def test_files_that_make_no_sense_are_unknown(tmp_path: Path) -> None:
    names = [*QUIET, "proc/5/stat", "sys/fs/cgroup/cpu.max"]
    allowed = (0, 1)
    for text in ("", "?", "?:: \n", "cpu 1\npswpin\npswpout x\nSwapTotal:\n", "(x) 1 2\n"):
        nonsense = dict.fromkeys(names, text)
        made = machine(
            tmp_path, nonsense, allowed=allowed, pyperf={}, later=nonsense, pipe_bytes=None
        )
        findings = examine(made)
        # These are in what is there, whatever it says; an empty list of CPUs sets none apart.
        known = {"CPUs", "CPU quota"} | ({"isolated CPUs"} if not text else set())
        assert {f.kind for f in findings if f.severity is not UNKNOWN} == known, text


def test_files_that_may_not_be_read_are_unknown(tmp_path: Path) -> None:
    here = machine(tmp_path)
    for name in (CLOCK, "proc/loadavg", f"{CPU}/smt/active"):
        # A folder in its place cannot be read by anybody, root included.
        (tmp_path / name).unlink()
        (tmp_path / name).mkdir()
    assert checks.clock(here).severity is UNKNOWN
    assert machine_cpu_checks.smt(here).severity is UNKNOWN
    assert load.load(here).severity is UNKNOWN


@pytest.mark.parametrize(
    ("check", "files", "severity", "says"),
    [
        (machine_cpu_checks.virtual, {}, FINE, "not one"),
        (machine_cpu_checks.virtual, HYPERVISOR, DISTURBS, "virtual machine: its"),
        (
            machine_cpu_checks.virtual,
            HYPERVISOR
            | {"sys/class/dmi/id/sys_vendor": "QEMU", "sys/class/dmi/id/product_name": "9"},
            DISTURBS,
            "(QEMU 9)",
        ),
        # The firmware of a bare machine in a cloud has the cloud's name.
        (machine_cpu_checks.virtual, {"sys/class/dmi/id/sys_vendor": "Amazon EC2"}, FINE, "not"),
        (machine_cpu_checks.virtual, ARM, UNKNOWN, "firmware"),
        (
            machine_cpu_checks.virtual,
            ARM | {"sys/class/dmi/id/product_name": "KVM Virtual Machine"},
            DISTURBS,
            "KVM",
        ),
        (
            machine_cpu_checks.virtual,
            ARM
            | {
                "sys/class/dmi/id/sys_vendor": "Amazon EC2",
                "sys/class/dmi/id/product_name": "c7g.metal",
            },
            FINE,
            "not",
        ),
        (machine_cpu_checks.virtual, {"sys/hypervisor/type": "xen"}, DISTURBS, "virtual"),
        (machine_cpu_checks.turbo, {}, FINE, "Off"),
        (machine_cpu_checks.turbo, {f"{CPU}/intel_pstate/no_turbo": "0"}, DISTURBS, "On"),
        (
            machine_cpu_checks.turbo,
            {f"{CPU}/intel_pstate/no_turbo": None, f"{CPU}/cpufreq/boost": "1"},
            DISTURBS,
            "On",
        ),
        (
            machine_cpu_checks.turbo,
            {f"{CPU}/intel_pstate/no_turbo": None, f"{CPU}/cpufreq/boost": "0"},
            FINE,
            "Off",
        ),
        (machine_cpu_checks.turbo, {f"{CPU}/intel_pstate/no_turbo": None}, UNKNOWN, "cannot"),
        (machine_cpu_checks.idle_states, {}, FINE, "up to 2 us"),
        (
            machine_cpu_checks.idle_states,
            {f"{CPU}/cpu0/cpuidle/state2/latency": "133"},
            MAY,
            "133 us",
        ),
        (
            machine_cpu_checks.idle_states,
            {
                f"{CPU}/cpu0/cpuidle/state2/{n}": v
                for n, v in (("latency", "133"), ("disable", "1"))
            },
            FINE,
            "up to 2 us",
        ),
        # What a guest calls idle says nothing of its host.
        (machine_cpu_checks.idle_states, HYPERVISOR, UNKNOWN, "cannot be seen"),
        (machine_cpu_checks.smt, {}, FINE, "of its own"),
        (machine_cpu_checks.smt, {f"{CPU}/smt/active": "1"}, MAY, "share a core"),
        (machine_cpu_checks.smt, HYPERVISOR, UNKNOWN, "cannot be seen"),
        (machine_cpu_checks.heat, {}, FINE, "No CPU"),
        (
            machine_cpu_checks.heat,
            {f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "12"},
            MAY,
            "12 times",
        ),
        (machine_cpu_checks.quota, {}, FINE, "No control group"),
        (
            machine_cpu_checks.quota,
            {"sys/fs/cgroup/user.slice/session.scope/cpu.max": "max 100000"},
            FINE,
            "No control group",
        ),
        (
            machine_cpu_checks.quota,
            {
                "sys/fs/cgroup/user.slice/session.scope/cpu.max": "max 100000",
                "sys/fs/cgroup/user.slice/cpu.max": "250000 100000",
                "sys/fs/cgroup/user.slice/cpu.stat": "usage_usec 5\nnr_throttled 17\n",
            },
            DISTURBS,
            "grants 2.5 CPUs' worth of time and has made its processes wait 17 times",
        ),
        (
            machine_cpu_checks.quota,
            {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "400000 100000"},
            FINE,
            "all that can be used",
        ),
        # In a container: the path is that of the host, the mount is the group's own.
        (
            machine_cpu_checks.quota,
            {"proc/self/cgroup": "0::/docker/1a2b", "sys/fs/cgroup/cpu.max": "50000 100000"},
            DISTURBS,
            "0.5 CPUs",
        ),
        (
            machine_cpu_checks.quota,
            {
                "sys/fs/cgroup/cgroup.controllers": None,
                "proc/self/cgroup": "3:cpu,cpuacct:/box\n2:memory:/\n",
                f"{V1}/cgroup.procs": "1\n",
                f"{V1}/box/cpu.cfs_quota_us": "150000",
                f"{V1}/box/cpu.cfs_period_us": "100000",
                f"{V1}/cpu.cfs_quota_us": "-1",
                f"{V1}/cpu.cfs_period_us": "100000",
            },
            DISTURBS,
            "1.5 CPUs",
        ),
        (machine_cpu_checks.quota, {"sys/fs/cgroup/cgroup.controllers": None}, UNKNOWN, "cannot"),
        (load.load, {}, FINE, "0.1 tasks"),
        (load.load, {"proc/loadavg": "1.50 1 1 1/1 1"}, MAY, "1.5 tasks"),
        (load.load, {"proc/loadavg": "3.20 1 1 1/1 1"}, DISTURBS, "3.2 tasks"),
        (
            load.load,
            {"proc/loadavg": "0.50 1 1 1/1 1", f"{CPU}/online": "0-1"},
            DISTURBS,
            "on 2 CPUs",
        ),
        (load.pressure, {}, FINE, "0.0 %"),
        (
            load.pressure,
            {"proc/pressure/cpu": "some avg10=2.00 avg60=0 total=1"},
            MAY,
            "2.0 %",
        ),
        (
            load.pressure,
            {"proc/pressure/cpu": "some avg10=12.34 avg60=0 total=1"},
            DISTURBS,
            "12.3 %",
        ),
        (load.pressure, {"proc/pressure/cpu": None}, UNKNOWN, "does not say"),
        (load.steal, {}, FINE, "0.00 %"),
        (load.steal, HYPERVISOR, UNKNOWN, "not every host"),
        (load.steal, {"proc/stat": "cpu 0 0 0 0 0 0 0 0"}, UNKNOWN, "does not"),
        (load.steal, {"proc/stat": "cpu 98 0 0 9882 0 0 0 20"}, MAY, "0.20 %"),
        (load.steal, {"proc/stat": "cpu 90 0 0 880 0 0 0 30"}, DISTURBS, "3.00 %"),
        (load.swap, {}, FINE, "0 MiB of 2000 MiB"),
        (load.swap, {"proc/meminfo": "SwapTotal: 0 kB\nSwapFree: 0 kB"}, FINE, "no"),
        (
            load.swap,
            {"proc/meminfo": "SwapTotal: 2048000 kB\nSwapFree: 1024000 kB"},
            MAY,
            "1000 MiB of 2000 MiB",
        ),
        (load.irqbalance, {}, FINE, "Not running"),
        (load.irqbalance, {"proc/77/comm": "irqbalance\n"}, MAY, "moves interrupts"),
        (load.irqbalance, {"proc/2/comm": "sh\n"}, UNKNOWN, "container"),
        (checks.clock, {}, FINE, "tsc"),
        (checks.clock, {CLOCK: "hpet"}, DISTURBS, "hpet"),
        (checks.clock, {CLOCK: "xen"}, UNKNOWN, "xen"),
        (checks.numa, {}, FINE, "equally near"),
        (
            checks.numa,
            {
                "sys/devices/system/node/online": "0-1",
                "sys/devices/system/node/node0/cpulist": "0-1",
                "sys/devices/system/node/node1/cpulist": "2-3",
            },
            MAY,
            "2 nodes",
        ),
        (
            checks.numa,
            {
                "sys/devices/system/node/online": "0-1",
                "sys/devices/system/node/node0/cpulist": "4-7",
                "sys/devices/system/node/node1/cpulist": "0-3",
            },
            FINE,
            "on node 1",
        ),
        (checks.huge_pages, {}, FINE, "(madvise)"),
        (
            checks.huge_pages,
            {"sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never"},
            MAY,
            "on its own",
        ),
    ],
)
def test_what_files_say(
    check: Check,
    files: Mapping[str, str | None],
    severity: Severity,
    says: str,
    tmp_path: Path,
) -> None:
    finding = check(machine(tmp_path, files))
    assert (finding.severity, says in finding.text) == (severity, True), finding
    if severity in (DISTURBS, MAY):
        assert finding.advice


MAX_SIZE, SOFT, HARD = (
    f"proc/sys/fs/pipe-{name}" for name in ("max-size", "user-pages-soft", "user-pages-hard")
)


@pytest.mark.parametrize(
    ("granted", "files", "severity", "says", "command"),
    [
        (None, {}, UNKNOWN, "cannot be seen", None),
        (PIPE_BYTES, {SOFT: "16384"}, FINE, "have the 1048576 bytes", None),
        (
            65536,
            {MAX_SIZE: "1048576", SOFT: "16384", HARD: "0"},
            DISTURBS,
            "this user's pipes use up fs.pipe-user-pages-soft (16384 pages)",
            "sudo sysctl fs.pipe-user-pages-soft=65536",
        ),
        (
            8192,
            {MAX_SIZE: "1048576", SOFT: "0", HARD: "1024"},
            DISTURBS,
            "this user's pipes use up fs.pipe-user-pages-hard (1024 pages)",
            "sudo sysctl fs.pipe-user-pages-hard=4096",
        ),
        (
            65536,
            {MAX_SIZE: "524288", SOFT: "16384"},
            DISTURBS,
            "fs.pipe-max-size allows a pipe 524288 bytes",
            "sudo sysctl fs.pipe-max-size=1048576",
        ),
        (65536, {}, DISTURBS, "use up fs.pipe-user-pages-soft:", None),
    ],
)
def test_pipes_that_the_kernel_refuses_their_size(
    granted: int | None,
    files: Mapping[str, str | None],
    severity: Severity,
    says: str,
    command: str | None,
    tmp_path: Path,
) -> None:
    here = machine(tmp_path, files, pipe_bytes=granted)
    finding = pipes(here)
    assert finding.severity is severity
    assert says.removesuffix(":") in finding.text
    if command is not None:
        assert finding.command == command
    if severity is DISTURBS:
        assert in_brief(here) == f"pipes of {granted} bytes"
        assert in_brief(here, leave_out=["pipes"]) is None
        # As `ab` says it: reason and way out in one line.
        line = why_they_differ(here)
        assert says.removesuffix(":") in line
        assert line.endswith(str(finding.command))


def test_pipes_are_tried_on_this_machine() -> None:
    before = set(Path("/proc/self/fd").iterdir())
    granted = Machine.here().pipe_bytes
    assert granted is not None
    assert 4096 <= granted <= PIPE_BYTES
    assert set(Path("/proc/self/fd").iterdir()) == before


@pytest.mark.parametrize(
    ("allowed", "files", "severity", "says"),
    [
        ((0, 1), {}, FINE, "2 of 4 CPUs"),
        ((3,), {}, DISTURBS, "1 of 4 CPUs"),
        (
            (0, 1, 2, 3),
            {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "150000 100000"},
            DISTURBS,
            "4 of 4 CPUs, for 1.5 CPUs' worth",
        ),
    ],
)
def test_too_few_cpus(
    allowed: tuple[int, ...],
    files: Mapping[str, str],
    severity: Severity,
    says: str,
    tmp_path: Path,
) -> None:
    finding = machine_cpu_checks.cpus(machine(tmp_path, files, allowed=allowed))
    assert (finding.severity, says in finding.text) == (severity, True), finding


@pytest.mark.parametrize(
    ("allowed", "severity", "says"),
    [((0, 1), MAY, "not used"), ((0, 2), FINE, "one of them"), ((2, 3), MAY, "moves nothing")],
)
def test_cpus_set_apart(
    allowed: tuple[int, ...], severity: Severity, says: str, tmp_path: Path
) -> None:
    here = machine(tmp_path, {f"{CPU}/isolated": "2-3"}, allowed=allowed)
    finding = machine_cpu_checks.isolated(here)
    assert (finding.severity, says in finding.text) == (severity, True), finding


@pytest.mark.parametrize(("siblings", "is_said"), [("2-3", True), ("1,3", False)])
def test_a_split_over_one_core_is_told(siblings: str, is_said: bool, tmp_path: Path) -> None:
    files = {f"{CPU}/smt/active": "1", f"{CPU}/cpu3/topology/thread_siblings_list": siblings}
    finding = machine_cpu_checks.smt(machine(tmp_path, files, split=(3, 2)))
    assert ("CPUs 2-3" in finding.text) is is_said


# --- What two moments show ------------------------------------------------------------------------


def process(pid: int, name: str, user: int, system: int) -> dict[str, str]:
    return {f"proc/{pid}/stat": f"{pid} ({name}) R 1 1 1 0 -1 0 0 0 0 0 {user} {system} 0 0 20 0"}


def test_load_of_right_now_names_who_it_is(tmp_path: Path) -> None:
    """400 ticks on 4 CPUs, 200 of them busy: 2 CPUs; one process had 100, an odd one 80."""
    before = process(10, "cc1", 500, 0) | process(11, "a) b (c", 0, 0) | process(12, "idle", 9, 9)
    later = process(10, "cc1", 560, 40) | process(11, "a) b (c", 80, 0)
    later |= process(os.getpid(), "python", 300, 0)
    later |= {"proc/stat": "cpu  200 0 200 1000 0 0 0 0\n"}
    finding = load.load(machine(tmp_path, before, later=later))
    assert "Right now others use 2.0 of them" in finding.text
    assert "the busiest cc1 (pid 10) 100 %, a) b (c (pid 11) 80 %." in finding.text
    assert finding.severity is MAY


@pytest.mark.parametrize(
    ("average", "busy", "severity"),
    [
        ("0.00", 0, FINE),
        ("0.00", 380, DISTURBS),
        ("0.00", 100, MAY),
        ("3.50", 0, MAY),
        ("3.50", 100, DISTURBS),
        ("3.50", 400, DISTURBS),
        ("0.50", 380, DISTURBS),
    ],
)
def test_load_that_was_and_load_that_is(
    average: str, busy: int, severity: Severity, tmp_path: Path
) -> None:
    before = {"proc/loadavg": f"{average} 0 0 1/1 1"}
    later = {"proc/stat": f"cpu  {100 + busy} 0 100 {1200 - busy} 0 0 0 0\n"}
    assert load.load(machine(tmp_path, before, later=later)).severity is severity


@pytest.mark.parametrize(("ticks", "severity"), [(0, FINE), (1, MAY), (8, DISTURBS)])
def test_time_stolen_right_now(ticks: int, severity: Severity, tmp_path: Path) -> None:
    before = {"proc/stat": "cpu 100 0 0 99900 0 0 0 0\n"}
    later = {"proc/stat": f"cpu 100 0 0 {100200 - ticks} 0 0 0 {ticks}\n"}
    finding = load.steal(machine(tmp_path, before, later=later))
    assert finding.severity is severity
    assert f"{100 * ticks / 300:.1f} % of the last moment" in finding.text


@pytest.mark.parametrize(("pages", "severity"), [(0, FINE), (3, DISTURBS)])
def test_swapping_right_now(pages: int, severity: Severity, tmp_path: Path) -> None:
    later = {"proc/vmstat": f"pswpin {5 + pages}\npswpout 7\n"}
    assert load.swap(machine(tmp_path, later=later)).severity is severity


# --- pyperf ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "name", "reading", "severity", "says"),
    [
        (
            machine_cpu_checks.governor,
            "governor",
            Reading(False, ("0-3=powersave",), ("Use 'performance'",)),
            DISTURBS,
            "0-3=powersave",
        ),
        (machine_cpu_checks.governor, "governor", READY["governor"], FINE, "0-3=performance"),
        (
            machine_cpu_checks.governor,
            "governor",
            Reading(problems=("masked",)),
            UNKNOWN,
            "(masked)",
        ),
        (checks.aslr, "ASLR", READY["ASLR"], FINE, "Leave it on"),
        (checks.aslr, "ASLR", Reading(False, ("No randomization",)), MAY, "one memory"),
        (checks.power, "power supply", READY["power supply"], FINE, "plugged"),
        (
            checks.power,
            "power supply",
            Reading(None, ("the power cable is unplugged",), ("The power cable must be plugged",)),
            DISTURBS,
            "is unplugged. On battery",
        ),
        (checks.perf_events, "perf events", READY["perf events"], FINE, "100000"),
    ],
)
def test_what_pyperf_says(
    check: Check, name: str, reading: Reading, severity: Severity, says: str, tmp_path: Path
) -> None:
    finding = check(machine(tmp_path, pyperf={name: reading}))
    assert (finding.severity, says in finding.text) == (severity, True), finding


@pytest.mark.parametrize(("vendor", "severity"), [("GenuineIntel", DISTURBS), ("AMD", UNKNOWN)])
def test_turbo_boost_is_asked_of_intel_cpus_only(
    vendor: str, severity: Severity, tmp_path: Path
) -> None:
    files = {"proc/cpuinfo": f"vendor_id : {vendor}\nflags : fpu\n"}
    pyperf = {"turbo boost": Reading(False, ("CPU 0-3: enabled",), ("Disable",))}
    here = machine(tmp_path, files | {f"{CPU}/intel_pstate/no_turbo": None}, pyperf=pyperf)
    assert machine_cpu_checks.turbo(here).severity is severity


def test_pyperf_still_has_its_checks() -> None:
    """An update that takes one away or changes what it is made of ends here."""
    assert set(OPERATIONS.values()) <= {one.__name__ for one in _system.OPERATIONS}
    found = readings(os.sched_getaffinity(0))
    assert set(found) <= set(OPERATIONS)
    assert not [text for one in found.values() for text in one.problems if "cannot tell" in text]
    assert (cpu_list("0-2,8"), cpu_list("\n".strip()), as_cpu_list([8, 0, 1])) == (
        (0, 1, 2, 8),
        (),
        "0-1,8",
    )


@pytest.mark.parametrize(("governor", "is_ready"), [("performance", True), ("powersave", False)])
def test_pyperf_reads_the_files_that_we_think_it_does(
    governor: str, is_ready: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cpu in range(os.cpu_count() or 1):
        write(tmp_path, {f"{CPU}/cpu{cpu}/cpufreq/scaling_governor": f"{governor}\n"})
    write(
        tmp_path,
        {
            "power/AC/type": "Mains\n",
            "power/AC/online": f"{int(is_ready)}\n",
            "aslr": "2\n" if is_ready else "0\n",
            "rate": "100000\n",
        },
    )
    monkeypatch.setattr(_system, "sysfs_path", lambda path: str(tmp_path / "sys" / path))
    monkeypatch.setattr(_system.PowerSupply, "path", str(tmp_path / "power"))
    monkeypatch.setattr(_system.ASLR, "path", str(tmp_path / "aslr"))
    monkeypatch.setattr(_system.PerfEvent, "path", str(tmp_path / "rate"))
    found = readings([0])
    assert found["governor"].ready is is_ready
    assert f"={governor}" in found["governor"].states[0]
    assert found["ASLR"].ready is is_ready
    assert bool(found["power supply"].advice) is not is_ready
    assert "100000" in found["perf events"].states[0]


def test_a_pyperf_that_has_changed_is_unknown_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: object) -> None:
        raise AttributeError("no longer here")

    monkeypatch.setattr(_system.ASLR, "show", fails)
    monkeypatch.setattr(_system.ASLR, "available", lambda: True)
    assert "no longer here" in readings([0])["ASLR"].problems[0]
    monkeypatch.delattr(_system, "System")
    assert {one.ready for one in readings([0]).values()} == {None}


# --- The command and the line before a measurement ------------------------------------------------


def test_what_disturbs_has_advice() -> None:
    with pytest.raises(ValueError, match="needs advice"):
        Finding(DISTURBS, "much")


def busy_machine(root: Path) -> Machine:
    files = HYPERVISOR | {"proc/loadavg": "3.21 1 1 1/1 1"}
    return machine(root, files, allowed=(0, 1), pyperf=READY)


def test_in_brief_and_verdict(tmp_path: Path) -> None:
    here = busy_machine(tmp_path)
    assert in_brief(here) == "virtual machine; load 3.2 on 4 CPUs"
    assert verdict(examine(here)) == ("2 things disturb measurements here; 3 could not be seen.")


def test_the_checks_left_out_for_speed_never_disturb(tmp_path: Path) -> None:
    """Else the line before a measurement would be silent about one."""
    here = machine(tmp_path, {"proc/77/comm": "irqbalance\n"})
    for check in checks.CHECKS_THAT_MAY_TAKE_LONG:
        assert check(here).severity is MAY


def test_nothing_is_written(tmp_path: Path) -> None:
    machine(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for path in before:
        if path.is_file():
            path.chmod(stat.S_IRUSR)
    examine(Machine(tmp_path, frozenset({0}), Moment.of(tmp_path)))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("is_busy", [True, False])
def test_check_prints_what_to_do_and_its_status_follows(
    is_busy: bool, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = busy_machine(tmp_path / "m") if is_busy else machine(tmp_path / "m")
    monkeypatch.setattr(Machine, "here", lambda sample_s=None: made_up)
    status, out, err = bench("check")
    assert (status, err) == (int(is_busy), "")
    assert ("Disturbs" in out.splitlines()) is is_busy
    assert ("-> end other work" in out) is is_busy
    assert verdict(examine(made_up)) in out
    assert all(line == line.rstrip() for line in out.splitlines())


@pytest.mark.parametrize("is_busy", [True, False])
def test_before_a_measurement_it_is_one_line_or_none(
    is_busy: bool, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = busy_machine(tmp_path / "m") if is_busy else machine(tmp_path / "m")
    monkeypatch.setattr(Machine, "here", lambda sample_s=None: made_up)
    status, _, err = bench(f"{RUN} --rounds 1 -o o.json")
    assert status == 0
    said = [line for line in err.splitlines() if line.startswith("machine: ")]
    brief = "virtual machine; load 3.2 on 4 CPUs (`python -m bench check` says more)"
    assert said == ([f"machine: {brief}"] if is_busy else [])


@pytest.mark.parametrize(
    ("transports", "said"), [("shm", ""), ("pipe", "pipes of 4096 bytes"), ("pipe,shm", "pipes of")]
)
def test_small_pipes_disturb_only_what_goes_through_them(
    transports: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machine, "here", lambda: machine(tmp_path, pipe_bytes=4096))
    err = io.StringIO()
    cases = [Case("sync", "short", 1, transport=one) for one in transports.split(",")]
    say_what_disturbs(Console(file=err, width=200), cases)
    assert bool(said) == bool(err.getvalue())
    assert said in err.getvalue()


def test_the_line_before_a_measurement_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.machine.machine.time.sleep", lambda s: pytest.fail("it sampled"))
    err = io.StringIO()
    say_what_disturbs(Console(file=err), [Case("sync", "short", 1)])
    assert err.getvalue().count("\n") <= 1


def test_this_machine(tmp_path: Path, server: SuiteServer) -> None:
    done = server.run(tmp_path, "check", "--json")
    assert done.err == ""
    data = json.loads(done.out)
    severities = [one["severity"] for one in data["findings"]]
    assert set(severities) <= set(Severity)
    assert done.status == int("disturbs" in severities)
    assert len({one["kind"] for one in data["findings"]}) == len(checks.CHECKS)
    for one in data["findings"]:
        assert one["text"]
        assert one["advice"] or one["severity"] in ("fine", "unknown")
    assert ("disturb" in data["verdict"]) and data["verdict"].endswith(".")


def test_the_page_explains_each_finding(tmp_path: Path) -> None:
    page = (ROOT / "docs/machine.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| ([\w ]+) \|", page, re.MULTILINE)
    assert explained == ["finding", *(one.kind for one in examine(machine(tmp_path)))]


def test_this_machine_says_where_split_goes() -> None:
    here = Machine.here()
    if placement.problem(placement.SPLIT) is None:
        assert here.split == placement.cpus(placement.SPLIT)
    else:
        assert here.split is None
