"""How managers are called and where their clients run: on threads, or on an event loop.

Standard library only. A subject asks its runtime for everything that differs between the two.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from bench.cases.managers.kind import ASYNCIO
from bench.cases.managers.registry import kind_of
from bench.worker.clients.at_once import Episode, tasks_at_once, threads_at_once
from bench.worker.clients.choice import task_runner, thread_runner
from bench.worker.clients.slice import Slice, SliceOutcome, Work
from bench.worker.protocol import WorkerSpec
from bench.worker.subjects.subject import Fact
from bench.worker.tenant_limits import LAUNCHES_AT_ONCE
from walredo import ManagerKind


class Runtime(Protocol):
    """Threads or an event loop, from its making to ``close``."""

    kind: ManagerKind
    """The kind of the managers that are called in this way."""

    def run_slice(self, this: Slice[Any]) -> SliceOutcome:
        """One slice of the case's loop."""

    def at_once(self, work: Work[Any], clients: int, begin: Callable[[], object]) -> Episode:
        """Lets all clients call once (`bench.worker.clients.at_once`)."""

    def call(self, method: Callable[[], Any]) -> Any:
        """What the method returns, or what the coroutine that it returns does."""

    def call_each(self, methods: Sequence[Callable[[], Any]]) -> list[Any]:
        """What `call` returns for each of them. An event loop runs once for all."""

    def call_all(self, methods: Sequence[Callable[[], Any]]) -> None:
        """Calls all of them, some at the same time. Raises what the first that fails raises."""

    def facts(self) -> Mapping[str, Fact]: ...

    def close(self) -> None: ...


class ThreadRuntime:
    """Clients are threads; a method of a manager returns when it is done."""

    kind = ManagerKind.SYNC

    def __init__(self, spec: WorkerSpec) -> None:
        self._run = thread_runner(spec)

    def run_slice(self, this: Slice[Any]) -> SliceOutcome:
        return self._run(this)

    def at_once(self, work: Work[Any], clients: int, begin: Callable[[], object]) -> Episode:
        return threads_at_once(work, clients, begin)

    def call(self, method: Callable[[], Any]) -> Any:
        return method()

    def call_each(self, methods: Sequence[Callable[[], Any]]) -> list[Any]:
        return [method() for method in methods]

    def call_all(self, methods: Sequence[Callable[[], Any]]) -> None:
        if len(methods) == 1:
            methods[0]()
            return
        # Its import takes some ms, which a worker with one manager need not spend.
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(LAUNCHES_AT_ONCE) as threads:
            list(threads.map(lambda method: method(), methods))

    def facts(self) -> Mapping[str, Fact]:
        return {}

    def close(self) -> None:
        """Does nothing: no thread outlives its slice."""


class LoopRuntime:
    """Clients are tasks on one event loop, asyncio's or uvloop's by the kind of manager."""

    kind = ManagerKind.ASYNC

    def __init__(self, spec: WorkerSpec) -> None:
        if kind_of(spec.manager).loop == ASYNCIO:
            new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.SelectorEventLoop
            self._version = f"asyncio {sys.version.split()[0]}"
        else:
            if spec.library_path is not None and spec.library_path not in sys.path:
                sys.path.append(spec.library_path)
            import uvloop

            new_loop = uvloop.new_event_loop
            self._version = f"uvloop {uvloop.__version__}"  # type: ignore[attr-defined]
        self._run = task_runner(spec)
        self._runner = asyncio.Runner(loop_factory=new_loop)

    def run_slice(self, this: Slice[Any]) -> SliceOutcome:
        return self._runner.run(self._run(this))

    def at_once(self, work: Work[Any], clients: int, begin: Callable[[], object]) -> Episode:
        return self._runner.run(tasks_at_once(work, clients, begin))

    def call(self, method: Callable[[], Any]) -> Any:
        result = method()
        return self._runner.run(result) if inspect.iscoroutine(result) else result

    def call_each(self, methods: Sequence[Callable[[], Any]]) -> list[Any]:
        results = [method() for method in methods]
        # A user's manager may have a status that is not awaited.
        if not any(map(inspect.iscoroutine, results)):
            return results
        return self._runner.run(_gathered(results))

    def call_all(self, methods: Sequence[Callable[[], Any]]) -> None:
        self._runner.run(_all_of(methods))

    def facts(self) -> Mapping[str, Fact]:
        return {"redo_loop": self._version}

    def close(self) -> None:
        self._runner.close()


async def _gathered(coroutines: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    return await asyncio.gather(*coroutines)


async def _all_of(methods: Sequence[Callable[[], Any]]) -> None:
    room = asyncio.Semaphore(LAUNCHES_AT_ONCE)

    async def call(method: Callable[[], Any]) -> None:
        async with room:
            await method()

    try:
        async with asyncio.TaskGroup() as group:
            for method in methods:
                group.create_task(call(method))
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


def runtime_of(spec: WorkerSpec) -> Runtime:
    """The runtime of the case's kind of manager, for those whose kind says which it is."""
    return LoopRuntime(spec) if kind_of(spec.manager).is_async else ThreadRuntime(spec)
