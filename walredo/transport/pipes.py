"""The pipe transport: requests go to the child's stdin, pages come from its stdout."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable

from walredo.child import Child
from walredo.config import ManagerConfig
from walredo.errors import ChildExitedError, ChildIOError
from walredo.status import StreamCounters
from walredo.transport.base import Chunks, Poll


class PipeLauncher:
    """``Launcher`` of children on pipes."""

    def __init__(self, config: ManagerConfig) -> None:
        self._command, self._pipe_bytes = config.child_command, config.pipe_bytes

    def launch(self) -> PipeTransport:
        return PipeTransport(self._command, self._pipe_bytes)

    def close(self) -> None:
        """Launches share nothing."""


class PipeTransport:
    """``Transport`` over the child's standard streams. Readiness is that of the two pipes."""

    look: Callable[[], bool] | None = None
    whole_pages = False

    def __init__(self, command: tuple[str, ...], pipe_bytes: int) -> None:
        self.child = Child(command, pipe_bytes)
        self.window_bytes = self.child.stdout_bytes
        self.pages_fd = self._stdout = self.child.stdout
        self.room_fd = self._stdin = self.child.stdin

    def send(self, chunks: Chunks) -> int:
        try:
            return os.writev(self._stdin, chunks)
        except BlockingIOError:
            return 0
        except BrokenPipeError as error:
            raise ChildExitedError(self.child.pid, "it closed its input") from error
        except OSError as error:
            raise ChildIOError.refused(self.child.pid, error) from error

    def receive(self, space: memoryview) -> int | None:
        try:
            count = os.readv(self._stdout, (space,))
        except BlockingIOError:
            return None
        except OSError as error:
            raise ChildIOError.refused(self.child.pid, error) from error
        if not count:
            raise ChildExitedError(self.child.pid, "it closed its output")
        return count

    def count_in(self, counters: StreamCounters) -> None:
        """The pipeline counts, since each ``send`` and each ``receive`` is a system call."""

    def give_way(self) -> None:
        """``receive`` has released the interpreter lock."""

    def poller(self, nudge_fd: int, *, room: bool) -> Poll:
        ready = select.poll()
        ready.register(self._stdout, select.POLLIN)
        ready.register(nudge_fd, select.POLLIN)
        if room:
            ready.register(self._stdin, select.POLLOUT)
        # The bound method of the C object, so that waiting costs no Python call.
        return ready.poll

    def watch_pages(self, loop: asyncio.AbstractEventLoop, on_pages: Callable[[], object]) -> None:
        loop.add_reader(self._stdout, on_pages)

    def watch_room(self, loop: asyncio.AbstractEventLoop, on_room: Callable[[], object]) -> None:
        loop.add_writer(self._stdin, on_room)

    def unwatch_room(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_writer(self._stdin)

    def unwatch(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_writer(self._stdin)
        loop.remove_reader(self._stdout)

    def linger(self, in_flight: int) -> None:
        """There is nothing to gain: to look is a system call, as to wait is."""

    def close(self) -> None:
        self.child.close_streams()
