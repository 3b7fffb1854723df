"""Many managers as one subject: each client has a manager and a child of its own, in one process.

Client c only calls manager c. Sync: N managers and a thread per client. Async: N managers on one
event loop. Once the subject is open, all children have been launched and have answered. All of them
are ended on every path, also if one of them cannot be launched.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from bench.worker.clients.choice import task_runner, thread_runner
from bench.worker.clients.slice import SliceOutcome, Work
from bench.worker.meters import ChildrenMeter, Meter, OwnMeter
from bench.worker.protocol import WorkerSpec
from bench.worker.subjects.manager import (
    KNOWN_TO_STREAMS,
    child_pid_of,
    config_of,
    counters_of,
    facts_of,
    loop_of,
    manager_of,
)
from bench.worker.subjects.streams_manager import StreamsManager
from bench.worker.subjects.subject import Fact, pages_of, requests_of
from bench.worker.tenant_limits import LAUNCHES_AT_ONCE, make_room
from walredo import AsyncRedoManager, ManagerKind, ManagerStatus, RedoRequest, SyncRedoManager

Answer = TypeVar("Answer")

_PEAK: Final = "in_flight_peak"
_PIPES: Final = ("redo_worker_pipe_bytes_to_child", "redo_worker_pipe_bytes_from_child")


class SyncTenantsSubject:
    """A sync manager per client, each client on a thread."""

    def __init__(self, spec: WorkerSpec) -> None:
        make_room(spec.manager, spec.clients)
        self._clients = spec.clients
        self._run = thread_runner(spec)
        self._managers = [
            manager_of(spec, SyncRedoManager, ManagerKind.SYNC) for _ in range(spec.clients)
        ]
        self._work = _work(spec, [(each.ping, each.request_redo) for each in self._managers])
        try:
            with ThreadPoolExecutor(LAUNCHES_AT_ONCE) as launchers:
                list(launchers.map(SyncRedoManager.ping, self._managers))
            self.child_pids = _child_pids(self._statuses(), ManagerKind.SYNC)
        except BaseException:
            self.close()
            raise
        self.meters: tuple[Meter, Meter] = _meters(self._managers)

    def run_slice(self, seconds: float) -> SliceOutcome:
        return self._run(self._work, self._clients, seconds, self.meters)

    def counters(self) -> Mapping[str, int]:
        return _counters(self._statuses())

    def facts(self) -> Mapping[str, Fact]:
        return _facts(self._statuses())

    def close(self) -> None:
        with contextlib.ExitStack() as stack:  # calls all of them, even if one raises
            for manager in self._managers:
                stack.callback(manager.shutdown)

    def _statuses(self) -> list[ManagerStatus]:
        return [manager.status() for manager in self._managers]


class AsyncTenantsSubject:
    """An async manager per client, all of them and the clients on one event loop."""

    def __init__(self, spec: WorkerSpec) -> None:
        make_room(spec.manager, spec.clients)
        self._clients = spec.clients
        self._run = task_runner(spec)
        new_loop, self._loop_version = loop_of(spec)
        self._managers = [self._new_manager(spec) for _ in range(spec.clients)]
        self._work: Work[Awaitable[bytes]] = _work(
            spec, [(each.ping, each.request_redo) for each in self._managers]
        )
        self._runner = asyncio.Runner(loop_factory=new_loop)
        try:
            self._runner.run(self._launch())
            self.child_pids = _child_pids(self._statuses(), ManagerKind.ASYNC)
        except BaseException:
            self.close()
            raise
        self.meters: tuple[Meter, Meter] = _meters(self._managers)

    def run_slice(self, seconds: float) -> SliceOutcome:
        return self._runner.run(self._run(self._work, self._clients, seconds, self.meters))

    def counters(self) -> Mapping[str, int]:
        return _counters(self._statuses())

    def facts(self) -> Mapping[str, Fact]:
        return {**_facts(self._statuses()), "redo_loop": self._loop_version}

    def close(self) -> None:
        try:
            self._runner.run(self._shut_down())
        finally:
            self._runner.close()

    def _new_manager(self, spec: WorkerSpec) -> AsyncRedoManager | StreamsManager:
        return manager_of(spec, AsyncRedoManager, ManagerKind.ASYNC)

    def _statuses(self) -> list[ManagerStatus]:
        async def statuses() -> list[ManagerStatus]:
            return [await manager.status() for manager in self._managers]

        return self._runner.run(statuses())

    async def _launch(self) -> None:
        at_once = asyncio.Semaphore(LAUNCHES_AT_ONCE)

        async def launch(manager: AsyncRedoManager | StreamsManager) -> None:
            async with at_once:
                await manager.ping()

        try:
            async with asyncio.TaskGroup() as group:
                for manager in self._managers:
                    group.create_task(launch(manager))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _shut_down(self) -> None:
        ends = await asyncio.gather(
            *(manager.shutdown() for manager in self._managers), return_exceptions=True
        )
        for end in ends:
            if isinstance(end, BaseException):
                raise end


class StreamsTenantsSubject(AsyncTenantsSubject):
    """The simple manager `StreamsManager` in place of the async manager."""

    def counters(self) -> Mapping[str, int]:
        found = super().counters()
        return {name: found[name] for name in KNOWN_TO_STREAMS}

    def _new_manager(self, spec: WorkerSpec) -> StreamsManager:
        return StreamsManager(config_of(spec, ManagerKind.ASYNC))


def _work(
    spec: WorkerSpec,
    managers: Sequence[tuple[Callable[[], Answer], Callable[[RedoRequest], Answer]]],
) -> Work[Answer]:
    """The calls of each client: the ping or the redos of its own manager."""
    requests = [] if spec.ping else requests_of(spec)
    by_client: list[list[Callable[[], Answer]]] = [
        [ping] if spec.ping else [partial(redo, request) for request in requests]
        for ping, redo in managers
    ]
    return Work(by_client[0], pages_of(spec), by_client)


def _meters(
    managers: Sequence[SyncRedoManager | AsyncRedoManager | StreamsManager],
) -> tuple[Meter, Meter]:
    """The meter of this process, and that of all children that the managers have or had."""

    def pids() -> list[int]:
        found = (manager.child_pid for manager in managers)
        return [pid for pid in found if pid is not None]

    return OwnMeter(), ChildrenMeter(pids)


def _child_pids(statuses: Sequence[ManagerStatus], kind: ManagerKind) -> tuple[int, ...]:
    return tuple(child_pid_of(status, kind) for status in statuses)


def _counters(statuses: Sequence[ManagerStatus]) -> dict[str, int]:
    """The sums over the managers. Of the peaks, which were at different times, the highest."""
    found = [counters_of(status) for status in statuses]
    return {
        name: (max if name == _PEAK else sum)(counters[name] for counters in found)
        for name in found[0]
    }


def _facts(statuses: Sequence[ManagerStatus]) -> dict[str, Fact]:
    """The facts of the first manager, but with the smallest pipes that any manager got."""
    found = [facts_of(status) for status in statuses]
    smallest = {
        name: min(int(facts[name]) for facts in found)
        for name in _PIPES
        if all(name in facts for facts in found)
    }
    return {**found[0], **smallest}
