"""Finds the managers and children that the user brings, before anything is measured.

A manager is tried on every interpreter that workers run on: they run `bench.worker.own_manager`,
which holds what a manager must have.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.cases.config import Config
from bench.cases.managers.yours import is_own_manager
from bench.cases.own import child_label, child_words
from bench.errors import BenchError
from bench.places import ROOT
from bench.running.equipment.interpreters import ANSWER_S, Interpreter, output_of

_PROBE: Final = ROOT / "bench" / "worker" / "own_manager.py"


@dataclass(frozen=True, slots=True)
class OwnManager:
    """``path``: the folders that a worker needs to import it. ``sha256``: of its module's file."""

    path: tuple[str, ...]
    sha256: str


def find_managers(
    config: Config, interpreters: Mapping[str, Interpreter]
) -> Mapping[str, OwnManager]:
    """The user's managers by name, each made once on every interpreter. Raises BenchError."""
    found = {}
    for name in filter(is_own_manager, config.values("manager")):
        path = _path_of(name)
        for label in config.labels("python"):
            sha256 = _probed(name, path, interpreters[label].program)
            found[name] = OwnManager(path, sha256)
    return found


def _path_of(name: str) -> tuple[str, ...]:
    """The folder of its top module, found as ``python -m`` finds it, and those of PYTHONPATH."""
    top = name.partition(":")[0].partition(".")[0]
    spec = importlib.machinery.PathFinder.find_spec(top, [str(Path.cwd()), *sys.path])
    if spec is None:
        where = "in the current folder, on PYTHONPATH or among what is installed"
        raise _unusable(name, f"there is no module {top} {where}")
    places = list(spec.submodule_search_locations or [str(spec.origin)])
    further = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    folders = (Path(places[0]).parent, *map(Path, further))
    return tuple(dict.fromkeys(str(folder.absolute()) for folder in folders))


def _probed(name: str, path: tuple[str, ...], python: str) -> str:
    """The hash of the module's file, as that interpreter finds it. Raises BenchError."""
    try:
        output = output_of(python, "-I", "-S", "-B", str(_PROBE), name, *path)
        # Importing the user's module may print: the answer is the last line.
        answer: Any = json.loads(output.rpartition(b"\n")[2])
        if "problem" in answer:
            raise _unusable(name, answer["problem"])
        return hashlib.sha256(Path(answer["file"]).read_bytes()).hexdigest()
    except subprocess.TimeoutExpired as error:
        raise _unusable(name, f"is not made within {ANSWER_S:g} s") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="backslashreplace").splitlines()
        status = ": ".join([f"{error.returncode}", *lines[-1:]])
        raise _unusable(name, f"the interpreter ends with status {status}") from error
    except (OSError, ValueError) as error:
        raise _unusable(name, f"its module cannot be read ({error})") from error


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
            content = Path(word).read_bytes() if Path(word).is_file() else word.encode()
        except OSError as error:
            raise BenchError(f"--child {choice}: {word}: {error.strerror}") from error
        digest.update(hashlib.sha256(content).digest())
    return OwnChild(command, digest.hexdigest())
