"""The host of a manager and its clients, for the scenarios.

Standard library and walredo only. A host has one manager at a time. The scenario decides what is
done to the manager, and what a sample is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from bench.worker.clients.at_once import Episode
from bench.worker.clients.slice import Work
from bench.worker.protocol import WorkerSpec
from bench.worker.subjects.manager import calls_of, config_of, facts_of
from bench.worker.subjects.runtime import runtime_of
from bench.worker.subjects.subject import Fact, SubjectError, pages_of, requests_of
from walredo import (
    GC_COMPACTION,
    BufferTag,
    FailedAttempt,
    ManagerConfig,
    ManagerKind,
    ManagerStatus,
    RedoRequest,
    create_manager,
)

_DOOMED: Final = RedoRequest(BufferTag(0, 1663, 5, 16384, 0), ())
"""A request for a child that always fails."""

_now_ns = time.perf_counter_ns


class Host:
    """Runs a manager and its clients from `begin` to `end`, then the next manager."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._clients, self._runtime = spec.clients, runtime_of(spec)
        self.config = config_of(spec, self._runtime.kind)
        """The configuration of its managers, unless the scenario passes another one."""
        self._requests, self._pages = requests_of(spec), pages_of(spec)
        self._manager: Any = None  # a manager of walredo, or None

    @property
    def child_pid(self) -> int | None:
        """The pid of the manager's child; None without a manager or without a child."""
        pid: int | None = None if self._manager is None else self._manager.child_pid
        return pid

    def begin(self, config: ManagerConfig) -> None:
        """Makes a new manager, which has no child yet."""
        self._manager = create_manager(config)

    def at_once(self, begin: Callable[[], object]) -> Episode:
        """Lets all clients call once (`bench.worker.clients.at_once`)."""
        work = Work(calls_of(self._manager, self._requests), self._pages)
        return self._runtime.at_once(work, self._clients, begin)

    def fail_until(self, until_ns: int) -> list[int]:
        """One client redoes without retries until that time (perf_counter_ns); each redo fails.

        Returns how long each took, in ns. Raises SubjectError if a redo succeeds.
        """
        redo = self._manager.request_redo
        is_sync = self._runtime.kind is ManagerKind.SYNC
        fail = fail_in_thread if is_sync else fail_in_task
        took_ns: list[int] = self._runtime.call(lambda: fail(redo, until_ns))
        return took_ns

    def status(self) -> ManagerStatus:
        status: ManagerStatus = self._runtime.call(self._manager.status)
        return status

    def end(self) -> None:
        """Shuts the manager down, if there is one. None of its children is left."""
        if self._manager is not None:
            self._runtime.call(self._manager.shutdown)
            self._manager = None

    def facts_with(self, status: ManagerStatus) -> Mapping[str, Fact]:
        """The facts of a run whose manager has that status."""
        kind = {"redo_worker_manager_kind": str(status.kind)}
        return {**kind, **facts_of(status, self.config.transport), **self._runtime.facts()}

    def close(self) -> None:
        self.end()
        self._runtime.close()


def fail_in_thread(redo: Callable[..., bytes], until_ns: int) -> list[int]:
    """The loop of `Host.fail_until` for a sync manager."""
    took_ns: list[int] = []
    while (before_ns := _now_ns()) < until_ns or not took_ns:
        try:
            redo(_DOOMED, GC_COMPACTION)
        except FailedAttempt:
            took_ns.append(_now_ns() - before_ns)
        else:
            raise SubjectError("a child that was to fail has answered")
    return took_ns


async def fail_in_task(redo: Callable[..., Any], until_ns: int) -> list[int]:
    """The loop of `Host.fail_until` for an async manager."""
    took_ns: list[int] = []
    while (before_ns := _now_ns()) < until_ns or not took_ns:
        try:
            await redo(_DOOMED, GC_COMPACTION)
        except FailedAttempt:
            took_ns.append(_now_ns() - before_ns)
        else:
            raise SubjectError("a child that was to fail has answered")
    return took_ns
