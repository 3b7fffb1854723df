"""What callers of an async manager do when one of them, the victim, is cancelled.

Each scenario is one function: it begins the victim and the others, and says where the victim waits.
``test_every_await`` plays them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.awaits import Watched
from tests.support.children import command_of
from tests.support.managers import (
    SLACK_S,
    make_request,
    page_of,
)
from walredo import (
    GC_COMPACTION,
    AsyncRedoManager,
    LaunchError,
    RedoRequest,
    ShutDownError,
)
from walredo.wire import ZERO_PAGE

SMALL_PIPE = 4096
LARGE = (9000, 5000)
VICTIM, NEXT = 100, 200  # numbers of requests

REDO = frozenset({"_answer: ticket.owner"})
PING = frozenset({"ping: self._answer", "_answer: ticket.owner"})
CHANGE = frozenset({"_wait_for_change: asyncio.wait"})
LAUNCH = CHANGE | {"_answer: self._launched_session", "_launched_session: self._wait_for_change"}
SHUTDOWN = CHANGE | {"shutdown: self._wait_for_change"}
LEAVING = SHUTDOWN | {"__aexit__: self.shutdown"}


Watch = Callable[[Coroutine[Any, Any, Any]], Watched]


@cache
def child_that(fault: str | None) -> tuple[str, ...]:
    """The command of a C child with the fault."""
    return command_of("c", *(() if fault is None else ("--fault", fault)))


@dataclass
class Stage:
    """One manager, the victim, and the others who use it."""

    manager: AsyncRedoManager
    program: Path
    watch: Watch
    others: list[tuple[asyncio.Task[bytes], RedoRequest]] = field(default_factory=list)
    shutdowns: list[asyncio.Task[bool]] = field(default_factory=list)
    watched: Watched | None = None
    expected: Any = None
    pages: int = 0

    async def redo(self, number: int) -> None:
        """One that has nothing to do with the rest."""
        request = make_request(number)
        assert await self.manager.request_redo(request) == page_of(request)
        self.pages += 1

    def other(self, number: int, sizes: tuple[int, ...] = (90, 40)) -> None:
        request = make_request(number, sizes)
        task = asyncio.create_task(self.manager.request_redo(request))
        self.others.append((task, request))

    def shut_down(self) -> None:
        self.shutdowns.append(asyncio.create_task(self.manager.shutdown()))

    def victim(self, coroutine: Coroutine[Any, Any, Any], expected: Any) -> None:
        """``expected``: what it gives, or the type of what it raises, if it is not cancelled."""
        self.watched = self.watch(coroutine)
        self.expected = expected

    def victim_redo(
        self, sizes: tuple[int, ...] = (90, 40), error: type[Exception] | None = None
    ) -> None:
        request = make_request(VICTIM, sizes)
        self.victim(self.manager.request_redo(request), error or page_of(request))

    def mend(self) -> None:
        """From now on the program can be launched."""
        if not self.program.exists():
            self.program.symlink_to(child_that(None)[0])


Play = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """``awaits``: where its victim waits. ``launches``: at most, the next redo's included."""

    play: Play
    awaits: frozenset[str]
    launches: int
    settings: dict[str, Any]


SCENARIOS: dict[str, Scenario] = {}


def scenario(awaits: frozenset[str], launches: int = 1, **settings: Any) -> Callable[[Play], Play]:
    """What is awaited in a scenario before the victim is there is not in the enumeration."""

    def register(play: Play) -> Play:
        SCENARIOS[play.__name__] = Scenario(play, awaits, launches, settings)
        return play

    return register


@scenario(REDO | LAUNCH)
async def cold(stage: Stage) -> None:
    stage.victim_redo()


@scenario(REDO | LAUNCH)
async def cold_among_others(stage: Stage) -> None:
    stage.other(1)
    stage.victim_redo()
    stage.other(2)


@scenario(REDO | LAUNCH)
async def cold_and_first(stage: Stage) -> None:
    """The victim is who begins the launch that the others wait for."""
    stage.victim_redo()
    stage.other(1)


@scenario(LAUNCH, child="missing", backoff_after=2, backoff_first_s=0.001)
async def launches_fail(stage: Stage) -> None:
    stage.victim_redo(error=LaunchError)
    stage.other(1)


