"""What the tests of the children start them with, and the proof that it leaves none behind."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from bench.places import ROOT
from fake_redo_child import build
from tests.support import page_model as model

LIMIT_S = 60.0
"""No step of a child takes this long; what does has failed. Nothing here measures speed."""

KINDS = build.CHILD_KINDS


@cache
def sandbox_allowed() -> bool:
    """Whether this machine lets a process enter strict mode (a container's filter may not)."""
    return build.sandbox_allowed(build.child_program())


def command_of(kind: str, *options: str) -> tuple[str, ...]:
    """The command of a child that can run here; skips the test if there is no compiler for it."""
    try:
        sandbox = kind != "c" or sandbox_allowed()
        return (*build.child_command(kind, sandbox=sandbox), *options)
    except build.CompilerMissing as missing:
        pytest.skip(str(missing))


def run(command: Iterable[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    """Give a child all of its input, let it end, and return what it said."""
    return subprocess.run(
        list(command), input=data, capture_output=True, timeout=LIMIT_S, check=False, env={}
    )


class RunningChild:
    """A child with pipes; leaving the context kills and reaps it, whatever happened."""

    def __init__(self, command: Iterable[str], *, inherit: Iterable[int] = ()) -> None:
        self.process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={},
            pass_fds=tuple(inherit),
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdin, self.stdout, self.stderr = (
            self.process.stdin,
            self.process.stdout,
            self.process.stderr,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.stdin, self.stdout, self.stderr):
            stream.close()

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.stdin.fileno(), view) :]

    def send_apart(self, data: bytes) -> None:
        """Send, and wait until the child has read it, so that it is a read of its own.

        A child that ended before it read all of it raises BrokenPipeError, as a write to it does.
        """
        self.send(data)
        deadline = time.monotonic() + LIMIT_S
        unread = bytearray(4)
        reader = select.poll()
        reader.register(self.stdin, 0)  # POLLERR: nobody has the other end open
        while True:
            fcntl.ioctl(self.stdin.fileno(), termios.FIONREAD, unread)
            if not any(unread):
                return
            if reader.poll(0):
                raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
            assert time.monotonic() < deadline, "the child does not read its input"
            time.sleep(0)

    def page(self) -> bytes:
        """The next page; less than a page if the output ends."""
        page = b""
        while len(page) < model.PAGE:
            data = os.read(self.stdout.fileno(), model.PAGE - len(page))
            if not data:
                break
            page += data
        return page

    def status_line(self, name: str) -> str:
        """A line of the kernel's account of the process, as ``Seccomp``."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return line.split(":", 1)[1].strip()
        raise AssertionError(f"no line {name}")


def test_a_child_is_killed_and_reaped_when_a_test_fails() -> None:
    with (
        pytest.raises(ZeroDivisionError),
        RunningChild([sys.executable, "-c", "input()"]) as child,
    ):
        pid = child.process.pid
        raise ZeroDivisionError
    assert child.process.returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_arrive_as_reads_of_their_own(kind: str) -> None:
    with RunningChild(command_of(kind)) as child:
        for byte in model.PING:
            child.send_apart(bytes([byte]))
        assert child.page() == bytes(model.PAGE)


def test_a_child_that_ends_before_it_reads_a_piece_breaks_the_pipe() -> None:
    with RunningChild([sys.executable, "-c", "import os; os.read(0, 1)"]) as child:
        with pytest.raises(BrokenPipeError):
            child.send_apart(b"ab")
        assert child.process.wait() == 0


MISBEHAVING = ROOT / "tests" / "support" / "misbehaving_child.py"


def misbehaving(fault: str, at: int = 1, once: Path | None = None) -> tuple[str, ...]:
    """The command of a child with a fault; with ``once`` only its first process has it."""
    words = (sys.executable, "-I", str(MISBEHAVING), fault, str(at))
    return words if once is None else (*words, str(once / "happened"))
