"""A worker, driven by hand over its pipes, on a bare interpreter as the suite runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

from bench.results.samples import Int64s, int64s_from
from bench.running.worker_process import WORKER
from bench.worker.protocol import WorkerSpec, encode
from tests.support.children import LIMIT_S

SLICE_S = 0.01


USAGE = {
    f"{process}_{what}"
    for process in ("manager", "child")
    for what in ("cpu_ns", "voluntary_switches", "involuntary_switches")
}


CALLS = {"read_calls", "write_calls", "poll_calls"}


class Worker:
    """A worker and its pipes; leaving the context kills it if it is still there."""

    def __init__(self, *interpreter_options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", *interpreter_options, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdin
        assert self.process.stdout
        assert self.process.stderr
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.stderr = self.process.stderr
        self.series: dict[str, Int64s] = {}

    def __enter__(self) -> Worker:
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
            with suppress(BrokenPipeError):
                stream.close()

    def send(self, message: Mapping[str, Any] | bytes) -> None:
        self.stdin.write(message if isinstance(message, bytes) else encode(dict(message)))
        self.stdin.flush()

    def reply(self) -> dict[str, Any]:
        line = self.stdout.readline()
        assert line.endswith(b"\n"), f"the worker ended: {self.stderr_at_end()}"
        message: dict[str, Any] = json.loads(line)
        return message

    def ask(self, message: Mapping[str, Any] | bytes, expected: str) -> dict[str, Any]:
        self.send(message)
        reply = self.reply()
        assert reply["reply"] == expected, reply
        return reply

    def open(self, spec: WorkerSpec) -> dict[str, Any]:
        return self.ask(spec.to_message(), "opened")

    def slice(self, seconds: float = SLICE_S) -> tuple[bytes, dict[str, int]]:
        """Measures a slice. Its series are in ``series`` then, each as integers."""
        reply = self.ask({"command": "slice", "seconds": seconds}, "slice")
        return self.payload_of(reply), reply["usage"]

    def payload_of(self, reply: Mapping[str, Any]) -> bytes:
        """The payload of a slice; keeps the series that follow it."""
        payload = self.stdout.read(reply["payload_bytes"])
        assert len(payload) == reply["payload_bytes"]
        self.series = {
            name: int64s_from(self.stdout.read(8 * count))
            for name, count in reply["series"].items()
        }
        return payload

    def refuses(self, message: Mapping[str, Any] | bytes) -> str:
        """The reason of its error reply, after which it has ended with status 1."""
        reason: str = self.ask(message, "error")["reason"]
        assert self.stdout.read() == b"", "an error is said once and last"
        assert self.process.wait(LIMIT_S) == 1
        return reason

    def ends(self) -> None:
        """It has nothing more to say and ends in good order."""
        self.stdin.close()
        assert self.reply() == {"reply": "stopped"}
        assert self.stdout.read() == b""
        assert self.process.wait(LIMIT_S) == 0

    def stderr_at_end(self) -> str:
        return self.stderr.read().decode()


Spec = Callable[..., WorkerSpec]
"""The fixture ``spec``: makes the spec of a case, of what can run here."""
