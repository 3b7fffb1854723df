"""A whole manager with real children, driven at random next to a model of what may happen.

The model knows less than the manager: whether the child may be bad (killed, or with a fault), and
how often a redo has met such a child. From that follows which errors its caller may get; a page
must be its own in any case, and the counters must agree with what the callers got.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.children import command_of
from tests.support.interference import stop
from tests.support.managers import (
    AsyncDriver,
    SyncDriver,
    eventually,
    make_request,
    open_descriptors,
    own_children,
    page_of,
)
from walredo import (
    Cause,
    ChildError,
    FailedAttempt,
    LaunchError,
    RedoAttempt,
    RedoRequest,
    RedoTimeoutError,
    ShutDownError,
)
from walredo.wire import ZERO_PAGE

LIMIT_S = 60.0
SMALL_PIPE = 4096
# Each has a record, and so an LSN of its own: by that a page that was sent twice is found out.
SIZES = ((90, 40), (1,), (3000,), (30_000, 12_000))
SHORT_NS = (1, 300_000, 2_000_000)
MOST_WAITING = 6
ATTEMPTS = st.sampled_from(RedoAttempt)
SETTINGS = settings(
    max_examples=50,
    stateful_step_count=20,
    suppress_health_check=[HealthCheck.too_slow],
)

BEHAVES = "behaves"
MISSING = "missing"
FAULTS = (
    "exit-before-reply:p=0.3",
    "exit-in-reply:p=0.3",
    "exit-after-reply:p=0.3",
    "killed:p=0.5",
    "extra-page:p=0.3",
    "close-stdout:p=0.3",
    "stderr-lines:p=0.2",
    "start-slowly:ms=5",
    "fail-to-start",
)


@dataclass
class Redo:
    """One that a caller waits for. ``bad``: children it may have met that failed it."""

    request: RedoRequest
    attempt: RedoAttempt
    future: Future[bytes]
    bad: int
    short: bool
    faults: bool
    cancelled: bool = False


@pytest.fixture(scope="module", autouse=True)
def programs() -> Iterator[None]:
    """Where the commands are that a manager of this module can be switched to."""
    gc.collect()  # what other tests' garbage holds is closed now, not while it is counted
    with tempfile.TemporaryDirectory() as folder:
        ManagerMachine.folder = Path(folder)
        for number, fault in enumerate((BEHAVES, *FAULTS)):
            options = () if fault == BEHAVES else ("--fault", seeded(fault, number))
            words = " ".join((*command_of("c", "--no-sandbox"), *options))
            program = Path(folder) / fault
            program.write_text(f"#!/bin/sh\nexec {words}\n")
            program.chmod(0o700)
        yield


def seeded(fault: str, number: int) -> str:
    return f"{fault},seed={number}" if ":p=" in fault else fault


def is_program(pid: int) -> bool:
    """Whether the shell has become the child, or has ended."""
    try:
        return not Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"/bin/sh\0")
    except (FileNotFoundError, ProcessLookupError):
        return True


@cache
def request(number: int) -> RedoRequest:
    return make_request(number, SIZES[number % len(SIZES)])


class ManagerMachine(RuleBasedStateMachine):
    """What both kinds of manager have in common, which is nearly everything.

    What is drawn must not depend on what real processes do, so rules have no preconditions that
    look at them: where there is nothing to do, they do nothing.
    """

    folder: Path

    def open(self, **options: Any) -> SyncDriver | AsyncDriver:
        raise NotImplementedError

    def submit(self, redo: RedoRequest, attempt: RedoAttempt) -> Future[bytes]:
        raise NotImplementedError

    @initialize(pipe_bytes=st.sampled_from([SMALL_PIPE, 1 << 20]))
    def begin(self, pipe_bytes: int) -> None:
        self.threads, self.descriptors = threading.active_count(), len(open_descriptors())
        self.program = self.folder / f"current-{threading.get_ident()}"
        self.switch_to(BEHAVES)
        self.driver = self.open(
            child_command=(str(self.program),),
            timeout_s=LIMIT_S,
            pipe_bytes=pipe_bytes,
            backoff_first_s=0.001,
            backoff_most_s=0.004,
        )
        self.life = self.driver.manager._life
        self.waiting: list[Redo] = []
        self.made = self.pages = self.records = self.pings = self.cancelled = 0
        self.seen: Counter[Cause] = Counter()
        self.pid: int | None = None
        self.bad_child = False  # killed, or with a fault
        self.stopped = False
        self.over = False

    # -- what may happen

    def switch_to(self, name: str) -> None:
        """From the next launch on. In one step: a launch may be under way."""
        self.command = name
        fresh = self.program.with_suffix(".new")
        fresh.symlink_to(self.folder / name)
        fresh.replace(self.program)

    def start(self, attempt: RedoAttempt, *, short: bool = False) -> Redo:
        asked = request(self.made)
        self.made += 1
        faults = self.command != BEHAVES
        future = self.submit(asked, attempt)
        redo = Redo(asked, attempt, future, int(self.bad_child), short, faults)
        self.waiting.append(redo)
        return redo

    def another_bad_child(self) -> None:
        """The one that is there is ended, whoever waits for it."""
        self.bad_child = True
        for redo in self.waiting:
            redo.bad += 1

    def settle(self) -> None:
        """Everybody who waits gets what the model allows; the child is looked at afterwards."""
        for redo in self.waiting:
            self.check_outcome(redo)
        self.waiting.clear()
        self.look()

    def check_outcome(self, redo: Redo) -> None:
        if redo.cancelled:
            self.cancelled += 1
            return
        try:
            page = redo.future.result(LIMIT_S)
        except FailedAttempt as error:
            self.seen[error.cause] += 1
            assert isinstance(error, self.allowed(redo)), repr(error)
        else:
            assert page == page_of(redo.request)
            assert not self.over
            self.pages += 1
            self.records += len(redo.request.records)

    def allowed(self, redo: Redo) -> tuple[type[FailedAttempt], ...]:
        """The errors that the caller may get."""
        if self.over:
            return (ShutDownError,)
        errors: tuple[type[FailedAttempt], ...] = ()
        if redo.short:
            errors += (RedoTimeoutError, LaunchError)  # held back past the deadline
        if redo.faults:
            errors += (ChildError, LaunchError)
        elif redo.bad > redo.attempt.retries:
            errors += (ChildError,)
        return errors

    def look(self) -> None:
        """Which child is there now, if it is another one: it was launched by this command.

        A launch may go on that nobody waits for any more, and a shell reads its script after it.
        """
        assert eventually(lambda: not self.life.launching)
        pid = self.driver.status().pid
        if pid is None or pid != self.pid:
            self.pid = pid
            self.stopped = False
            self.bad_child = pid is not None and self.command != BEHAVES
            assert pid is None or eventually(lambda: is_program(pid))

    # -- rules

    @rule(attempt=ATTEMPTS)
    def redo(self, attempt: RedoAttempt) -> None:
        """With a stopped child it waits until something happens."""
        if len(self.waiting) < MOST_WAITING:
            self.start(attempt)
        if not self.stopped:
            self.settle()
            return
        waiting = sum(not redo.cancelled for redo in self.waiting)
        assert eventually(lambda: self.driver.status().in_flight >= waiting)

    @rule(attempts=st.lists(ATTEMPTS, min_size=2, max_size=6))
    def redos_in_parallel(self, attempts: list[RedoAttempt]) -> None:
        if self.stopped:
            return
        for attempt in attempts:
            self.start(attempt)
        self.settle()

    @rule()
    def ping(self) -> None:
        if self.stopped:
            return
        redo = Redo(request(0), RedoAttempt.READ_PAGE, Future(), int(self.bad_child), False, False)
        redo.faults = self.command != BEHAVES
        try:
            assert self.driver.ping() == ZERO_PAGE
            self.pings += 1
        except FailedAttempt as error:
            self.seen[error.cause] += 1
            assert isinstance(error, self.allowed(redo)), repr(error)
        self.look()

    @precondition(lambda self: not self.over)
    @rule(attempt=ATTEMPTS, timeout_ns=st.sampled_from(SHORT_NS))
    def late_redo(self, attempt: RedoAttempt, timeout_ns: int) -> None:
        """Its deadline may pass at any point; then the child is ended for it."""
        stopped, pid, was_bad = self.stopped, self.pid, self.bad_child
        self.life.timeout_ns = timeout_ns
        redo = self.start(attempt, short=True)
        with contextlib.suppress(FailedAttempt):
            redo.future.result(LIMIT_S)
        self.life.timeout_ns = round(LIMIT_S * 1e9)
        late = isinstance(redo.future.exception(), RedoTimeoutError)
        if stopped and not self.bad_child:
            assert late
        if late:
            self.another_bad_child()
        if not stopped:
            self.settle()
        elif late:
            self.waiting.remove(redo)
            self.check_outcome(redo)
            self.end_of_stop()
        if self.pid == pid:
            self.bad_child = was_bad  # it did not come to the child

    @rule(attempts=st.lists(ATTEMPTS, min_size=1, max_size=3))
    def stop(self, attempts: list[RedoAttempt]) -> None:
        """So that redos pile up."""
        if not self.stopped:
            self.redo(RedoAttempt.READ_PAGE)  # or there would mostly be no child to stop
        if self.pid is not None and not (self.stopped or self.bad_child):
            stop(self.pid)
            self.stopped = True
            for attempt in attempts:
                self.redo(attempt)

    @rule()
    def go_on(self) -> None:
        if self.stopped and self.pid is not None:
            os.kill(self.pid, signal.SIGCONT)
            self.end_of_stop()

    @rule()
    def kill(self) -> None:
        """While it is idle, or with redos in flight."""
        self.look()
        if self.pid is None:
            return
        with contextlib.suppress(ProcessLookupError):  # a bad one, which is gone already
            os.kill(self.pid, signal.SIGKILL)
        self.another_bad_child()
        if self.stopped:
            self.end_of_stop()

    def end_of_stop(self) -> None:
        self.stopped = False
        self.settle()

    @rule(name=st.sampled_from([BEHAVES, BEHAVES, MISSING, *FAULTS]))
    def switch(self, name: str) -> None:
        if not self.waiting:
            self.switch_to(name)

    @precondition(lambda self: not self.over)
    @rule()
    def quiesce(self) -> None:
        self.look()  # a launch may have ended since that nobody waited for
        ended = self.driver.quiesce(0)
        if any(not redo.cancelled for redo in self.waiting) or self.driver.status().in_flight:
            assert not ended
        elif not self.bad_child and not self.waiting:
            assert ended is (self.pid is not None) or (ended and self.cancelled)
        self.look()

    @precondition(lambda self: not self.over)
    @rule(wanted=st.sampled_from([False, False, False, True]))
    def shutdown(self, wanted: bool) -> None:
        """Not often, or examples would be mostly ends."""
        if not wanted:
            return
        self.over = True
        assert self.driver.shutdown() is True
        self.stopped = False
        self.settle()
        assert own_children() == set()
        assert self.driver.shutdown() is False

    # -- what always holds

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "driver"):
            return
        status = self.driver.status()
        assert status.launches - sum(status.kills.values()) == (status.pid is not None)
        assert self.pages <= status.redos <= self.pages + self.cancelled + len(self.waiting)
        assert status.pings == self.pings
        if not (self.cancelled or self.waiting):
            assert status.records == self.records
        assert status.pages_dropped <= self.cancelled + len(self.waiting)
        assert all(status.errors.get(cause, 0) >= seen for cause, seen in self.seen.items())
        assert status.shut_down is self.over
        assert len(own_children()) <= 1
        if self.over:
            assert status.pid is None
        if not (self.waiting or self.stopped):
            assert eventually(lambda: self.driver.status().in_flight == 0)

    def teardown(self) -> None:
        if not hasattr(self, "driver"):
            return
        self.over = True
        self.driver.shutdown()
        self.settle()
        self.close()
        assert own_children() == set()
        assert eventually(lambda: threading.active_count() <= self.threads)
        assert len(open_descriptors()) == self.descriptors

    def close(self) -> None:
        raise NotImplementedError


class SyncMachine(ManagerMachine):
    def open(self, **options: Any) -> SyncDriver:
        self.pool = ThreadPoolExecutor(2 * MOST_WAITING)
        return SyncDriver(**options)

    def submit(self, redo: RedoRequest, attempt: RedoAttempt) -> Future[bytes]:
        return self.pool.submit(self.driver.redo, redo, attempt)

    def close(self) -> None:
        self.driver.close()
        self.pool.shutdown()


class AsyncMachine(ManagerMachine):
    def open(self, **options: Any) -> AsyncDriver:
        made = AsyncDriver(**options)
        self.reported: list[dict[str, Any]] = []
        made.loop.set_exception_handler(lambda _, context: self.reported.append(context))
        return made

    def submit(self, redo: RedoRequest, attempt: RedoAttempt) -> Future[bytes]:
        assert isinstance(self.driver, AsyncDriver)
        coroutine = self.driver.manager.request_redo(redo, attempt)
        return asyncio.run_coroutine_threadsafe(coroutine, self.driver.loop)

    @rule(which=st.integers(0, MOST_WAITING - 1))
    def cancel_in_flight(self, which: int) -> None:
        if which < len(self.waiting):
            self.cancel(self.waiting[which])

    @rule(attempts=st.lists(ATTEMPTS, min_size=1, max_size=4), which=st.integers(0, 3))
    def cancel_at_once(self, attempts: list[RedoAttempt], which: int) -> None:
        """Wherever it is."""
        if self.stopped:
            return
        begun = [self.start(attempt) for attempt in attempts]
        self.cancel(begun[which % len(begun)])
        self.settle()

    def cancel(self, redo: Redo) -> None:
        redo.cancelled |= redo.future.cancel()

    def close(self) -> None:
        self.driver.close()
        assert self.reported == []


SyncMachine.TestCase.settings = AsyncMachine.TestCase.settings = SETTINGS
TestSyncMachine = SyncMachine.TestCase
TestAsyncMachine = AsyncMachine.TestCase
