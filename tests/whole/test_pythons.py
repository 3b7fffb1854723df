"""`make test-pythons`: which interpreters it finds, and that the CI's workflow has the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bench.cases.names import OLDEST_PYTHON
from bench.places import ROOT
from tests.support import pythons
from tests.support.checkouts import environment_of_make
from tests.support.pythons import find_python

THIS = ".".join(map(str, sys.version_info[:2]))


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}


def this_python(path: Path) -> Path:
    return script(path, f'exec "{sys.executable}" "$@"')


def test_one_on_path(environment: dict[str, str], tmp_path: Path) -> None:
    found = this_python(tmp_path / "bin" / f"python{THIS}")
    this_python(tmp_path / f".pyenv/versions/{THIS}.9/bin/python{THIS}")
    assert find_python(THIS, environment) == found


def test_the_newest_of_pyenv_where_path_has_none_that_runs(
    environment: dict[str, str], tmp_path: Path
) -> None:
    script(tmp_path / "bin" / f"python{THIS}", "exit 127")
    for patch in ("9", "10", "11t", "11-dev"):
        this_python(tmp_path / f".pyenv/versions/{THIS}.{patch}/bin/python{THIS}")
    expected = tmp_path / f".pyenv/versions/{THIS}.10/bin/python{THIS}"
    assert find_python(THIS, environment) == expected
    moved = tmp_path / "elsewhere"
    (tmp_path / ".pyenv").rename(moved)
    assert find_python(THIS, environment) is None
    found = find_python(THIS, environment | {"PYENV_ROOT": str(moved)})
    assert found == moved / expected.relative_to(tmp_path / ".pyenv")


def test_one_of_another_version(environment: dict[str, str], tmp_path: Path) -> None:
    this_python(tmp_path / "bin" / "python3.99")
    assert find_python("3.99", environment) is None


@pytest.mark.parametrize(("ends", "says"), [(0, "passed"), (2, "failed")])
def test_each_is_tried_in_a_virtual_environment_of_its_own(
    ends: int, says: str, tmp_path: Path
) -> None:
    this_python(tmp_path / "bin" / f"python{THIS}")
    script(tmp_path / "bin" / "make", f'echo "$@"; exit {ends}')
    done = subprocess.run(
        [sys.executable, pythons.__file__, "3.99", THIS],
        env={"PATH": f"{tmp_path}/bin:{os.defpath}", "HOME": str(tmp_path), "ARGS": "-k name"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1 if ends else 0, "")
    header, made, skipped, outcome = done.stdout.splitlines()
    assert header == f"== {THIS}: {tmp_path}/bin/python{THIS}"
    assert f"test VENV=build/pythons/{THIS} PYTHON={tmp_path}/bin/python{THIS} ARGS=" in made
    assert made.endswith("-k name")
    assert skipped == "3.99: skipped: it is neither on PATH nor in ~/.pyenv/versions"
    assert outcome == f"{THIS}: {says}"


def test_to_find_none_is_a_failure() -> None:
    done = subprocess.run(
        ["make", "-s", "test-pythons", "PYTHONS=3.99"],
        cwd=ROOT,
        env=environment_of_make(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == "3.99: skipped: it is neither on PATH nor in ~/.pyenv/versions\n"


def test_what_is_tried_is_there() -> None:
    assert all((ROOT / name.removeprefix("--ignore=")).exists() for name in pythons.PART)


def test_the_workflow_has_the_same_versions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = ".".join(map(str, OLDEST_PYTHON))
    assert (project["requires-python"], pythons.VERSIONS[0]) == (f">={oldest}", oldest)
    text = (ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^ +python: \[(.*)\]$", text, re.MULTILINE)
    assert tuple(re.findall(r'"([\d.]+)"', listed)) == pythons.VERSIONS
    assert 'run: make test-pythons PYTHONS="$PYTHON_VERSION"\n' in text
