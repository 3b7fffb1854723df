"""Break one rule of the sans-I/O core, and a test of the core fails: all of ``core_mutations``.

The host, this file run as a script, is pytest without walredo. Where it would collect, it forks a
child for each mutant, which has the mutated module in place of the true one and runs its tests.
"""

from __future__ import annotations

import ast
import asyncio  # noqa: F401 - what walredo and the tests import is imported once, before the forks
import gc
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import NoReturn

import hypothesis
import hypothesis.stateful
import pytest

from tests.support.core_mutations import MUTANTS, Mutant

pytestmark = pytest.mark.pure("it changes the source")

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parents[1]
MODULES = ("pipeline", "lifecycle")


BATCHES = 8
"""Each is a test, so that several processes can share them."""

AT_ONCE = 2
EXAMPLES = 3
"""Of each property: more would find nothing that the tests of single rules do not."""

MOST_CPU_S = 2
"""The true core takes a small part of it. CPU time: a busy machine ends no child that works."""

ALL_PASSED, SOME_FAILED = int(pytest.ExitCode.OK), int(pytest.ExitCode.TESTS_FAILED)
MOST_OUTPUT_BYTES = 20_000

LOOPED, NOT_TESTED = 98, 99
CAUGHT = (SOME_FAILED, LOOPED)


@dataclass(frozen=True)
class Outcome:
    """``status``: pytest's exit status, or one of ours."""

    status: int
    output: str


def path_of(module: str) -> Path:
    return ROOT / "walredo" / f"{module}.py"


def mutated(mutant: Mutant) -> str:
    """The source of the module without the rule."""
    source = path_of(mutant.module).read_text(encoding="utf-8")
    found = source.count(mutant.snippet)
    if found != 1:
        raise ValueError(
            f"update tests/support/core_mutations.py: walredo/{mutant.module}.py has {found} times"
            f" (instead of once) what {mutant.rule!r} replaces:\n{mutant.snippet}"
        )
    return source.replace(mutant.snippet, mutant.replacement)


def run_tests_on(cores: Sequence[tuple[str, str]]) -> list[Outcome]:
    """What the core's tests say of each: (module, its source)."""
    host = subprocess.run(
        [sys.executable, "-m", __name__],
        cwd=ROOT,
        input=json.dumps(cores),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [Outcome(*each) for each in json.loads(host.stdout)]


# --- the host and its children --------------------------------------------------------------------


class Replaced(MetaPathFinder):
    """Finds one module of walredo, with another source."""

    def __init__(self, module: str, source: str) -> None:
        self.name = f"walredo.{module}"
        self.path = str(path_of(module))
        self.source = source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        loader = ReplacedLoader(fullname, self.path)
        loader.source = self.source
        return spec_from_file_location(fullname, self.path, loader=loader)


class ReplacedLoader(SourceFileLoader):
    source: str

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source, self.path, "exec", dont_inherit=True)


class Forks:
    """A plugin that goes on in children only, one per core, once pytest is ready to collect."""

    def __init__(self, cores: Sequence[tuple[str, str]]) -> None:
        self.cores = cores
        self.outcomes: list[Outcome] = []
        self.module: str | None = None
        self.tests = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> object:
        # What is here now need not be looked at by each child's own collections.
        gc.collect()
        gc.freeze()
        running: dict[int, tuple[int, int]] = {}
        outcomes: dict[int, Outcome] = {}

        def wait() -> None:
            pid, status = os.wait()
            number, output = running.pop(pid)
            said = os.pread(output, MOST_OUTPUT_BYTES, 0).decode(errors="replace")
            os.close(output)
            outcomes[number] = Outcome(os.waitstatus_to_exitcode(status), said)

        for number, (module, source) in enumerate(self.cores):
            if len(running) == AT_ONCE:
                wait()
            output = os.memfd_create("output")
            pid = os.fork()
            if pid == 0:
                self.begin_child(session, module, source, output)
                return None
            running[pid] = number, output
        while running:
            wait()
        self.outcomes = [outcomes[number] for number in range(len(self.cores))]
        return True  # there is nothing to collect here

    def begin_child(self, session: pytest.Session, module: str, source: str, output: int) -> None:
        def looped(signum: int, frame: FrameType | None) -> None:
            os._exit(LOOPED)

        signal.signal(signal.SIGXCPU, looped)
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_S, 2 * MOST_CPU_S))
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.meta_path.insert(0, Replaced(module, source))
        session.config.args = [str(TESTS / f"test_{module}.py")]
        self.module = module

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.tests += 1

    def end_child(self, status: int) -> NoReturn:
        # With -x, pytest's status of an import that fails is that of a test that fails.
        core = sys.modules.get(f"walredo.{self.module}")
        tested = self.tests and isinstance(getattr(core, "__loader__", None), ReplacedLoader)
        sys.stdout.flush()
        os._exit(status if tested else NOT_TESTED)


