"""A manager of the user as a subject, sync or async."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

from bench.worker.own_manager import is_async, load_manager
from bench.worker.protocol import WorkerSpec
from bench.worker.subjects.manager import COUNTERS, AsyncSubject, SyncSubject, config_of
from bench.worker.subjects.subject import Fact, SubjectError
from walredo import ManagerKind

_BY_CAUSE: Final = ("errors", "kills")


def own_subject(spec: WorkerSpec) -> OwnSyncSubject | OwnAsyncSubject:
    """Makes the user's manager and its subject. Raises OwnManagerError."""
    manager = load_manager(spec.manager, spec.manager_path, config_of(spec, ManagerKind.SYNC))
    return (OwnAsyncSubject if is_async(manager) else OwnSyncSubject)(spec, manager)


class OwnSyncSubject(SyncSubject):
    """The user's manager in place of the sync manager."""

    def __init__(self, spec: WorkerSpec, manager: Any) -> None:
        self._own = manager
        super().__init__(spec)

    def counters(self) -> Mapping[str, int]:
        return _counters(self._own.status()) if hasattr(self._own, "status") else {}

    def facts(self) -> Mapping[str, Fact]:
        return {"redo_worker_manager_kind": str(ManagerKind.SYNC)}

    def _new_manager(self, _spec: WorkerSpec) -> Any:
        return self._own

    def _first_child(self) -> int:
        return _pid_of(self._own)


class OwnAsyncSubject(AsyncSubject):
    """The user's manager in place of the async manager, on asyncio's own event loop."""

    def __init__(self, spec: WorkerSpec, manager: Any) -> None:
        self._own = manager
        super().__init__(spec)

    def counters(self) -> Mapping[str, int]:
        if not hasattr(self._own, "status"):
            return {}
        status = self._own.status()
        return _counters(self._runner.run(status) if inspect.iscoroutine(status) else status)

    def facts(self) -> Mapping[str, Fact]:
        return {
            "redo_worker_manager_kind": str(ManagerKind.ASYNC),
            "redo_loop": self._loop_version,
        }

    def _new_manager(self, _spec: WorkerSpec) -> Any:
        return self._own

    def _first_child(self) -> int:
        return _pid_of(self._own)


def _pid_of(manager: Any) -> int:
    pid = manager.child_pid
    if not isinstance(pid, int) or pid <= 0:
        raise SubjectError(f"its child_pid after a ping is {pid!r}: it must be that of its child")
    return pid


def _counters(status: Any) -> dict[str, int]:
    """The counters that the status has. Errors and kills by cause are added up."""
    given = {name: getattr(status, name, None) for name in (*COUNTERS, *_BY_CAUSE)}
    for name in _BY_CAUSE:
        by_cause = given[name]
        if isinstance(by_cause, Mapping):
            given[name] = sum(by_cause.values())
    return {name: count for name, count in given.items() if isinstance(count, int)}
