"""Finds and checks the interpreters that workers run on, before anything is launched.

An interpreter is chosen as ``this`` (the suite's own), ``NAME`` (looked up as a shell does),
``PATH``, or ``LABEL=PATH``. Cases and result files have its label only, which without ``LABEL=`` is
the name of the file: results are published, and must not contain paths.
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

from bench.cases.names import OLDEST_PYTHON, THIS_PYTHON, python_label
from bench.errors import BenchError
from bench.running.equipment.interpreter_facts import facts

_FACTS: Final = Path(__file__).with_name("interpreter_facts.py")
ANSWER_S: Final = 20.0
"""How long an interpreter may take to answer a question about itself."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A program that runs workers. ``description``: implementation and version, without a path.
    ``uvloop_folder``: what its workers add to their path to import uvloop; None if it has none."""

    program: str
    description: str
    uvloop_folder: str | None


def find_interpreters(choices: Iterable[str]) -> Mapping[str, Interpreter]:
    """The chosen interpreters by label, and always the suite's own. Raises BenchError."""
    chosen = dict.fromkeys((THIS_PYTHON, *choices))
    return {python_label(choice): _interpreter(choice) for choice in chosen}


def _interpreter(choice: str) -> Interpreter:
    is_this = choice == THIS_PYTHON
    program = sys.executable if is_this else _program(choice)
    answer: Any = facts() if is_this else _ask(program)
    oldest = ".".join(map(str, OLDEST_PYTHON))
    try:
        implementation, version = str(answer["implementation"]), tuple(map(int, answer["version"]))
        free_threaded, uvloop = bool(answer["free_threaded"]), answer["uvloop"]
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
    wanted = choice.partition("=")[2] or choice
    found = shutil.which(wanted)
    if found is None:
        raise BenchError(
            f"--python {choice}: there is no program {wanted}: name the interpreter by its path,"
            f" as {python_label(choice)}=PATH"
        )
    # Links are not resolved: an interpreter finds its virtual environment by the path of its link.
    return str(Path(found).absolute())


def _ask(program: str) -> Any:
    """The facts that the program prints, unchecked. Raises BenchError."""
    try:
        return json.loads(output_of(program, "-I", str(_FACTS)))
    except subprocess.TimeoutExpired as error:
        raise _unusable(program, f"it says nothing within {ANSWER_S:g} s") from error
    except OSError as error:
        raise _unusable(program, error.strerror or str(error)) from error
    except (subprocess.CalledProcessError, ValueError) as error:
        raise _unusable(program, "it is no Python interpreter that works") from error


def output_of(*command: str) -> bytes:
    """What the command prints. Raises OSError, SubprocessError."""
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=ANSWER_S, check=True
    ).stdout


def _unusable(program: str, problem: str) -> BenchError:
    return BenchError(f"--python {program}: {problem}")
