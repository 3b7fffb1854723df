"""A redo child process: launch, kill and reap. Its only job is that no child leaks.

It knows nothing about requests or pages. A transport launches it and uses its streams.
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

    ``stdin``, ``stdout``, ``stderr``: descriptors. ``stdin_bytes``, ``stdout_bytes``: the pipe
    sizes that the kernel granted. ``launch_ns``: how long the launch took.

    Thread safety: ``kill_and_reap`` and ``close_streams`` may be called from any thread, and
    repeatedly. They are separate because a descriptor must not be closed while another thread may
    still read from it: the kernel could reuse its number at once.
    """

    def __init__(
        self, command: tuple[str, ...], pipe_bytes: int | None, *, inherits: Sequence[int] = ()
    ) -> None:
        """Starts the child; returns once its program has been executed. Raises LaunchError.

        ``pipe_bytes``: the size of its pipes; None leaves it to the kernel. Blocks for about a
        millisecond. The child gets an empty environment, and no descriptors but its three streams
        and those that it ``inherits``. It leads its own process group, so that a terminal's Ctrl-C
        reaches the manager only, and so that the processes that the child starts end with it.
        """
        started_ns = time.monotonic_ns()
        self._reap_lock = threading.Lock()
        self._closed = False
        # Stored before the start, so that __del__ can end the child after an interruption.
        process = self._process = subprocess.Popen.__new__(subprocess.Popen)
        try:
            # No preexec_fn: with one, subprocess cannot use the faster vfork.
            process.__init__(  # type: ignore[misc]
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={},
                close_fds=True,
                pass_fds=inherits,
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
        """The exit status, negative for a signal; None until the child is reaped."""
        return self._process.returncode

    def kill_and_reap(self) -> int:
        """Kills the child and everything in its process group; returns the child's return code.

        Blocks until the child is reaped, in the async manager as well. A manager whose children
        always fail thus cannot start them faster than the kernel ends them, and there is no await
        at which a cancellation could leave a zombie.
        """
        with self._reap_lock:
            if self._process.returncode is None:
                # The leader is not reaped yet, so the group number cannot be reused.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            return self._process.returncode

    def close_streams(self) -> None:
        """Closes the parent's ends. The caller must ensure that no thread still uses them."""
        with self._reap_lock:
            if not self._closed:
                self._closed = True
                for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                    assert stream
                    stream.close()

    def discard(self) -> None:
        """Kills, reaps and closes a child that nobody uses."""
        self.kill_and_reap()
        self.close_streams()

    def __del__(self) -> None:
        process: subprocess.Popen[bytes] | None = getattr(self, "_process", None)
        if (
            process is None or getattr(process, "pid", None) is None
        ):  # the launch failed before fork
            return
        if process.returncode is None:
            self.discard()
            # Last, because it raises if warnings are errors.
            warnings.warn(
                f"redo child {process.pid} was not shut down",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )


def _resize(fd: int, pipe_bytes: int | None) -> int:
    """Requests a pipe size, unless it is None; returns the actual size in bytes.

    The kernel refuses sizes above /proc/sys/fs/pipe-max-size without privilege, and any size once
    the user's pipes hold too much. The pipe then keeps its size, which costs only speed.
    """
    if pipe_bytes is not None and pipe_bytes <= MAX_PIPE_BYTES:
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, pipe_bytes)
    return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)
