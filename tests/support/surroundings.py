"""One command of the suite, started in strange surroundings, and what must hold of it there.

A surrounding is a name, the commands that it can affect, and changes. A change alters a `Start`:
the environment, limits, signals, streams and folders that a command begins with. Everything else
is ordinary: a short environment, and folders of the test's own for home, temporary files, input and
output.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pty
import re
import resource
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import termios
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from bench.places import ROOT
from tests.support.checkouts import make_checkout
from tests.support.suites import LIMIT_S, kill_session, session_of

OF_BOTH: Final = (
    *("--manager", "sync,async", "--workload", "short", "--clients", "2"),
    *("--seconds", "0.01", "--warmup-s", "0"),
)
TINY: Final = (
    *("run", "--profile", "quick", *OF_BOTH, "--slices", "1", "--rounds", "1"),
    *("--repeat-disturbed", "0"),
)
CASES: Final = {"sync/short/n=2", "async/short/n=2"}
COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "list": ("list", "--profile", "quick"),
    "json": ("show", "{place}/base.json", "--json"),
    "show": ("show", "{place}/base.json"),
    "compare": ("compare", "{place}/base.json", "{place}/changed.json"),
    "plot": ("plot", "{place}/base.json", "-o", "{place}/p"),
    "report": ("report", "{place}/base.json", "-o", "{place}/page.html"),
    "run": (*TINY, "-o", "{place}/r.json"),
    "ab": (
        *("ab", "HEAD", *OF_BOTH, "--placement", "any", "--slices", "2"),
        *("--minutes", "0.02", "-o", "{place}/ab"),
    ),
}
"""The short path. ``{place}``: the folder of the command's input and output."""

SET_UP: Final = "set-up"
"""Another command: `make` sets up a checkout that has nothing, from a folder of wheels."""

INPUT: Final = ("base.json", "changed.json")
LIBRARIES: Final = {
    "hdrhistogram": "hdrh",
    "jinja2": "jinja2",
    "matplotlib": "matplotlib",
    "msgspec": "msgspec",
    "numpy": "numpy",
    "pyperf": "pyperf",
    "rich": "rich",
    "scipy": "scipy",
    "uvloop": "uvloop",
}
"""What the project needs, and the module of each."""
MADE_UP: Final = "9999.1"
"""The version of a made-up wheel."""

SAID_BY_A_RUN: Final = re.compile(
    r"(machine: |2 cases, 1 round$|this takes about |round 1 of 1 saved|warning: ).*"
)


@dataclass(slots=True)
class Start:
    """How a command is started: changed by a surrounding, then used once."""

    folder: Path
    """The test's own. All that the command writes must be in it."""
    environment: dict[str, str]
    place: Path
    checkout: Path = ROOT
    prefix: tuple[str, ...] = ()
    """A command that executes the words after it."""
    before: list[Callable[[], object]] = field(default_factory=list)
    """What the process does before it executes the program."""
    after: list[Callable[[], object]] = field(default_factory=list)
    """What the test does at the end."""
    terminal: tuple[int, int] | None = None
    """Lines and columns of the terminal that stdout and stderr are, if they are one."""

    @classmethod
    def ordinary(cls, folder: Path) -> Start:
        home, place, temporary = (folder / name for name in ("home", "place", "tmp"))
        for made in (home, place, temporary):
            made.mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "LANG": "C.UTF-8",
            # So that what is left behind is not what Python keeps.
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return cls(folder, environment, place)


Change = Callable[[Start], object]


@dataclass(frozen=True, slots=True)
class Surrounding:
    """``commands``: names of `COMMANDS`, or `SET_UP`: those that it can affect.

    They must succeed, and say and write the same as elsewhere. Exceptions: ``refused``, what the
    only line on stderr must match where the command cannot work; ``status``, the exit status then;
    ``warned``, what the only warning of a run must match; ``alike=False``, it may say and write
    something else. ``quick``: a part of `make test`.
    """

    name: str
    commands: str
    changes: tuple[Change, ...] = ()
    refused: str | None = None
    status: int = 2
    warned: str | None = None
    alike: bool = True
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """``files``: what the command has written in its place; ``{place}`` stands for the place."""

    status: int
    out: str
    err: str
    files: Mapping[str, bytes]


