"""Whole suites in processes and sessions of their own, so that what one leaves behind is found."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.places import ROOT

LIMIT_S = 90.0
"""No suite of a test takes this long; one that does has failed."""


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        return self.err.splitlines()[-1]


class Suite:
    """One suite in a process and a session of its own, with a place for its temporary files."""

    def __init__(self, folder: Path, *command: str, program: tuple[str, ...] = ("-m", "bench")):
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        # A test run in the background (or under nohup) may ignore them, and so would all that it
        # starts.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        hang_up = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        try:
            self.process = subprocess.Popen(
                [sys.executable, *program, *command],
                cwd=ROOT,
                env=os.environ | {"TMPDIR": str(self.temporary), "COLUMNS": "80"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        finally:
            signal.signal(signal.SIGINT, before)
            signal.signal(signal.SIGHUP, hang_up)
        self._heard = ""

    def hears(self, line: str) -> None:
        """Waits until it has said so on stderr."""
        assert self.process.stderr
        for heard in self.process.stderr:
            self._heard += heard
            if line in heard:
                return
        raise AssertionError(f"it ended without {line!r}: {self._heard}")

    def end(self) -> Ended:
        """Its outcome; nothing of it is left, neither processes nor temporary files."""
        out, err = self.process.communicate(timeout=LIMIT_S)
        left = session_of(self.process.pid)
        self.kill()
        assert left == set()
        assert list(self.temporary.iterdir()) == []
        return Ended(self.process.returncode, out, self._heard + err)

    def kill(self) -> None:
        kill_session(self.process.pid)
        self.process.communicate()


def ends_of(suites: Sequence[Suite]) -> list[Ended]:
    """Their outcomes. If one does not end, none is left running."""
    try:
        return [suite.end() for suite in suites]
    finally:
        for suite in suites:
            suite.kill()


def session_of(leader: int) -> set[int]:
    """The processes of its session, zombies aside."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(session) == leader and state != "Z":
            found.add(int(path.parent.name))
    return found


def kill_session(leader: int) -> None:
    """Kills what is left of it."""
    for pid in session_of(leader):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def run(folder: Path, *command: str, program: tuple[str, ...] = ("-m", "bench")) -> Ended:
    suite = Suite(folder, *command, program=program)
    try:
        return suite.end()
    finally:
        if suite.process.poll() is None:
            suite.kill()
