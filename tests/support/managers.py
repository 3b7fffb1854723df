"""Both managers behind one set of blocking calls, so that one behaviour suite serves both.

A driver's calls may come from any number of threads. SLACK_S is how long a test waits for what must
happen soon, and never a measure of speed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from fake_redo_child.child.python_child import redo_page
from walredo import (
    READ_PAGE,
    AsyncRedoManager,
    BufferTag,
    ManagerConfig,
    ManagerKind,
    ManagerStatus,
    RedoAttempt,
    RedoRequest,
    SyncRedoManager,
    WalRecord,
)

SLACK_S = 20.0

Result = TypeVar("Result")


def make_request(number: int, sizes: Sequence[int] = (90, 40)) -> RedoRequest:
    """The request of that number: different for each number."""
    records = tuple(
        WalRecord(1000 * number + at, bytes([number % 251, at % 251]) * (size // 2))
        for at, size in enumerate(sizes)
    )
    return RedoRequest(BufferTag(0, 1663, 5, 16384, number), records)


def page_of(request: RedoRequest) -> bytes:
    """The page that the child has to answer with."""
    records = [(record.end_lsn, record.data) for record in request.records]
    return redo_page(request.tag.fields, request.base_image, records)


class SyncDriver:
    """A SyncRedoManager, called from the caller's thread."""

    def __init__(self, **settings: Any) -> None:
        self.manager = SyncRedoManager(ManagerConfig(kind=ManagerKind.SYNC, **settings))

    def redo(self, request: RedoRequest, attempt: RedoAttempt = READ_PAGE) -> bytes:
        return self.manager.request_redo(request, attempt)

    def ping(self) -> bytes:
        return self.manager.ping()

    def quiesce(self, idle_s: float) -> bool:
        return self.manager.quiesce(idle_s)

    def shutdown(self) -> bool:
        return self.manager.shutdown()

    def status(self) -> ManagerStatus:
        return self.manager.status()

    def redo_many(self, work: Sequence[tuple[RedoRequest, bytes]], clients: int, redos: int) -> int:
        """``clients`` closed loops; the number of pages that were wrong."""
        turns = itertools.cycle(work)
        lock = threading.Lock()

        def client(count: int) -> int:
            wrong = 0
            for _ in range(count):
                with lock:
                    request, page = next(turns)
                wrong += self.manager.request_redo(request) != page
            return wrong

        with ThreadPoolExecutor(clients) as pool:
            return sum(pool.map(client, shares(redos, clients)))

    def close(self) -> None:
        self.manager.shutdown()


class AsyncDriver:
    """An AsyncRedoManager on a loop in a thread of its own."""

    def __init__(self, **settings: Any) -> None:
        self.manager = AsyncRedoManager(ManagerConfig(kind=ManagerKind.ASYNC, **settings))
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Runs it on the loop to its end."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def redo(self, request: RedoRequest, attempt: RedoAttempt = READ_PAGE) -> bytes:
        return self.run(self.manager.request_redo(request, attempt))

    def ping(self) -> bytes:
        return self.run(self.manager.ping())

    def quiesce(self, idle_s: float) -> bool:
        return self.run(self.manager.quiesce(idle_s))

    def shutdown(self) -> bool:
        return self.run(self.manager.shutdown())

    def status(self) -> ManagerStatus:
        return self.run(self.manager.status())

    def redo_many(self, work: Sequence[tuple[RedoRequest, bytes]], clients: int, redos: int) -> int:
        """``clients`` closed loops; the number of pages that were wrong."""
        turns = itertools.cycle(work)

        async def client(count: int) -> int:
            wrong = 0
            for _ in range(count):
                request, page = next(turns)
                wrong += await self.manager.request_redo(request) != page
            return wrong

        async def everybody() -> int:
            return sum(await asyncio.gather(*map(client, shares(redos, clients))))

        return self.run(everybody())

    def close(self) -> None:
        self.run(self.manager.shutdown())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


Driver = SyncDriver | AsyncDriver
Start = Callable[..., Driver]
"""The fixture ``start``: makes a driver from the manager's settings."""


def shares(redos: int, clients: int) -> list[int]:
    """Every redo is somebody's: the first clients do one more where it does not divide."""
    each, more = divmod(redos, clients)
    return [each + (number < more) for number in range(clients)]


def in_parallel(calls: Sequence[Callable[[], Result]]) -> list[Result | BaseException]:
    """What each call gave or raised, all of them called at once from threads of their own."""

    def outcome(call: Callable[[], Result]) -> Result | BaseException:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - it is what is asked for
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(outcome, calls))


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether it becomes true before a generous time is up."""
    end_s = time.monotonic() + SLACK_S
    while not condition():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.002)
    return True


def is_gone(pid: int) -> bool:
    """Neither running nor a zombie."""
    return not Path(f"/proc/{pid}").exists()


def has_ended(pid: int) -> bool:
    """Gone or a zombie: its streams are closed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def is_stopped(pid: int) -> bool:
    """By SIGSTOP."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def own_children() -> set[int]:
    """Child processes of this one, zombies included."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that has just ended
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found
