"""docs/tutorial.md, followed to the letter in a checkout of its own, shows what it says."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.places import ROOT
from fake_redo_child.build import CompilerMissing, find_compiler
from tests.support.checkouts import environment_of_make, install_python, make_checkout

PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")

_MEASURED = {"us", "ms", "s", "k", "M", "every", "no", "N", "only", "to"}
"""Words that a measurement decides: units, and answers to "from which N on"."""


@dataclass(frozen=True)
class Step:
    """Commands as they stand in the page, and what it shows of their output; empty if nothing."""

    script: str
    shown: str


def steps(page: str) -> Iterator[Step]:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    for (language, text), (following, shown) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language == "sh":
            yield Step(text, shown if following == "text" else "")


def shape(line: str) -> tuple[str, ...]:
    """The words of a line without what is measured."""
    words = re.findall(r"[A-Za-z_/][\w/=]*", line)
    return tuple(word for word in words if word not in _MEASURED)


def without_verdict(text: str) -> tuple[bool, list[str]]:
    """Whether it has a verdict, which a measurement decides, and the lines besides; those that name
    files, commit and machine left out."""
    paragraphs = [one for one in text.split("\n\n") if "\ncommit " not in one]
    others = [one for one in paragraphs if not one.startswith(("- ", "Ratio to sync"))]
    lines = [line for one in others for line in one.splitlines() if ".json" not in line]
    return len(others) < len(paragraphs), lines


STEPS = list(steps(PAGE))


def test_the_reader_finds_all_there_is() -> None:
    assert len(STEPS) == PAGE.count("```sh\n") == 7
    assert sum(bool(step.shown) for step in STEPS) == PAGE.count("```text\n") == 3


def test_a_shape_has_verdicts_and_no_measured_value() -> None:
    assert shape("sync/short/n=8 3.48 (2.96-4.14) slower 26 %") == ("sync/short/n=8", "slower")
    assert shape("async, short  8 (8 to >128)  every N  -") == ("async", "short")
    assert shape("async, short  8 only  no N  -") == ("async", "short")
    assert shape("sync   ▂▂▆  p50 25.7 us at") == shape("sync  ▁▂█  p50 1.2 ms at")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone whose .venv is there already."""
    folder = make_checkout(tmp_path / "clone", "Makefile", "requirements.lock", ".gitignore")
    install_python(folder)
    return folder


@pytest.mark.exhaustive
@pytest.mark.timeout(300)  # it measures for real; a busy machine must not fail it
def test_what_the_page_says(clone: Path) -> None:
    try:
        find_compiler()
    except CompilerMissing as error:
        pytest.skip(str(error))
    for step in STEPS:
        done = subprocess.run(
            ["sh", "-e", "-c", step.script],
            cwd=clone,
            env={**environment_of_make(), "COLUMNS": "100"},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, f"{step.script}\n{done.stdout}\n{done.stderr}"
        found = {shape(line) for line in done.stdout.splitlines()}
        has_verdict, lines = without_verdict(step.shown)
        assert not has_verdict or "\n- For short requests " in done.stdout
        # A column's unit stands in one line of its heading or in the other, as its values are.
        # Which of the two depends on how fast the machine is; p50 is a word, no number.
        numbered = [line for line in lines if re.search(r"\b\d", line)]
        headings = {word for line in lines if line not in numbered for word in shape(line)}
        assert headings <= {word for words in found for word in words}
        missing = [line for line in numbered if shape(line) not in found | {()}]
        assert not missing, f"{step.script} printed\n{done.stdout}\n{done.stderr}"
    assert done.stdout == ""  # of `git status`, the last command: the change is undone
    assert len(list((clone / "results").glob("*-latency.svg"))) == 1
    assert len(list((clone / "results").glob("*-ab-*.json"))) == 2
