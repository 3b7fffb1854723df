"""What each fault of PROTOCOL.md does in the Python child, as ``misbehave.c`` does in the C child.

The child loads this file by its path, and only if it is given a fault; so the file imports the
standard library only.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from time import perf_counter_ns, sleep
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from fake_redo_child.child.shared_streams import SharedStreams
    from fake_redo_child.faults.faults import Fault

EXIT_FAULT = 4

_NOISE_BYTES = 1024 * 1024
_LINE = b"WARNING: fault stderr-lines ".ljust(63, b"x") + b"\n"
_OPENED_FILE = "/dev/null"


class Misbehaviour:
    """Carries out one fault.

    ``write_page`` writes bytes of a page. ``tell`` writes a line of text and ``make_noise`` bytes
    to standard error; neither fails if standard error is closed. ``memory``: for the faults that
    need it.
    """

    def __init__(
        self,
        fault: Fault,
        *,
        write_page: Callable[[bytes], None],
        tell: Callable[[str], None],
        make_noise: Callable[[bytes], None],
        memory: SharedStreams | None = None,
    ) -> None:
        self._fault = fault
        self._write_page = write_page
        self._tell = tell
        self._make_noise = make_noise
        self._memory = memory
        self._manager_pid = os.getppid()

    def at_start(self) -> bool:
        """Called before anything is read. Returns False if the child must fail to start."""
        if self._fault.name == "start-slowly":
            sleep(self._fault.amount / 1e3)
        return self._fault.name != "fail-to-start"

    def in_reply(self, page: bytes) -> None:
        """Called instead of writing the page of a redo."""
        if not self._fault.trigger.is_due():
            self._write_page(page)
            return
        self._before_reply(page)
        self._reply(page)
        self._after_reply()

    def at_end(self) -> None:
        """Called at the end of input."""
        if self._fault.name == "ignore-eof":
            self._stay()

    def _before_reply(self, page: bytes) -> None:
        """What happens before the page. Some faults never return."""
        match self._fault.name:
            case "exit-before-reply":
                os._exit(EXIT_FAULT)
            case "exit-in-reply":
                self._write_page(page[: len(page) // 2])
                os._exit(EXIT_FAULT)
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                self._stay()
            case "close-stdout":
                os.close(1)
                self._stay()
            case "late":
                _be_busy_us(self._fault.amount * 1000)
            case "stderr-lines":
                self._make_noise(_LINE * (_NOISE_BYTES // len(_LINE)))
            case "stderr-blob":
                self._make_noise(b"x" * _NOISE_BYTES)
            case "open-file":
                self._open_a_file()
            case "consumed-ahead" | "consumed-behind" | "ready-ahead" | "ready-behind":
                self._lie()

    def _reply(self, page: bytes) -> None:
        match self._fault.name:
            case "drip":
                self._drip(page)
            case "short-reply":
                self._write_page(page[: -self._fault.amount])
                if self._memory is not None:
                    self._memory.drop_part()
            case "extra-page":
                self._write_page(page)
                self._write_page(page)
            case _:
                self._write_page(page)

    def _after_reply(self) -> None:
        match self._fault.name:
            case "exit-after-reply":
                os._exit(EXIT_FAULT)
            case "close-stdin":
                os.close(0)
                self._stay()

    def _drip(self, page: bytes) -> None:
        self._write_page(page[:1])
        for at in range(1, len(page)):
            _be_busy_us(self._fault.amount)
            self._write_page(page[at : at + 1])

    def _lie(self) -> None:
        counter, _, direction = self._fault.name.partition("-")
        by = self._fault.amount if direction == "ahead" else -self._fault.amount
        assert self._memory is not None
        if counter == "consumed":
            self._memory.lie_in_consumed(by)
        else:
            self._memory.lie_in_ready(by)

    def _open_a_file(self) -> None:
        try:
            os.close(os.open(_OPENED_FILE, os.O_RDONLY))
        except OSError:
            self._tell("WARNING: fault open-file: it could not be opened")
        else:
            self._tell("WARNING: fault open-file: it could be opened")

    def _stay(self) -> NoReturn:
        """Reads nothing and answers nothing until a signal ends the process.

        A child must not outlive its manager, so it also ends when its parent changes.
        """
        while os.getppid() == self._manager_pid:
            sleep(1)
        os._exit(0)


def _be_busy_us(us: int) -> None:
    # It spins as the C child does, which cannot sleep in its sandbox, so both use CPU time.
    end_ns = perf_counter_ns() + us * 1000
    while perf_counter_ns() < end_ns:
        pass
