"""Checks a peer, makes the files that it needs, and runs it: once for each slice.

A peer is a program of the user with a manager of its own, perhaps in another language (docs/peer.md
describes its interface). It reports what its clients saw on average and nothing about single redos,
so the slices of its run are summaries. Whatever it does fails its own run only, and leaves no
process behind.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from bench.cases.case import Case, ChildVariant
from bench.cases.config import Config
from bench.cases.managers.yours import PEER_PREFIX, is_peer
from bench.cases.own import workload_label
from bench.cases.placement import ANY
from bench.errors import BenchError, SampleError, reason_of
from bench.results.measures import redos as measures
from bench.results.record import RunRecord
from bench.results.samples import REDOS_PER_CLIENT, SliceSummary
from bench.running import processes
from bench.running.equipment.workloads import requests_of
from bench.running.processes import RunFailedError, failed
from bench.running.watched import watch, watched
from bench.running.worker_process import MAX_REDOS_PER_S

_WARMUP_REDOS: Final = 400
"""Redos of the first call, which only shows how fast the program is; at least 4 per client."""

_MAX_OUTPUT_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class PeerProgram:
    """``children``: for each child a path that runs it without arguments. ``requests``: for
    each workload a file with one whole request."""

    program: Path
    sha256: str
    children: Mapping[ChildVariant, Path]
    requests: Mapping[str, Path]


def check_peer(config: Config) -> None:
    """Raises BenchError if the configuration has a peer that cannot be run."""
    for matrix in config.matrices():
        _check_peer(matrix)


def _check_peer(config: Config) -> None:
    peers = [name for name in config.manager if is_peer(name)]
    if not peers:
        return
    if not config.peer:
        how = "Name it with --peer PATH (docs/peer.md)"
        raise BenchError(f"{peers[0]}: which program is it? {how}")
    path = Path(config.peer)
    try:
        is_program = path.is_file() and os.access(path, os.X_OK)
        problem = "is not an executable file" if path.exists() else "there is no such file"
    except OSError as error:
        is_program, problem = False, error.strerror or str(error)
    if not is_program:
        raise BenchError(f"--peer {path}: {problem}: name the program that {peers[0]} is")
    if "ping" in config.workload:
        raise BenchError(
            f"{peers[0]} has no ping, only whole redos (docs/peer.md): leave out the workload ping,"
            " or the peer"
        )
    for placement in config.placement:
        if placement != ANY:
            raise BenchError(
                f"{peers[0]} starts its child itself, so the suite cannot give both their CPUs:"
                f" leave out the placement {placement}, or the peer"
            )


def prepare_peer(
    config: Config, child_commands: Mapping[ChildVariant, Sequence[str]], folder: Path
) -> PeerProgram:
    """Writes the peer's files into the folder. Raises BenchError, OSError."""
    program = Path(config.peer).resolve()
    try:
        sha256 = hashlib.sha256(program.read_bytes()).hexdigest()
    except OSError as error:
        raise BenchError(f"--peer {config.peer}: cannot be read ({error.strerror})") from error
    requests = {}
    with_peer = [one for one in config.matrices() if any(map(is_peer, one.manager))]
    for choice in dict.fromkeys(choice for matrix in with_peer for choice in matrix.workload):
        workload = workload_label(choice)
        requests[workload] = folder / f"{workload}.request"
        requests[workload].write_bytes(requests_of(choice, config.seed)[0].serialise())
    children = {}
    for number, (variant, command) in enumerate(child_commands.items()):
        children[variant] = Path(command[0])
        if len(command) > 1:
            script = children[variant] = folder / f"{variant.kind}-child-{number}"
            # exec: the peer kills and waits for its child, which must not be a shell.
            script.write_text(f"#!/bin/sh\nexec {shlex.join(command)}\n")
            script.chmod(0o700)
    return PeerProgram(program, sha256, children, requests)


def measure_peer(case: Case, round_number: int, config: Config, peer: PeerProgram) -> RunRecord:
    """Runs the case: one call for the warm-up, one for each slice. Raises RunFailedError."""
    call = _Call(case, peer, config.run_timeout_s)
    warmup = call(max(_WARMUP_REDOS, 4 * case.clients))
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
            *(str(peer.program), self._kind, str(peer.children[case.child_variant])),
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
            raise RunFailedError(f"the peer cannot be started ({reason_of(error)})") from error

    def _output_of(self, command: tuple[str, ...], stderr: IO[bytes]) -> bytes:
        """What the command prints. Raises RunFailedError unless it ends well and in time."""
        process = processes.start_group(command, stderr, subprocess.DEVNULL)
        output = b""
        try:
            while data := processes.next_output(process, self._deadline_s):
                output += data
                if len(output) > _MAX_OUTPUT_BYTES:
                    raise failed("the peer talks nonsense (more than one line)", stderr)
            how = processes.how_it_ends(process)
            if process.returncode != 0:
                raise failed(f"the peer {how}", stderr)
        except TimeoutError:
            problem = f"the peer is not done within {self._timeout_s:g} s (--run-timeout-s)"
            raise failed(problem, stderr) from None
        finally:
            processes.end_group(process)
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
        if not (0 < mean_us < math.inf and 0 < redos_per_s <= MAX_REDOS_PER_S):
            raise ValueError(f"mean_us {mean_us:g}, redos_per_s {redos_per_s:g}")
        return SliceSummary(
            clients=self._case.clients,
            redos=redos,
            wall_ns=round(redos / redos_per_s * 1e9),
            clients_ns=round(mean_us * redos * 1e3),
        )
