"""Workloads and children of the user's: how they are chosen, and their names in cases.

A choice is ``file:PATH`` or ``cmd:COMMAND``, or has a label, as ``file:LABEL=PATH``. The label of a
choice without one is the file's name up to its first dot. Cases and result files hold the label
alone, as ``file:LABEL``, and no path. Standard library only, because the worker imports it.
"""

from __future__ import annotations

import re
import shlex
from typing import Final

from bench.cases.names import CHILDREN, WORKLOADS, unknown

FILE: Final = "file:"
"""Begins a workload that is a file of requests (docs/extending.md)."""

COMMAND: Final = "cmd:"
"""Begins a child that is a program of the user's."""

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]*")


def is_own_workload(choice: str) -> bool:
    """Whether that workload is a file of the user's."""
    return choice.startswith(FILE)


def workload_label(choice: str) -> str:
    """The name of a workload in cases: its own, or ``file:LABEL``. Raises ValueError if the choice
    is no workload."""
    if is_own_workload(choice):
        if (label := _label_and_rest(choice, FILE)[0]) is not None:
            return FILE + label
        raise ValueError(
            f"{choice!r}: expected file:PATH or file:LABEL=PATH, with a label (or a file's name up"
            " to its first dot) of letters, digits and _ + -"
        )
    if choice in WORKLOADS:
        return choice
    raise ValueError(unknown("workload", choice, (*WORKLOADS, "file:PATH")))


def workload_path(choice: str) -> str:
    """The path of a workload that is a file."""
    return _label_and_rest(choice, FILE)[1]


def _label_and_rest(choice: str, prefix: str) -> tuple[str | None, str]:
    """The label, given or made from the first word, and the rest; None if no label is valid."""
    text = choice.removeprefix(prefix)
    label, equals, rest = text.partition("=")
    if equals and _LABEL.fullmatch(label):
        return (label, rest) if rest else (None, rest)
    stem = text.split(maxsplit=1)[0].rpartition("/")[2].partition(".")[0] if text.strip() else ""
    return (stem if _LABEL.fullmatch(stem) else None), text


def is_own_child(choice: str) -> bool:
    """Whether that child is a program of the user's."""
    return choice.startswith(COMMAND)


def child_label(choice: str) -> str:
    """The name of a child in cases: its own, or ``cmd:LABEL``. Raises ValueError if the choice is
    no child."""
    if is_own_child(choice):
        label, command = _label_and_rest(choice, COMMAND)
        if label is not None and _words(command):
            return COMMAND + label
        raise ValueError(
            f"{choice!r}: expected cmd:COMMAND or cmd:LABEL=COMMAND, quoted as in a shell, with a"
            " label (or a program's name up to its first dot) of letters, digits and _ + -"
        )
    if choice in CHILDREN:
        return choice
    raise ValueError(unknown("child", choice, (*CHILDREN, "cmd:COMMAND")))


def child_words(choice: str) -> list[str]:
    """The command of a child that is a program of the user's."""
    return _words(_label_and_rest(choice, COMMAND)[1])


def _words(command: str) -> list[str]:
    """The words of a command; empty if a shell could not split it."""
    try:
        return shlex.split(command)
    except ValueError:
        return []
