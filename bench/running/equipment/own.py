"""Finds the managers and children that the user brings, before anything is measured.

A manager is tried on every interpreter that workers run on: they run `bench.worker.own_manager`,
which holds what a manager must have.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.cases.config import Config
from bench.cases.managers.yours import own_choice
from bench.cases.names import SHM
from bench.cases.own import child_label, child_words
from bench.errors import BenchError
from bench.places import ROOT
from bench.running.equipment.interpreters import ANSWER_S, Interpreter, output_of
from walredo import ManagerConfig, TransportKind, WalredoError, create_manager

_PROBE: Final = Path("bench", "worker", "own_manager.py")
_PING_S: Final = 5.0
"""How long a child may take to start and to answer a ping."""


@dataclass(frozen=True, slots=True)
class OwnManager:
    """``factory``: ``package.module:factory``. ``path``: the folders that a worker needs to import
    it. ``file``: its module, ``sha256`` the hash of that file."""

    factory: str
    path: tuple[str, ...]
    file: Path
    sha256: str

    @property
    def top(self) -> Path:
        """The file or folder of its top module."""
        folder, file = Path(self.path[0]).resolve(), self.file.resolve()
        inside = file.is_relative_to(folder)
        return folder / file.relative_to(folder).parts[0] if inside else file


def find_managers(
    config: Config, interpreters: Mapping[str, Interpreter]
) -> Mapping[str, OwnManager]:
    """The user's managers by name, each made once on every interpreter. Raises BenchError."""
    found = {}
    for choice in config.values("manager"):
        if own := own_choice(choice):
            path = _path_of(own.factory)
            for label in config.labels("python"):
                program = interpreters[label].program
                found[own.name] = _probed(own.factory, path, program, ROOT)
    return found


def of_copy(
    managers: Mapping[str, OwnManager],
    config: Config,
    interpreters: Mapping[str, Interpreter],
    copy: Path,
    in_checkout: Collection[str],
) -> Mapping[str, OwnManager]:
    """The same managers beside the walredo of a copy of the checkout, tried again.

    Those named in ``in_checkout`` are the copy's own, the others come from where they are.
    Raises BenchError.
    """
    if managers and not (copy / _PROBE).exists():
        problem = "its workers are older than managers of your own, and cannot measure them"
        raise _unusable(next(iter(managers.values())).factory, problem)
    found = {}
    for name, manager in managers.items():
        path = manager.path
        if name in in_checkout:
            path = tuple(_in_copy(folder, copy) for folder in path)
        for label in config.labels("python"):
            found[name] = _probed(manager.factory, path, interpreters[label].program, copy)
    return found


def _in_copy(folder: str, copy: Path) -> str:
    """The folder of the copy; the same folder if the copy has none."""
    resolved = Path(folder).resolve()
    if not resolved.is_relative_to(ROOT):
        return folder
    own = copy / resolved.relative_to(ROOT)
    return str(own) if own.exists() else folder


def _path_of(factory: str) -> tuple[str, ...]:
    """The folder of its top module, found as ``python -m`` finds it, and those of PYTHONPATH."""
    top = factory.partition(":")[0].partition(".")[0]
    spec = importlib.machinery.PathFinder.find_spec(top, [str(Path.cwd()), *sys.path])
    if spec is None:
        where = "in the current folder, on PYTHONPATH or among what is installed"
        raise _unusable(factory, f"there is no module {top} {where}")
    places = list(spec.submodule_search_locations or [str(spec.origin)])
    further = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    folders = (Path(places[0]).parent, *map(Path, further))
    return tuple(dict.fromkeys(str(folder.absolute()) for folder in folders))


def _probed(factory: str, path: tuple[str, ...], python: str, code: Path) -> OwnManager:
    """The manager as that interpreter finds it beside that code. Raises BenchError."""
    try:
        output = output_of(python, "-I", "-S", "-B", str(code / _PROBE), factory, *path)
        # Importing the user's module may print: the answer is the last line.
        answer: Any = json.loads(output.rpartition(b"\n")[2])
        if "problem" in answer:
            raise _unusable(factory, answer["problem"])
        file = Path(answer["file"])
        return OwnManager(factory, path, file, hashlib.sha256(file.read_bytes()).hexdigest())
    except subprocess.TimeoutExpired as error:
        raise _unusable(factory, f"is not made within {ANSWER_S:g} s") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="backslashreplace").splitlines()
        status = ": ".join([f"{error.returncode}", *lines[-1:]])
        raise _unusable(factory, f"the interpreter ends with status {status}") from error
    except (OSError, ValueError) as error:
        raise _unusable(factory, f"its module cannot be read ({error})") from error


def _unusable(name: str, problem: str) -> BenchError:
    return BenchError(f"--manager {name}: {problem} (docs/extending.md)")


@dataclass(frozen=True, slots=True)
class OwnChild:
    """``sha256``: of the command's words; for a word that names a file, of its content."""

    command: tuple[str, ...]
    sha256: str


def find_child(choice: str) -> OwnChild:
    """The child of ``cmd:...``. Raises BenchError."""
    first, *arguments = child_words(choice)
    program = shutil.which(first)
    if program is None:
        raise BenchError(
            f"--child {choice}: there is no program {first}: give its command as"
            f" {child_label(choice)}=COMMAND"
        )
    # A child has an empty environment, without PATH: nothing would find the program again.
    command = (str(Path(program).absolute()), *arguments)
    digest = hashlib.sha256()
    for word in command:
        try:
            content = Path(word).read_bytes() if Path(word).is_file() else os.fsencode(word)
        except OSError as error:
            raise BenchError(f"--child {choice}: {word}: {error.strerror}") from error
        digest.update(hashlib.sha256(content).digest())
    return OwnChild(command, digest.hexdigest())


def check_shared_memory(choice: str, child: OwnChild) -> None:
    """Raises BenchError unless that child of the user's answers a ping through shared memory."""
    config = ManagerConfig(
        child_command=child.command, transport=TransportKind.SHM, timeout_s=_PING_S
    )
    manager = create_manager(config)
    logging.disable()  # the error says it all
    try:
        manager.ping()
    except WalredoError as error:
        reason = " ".join(str(error).split())
        raise BenchError(
            f"--child {choice}: does not answer with --shared-memory ({reason}): leave out"
            f" --transport {SHM}, or that child"
        ) from error
    finally:
        manager.shutdown()
        logging.disable(logging.NOTSET)
