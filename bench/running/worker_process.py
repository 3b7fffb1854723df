"""The suite's side of one worker: starts it, asks it, and ends it, whatever it does.

A worker that dies, breaks the protocol or takes too long fails its own run only, by a
RunFailedError with the end of its stderr. No process is left behind (`bench.running.processes`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from bench.errors import reason_of
from bench.places import ROOT
from bench.running import processes
from bench.running.processes import READ_BYTES, RunFailedError
from bench.worker.protocol import WorkerSpec, decode, encode

WORKER: Final = ROOT / "bench" / "worker" / "__main__.py"
_SETTINGS: Final = {"MALLOC_ARENA_MAX": "2"}
"""glibc would give each thread a heap of its own, up to eight per CPU: 12 MiB more at N = 128, for
threads that mostly wait for the interpreter lock."""

STOP_S: Final = 5.0
"""How long a worker may take to end its child and itself after the command to stop."""

MAX_REDOS_PER_S: Final = 10_000_000
"""More pages of 8 KiB than any manager can do in a second. A worker that announces more samples is
broken, and must not fill the memory of the suite with them."""

_SAMPLE_BYTES: Final = 8
_CLIENT_BYTES: Final = 4 * _SAMPLE_BYTES  # its head and the redo that ends past the deadline


@dataclass(frozen=True, slots=True)
class SliceReply:
    """A slice as the worker sent it (`bench.worker.protocol`). A series is native-endian int64."""

    payload: bytes
    usage: dict[str, int]
    series: Mapping[str, bytes]
    counts: Mapping[str, int]


class WorkerProcess:
    """One worker, and the commands and replies. A context manager: leaving it ends the worker."""

    def __init__(
        self,
        spec: WorkerSpec,
        timeout_s: float,
        python: str = sys.executable,
        program: Path | None = None,
    ) -> None:
        """Starts the worker on that interpreter and opens its case. Raises RunFailedError.

        The run must be done within ``timeout_s``. ``program``: of another copy of the code.
        """
        self._deadline_s = time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self._received = bytearray()
        self._clients = spec.clients
        try:
            self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
            try:
                self._process = processes.start_group(
                    (python, "-I", "-S", str(program or WORKER)),
                    self._stderr,
                    subprocess.PIPE,
                    {**os.environ, **_SETTINGS},
                )
            except BaseException:
                self._stderr.close()
                raise
        except OSError as error:
            # No memory for a process or no room on the disk: that may pass before the next run.
            raise RunFailedError(f"the worker cannot be started ({reason_of(error)})") from error
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
            lengths = ((str(name), int(n)) for name, n in reply.get("series", {}).items())
            sizes = {name: max(0, n) * _SAMPLE_BYTES for name, n in lengths}
            # Checked before they are read, since they would all be held in memory.
            most = round(seconds * MAX_REDOS_PER_S) * _SAMPLE_BYTES
            total = size + sum(sizes.values())
            if total > most + self._clients * _CLIENT_BYTES + READ_BYTES:
                raise ValueError(f"{total} bytes of samples in {seconds:g} s")  # noqa: TRY301
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise self._nonsense(error) from error
        payload = self._take(size)
        series = {name: self._take(length) for name, length in sizes.items()}
        return SliceReply(payload, usage, series, counts)

    def report(self) -> dict[str, Any]:
        """The worker's report on its run. Raises RunFailedError."""
        return self._ask({"command": "report"}, "report")

    def stop(self) -> None:
        """Lets the worker end its case and itself. Raises RunFailedError."""
        self._deadline_s = min(self._deadline_s, time.monotonic() + STOP_S)
        self._ask({"command": "stop"}, "stopped")

    def end(self) -> None:
        """Kills the worker and everything that it started, in whatever state it is."""
        processes.end_group(self._process)
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                stream.close()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
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
            if len(self._received) > READ_BYTES:
                raise self._failed("the worker talks nonsense (a line without an end)")
            self._read_more()
        return self._take(end + 1)

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            self._read_more()
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    def _read_more(self) -> None:
        """Waits for more output and keeps it. Raises RunFailedError."""
        try:
            data = processes.next_output(self._process, self._deadline_s)
        except TimeoutError:
            raise self._failed(f"not done within {self._timeout_s:g} s (--run-timeout-s)") from None
        if not data:
            raise self._failed(f"the worker {processes.how_it_ends(self._process)}")
        self._received += data

    def _nonsense(self, error: Exception) -> RunFailedError:
        return self._failed(f"the worker talks nonsense ({type(error).__name__}: {error})")

    def _failed(self, reason: str) -> RunFailedError:
        return processes.failed(reason, self._stderr)
