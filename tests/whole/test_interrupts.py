"""Signals that ask it to end, whatever the suite is at.

Each ends it with status 130, one line of what to do next, a result file of whole rounds or none, no
process and no temporary file. The moments are chosen, not hit by luck: a function of the suite is
made to send its own process the signal, or a worker sends it to the suite at some command.
"""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from bench import interrupts
from bench.places import ROOT
from bench.results.result_file import ResultFile
from fake_redo_child.build import CompilerMissing, find_compiler
from tests.support.suite_server import SuiteServer
from tests.support.suites import LIMIT_S, Ended

TINY = (
    *("run", "--profile", "quick", "--manager", "sync", "--workload", "short", "--clients", "2"),
    *("--rounds", "2", "--seconds", "0.01", "--slices", "2", "--warmup-s", "0"),
    *("--repeat-disturbed", "0"),
)
BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
"""The others have the same handler."""

SAID_EARLY = "walredo-bench: interrupted"
SAID_IN_THE_FIRST_ROUND = (
    "walredo-bench: interrupted before the first round was finished: nothing was saved"
)
SAID_LATER = (
    "walredo-bench: interrupted; to do the missing rounds: python -m bench run --resume {path}"
)

IMPORTS = """
import os, shutil, signal, subprocess, tempfile
from pathlib import Path
from bench.results import claim
from bench.results import environment
from bench.running.equipment import equipment
from bench.show.pictures import figures
from bench import interrupts
from bench.results import suite_file
from bench.running import processes, worker_process
from bench.cli.progress import ProgressListener
from bench.results.result_file import ResultFile
"""
BEFORE_THE_FIRST_RUN = {
    "the profile is read": "interrupt_at(cli_run.options, 'config_of', n)",
    "managers are looked for": "interrupt_at(cli_run, 'usable_managers', n)",
    "git is asked": "interrupt_at(environment, 'git_output', n, call=2)",
    "git is running": "interrupt_at(subprocess.Popen, 'communicate', n)",
    "the file is claimed": "interrupt_at(claim, '_take', n, after=True)",
    "the place is tried": "interrupt_at(cli_run, 'check_place', n)",
    "the disk is tried": "interrupt_at(Path, 'write_bytes', n, after=True)",
    "the scratch folder is made": "interrupt_at(tempfile, 'mkdtemp', n, after=True)",
    "programs are looked for": "interrupt_at(cli_run, 'prepare', n)",
    "the sandbox is tried": "interrupt_at(equipment.build, 'sandbox_allowed', n, after=True)",
    "the traffic is written": "interrupt_at(equipment, 'write_traffic', n, after=True)",
}
IN_A_RUN = {
    "a worker is about to start": "interrupt_at(processes, 'start_group', n, call=run)",
    "a worker is not there yet": """
at_call(processes, 'start_group', lambda: interrupt_at(subprocess.Popen, '_execute_child', n),
        call=run, after=False)
""",
    "a worker is there and Popen is not": """
at_call(processes, 'start_group',
        lambda: interrupt_at(subprocess.Popen, '_execute_child', n, after=True),
        call=run, after=False)
""",
    "a worker is there and not known": (
        "interrupt_at(processes, 'start_group', n, call=run, after=True)"
    ),
    "a worker is noted": """
class Noted(set): pass
processes._running = Noted()
interrupt_at(Noted, 'add', n, call=run, after=True)
""",
    "a worker is about to be killed": "interrupt_at(os, 'killpg', n, call=run)",
    "a worker has been killed": "interrupt_at(os, 'killpg', n, call=run, after=True)",
    "orphans are looked for": "interrupt_at(processes, '_children', n, call=run)",
    "a run is added": "interrupt_at(ResultFile, 'add', n, call=run)",
    "a run has ended": "interrupt_at(ProgressListener, 'run_ended', n, call=run)",
}
WHILE_SAVING = {
    "the file is written": "interrupt_at(os, 'fsync', n)",
    "the file is in its place": "interrupt_at(Path, 'replace', n, after=True)",
    "the folder is synchronised": "interrupt_at(suite_file, '_sync_folder', n)",
    "the round is saved": "interrupt_at(ProgressListener, 'round_saved', n)",
}
AFTER_THE_LAST_RUN = {
    "the result is summarised": "interrupt_at(cli_run, 'summary_of', n)",
    "the table is printed": "interrupt_at(cli_run, 'print_summary', n)",
    "a picture is drawn": "interrupt_at(figures, '_render', n, call=2)",
    "a picture is squeezed": "interrupt_at(figures, '_with_palette', n)",
    "a picture is written": "interrupt_at(os, 'fsync', n, call=5)",  # of the file: two per round
    "what is left is ended": "interrupt_at(cli_run, 'end_all', n)",
    "the scratch folder is removed": "interrupt_at(shutil, 'rmtree', n)",
    "all is done": "interrupt_at(interrupts, 'uninstall', n)",
}
AT_A_COMMAND = {
    "a worker starts": "tell()",
    "a child is about to be launched": "before('open_subject', 1)",
    "a child is launched": "before('_opened', 1)",
    "a worker warms up": "before('_slice', 1)",
    "a slice is measured": "before('_slice', 2)",
    "a slice has been measured": "after('_slice', 3)",
    "a worker reports": "before('_report', 1)",
    "a worker stops": "wrap('decode', 6, True)",  # what it has been asked: two slices, one before
}
WORKER = """
import os, signal, sys, time
sys.path.insert(0, {root!r})
from bench.worker import __main__ as worker

def tell():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.kill(os.getppid(), {number})
    time.sleep(600)

def wrap(name, call, late):
    original, calls = getattr(worker, name), []
    def replacement(*args):
        calls.append(1)
        if len(calls) == call and not late:
            tell()
        result = original(*args)
        if len(calls) == call and late:
            tell()
        return result
    setattr(worker, name, replacement)

def before(name, call):
    wrap(name, call, False)

def after(name, call):
    wrap(name, call, True)

{moment}
sys.exit(worker.main())
"""
"""A worker that sends its suite the signal at some moment, and hangs."""


