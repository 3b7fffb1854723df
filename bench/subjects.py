"""What a worker measures: a manager with its clients, or the C floor, behind one interface.

Standard library and walredo only. A subject is opened once, gives slices, reports, and is closed;
after ``close`` no process is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from bench.clients import SliceOutcome, Work, run_tasks, run_threads
from bench.cpu_usage import ChildMeter, Meter, OwnMeter, ProcessMeter
from bench.names import NOOPS
from bench.streams_manager import StreamsManager
from bench.worker_protocol import WorkerSpec
from walredo import (
    PAGE_SIZE,
    AsyncRedoManager,
    ManagerConfig,
    ManagerKind,
    ManagerStatus,
    RedoRequest,
    SyncRedoManager,
    create_manager,
    parse_requests,
)

Fact = str | int | float
AnyManager = TypeVar("AnyManager", SyncRedoManager, AsyncRedoManager)


class SubjectError(Exception):
    """The subject is not what was asked for, or does not do what it must."""


class Subject(Protocol):
    """One thing under test. ``meters`` (manager, and child if it has one) and ``child_pid`` (of the
    first child) hold after opening."""

    @property
    def child_pid(self) -> int | None: ...

    @property
    def meters(self) -> tuple[Meter, ...]: ...

    def run_slice(self, seconds: float) -> SliceOutcome: ...

    def counters(self) -> Mapping[str, int]:
        """The manager's counters since it was opened; empty if it keeps none."""

    def facts(self) -> Mapping[str, Fact]:
        """What a result should say of it."""

    def close(self) -> None: ...


def open_subject(spec: WorkerSpec) -> Subject:
    """The subject of a case, its child launched and answering."""
    if spec.floor_program is not None:
        return FloorSubject(spec)
    if spec.manager == "sync":
        return SyncSubject(spec)
    if spec.manager == "streams":
        return StreamsSubject(spec)
    if spec.manager in NOOPS:
        return NoopSubject(spec)
    return AsyncSubject(spec)


class SyncSubject:
    """The sync manager, a thread per client."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._clients = spec.clients
        self._manager = _manager_of(spec, SyncRedoManager, ManagerKind.SYNC)
        self._work = Work(
            [self._manager.ping]
            if spec.ping
            else [partial(self._manager.request_redo, request) for request in _requests(spec)],
            _pages(spec),
        )
        try:
            self._manager.ping()
            self.child_pid = _child_pid(self._manager.status(), ManagerKind.SYNC)
        except BaseException:
            self._manager.shutdown()
            raise
        self.meters: tuple[Meter, Meter] = (
            OwnMeter(),
            ChildMeter(lambda: self._manager.child_pid),
        )

    def run_slice(self, seconds: float) -> SliceOutcome:
        return run_threads(self._work, self._clients, seconds, self.meters)

    def counters(self) -> Mapping[str, int]:
        return _counters(self._manager.status())

    def facts(self) -> Mapping[str, Fact]:
        return _facts(self._manager.status())

    def close(self) -> None:
        self._manager.shutdown()


class AsyncSubject:
    """The async manager on one event loop, a task per client."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._clients = spec.clients
        new_loop, self._loop_version = _loop_of(spec)
        self._runner = asyncio.Runner(loop_factory=new_loop)
        self._manager = self._new_manager(spec)
        self._work: Work[Awaitable[bytes]] = Work(
            [self._manager.ping]
            if spec.ping
            else [partial(self._manager.request_redo, request) for request in _requests(spec)],
            _pages(spec),
        )
        try:
            self._runner.run(self._manager.ping())
            self.child_pid = _child_pid(self._status(), ManagerKind.ASYNC)
        except BaseException:
            self.close()
            raise
        self.meters: tuple[Meter, Meter] = (
            OwnMeter(),
            ChildMeter(lambda: self._manager.child_pid),
        )

    def run_slice(self, seconds: float) -> SliceOutcome:
        return self._runner.run(run_tasks(self._work, self._clients, seconds, self.meters))

    def counters(self) -> Mapping[str, int]:
        return _counters(self._status())

    def facts(self) -> Mapping[str, Fact]:
        return {**_facts(self._status()), "redo_loop": self._loop_version}

    def close(self) -> None:
        self._runner.run(self._manager.shutdown())
        self._runner.close()

    def _new_manager(self, spec: WorkerSpec) -> AsyncRedoManager | StreamsManager:
        return _manager_of(spec, AsyncRedoManager, ManagerKind.ASYNC)

    def _status(self) -> ManagerStatus:
        return self._runner.run(self._manager.status())


class StreamsSubject(AsyncSubject):
    """The yardstick manager in the place of the async one."""

    def counters(self) -> Mapping[str, int]:
        found = super().counters()
        return {name: found[name] for name in _KNOWN_TO_STREAMS}

    def _new_manager(self, spec: WorkerSpec) -> StreamsManager:
        return StreamsManager(_config_of(spec, ManagerKind.ASYNC))


class NoopSubject:
    """No manager and no child: each redo is answered with the ready page."""

    child_pid = None

    def __init__(self, spec: WorkerSpec) -> None:
        pages = _pages(spec)
        # Copies, since a page that is the expected object itself is compared for nothing.
        ready = [bytes(bytearray(page)) for page in pages]
        self._clients = spec.clients
        self._is_async = spec.manager == "noop-async"
        self._sync = Work([partial(_ready, page) for page in ready], pages)
        self._async: Work[Awaitable[bytes]] = Work(
            [partial(_ready_async, page) for page in ready], pages
        )
        self._runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
        self.meters: tuple[Meter, ...] = (OwnMeter(),)

    def run_slice(self, seconds: float) -> SliceOutcome:
        if self._is_async:
            return self._runner.run(run_tasks(self._async, self._clients, seconds, self.meters))
        return run_threads(self._sync, self._clients, seconds, self.meters)

    def counters(self) -> Mapping[str, int]:
        return {}

    def facts(self) -> Mapping[str, Fact]:
        return {}

    def close(self) -> None:
        self._runner.close()


