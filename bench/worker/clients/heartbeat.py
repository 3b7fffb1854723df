"""A heartbeat beside the clients: how late something else is that wants to run every millisecond.

Standard library only. A beat is an event of the kernel at a known time (timerfd, on the clock of
time.perf_counter_ns), as the answer on a socket would be. So neither the rounding of asyncio's own
timers, up to 1 ms, nor the kernel's timer slack, 50 us, is in its lateness; what it costs to wait
for an event at all is, and is told by the beats before the clients.

The loops that are measured know nothing of it: they read their meters just before the barrier opens
and just after the last client's end, and the heartbeat begins and ends as one more meter.
"""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from array import array
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bench.cases.notations import HEARTBEAT_THREAD
from bench.worker.clients.slice import SliceOutcome, Work
from bench.worker.meters import Meter, Used
from bench.worker.protocol import IDLE_LATE, LATE, PERIOD_NS

if TYPE_CHECKING:
    from bench.worker.clients.slice import TaskRunner, ThreadRunner


IDLE_S: Final = 0.05
"""How long it beats before the clients begin."""


_now_ns = time.perf_counter_ns


class Beats:
    """The beats of one grid: due every period after the beginning, and how late each of them came.

    Whatever lies between a beat that is due and the moment that sees it counts for every beat that
    fell due meanwhile, with its own lateness: a loop blocked for 50 ms has 50 late beats, from
    50 ms down. One late beat in their place would hide the other 49 (coordinated omission).
    """

    def __init__(self) -> None:
        self.late_ns = array("q")
        self._due_ns: int | None = None

    def begin(self, now_ns: int) -> int:
        """The grid is anchored now; when its first beat is due."""
        self._due_ns = now_ns + PERIOD_NS
        return self._due_ns

    def came(self, now_ns: int, end_ns: int | None = None) -> None:
        """All beats that are due by now have come now; none is due after ``end_ns``."""
        if self._due_ns is None:
            return
        last_ns = now_ns if end_ns is None else min(now_ns, end_ns)
        while self._due_ns <= last_ns:
            self.late_ns.append(now_ns - self._due_ns)
            self._due_ns += PERIOD_NS


class Heartbeat(ABC):
    """Beats from ``start`` to ``stop``; a context manager, which ends it on every path."""

    def __init__(self) -> None:
        from bench.worker.clients.timers import BeatTimer

        self.beats = Beats()
        self._timer = BeatTimer()

    def start(self) -> None:
        self._timer.arm(self.beats.begin(_now_ns()), PERIOD_NS)

    @abstractmethod
    def stop(self) -> None:
        """No beat is due after this; those that were are counted, however late. May be repeated."""

    def __enter__(self) -> Heartbeat:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self._timer.close()


class LoopHeartbeat(Heartbeat):
    """On the running event loop, as one more of its descriptors."""

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
    """On a thread of its own, which needs the interpreter lock for every beat."""

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
        except BaseException as error:  # noqa: BLE001 - raised again by whoever stops it
            self._error = error

    def stop(self) -> None:
        """Raises what the thread has raised."""
        if self._end_ns is None:
            self._end_ns = _now_ns()
            self._timer.arm(self._end_ns, PERIOD_NS)
            self._thread.join()
            # One that fell due just before the end may have come to a thread that did not see it.
            self.beats.came(_now_ns(), self._end_ns)
        if self._error is not None:
            raise self._error


class _SliceOf:
    """A meter that starts its heartbeat when it is first read, and stops it when it is next."""

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


def with_heartbeat_thread(run: ThreadRunner) -> ThreadRunner:
    """The same slice with a heartbeat beside it, on a thread; series `LATE` and `IDLE_LATE`."""

    def run_slice(
        work: Work[bytes], clients: int, seconds: float, meters: Sequence[Meter]
    ) -> SliceOutcome:
        with ThreadHeartbeat() as idle:
            idle.start()
            time.sleep(IDLE_S)
        with ThreadHeartbeat() as heartbeat:
            outcome = run(work, clients, seconds, (*meters, _SliceOf(heartbeat)))
        return _with_beats(outcome, idle, heartbeat)

    return run_slice


def with_heartbeat(run: TaskRunner, kind: str) -> TaskRunner:
    """The same with a heartbeat of that kind beside tasks: on their loop, or on a thread."""
    new_heartbeat = ThreadHeartbeat if kind == HEARTBEAT_THREAD else LoopHeartbeat

    async def run_slice(
        work: Work[Awaitable[bytes]], clients: int, seconds: float, meters: Sequence[Meter]
    ) -> SliceOutcome:
        with new_heartbeat() as idle:
            idle.start()
            await asyncio.sleep(IDLE_S)
        with new_heartbeat() as heartbeat:
            outcome = await run(work, clients, seconds, (*meters, _SliceOf(heartbeat)))
        return _with_beats(outcome, idle, heartbeat)

    return run_slice


def _with_beats(outcome: SliceOutcome, idle: Heartbeat, heartbeat: Heartbeat) -> SliceOutcome:
    """The outcome with the series of both, and without what the heartbeat used as a meter."""
    late = {LATE: heartbeat.beats.late_ns, IDLE_LATE: idle.beats.late_ns}
    return replace(outcome, used=outcome.used[:-1], series={**outcome.series, **late})
