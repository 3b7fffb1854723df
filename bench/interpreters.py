"""The interpreters that workers run on: found and asked what they are, before anything is launched.

An interpreter is chosen as ``this`` (the suite's own), ``NAME`` (looked up as a shell does),
``PATH``, or ``LABEL=PATH``. Cases and result files know it by its label, which without ``LABEL=``
is the file's name; a path is no business of theirs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.names import OLDEST_PYTHON, THIS_PYTHON, python_label

_ASKED: Final = """\
import importlib.util, json, sys, sysconfig
found = importlib.util.find_spec("uvloop")
print(json.dumps({
    "implementation": sys.implementation.name,
    "version": sys.version_info[:3],
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "uvloop": found and found.origin,
}))
"""
_ASK_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A program that runs workers. ``description``: what it is, without its place.
    ``uvloop_folder``: what its workers need on their path to import uvloop; None if it has none."""

    program: str
    description: str
    uvloop_folder: str | None


def find_interpreters(choices: Iterable[str]) -> Mapping[str, Interpreter]:
    """The chosen interpreters by label, the suite's own among them. Raises BenchError."""
    chosen = dict.fromkeys((THIS_PYTHON, *choices))
    return {python_label(choice): _interpreter(choice) for choice in chosen}


def _interpreter(choice: str) -> Interpreter:
    program = sys.executable if choice == THIS_PYTHON else _program(choice)
    said = _ask(program)
    oldest = ".".join(map(str, OLDEST_PYTHON))
    try:
        implementation, version = str(said["implementation"]), tuple(map(int, said["version"]))
        free_threaded, uvloop = bool(said["free_threaded"]), said["uvloop"]
        uvloop_folder = None if uvloop is None else str(Path(uvloop).parent.parent)
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable(program, "it is no Python interpreter") from error
    number = ".".join(map(str, version))
    if implementation != "cpython":
        raise _unusable(program, f"it is {implementation} {number}, and workers run on CPython")
    if version < OLDEST_PYTHON:
        raise _unusable(program, f"it is Python {number}, and workers need {oldest} or later")
    description = f"CPython {number}{' free-threaded' if free_threaded else ''}"
    return Interpreter(program, description, uvloop_folder)


def _program(choice: str) -> str:
    label, equals, path = choice.partition("=")
    wanted = path if equals else label
    found = shutil.which(wanted)
    if found is None:
        raise BenchError(
            f"--python {choice}: there is no program {wanted}: name the interpreter by its path,"
            f" as {python_label(choice)}=PATH"
        )
    # Not resolved further: a virtual environment's interpreter is known by its link.
    return str(Path(found).absolute())


def _ask(program: str) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [program, "-I", "-c", _ASKED],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ASK_TIMEOUT_S,
            check=True,
        )
        said = json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise _unusable(program, f"it says nothing within {_ASK_TIMEOUT_S:g} s") from error
    except OSError as error:
        raise _unusable(program, error.strerror or str(error)) from error
    except (subprocess.CalledProcessError, ValueError) as error:
        raise _unusable(program, "it is no Python interpreter that works") from error
    if not isinstance(said, dict):
        raise _unusable(program, "it is no Python interpreter")
    return said


def _unusable(program: str, problem: str) -> BenchError:
    return BenchError(f"--python {program}: {problem}")
