"""What the runs need, and what becomes of it where something is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bench.cases.case import ChildVariant
from bench.cases.config import Config, load_profile, override
from bench.cases.names import THIS_PYTHON
from bench.errors import BenchError
from bench.running.equipment.equipment import prepare, usable_managers
from bench.running.equipment.interpreters import Interpreter
from fake_redo_child import build
from fake_redo_child.build import CompilerMissing, find_compiler
from walredo import PAGE_SIZE

ROOT = Path(build.__file__).resolve().parent.parent
INTERPRETERS = {THIS_PYTHON: Interpreter(sys.executable, "CPython", "/with/uvloop")}


def config(**options: object) -> Config:
    chosen: dict[str, object] = {"manager": "sync", "workload": "short", "clients": "1"}
    return override(load_profile("quick"), **(chosen | options))


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without a C compiler."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)


@pytest.fixture
def no_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where uvloop is not installed."""
    monkeypatch.setitem(INTERPRETERS, THIS_PYTHON, Interpreter(sys.executable, "CPython", None))


@pytest.fixture
def compiler() -> None:
    try:
        find_compiler()
    except CompilerMissing as missing:
        pytest.skip(str(missing))


# --- Programs and traffic -------------------------------------------------------------------------


@pytest.mark.usefixtures("compiler")
def test_what_the_cases_need_is_there(tmp_path: Path) -> None:
    made = prepare(
        config(manager="sync,floor", workload="short,ping", child="c,python"),
        tmp_path,
        INTERPRETERS,
    )
    assert set(made.traffic) == {"short", "ping"}
    assert made.traffic["short"].pages.stat().st_size == 64 * PAGE_SIZE
    assert set(made.child_commands) == {ChildVariant("c"), ChildVariant("python")}
    for command in made.child_commands.values():
        assert os.access(command[0], os.X_OK)
    assert made.child_commands[ChildVariant("python")][0] == sys.executable
    assert made.floor_program is not None
    assert os.access(made.floor_program, os.X_OK)
    facts = made.build_facts
    assert "-O2" in facts["c_child_flags"]
    assert "-O2" in facts["floor_flags"]
    assert facts["compiler"]
    assert facts["c_child_key"] != facts["floor_key"]
    assert not any("\n" in fact for fact in facts.values())


@pytest.mark.usefixtures("compiler")
def test_what_no_case_needs_is_not_built(tmp_path: Path) -> None:
    made = prepare(config(), tmp_path, INTERPRETERS)
    assert made.floor_program is None
    assert "floor_key" not in made.build_facts


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("child", ["c", "python"])
def test_the_cost_is_in_the_childs_command(child: str, tmp_path: Path) -> None:
    plain = prepare(config(child=child), tmp_path, INTERPRETERS).child_commands[ChildVariant(child)]
    costs = config(child=child, cost="pg14")
    costly = prepare(costs, tmp_path, INTERPRETERS).child_commands[ChildVariant(child, "pg14")]
    assert costly == (*plain, "--cost", "pg14")


def test_the_seed_is_that_of_the_configuration(tmp_path: Path) -> None:
    sent = []
    for seed in ("1", "2", "1"):
        made = prepare(config(child="python", seed=seed), tmp_path, INTERPRETERS)
        sent.append(made.traffic["short"].requests.read_bytes())
    assert sent[0] != sent[1]
    assert sent[0] == sent[2]


@pytest.mark.usefixtures("no_compiler")
def test_the_python_child_needs_no_compiler(tmp_path: Path) -> None:
    made = prepare(config(child="python"), tmp_path, INTERPRETERS)
    assert set(made.child_commands) == {ChildVariant("python")}
    assert made.build_facts == {}
    assert made.warnings == ()


@pytest.mark.usefixtures("no_compiler")
@pytest.mark.parametrize("manager", ["sync", "sync,floor"])
def test_without_a_compiler_the_c_child_is_refused_with_the_way_out(
    manager: str, tmp_path: Path
) -> None:
    with pytest.raises(BenchError, match=r"--child python") as refused:
        prepare(config(manager=manager), tmp_path, INTERPRETERS)
    assert "no C compiler" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_compiler_that_fails_is_a_single_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho broken 1.0; echo no room >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(BenchError, match="no room") as refused:
        prepare(config(), tmp_path, INTERPRETERS)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("allowed", [True, False])
