"""The suite in strange surroundings: environments, streams, limits, signals, folders, machines.

One table. Each surrounding is a line: its name, the commands that it can affect, and what is
strange (`tests.support.surroundings` has the means). What must hold everywhere is in the test: the
exit status, the same output and files as in ordinary surroundings, or one clear line of error, and
nothing left behind. A new surrounding is a new line.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bench.places import ROOT
from bench.results.result_file import ResultFile
from fake_redo_child.build import CompilerMissing, child_program, floor_program
from tests.support.suites import LIMIT_S
from tests.support.surroundings import (
    CASES,
    INPUT,
    LIBRARIES,
    MADE_UP,
    SAID_BY_A_RUN,
    SET_UP,
    Change,
    Outcome,
    Start,
    Surrounding,
    blocked,
    checkout_named,
    closed,
    cpu_quota,
    file,
    first,
    folder_named,
    ignored,
    jumping_clock,
    limit,
    more_descriptors,
    namespaces,
    not_blocking,
    of_another_user,
    outcome,
    place_named,
    stream,
    terminal,
    unpacked,
    variables,
    with_wheels,
    without_git,
    without_programs,
)
from tests.support.synthetic import modelled_records, save


def of_environment(text: str, commands: str, quick: bool = False) -> Surrounding:
    """Variables that change nothing, as they are written before a command in a shell."""
    return Surrounding(text, commands, (variables(text),), quick=quick)


def of_unknown_code(name: str, reason: str, change: Change) -> tuple[Surrounding, ...]:
    """git cannot tell the commit of the checkout: a run warns once, a commit is refused."""
    changes = (checkout_named("c"), change)
    refused = rf"walredo-bench: HEAD: git says nothing about .*/c: {reason}"
    warned = f"warning: the result will not say which commit was measured: {reason}"
    return (
        Surrounding(name, "run", changes, warned=warned),
        Surrounding(f"{name}, for a commit", "ab", changes, refused=refused),
    )


def processes(most: int) -> tuple[Change, ...]:
    """Processes and threads at once: the suite, a worker, its child and its threads."""
    return of_another_user, limit(resource.RLIMIT_NPROC, most)


TOO_MANY = r".*: see ulimit -u and pids\.max, the limits of processes and threads"
LONG = "/".join(["a folder with a rather long name " * 7] * 4)
"""About 900 bytes."""
MAPPED = "--user --map-user=12345 --map-group=12345"
MINE = "-rm"
READ_ONLY = 'mount --bind "$checkout" "$checkout"; mount -o remount,bind,ro "$checkout"'
NOT_EXECUTED = 'mount --bind "$checkout" "$checkout"; mount -o remount,bind,noexec "$checkout"'
NO_UTF8 = os.fsdecode(b"a\xff\xfe")
NO_PROC = "mount -t tmpfs none /proc"

TABLE = (
    # --- Python
    of_environment("PYTHONHASHSEED=1", "json plot report"),
    of_environment("PYTHONHASHSEED=4294967295 PYTHONUNBUFFERED=1", "compare"),
    of_environment("PYTHONWARNINGS=error", "list compare plot run", quick=True),
    of_environment("PYTHONDEVMODE=1", "list plot report run"),
    of_environment("PYTHONOPTIMIZE=2", "report run"),
    of_environment("PYTHONASYNCIODEBUG=1 PYTHONFAULTHANDLER=1 PYTHONTRACEMALLOC=1", "run"),
    of_environment("PYTHONMALLOC=debug PYTHONINTMAXSTRDIGITS=640", "run"),
    of_environment("PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 LC_ALL=C", "list json report"),
    of_environment("PYTHONUTF8=1 LC_ALL=C", "show"),
    of_environment("PYTHONIOENCODING=ascii", "json plot"),
    Surrounding(
        "an encoding that lacks what a table has",
        "show compare",
        (variables("PYTHONIOENCODING=ascii"),),
        alike=False,
    ),
    of_environment("PYTHONNOUSERSITE=1 PYTHONUSERBASE=/nonexistent", "list"),
    of_environment("PYTHONSTARTUP=/nonexistent PYTHONBREAKPOINT=0 PYTHONCASEOK=1", "list"),
    of_environment("PYTHON_COLORS=1 PYTHON_HISTORY=/nonexistent", "json"),
    Surrounding(
        "PYTHONPATH with modules named as ours",
        "list run",
        (
            *(file(f"path/{name}.py", "raise RuntimeError") for name in ("bench", "walredo")),
            file("path/fake_redo_child/__init__.py", "raise RuntimeError"),
            variables("PYTHONPATH='{folder}/path'"),
        ),
        quick=True,
    ),
    Surrounding(
        "PYTHONPATH with a sitecustomize",
        "run",
        (file("path/sitecustomize.py", "VALUE = 1\n"), variables("PYTHONPATH='{folder}/path'")),
    ),
    # --- Locale and time
    of_environment("LC_ALL=C LANG=", "list compare plot"),
    of_environment("LC_ALL=xx_YY.UTF-8", "run"),
    of_environment("LC_ALL=de_DE.UTF-8 LANGUAGE=de:fr", "plot"),
    of_environment("LC_NUMERIC=fr_FR.UTF-8", "compare"),
    of_environment("LC_ALL=tr_TR.UTF-8", "list json"),
    of_environment("TZ=Asia/Kathmandu", "run"),
    of_environment("TZ=none/such", "report"),
    Surrounding("a wall clock that jumps", "json run", (jumping_clock,)),
    Surrounding(
        "a machine that has been up for 30 years",
        "run",
        (namespaces("--user --map-root-user --time --fork --monotonic 1000000000"),),
    ),
    # --- Terminal
    of_environment("TERM=dumb NO_COLOR=1", "json show list"),
    of_environment("TERM=none-such LINES=0", "show compare"),
    of_environment("COLUMNS=20", "json"),
    of_environment("COLUMNS=wide", "show"),
    of_environment("COLUMNS=-1", "show"),
    of_environment("COLUMNS=0", "json show"),
    of_environment("COLUMNS=1000000000000", "show"),
    of_environment("FORCE_COLOR=1", "json"),
    of_environment("TTY_COMPATIBLE=1 TTY_INTERACTIVE=1", "json"),
    of_environment("CLICOLOR_FORCE=1 COLORTERM=truecolor", "json show"),
    Surrounding("a narrow terminal", "show compare list", (terminal(24, 20),), alike=False),
    Surrounding("a terminal of no size", "show compare run", (terminal(0, 0),), alike=False),
    Surrounding("a terminal of one column", "show", (terminal(1, 1),), alike=False),
    Surrounding(
        "a dumb terminal",
        "show compare run",
        (terminal(24, 80), variables("TERM=dumb")),
        alike=False,
    ),
    Surrounding(
        "a terminal without colours",
        "show",
        (terminal(24, 80), variables("NO_COLOR=1")),
        alike=False,
    ),
    # --- git
    of_environment(
        "GIT_CONFIG_COUNT=3 GIT_CONFIG_KEY_0=color.ui GIT_CONFIG_VALUE_0=always"
        " GIT_CONFIG_KEY_1=status.showUntrackedFiles GIT_CONFIG_VALUE_1=all"
        " GIT_CONFIG_KEY_2=status.short GIT_CONFIG_VALUE_2=1",
        "run",
    ),
    of_environment("GIT_TRACE=1 GIT_PAGER=false GIT_EXTERNAL_DIFF=false GIT_ASKPASS=false", "run"),
    of_environment("GIT_DIR=/nonexistent GIT_WORK_TREE=/ GIT_INDEX_FILE=/nonexistent", "run ab"),
    of_environment(
        "GIT_LITERAL_PATHSPECS=1 GIT_DEFAULT_HASH=sha256 GIT_CEILING_DIRECTORIES=/ GIT_TRACE2=1",
        "run ab",
    ),
    of_environment(
        "GIT_CONFIG_COUNT=4 GIT_CONFIG_KEY_0=core.fsmonitor GIT_CONFIG_VALUE_0=/nonexistent"
        " GIT_CONFIG_KEY_1=core.worktree GIT_CONFIG_VALUE_1=/"
        " GIT_CONFIG_KEY_2=core.autocrlf GIT_CONFIG_VALUE_2=true"
        " GIT_CONFIG_KEY_3=core.bare GIT_CONFIG_VALUE_3=true",
        "run ab",
    ),
    # As in a hook of a submodule, in older versions of git.
    of_environment("GIT_INTERNAL_SUPER_PREFIX=x/ GIT_SHALLOW_FILE=/nonexistent", "run ab"),
    *of_unknown_code(
        "a checkout of another user",
        r"detected dubious ownership .*safe\.directory.*",
        variables("GIT_TEST_ASSUME_DIFFERENT_OWNER=1"),
    ),
    *of_unknown_code("a tarball that was unpacked", "not a git repository.*", unpacked),
    *of_unknown_code("no git", "git is not installed", without_git),
    *of_unknown_code(
        "settings of git that it cannot read",
        r"bad config line \d in file .*/\.gitconfig",
        file("home/.gitconfig", "[nonsense"),
    ),
    # --- matplotlib and other libraries
    of_environment("MPLBACKEND=TkAgg DISPLAY=:99", "plot"),
    of_environment("MPLBACKEND=module://matplotlib_inline.backend_inline", "report"),
    of_environment("MPLBACKEND=none-such", "plot"),
    *(
        Surrounding(
            f"a matplotlibrc of the user's: {setting}",
            "plot report",
            (file("rc", f"{setting}\n"), variables("MATPLOTLIBRC='{folder}/rc'")),
        )
        for setting in ("text.usetex: True", "text.color: white", "savefig.transparent: True")
    ),
    Surrounding(
        "a matplotlibrc in the current folder that cannot be decoded",
        "plot report",
        (checkout_named("c"), file("c/matplotlibrc", b"# caf\xe9\n")),
    ),
    of_environment("OMP_NUM_THREADS=x OPENBLAS_NUM_THREADS=x", "json compare"),
    of_environment("MPLCONFIGDIR=/nonexistent", "plot"),
    of_environment("MALLOC_PERTURB_=165 MALLOC_ARENA_MAX=1", "run"),
    of_environment("LD_BIND_NOW=1 POSIXLY_CORRECT=1 MAKEFLAGS=-n", "run"),
    Surrounding(
        "an environment of a megabyte",
        "run",
        (variables(" ".join(f"V{number}={'x' * 100_000}" for number in range(10))),),
    ),
    # --- The C compiler
    of_environment("CFLAGS=-nonsense LDFLAGS=-nonsense CC=", "run"),
    Surrounding(
        "CC names no program",
        "run",
        (variables("CC=none-such"),),
        refused=r"walredo-bench: .*none-such \(\$CC\).*",
    ),
    # --- pip, make and virtual environments
    of_environment(
        "PIP_REQUIRE_VIRTUALENV=1 PIP_CONFIG_FILE=/nonexistent PIP_NO_INPUT=1", "set-up"
    ),
    of_environment("MAKEFLAGS=-kB MAKELEVEL=3", "set-up"),
    of_environment("VIRTUAL_ENV=/nonexistent MAKEFLAGS=-j4 CDPATH=/ SHELL=/bin/false", "set-up"),
    of_environment("PYTHONOPTIMIZE=2 PYTHONUTF8=0 LC_ALL=C", "set-up"),
    of_environment("PYTHONSAFEPATH=1 PIP_USER=1", "set-up"),
    of_environment("PIP_TARGET='{folder}/tmp/x' PIP_ROOT='{folder}/tmp/y'", "set-up"),
    of_environment("PIP_PREFIX='{folder}/tmp/x' PIP_DRY_RUN=1", "set-up"),
    # --- Folders
    Surrounding(
        "TMPDIR with spaces and quotes", "run set-up", (folder_named("a 'b\" $c", "TMPDIR"),)
    ),
    Surrounding("TMPDIR with umlauts", "run", (folder_named("tämp ÷ 中", "TMPDIR"),)),
    Surrounding("TMPDIR with a long name", "run", (folder_named(LONG, "TMPDIR"),)),
    Surrounding("TMPDIR missing", "run", (variables("TMPDIR='{folder}/none'"),)),
    Surrounding("TMPDIR that is a file", "run", (file("f", ""), variables("TMPDIR='{folder}/f'"))),
    Surrounding(
        "TMPDIR with little room",
        "run",
        (namespaces(MINE, 'mount -t tmpfs -o size=4k none "$folder/tmp"'),),
        refused=r"walredo-bench: \S+/tmp/walredo-bench-\S+: cannot take temporary files \(No space"
        r" left on device\): make room there, or name another folder .* TMPDIR",
    ),
    Surrounding(
        "TMPDIR without exec",
        "run ab",
        (namespaces(MINE, 'mount -t tmpfs -o noexec none "$folder/tmp"'),),
    ),
    Surrounding(
        "TMPDIR that is read-only",
        "json run",
        (
            namespaces(
                MINE,
                'mount --bind "$folder/tmp" "$folder/tmp"; mount -o remount,bind,ro "$folder/tmp"',
            ),
        ),
    ),
    Surrounding("a place with spaces", "plot run", (place_named("a b  c"),), quick=True),
    Surrounding("a place with umlauts", "compare report run", (place_named("ä ÷ 中 😀"),)),
    Surrounding("a place with a line break", "run", (place_named("a\nb"),)),
    Surrounding(
        "a place like an option, a format or markup", "run plot", (place_named("-%s[b]{}"),)
    ),
    Surrounding("a place with a long name", "run", (place_named(LONG),)),
    Surrounding("a checkout with spaces", "run", (checkout_named("a 'b\" $c"),), quick=True),
    Surrounding("a checkout with umlauts", "run set-up", (checkout_named("ä ÷ 中 😀"),)),
    Surrounding(
        "a checkout with umlauts, in ASCII",
        "run",
        (checkout_named("ä ÷"), variables("LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0")),
    ),
    Surrounding("a checkout whose name is no UTF-8", "list run", (checkout_named(NO_UTF8),)),
    Surrounding("a place whose name is no UTF-8", "plot run", (place_named(NO_UTF8),), alike=False),
    Surrounding("TMPDIR whose name is no UTF-8", "run", (folder_named(NO_UTF8, "TMPDIR"),)),
    Surrounding(
        "a checkout like an option, a format or a list", "run", (checkout_named("-%s:a;b,c"),)
    ),
    Surrounding("a checkout with a long name", "run", (checkout_named(LONG),)),
    Surrounding("a checkout behind a link", "run", (checkout_named("b", link=True),)),
    Surrounding(
        "a checkout with spaces that is not built",
        "run",
        (checkout_named("a 'b\" $c"), without_programs),
    ),
    Surrounding(
        "a read-only checkout", "list run", (checkout_named("c"), namespaces(MINE, READ_ONLY))
    ),
    Surrounding(
        "a read-only checkout that is not built",
        "run",
        (
            checkout_named("c"),
            without_programs,
            folder_named("cache", "XDG_CACHE_HOME"),
            namespaces(MINE, f'mount -t tmpfs none "$folder/cache"; {READ_ONLY}'),
        ),
    ),
    Surrounding(
        "a checkout without exec that is not built",
        "run",
        (
            checkout_named("c"),
            without_programs,
            namespaces(MINE, NOT_EXECUTED),
        ),
    ),
    # --- Users and namespaces
    Surrounding(
        "no home, and no entry in passwd",
        "list plot run",
        (variables("!HOME"), namespaces(MAPPED)),
    ),
    of_environment("HOME=/nonexistent XDG_CACHE_HOME=relative XDG_CONFIG_HOME=", "plot run"),
    of_environment("HOME= TMPDIR= !PATH !LANG", "json plot"),
    Surrounding(
        "a read-only home",
        "plot run",
        (namespaces(MINE, 'mount -t tmpfs -o ro none "$folder/home"'),),
    ),
    Surrounding("a uid without an entry in passwd", "list plot run", (namespaces(MAPPED),)),
    Surrounding("umask 077", "run set-up", (first(partial(os.umask, 0o077)),)),
    Surrounding("umask 777", "run", (first(partial(os.umask, 0o777)),)),
    Surrounding("umask 000", "report", (first(partial(os.umask, 0)),)),
    Surrounding("process 1 of a container", "run", (namespaces("-rpf --mount-proc"),)),
    Surrounding("no network", "run", (namespaces("-rn"),)),
    Surrounding("no /sys", "run", (namespaces(MINE, "mount -t tmpfs none /sys"),)),
    Surrounding("no /proc", "json", (namespaces(MINE, NO_PROC),)),
    Surrounding(
        "no /proc, for a run",
        "run",
        (namespaces(MINE, NO_PROC),),
        refused=r"(?:.*\n)*no run gave a result; .*/proc lists no children: it is not mounted.*",
        status=1,
    ),
    Surrounding("no /dev/shm", "run", (namespaces(MINE, "mount -t tmpfs -o ro none /dev/shm"),)),
    # --- Limits
    Surrounding("64 descriptors", "plot run", (limit(resource.RLIMIT_NOFILE, 64),)),
    Surrounding("one process", "list show compare plot report", processes(1)),
    Surrounding(
        "one process, for a run",
        "run ab",
        processes(1),
        refused=rf"walredo-bench: no process can be started: {TOO_MANY}",
        status=1,
    ),
    *(
        Surrounding(
            f"{number} processes",
            "run",
            processes(number),
            refused=rf"(?:.*\n)*no run gave a result; the first, sync/short/n=2: .*{TOO_MANY}",
            status=1,
        )
        for number in (2, 3)
    ),
    Surrounding("8 processes", "run", processes(8)),
    Surrounding("a million descriptors", "run", (limit(resource.RLIMIT_NOFILE, 1 << 20),)),
    Surrounding("no core, no locked memory", "run", (limit(resource.RLIMIT_MEMLOCK, 0),)),
    Surrounding("a stack of 512 KiB", "run", (limit(resource.RLIMIT_STACK, 512 << 10),)),
    Surrounding(
        "a stack without limit", "run", (limit(resource.RLIMIT_STACK, resource.RLIM_INFINITY),)
    ),
    Surrounding("no queue for signals", "run", (limit(resource.RLIMIT_SIGPENDING, 0),)),
    Surrounding("300 MiB of data", "plot run", (limit(resource.RLIMIT_DATA, 300 << 20),)),
    Surrounding("4 GiB of addresses", "plot run", (limit(resource.RLIMIT_AS, 4 << 30),)),
    Surrounding(
        "files of no size",
        "run",
        (limit(resource.RLIMIT_FSIZE, 0),),
        refused=r"walredo-bench: \{place\}/r\.json: cannot be written \(File too large\): .*",
    ),
    Surrounding(
        "files of no size, for a page",
        "plot report",
        (limit(resource.RLIMIT_FSIZE, 0),),
        refused=r"walredo-bench: \{place\}/\S+: cannot be written \(File too large\): .*",
    ),
    Surrounding(
        "one CPU", "run", (first(lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})),)
    ),
    Surrounding("nice 19", "run", (first(partial(os.nice, 19)),)),
    Surrounding("a fifth of a CPU", "run", (cpu_quota(20),)),
    # --- Signals and streams
    Surrounding("SIGCHLD ignored", "run", (ignored(signal.SIGCHLD),), quick=True),
    Surrounding("SIGPIPE ignored", "run", (ignored(signal.SIGPIPE),)),
    Surrounding(
        "SIGINT, SIGHUP, SIGALRM ignored",
        "run",
        (ignored(signal.SIGINT, signal.SIGHUP, signal.SIGALRM),),
    ),
    Surrounding("all signals blocked", "run", (blocked(*signal.valid_signals()),)),
    Surrounding("stdin closed", "list run set-up", (closed(0),)),
    Surrounding("stdout closed", "plot run", (closed(1),), alike=False),
    Surrounding("stderr closed", "list run", (closed(2),), alike=False),
    Surrounding("all streams closed", "report run", (closed(0, 1, 2),), alike=False),
    Surrounding(
        "stdout is full",
        "list show",
        (stream(1, "/dev/full"),),
        refused=r"walredo-bench: output: No space left on device",
        status=1,
    ),
    Surrounding(
        "stdout does not block", "json list", (first(not_blocking), variables("PYTHONUNBUFFERED=1"))
    ),
    Surrounding("300 descriptors left open", "run", (more_descriptors(300),)),
)


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    try:
        child_program()
        floor_program()
    except CompilerMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what all processes of this run of the tests need once."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "surroundings"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def ordinary(shared: Path) -> Callable[[str], Outcome]:
    """The outcome of a command in ordinary surroundings; the first makes the input as well."""

    def of(command: str) -> Outcome:
        with (shared / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for name, drift in zip(INPUT, (0.05, 0.2), strict=True):
                if not (shared / name).exists():
                    records = modelled_records(
                        ["sync", "async"], ["short"], [1, 2, 8], 6, drift=drift
                    )
                    save(shared / name, records)
            known = shared / command
            if not known.exists():
                folder = shared / f"{command}.folder"
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                start = started(folder, shared, command)
                known.write_bytes(pickle.dumps(outcome(command, start)))
                # Of the first that draws: matplotlib's list of fonts, which takes a second to make.
                if not (shared / "cache").exists() and (folder / "home" / ".cache").exists():
                    (folder / "home" / ".cache").rename(shared / "cache")
            return pickle.loads(known.read_bytes())  # type: ignore[no-any-return]

    return of


def started(
    folder: Path, shared: Path, command: str, surrounding: Surrounding | None = None
) -> Start:
    """A start in that surrounding, with the input in its place."""
    start = Start.ordinary(folder)
    if (shared / "cache").exists():
        shutil.copytree(shared / "cache", folder / "home" / ".cache")
    for change in surrounding.changes if surrounding else ():
        change(start)
    if command == SET_UP:
        if start.checkout == ROOT:
            checkout_named("checkout")(start)
        with_wheels(start)
    for name in INPUT:
        shutil.copy(shared / name, start.place)
    return start


def test_the_table() -> None:
    names = [surrounding.name for surrounding in TABLE]
    assert len(names) == len(set(names)) >= 40
    assert 3 <= sum(surrounding.quick for surrounding in TABLE) <= 8  # in `make test`


@pytest.mark.parametrize(
    ("surrounding", "command"),
    [
        pytest.param(
            surrounding,
            command,
            id=f"{surrounding.name[:80]}: {command}",
            marks=() if surrounding.quick else pytest.mark.exhaustive,
        )
        for surrounding in TABLE
        for command in surrounding.commands.split()
    ],
)
def test_in(
    surrounding: Surrounding,
    command: str,
    ordinary: Callable[[str], Outcome],
    shared: Path,
    tmp_path: Path,
) -> None:
    if command == "ab" and not (ROOT / ".git").exists():
        pytest.skip("no checkout of git")
    expected = ordinary(command)
    assert expected.status == 0, expected.err
    start = started(tmp_path, shared, command, surrounding)
    found = outcome(command, start)
    assert "Traceback" not in found.out + found.err
    if surrounding.refused is not None:
        assert (found.status, found.files) == (surrounding.status, {}), found.err
        assert re.fullmatch(surrounding.refused + r"\n", found.err), found.err
        return
    assert found.status == 0, (found.out, found.err)
    assert found.files.keys() == expected.files.keys()
    if command == SET_UP:
        holds_for_a_set_up(start)
    if command in ("run", "ab"):
        holds_for_results(start, found, expected)
        if command == "run" and surrounding.alike:
            said = found.err.splitlines()
            assert all(map(SAID_BY_A_RUN.fullmatch, said)), found.err
            warnings = [line for line in said if line.startswith("warning: ")]
            assert len(warnings) == (surrounding.warned is not None), found.err
            assert all(re.fullmatch(surrounding.warned or "", line) for line in warnings), found.err
    else:
        assert found.files == expected.files
        if surrounding.alike:
            assert (found.out, found.err) == (expected.out, expected.err)


def holds_for_a_set_up(start: Start) -> None:
    """The libraries are there, for the interpreter of the checkout."""
    assert (start.checkout / ".venv" / ".runtime-installed").exists()
    modules = list(LIBRARIES.values())
    code = f"import {', '.join(modules)}; print({modules[0]}.__version__)"
    done = subprocess.run(
        [".venv/bin/python", "-I", "-c", code],
        cwd=start.checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"{MADE_UP}\n", "")


def holds_for_results(start: Start, found: Outcome, expected: Outcome) -> None:
    """Its cases were measured, its times are possible, and its code is known as elsewhere."""
    for name, content in found.files.items():
        path = start.folder / "copy.json"
        path.write_bytes(content)
        result = ResultFile.load(path)
        assert result.failures == (), name
        suite = result.suite()
        assert set(suite.get_benchmark_names()) == CASES
        for benchmark in suite:
            assert 0 < benchmark.median() < 1
            for run in benchmark.get_runs():
                assert 0 < run.get_metadata()["duration"] < LIMIT_S
        if start.checkout == ROOT:
            path.write_bytes(expected.files[name])
            environment, usual = result.environment, ResultFile.load(path).environment
            assert environment.version == usual.version
            assert environment.git_diff_sha256 == usual.git_diff_sha256
