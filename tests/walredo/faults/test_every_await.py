"""An async caller cancelled at every await, and before and after every callback of its loop.

Each scenario is played again and again, with its victim cancelled a moment later each time, until
the victim ends before its moment comes. Whatever the moment, the others get their own pages, the
next redo succeeds, and nothing is left. An await that no scenario reaches fails a test.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.await_scenarios import NEXT, SCENARIOS, Scenario, Stage, Watch, child_that
from tests.support.awaits import Moment, Watched, await_points, counting_loop
from tests.support.managers import (
    SLACK_S,
    eventually,
    make_request,
    open_descriptors,
    own_children,
    page_of,
)
from walredo import (
    AsyncRedoManager,
    LaunchError,
    ManagerConfig,
    ManagerKind,
    ShutDownError,
)
from walredo.wire import ZERO_PAGE

PLAYED = itertools.count()  # a folder's programs have names of their own


async def outcome(task: asyncio.Task[Any]) -> Any:
    """What it gave, or the type of what it raised; it is not cancelled with this."""
    await asyncio.wait([task])
    if task.cancelled():
        return asyncio.CancelledError
    error = task.exception()
    return task.result() if error is None else type(error)


async def check(stage: Stage, most_launches: int) -> None:
    """What must hold wherever the victim was."""
    watched, manager = stage.watched, stage.manager
    assert watched is not None
    victim = await outcome(watched.task)
    assert victim == (stage.expected if watched.hit is None else asyncio.CancelledError)
    stage.pages += victim not in (ZERO_PAGE, None) and isinstance(victim, bytes)
    for number, shutdown in enumerate(stage.shutdowns):
        assert await shutdown is (number == 0)
    shut_down = (await manager.status()).shut_down
    for task, request in stage.others:
        got = await outcome(task)
        if shut_down:
            assert got is ShutDownError
        elif got is LaunchError:
            assert not stage.program.exists()
        else:
            assert got == page_of(request)
            stage.pages += 1
    if shut_down:
        with pytest.raises(ShutDownError):
            await manager.request_redo(make_request(NEXT))
    else:
        stage.mend()
        await stage.redo(NEXT)
    status = await manager.status()
    assert status.in_flight == 0
    assert status.launches <= most_launches
    # The victim's page comes to nothing at most once: before it could take it, or afterwards.
    lost = status.redos - stage.pages
    assert lost >= 0
    assert lost + status.pages_dropped <= (watched.hit is not None)
    # asyncio's own loop runs who is cancelled before it looks for pages; uvloop need not.
    own_loop = isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop)
    if watched.moment is Moment.SUSPENDED and own_loop:
        assert lost == 0
    assert status.launches - sum(status.kills.values()) == (status.pid is not None)


async def play(made: Scenario, folder: Path, watch: Watch) -> Watched:
    """The scenario once, and nothing left of it."""
    program = folder / f"child-{next(PLAYED)}"
    child = made.settings.get("child")
    command = (str(program),) if child == "missing" else child_that(child)
    settings = {"timeout_s": SLACK_S, **made.settings}
    settings.pop("child", None)
    config = ManagerConfig(command, ManagerKind.ASYNC, **settings)
    async with asyncio.timeout(SLACK_S), AsyncRedoManager(config) as manager:
        stage = Stage(manager, program, watch)
        await made.play(stage)
        await check(stage, made.launches)
    assert own_children() == set()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert stage.watched is not None
    return stage.watched


async def enumerated(
    made: Scenario, moment: Moment, folder: Path
) -> AsyncIterator[tuple[str, ...]]:
    """Where the victim was at the first such moment, at the second, and so on to its end.

    The awaits one by one: how often it waits at one may depend on timers, and must not decide
    whether the next one is reached.
    """
    awaits: list[str | None] = [None]
    if moment is not Moment.CALLBACK:
        whole = await play(made, folder, lambda victim: Watched(victim, moment))
        awaits = [*sorted(whole.waited_at)]
    for at in awaits:
        for number in itertools.count(1):
            watch = partial(Watched, moment=moment, at=at, number=number)
            watched = await play(made, folder, watch)
            if watched.hit is None:
                break
            yield watched.hit


@pytest.fixture(scope="module", autouse=True)
def nothing_from_before() -> None:
    """Descriptors that other tests' garbage holds are closed now, not while they are counted."""
    gc.collect()


@pytest.fixture(params=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> Iterator[Callable[[], asyncio.AbstractEventLoop]]:
    """Makes counting loops; afterwards no descriptor or thread is left."""
    base: type[Any] = asyncio.SelectorEventLoop
    if request.param == "uvloop":
        base = pytest.importorskip("uvloop").Loop
    make = counting_loop(base)
    with asyncio.Runner(loop_factory=make) as first:
        first.run(asyncio.sleep(0))  # what a loop keeps for the whole process is opened now
    before, threads = open_descriptors(), threading.active_count()
    yield make
    assert eventually(lambda: threading.active_count() <= threads)
    assert len(open_descriptors()) == len(before)


@pytest.mark.parametrize("name", SCENARIOS)
def test_cancelled_at_every_moment(
    new_loop: Callable[[], asyncio.AbstractEventLoop], name: str, tmp_path: Path
) -> None:
    made = SCENARIOS[name]
    reported: list[dict[str, Any]] = []
    hits: dict[Moment, list[tuple[str, ...]]] = {}

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context))
        for moment in Moment:
            hits[moment] = [hit async for hit in enumerated(made, moment, tmp_path)]
        gc.collect()  # a future whose exception nobody has seen reports it now
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
    assert reported == []
    reached = {moment: frozenset(itertools.chain(*hits[moment])) for moment in Moment}
    assert reached[Moment.SUSPENDED] == made.awaits
    assert reached[Moment.READY] == made.awaits
    assert reached[Moment.CALLBACK] <= made.awaits
    assert hits[Moment.CALLBACK][0] == ()  # it had not begun


def test_every_await_is_reached_by_a_scenario() -> None:
    reached = frozenset[str]().union(*(made.awaits for made in SCENARIOS.values()))
    assert reached == await_points()