@scenario(REDO | LAUNCH, child="missing", backoff_after=1, backoff_first_s=0.003)
async def back_off(stage: Stage) -> None:
    with pytest.raises(LaunchError):
        await stage.manager.request_redo(make_request(0), GC_COMPACTION)
    stage.mend()
    stage.victim_redo()
    stage.other(1)


@scenario(REDO)
async def warm(stage: Stage) -> None:
    await stage.redo(0)
    stage.victim_redo()


@scenario(REDO)
async def busy(stage: Stage) -> None:
    await stage.redo(0)
    stage.other(1)
    stage.other(2, (20_000,))
    stage.victim_redo()
    stage.other(3)
    stage.other(4)


@scenario(REDO, pipe_bytes=SMALL_PIPE)
async def half_written(stage: Stage) -> None:
    await stage.redo(0)
    stage.victim_redo(LARGE)
    stage.other(1)
    stage.other(2, LARGE)


@scenario(REDO, pipe_bytes=SMALL_PIPE)
async def behind_a_full_pipe(stage: Stage) -> None:
    await stage.redo(0)
    stage.other(1, LARGE)
    stage.victim_redo()
    stage.other(2)


@scenario(REDO | LAUNCH, launches=3, child="killed:at=2", backoff_first_s=0.001)
async def child_dies(stage: Stage) -> None:
    """At the victim's redo, which is tried again on the next child."""
    await stage.redo(0)
    stage.victim_redo()


@scenario(REDO | LAUNCH, launches=6, child="exit-in-reply:at=2", backoff_first_s=0.001)
async def child_dies_among_others(stage: Stage) -> None:
    await stage.redo(0)
    stage.other(1)
    stage.victim_redo()
    stage.other(2)


@scenario(LAUNCH)
async def shut_down_while_launching(stage: Stage) -> None:
    stage.victim_redo(error=ShutDownError)
    stage.other(1)
    stage.shut_down()


@scenario(LAUNCH, child="missing", timeout_s=10 * SLACK_S, backoff_after=1, backoff_first_s=60)
async def shut_down_in_back_off(stage: Stage) -> None:
    with pytest.raises(LaunchError):
        await stage.manager.request_redo(make_request(0), GC_COMPACTION)
    stage.victim_redo(error=ShutDownError)
    stage.other(1)
    stage.shut_down()


@scenario(REDO)
async def shut_down_in_flight(stage: Stage) -> None:
    await stage.redo(0)
    stage.other(1)
    stage.victim_redo(error=ShutDownError)
    stage.shut_down()


@scenario(REDO)
async def quiesce_in_flight(stage: Stage) -> None:
    await stage.redo(0)
    stage.victim_redo()
    stage.other(1)
    await asyncio.sleep(0)
    assert await stage.manager.quiesce(0) is False


@scenario(REDO | LAUNCH, launches=2)
async def quiesced(stage: Stage) -> None:
    await stage.redo(0)
    assert await stage.manager.quiesce(0) is True
    stage.victim_redo()
    stage.other(1)


@scenario(PING | LAUNCH)
async def ping(stage: Stage) -> None:
    stage.victim(stage.manager.ping(), ZERO_PAGE)
    stage.other(1)


@scenario(SHUTDOWN)
async def shutdown_while_launching(stage: Stage) -> None:
    stage.other(1)
    stage.victim(stage.manager.shutdown(), True)


@scenario(LEAVING)
async def leaving_while_launching(stage: Stage) -> None:
    stage.other(1)
    stage.victim(stage.manager.__aexit__(None, None, None), None)


@scenario(CHANGE | SHUTDOWN)
async def second_shutdown_while_launching(stage: Stage) -> None:
    stage.other(1)
    stage.shut_down()
    stage.victim(stage.manager.shutdown(), False)


# These three do not wait: they can be cancelled before they begin only.


@scenario(frozenset())
async def shutdown_in_flight(stage: Stage) -> None:
    await stage.redo(0)
    stage.other(1)
    stage.victim(stage.manager.shutdown(), True)


@scenario(frozenset(), launches=2)
async def quiesce(stage: Stage) -> None:
    await stage.redo(0)
    stage.victim(stage.manager.quiesce(0), True)


@scenario(frozenset())
async def status(stage: Stage) -> None:
    await stage.redo(0)
    stage.other(1)
    status = await stage.manager.status()
    stage.victim(_pid(stage.manager), status.pid)


async def _pid(manager: AsyncRedoManager) -> int | None:
    return (await manager.status()).pid
