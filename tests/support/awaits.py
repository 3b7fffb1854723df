"""Every moment at which a task can be cancelled: its awaits, and the loop's callbacks in between.

``await_points`` finds the awaits of the library in its source; ``Watched`` runs a coroutine of it
and cancels it at a moment of one's choice. That the moments are counted, not timed, is what makes
an enumeration of them complete.
"""

from __future__ import annotations

import ast
import asyncio
import types
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import walredo


class Moment(Enum):
    """When a task is cancelled."""

    SUSPENDED = "suspended"
    """It has just begun to wait."""
    READY = "ready"
    """What it waits for has come, and it has not been run since."""
    CALLBACK = "callback"
    """The loop is about to run a callback, whoever's, or just has. The fine steps in between: the
    page is in the pipe, a launch has ended that nobody was told of, and so on."""


# --- awaits in the source -------------------------------------------------------------------------


def await_points() -> frozenset[str]:
    """The names of all the awaits there are in walredo."""
    return frozenset(_names_by_line().values())


@cache
def _names_by_line() -> dict[tuple[str, int], str]:
    """The await of each line of the library that has one."""
    found: dict[tuple[str, int], str] = {}
    for path in Path(walredo.__file__).parent.glob("*.py"):
        functions = [
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.AsyncFunctionDef)
        ]
        for function in functions:
            for name, node in _named_awaits(function):
                for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                    at = (str(path), line)
                    assert at not in found, f"{path.name}:{line} has two awaits: tell them apart"
                    found[at] = name
    return found


def _named_awaits(function: ast.AsyncFunctionDef) -> list[tuple[str, ast.expr]]:
    """Its awaits as "function: what is awaited", without arguments, numbered where alike."""
    seen: Counter[str] = Counter()
    named: list[tuple[str, ast.expr]] = []
    for node in ast.walk(function):
        awaits = isinstance(node, ast.AsyncWith | ast.AsyncFor)
        awaits |= isinstance(node, ast.comprehension) and bool(node.is_async)
        assert not awaits, f"{function.name}: an await without the word; teach this function"
        if isinstance(node, ast.Await):
            awaited = node.value.func if isinstance(node.value, ast.Call) else node.value
            name = f"{function.name}: {ast.unparse(awaited)}"
            seen[name] += 1
            named.append((f"{name} #{seen[name]}" if seen[name] > 1 else name, node))
    return named


def suspended_at(coroutine: Coroutine[Any, Any, Any]) -> tuple[str, ...]:
    """The awaits of walredo that it is waiting in, from the outermost call to the innermost."""
    names = _names_by_line()
    points = []
    inner: Any = coroutine
    while getattr(inner, "cr_frame", None) is not None and inner.cr_await is not None:
        name = names.get((inner.cr_code.co_filename, inner.cr_frame.f_lineno))
        if name is not None:
            points.append(name)
        inner = inner.cr_await
    return tuple(points)


# --- a task that is cancelled at a given moment ---------------------------------------------------


class CountingLoop:
    """Mixed into an event loop class: calls ``on_callback`` before and after every callback."""

    on_callback: Callable[[], None] | None = None

    def _counted(self, callback: Callable[..., Any]) -> Callable[..., None]:
        def run(*args: Any) -> None:
            self._tick()
            try:
                callback(*args)
            finally:
                self._tick()

        return run

    def _tick(self) -> None:
        if self.on_callback is not None:
            self.on_callback()

    def call_soon(self, callback: Any, *args: Any, **options: Any) -> Any:
        return super().call_soon(self._counted(callback), *args, **options)  # type: ignore[misc]

    def call_soon_threadsafe(self, callback: Any, *args: Any, **options: Any) -> Any:
        counted = self._counted(callback)
        return super().call_soon_threadsafe(counted, *args, **options)  # type: ignore[misc]

    def call_later(self, delay: float, callback: Any, *args: Any, **options: Any) -> Any:
        counted = self._counted(callback)
        return super().call_later(delay, counted, *args, **options)  # type: ignore[misc]

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> Any:
        return super().add_reader(fd, self._counted(callback), *args)  # type: ignore[misc]

    def add_writer(self, fd: Any, callback: Any, *args: Any) -> Any:
        return super().add_writer(fd, self._counted(callback), *args)  # type: ignore[misc]


def counting_loop(base: type[Any]) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes loops of that class which count their callbacks."""
    return types.new_class("Loop", (CountingLoop, base))


class Watched:
    """A task that runs the coroutine and is cancelled at the ``number``-th such moment, from 1.

    ``at``: an await; only moments count at which this is where it waits, innermost (None: any).
    ``hit``: where it was when it was cancelled, None if it ended before. ``waited_at``: the
    innermost awaits that it came to.
    """

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        moment: Moment,
        at: str | None = None,
        number: int = 0,
    ) -> None:
        self._coroutine = coroutine
        self.moment = moment
        self._at = at
        self._left = number
        self.hit: tuple[str, ...] | None = None
        self.waited_at: set[str] = set()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        self.task = asyncio.create_task(self._run())
        # It may never have begun, which is an error only where nobody knows.
        self.task.add_done_callback(lambda _: coroutine.close())
        loop.on_callback = lambda: self._happened(Moment.CALLBACK)

    async def _run(self) -> Any:
        return await self._steps()

    @types.coroutine
    def _steps(self) -> Generator[Any, Any, Any]:
        """What ``await`` does, with an eye on each suspension."""
        thrown: BaseException | None = None
        while True:
            try:
                if thrown is None:
                    awaited = self._coroutine.send(None)
                else:
                    awaited = self._coroutine.throw(thrown)
            except StopIteration as end:
                return end.value
            self.waited_at.update(suspended_at(self._coroutine)[-1:])
            self._happened(Moment.SUSPENDED)
            # Before the task's own callback, which it adds when it is given the future.
            if awaited is not None:  # None: it only lets others run
                awaited.add_done_callback(lambda _: self._happened(Moment.READY))
            try:
                yield awaited
                thrown = None
            except BaseException as error:  # noqa: BLE001 - the coroutine's to handle
                thrown = error

    def _happened(self, moment: Moment) -> None:
        if moment is not self.moment or self.hit is not None or self.task.done():
            return
        points = suspended_at(self._coroutine)
        if self._at is not None and self._at not in points[-1:]:
            return
        self._left -= 1
        if self._left == 0:
            self.hit = points
            assert self.task.cancel()