def test_a_child_without_its_sandbox_is_said(
    allowed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fake_redo_child.build.sandbox_allowed", lambda program: allowed)
    made = prepare(config(), tmp_path, INTERPRETERS)
    assert ("--no-sandbox" in made.child_commands[ChildVariant("c")]) == (not allowed)
    assert made.build_facts["c_child_sandbox"] == ("on" if allowed else "off")
    assert len(made.warnings) == (not allowed)
    assert all("sandbox" in warning for warning in made.warnings)


# --- Managers -------------------------------------------------------------------------------------


def usable(
    manager: str, child: str = "python", asked: bool = False
) -> tuple[tuple[str, ...], list[str]]:
    chosen = config(manager=manager, child=child)
    return usable_managers(chosen, INTERPRETERS, asked_for=asked)


@pytest.mark.usefixtures("compiler")
def test_what_is_there_is_used() -> None:
    assert usable("sync,async,floor") == (("sync", "async", "floor"), [])


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_the_floor_is_left_out_with_a_warning() -> None:
    managers, warnings = usable("floor,sync,async")
    assert managers == ("sync", "async")
    (warning,) = warnings
    assert warning.startswith("floor is left out: no C compiler")


@pytest.mark.usefixtures("no_compiler")
def test_a_floor_that_was_asked_for_is_not_left_out() -> None:
    with pytest.raises(BenchError, match="no C compiler") as refused:
        usable("sync,floor", asked=True)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.usefixtures("no_compiler")
def test_the_advice_for_a_floor_without_a_compiler_is_not_the_child_that_is_used() -> None:
    with pytest.raises(BenchError) as refused:
        usable("sync,floor", child="python", asked=True)
    assert "use --child python" not in str(refused.value)


@pytest.mark.usefixtures("no_compiler")
def test_where_the_children_need_the_compiler_too_that_is_the_error(tmp_path: Path) -> None:
    # Nothing is gained by leaving the floor out: the C child cannot be built either.
    assert usable("sync,floor", child="c,python") == (("sync", "floor"), [])
    with pytest.raises(BenchError, match="--child python"):
        prepare(config(manager="sync,floor", child="c,python"), tmp_path, INTERPRETERS)


@pytest.mark.usefixtures("no_compiler")
def test_no_manager_is_left() -> None:
    with pytest.raises(BenchError, match="no C compiler"):
        usable("floor")


@pytest.mark.usefixtures("no_uvloop")
def test_without_uvloop_its_manager_is_left_out_with_a_warning() -> None:
    managers, warnings = usable("sync,async-uvloop")
    assert managers == ("sync",)
    (warning,) = warnings
    assert warning.startswith("async-uvloop is left out: uvloop is not installed")


@pytest.mark.usefixtures("no_uvloop")
def test_uvloop_that_was_asked_for_is_not_left_out() -> None:
    with pytest.raises(BenchError, match="uvloop is not installed: `make` installs it"):
        usable("sync,async-uvloop", asked=True)


@pytest.mark.usefixtures("no_uvloop", "no_compiler")
def test_all_that_is_missing_is_said_at_once() -> None:
    managers, warnings = usable("floor,sync,async-uvloop")
    assert managers == ("sync",)
    assert len(warnings) == 2
    with pytest.raises(BenchError, match=r"uvloop.*C compiler") as refused:
        usable("floor,async-uvloop")
    assert len(str(refused.value).splitlines()) == 1


def test_the_children_are_those_that_can_be_chosen() -> None:
    assert set(build.CHILD_KINDS) == {"c", "python"}


def test_who_still_writes_to_the_folder_ends_before_it_goes() -> None:
    # A worker that an interruption left unknown writes the byte code of its modules there, and a
    # folder that is written to cannot be removed.
    suite = f"""
        import subprocess, sys
        sys.path.insert(0, {str(ROOT)!r})
        from bench.running.processes import adopt_orphans
        from bench.running.processes import scratch_folder

        WRITER = (
            "import itertools, sys; from pathlib import Path\\n"
            "for n in itertools.count(): Path(sys.argv[1], str(n)).mkdir(); n or print(flush=True)"
        )
        adopt_orphans()
        try:
            with scratch_folder() as folder:
                writer = subprocess.Popen(
                    [sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE
                )
                writer.stdout.readline()
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            print(folder.exists())
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(suite)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")
