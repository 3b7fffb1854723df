"""Managers of the user's: found, refused, measured beside the suite's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.cases.config import ConfigError, load_profile, override
from bench.cases.managers.yours import is_peer, own_choice
from bench.cases.matrix import cases_of
from bench.errors import BenchError
from bench.results.result_file import ResultFile
from bench.results.suite_file import read_suite
from bench.results.summary import Summary, load_summary
from bench.running.equipment.equipment import hashes
from bench.running.equipment.interpreters import find_interpreters
from bench.running.equipment.own import find_managers
from bench.statistics.comparison import DECISIVE, differences
from bench.statistics.history import Dated, history
from tests.support.checkouts import commit_all, git, make_checkout
from tests.support.made_up_runs import Bench
from tests.support.suite_server import SuiteServer
from tests.support.synthetic import ENVIRONMENT, save, steady_record

NOW = datetime(2026, 11, 29, tzinfo=UTC)

SYNC = """
from walredo import SyncRedoManager

class Wrapped:
    def __init__(self, config):
        self.inner = SyncRedoManager(config)
        self.ping, self.shutdown = self.inner.ping, self.inner.shutdown
        self.request_redo = self.inner.request_redo
    @property
    def child_pid(self):
        return self.inner.child_pid
"""
ASYNC = """
from walredo import AsyncRedoManager as create
print("what a module prints must not reach the suite")
"""

ON_THE_PATH = """
import os, sys
os.environ["PYTHONPATH"] = place
sys.path.append(place)
"""
"""What PYTHONPATH does to a suite that begins. Its current folder is the checkout."""

Write = Callable[[str], Path]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Makes the module ``mine``, in the current folder."""
    monkeypatch.chdir(tmp_path)

    def make(text: str) -> Path:
        path = tmp_path / "mine.py"
        path.write_text(textwrap.dedent(text))
        return path

    return make


def found(name: str) -> str | None:
    config = override(load_profile("quick"), manager=name)
    return hashes(find_managers(config, find_interpreters([])))


@pytest.mark.parametrize("name", ["m:f", "a.b_c.d2:F_1", "examples.lock_manager:create"])
def test_a_name_of_ones_own_manager(name: str) -> None:
    assert own_choice(name) == (name, name)
    config = override(load_profile("quick"), manager=name)
    assert {case.manager for case in cases_of(config)} == {name}


@pytest.mark.parametrize("choice", ["m-1=m:f", "m=a.b:c", "sync=peer:f", "1=own:f"])
def test_a_label(choice: str) -> None:
    label, _, factory = choice.partition("=")
    assert own_choice(choice) == (f"own:{label}", factory)
    config = override(load_profile("quick"), manager=f"sync,{choice}", clients="8")
    cases = {case.manager: case for case in cases_of(config)}
    assert cases.keys() == {"sync", f"own:{label}"}
    assert Case.parse(cases[f"own:{label}"].name) == cases[f"own:{label}"]
    # A module is no place on this machine: a result says which one it was.
    assert config.without_paths().manager == ("sync", choice)


NO_NAMES = ["a:", ":f", "a.:f", "_a:f", "a:b:c", "a:1", "peer:f", "a-b:c", "=a:b", "l.m=a:b", "l=a"]


@pytest.mark.parametrize("name", [*NO_NAMES, "own:f", "examples.lock_manager", "mine.py"])
def test_what_is_no_such_name(name: str) -> None:
    assert own_choice(name) is None
    if not is_peer(name):
        with pytest.raises(ConfigError, match=r"--manager.*\[LABEL=\]package\.module:factory"):
            override(load_profile("quick"), manager=name)


def test_two_managers_need_two_labels() -> None:
    with pytest.raises(ConfigError, match=r"names that differ: .*LABEL=package\.module:factory"):
        override(load_profile("quick"), manager="m=a:b,m=c:d")


def test_dimensions_that_mean_something_to_it() -> None:
    config = override(
        load_profile("quick"),
        manager="a:b",
        workload="short",
        clients="1",
        wait="park,spin:5",
        caller="own,loop",
        pause="yield,none",
    )
    assert [case.name for case in cases_of(config)] == ["a:b/short/n=1", "a:b/short/n=1/pause=none"]


