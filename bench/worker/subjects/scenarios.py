"""Launching and ending children as subjects: cold starts, relaunches, reaping, storms of launches.

Standard library and walredo only. A slice is as many episodes as begin within its time, at least
one. The time between two episodes (a shutdown, the start of threads) is in no sample; the CPU time
of a slice includes it.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from bench.cases.notations import (
    COLD_START,
    REAP,
    RELAUNCH,
    STORM,
    STORM_BACK_OFF,
    STORM_BACKGROUND,
    STORM_WAIT,
)
from bench.worker.clients.at_once import Episode, outcome_of
from bench.worker.clients.slice import SliceOutcome
from bench.worker.meters import (
    DescendantsMeter,
    Meter,
    OwnMeter,
    children_of,
    memory_bytes,
    used_before,
    used_since,
)
from bench.worker.protocol import WorkerSpec
from bench.worker.subjects.bare_children import (
    Unreaped,
    ask,
    await_failure,
    reaping_at_once,
    reaping_in_background,
)
from bench.worker.subjects.hosts import Host
from bench.worker.subjects.manager import counters_of
from bench.worker.subjects.subject import Fact, Subject, SubjectError
from walredo import BufferTag, ManagerStatus, RedoRequest, WalRecord

FAILS: Final = ("--fault", "fail-to-start")
"""Options with which a child ends before it reads anything (fake_redo_child/PROTOCOL.md)."""

NO_BACK_OFF: Final = 1 << 62
"""More failures in a row than there can be, so that a manager never delays a launch."""

_FILLS_BUFFER = RedoRequest(BufferTag(0, 1663, 5, 16384, 0), (WalRecord(1, bytes(1 << 20)),))
"""Makes a child touch all of the memory of its input buffer."""

_now_ns = time.perf_counter_ns


class _Scenario:
    """The base of all scenarios: the loop over episodes, and the sums of the counters."""

    def __init__(self) -> None:
        self.meters: tuple[Meter, Meter] = (
            OwnMeter(),
            DescendantsMeter(but_for=children_of(os.getpid())),
        )
        self._counters: Counter[str] = Counter()
        self._facts: Mapping[str, Fact] = {}

    @property
    def child_pids(self) -> tuple[int, ...]:
        """Empty if no child is left between two episodes."""
        return ()

    def run_slice(self, seconds: float) -> SliceOutcome:
        counts: dict[str, int] = {}
        before = used_before(self.meters)
        episodes = self._episodes(_now_ns() + round(seconds * 1e9), counts)
        used = used_since(self.meters, before)
        return outcome_of(episodes, used, counts)

    def counters(self) -> Mapping[str, int]:
        return dict(self._counters)

    def facts(self) -> Mapping[str, Fact]:
        return self._facts

    def close(self) -> None:
        """Does nothing, since no child outlives its slice."""

    def _episodes(self, until_ns: int, counts: dict[str, int]) -> list[Episode]:
        """The samples of a slice until that time. Adds further measurements to ``counts``."""
        raise NotImplementedError

    def _repeated(self, until_ns: int, episode: Callable[[], Episode]) -> list[Episode]:
        episodes = [episode()]
        while _now_ns() < until_ns:
            episodes.append(episode())
        return episodes

    def _add(self, counters: Mapping[str, int]) -> None:
        """Adds counters to the sums. Of the peaks the highest is kept."""
        peak = max(self._counters["in_flight_peak"], counters["in_flight_peak"])
        self._counters.update(counters)
        self._counters["in_flight_peak"] = peak

    def _add_launches(self, unreaped: Unreaped) -> None:
        self._counters.update(launches=unreaped.launches, launch_ns_total=unreaped.launch_ns)


class _OfManagers(_Scenario):
    """A scenario with managers, one at a time."""

    def __init__(self, spec: WorkerSpec) -> None:
        super().__init__()
        self._host = Host(spec)

    @property
    def child_pids(self) -> tuple[int, ...]:
        pid = self._host.child_pid
        return () if pid is None else (pid,)

    def close(self) -> None:
        self._host.close()

    def _note(self, status: ManagerStatus) -> None:
        """Adds the counters and facts of a manager that is about to be replaced."""
        self._add(counters_of(status))
        self._facts = self._host.facts_with(status)


class ColdStarts(_OfManagers):
    """Each episode makes a manager, whose N clients share one child, and shuts it down."""

    def _episodes(self, until_ns: int, counts: dict[str, int]) -> list[Episode]:
        return self._repeated(until_ns, lambda: self._episode(counts))

    def _episode(self, counts: dict[str, int]) -> Episode:
        self._host.begin(self._host.config)
        try:
            samples = self._host.at_once(lambda: None)
            status = self._host.status()
            if status.launches != 1:
                raise SubjectError(f"a cold start launched {status.launches} children, not one")
            if not counts and status.pid is not None:
                counts.update(_child_memory(status.pid))
        finally:
            self._host.end()
        self._note(status)
        return samples


class Relaunches(_OfManagers):
    """One manager, whose idle child is killed again and again, just before N clients call."""

    def __init__(self, spec: WorkerSpec) -> None:
        super().__init__(spec)
        try:
            self._host.begin(self._host.config)
            self._host.at_once(lambda: None)
        except BaseException:
            self._host.close()
            raise

    def _episodes(self, until_ns: int, counts: dict[str, int]) -> list[Episode]:
        counts.update(_child_memory(self._pid(self._host.status())))
        return self._repeated(until_ns, self._episode)

    def _episode(self) -> Episode:
        before = self._host.status()
        pid = self._pid(before)
        samples = self._host.at_once(lambda: os.kill(pid, signal.SIGKILL))
        launches = self._host.status().launches - before.launches
        if launches != 1:
            raise SubjectError(f"the kill of a child led to {launches} launches, not one")
        return samples

    def _pid(self, status: ManagerStatus) -> int:
        if status.pid is None:
            raise SubjectError(f"the child that was to be killed has ended by itself: {status}")
        return status.pid

    def counters(self) -> Mapping[str, int]:
        return counters_of(self._host.status())

    def facts(self) -> Mapping[str, Fact]:
        return self._host.facts_with(self._host.status())


class ManagerStorms(_OfManagers):
    """A new manager for each slice, with a client whose redos all fail because each child fails."""

    def __init__(self, spec: WorkerSpec) -> None:
        super().__init__(spec)
        command = (*spec.child_command, *FAILS)
        self._config = replace(self._host.config, child_command=command)
        if spec.scenario == STORM:
            self._config = replace(self._config, backoff_after=NO_BACK_OFF)

    def _episodes(self, until_ns: int, counts: dict[str, int]) -> list[Episode]:
        self._host.begin(self._config)
        try:
            took_ns = self._host.fail_until(until_ns)
            status = self._host.status()
        finally:
            self._host.end()
        if status.launches < len(took_ns):
            raise SubjectError(
                f"{len(took_ns)} redos failed after {status.launches} launches: the others failed"
                f" for another reason than their child ({dict(status.errors)})"
            )
        counts["launches"] = status.launches
        self._note(status)
        return [(ns,) for ns in took_ns]


class BareStorms(_Scenario):
    """The steps of a manager without the manager: launch, failure, reaping, next launch.

    Or the reaping is left to another thread.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        super().__init__()
        self._command = (*spec.child_command, *FAILS)
        self._timeout_s = spec.timeout_s
        self._reaping = reaping_at_once if spec.scenario == STORM_WAIT else reaping_in_background

    def _episodes(self, until_ns: int, counts: dict[str, int]) -> list[Episode]:
        unreaped = Unreaped(self._command)
        with self._reaping(unreaped) as discard:

            def launch_and_fail() -> Episode:
                before_ns = _now_ns()
                child = unreaped.launch()
                try:
                    await_failure(child, self._timeout_s)
                finally:
                    discard(child)
                return (_now_ns() - before_ns,)

            episodes = self._repeated(until_ns, launch_and_fail)
        counts["launches"] = unreaped.launches
        counts["unreaped_peak"] = unreaped.peak
        self._add_launches(unreaped)
        return episodes


