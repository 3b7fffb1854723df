"""The workflows for GitHub: their commands are the suite's, and do what docs/ci.md says of them.

Read as text, since no parser for YAML is among the dependencies: jobs and steps by their
indentation, as the files have them.
"""

from __future__ import annotations

import os
import re
import shlex
import textwrap
from dataclasses import dataclass, replace
from fnmatch import fnmatch

import pytest

from bench.cases.case import Case
from bench.cases.config import load_profile, override
from bench.cli.comparing import Output
from bench.cli.main import parse
from bench.cli.options import given_options, minutes_in_s
from bench.places import ROOT
from tests.support.browser import SCREENSHOTS
from tests.support.made_up_runs import Bench
from tests.support.synthetic import ENVIRONMENT, modelled_records, save, steady_record

WORKFLOW, MACHINES = (
    (ROOT / ".github/workflows" / name).read_text(encoding="utf-8")
    for name in ("bench.yml", "machines.yml")
)
BENCH = ".venv/bin/python -m bench "


@dataclass(frozen=True)
class Step:
    """One step of a job: its text, and its script if it has one."""

    text: str

    @property
    def script(self) -> str:
        """Empty for an action."""
        block = re.search(r"^ +run: \|\n((?: {10}.*\n)+)", self.text, re.MULTILINE)
        if block:
            return textwrap.dedent(block[1])
        line = re.search(r"^ +(?:- )?run: (.+)\n", self.text, re.MULTILINE)
        return f"{line[1]}\n" if line else ""

    @property
    def commands(self) -> list[list[str]]:
        """The arguments of each `python -m bench` in it, redirections left out."""
        lines = [line for line in self.script.splitlines() if line.startswith(BENCH)]
        return [shlex.split(re.sub(r" >>? .*", "", line.removeprefix(BENCH))) for line in lines]


def jobs(workflow: str) -> dict[str, list[Step]]:
    _, _, text = workflow.partition("\njobs:\n")
    names = re.split(r"^  ([a-z-]+):\n", text, flags=re.MULTILINE)[1:]
    return {
        name: [Step(step) for step in re.split(r"^      (?=- )", body, flags=re.MULTILINE)[1:]]
        for name, body in zip(names[::2], names[1::2], strict=True)
    }


JOBS = {**jobs(WORKFLOW), **jobs(MACHINES)}
STEPS = [step for steps in JOBS.values() for step in steps]
COMMANDS = [words for step in STEPS for words in step.commands]


def commands_of(job: str, name: str) -> list[list[str]]:
    return [words for step in JOBS[job] for words in step.commands if words[0] == name]


def test_the_reader_finds_all_there_is() -> None:
    both = WORKFLOW + MACHINES
    assert {name: len(steps) for name, steps in JOBS.items()} == {
        "pull-request": 8,
        "main": 5,
        "measure": 4,
        "page": 6,
    }
    assert len(COMMANDS) == both.count("-m bench") == 7
    assert sum(bool(step.script) for step in STEPS) == both.count(" run: ")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_commands_are_those_of_the_suite(words: list[str]) -> None:
    args = parse(words)
    if words[0] in ("ab", "compare"):
        Output.of(args)
    if words[0] == "ab":
        assert minutes_in_s(args.minutes) == 600
        override(load_profile(args.profile or "quick"), **given_options(args))


def test_make_targets_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [word for step in STEPS for word in re.findall(r"\bmake ([\w-]+)", step.script)]
    assert targets == ["compiled", "bench-quick", "bench", "compiled"]
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    (options,) = re.findall(r'ARGS="(.*)"', "".join(step.script for step in JOBS["main"]))
    assert str(parse(["run", *options.split()]).output) == commands_of("main", "show")[0][1]


def test_a_folder_is_made_before_something_is_written_to_it() -> None:
    for steps in JOBS.values():
        scripts = "".join(step.script for step in steps)
        assert scripts.index("mkdir -p results/ci\n") < scripts.index("-o results/ci/")


def test_no_script_holds_what_an_event_says() -> None:
    assert all("${{" not in step.script for step in STEPS)