def test_it_is_found_in_the_current_folder_and_on_the_path(
    module: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(SYNC)
    here = found("mine:Wrapped")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(BenchError, match="there is no module mine in the current folder"):
        found("mine:Wrapped")
    monkeypatch.syspath_prepend(tmp_path)
    assert found("mine:Wrapped") == here
    module(SYNC + "\n")
    assert found("mine:Wrapped") != here


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "1 / 0",
            "its module cannot be imported (ZeroDivisionError: division by zero, in"
            " {file}, line 1: 1 / 0) (docs/extending.md)",
        ),
        (
            "import json\nimport numpy",
            "its module cannot be imported (ModuleNotFoundError: No module named 'numpy', in"
            " {file}, line 2: import numpy): a worker runs on a bare interpreter (python -I -S),"
            " which has the standard library, walredo, what lies beside the module and what is on"
            " PYTHONPATH, but nothing that is installed (docs/extending.md)",
        ),
        ("import json\njson.loads('')", "in {file}, line 2: json.loads('')) (docs/extending.md)"),
        ("x = (", "its module cannot be imported (SyntaxError: '(' was never closed (mine.py, l"),
        (
            "def create(config): import numpy",
            "in {file}, line 1: def create(config): import numpy): a worker runs on a bare",
        ),
        ("other = 5", "create is not there in mine"),
        ("create = 5", "create is nothing that can be called in mine"),
        ("def create(config): raise OSError('a\\nb')", "create makes none (OSError: a b, in "),
        ("create = lambda config: 5", "what it makes, of type int, has no request_redo, ping, "),
        (
            """
            class create:
                def __init__(self, config): self.child_pid = None
                async def request_redo(self, request): ...
                def ping(self): ...
                async def shutdown(self): ...
            """,
            "must be of one kind, got request_redo async, ping sync, shutdown async",
        ),
        (
            """
            class create:
                def __init__(self, config): self.child_pid = None
                def request_redo(self, request): ...
                def ping(self): ...
                def shutdown(self): raise OSError("no")
            """,
            "what it makes cannot be shut down (OSError: no)",
        ),
        ("import sys; sys.exit('no')", "the interpreter ends with status 1: no"),
        ("import os; os._exit(3)", "the interpreter ends with status 3"),
    ],
)
def test_what_is_refused_before_anything_is_measured(
    text: str, problem: str, module: Write, bench: Bench
) -> None:
    problem = problem.replace("{file}", str(module(text)))
    words = "run --manager mine:create --workload short --clients 1 -o r.json"
    said = bench.refuses(words.split())
    assert said.startswith("walredo-bench: --manager mine:create: ")
    assert problem in said
    assert bench.ran == []
    assert not (bench.folder / "r.json").exists()


def test_it_is_measured_beside_the_others(
    module: Write, tmp_path: Path, server: SuiteServer
) -> None:
    suite = partial(server.run, tmp_path, code=ON_THE_PATH, place=str(tmp_path))
    path, result = module(SYNC + ASYNC), tmp_path / "r.json"
    words = "run --profile quick --manager sync,mine:Wrapped,mine:create --clients 2"
    words += f" --child python --workload short,ping --slices 1 --rounds 1 -o {result}"
    ended = suite(*words.split(), "--seconds", "0.02")
    assert ended.status == 0, ended.err
    text = result.read_text()
    assert str(path.parent) not in text
    runs = {
        one.get_name().removesuffix("/child=python"): one.get_runs()[0].get_metadata()
        for one in read_suite(result)
    }
    assert runs["mine:Wrapped/short/n=2"]["redo_worker_manager_kind"] == "sync"
    assert "redo_read_calls" not in runs["mine:Wrapped/short/n=2"]  # it has no status
    assert runs["mine:create/short/n=2"]["redo_worker_manager_kind"] == "async"
    assert runs["mine:create/short/n=2"]["redo_loop"].startswith("asyncio")
    assert runs["mine:create/ping/n=2"]["redo_counter_read_calls"] > 0

    # It goes on with the same module, and with no other.
    again = ("run", "--resume", str(result), "--rounds")
    assert suite(*again, "2").status == 0
    assert ResultFile.load(result).run_count == 12
    module(SYNC + ASYNC + "\n")
    other = suite(*again, "3")
    assert (other.status, "another own_managers" in other.err) == (2, True)


