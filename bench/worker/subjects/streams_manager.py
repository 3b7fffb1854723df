"""A yardstick: the redo manager that one writes in an afternoon with asyncio's own streams."""

import asyncio
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections import Counter

from walredo import PAGE_SIZE, ManagerConfig, ManagerStatus, RedoRequest, errors
from walredo.wire import PING


class StreamsManager:
    """The methods of AsyncRedoManager without its care: no retries, no back-off, no look at what
    the child sends, no calls counted. Whatever fails ends the child for all its callers."""

    def __init__(self, config: ManagerConfig) -> None:
        self._config, self._shut_down = config, False
        self._kills: Counter[errors.Cause] = Counter()
        self._launches = self._redos = self._peak = 0
        self._writing, self._reading = asyncio.Lock(), asyncio.Lock()
        self._child: Process | None = None
        self._sent = self._turn = 0  # the numbers of the next request and of the next page
        self._reaping: set[asyncio.Task[None]] = set()

    @property
    def child_pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    async def request_redo(self, request: RedoRequest, _attempt: object = None) -> bytes:
        return await self._answer(request.serialise())

    async def ping(self) -> bytes:
        return await self._answer(PING)

    async def quiesce(self, _idle_s: float) -> bool:
        return False  # it keeps its child

    async def shutdown(self) -> bool:
        first, self._shut_down = not self._shut_down, True
        self._end(self._child, errors.ShutDownError())
        async with self._writing:  # under it a child may have been launched meanwhile
            self._end(self._child, errors.ShutDownError())
        await asyncio.gather(*self._reaping)
        return first

    async def status(self) -> ManagerStatus:
        kind, in_flight = self._config.kind, self._sent - self._turn
        now = (self.child_pid, self._shut_down, None, in_flight, self._peak, self._redos)
        return ManagerStatus(kind, "asyncio", *now, launches=self._launches, kills={**self._kills})

    async def _answer(self, message: bytes) -> bytes:
        child = None
        try:
            async with asyncio.timeout(self._config.timeout_s):
                async with self._writing:
                    child = self._child or await self._launch()
                    assert child.stdin and child.stdout
                    number, self._sent = self._sent, self._sent + 1
                    self._peak = max(self._peak, self._sent - self._turn)
                    child.stdin.write(message)
                    await child.stdin.drain()
                async with self._reading:  # who wrote first reads first, unless one was cancelled
                    if child is not self._child or number != self._turn:
                        raise ConnectionError("another redo failed on that child")  # noqa: TRY301
                    page = await child.stdout.readexactly(PAGE_SIZE)
                    self._turn += 1
                    self._redos += message != PING
                    return page
        except (Exception, asyncio.CancelledError) as error:
            pid = child.pid if child else 0
            failure: errors.FailedAttempt = errors.ChildExitedError(pid, str(error))
            if self._shut_down:
                failure = errors.ShutDownError()
            elif isinstance(error, TimeoutError):
                failure = errors.RedoTimeoutError(self._config.timeout_s, "a page", pid)
            elif child is None:
                failure = errors.LaunchError(self._config.child_command, str(error))
            self._end(child, failure)
            raise error if isinstance(error, asyncio.CancelledError) else failure from error

    async def _launch(self) -> Process:
        if self._shut_down:
            raise errors.ShutDownError
        command = self._config.child_command
        self._child = await create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env={})
        self._sent, self._turn, self._launches = 0, 0, self._launches + 1
        return self._child

    def _end(self, child: Process | None, failure: errors.FailedAttempt) -> None:
        if child is not None and child is self._child:
            self._child = None
            self._kills[failure.cause] += 1
            if child.returncode is None:
                child.kill()
            self._reaping.add(asyncio.create_task(self._reap(child)))

    async def _reap(self, child: Process) -> None:
        async with self._reading:  # up to its end, or asyncio keeps the descriptor
            await child.communicate(b"")
        self._reaping -= {task for task in self._reaping if task.done()}
