"""The suite's side of one worker: start it, ask it, end it, whatever it does.

A worker that dies, says what it must not, or takes longer than its time costs its run only: that is
a RunFailedError with the tail of its stderr. No process is left behind: orphans of an ended worker
come to the suite (see ``adopt_orphans``), which ends them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

from bench.places import ROOT
from bench.worker.protocol import WorkerSpec, decode, encode

WORKER: Final = ROOT / "bench" / "worker" / "__main__.py"
WORKER_SETTINGS: Final = {"MALLOC_ARENA_MAX": "2"}
"""glibc would give each thread a heap of its own, up to eight per CPU: 12 MiB more at N = 128, for
threads that mostly wait for one interpreter lock."""

STDERR_TAIL_BYTES: Final = 2000
STDERR_ENDS: Final = "; its stderr ends: "
"""Comes between what went wrong in a run and what its worker said."""

STOP_S: Final = 5.0
"""How long a worker that has been told to stop may take to end its child and itself."""

END_S: Final = 1.0
"""How long a worker may take to end once it has closed its output."""

MOST_REDOS_PER_S: Final = 10_000_000
"""Nobody does as many pages of 8 KiB in a second: a worker that claims more talks nonsense, and
must not fill the suite's memory with it."""

STDERR_LIMIT_BYTES: Final = 64 << 20
"""What a worker may write to files, which is its stderr alone: it must not fill the disk."""

_READ_BYTES: Final = 1 << 20
_WAIT_S: Final = 1.0
"""A signal that comes just before a wait is not seen until it is over: none is longer."""

_SAMPLE_BYTES: Final = 8
_CLIENT_BYTES: Final = 4 * _SAMPLE_BYTES  # its head and the redo that ends past the deadline
_PR_SET_CHILD_SUBREAPER: Final = 36


class RunFailedError(Exception):
    """A run that gave no result; its text is the reason, one line."""


@dataclass(frozen=True, slots=True)
class SliceReply:
    """A slice as it came: see ``worker_protocol``. A series is native-endian int64."""

    payload: bytes
    usage: dict[str, int]
    series: Mapping[str, bytes]
    counts: Mapping[str, int]