def test_one_that_tells_no_child_fails_its_runs(
    module: Write, tmp_path: Path, server: SuiteServer
) -> None:
    suite = partial(server.run, tmp_path, code=ON_THE_PATH, place=str(tmp_path))
    module(SYNC.replace("return self.inner.child_pid", "return None"))
    words = "run --profile quick --manager mine:Wrapped --clients 1 --child python --rounds 1"
    ended = suite(*words.split(), "--workload", "short", "-o", str(tmp_path / "r.json"))
    assert ended.status == 1
    assert "its child_pid after a ping is None" in ended.err


SEVERAL = """
import itertools, subprocess
from examples.lock_manager import LockManager

class Several:
    def __init__(self, config):
        self.all = [LockManager(config) for _ in range(4)]
        self.turn = itertools.cycle(self.all)
    @property
    def child_pid(self):
        return self.all[0].child_pid
    def request_redo(self, request):
        return next(self.turn).request_redo(request)
    def ping(self):
        return [one.ping() for one in self.all][0]
    def shutdown(self):
        return [one.shutdown() for one in self.all][0]

class Hidden(LockManager):
    \"""Whose child is launched by a process that ends at once: nobody's descendant.\"""
    def __init__(self, config):
        super().__init__(config)
        words = ' '.join(config.child_command)
        self._command = ("/bin/sh", "-c", f"exec 3<&0; {words} <&3 & exec 3<&- <&-; exit 0")
"""


@pytest.mark.parametrize(("name", "seen"), [("Several", True), ("Hidden", False)])
def test_all_its_children_are_metered(
    name: str, seen: bool, module: Write, tmp_path: Path, server: SuiteServer
) -> None:
    module(SEVERAL)
    result = tmp_path / "r.json"
    words = f"run --profile quick --manager mine:{name} --clients 2 --child python --rounds 1"
    words += f" --workload short --slices 1 --seconds 0.05 --cost us:300+0 -o {result}"
    suite = partial(server.run, tmp_path, code=ON_THE_PATH, place=str(tmp_path))
    ended = suite(*words.split())
    if seen:
        assert ended.status == 0, ended.err
        (case,) = read_suite(result)
        cpu_s = case.get_runs()[0].get_metadata()["redo_cpu_child"]
        assert cpu_s > 150e-6  # the calibration of the child may be off on a busy machine
    else:
        assert ended.status == 1
        assert "their CPU cannot be metered" in ended.err


def test_a_module_that_is_not_in_its_package(bench: Bench) -> None:
    said = bench.refuses(["run", "--manager", "examples.lok_manager:create", "-o", "r.json"])
    assert "--manager examples.lok_manager:create: there is no module examples.lok_manager" in said
    assert "bare interpreter" not in said


def test_a_label_stands_for_it_in_a_result(
    module: Write, tmp_path: Path, server: SuiteServer
) -> None:
    suite = partial(server.run, tmp_path, code=ON_THE_PATH, place=str(tmp_path))
    module(SYNC)
    result = tmp_path / "r.json"
    words = "run --profile quick --manager sync,a-1=mine:Wrapped --clients 1 --child python"
    words += f" --workload short --slices 1 --rounds 1 --seconds 0.02 -o {result}"
    ended = suite(*words.split())
    assert ended.status == 0, ended.err
    names = {one.get_name() for one in read_suite(result)}
    assert names == {f"{manager}/short/n=1/child=python" for manager in ("sync", "own:a-1")}

    # The file says which manager it is: it goes on without a word, but with no other.
    again = ("run", "--resume", str(result), "--rounds", "2")
    assert suite(*again).status == 0
    other = suite(*again, "--manager", "sync,a-1=mine:Other")
    assert (other.status, "was begun with other settings" in other.err) == (2, True)