IMPATIENCE = """
begun = []

def first():
    begun.append(True)
    os.kill(os.getpid(), n)

def again():
    if begun:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)

at_call(worker_process.WorkerProcess, 'report', first, call=2, after=False)
for name in ('killpg', 'close', 'unlink'):
    for call in range(1, 40):
        at_call(os, name, again, call=call, after=call % 2 == 0)
"""
"""An interruption in the second run, and two more at each step of what ends the suite."""

COMPILER = """#!/bin/sh
case "$*" in *--version*) echo cc 1.0; exit ;; esac
while [ $# -gt 1 ]; do [ "$1" = -o ] && echo half >"$2"; shift; done
mktemp >/dev/null
sleep 600 &
kill -{number} $PPID
wait
"""
"""A compiler that sends its caller the signal, with half a program written and work in hand."""

LOADING = """
import os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {root!r})

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "rich":
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Finder())
runpy.run_module("bench", run_name="__main__")
"""


@pytest.fixture(scope="module", autouse=True)
def compiler() -> None:
    try:
        find_compiler()
    except CompilerMissing as missing:
        pytest.skip(str(missing))


def in_turn(moments: Iterable[str]) -> list[tuple[str, int]]:
    """Each moment with one of the signals: they have the same handler."""
    return list(zip(moments, itertools.cycle(interrupts.NUMBERS), strict=False))


def check(ended: Ended, folder: Path, rounds: tuple[int, ...]) -> None:
    """It was interrupted, with these rounds in the file and nothing beside it but pictures."""
    assert ended.status == 130, ended.err
    assert "Traceback" not in ended.err
    assert rounds_in(folder, cases=1) == rounds


def rounds_in(folder: Path, cases: int) -> tuple[int, ...]:
    """The rounds in the result, which are whole as any picture is; there are no other files."""
    rounds: tuple[int, ...] = ()
    for path in folder.iterdir():
        if path.name == "r.json":
            result = ResultFile.load(path)
            rounds = result.rounds()
            assert result.run_count == cases * len(rounds) > 0
        elif path.suffix == ".svg":
            assert path.read_text().rstrip().endswith("</svg>")
        else:
            assert path.suffix == ".png"
            with Image.open(path) as image:
                image.load()
    return rounds


@pytest.mark.parametrize(("moment", "number"), in_turn(BEFORE_THE_FIRST_RUN))
def test_before_the_first_run(
    moment: str, number: int, server: SuiteServer, tmp_path: Path
) -> None:
    code = IMPORTS + BEFORE_THE_FIRST_RUN[moment]
    ended = server.run(tmp_path, *TINY, "-o", str(tmp_path / "r.json"), code=code, n=number)
    check(ended, tmp_path, ())
    assert ended.err.splitlines() == [SAID_EARLY]