def outcome(command: str, start: Start) -> Outcome:
    """Runs the command; nothing of it is left but its result. Skips what cannot be tried here."""
    try:
        return _outcome(command, start)
    finally:
        for undo in reversed(start.after):
            undo()


def _outcome(command: str, start: Start) -> Outcome:
    if command == SET_UP:
        program = ["make", "-s", f"PYTHON={sys.executable}", ".venv/.runtime-installed"]
    else:
        words = [word.format(place=start.place) for word in COMMANDS[command]]
        program = [sys.executable, "-m", "bench", *words]
    if start.prefix:
        _skip_unless_permitted(start)
    before = _listing(start)
    ends = None if start.terminal is None else open_terminal(*start.terminal)
    out_end, err_end = (subprocess.PIPE,) * 2 if ends is None else (ends[1],) * 2
    with warnings.catch_warnings():
        # Of preexec_fn where there are threads, as pytest-xdist has them: its steps take no lock.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = subprocess.Popen(
            [*start.prefix, *program],
            cwd=start.checkout,
            env=start.environment,
            stdin=subprocess.DEVNULL,
            stdout=out_end,
            stderr=err_end,
            start_new_session=True,
            preexec_fn=partial(_do, start.before),
        )
    try:
        if ends is None:
            out, err = process.communicate(timeout=LIMIT_S)
        else:
            os.close(ends[1])
            out, err = read_all(ends[0]), b""
            process.wait(LIMIT_S)
        left = session_of(process.pid)
    finally:
        kill_session(process.pid)
        process.wait()
    assert left == set(), f"processes are left: {left}"
    files = {
        path.name: path.read_bytes() for path in start.place.iterdir() if path.name not in INPUT
    }
    written = {start.place / name for name in files}
    others = sorted(map(str, _listing(start) - before - written))
    assert not others, f"files are left: {others}"
    return Outcome(process.returncode, _text(out, start), _text(err, start), files)


def _do(steps: list[Callable[[], object]]) -> None:
    for step in steps:
        step()


def _text(output: bytes, start: Start) -> str:
    return output.decode(errors="backslashreplace").replace(str(start.place), "{place}")


def _listing(start: Start) -> set[Path]:
    """All that there is in the test's folder, aside from what is made once and kept: by a checkout,
    and by libraries for the user."""
    made = [start.checkout.resolve() / name for name in ("fake_redo_child/build", ".venv")]
    # The last is made by rustc, which pip asks for its version.
    made += [start.folder / "home" / name for name in (".cache", ".config", ".rustup")]
    return {
        path
        for path in start.folder.rglob("*")
        # Workers are isolated from the environment, and keep bytecode.
        if path.name != "__pycache__"
        and path.suffix != ".pyc"
        and not any(path.is_relative_to(folder) for folder in made)
    }


def _skip_unless_permitted(start: Start) -> None:
    tried = subprocess.run(
        [*start.prefix, sys.executable, "-c", ""], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"cannot be tried here: {tried.stderr.strip()}")


