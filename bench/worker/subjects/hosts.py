"""Hosts of managers with their clients, for the scenarios: a class for each kind of manager.

Standard library and walredo only. A host has one manager at a time. The scenario decides what is
done to the manager, and what a sample is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from bench.worker.clients.at_once import Episode, tasks_at_once, threads_at_once
from bench.worker.clients.slice import Work
from bench.worker.protocol import WorkerSpec
from bench.worker.subjects.manager import config_of, loop_of
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

_DOOMED = RedoRequest(BufferTag(0, 1663, 5, 16384, 0), ())
"""A request for a child that always fails."""

_now_ns = time.perf_counter_ns


class Host:
    """Runs a manager and its clients from `begin` to `end`, then the next manager."""

    kind: ClassVar[ManagerKind]

    def __init__(self, spec: WorkerSpec) -> None:
        self.config = config_of(spec, self.kind)
        """The configuration of its managers, unless the scenario passes another one."""
        self._clients, self._is_ping = spec.clients, spec.ping
        self._requests, self._pages = requests_of(spec), pages_of(spec)
        self._manager: Any = None  # a manager of ``kind``, or None

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
        raise NotImplementedError

    def fail_until(self, until_ns: int) -> list[int]:
        """One client redoes without retries until that time (perf_counter_ns); each redo fails.

        Returns how long each took, in ns. Raises SubjectError if a redo succeeds.
        """
        raise NotImplementedError

    def status(self) -> ManagerStatus:
        status: ManagerStatus = self._call(self._manager.status)
        return status

    def end(self) -> None:
        """Shuts the manager down, if there is one. None of its children is left."""
        if self._manager is not None:
            self._call(self._manager.shutdown)
            self._manager = None

    def facts(self) -> Mapping[str, Fact]:
        return {}

    def close(self) -> None:
        self.end()

    def _call(self, method: Callable[[], Any]) -> Any:
        """What a method of the manager returns, or what its coroutine does."""
        raise NotImplementedError

    def _work(self) -> Work[Any]:
        """The calls of the clients, which are new for each manager."""
        redo = self._manager.request_redo
        redos = [partial(redo, request) for request in self._requests]
        return Work([self._manager.ping] if self._is_ping else redos, self._pages)


class SyncHost(Host):
    """The sync manager, its clients on threads."""

    kind = ManagerKind.SYNC

    def at_once(self, begin: Callable[[], object]) -> Episode:
        return threads_at_once(self._work(), self._clients, begin)

    def fail_until(self, until_ns: int) -> list[int]:
        took_ns: list[int] = []
        while (before_ns := _now_ns()) < until_ns or not took_ns:
            try:
                self._manager.request_redo(_DOOMED, GC_COMPACTION)
            except FailedAttempt:
                took_ns.append(_now_ns() - before_ns)
            else:
                raise _answered()
        return took_ns

    def _call(self, method: Callable[[], Any]) -> Any:
        return method()


class AsyncHost(Host):
    """The async manager on one event loop, its clients tasks."""

    kind = ManagerKind.ASYNC

    def __init__(self, spec: WorkerSpec) -> None:
        super().__init__(spec)
        new_loop, self._loop_version = loop_of(spec)
        self._runner = asyncio.Runner(loop_factory=new_loop)

    def at_once(self, begin: Callable[[], object]) -> Episode:
        return self._runner.run(tasks_at_once(self._work(), self._clients, begin))

    def fail_until(self, until_ns: int) -> list[int]:
        return self._runner.run(self._fail_until(until_ns))

    async def _fail_until(self, until_ns: int) -> list[int]:
        took_ns: list[int] = []
        while (before_ns := _now_ns()) < until_ns or not took_ns:
            try:
                await self._manager.request_redo(_DOOMED, GC_COMPACTION)
            except FailedAttempt:
                took_ns.append(_now_ns() - before_ns)
            else:
                raise _answered()
        return took_ns

    def facts(self) -> Mapping[str, Fact]:
        return {"redo_loop": self._loop_version}

    def close(self) -> None:
        super().close()
        self._runner.close()

    def _call(self, method: Callable[[], Any]) -> Any:
        return self._runner.run(method())


def host_of(spec: WorkerSpec) -> Host:
    """The host for the case's kind of manager."""
    return SyncHost(spec) if spec.manager == "sync" else AsyncHost(spec)


def _answered() -> SubjectError:
    return SubjectError("a child that was to fail has answered")
