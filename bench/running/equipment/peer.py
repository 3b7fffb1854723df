"""Checks a peer and makes the files that it needs, before anything is launched.

A peer is a program of the user with a manager of its own, perhaps in another language. docs/peer.md
describes its interface. `bench.running.peer` runs it.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cases.config import Config
from bench.cases.managers.yours import is_peer
from bench.cases.own import workload_label
from bench.cases.placement import ANY
from bench.errors import BenchError
from bench.running.equipment.traffic import requests_of

_INTERFACE = "docs/peer.md"


@dataclass(frozen=True, slots=True)
class PeerProgram:
    """``children``: for each kind of child a path that runs it without arguments. ``requests``: for
    each workload a file with one whole request."""

    program: Path
    sha256: str
    children: Mapping[str, Path]
    requests: Mapping[str, Path]


def check_peer(config: Config) -> None:
    """Raises BenchError if the configuration has a peer that cannot be run."""
    peers = [name for name in config.manager if is_peer(name)]
    if not peers:
        return
    if not config.peer:
        raise BenchError(
            f"{peers[0]}: which program is it? Name it with --peer PATH ({_INTERFACE})"
        )
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
            f"{peers[0]} has no ping, only whole redos ({_INTERFACE}): leave out the workload ping,"
            " or the peer"
        )
    for placement in config.placement:
        if placement != ANY:
            raise BenchError(
                f"{peers[0]} starts its child itself, so the suite cannot give both their CPUs:"
                f" leave out the placement {placement}, or the peer"
            )


def prepare_peer(
    config: Config, child_commands: Mapping[str, Sequence[str]], folder: Path
) -> PeerProgram:
    """Writes the peer's files into the folder. Raises BenchError, OSError."""
    program = Path(config.peer).resolve()
    try:
        sha256 = hashlib.sha256(program.read_bytes()).hexdigest()
    except OSError as error:
        raise BenchError(f"--peer {config.peer}: cannot be read ({error.strerror})") from error
    requests = {}
    for choice in config.workload:
        workload = workload_label(choice)
        requests[workload] = folder / f"{workload}.request"
        requests[workload].write_bytes(requests_of(choice, config.seed)[0].serialise())
    children = {
        kind: _without_arguments(command, folder / f"{kind}-child")
        for kind, command in child_commands.items()
    }
    return PeerProgram(program=program, sha256=sha256, children=children, requests=requests)


def _without_arguments(command: Sequence[str], script: Path) -> Path:
    """A path that runs the command: its program, or a script that starts it."""
    if len(command) == 1:
        return Path(command[0])
    # exec: the peer kills and waits for its child, which must be the redo child and not a shell.
    script.write_text(f"#!/bin/sh\nexec {shlex.join(command)}\n")
    script.chmod(0o700)
    return script
