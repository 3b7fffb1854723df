"""`pip install .`, as a user does it who wants no checkout: what is installed works anywhere."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest

from bench.places import ROOT
from bench.results.result_file import ResultFile
from fake_redo_child.build import CompilerMissing, find_compiler
from tests.support.checkouts import make_checkout
from tests.support.suites import LIMIT_S

pytestmark = pytest.mark.exhaustive

TINY = (
    *("run", "--profile", "quick", "--manager", "sync,async", "--workload", "short"),
    *("--clients", "2", "--rounds", "1", "--seconds", "0.01", "--slices", "1", "--warmup-s", "0"),
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """walredo-bench in a virtual environment of its own.

    Nothing is fetched: the dependencies are those of the interpreter that runs the tests.
    """
    for needed in ("pip", "setuptools"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"no {needed}")
    try:
        find_compiler()
    except CompilerMissing as missing:
        pytest.skip(str(missing))
    folder = tmp_path_factory.mktemp("installed")
    checkout = make_checkout(folder / "checkout", "README.md", "LICENSE")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    (libraries,) = (folder / "venv").glob("lib/python*/site-packages")
    (libraries / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    options = ("--quiet", "--no-index", "--no-deps")
    wheel = ("wheel", *options, "--no-build-isolation", "-w", str(folder), str(checkout))
    subprocess.run([*pip, *wheel], check=True, timeout=LIMIT_S)
    (built,) = folder.glob("walredo_bench-*.whl")
    python = str(folder / "venv/bin/python")
    install = ("--python", python, "install", *options, str(built))
    subprocess.run([*pip, *install], check=True, timeout=LIMIT_S)
    # What is not in the package cannot be found by luck.
    checkout.rename(folder / "elsewhere")
    return folder / "venv" / "bin" / "walredo-bench"


def run(program: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *words],
        cwd=folder,
        env=os.environ | {"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_it_measures_and_shows_outside_a_checkout(program: Path, tmp_path: Path) -> None:
    measured = run(program, tmp_path, *TINY)
    assert measured.returncode == 0, measured.stderr
    # Not beside the code, which is among the libraries.
    (result,) = tmp_path.rglob("*.json")
    assert result.parent == tmp_path / "results"
    assert measured.stdout.splitlines()[-1] == str(result)
    loaded = ResultFile.load(result)
    assert (loaded.run_count, loaded.failures) == (2, ())
    assert loaded.environment.git_commit is None
    for words in (("show", "latest"), ("plot", "latest"), ("report", "latest"), ("list",)):
        done = run(program, tmp_path, *words)
        assert (done.returncode, done.stderr) == (0, ""), words
    assert {path.suffix for path in result.parent.iterdir()} == {".json", ".svg", ".png", ".html"}
    assert list(tmp_path.iterdir()) == [result.parent]


def test_it_has_the_real_requests(program: Path, tmp_path: Path) -> None:
    done = run(program, tmp_path, "workload", "write", "pgbench")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1 + 256


def test_it_says_its_version(program: Path, tmp_path: Path) -> None:
    done = run(program, tmp_path, "--version")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert done.stdout == f"walredo-bench {project['version']}\n"
