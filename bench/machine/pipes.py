"""Whether the kernel grants the managers' pipes their size.

The pipes of a user without privilege may hold so many pages in all. Once they do, a new pipe stays
small. The side of an A/B measurement that is launched second can then get smaller pipes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, Final

from bench.cases.names import PIPE_BYTES
from bench.machine.finding import Finding, disturbs, fine, unknown

if TYPE_CHECKING:
    from bench.machine.machine import Machine

_LARGE: Final = 4
"""Pipes to and from the children of both sides of `ab`, which live at the same time."""
_FURTHER: Final = 8
"""Pipes of their workers, and for stderr."""
_MAX_SIZE: Final = "fs.pipe-max-size"
_ALLOWANCES: Final = ("fs.pipe-user-pages-soft", "fs.pipe-user-pages-hard")


def granted_bytes() -> int | None:
    """The size of the smallest of as many new pipes as `ab` has at once, each of which asks for
    `PIPE_BYTES`; None if it cannot be tried. All are closed again."""
    with contextlib.ExitStack() as stack:
        try:
            pipes = []
            for _ in range(_LARGE + _FURTHER):
                ends = os.pipe()
                for end in ends:
                    stack.callback(os.close, end)
                pipes.append(ends[0])
            for pipe in pipes[:_LARGE]:
                with contextlib.suppress(OSError):
                    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            return min(fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) for pipe in pipes[:_LARGE])
        except (AttributeError, OSError):  # another system, or no descriptors are left
            return None


def pipes(machine: Machine) -> Finding:
    granted = machine.pipe_bytes
    if granted is None:
        return unknown("How large a pipe may be cannot be seen here.")
    if granted >= PIPE_BYTES:
        return fine(f"New pipes have the {PIPE_BYTES} bytes that managers ask for.")
    reason, advice, command = _refused(machine)
    return disturbs(
        f"Of the {PIPE_BYTES} bytes that a manager asks for its pipes get {granted}: {reason}."
        " Smaller pipes take more system calls, and results whose pipes differ do not compare.",
        advice,
        command,
        brief=f"pipes of {granted} bytes",
    )


def why_they_differ(machine: Machine) -> str:
    """The reason, and the way out, in one line: for pipes of two workers that are not alike."""
    if machine.pipe_bytes == PIPE_BYTES:
        return "the two ask for different sizes, or the kernel refused one of them for a moment"
    reason, advice, command = _refused(machine)
    return f"{reason}; {advice}: {command}"


def _refused(machine: Machine) -> tuple[str, str, str]:
    """Why a pipe is small, what to do about it, and a command that does it."""
    most = machine.number(_path(_MAX_SIZE))
    if most is not None and most < PIPE_BYTES:
        reason = f"{_MAX_SIZE} allows a pipe {most} bytes"
        return reason, "raise it", f"sudo sysctl {_MAX_SIZE}={PIPE_BYTES}"
    pages = {name: machine.number(_path(name)) for name in _ALLOWANCES}
    # 0 stands for no limit.
    limits = [(number, name) for name, number in pages.items() if number]
    number, name = min(limits, default=(None, _ALLOWANCES[0]))
    seen = "" if number is None else f" ({number} pages)"
    raised = 0 if number is None else 4 * number
    reason = f"this user's pipes use up {name}{seen}"
    return reason, "end what holds pipes, or raise it", f"sudo sysctl {name}={raised}"


def _path(setting: str) -> str:
    return f"proc/sys/{setting.replace('.', '/')}"
