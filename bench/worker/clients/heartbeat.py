"""A heartbeat beside the clients: the lateness of other work that is due every millisecond.

Standard library only. A beat is an event of the kernel at a known time (timerfd, on the clock of
time.perf_counter_ns), like an answer on a socket. So its lateness contains neither the rounding of
asyncio's own timers, up to 1 ms, nor the kernel's timer slack, 50 us. It does contain the cost of
waiting for an event at all, which the beats before the clients start show.

The loops that are measured know nothing of the heartbeat. They read their meters just before the
slice opens and just after the last client has ended, so the heartbeat is one more meter, which
starts at the first reading and stops at the second.
"""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from array import array
from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bench.cases.notations import HEARTBEAT_THREAD
from bench.worker.clients.slice import Answer, Slice, SliceOutcome
from bench.worker.meters import Used
from bench.worker.protocol import IDLE_LATE, LATE, PERIOD_NS

if TYPE_CHECKING:
    from bench.worker.clients.slice import TaskRunner, ThreadRunner

IDLE_S: Final = 0.05
"""How long the heartbeat runs before the clients begin."""

_now_ns = time.perf_counter_ns


class Beats:
    """The lateness of beats that are due every period after the beginning.

    All beats that fell due while the loop was blocked count, each with its own lateness: a loop
    blocked for 50 ms has 50 late beats, from 50 ms down. A single late beat in their place would
    hide the other 49 (coordinated omission).
    """

    def __init__(self) -> None:
        self.late_ns = array("q")
        self._due_ns: int | None = None

    def begin(self, now_ns: int) -> int:
        """Starts the beats. Returns when the first is due."""
        self._due_ns = now_ns + PERIOD_NS
        return self._due_ns

    def came(self, now_ns: int, end_ns: int | None = None) -> None:
        """Records that all beats that are due by now came now. None is due after ``end_ns``."""
        if self._due_ns is None:
            return
        last_ns = now_ns if end_ns is None else min(now_ns, end_ns)
        while self._due_ns <= last_ns:
            self.late_ns.append(now_ns - self._due_ns)
            self._due_ns += PERIOD_NS


class Heartbeat(ABC):
    """Beats from `start` to `stop`. A context manager, which stops it on every path."""

    def __init__(self) -> None:
        from bench.worker.clients.timers import BeatTimer

        self.beats = Beats()
        self._timer = BeatTimer()

    def start(self) -> None:
        self._timer.arm(self.beats.begin(_now_ns()), PERIOD_NS)

    @abstractmethod
    def stop(self) -> None:
        """Ends the beats. Those that are due already still count. May be called again."""

    def __enter__(self) -> Heartbeat:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self._timer.close()


class LoopHeartbeat(Heartbeat):
    """A heartbeat on the running event loop, as one more descriptor that the loop watches."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._timer.fd, self._beat)

    def _beat(self) -> None:
        self._timer.wait()
        self.beats.came(_now_ns())

    def stop(self) -> None:
        if self._loop.remove_reader(self._timer.fd):
            self.beats.came(_now_ns())


class ThreadHeartbeat(Heartbeat):
    """A heartbeat on a thread of its own, which needs the interpreter lock for every beat."""

    def __init__(self) -> None:
        super().__init__()
        self._end_ns: int | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while self._end_ns is None:
                self._timer.wait()
                self.beats.came(_now_ns(), self._end_ns)
        except BaseException as error:  # noqa: BLE001 - raised again by `stop`
            self._error = error

    def stop(self) -> None:
        """Raises what the thread has raised."""
        if self._end_ns is None:
            self._end_ns = _now_ns()
            self._timer.arm(self._end_ns, PERIOD_NS)
            self._thread.join()
            # The thread may have ended before it saw a beat that was due just before the end.
            self.beats.came(_now_ns(), self._end_ns)
        if self._error is not None:
            raise self._error


class _SliceOf:
    """A meter that starts a heartbeat at its first reading and stops it at the second."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat
        self._started = False

    def used(self) -> Used:
        if self._started:
            self._heartbeat.stop()
        else:
            self._started = True
            self._heartbeat.start()
        return Used(0, 0, 0)

    def user_share(self) -> float | None:
        return None


def _with_meter(this: Slice[Answer], heartbeat: Heartbeat) -> Slice[Answer]:
    return replace(this, meters=(*this.meters, _SliceOf(heartbeat)))


def with_heartbeat_thread(run: ThreadRunner) -> ThreadRunner:
    """Adds a heartbeat on a thread to a loop, and the series `LATE` and `IDLE_LATE`."""

    def run_slice(this: Slice[bytes]) -> SliceOutcome:
        with ThreadHeartbeat() as idle:
            idle.start()
            time.sleep(IDLE_S)
        with ThreadHeartbeat() as heartbeat:
            outcome = run(_with_meter(this, heartbeat))
        return _with_beats(outcome, idle, heartbeat)

    return run_slice


def with_heartbeat(run: TaskRunner, kind: str) -> TaskRunner:
    """Adds a heartbeat to a loop of tasks: on their event loop or on a thread, by its kind."""
    new_heartbeat = ThreadHeartbeat if kind == HEARTBEAT_THREAD else LoopHeartbeat

    async def run_slice(this: Slice[Awaitable[bytes]]) -> SliceOutcome:
        with new_heartbeat() as idle:
            idle.start()
            await asyncio.sleep(IDLE_S)
        with new_heartbeat() as heartbeat:
            outcome = await run(_with_meter(this, heartbeat))
        return _with_beats(outcome, idle, heartbeat)

    return run_slice


def _with_beats(outcome: SliceOutcome, idle: Heartbeat, heartbeat: Heartbeat) -> SliceOutcome:
    """The outcome with the series of both heartbeats, and without the reading of the meter."""
    late = {LATE: heartbeat.beats.late_ns, IDLE_LATE: idle.beats.late_ns}
    return replace(outcome, used=outcome.used[:-1], series={**outcome.series, **late})