@pytest.mark.parametrize("run", [1, 2])
@pytest.mark.parametrize(("moment", "number"), in_turn(IN_A_RUN))
def test_in_a_run(run: int, moment: str, number: int, server: SuiteServer, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    code = IMPORTS + IN_A_RUN[moment]
    ended = server.run(tmp_path, *TINY, "-o", str(path), code=code, n=number, run=run)
    check(ended, tmp_path, () if run == 1 else (1,))
    said = SAID_IN_THE_FIRST_ROUND if run == 1 else SAID_LATER
    assert ended.last_line == said.format(path=path)


@pytest.mark.parametrize(("moment", "number"), in_turn(AT_A_COMMAND))
def test_while_a_worker_is_at_work(
    moment: str, number: int, server: SuiteServer, tmp_path: Path
) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(
        WORKER.format(root=str(ROOT), number=int(number), moment=AT_A_COMMAND[moment])
    )
    code = IMPORTS + "worker_process.WORKER = Path(worker)"
    ended = server.run(
        tmp_path, *TINY, "-o", str(tmp_path / "r.json"), code=code, worker=str(worker)
    )
    worker.unlink()
    check(ended, tmp_path, ())
    assert ended.last_line == SAID_IN_THE_FIRST_ROUND


@pytest.mark.parametrize(("moment", "number"), in_turn(WHILE_SAVING))
def test_a_round_is_saved_whole_and_then_the_suite_ends(
    moment: str, number: int, server: SuiteServer, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    code = IMPORTS + WHILE_SAVING[moment]
    ended = server.run(tmp_path, *TINY, "-o", str(path), code=code, n=number)
    check(ended, tmp_path, (1,))
    assert ended.last_line == SAID_LATER.format(path=path)


@pytest.mark.parametrize(("moment", "number"), in_turn(AFTER_THE_LAST_RUN))
def test_after_the_last_run(moment: str, number: int, server: SuiteServer, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    code = IMPORTS + AFTER_THE_LAST_RUN[moment]
    plot = ["--plot"] if "picture" in moment else []
    ended = server.run(tmp_path, *TINY, *plot, "-o", str(path), code=code, n=number)
    check(ended, tmp_path, (1, 2))


@BOTH
def test_at_the_very_end_it_ends_by_the_signal(
    number: int, server: SuiteServer, tmp_path: Path
) -> None:
    # Nothing is left to put right: neither a traceback nor a wait.
    code = IMPORTS + "interrupt_at(interrupts, 'uninstall', n, after=True)"
    ended = server.run(tmp_path, *TINY, "-o", str(tmp_path / "r.json"), code=code, n=number)
    assert (ended.status, "Traceback" in ended.err) == (-number, False)
    assert rounds_in(tmp_path, cases=1) == (1, 2)


@BOTH
def test_a_second_one_does_not_keep_it_from_ending_in_order(
    number: int, server: SuiteServer, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    ended = server.run(tmp_path, *TINY, "-o", str(path), code=IMPORTS + IMPATIENCE, n=number)
    check(ended, tmp_path, (1,))
    assert ended.last_line == SAID_LATER.format(path=path)


# --- Outside the command line's own reach ---------------------------------------------------------


@BOTH
def test_while_the_libraries_are_loaded(number: int, tmp_path: Path) -> None:
    """Nothing has been started yet, and SIGTERM does what it does to any program."""
    script = tmp_path / "script.py"
    script.write_text(LOADING.format(root=str(ROOT), number=int(number)))
    done = subprocess.run(
        [sys.executable, str(script), "list"], capture_output=True, timeout=LIMIT_S, check=False
    )
    assert (done.stdout, done.stderr) == (b"", b"")
    assert done.returncode == (130 if number == signal.SIGINT else -number)


@BOTH
def test_while_a_program_is_compiled(number: int, server: SuiteServer, tmp_path: Path) -> None:
    """The compiler ends with what it has started, and leaves no half of a program."""
    compiler, programs = tmp_path / "cc", tmp_path / "programs"
    compiler.write_text(COMPILER.format(number=int(number)))
    compiler.chmod(0o755)
    programs.mkdir()
    code = "import os; from fake_redo_child import build; from pathlib import Path\n"
    code += "os.environ['CC'] = cc; build._writable = lambda folders: Path(programs)"
    ended = server.run(
        *(tmp_path, *TINY, "-o", str(tmp_path / "r.json")),
        code=code,
        cc=str(compiler),
        programs=str(programs),
    )
    assert (ended.status, ended.err.splitlines()) == (130, [SAID_EARLY])
    assert list(programs.iterdir()) == []
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize(
    "sweep", [4, pytest.param(24, marks=[pytest.mark.exhaustive, pytest.mark.timeout(600)])]
)
def test_at_moments_that_nobody_chose(sweep: int, server: SuiteServer, tmp_path: Path) -> None:
    """Interruptions at moments that chance chooses, one in each part of a suite."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    command = (*TINY, "--manager", "async,floor")
    begun_s = time.monotonic()
    server.run(tmp_path, *command, "-o", str(tmp_path / "r.json"))
    whole_s = time.monotonic() - begun_s
    statuses: list[int] = []
    for number in range(sweep):
        folder = tmp_path / str(number)
        folder.mkdir()
        chosen = chance.choice(interrupts.NUMBERS)
        delay_s = (number + chance.random()) / sweep * whole_s
        server.start(folder, *command, "-o", str(folder / "r.json"))
        time.sleep(delay_s)
        note = f"seed {seed}, signal {chosen} after {delay_s:.3f} s"
        server.send(chosen)
        ended = server.end()
        # It may have ended by itself, or be about to; what it left is whole in any case.
        assert ended.status in {130, 0, -chosen}, (note, ended)
        assert "Traceback" not in ended.err, (note, ended)
        rounds_in(folder, cases=2)
        statuses.append(ended.status)
    assert 130 in statuses
