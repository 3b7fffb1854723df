"""How slices begin and end: at once, with the meters around them, and with the first error."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from bench.worker.clients.slice import Slice, TaskStart, ThreadStart, Work
from bench.worker.meters import ProcessGoneError, Used


class Meter:
    """Notes when it is read, and counts its readings; the one of that number raises."""

    def __init__(self, log: list[str], name: str, *, gone_at: int = 0) -> None:
        self._log, self._name, self._gone_at = log, name, gone_at
        self._readings = 0

    def used(self) -> Used:
        self._readings += 1
        self._log.append(self._name)
        if self._readings == self._gone_at:
            raise ProcessGoneError(self._name, 1)
        return Used(10 * self._readings, 0, 0)

    def user_share(self) -> float | None:
        return None


NOTHING: Work[bytes] = Work((), ())


def run(kind: str, this: Slice[bytes], loop: Callable[[], None], count: int = 3) -> None:
    """So many loops of that kind."""
    if kind == "threads":
        start = ThreadStart(count)

        def in_thread() -> None:
            start.wait()
            loop()

        start.run(this, [in_thread] * count)
        return

    async def main() -> None:
        start = TaskStart()

        async def in_task() -> None:
            await start.wait()
            loop()

        await start.run(this, [in_task() for _ in range(count)])

    asyncio.run(main())


KINDS = pytest.mark.parametrize("kind", ["threads", "tasks"])


@KINDS
def test_the_own_meter_is_read_last_before_and_first_after(kind: str) -> None:
    log: list[str] = []
    opened: list[int] = []
    meters = [Meter(log, "own"), Meter(log, "child")]
    this = Slice(NOTHING, 3, 0.5, meters, opened.append)
    run(kind, this, lambda: log.append("loop"))
    assert log == ["child", "own", "loop", "loop", "loop", "own", "child"]
    assert [one.cpu_ns for one in this.used] == [10, 10]
    assert opened == [this.opened_ns]
    assert this.deadline_ns == this.opened_ns + 500_000_000


@KINDS
def test_the_clients_error_goes_before_that_of_a_meter(kind: str) -> None:
    def fail() -> None:
        raise ValueError("the reason")

    this = Slice(NOTHING, 3, 0.5, [Meter([], "child", gone_at=2)])
    with pytest.raises(ValueError, match="the reason"):
        run(kind, this, fail)


@KINDS
def test_a_slice_that_cannot_open_leaves_nobody_waiting(kind: str) -> None:
    before = threading.active_count()
    with pytest.raises(ProcessGoneError):
        run(kind, Slice(NOTHING, 3, 0.5, [Meter([], "child", gone_at=1)]), lambda: None)
    assert threading.active_count() == before