@pytest.mark.parametrize("workflow", [WORKFLOW, MACHINES], ids=["bench", "machines"])
def test_it_may_read_only_and_ends(workflow: str) -> None:
    assert re.findall(r"^ *permissions:\n((?: +.*\n)+)", workflow, re.MULTILINE) == [
        "  contents: read\n"
    ]
    assert "secrets." not in workflow
    assert workflow.count("timeout-minutes:") == len(jobs(workflow))
    for action in re.findall(r"uses: (.*)", workflow):
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", action)


def test_slower_fails_after_all_is_written() -> None:
    steps = JOBS["pull-request"]
    fails = [n for n, step in enumerate(steps) if "--fail-on" in step.script]
    written = [
        n
        for n, step in enumerate(steps)
        if "GITHUB_STEP_SUMMARY" in step.script or "upload-artifact" in step.text
    ]
    assert fails == [len(steps) - 1]
    assert len(written) == 2
    assert max(written) < fails[0]


@pytest.mark.parametrize(("percent", "status"), [(0, 0), (5, 0), (20, 1)])
def test_a_pull_request_is_compared_by_pairs(percent: int, status: int, bench: Bench) -> None:
    ((*_, prefix),) = commands_of("pull-request", "ab")
    for side, factor in (("base", 100), ("changed", 100 + percent)):
        runs = [
            steady_record(Case("sync", "short", 8), n, latency_ns=(400 + 90 * n) * factor)
            for n in range(6)
        ]
        together = replace(ENVIRONMENT, ab="20261124T120000")
        save(bench.folder / f"{prefix}-{side}.json", runs, environment=together)
    markdown, data, fail_on = (bench(words) for words in commands_of("pull-request", "compare"))
    assert [one[0] for one in (markdown, data, fail_on)] == [0, 0, status]
    assert "paired by round" in markdown[1]
    assert "| `sync/short/n=8` |" in markdown[1]
    assert '"paired": true' in data[1]
    assert ("is slower" in fail_on[2]) == bool(status)


def test_main_is_exported(bench: Bench) -> None:
    exports = commands_of("main", "show")
    save(bench.folder / exports[0][1], modelled_records(["sync"], ["short"], [1], 3))
    for words, says in zip(exports, ["sync/short/n=1 time-per-redo", '"latency"'], strict=True):
        status, out, err = bench(words)
        assert (status, err) == (0, "")
        assert says in out


def test_each_machine_measures_and_one_job_has_all_results(bench: Bench) -> None:
    (matrix,) = re.findall(r"runner: \[(.*)\]", MACHINES)
    runners = matrix.split(", ")
    assert len(runners) > 1
    assert MACHINES.count("${{ matrix.runner }}") == 3  # the machine, its result, its artifact
    scripts = "".join(step.script for step in JOBS["measure"])
    (options,) = re.findall(r'make bench ARGS="(.*)"', scripts)
    args = parse(["run", "--profile", "default", *options.split()])
    assert args.profile == "quick"
    ((_, pattern, option, place),) = commands_of("page", "report")
    for runner in runners:
        path = bench.folder / str(args.output).replace("$RUNNER_LABEL", runner)
        assert fnmatch(str(path.relative_to(bench.folder)), pattern)
        save(path, modelled_records(["sync", "async"], ["short"], [1, 8], 3))
    paths = sorted(str(path.relative_to(bench.folder)) for path in bench.folder.glob(pattern))
    assert len(paths) == len(runners)
    assert bench(["report", *paths, option, place]) == (0, f"{place}\n", "")
    assert f"path: {place}\n" in JOBS["page"][-1].text
    (upload,) = (step.text for step in JOBS["measure"] if "upload-artifact" in step.text)
    (download,) = (step.text for step in JOBS["page"] if "download-artifact" in step.text)
    (name,), (names,) = re.findall(r"name: (.*)", upload), re.findall(r"pattern: (.*)", download)
    assert fnmatch(name, names)
    assert not fnmatch("machines", names)


def test_the_other_workflow_runs_all_and_keeps_the_screenshots() -> None:
    text = (ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8")
    assert "          .ci/run\n" in text
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert f"path: {SCREENSHOTS.relative_to(ROOT)}/\n" in text
