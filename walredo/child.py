"""A redo child process: launched, killed, reaped. Its only job is that no child leaks.

It knows nothing of requests or pages: both managers use it, and read and write its streams.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import threading
import time
import warnings
from collections.abc import Sequence

from walredo.config import MAX_PIPE_BYTES
from walredo.errors import LaunchError


class Child:
    """One running child and the parent's ends of its three streams, all non-blocking.

    ``stdin_bytes``, ``stdout_bytes``: the pipes' sizes as the kernel granted them. ``launch_ns``:
    what starting it took.

    ``kill_and_reap`` and ``close_streams`` may be called from any thread, and more than once. They
    are apart because a descriptor must not be closed (and its number given to somebody else) while
    another thread may still read from it.
    """

    def __init__(
        self, command: tuple[str, ...], pipe_bytes: int, extra_fds: Sequence[int] = ()
    ) -> None:
        """Starts the child; returns once it has been executed. Raises LaunchError.

        Blocks for about a millisecond. The child gets an empty environment, and no descriptors but
        its three streams and ``extra_fds``, which keep their numbers. It leads its own process
        group, so that a terminal's Ctrl-C reaches the manager only, and so that the processes that
        the child starts end with it.
        """
        started_ns = time.monotonic_ns()
        self._reap_lock = threading.Lock()
        self._closed = False
        # Made before it is started, so that an interruption meanwhile leaves a handle to end it by.
        process = self._process = subprocess.Popen.__new__(subprocess.Popen)
        try:
            # No pre-exec function: only without one does subprocess use vfork.
            process.__init__(  # type: ignore[misc]
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={},
                close_fds=True,
                pass_fds=extra_fds,
                process_group=0,
            )
        except (OSError, ValueError) as error:
            raise LaunchError.from_error(command, error) from error
        assert process.stdin and process.stdout and process.stderr
        self.pid = process.pid
        self.stdin = process.stdin.fileno()
        self.stdout = process.stdout.fileno()
        self.stderr = process.stderr.fileno()
        for fd in (self.stdin, self.stdout, self.stderr):
            os.set_blocking(fd, False)
        self.stdin_bytes = _resize(self.stdin, pipe_bytes)
        self.stdout_bytes = _resize(self.stdout, pipe_bytes)
        self.launch_ns = time.monotonic_ns() - started_ns

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal; None until it is reaped."""
        return self._process.returncode

    def kill_and_reap(self) -> int:
        """Ends the child and everything in its process group; returns its return code.

        Blocks until it is reaped, on purpose and in the async manager too: a manager whose children
        fail all the time cannot start them faster than the kernel can take them down (and an await
        here would be a point where a cancellation leaves a zombie).
        """
        with self._reap_lock:
            if self._process.returncode is None:
                # The unreaped leader keeps the group's number ours.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            return self._process.returncode

    def close_streams(self) -> None:
        """Closes the parent's ends. The caller makes sure that no thread uses them any more."""
        with self._reap_lock:
            if not self._closed:
                self._closed = True
                for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                    assert stream
                    stream.close()

    def discard(self) -> None:
        """Ends a child that nobody uses: both of the above."""
        self.kill_and_reap()
        self.close_streams()

    def __del__(self) -> None:
        process: subprocess.Popen[bytes] | None = getattr(self, "_process", None)
        if process is None or getattr(process, "pid", None) is None:  # it was never started
            return
        if process.returncode is None:
            self.discard()
            # Last, since it raises where warnings are errors.
            warnings.warn(
                f"redo child {process.pid} was not shut down",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )


def _resize(fd: int, pipe_bytes: int) -> int:
    """Asks for a pipe of that size; returns the size that it has now.

    Refused without privilege above /proc/sys/fs/pipe-max-size, or when the user's pipes hold too
    much already: then it stays as it is, which costs speed only.
    """
    if pipe_bytes <= MAX_PIPE_BYTES:
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, pipe_bytes)
    return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)