def _ready(page: bytes) -> bytes:
    return page


async def _ready_async(page: bytes) -> bytes:
    return page


class FloorSubject:
    """The C floor: its program is the manager and its clients in one (see pipe_floor.c)."""

    def __init__(self, spec: WorkerSpec) -> None:
        assert spec.floor_program is not None
        self._counters = {"read_calls": 0, "write_calls": 0, "poll_calls": 0}
        self._process = subprocess.Popen(
            (
                *(spec.floor_program, "--requests", spec.requests, "--pages", spec.pages),
                *("--window", str(spec.clients), "--pipe-bytes", str(_PIPE_BYTES), "--"),
                *spec.child_command,
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            (self.child_pid,) = self._numbers_after("ready", 1)
        except BaseException:
            self.close()
            raise
        self.meters: tuple[Meter, Meter] = (
            ProcessMeter(self._process.pid, "floor"),
            ProcessMeter(self.child_pid, "child"),
        )

    def run_slice(self, seconds: float) -> SliceOutcome:
        before = [meter.used() for meter in self.meters]
        self._send(f"slice {round(seconds * 1e9)}")
        size, reads, writes, polls = self._numbers_after("slice", 4)
        payload = self._read(size)
        for name, calls in (("read_calls", reads), ("write_calls", writes), ("poll_calls", polls)):
            self._counters[name] += calls
        after = [meter.used() for meter in self.meters]
        used = tuple(now.since(then) for now, then in zip(after, before, strict=True))
        return SliceOutcome(payload, used)

    def counters(self) -> Mapping[str, int]:
        return dict(self._counters)

    def facts(self) -> Mapping[str, Fact]:
        return {}

    def close(self) -> None:
        # End of input is its signal to end its child and itself.
        assert self._process.stdin and self._process.stdout
        with contextlib.suppress(BrokenPipeError):  # it has ended, with a command not taken
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _send(self, command: str) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(f"{command}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error

    def _numbers_after(self, word: str, count: int) -> list[int]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        name, *numbers = line.decode().split() or [""]
        if name != word or len(numbers) != count or not all(n.isdecimal() for n in numbers):
            raise self._ended() if not line else SubjectError(f"the floor said {line!r}")
        return [int(number) for number in numbers]

    def _read(self, size: int) -> bytes:
        assert self._process.stdout
        data = self._process.stdout.read(size)
        if len(data) < size:
            raise self._ended()
        return data

    def _ended(self) -> SubjectError:
        return SubjectError(f"the floor ended with status {self._process.wait()}")


_PIPE_BYTES = 1024 * 1024
"""Asked for by the floor too: it is to meet the same pipes as the managers."""


_COUNTERS = (
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


_KNOWN_TO_STREAMS = ("redos", "in_flight_peak", "launches", "kills")


def _config_of(spec: WorkerSpec, kind: ManagerKind) -> ManagerConfig:
    return ManagerConfig(
        child_command=spec.child_command,
        kind=kind,
        timeout_s=spec.timeout_s,
        pipe_bytes=_PIPE_BYTES,
        spin_s=spec.spin_us / 1e6,
    )


def _manager_of(spec: WorkerSpec, kind: type[AnyManager], name: ManagerKind) -> AnyManager:
    manager = create_manager(_config_of(spec, name))
    assert isinstance(manager, kind)
    return manager


def _child_pid(status: ManagerStatus, kind: ManagerKind) -> int:
    """The pid, after a look at whether the manager is what was asked for."""
    if status.kind is not kind or status.pid is None:
        raise SubjectError(f"asked for a {kind} manager with a child, got {status}")
    return status.pid


def _loop_of(spec: WorkerSpec) -> tuple[Callable[[], asyncio.AbstractEventLoop], str]:
    """The maker of the event loop that the manager's name asks for, and the loop's version."""
    if spec.manager in ("async", "streams"):
        return asyncio.SelectorEventLoop, f"asyncio {sys.version.split()[0]}"
    if spec.manager == "async-uvloop":
        if spec.library_path is not None and spec.library_path not in sys.path:
            sys.path.append(spec.library_path)
        import uvloop

        version: str = uvloop.__version__  # type: ignore[attr-defined]
        return uvloop.new_event_loop, f"uvloop {version}"
    raise SubjectError(f"no manager is called {spec.manager!r}")


def _requests(spec: WorkerSpec) -> list[RedoRequest]:
    return list(parse_requests(Path(spec.requests).read_bytes()))


def _pages(spec: WorkerSpec) -> list[bytes]:
    pages = Path(spec.pages).read_bytes()
    found = [pages[at : at + PAGE_SIZE] for at in range(0, len(pages), PAGE_SIZE)]
    return found[:1] if spec.ping else found


def _counters(status: ManagerStatus) -> dict[str, int]:
    """The counters of a status by name; errors and kills by cause are added up."""
    found = {name: getattr(status, name) for name in _COUNTERS}
    return {**found, "errors": sum(status.errors.values()), "kills": sum(status.kills.values())}


def _facts(status: ManagerStatus) -> dict[str, Fact]:
    facts: dict[str, Fact] = {"redo_worker_manager_kind": str(status.kind)}
    if status.pipe_bytes is not None:
        to_child, from_child = status.pipe_bytes
        facts["redo_worker_pipe_bytes_to_child"] = to_child
        facts["redo_worker_pipe_bytes_from_child"] = from_child
    return facts