class Reaps(_Scenario):
    """Kills and reaps children that have answered. A sample is the time of both."""

    def __init__(self, spec: WorkerSpec) -> None:
        super().__init__()
        self._command = spec.child_command
        self._timeout_s = spec.timeout_s

    def _episodes(self, until_ns: int, counts: dict[str, int]) -> list[Episode]:
        unreaped = Unreaped(self._command, most=1)

        def kill_one() -> Episode:
            child = unreaped.launch()
            try:
                page = ask(child, _FILLS_BUFFER.serialise(), self._timeout_s)
                if not page.startswith(_FILLS_BUFFER.page_head):
                    raise SubjectError("wrong page from a child that was to be reaped")
                if not counts:
                    counts.update(_child_memory(child.pid))
                before_ns = _now_ns()
                child.kill_and_reap()
                after_ns = _now_ns()
            finally:
                unreaped.discard(child)
            return (after_ns - before_ns,)

        episodes = self._repeated(until_ns, kill_one)
        self._add_launches(unreaped)
        return episodes


def _child_memory(pid: int) -> dict[str, int]:
    return {f"child_{name}": value for name, value in memory_bytes(pid).items()}


_SCENARIOS: Final[Mapping[str, Callable[[WorkerSpec], Subject]]] = {
    COLD_START: ColdStarts,
    RELAUNCH: Relaunches,
    REAP: Reaps,
    STORM: ManagerStorms,
    STORM_BACK_OFF: ManagerStorms,
    STORM_WAIT: BareStorms,
    STORM_BACKGROUND: BareStorms,
}


def open_scenario(spec: WorkerSpec) -> Subject:
    """The subject of a scenario. It has a child only if the scenario begins with one."""
    return _SCENARIOS[spec.scenario](spec)