def open_terminal(lines: int, columns: int) -> tuple[int, int]:
    """Both ends of a terminal: ours and the command's."""
    ends = pty.openpty()
    fcntl.ioctl(ends[1], termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    return ends


def read_all(descriptor: int) -> bytes:
    """What comes until nobody has the other end, which is then closed."""
    output = b""
    with contextlib.suppress(OSError):  # EIO, at that end
        while part := os.read(descriptor, 1 << 16):
            output += part
    os.close(descriptor)
    return output


# --- Changes --------------------------------------------------------------------------------------


def variables(text: str) -> Change:
    """Sets ``NAME=VALUE ...``, quoted as for a shell, with ``{folder}`` for the test's own folder;
    ``!NAME`` is unset."""

    def change(start: Start) -> None:
        for word in shlex.split(text):
            name, _, value = word.partition("=")
            if word.startswith("!"):
                start.environment.pop(word[1:], None)
            else:
                start.environment[name] = value.format(folder=start.folder)

    return change


def first(step: Callable[[], object]) -> Change:
    """Has the process do that before its program."""
    return lambda start: start.before.append(step)


def limit(kind: int, most: int) -> Change:
    """A limit of resources, soft and hard; at most what this process may have."""

    def step() -> None:
        _, hard = resource.getrlimit(kind)
        finite = [one for one in (most, hard) if one != resource.RLIM_INFINITY]
        here = min(finite, default=resource.RLIM_INFINITY)
        resource.setrlimit(kind, (here, here))

    return first(step)


def ignored(*numbers: signal.Signals) -> Change:
    """Signals that are ignored from the start, as by nohup."""
    return first(lambda: [signal.signal(number, signal.SIG_IGN) for number in numbers])


def blocked(*numbers: signal.Signals) -> Change:
    """Signals that are blocked from the start."""
    return first(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, numbers))


def closed(*descriptors: int) -> Change:
    """Descriptors that are closed from the start, as by ``>&-``."""

    def step() -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    return first(step)


def stream(descriptor: int, path: str) -> Change:
    """That descriptor is a device."""
    return first(lambda: os.dup2(os.open(path, os.O_RDWR), descriptor))


def not_blocking() -> None:
    """stdout is a pipe of one page that does not block."""
    fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(1, False)


def more_descriptors(count: int) -> Change:
    """Descriptors that whoever starts the suite forgot to close."""

    def step() -> None:
        for _ in range(count):
            os.set_inheritable(os.dup(0), True)

    return first(step)


def folder_named(name: str, variable: str) -> Change:
    """The variable names a folder, which is there and has that name."""

    def change(start: Start) -> None:
        path = start.folder / name
        path.mkdir(parents=True)
        start.environment[variable] = str(path)

    return change


def place_named(name: str) -> Change:
    """Input and output are in a folder of that name."""

    def change(start: Start) -> None:
        start.place = start.folder / name
        start.place.mkdir(parents=True)

    return change


def file(name: str, text: str | bytes) -> Change:
    """A file of the test's own."""

    def change(start: Start) -> None:
        path = start.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    return change


def checkout_named(name: str, *, link: bool = False) -> Change:
    """The code is in a checkout of that name, or behind a link of that name."""

    def change(start: Start) -> None:
        path = start.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        start.checkout = path
        if link:
            path.symlink_to(make_checkout(start.folder / "checkout"))
        else:
            make_checkout(path)

    return change


def with_wheels(start: Start) -> None:
    """Makes the checkout one that `make` can set up without a network and in no time.

    Its locks name made-up wheels, each with one empty module: of the libraries of the project.
    """
    wheels = start.folder / "wheels"
    wheels.mkdir()
    lock = ""
    for name, module in LIBRARIES.items():
        digest = hashlib.sha256(_wheel(wheels, name, module).read_bytes()).hexdigest()
        lock += f"{name}=={MADE_UP} \\\n    --hash=sha256:{digest}\n"
    shutil.copy(ROOT / "Makefile", start.checkout)
    # `make` loads the command line once, to see that all is there.
    program = f"import {', '.join(LIBRARIES.values())}\n"
    (start.checkout / "bench" / "__main__.py").write_text(program, encoding="ascii")
    (start.checkout / "requirements.lock").write_text(lock, encoding="ascii")
    start.environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}


def _wheel(folder: Path, name: str, module: str) -> Path:
    about = f"{name}-{MADE_UP}.dist-info"
    files = {
        f"{module}.py": f"__version__ = {MADE_UP!r}\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {MADE_UP}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{about}/RECORD"))
    path = folder / f"{name}-{MADE_UP}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in files.items():
            archive.writestr(inside, text)
    return path


