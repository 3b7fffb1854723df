"""A yardstick: the redo manager that one writes in an afternoon with asyncio's own streams."""

import asyncio
from contextlib import suppress
from dataclasses import asdict
from time import monotonic

import walredo
from walredo import PAGE_SIZE, FailedAttempt, ManagerConfig, ManagerStatus, RedoRequest
from walredo.status import LifeCounters, StreamCounters
from walredo.wire import PING


class _Child:
    """A child and its locks. ``turn``: the number of the request whose page comes next."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin and process.stdout
        self.process, self.stdin, self.stdout = process, process.stdin, process.stdout
        self.writing, self.reading = asyncio.Lock(), asyncio.Lock()
        self.sent = self.turn = 0
        self.failure: FailedAttempt | None = None
        self.reaped: asyncio.Task[None] | None = None

    async def exchange(self, message: bytes) -> bytes:
        async with self.writing:
            number, self.sent = self.sent, self.sent + 1
            self._check(number, self.failure is None)
            self.stdin.write(message)
            await self.stdin.drain()
        async with self.reading:  # locks are fair: who wrote first reads first
            # But a cancelled caller may have left its page to the next, before the child is ended.
            self._check(number, self.failure is None and self.turn == number)
            page = await self.stdout.readexactly(PAGE_SIZE)
            self.turn += 1
        return page

    def _check(self, number: int, usable: bool) -> None:
        if not usable:
            pid = self.process.pid
            why = self.failure or walredo.RedoInterrupted(pid, "a redo was cancelled")
            raise walredo.StreamsPoisonedError(pid, number, why)

    async def reap(self) -> None:
        if not self.stdin.is_closing():
            self.stdin.transport.abort()
        async with self.reading:  # up to its end, or asyncio keeps the descriptor
            with suppress(OSError):
                await self.stdout.read()
        with suppress(OSError):
            await self.stdin.wait_closed()
        await self.process.wait()


class StreamsManager:
    """The methods of AsyncRedoManager without its care: no retries, no back-off, no look at what
    the child sends. Whatever fails, a cancelled caller too, ends the child for all its callers."""

    def __init__(self, config: ManagerConfig) -> None:
        self._config = config
        self._child: _Child | None = None
        self._launching: asyncio.Task[_Child] | None = None
        self._tasks: set[asyncio.Task[_Child] | asyncio.Task[None]] = set()
        self._streams, self._life = StreamCounters(), LifeCounters()
        self._shut_down, self._in_flight, self._used_s = False, 0, 0.0

    @property
    def child_pid(self) -> int | None:
        return None if self._child is None else self._child.process.pid

    async def request_redo(
        self,
        request: RedoRequest,
        attempt: walredo.RedoAttempt = walredo.READ_PAGE,  # noqa: ARG002 - there is but one
    ) -> bytes:
        page = await self._answer(request.serialise())
        self._streams.redos += 1
        self._streams.records += len(request.records)
        return page

    async def ping(self) -> bytes:
        page = await self._answer(PING)
        self._streams.pings += 1
        return page

    async def quiesce(self, idle_s: float) -> bool:
        child = self._child
        if child is None or self._in_flight or monotonic() - self._used_s < idle_s:
            return False
        await self._end(child, walredo.QuiescedError(child.process.pid, f"idle for {idle_s:g} s"))
        return True

    async def shutdown(self) -> bool:
        first, self._shut_down = not self._shut_down, True
        if self._child is not None:
            self._end(self._child, walredo.ShutDownError())
        while self._tasks:
            await asyncio.wait(self._tasks)
        return first

    async def status(self) -> ManagerStatus:
        """Calls and launch times are the event loop's business: they stay 0."""
        return ManagerStatus(
            kind=self._config.kind,
            loop="asyncio",
            pid=self.child_pid,
            shut_down=self._shut_down,
            pipe_bytes=None,
            in_flight=self._in_flight,
            **asdict(self._streams),
            launches=self._life.launches,
            launch_ns_total=0,
            launch_ns_last=None,
            kills=dict(self._life.kills),
            errors=dict(self._life.errors),
        )

    async def _answer(self, message: bytes) -> bytes:
        child, timeout_s = None, self._config.timeout_s
        self._in_flight += 1
        self._streams.in_flight_peak = max(self._streams.in_flight_peak, self._in_flight)
        try:
            async with asyncio.timeout(timeout_s) as deadline:
                try:
                    child = self._child or await self._launched()
                    page = await child.exchange(message)
                except (Exception, asyncio.CancelledError) as error:
                    failure = self._failure(error, child, deadline.expired())
                    self._life.errors[failure.cause] += 1
                    if child is not None:
                        await self._end(child, failure)
                    if isinstance(error, asyncio.CancelledError):
                        raise
                    raise failure from error
        except TimeoutError as error:
            if isinstance(error, FailedAttempt):
                raise
            raise walredo.RedoTimeoutError(timeout_s, "a page", self.child_pid) from error
        finally:
            self._in_flight -= 1
            self._used_s = monotonic()
        self._streams.bytes_sent += len(message)
        self._streams.bytes_received += PAGE_SIZE
        return page

    def _failure(self, error: BaseException, child: _Child | None, late: bool) -> FailedAttempt:
        if self._shut_down:
            return walredo.ShutDownError()
        if isinstance(error, FailedAttempt):
            return error
        pid = None if child is None else child.process.pid
        if late:
            return walredo.RedoTimeoutError(self._config.timeout_s, "a page", pid)
        if isinstance(error, asyncio.CancelledError) or pid is None:
            return walredo.RedoInterrupted(pid or 0, "one of its redos was cancelled")
        return walredo.ChildExitedError(pid, "it closed its streams")

    async def _launched(self) -> _Child:
        if self._shut_down:
            raise walredo.ShutDownError
        if self._launching is None:
            self._launching = asyncio.create_task(self._launch())
            self._keep(self._launching)
        # Everybody's, not that of the redo that began it.
        return await asyncio.shield(self._launching)

    async def _launch(self) -> _Child:
        command, pipe = self._config.child_command, asyncio.subprocess.PIPE
        try:
            child = _Child(
                await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env={})
            )
        except OSError as error:
            raise walredo.LaunchError.from_error(command, error) from error
        finally:
            self._launching = None
        self._life.launches += 1
        self._child, self._used_s = child, monotonic()
        if self._shut_down:
            self._end(child, walredo.ShutDownError())
        return child

    def _end(self, child: _Child, failure: FailedAttempt) -> asyncio.Future[None]:
        """Kills it at once and takes it out of use; to be awaited until it is reaped."""
        if child.reaped is None:
            with suppress(ProcessLookupError):
                child.process.kill()
            child.failure, self._child = failure, None
            self._life.kills[failure.cause] += 1
            child.reaped = asyncio.create_task(child.reap())
            self._keep(child.reaped)
        return asyncio.shield(child.reaped)

    def _keep(self, task: asyncio.Task[_Child] | asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
