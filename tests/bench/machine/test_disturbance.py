"""What else the machine did, from made-up counters, and once from the real ones."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.machine.disturbance import Disturbance, Watch

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class MadeUp:
    """A machine of two CPUs, with a clock."""

    def __init__(self, root: Path) -> None:
        self.root, self.now_s = root, 100.0
        self.idle, self.stolen, self.own_s, self.waited_us = 0.0, 0.0, 3.0, 7
        (root / "proc/pressure").mkdir(parents=True)
        self.write()

    def pass_s(
        self, seconds: float, *, idle_s: float, stolen_s: float, waited_s: float, own_s: float
    ) -> None:
        self.now_s += seconds
        self.idle += idle_s
        self.stolen += stolen_s
        self.own_s += own_s
        self.waited_us += round(waited_s * 1e6)
        self.write()

    def write(self) -> None:
        idle, stolen = (round(each * TICKS_PER_S / 2) for each in (self.idle, self.stolen))
        lines = [f"cpu{n} 5 5 5 {idle} 3 1 1 {stolen} 0 0" for n in range(2)]
        text = "\n".join(["cpu  1 1 1 1 1 1 1 1 0 0", *lines, "cpu7 9 9 9 9 9 9 9 9 9 9"])
        (self.root / "proc/stat").write_text(text)
        pressure = f"some avg10=1.00 avg60=1.00 avg300=1.00 total={self.waited_us}\nfull total=1\n"
        (self.root / "proc/pressure/cpu").write_text(pressure)

    def watch(self) -> Watch:
        return Watch(lambda: self.own_s, self.root, lambda: self.now_s, {0, 1})


def test_shares_are_of_all_cpus(tmp_path: Path) -> None:
    machine = MadeUp(tmp_path)
    watch = machine.watch()
    machine.pass_s(10.0, idle_s=8.0, stolen_s=2.0, waited_s=2.5, own_s=6.0)
    found = watch.so_far()
    assert found.others_share == pytest.approx(0.2)
    assert found.steal_share == pytest.approx(0.1)
    assert found.pressure_share == pytest.approx(0.25)
    assert found.frequency_hz is None


def test_of_a_span_of_a_few_ticks_no_share_is_known(tmp_path: Path) -> None:
    machine = MadeUp(tmp_path)
    watch = machine.watch()
    machine.pass_s(0.09, idle_s=0.0, stolen_s=0.0, waited_s=0.05, own_s=0.1)
    found = watch.so_far()
    assert (found.others_share, found.steal_share) == (None, None)
    assert found.pressure_share is not None


def test_a_quiet_machine_disturbs_nothing(tmp_path: Path) -> None:
    machine = MadeUp(tmp_path)
    watch = machine.watch()
    machine.pass_s(1.0, idle_s=0.5, stolen_s=0.0, waited_s=0.9, own_s=1.5)
    assert watch.so_far().others_share == 0.0


def test_ticks_that_are_off_give_no_share_below_zero(tmp_path: Path) -> None:
    machine = MadeUp(tmp_path)
    watch = machine.watch()
    machine.pass_s(1.0, idle_s=1.0, stolen_s=0.0, waited_s=0.0, own_s=1.2)
    assert watch.so_far().others_share == 0.0


def test_a_machine_that_counts_nothing(tmp_path: Path) -> None:
    assert Watch(lambda: 0.0, tmp_path, cpus={0}).so_far() == Disturbance()


def test_the_clock_rate_is_the_mean(tmp_path: Path) -> None:
    for cpu, khz in enumerate(("2000000", "3000000")):
        place = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/cpufreq"
        place.mkdir(parents=True)
        (place / "scaling_cur_freq").write_text(f"{khz}\n")
    assert Watch(lambda: 0.0, tmp_path, cpus={0, 1}).so_far().frequency_hz == 2.5e9


def test_another_process_is_seen_on_the_real_machine() -> None:
    watch = Watch(lambda: 0.0, cpus={min(os.sched_getaffinity(0))})
    busy = "import os, time; os.sched_setaffinity(0, {CPU})\nwhile True: pass"
    code = busy.replace("CPU", str(min(os.sched_getaffinity(0))))
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", code]) as process:
        time.sleep(0.5)
        process.kill()
    found = watch.so_far()
    if found.others_share is None:
        pytest.skip("/proc/stat does not say what the CPUs did")
    assert found.others_share > 0.1
