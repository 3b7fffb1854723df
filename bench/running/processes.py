"""The processes and temporary files of the suite, of which nothing is left behind.

Each process gets its own group, which is killed as a whole. Processes that leave their group are
adopted by the suite when their parent ends (`adopt_orphans`), and killed then. A process that the
suite started but has not noted yet, because an interruption came at that moment, is its child, and
`end_all` kills all children.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from bench.errors import BenchError, explained
from bench.interrupts import held_back

STDERR_TAIL_BYTES: Final = 2000
STDERR_ENDS: Final = "; its stderr ends: "
"""Stands between the reason why a run failed and the end of its worker's stderr."""

_END_S: Final = 1.0
"""How long a worker may take to end once it has closed its output."""

STDERR_LIMIT_BYTES: Final = 64 << 20
"""Limit of the files that a worker writes, which are its stderr: it must not fill the disk."""

READ_BYTES: Final = 1 << 20
_WAIT_S: Final = 1.0
"""The longest single wait: Python handles a signal that comes just before a wait only after it."""

_running: set[int] = set()
"""The pids of started processes that `end_group` has not ended yet."""

_adopting = False


class RunFailedError(Exception):
    """A run gave no result. Its text is the reason, in one line."""


def failed(reason: str, stderr: IO[bytes]) -> RunFailedError:
    """The error of a run: the reason, and the end of what its process wrote to ``stderr``."""
    size = stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, size - STDERR_TAIL_BYTES))
    lines = stderr.read().decode(errors="backslashreplace").splitlines()
    tail = " | ".join(line.strip() for line in lines[-6:] if line.strip())
    text = " ".join(reason.split()).removesuffix(":")  # a MemoryError has no message of its own
    text = explained(text)
    return RunFailedError(f"{text}{STDERR_ENDS}{tail}" if tail else text)


def next_output(process: subprocess.Popen[bytes], deadline_s: float) -> bytes:
    """The next output of a process of `start_group`, empty at its end. Raises TimeoutError if there
    is none before the deadline (time.monotonic)."""
    assert process.stdout
    ready = select.poll()
    ready.register(process.stdout, select.POLLIN)
    while (left_s := deadline_s - time.monotonic()) > 0:
        if ready.poll(min(left_s, _WAIT_S) * 1000):
            return os.read(process.stdout.fileno(), READ_BYTES)
    raise TimeoutError


def how_it_ends(process: subprocess.Popen[bytes]) -> str:
    """How a process that has closed its output ends, as a part of a sentence.

    Only for a process that the suite did not kill. Its ``returncode`` is set if it has ended.
    """
    try:
        status = process.wait(_END_S)
    except subprocess.TimeoutExpired:
        return "closed its output and goes on"
    if status >= 0:
        return f"ended with status {status}"
    names = {number.value: number.name for number in signal.Signals}
    # The kernel sends SIGKILL when memory runs out.
    hint = " (out of memory?)" if -status == signal.SIGKILL else ""
    return f"ended with signal {names.get(-status, -status)}{hint}"


def start_group(
    command: Sequence[str],
    stderr: IO[bytes],
    stdin: int,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Starts a process in a group of its own, with a pipe for its output. Raises OSError.

    ``environment``: None means that of the suite.
    """
    process = subprocess.Popen(
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=environment,
        bufsize=0,
        # In its own group it gets no Ctrl-C from the terminal: the suite decides what that ends.
        # And the group can be killed as a whole, with everything that the process has started.
        process_group=0,
    )
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = STDERR_LIMIT_BYTES if most == resource.RLIM_INFINITY else min(STDERR_LIMIT_BYTES, most)
    with contextlib.suppress(ProcessLookupError):  # it may have ended already
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    _running.add(process.pid)
    return process


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends a process of `start_group` and everything that it started, in whatever state it is."""
    # A group outlives its first process: its other members are killed even if that has ended.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _running.discard(process.pid)
    end_orphans()


def adopt_orphans() -> None:
    """Makes this process the parent of every descendant whose own parent has ended.

    Only for a process that starts nothing but runs: every other child counts as an orphan and is
    killed. Where the system cannot do it (not Linux), children that outlive a killed worker end by
    themselves when they find their input closed.
    """
    global _adopting  # a property of the process
    with contextlib.suppress(OSError, AttributeError):
        pr_set_child_subreaper = 36
        _adopting = ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0) == 0


def end_orphans() -> None:
    """Kills and reaps every child of this process that is not a running one of `start_group`."""
    if not _adopting:
        return
    # Again and again, since killing an orphan can make orphans of its children.
    while orphans := _children() - _running:
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def end_all() -> None:
    """Kills and reaps every child of this process, before it ends itself."""
    _running.clear()
    end_orphans()


def _children() -> set[int]:
    try:
        return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
    except OSError:
        return set()


def no_room(folder: Path | str, error: OSError) -> BenchError:
    """The error for a folder that temporary files cannot be written to."""
    return BenchError(
        f"{folder}: cannot take temporary files ({error.strerror or error}): make room there, or"
        " name another folder in the environment variable TMPDIR"
    )


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that exists for as long as the suite runs. Raises BenchError."""
    folder: tempfile.TemporaryDirectory[str] | None = None
    try:
        try:
            # An interruption between making the folder and noting it would leave it behind.
            with held_back():
                folder = tempfile.TemporaryDirectory(prefix="walredo-bench-")
        except OSError as error:
            raise no_room(os.environ.get("TMPDIR") or "/tmp", error) from error
        yield Path(folder.name)
    finally:
        # So would one that stops the removal halfway.
        with held_back():
            # Before the folder goes: an interruption can leave a worker that has just been started
            # and that nothing else ends, and it might still write to the folder.
            end_all()
            if folder is not None:
                folder.cleanup()
