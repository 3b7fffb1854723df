"""The managers of this project as subjects: one manager with its clients."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, TypeVar

from bench.cases.managers.kind import ASYNCIO
from bench.cases.managers.registry import kind_of
from bench.cases.notations import PER_TENANT
from bench.worker.clients.choice import task_runner, thread_runner
from bench.worker.clients.slice import SliceOutcome, Work
from bench.worker.meters import ChildMeter, Meter, OwnMeter
from bench.worker.protocol import WorkerSpec
from bench.worker.subjects.streams_manager import StreamsManager
from bench.worker.subjects.subject import (
    PIPE_BYTES,
    TENANT_PIPE_BYTES,
    Fact,
    SubjectError,
    pages_of,
    requests_of,
)
from walredo import (
    AsyncRedoManager,
    ManagerConfig,
    ManagerKind,
    ManagerStatus,
    SyncRedoManager,
    create_manager,
)

AnyManager = TypeVar("AnyManager", SyncRedoManager, AsyncRedoManager)


class SyncSubject:
    """The sync manager, its clients on threads."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._clients = spec.clients
        self._run = thread_runner(spec)
        self._manager = self._new_manager(spec)
        self._work = Work(
            [self._manager.ping]
            if spec.ping
            else [partial(self._manager.request_redo, request) for request in requests_of(spec)],
            pages_of(spec),
        )
        try:
            self._manager.ping()
            self.child_pids = (self._first_child(),)
        except BaseException:
            self._manager.shutdown()
            raise
        self.meters: tuple[Meter, Meter] = (
            OwnMeter(),
            ChildMeter(lambda: self._manager.child_pid),
        )

    def run_slice(self, seconds: float) -> SliceOutcome:
        return self._run(self._work, self._clients, seconds, self.meters)

    def counters(self) -> Mapping[str, int]:
        return counters_of(self._manager.status())

    def facts(self) -> Mapping[str, Fact]:
        return facts_of(self._manager.status())

    def close(self) -> None:
        self._manager.shutdown()

    def _new_manager(self, spec: WorkerSpec) -> SyncRedoManager:
        return manager_of(spec, SyncRedoManager, ManagerKind.SYNC)

    def _first_child(self) -> int:
        return child_pid_of(self._manager.status(), ManagerKind.SYNC)


class AsyncSubject:
    """The async manager on one event loop, its clients tasks."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._clients = spec.clients
        self._run = task_runner(spec)
        new_loop, self._loop_version = loop_of(spec)
        self._runner = asyncio.Runner(loop_factory=new_loop)
        self._manager = self._new_manager(spec)
        self._work: Work[Awaitable[bytes]] = Work(
            [self._manager.ping]
            if spec.ping
            else [partial(self._manager.request_redo, request) for request in requests_of(spec)],
            pages_of(spec),
        )
        try:
            self._runner.run(self._manager.ping())
            self.child_pids = (self._first_child(),)
        except BaseException:
            self.close()
            raise
        self.meters: tuple[Meter, Meter] = (
            OwnMeter(),
            ChildMeter(lambda: self._manager.child_pid),
        )

    def run_slice(self, seconds: float) -> SliceOutcome:
        return self._runner.run(self._run(self._work, self._clients, seconds, self.meters))

    def counters(self) -> Mapping[str, int]:
        return counters_of(self._status())

    def facts(self) -> Mapping[str, Fact]:
        return {**facts_of(self._status()), "redo_loop": self._loop_version}

    def close(self) -> None:
        self._runner.run(self._manager.shutdown())
        self._runner.close()

    def _new_manager(self, spec: WorkerSpec) -> AsyncRedoManager | StreamsManager:
        return manager_of(spec, AsyncRedoManager, ManagerKind.ASYNC)

    def _first_child(self) -> int:
        return child_pid_of(self._status(), ManagerKind.ASYNC)

    def _status(self) -> ManagerStatus:
        return self._runner.run(self._manager.status())


class StreamsSubject(AsyncSubject):
    """The simple manager `StreamsManager` in place of the async manager."""

    def counters(self) -> Mapping[str, int]:
        found = super().counters()
        return {name: found[name] for name in KNOWN_TO_STREAMS}

    def _new_manager(self, spec: WorkerSpec) -> StreamsManager:
        return StreamsManager(config_of(spec, ManagerKind.ASYNC))


COUNTERS: Final = (
    "redos",
    "records",
    "pings",
    "fences",
    "pages_dropped",
    "bytes_sent",
    "bytes_received",
    "read_calls",
    "write_calls",
    "poll_calls",
    "in_flight_peak",
    "launches",
    "launch_ns_total",
)
"""Fields of a status that are reported as they are."""

KNOWN_TO_STREAMS = ("redos", "in_flight_peak", "launches", "kills")


def config_of(spec: WorkerSpec, kind: ManagerKind) -> ManagerConfig:
    """The configuration of the case's managers."""
    return ManagerConfig(
        child_command=spec.child_command,
        kind=kind,
        timeout_s=spec.timeout_s,
        pipe_bytes=TENANT_PIPE_BYTES if spec.topology == PER_TENANT else PIPE_BYTES,
        spin_s=spec.spin_us / 1e6,
    )


def manager_of(spec: WorkerSpec, kind: type[AnyManager], name: ManagerKind) -> AnyManager:
    manager = create_manager(config_of(spec, name))
    assert isinstance(manager, kind)
    return manager


def child_pid_of(status: ManagerStatus, kind: ManagerKind) -> int:
    """The pid of the child. Raises SubjectError if the manager is not of the kind asked for."""
    if status.kind is not kind or status.pid is None:
        raise SubjectError(f"asked for a {kind} manager with a child, got {status}")
    return status.pid


def loop_of(spec: WorkerSpec) -> tuple[Callable[[], asyncio.AbstractEventLoop], str]:
    """The maker of the event loop that the kind of manager has, and the loop's version."""
    if kind_of(spec.manager).loop == ASYNCIO:
        return asyncio.SelectorEventLoop, f"asyncio {sys.version.split()[0]}"
    if spec.library_path is not None and spec.library_path not in sys.path:
        sys.path.append(spec.library_path)
    import uvloop

    version: str = uvloop.__version__  # type: ignore[attr-defined]
    return uvloop.new_event_loop, f"uvloop {version}"


def counters_of(status: ManagerStatus) -> dict[str, int]:
    """The counters of a status by name; errors and kills by cause are added up."""
    found = {name: getattr(status, name) for name in COUNTERS}
    return {**found, "errors": sum(status.errors.values()), "kills": sum(status.kills.values())}


def facts_of(status: ManagerStatus) -> dict[str, Fact]:
    facts: dict[str, Fact] = {"redo_worker_manager_kind": str(status.kind)}
    if status.pipe_bytes is not None:
        to_child, from_child = status.pipe_bytes
        facts["redo_worker_pipe_bytes_to_child"] = to_child
        facts["redo_worker_pipe_bytes_from_child"] = from_child
    return facts
