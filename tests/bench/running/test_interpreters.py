"""Workers on another interpreter: chosen, refused, measured in the same rounds."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from bench.cases.config import ConfigError, differences, load_profile, override
from bench.cases.matrix import cases_of
from bench.cases.names import THIS_PYTHON, python_label
from bench.errors import BenchError
from bench.places import ROOT
from bench.results.result_file import ResultFile
from bench.running.equipment.interpreters import find_interpreters
from tests.support.suite_server import SuiteServer


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with nothing but its standard library."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    return folder / "bin" / "python"


def script(folder: Path, text: str) -> Path:
    path = folder / "python9"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def answer(implementation: str, *version: int) -> str:
    """A shell command that answers as such an interpreter would."""
    said = {"implementation": implementation, "version": version}
    return f"echo '{json.dumps(said | {'free_threaded': False, 'uvloop': None})}'"


@pytest.mark.parametrize(
    ("choice", "label"),
    [
        ("this", "this"),
        ("python3.13t", "python3.13t"),
        ("/opt/ft/bin/python3.13t", "python3.13t"),
        ("../python", "python"),
        ("ft=/opt/ft/bin/python", "ft"),
        ("ft=python3", "ft"),
    ],
)
def test_an_interpreter_has_a_label(choice: str, label: str) -> None:
    assert python_label(choice) == label


@pytest.mark.parametrize("choice", ["", "/opt/", "a b", "ft=", "=/x", "this=/x", "a/b=c", "-x"])
def test_what_is_no_choice_of_an_interpreter(choice: str) -> None:
    with pytest.raises(ConfigError, match="--python"):
        override(load_profile("quick"), python=[choice])


def test_two_interpreters_need_two_labels() -> None:
    with pytest.raises(ConfigError, match="LABEL=PATH"):
        override(load_profile("quick"), python="/a/python3,/b/python3")
    both = override(load_profile("quick"), python="/a/python3,b=/b/python3")
    assert {case.python for case in cases_of(both)} >= {"python3", "b"}


def test_cases_where_it_matters() -> None:
    config = override(
        load_profile("peer"),
        manager="sync,floor,peer:async",
        workload="short",
        clients="1",
        python="this,ft=/x",
    )
    assert [case.name for case in cases_of(config)] == [
        "sync/short/n=1",
        "floor/short/n=1",
        "peer:async/short/n=1",
        "sync/short/n=1/python=ft",
    ]
    alone = override(config, python="ft=/x")
    assert [case.python for case in cases_of(alone)] == ["ft", THIS_PYTHON, THIS_PYTHON]


def test_a_place_is_not_kept_and_may_differ() -> None:
    here = override(load_profile("quick"), python="this,ft=/here/python")
    there = override(here, python="this,ft=/there/python")
    assert here.without_paths().python == ("this", "ft")
    assert differences(here, there) == []
    assert differences(here, override(here, python="this")) == [
        'python: ["this", "ft"] and ["this"]'
    ]


def test_what_is_found_of_an_interpreter(bare: Path) -> None:
    found = find_interpreters([f"bare={bare}"])
    version = ".".join(map(str, sys.version_info[:3]))
    assert list(found) == [THIS_PYTHON, "bare"]
    assert found["bare"].program == str(bare)
    assert found["bare"].uvloop_folder is None
    for one in found.values():
        assert one.description.startswith(f"CPython {version}")


def test_uvloop_can_be_imported_from_its_place() -> None:
    if importlib.util.find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    place = find_interpreters([])[THIS_PYTHON].uvloop_folder
    assert place is not None
    assert (Path(place) / "uvloop").is_dir()


def test_it_is_found_by_name(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(bare.parent))
    assert find_interpreters(["python"])["python"].program == str(bare)


@pytest.mark.parametrize(
    ("says", "problem"),
    [
        ("exit 3", "it is no Python interpreter that works"),
        ("echo 3.13", "it is no Python interpreter"),
        ("echo '{}'", "it is no Python interpreter"),
        (
            answer("cpython", 3, 10, 4),
            "it is Python 3.10.4, and workers need 3.11 or later",
        ),
        (
            answer("pypy", 3, 11, 9),
            "it is pypy 3.11.9, and workers run on CPython",
        ),
    ],
)
def test_what_cannot_run_a_worker_is_refused(says: str, problem: str, tmp_path: Path) -> None:
    path = script(tmp_path, says)
    with pytest.raises(BenchError) as refused:
        find_interpreters([str(path)])
    assert str(refused.value) == f"--python {path}: {problem}"


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"there is no program .*none: name .* as none=PATH"):
        find_interpreters([str(tmp_path / "none")])


def test_cases_of_two_interpreters_are_measured_in_one_run(
    bare: Path, tmp_path: Path, server: SuiteServer
) -> None:
    result = tmp_path / "result.json"
    words = "run --profile quick --manager sync,async --workload short --clients 1 --child python"
    words += " --rounds 1 --seconds 0.02 --slices 1"
    ended = server.run(tmp_path, *words.split(), "--python", f"this,bare={bare}", "-o", str(result))
    assert ended.status == 0, ended.err
    file = ResultFile.load(result)
    assert file.run_count == 4
    text = result.read_text()
    assert str(bare) not in text
    assert '"redo_worker_gil"' in text
    assert f"bare: CPython {sys.version_info.major}" in text
    again = ("run", "--resume", str(result), "--rounds", "2")
    assert "--python bare" in server.run(tmp_path, *again).last_line  # its place is not in the file
    more = server.run(tmp_path, *again, "--python", f"this,bare={bare}")
    assert more.status == 0, more.err
    assert ResultFile.load(result).run_count == 8


def test_uvloop_is_refused_where_that_interpreter_has_none(
    bare: Path, tmp_path: Path, server: SuiteServer
) -> None:
    words = ("--manager", "async-uvloop", "--workload", "short", "--clients", "1")
    ended = server.run(tmp_path, "run", *words, "--python", f"this,bare={bare}")
    assert ended.status == 2
    assert ended.last_line.endswith(
        "the interpreter bare has no uvloop: install it there, or leave out async-uvloop or that"
        " interpreter"
    )


def test_workers_import_nothing_but_the_standard_library(bare: Path) -> None:
    """What the interpreter lacks must not be needed: the whole worker is imported there."""
    code = "import sys; sys.path.insert(0, '.'); import bench.worker"
    root = ROOT
    subprocess.run([bare, "-I", "-S", "-c", code], check=True, cwd=root)
