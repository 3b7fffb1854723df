"""Managers as subjects: one manager for all clients, or a manager for each client.

A manager is one of this project, the simple `StreamsManager`, or the user's. With a manager for
each client, client c only calls manager c. Once a subject is open, all children have been launched
and have answered; all managers are shut down on every path, also if one cannot be launched.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from bench.cases.names import PIPE_BYTES, SHM
from bench.cases.notations import PER_TENANT
from bench.worker.clients.slice import Slice, SliceOutcome, Work
from bench.worker.meters import DescendantsMeter, Meter, OwnMeter, children_of
from bench.worker.own_manager import is_async, load_manager
from bench.worker.protocol import PIPE_FACTS, WorkerSpec
from bench.worker.subjects.runtime import LoopRuntime, Runtime, ThreadRuntime, runtime_of
from bench.worker.subjects.subject import (
    TENANT_PIPE_BYTES,
    Fact,
    SubjectError,
    pages_of,
    requests_of,
)
from bench.worker.tenant_limits import make_room
from walredo import ManagerConfig, ManagerKind, RedoRequest, TransportKind, create_manager

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
    "errors",
    "kills",
)
"""Fields of a status that are reported: counts, or counts by cause, which are added up."""

KNOWN_TO_STREAMS: Final = ("redos", "in_flight_peak", "launches", "kills")

_PEAK: Final = "in_flight_peak"


class ManagerSubject:
    """One manager with all clients, or one per client, by the case's topology."""

    def __init__(
        self,
        spec: WorkerSpec,
        runtime: Runtime,
        new_manager: Callable[[], Any],
        counters: Sequence[str] = COUNTERS,
    ) -> None:
        self._clients, self._runtime, self._counted = spec.clients, runtime, counters
        self._transport = spec.transport
        # Processes that are there before the managers (busy ones) are no children of theirs.
        others = children_of(os.getpid())
        self.meters: tuple[Meter, Meter] = (OwnMeter(), DescendantsMeter(but_for=others))
        tenants = spec.clients if spec.topology == PER_TENANT else 1
        if tenants > 1:
            make_room(spec.manager, tenants, spec.transport)
        self._managers = [new_manager() for _ in range(tenants)]
        requests = requests_of(spec)
        calls = [calls_of(manager, requests) for manager in self._managers]
        by_client = calls if spec.topology == PER_TENANT else ()
        self._work: Work[Any] = Work(calls[0], pages_of(spec), by_client)
        try:
            runtime.call_all([manager.ping for manager in self._managers])
            self.child_pids = tuple(map(_child_pid, self._managers))
        except BaseException:
            self.close()
            raise

    def run_slice(self, seconds: float) -> SliceOutcome:
        this = Slice(self._work, self._clients, seconds, self.meters)
        return self._runtime.run_slice(this)

    def counters(self) -> Mapping[str, int]:
        """The sums over the managers. Of the peaks, which were at different times, the highest."""
        found = [counters_of(status, self._counted) for status in self._statuses()]
        return {
            name: (max if name == _PEAK else sum)(counters[name] for counters in found)
            for name in (found[0] if found else ())
        }

    def facts(self) -> Mapping[str, Fact]:
        """The kind, the runtime's facts, and the smallest pipes that any manager got."""
        found = [facts_of(status, self._transport) for status in self._statuses()]
        smallest = {
            name: min(int(facts[name]) for facts in found)
            for name in PIPE_FACTS
            if found and all(name in facts for facts in found)
        }
        kind = {"redo_worker_manager_kind": str(self._runtime.kind)}
        return {**kind, **smallest, **self._runtime.facts()}

    def close(self) -> None:
        """Shuts all managers down, also if one of them raises."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._runtime.close)
            for manager in self._managers:
                stack.callback(self._runtime.call, manager.shutdown)

    def _statuses(self) -> list[Any]:
        """A status of each manager; none of a user's manager that has no such method."""
        known = [manager for manager in self._managers if hasattr(manager, "status")]
        return self._runtime.call_each([manager.status for manager in known])


def walredo_subject(spec: WorkerSpec) -> ManagerSubject:
    """The subject of a manager of walredo."""
    runtime = runtime_of(spec)
    return ManagerSubject(spec, runtime, partial(create_manager, config_of(spec, runtime.kind)))


def streams_subject(spec: WorkerSpec) -> ManagerSubject:
    """The subject of the simple manager."""
    from bench.worker.subjects.streams_manager import StreamsManager

    runtime = LoopRuntime(spec)
    new_manager = partial(StreamsManager, config_of(spec, runtime.kind))
    return ManagerSubject(spec, runtime, new_manager, KNOWN_TO_STREAMS)


def own_subject(spec: WorkerSpec) -> ManagerSubject:
    """The subject of the user's manager, async on asyncio's own loop. Raises OwnManagerError."""
    manager = load_manager(spec.manager, spec.manager_path, config_of(spec, ManagerKind.SYNC))
    runtime = LoopRuntime(spec) if is_async(manager) else ThreadRuntime(spec)
    return ManagerSubject(spec, runtime, lambda: manager)


def config_of(spec: WorkerSpec, kind: ManagerKind) -> ManagerConfig:
    """The configuration of the case's managers."""
    return ManagerConfig(
        child_command=spec.child_command,
        kind=kind,
        transport=TransportKind(spec.transport),
        timeout_s=spec.timeout_s,
        pipe_bytes=TENANT_PIPE_BYTES if spec.topology == PER_TENANT else PIPE_BYTES,
        spin_s=spec.spin_us / 1e6,
    )


def calls_of(manager: Any, requests: Sequence[RedoRequest]) -> list[Callable[[], Any]]:
    """What a client of that manager calls: a redo for each request, or without any a ping."""
    return [partial(manager.request_redo, request) for request in requests] or [manager.ping]


def counters_of(status: Any, names: Sequence[str] = COUNTERS) -> dict[str, int]:
    """The counters that the status has, by name."""
    given = {name: getattr(status, name, None) for name in names}
    sums = {n: sum(v.values()) if isinstance(v, Mapping) else v for n, v in given.items()}
    return {name: count for name, count in sums.items() if isinstance(count, int)}


def facts_of(status: Any, transport: str) -> dict[str, Fact]:
    """The sizes of the manager's pipes, if the status knows them and they carry pages. Over shared
    memory they are doorbells, whose size changes nothing."""
    sizes = None if transport == SHM else getattr(status, "pipe_bytes", None)
    return {} if sizes is None else dict(zip(PIPE_FACTS, sizes, strict=True))


def _child_pid(manager: Any) -> int:
    pid = manager.child_pid
    if not isinstance(pid, int) or pid <= 0:
        raise SubjectError(f"its child_pid after a ping is {pid!r}: it must be that of its child")
    return pid