def without_git(start: Start) -> None:
    """There is no git; every other program is there."""
    programs = start.folder / "programs"
    programs.mkdir()
    for folder in start.environment["PATH"].split(os.pathsep):
        for program in Path(folder).glob("*"):
            with contextlib.suppress(FileExistsError):  # an earlier folder has one of that name
                (programs / program.name).symlink_to(program)
    (programs / "git").unlink()
    start.environment["PATH"] = str(programs)


def unpacked(start: Start) -> None:
    """The checkout is none: it was unpacked from a tarball."""
    shutil.rmtree(start.checkout / ".git")


def without_programs(start: Start) -> None:
    """The checkout has no C programs yet."""
    shutil.rmtree(start.checkout / "fake_redo_child" / "build", ignore_errors=True)


def namespaces(options: str, script: str = "") -> Change:
    """Namespaces of the command's own, in which a script is run first, with the variables
    ``$folder`` and ``$checkout``. Skipped where that is not permitted."""

    def change(start: Start) -> None:
        if shutil.which("unshare") is None:
            pytest.skip("no unshare")
        names = (
            f"folder={shlex.quote(str(start.folder))} checkout={shlex.quote(str(start.checkout))}"
        )
        shell = ("sh", "-ec", f'{names}; {script}\nexec "$@"', "sh") if script else ()
        start.prefix = ("unshare", *shlex.split(options), *shell)

    return change


def of_another_user(start: Start) -> None:
    """The command is that of a user who has no other process, as no limit of processes holds root.
    That user may read and write every file: code and libraries may be readable for root only."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("not root, or no setpriv to become another user")
    uid = 40_000 + os.getpid() % 10_000
    rights = "-all,+dac_override,+dac_read_search"
    kinds = (f"--{kind}={rights}" for kind in ("inh-caps", "ambient-caps", "bounding-set"))
    start.prefix = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *kinds)
    start.environment |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }


def terminal(lines: int, columns: int) -> Change:
    """stdout and stderr are a terminal of that size."""

    def change(start: Start) -> None:
        start.terminal = (lines, columns)
        start.environment.setdefault("TERM", "xterm-256color")

    return change


def cpu_quota(percent: int) -> Change:
    """A control group that grants that share of one CPU, of either version. Skipped where none can
    be made."""

    def change(start: Start) -> None:
        for top, files in (
            ("/sys/fs/cgroup/cpu", {"cpu.cfs_period_us": "20000", "cpu.cfs_quota_us": "{}"}),
            ("/sys/fs/cgroup", {"cpu.max": "{} 20000"}),
        ):
            group = Path(top) / f"walredo-bench-test-{os.getpid()}"
            with contextlib.suppress(OSError):
                group.mkdir()
                start.after.append(group.rmdir)
                for name, text in files.items():
                    if not (group / name).exists():
                        break
                    (group / name).write_text(text.format(percent * 200))
                else:
                    start.before.append(partial((group / "cgroup.procs").write_text, "0"))
                    return
        pytest.skip("no control group can be made here")

    return change


JUMPING_CLOCK: Final = r"""
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
/* Each look at the wall clock is hours before or after the one before. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    static unsigned looks;
    int status = (int)syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME)
        now->tv_sec += (__atomic_fetch_add(&looks, 1, __ATOMIC_RELAXED) % 7 - 3L) * 7200;
    return status;
}
time_t time(time_t *seconds) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (seconds) *seconds = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *restrict value, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    value->tv_sec = now.tv_sec;
    value->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


def jumping_clock(start: Start) -> None:
    """The wall clock jumps by hours, back and forth, at every look."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source, library = start.folder / "clock.c", start.folder / "clock.so"
    source.write_text(JUMPING_CLOCK, encoding="utf-8")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    start.environment["LD_PRELOAD"] = str(library)
