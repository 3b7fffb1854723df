"""The compiled core: when it is found, when refused, and that what is compiled answers."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.cases.config import load_profile, override
from bench.cases.matrix import cases_of, without_meaning
from bench.cases.names import MYPYC, THIS_PYTHON
from bench.errors import BenchError
from bench.running.equipment import compiled_core
from bench.running.equipment.compile_core import compile_core
from bench.running.equipment.compiled_core import MODULES, SOURCES, core_of, find_core
from bench.running.equipment.equipment import prepare
from bench.running.equipment.interpreters import find_interpreters
from fake_redo_child.build import CompilerMissing, find_compiler


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of one module."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "answer.py").write_text(
        'def doubled(number: int) -> int:\n    """Twice the number."""\n    return 2 * number\n'
    )
    return folder


@pytest.fixture
def cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for cores, where the suite looks."""
    folder = tmp_path / "cores"
    monkeypatch.setattr(compiled_core, "CORES", folder)
    monkeypatch.setattr(compiled_core.core_of, "__defaults__", (SOURCES, MODULES, folder))
    return folder


@pytest.fixture
def tools() -> None:
    try:
        find_compiler()
    except CompilerMissing as missing:
        pytest.skip(str(missing))
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        pytest.skip("this Python has no headers")


# --- which core belongs to which sources ----------------------------------------------------------


def test_a_key_is_that_of_its_sources_modules_and_interpreter(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key(*modules: str) -> str:
        return core_of(package, modules, package).key

    first = key("answer")
    assert first == key("answer")
    assert first != key()
    source = package / "answer.py"
    source.write_text(source.read_text().replace("2 *", "3 *"))
    changed = key("answer")
    assert changed != first
    (package / "further.py").touch()  # not compiled, but imported by what is
    assert key("answer") != changed
    monkeypatch.setattr(sys, "version", "3.11.99")
    assert len({first, changed, key("answer")}) == 3


def test_every_module_that_is_compiled_exists() -> None:
    assert all((SOURCES / f"{name}.py").is_file() for name in MODULES)


def test_one_that_is_missing_or_stale_is_refused(cores: Path) -> None:
    with pytest.raises(BenchError, match="no compiled core: `make compiled-core`"):
        find_core([THIS_PYTHON])
    (cores / "cpython-311-of-other-sources").mkdir(parents=True)
    with pytest.raises(BenchError, match="no compiled core of these sources: `make"):
        find_core([THIS_PYTHON])
    core_of().folder.mkdir()
    assert find_core([THIS_PYTHON]).folder.parent == cores


def test_it_is_for_the_suites_own_interpreter(cores: Path) -> None:
    core_of().folder.mkdir(parents=True)
    with pytest.raises(BenchError, match="leave out --python ft"):
        find_core([THIS_PYTHON, "ft"])


def test_it_is_looked_for_before_anything_is_launched(tmp_path: Path, cores: Path) -> None:
    config = override(load_profile("quick"), manager="sync", workload="short", build="mypyc")
    with pytest.raises(BenchError, match="make compiled-core"):
        prepare(config, tmp_path, find_interpreters([]))


def test_what_no_case_needs_is_not_looked_for(tmp_path: Path, cores: Path) -> None:
    config = override(
        load_profile("quick"), manager="noop-sync", workload="short", build="mypyc", child="python"
    )
    assert list(without_meaning(config)) == [
        "build mypyc makes no difference to any of these cases: left out"
    ]
    made = prepare(config, tmp_path, find_interpreters([]))
    assert made.core is None


def test_only_managers_of_walredo_have_a_build() -> None:
    config = override(
        load_profile("quick"),
        manager="sync,async,floor,streams,noop-sync",
        workload="short",
        clients="1",
        build="pure,mypyc",
    )
    assert [case.name for case in cases_of(config) if case.build == MYPYC] == [
        "sync/short/n=1/build=mypyc",
        "async/short/n=1/build=mypyc",
    ]
    assert Case.parse("sync/short/n=1").build == "pure"


# --- compiling ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("tools")
def test_a_module_is_compiled_and_answers(package: Path, tmp_path: Path) -> None:
    core = compile_core(package, ("answer",), tmp_path / "cores")
    code = "import sys; sys.path.insert(0, sys.argv[1]); from tiny import answer"
    code += "; print(answer.__file__, answer.doubled(21))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(core.folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    file, answer = done.stdout.split()
    assert answer == "42"
    assert file.endswith(str(sysconfig.get_config_var("EXT_SUFFIX")))
    assert (core.folder / "tiny" / "answer.py").read_bytes() == (package / "answer.py").read_bytes()
    assert [path.name for path in core.folder.parent.iterdir()] == [core.folder.name]
    assert compile_core(package, ("answer",), tmp_path / "cores") == core  # not again


@pytest.mark.usefixtures("tools")
def test_what_mypyc_refuses_leaves_nothing(package: Path, tmp_path: Path) -> None:
    (package / "answer.py").write_text('def wrong() -> int:\n    return "text"\n')
    with pytest.raises(BenchError, match=r"cannot be compiled with mypyc: .*answer\.py:2") as found:
        compile_core(package, ("answer",), tmp_path / "cores")
    assert "\n" not in str(found.value)
    assert list((tmp_path / "cores").iterdir()) == []


def test_a_machine_without_a_compiler(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(BenchError, match="no C compiler"):
        compile_core(package, ("answer",), tmp_path / "cores")


@pytest.mark.usefixtures("tools")
def test_a_python_without_headers(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / name))
    with pytest.raises(BenchError, match=r"no .*Python\.h: install the headers"):
        compile_core(package, ("answer",), tmp_path / "cores")