class WorkerProcess:
    """One worker and its conversation. ``deadline_s``: when it must be done (time.monotonic).

    A context manager; leaving it ends the worker and all that it started.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        timeout_s: float,
        python: str = sys.executable,
        program: Path | None = None,
    ) -> None:
        """Starts the worker on that interpreter and opens its case. Raises RunFailedError.

        ``program``: worker.py of another copy of the code.
        """
        self._deadline_s = time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self._received = bytearray()
        self._clients = spec.clients
        try:
            self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
            try:
                self._process = start_group(
                    (python, "-I", "-S", str(program or WORKER)),
                    self._stderr,
                    subprocess.PIPE,
                    {**os.environ, **WORKER_SETTINGS},
                )
            except BaseException:
                self._stderr.close()
                raise
        except OSError as error:
            # No memory for another process, no room on the disk: the next run may have it.
            raise RunFailedError(
                f"the worker cannot be started ({error.strerror or error})"
            ) from error
        try:
            self.opened = self._ask(spec.to_message(), "opened")
        except BaseException:
            self.end()
            raise

    def slice(self, seconds: float) -> SliceReply:
        """Measures one slice. Raises RunFailedError."""
        reply = self._ask({"command": "slice", "seconds": seconds}, "slice")
        try:
            size, usage = max(0, int(reply["payload_bytes"])), reply["usage"]
            counts = {str(name): int(n) for name, n in reply.get("counts", {}).items()}
            sizes = {
                str(name): max(0, int(n)) * _SAMPLE_BYTES
                for name, n in reply.get("series", {}).items()
            }
            most = round(seconds * MOST_REDOS_PER_S) * _SAMPLE_BYTES
            total = size + sum(sizes.values())
            if total > most + self._clients * _CLIENT_BYTES + _READ_BYTES:
                raise ValueError(f"{total} bytes of samples in {seconds:g} s")  # noqa: TRY301
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise self._nonsense(error) from error
        payload = self._take(size)
        series = {name: self._take(length) for name, length in sizes.items()}
        return SliceReply(payload, usage, series, counts)

    def report(self) -> dict[str, Any]:
        """What the worker says of its run. Raises RunFailedError."""
        return self._ask({"command": "report"}, "report")

    def stop(self) -> None:
        """Ends the case in good order. Raises RunFailedError."""
        self._deadline_s = min(self._deadline_s, time.monotonic() + STOP_S)
        self._ask({"command": "stop"}, "stopped")

    def end(self) -> None:
        """Ends the worker and whatever it has started, in whatever state they are."""
        end_group(self._process)
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                stream.close()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def _ask(self, message: dict[str, Any], expected: str) -> dict[str, Any]:
        assert self._process.stdin
        try:
            self._process.stdin.write(encode(message))
        except BrokenPipeError:
            raise self._failed("the worker ended") from None
        line = self._take_line()
        try:
            reply = decode(line, "reply", (expected, "error"))
        except (ValueError, RecursionError) as error:
            raise self._nonsense(error) from error
        if reply["reply"] == "error":
            raise self._failed(str(reply.get("reason")))
        return reply

    def _take_line(self) -> bytes:
        while (end := self._received.find(b"\n")) < 0:
            if len(self._received) > _READ_BYTES:
                raise self._failed("the worker talks nonsense (a line without an end)")
            self._read_more()
        return self._cut(end + 1)

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            self._read_more()
        return self._cut(size)

    def _cut(self, size: int) -> bytes:
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    def _read_more(self) -> None:
        """Takes what comes. Raises RunFailedError."""
        try:
            data = next_output(self._process, self._deadline_s)
        except TimeoutError:
            raise self._failed(f"not done within {self._timeout_s:g} s (--run-timeout-s)") from None
        if not data:
            raise self._failed(f"the worker {how_it_ends(self._process)}")
        self._received += data

    def _nonsense(self, error: Exception) -> RunFailedError:
        return self._failed(f"the worker talks nonsense ({type(error).__name__}: {error})")

    def _failed(self, reason: str) -> RunFailedError:
        return failed(reason, self._stderr)


def failed(reason: str, stderr: IO[bytes]) -> RunFailedError:
    """The error of a run whose process wrote to ``stderr``: the reason and the end of that."""
    size = stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, size - STDERR_TAIL_BYTES))
    lines = stderr.read().decode(errors="backslashreplace").splitlines()
    tail = " | ".join(line.strip() for line in lines[-6:] if line.strip())
    text = " ".join(reason.split()).removesuffix(":")  # as of a MemoryError, which says no more
    return RunFailedError(f"{text}{STDERR_ENDS}{tail}" if tail else text)


def next_output(process: subprocess.Popen[bytes], deadline_s: float) -> bytes:
    """What a process of ``start_group`` says next, empty at its end. Raises TimeoutError when it
    says nothing before the deadline (time.monotonic)."""
    assert process.stdout
    ready = select.poll()
    ready.register(process.stdout, select.POLLIN)
    while (left_s := deadline_s - time.monotonic()) > 0:
        if ready.poll(min(left_s, _WAIT_S) * 1000):
            return os.read(process.stdout.fileno(), _READ_BYTES)
    raise TimeoutError


def how_it_ends(process: subprocess.Popen[bytes]) -> str:
    """What to say of a process that has closed its output, and that nobody in the suite has killed.

    Its ``returncode`` is set if it has ended.
    """
    try:
        status = process.wait(END_S)
    except subprocess.TimeoutExpired:
        return "closed its output and goes on"
    if status >= 0:
        return f"ended with status {status}"
    names = {number.value: number.name for number in signal.Signals}
    # The kernel kills, when memory runs out.
    hint = " (out of memory?)" if -status == signal.SIGKILL else ""
    return f"ended with signal {names.get(-status, -status)}{hint}"


def start_group(
    command: Sequence[str],
    stderr: IO[bytes],
    stdin: int,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Starts a process in a group of its own, its output a pipe; ``environment`` None: ours.
    Raises OSError."""
    process = subprocess.Popen(
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=environment,
        bufsize=0,
        # Ctrl-C is for the suite to decide on, and what a worker starts must end with it.
        process_group=0,
    )
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = STDERR_LIMIT_BYTES if most == resource.RLIM_INFINITY else min(STDERR_LIMIT_BYTES, most)
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    _running.add(process.pid)
    return process


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends a process of ``start_group`` and whatever it has started, in whatever state they are."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _running.discard(process.pid)
    end_orphans()


_running: set[int] = set()
_adopting = False


def adopt_orphans() -> None:
    """Lets processes whose parent (a worker) has ended become children of this one, which then ends
    them. For a process that starts no others but workers.

    Where the system cannot (not Linux), children that outlive a killed worker end by themselves
    when they find their input closed.
    """
    global _adopting  # a property of the process
    with contextlib.suppress(OSError, AttributeError):
        _adopting = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def end_orphans() -> None:
    """Kills and reaps every child of this process that is no running worker."""
    if not _adopting:
        return
    while orphans := _children() - _running:
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def end_all() -> None:
    """Kills and reaps every child of this process, before it ends.

    An interruption can come where a process has been started and nobody knows of it yet.
    """
    _running.clear()
    end_orphans()


def _children() -> set[int]:
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except OSError:
        return set()
    return {int(pid) for pid in text.split()}
