"""What docs/extending.md tells to type works as it stands there."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from bench.places import ROOT
from bench.results.suite_file import read_suite
from bench.running.equipment.workload_file import read_workload
from tests.support.suite_server import SuiteServer

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]


def test_there_is_a_command_for_each_of_the_three() -> None:
    runs = [command for command in COMMANDS if " run " in command]
    assert len(runs) == 3
    for option in ("file:", "examples.lock_manager:create", "cmd:"):
        assert any(option in command for command in runs)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page(command: str, tmp_path: Path, server: SuiteServer) -> None:
    python, dash_m, bench, *words = shlex.split(command)
    assert (python, dash_m, bench) == ("python", "-m", "bench")
    if "-o" in words:
        words[words.index("-o") + 1] = str(tmp_path / words[words.index("-o") + 1])
    # Without a C compiler as well; the page's own child stays.
    if words[0] == "run" and "--child" not in words:
        words += ["--child", "python"]
    ended = server.run(
        tmp_path, *(word.replace("python3 ", f"{sys.executable} ") for word in words)
    )
    assert ended.status == 0, ended.err
    for result in tmp_path.glob("own-*.json"):
        assert len(read_suite(result)) >= 2


def test_the_example_in_the_text_is_the_file_that_is_there(tmp_path: Path) -> None:
    lines = [line.strip() for line in PAGE.splitlines() if line.startswith('    {"')]
    path = tmp_path / "example.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    (request,) = read_workload(path).requests
    example = read_workload(ROOT / "examples" / "requests.jsonl")
    assert example.distinct == len(example.requests) >= 2
    assert request.records[0].end_lsn == 0x16B3748