def host() -> None:
    """Reads the cores from stdin, writes their outcomes to stdout, both as JSON."""
    forks = Forks(json.load(sys.stdin))
    results = os.dup(1)
    os.dup2(2, 1)
    hypothesis.settings.register_profile(
        "mutants",
        max_examples=EXAMPLES,
        derandomize=True,  # the same outcome each time; so no database either
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        deadline=None,
    )
    hypothesis.settings.load_profile("mutants")
    # The core needs no fixture of conftest.py. Reports are of no interest: who wants to know what
    # a test says applies the mutant.
    options = ["-x", "-s", "--noconftest", "--assert=plain", "--tb=line", "-p", "no:cacheprovider"]
    status = int(pytest.main(options, plugins=[forks]))
    if forks.module:
        forks.end_child(status)
    with os.fdopen(results, "w", encoding="utf-8") as file:
        json.dump([(each.status, each.output) for each in forks.outcomes], file)


# --- tests ----------------------------------------------------------------------------------------

UNTESTABLE = ("raise RuntimeError", "this is not Python", "no_name_that_the_tests_import = 1")
LOOP = "while True:\n    pass\n"


def test_the_true_core_passes() -> None:
    cores = [(module, path_of(module).read_text(encoding="utf-8")) for module in MODULES]
    for outcome in run_tests_on(cores):
        assert outcome.status == ALL_PASSED, outcome.output


@pytest.mark.exhaustive
@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_broken_rule_fails_a_test(batch: int) -> None:
    mutants = MUTANTS[batch::BATCHES]
    outcomes = run_tests_on([(mutant.module, mutated(mutant)) for mutant in mutants])
    problems = []
    for mutant, outcome in zip(mutants, outcomes, strict=True):
        name = f"{mutant.module}: {mutant.rule}"
        if outcome.status == ALL_PASSED:
            problems.append(f"no test notices that this is broken: {name}")
        elif outcome.status not in CAUGHT:
            problems.append(f"{name}: the harness failed:\n{outcome.output}")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("module", MODULES)
def test_every_function_has_a_mutant(module: str) -> None:
    source = path_of(module).read_text(encoding="utf-8")
    changed = {
        source[: source.find(mutant.snippet) + len(mutant.snippet.rstrip())].count("\n") + 1
        for mutant in MUTANTS
        if mutant.module == module
    }
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef) and function.name not in ("__init__", "pending"):
            assert function.end_lineno
            lines = range(function.lineno, function.end_lineno + 1)
            assert changed & set(lines), f"no mutant changes {function.name}"


@pytest.mark.parametrize("snippet", ["no such line", "self"])
def test_a_snippet_that_is_gone_or_there_twice_is_named(snippet: str) -> None:
    with pytest.raises(ValueError, match=r"update tests/support/core_mutations\.py.*'some rule'"):
        mutated(Mutant("pipeline", "some rule", snippet, ""))


def test_what_is_no_core_is_not_taken_for_caught() -> None:
    *untestable, loops = run_tests_on([("pipeline", source) for source in (*UNTESTABLE, LOOP)])
    assert [outcome.status for outcome in untestable] == [NOT_TESTED] * len(UNTESTABLE)
    assert loops.status == LOOPED


if __name__ == "__main__":
    host()
