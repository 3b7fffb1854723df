"""Processes of the suite: started in groups of their own, ended with all that they started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

STDERR_TAIL_BYTES: Final = 2000


STDERR_ENDS: Final = "; its stderr ends: "
"""Comes between what went wrong in a run and what its worker said."""


END_S: Final = 1.0
"""How long a worker may take to end once it has closed its output."""


STDERR_LIMIT_BYTES: Final = 64 << 20
"""What a worker may write to files, which is its stderr alone: it must not fill the disk."""


_READ_BYTES: Final = 1 << 20


_WAIT_S: Final = 1.0
"""A signal that comes just before a wait is not seen until it is over: none is longer."""


_PR_SET_CHILD_SUBREAPER: Final = 36


class RunFailedError(Exception):
    """A run that gave no result; its text is the reason, one line."""


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