AB = (
    *(sys.executable, "-m", "bench", "ab", "HEAD", "--workload", "short", "--clients", "1"),
    *("--child", "python", "--placement", "any", "--minutes", "0.01", "--json"),
    *("--seconds", "0.02", "--slices", "2", "--warmup-s", "0"),
)


def ab(checkout: Path, output: Path, *options: str, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*AB, "-o", str(output), *options],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


NOTED = """
from pathlib import Path
from helper import VERSION
Path({mark!r} + VERSION).write_text(__file__)
"""


def test_ab_measures_it(tmp_path: Path) -> None:
    """A manager that git tracks is part of each side's code; any other is the same on both."""
    checkout, elsewhere = make_checkout(tmp_path / "own"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.py").write_text(SYNC)
    (checkout / "tracked.py").write_text(NOTED.format(mark=str(tmp_path / "mark-")) + SYNC)
    (checkout / "helper.py").write_text("VERSION = 'base'")
    commit_all(checkout)
    (checkout / "helper.py").write_text("VERSION = 'changed'")
    with (checkout / "tracked.py").open("a") as file:
        file.write("# changed")
    managers = ("--manager", "sync,tracked:Wrapped,a=mine:Wrapped")
    done = ab(checkout, tmp_path / "x", *managers, path=str(elsewhere))
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert {case["case"].partition("/")[0] for case in data["cases"]} == {
        *("sync", "tracked:Wrapped", "own:a")
    }
    for side in ("base", "changed"):
        place = (tmp_path / f"mark-{side}").read_text()
        assert place.endswith("/tracked.py")
    base, changed = (load_summary(tmp_path / f"x-{side}.json") for side in ("base", "changed"))
    before, after = (
        dict(one.rsplit(": ", 1) for one in str(side.environment.own_managers).split("; "))
        for side in (base, changed)
    )
    assert before["own:a"] == after["own:a"]
    assert before["tracked:Wrapped"] != after["tracked:Wrapped"]
    assert (base.environment.git_dirty, changed.environment.git_dirty) == (False, True)
    assert differences(base, changed) == ()

    git(checkout, "rm", "--quiet", "--cached", "helper.py", "tracked.py")
    git(checkout, "commit", "--quiet", "-m", "without")
    git(checkout, "add", "helper.py", "tracked.py")
    done = ab(checkout, tmp_path / "y", *managers, path=str(elsewhere))
    assert done.returncode == 2
    assert "--manager tracked:Wrapped: there is no module tracked in " in done.stderr
    assert "commit " in done.stderr
    assert not list(tmp_path.glob("y*"))


def test_ab_refuses_programs(bench: Bench) -> None:
    said = bench.refuses(["ab", "HEAD", "--manager", "sync,peer:async"])
    assert "leave out floor and peers" in said


def summary(tmp_path: Path, name: str, managers: Sequence[str], own: str | None) -> Summary:
    path = tmp_path / f"{name}.json"
    records = [steady_record(Case(name, "short", 1), n) for name in managers for n in range(3)]
    return load_summary(save(path, records, environment=replace(ENVIRONMENT, own_managers=own)))


def test_one_that_is_added_or_changed_is_a_condition_of_its_own_cases(tmp_path: Path) -> None:
    without = summary(tmp_path, "without", ["sync"], None)
    first = summary(tmp_path, "first", ["sync", "a:b", "own:c"], "a:b: 11; own:c: 22")
    second = summary(tmp_path, "second", ["sync", "a:b", "own:c"], "a:b: 33; own:c: 22")
    assert differences(without, first) == differences(first, without) == ()
    assert differences(first, second) == ("own manager: 11 | 33 in a:b/short/n=1",)
    sync, changed, same = (Case(name, "short", 1) for name in ("sync", "a:b", "own:c"))
    assert differences(first, second, [sync, same]) == ()
    series = {
        one.case: one.points[-1]
        for one in history([Dated(one, NOW, by_commit=True) for one in (first, second)], DECISIVE)
    }
    assert series[sync].change is not None
    assert series[changed].differences == ("own manager: 11 | 33 in a:b/short/n=1",)
