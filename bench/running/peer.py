"""One run of a peer, from the launch to a RunRecord: the user's program runs once for each slice.

The program reports what its clients saw on average and nothing about single redos, so the slices of
its run are summaries. Whatever it does fails its own run only, and leaves no process behind.
"""

from __future__ import annotations

import json
import math
import subprocess
import tempfile
import time
from typing import IO, Any, Final

from bench.cases.case import Case
from bench.cases.config import Config
from bench.cases.managers.yours import PEER_PREFIX
from bench.errors import SampleError
from bench.results.measures import redos as measures
from bench.results.record import RunRecord
from bench.results.samples import REDOS_PER_CLIENT, SliceSummary
from bench.running.equipment.peer import PeerProgram
from bench.running.processes import (
    RunFailedError,
    end_group,
    failed,
    how_it_ends,
    next_output,
    start_group,
)
from bench.running.watched import watch, watched
from bench.running.worker_process import MOST_REDOS_PER_S

WARMUP_REDOS: Final = 400
"""Redos of the first call, which only shows how fast the program is; at least 4 per client."""

_WARMUP_PER_CLIENT: Final = 4
_MOST_OUTPUT_BYTES: Final = 1 << 16
_NS_PER_S: Final = 1_000_000_000
_NS_PER_US: Final = 1_000


def measure_peer(case: Case, round_number: int, config: Config, peer: PeerProgram) -> RunRecord:
    """Runs the case: one call for the warm-up, one for each slice. Raises RunFailedError."""
    call = _Call(case, peer, config.run_timeout_s)
    warmup = call(max(WARMUP_REDOS, _WARMUP_PER_CLIENT * case.clients))
    slices: list[SliceSummary] = []
    begun = watch()
    for _ in range(config.slices):
        # The last call shows how many redos fill a slice better than the short warm-up does.
        last = slices[-1] if slices else warmup
        slices.append(call(round(measures.throughput_per_s([last]) * config.slice_s)))
    return RunRecord(
        case=case,
        round=round_number,
        slices=tuple(slices),
        warmups=((max(1, warmup.redos // case.clients), measures.time_per_redo_s([warmup])),),
        worker_metadata=watched(begun),
    )


class _Call:
    """Calls the program. All calls of a run together must be done in ``timeout_s``."""

    def __init__(self, case: Case, peer: PeerProgram, timeout_s: float) -> None:
        self._case = case
        self._kind = case.manager.removeprefix(PEER_PREFIX)
        self._command = (
            *(str(peer.program), self._kind, str(peer.children[case.child])),
            *(str(peer.requests[case.workload]), str(case.clients)),
        )
        self._timeout_s = timeout_s
        self._deadline_s = time.monotonic() + timeout_s

    def __call__(self, redos: int) -> SliceSummary:
        """Has the program make about so many redos, the same number for each client."""
        clients = self._case.clients
        redos = max(REDOS_PER_CLIENT, math.ceil(redos / clients)) * clients
        try:
            with tempfile.TemporaryFile() as stderr:
                output = self._output_of((*self._command, str(redos)), stderr)
                try:
                    return self._summary(output, redos)
                except (KeyError, TypeError, ValueError, RecursionError, SampleError) as error:
                    problem = f"the peer talks nonsense ({type(error).__name__}: {error})"
                    raise failed(problem, stderr) from error
        except OSError as error:
            # A file that may be executed need not be a program.
            raise RunFailedError(
                f"the peer cannot be started ({error.strerror or error})"
            ) from error

    def _output_of(self, command: tuple[str, ...], stderr: IO[bytes]) -> bytes:
        """What the command prints. Raises RunFailedError unless it ends well and in time."""
        process = start_group(command, stderr, subprocess.DEVNULL)
        output = b""
        try:
            while data := next_output(process, self._deadline_s):
                output += data
                if len(output) > _MOST_OUTPUT_BYTES:
                    raise failed("the peer talks nonsense (more than one line)", stderr)
            how = how_it_ends(process)
            if process.returncode != 0:
                raise failed(f"the peer {how}", stderr)
        except TimeoutError:
            problem = f"the peer is not done within {self._timeout_s:g} s (--run-timeout-s)"
            raise failed(problem, stderr) from None
        finally:
            end_group(process)
            assert process.stdout
            process.stdout.close()
        return output

    def _summary(self, output: bytes, redos: int) -> SliceSummary:
        """The line that it printed. Raises an error of any kind if it does not answer the call."""
        lines = output.splitlines()
        if len(lines) != 1:
            raise ValueError(f"{len(lines)} lines instead of one")
        answer: dict[str, Any] = json.loads(lines[0])
        asked = {"kind": self._kind, "clients": self._case.clients, "redos": redos}
        for name, value in asked.items():
            if answer[name] != value:
                raise ValueError(f"{name} is {answer[name]!r:.60}, not {value!r}")
        mean_us, redos_per_s = float(answer["mean_us"]), float(answer["redos_per_s"])
        if not (0 < mean_us < math.inf and 0 < redos_per_s <= MOST_REDOS_PER_S):
            raise ValueError(f"mean_us {mean_us:g}, redos_per_s {redos_per_s:g}")
        return SliceSummary(
            clients=self._case.clients,
            redos=redos,
            wall_ns=round(redos / redos_per_s * _NS_PER_S),
            clients_ns=round(mean_us * redos * _NS_PER_US),
        )
