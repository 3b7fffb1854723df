"""The C floor as a subject: its program is the manager and its clients in one (pipe_floor.c)."""

from __future__ import annotations

import contextlib
import subprocess
from array import array
from collections.abc import Mapping
from typing import Final

from bench.cases.names import PIPE_BYTES, SHM
from bench.worker.clients.slice import SliceOutcome
from bench.worker.meters import DescendantsMeter, Meter, ProcessMeter, used_before, used_since
from bench.worker.protocol import REDO_END, WorkerSpec
from bench.worker.subjects.subject import Fact, SubjectError

_HEAD_BYTES: Final = 3 * 8
"""Start, end and redos of a client, which come before all latencies."""


_MAX_SPIN_US: Final = 1000
"""The floor and the children spin no longer than that, whatever a manager does."""


class FloorSubject:
    """The C floor. ``meters``: its process and its child's."""

    def __init__(self, spec: WorkerSpec) -> None:
        assert spec.floor_program is not None
        self._clients = spec.clients
        self._counters = {"read_calls": 0, "write_calls": 0, "poll_calls": 0}
        self._process = subprocess.Popen(
            (
                *(spec.floor_program, "--requests", spec.requests, "--pages", spec.pages),
                *("--window", str(spec.clients), *_way_of(spec), "--ends", "yes", "--"),
                *spec.child_command,
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            (child_pid,) = self._numbers_after("ready", 1)
        except BaseException:
            self.close()
            raise
        self.child_pids = (child_pid,)
        self.meters: tuple[Meter, Meter] = (
            ProcessMeter(self._process.pid, "floor"),
            DescendantsMeter(self._process.pid),
        )

    def run_slice(self, seconds: float) -> SliceOutcome:
        before = used_before(self.meters)
        self._send(f"slice {round(seconds * 1e9)}")
        size, reads, writes, polls = self._numbers_after("slice", 4)
        payload = self._read(size)
        for name, calls in (("read_calls", reads), ("write_calls", writes), ("poll_calls", polls)):
            self._counters[name] += calls
        used = used_since(self.meters, before)
        head, ends = self._clients * _HEAD_BYTES, array("q")
        latencies = (size - head) // 2  # as many bytes of ends follow those of latencies
        ends.frombytes(payload[head + latencies :])
        return SliceOutcome(payload[: head + latencies], used, {REDO_END: ends})

    def counters(self) -> Mapping[str, int]:
        return dict(self._counters)

    def facts(self) -> Mapping[str, Fact]:
        return {}

    def close(self) -> None:
        # At the end of its input the program ends its child and itself.
        assert self._process.stdin and self._process.stdout
        with contextlib.suppress(BrokenPipeError):  # it ended before it read its last command
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _send(self, command: str) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(f"{command}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error

    def _numbers_after(self, word: str, count: int) -> list[int]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        name, *numbers = line.decode().split() or [""]
        if name != word or len(numbers) != count or not all(n.isdecimal() for n in numbers):
            raise self._ended() if not line else SubjectError(f"the floor said {line!r}")
        return [int(number) for number in numbers]

    def _read(self, size: int) -> bytes:
        assert self._process.stdout
        data = self._process.stdout.read(size)
        if len(data) < size:
            raise self._ended()
        return data

    def _ended(self) -> SubjectError:
        return SubjectError(f"the floor ended with status {self._process.wait()}")


def _way_of(spec: WorkerSpec) -> tuple[str, ...]:
    """The options that say how requests and pages travel. Pipes that are doorbells keep the size
    that the kernel gives them."""
    if spec.transport != SHM:
        return ("--pipe-bytes", str(PIPE_BYTES))
    return ("--transport", SHM, "--spin-us", str(min(spec.spin_us, _MAX_SPIN_US)))
