"""The end of an output in a terminal of 100 columns and 50 lines: the whole verdict is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.places import ROOT
from tests.support.suites import LIMIT_S
from tests.support.surroundings import TINY, open_terminal, read_all

LINES, COLUMNS = 50, 100
ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
NAMED: Final = 11
"""Lines that `make bench` adds below the verdict: a blank one, the result, the page, and two
pictures in two formats for each of two weights of the child."""


def screen(*words: str) -> list[str]:
    """The lines that a command has printed, as a terminal shows them; the last one is where the
    next prompt stands."""
    ours, theirs = open_terminal(LINES, COLUMNS)
    environment = {
        name: text for name, text in os.environ.items() if name not in ("COLUMNS", "LINES")
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", *words],
        cwd=ROOT,
        env=environment | {"TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    output = read_all(ours).decode()
    assert process.wait(LIMIT_S) == 0, output
    printed = ESCAPES.sub("", output).replace("\r\n", "\n")
    # What follows a carriage return is printed over what stood before.
    lines = [line.rpartition("\r")[2] for line in printed.split("\n")]
    assert max(map(len, lines)) <= COLUMNS
    return lines


def test_the_verdict_of_the_default_profile_is_on_one_screen() -> None:
    lines = screen("show", "results/reference/default.json")
    # A file that is shown names no files.
    shown = lines[-(LINES - NAMED) :]
    (begin,) = (at for at, line in enumerate(shown) if line == "default.json")
    verdict = shown[begin:]
    words = " ".join(" ".join(verdict).split())
    for child in (
        "For short and medium requests with a free child, async is ",
        "as real redo (pg14), ",
    ):
        assert child in words
    (heading,) = (
        at for at, line in enumerate(verdict) if line.startswith("child workload manager")
    )
    assert verdict[heading - 1].startswith("Ratio to sync at N = 128 (95 % CI)")
    rows = verdict[heading + 1 : -2]
    assert len(rows) == 6
    # Nothing of a row is on a line of its own.
    assert {len(re.findall(r"\(.*?\) [-+=?]", row)) for row in rows} == {3}
    assert verdict[-2].startswith("Compared with sync: + better")


def test_the_verdict_of_a_run_is_on_one_screen(tmp_path: Path) -> None:
    lines = screen(*TINY, "-o", str(tmp_path / "r.json"), "--plot", "--report")
    at = lines.index("r.json")
    assert len(lines) - at <= LINES
    assert any("t/redo" in line for line in lines[:at])
    verdict = " ".join(lines[at:])
    assert "- For short requests with a free child, " in verdict
    assert any(line.startswith("short     async ") for line in lines[at:])
    assert lines[-2].endswith("r.html")
