"""Many managers as one subject: each client has a manager and a child of its own, in one process.

Client c only calls manager c. Sync: N managers and a thread per client. Async: N managers on one
event loop. Once the subject is open, all children have been launched and have answered. All of them
are ended on every path, also if one of them cannot be launched.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ClassVar, Final

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
from walredo import AsyncRedoManager, ManagerKind, ManagerStatus, SyncRedoManager

_PEAK: Final = "in_flight_peak"
_PIPES: Final = ("redo_worker_pipe_bytes_to_child", "redo_worker_pipe_bytes_from_child")


class _Tenants:
    """A manager per client. ``kind``: what the managers must report that they are."""

    kind: ClassVar[ManagerKind]

    def __init__(self, spec: WorkerSpec) -> None:
        make_room(spec.manager, spec.clients)
        self._clients = spec.clients
        self._managers: list[Any] = [self._new_manager(spec) for _ in range(spec.clients)]
        self._work: Work[Any] = _work(spec, self._managers)
        try:
            self._launch()
            self.child_pids = tuple(child_pid_of(each, self.kind) for each in self._statuses())
        except BaseException:
            self.close()
            raise
        self.meters: tuple[Meter, Meter] = (OwnMeter(), ChildrenMeter(self._current_pids))

    def counters(self) -> Mapping[str, int]:
        """The sums over the managers. Of the peaks, which were at different times, the highest."""
        found = [counters_of(status) for status in self._statuses()]
        return {
            name: (max if name == _PEAK else sum)(counters[name] for counters in found)
            for name in found[0]
        }

    def facts(self) -> Mapping[str, Fact]:
        """The facts of the first manager, but with the smallest pipes that any manager got."""
        found = [facts_of(status) for status in self._statuses()]
        smallest = {
            name: min(int(facts[name]) for facts in found)
            for name in _PIPES
            if all(name in facts for facts in found)
        }
        return {**found[0], **smallest}

    def close(self) -> None:
        """Shuts all managers down, also if one of them raises."""
        raise NotImplementedError

    def _new_manager(self, spec: WorkerSpec) -> Any:
        raise NotImplementedError

    def _launch(self) -> None:
        """Pings all managers, which launches their children."""
        raise NotImplementedError

    def _statuses(self) -> list[ManagerStatus]:
        raise NotImplementedError

    def _current_pids(self) -> list[int]:
        pids = (manager.child_pid for manager in self._managers)
        return [pid for pid in pids if pid is not None]


class SyncTenantsSubject(_Tenants):
    """A sync manager per client, each client on a thread."""

    kind = ManagerKind.SYNC

    def __init__(self, spec: WorkerSpec) -> None:
        self._run = thread_runner(spec)
        super().__init__(spec)

    def run_slice(self, seconds: float) -> SliceOutcome:
        return self._run(self._work, self._clients, seconds, self.meters)

    def close(self) -> None:
        with contextlib.ExitStack() as stack:
            for manager in self._managers:
                stack.callback(manager.shutdown)

    def _new_manager(self, spec: WorkerSpec) -> SyncRedoManager:
        return manager_of(spec, SyncRedoManager, self.kind)

    def _launch(self) -> None:
        with ThreadPoolExecutor(LAUNCHES_AT_ONCE) as launchers:
            list(launchers.map(SyncRedoManager.ping, self._managers))

    def _statuses(self) -> list[ManagerStatus]:
        return [manager.status() for manager in self._managers]


class AsyncTenantsSubject(_Tenants):
    """An async manager per client, all of them and the clients on one event loop."""

    kind = ManagerKind.ASYNC

    def __init__(self, spec: WorkerSpec) -> None:
        self._run = task_runner(spec)
        new_loop, self._loop_version = loop_of(spec)
        self._runner = asyncio.Runner(loop_factory=new_loop)
        super().__init__(spec)

    def run_slice(self, seconds: float) -> SliceOutcome:
        return self._runner.run(self._run(self._work, self._clients, seconds, self.meters))

    def facts(self) -> Mapping[str, Fact]:
        return {**super().facts(), "redo_loop": self._loop_version}

    def close(self) -> None:
        try:
            self._runner.run(self._shut_down())
        finally:
            self._runner.close()

    def _new_manager(self, spec: WorkerSpec) -> AsyncRedoManager | StreamsManager:
        return manager_of(spec, AsyncRedoManager, self.kind)

    def _launch(self) -> None:
        self._runner.run(self._ping_all())

    async def _ping_all(self) -> None:
        at_once = asyncio.Semaphore(LAUNCHES_AT_ONCE)

        async def ping(manager: AsyncRedoManager | StreamsManager) -> None:
            async with at_once:
                await manager.ping()

        try:
            async with asyncio.TaskGroup() as group:
                for manager in self._managers:
                    group.create_task(ping(manager))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _shut_down(self) -> None:
        ends = await asyncio.gather(
            *(manager.shutdown() for manager in self._managers), return_exceptions=True
        )
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    def _statuses(self) -> list[ManagerStatus]:
        async def statuses() -> list[ManagerStatus]:
            return [await manager.status() for manager in self._managers]

        return self._runner.run(statuses())


class StreamsTenantsSubject(AsyncTenantsSubject):
    """The simple manager `StreamsManager` in place of the async manager."""

    def counters(self) -> Mapping[str, int]:
        found = super().counters()
        return {name: found[name] for name in KNOWN_TO_STREAMS}

    def _new_manager(self, spec: WorkerSpec) -> StreamsManager:
        return StreamsManager(config_of(spec, self.kind))


def _work(spec: WorkerSpec, managers: Sequence[Any]) -> Work[Any]:
    """The calls of each client: the ping or the redos of its own manager."""
    requests = [] if spec.ping else requests_of(spec)
    by_client: list[list[Callable[[], Any]]] = [
        [each.ping] if spec.ping else [partial(each.request_redo, request) for request in requests]
        for each in managers
    ]
    return Work(by_client[0], pages_of(spec), by_client)
