"""The command line in this process, in a folder of its own, with runs that are made up."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.cli.main import main
from bench.results.record import RunRecord
from tests.support.synthetic import steady_record

RUN = "run --profile quick --manager sync --workload short --clients 1 --child python"
"""A suite of one case that needs no compiler."""


class Bench:
    """The command line in a folder of its own. Runs are made up; ``ran`` notes them."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.ran: list[tuple[int, Case]] = []
        self.error: Mapping[int, BaseException] = {}
        """What the run with that number, from 1, raises."""
        self.meanwhile: Mapping[int, Callable[[], object]] = {}
        """What else happens in the run with that number."""

    def __call__(self, command: str | Sequence[str]) -> tuple[int, str, str]:
        """Status, stdout and stderr."""
        status = main(command.split() if isinstance(command, str) else command)
        said = self._capsys.readouterr()
        return status, said.out, said.err

    def measure(self, case: Case, number: int, **_: object) -> RunRecord:
        self.ran.append((number, case))
        if happens := self.meanwhile.get(len(self.ran)):
            happens()
        if error := self.error.get(len(self.ran)):
            raise error
        return steady_record(case, number)

    def files(self) -> dict[str, bytes]:
        """Everything below the folder."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes() if path.is_file() else b""
            for path in self.folder.rglob("*")
        }

    def refuses(self, command: str | Sequence[str]) -> str:
        """The one line on stderr with which it exits 2; nothing is launched or written."""
        before = self.files()
        status, out, err = self(command)
        assert (status, out) == (2, ""), (status, out, err)
        assert self.ran == []
        assert self.files() == before
        assert re.fullmatch(r"walredo-bench: [^\n]+\n", err), err
        assert "Traceback" not in err
        return err
