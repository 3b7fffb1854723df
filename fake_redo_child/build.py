"""Builds the C programs, each once, and gives the command line of either child.

A program is kept under a name that carries a hash of all that went into it: sources, headers,
compiler and flags. So a changed source is compiled anew, an unchanged one never, and programs of
different flags (a sanitizer's, say) live side by side. Nothing here prints but ``main``, which
``python -m fake_redo_child.build`` runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from fake_redo_child.child.python_child import COST_PRESETS
from fake_redo_child.faults.faults import FAULTS as FAULTS
from fake_redo_child.faults.faults import FaultError, parse_fault

CHILD_KINDS = ("c", "python")
"""The children there are, by the name that ``child_command`` takes."""

EXIT_SANDBOX = 3
"""How the C child ends if it cannot enter its sandbox (PROTOCOL.md)."""

EXIT_INTERRUPTED = 130
"""How ``main`` ends on Ctrl-C."""

FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror")
"""Always given; a caller's own flags come after them and so may override them."""

_HERE = Path(__file__).resolve().parent
_PYTHON_CHILD = _HERE / "child" / "python_child.py"
_CHILD_SOURCES = (
    "child/fake_redo_child.c",
    "child/redo_parser.c",
    "common/child_io.c",
    "common/spin.c",
    "faults/fault.c",
    "faults/misbehave.c",
)
_FLOOR_SOURCES = ("floor/pipe_floor.c", "floor/floor_slice.c", "floor/floor_traffic.c")
_INCLUDE = re.compile(rb'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
_COMPILERS = ("cc", "gcc", "clang")
_KEY_DIGITS = 16
_WAIT_S = 0.2


class BuildError(Exception):
    """A program could not be had."""


class CompilerMissing(BuildError):  # noqa: N818 - reads as the fact that it states
    """There is no C compiler. The message names what was looked for and the way out."""

    def __init__(self, looked_for: Sequence[str]) -> None:
        self.looked_for = tuple(looked_for)
        super().__init__(
            f"no C compiler: looked for {', '.join(looked_for)} on PATH; install one"
            " (for example: apt-get install gcc), or use --child python, which needs none"
        )


class CompileFailed(BuildError):  # noqa: N818
    """The compiler refused. ``stderr`` is what it said, ``command`` how it was called."""

    def __init__(self, command: Sequence[str], status: int, stderr: str) -> None:
        self.command = tuple(command)
        self.status = status
        self.stderr = stderr
        super().__init__(f"{shlex.join(command)} ended with status {status}:\n{stderr.rstrip()}")


class UnknownChild(BuildError, ValueError):  # noqa: N818
    """No child, or no cost preset, of that name."""


class UnknownFault(BuildError, ValueError):  # noqa: N818
    """Not a fault. ``nearest`` is the valid name or key that was perhaps meant, or None."""

    def __init__(self, error: FaultError) -> None:
        near = get_close_matches(error.given, error.choices, n=1)
        self.nearest = near[0] if near else None
        hint = "" if self.nearest is None else f" (did you mean {self.nearest}?)"
        super().__init__(f"{error}{hint}")


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler: how it is called (perhaps with words of its own, from $CC) and its version."""

    command: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Build:
    """A built program and what it was built with, for the record of what was measured."""

    path: Path
    compiler: Compiler
    flags: tuple[str, ...]
    key: str


def child_program(extra_flags: Sequence[str] = ()) -> Path:
    """The C redo child, built if need be. Raises BuildError."""
    return build_child(extra_flags).path


def floor_program(extra_flags: Sequence[str] = ()) -> Path:
    """The floor, built if need be. Raises BuildError."""
    return build_floor(extra_flags).path


def build_child(extra_flags: Sequence[str] = ()) -> Build:
    """The C redo child with what it was built with. Raises BuildError."""
    return build_program([_HERE / name for name in _CHILD_SOURCES], extra_flags)


def build_floor(extra_flags: Sequence[str] = ()) -> Build:
    """The floor with what it was built with. Raises BuildError."""
    return build_program([_HERE / name for name in _FLOOR_SOURCES], extra_flags)


def build_program(
    sources: Sequence[Path], extra_flags: Sequence[str] = (), folder: Path | None = None
) -> Build:
    """Compile the sources into one program, named like the first one, unless that was done before.

    ``folder`` is where programs are kept; by default the package's ``build`` folder or, where that
    cannot be written, one of the user's own. Two processes may do this at once: each compiles to a
    name of its own, and the last rename wins with the same bytes. Raises CompilerMissing or
    CompileFailed.
    """
    compiler = find_compiler()
    flags = (*FLAGS, *extra_flags)
    key = _key(sources, compiler, flags)
    name = f"{sources[0].stem}-{key}"
    folders = (folder,) if folder is not None else (_HERE / "build", _user_folder())
    for place in folders:
        if os.access(place / name, os.X_OK):
            return Build(place / name, compiler, flags, key)
    target = _writable(folders) / name
    try:
        _compile(sources, compiler, flags, target)
    except OSError as error:
        raise BuildError(
            f"{target}: cannot be built ({error.strerror or error}): make room in its folder"
        ) from error
    return Build(target, compiler, flags, key)


def find_compiler() -> Compiler:
    """$CC if set (then nothing else), or the first of cc, gcc, clang. Raises CompilerMissing."""
    chosen = shlex.split(os.environ.get("CC", ""))
    candidates = [tuple(chosen)] if chosen else [(name,) for name in _COMPILERS]
    for program, *words in candidates:
        path = shutil.which(program)
        if path is not None:
            command = (path, *words)
            said = subprocess.run(
                [*command, "--version"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            return Compiler(command, said.stdout.strip())
    raise CompilerMissing([f"{chosen[0]} ($CC)"] if chosen else _COMPILERS)


def child_command(
    kind: str,
    *,
    sandbox: bool = True,
    cost: str = "none",
    cost_per_request_us: float | None = None,
    cost_per_record_us: float | None = None,
    fault: str | None = None,
    program: Path | None = None,
) -> tuple[str, ...]:
    """The command line of a child of this kind ("c" or "python"), built if need be.

    ``cost`` names a preset of added CPU cost; the two numbers, in microseconds, override its parts.
    ``fault``, in the notation of ``check_fault``, makes it misbehave, without its sandbox if the
    fault needs that. ``program`` is a C child that was built otherwise. Raises BuildError.
    """
    if kind == "c":
        command = [str(program if program is not None else child_program())]
    elif kind == "python":
        # Alone and without site packages: what is installed must not change what is measured.
        command = [sys.executable, "-I", "-S", str(_PYTHON_CHILD)]
    else:
        raise UnknownChild(f"no child {kind!r}: there are {', '.join(CHILD_KINDS)}")
    if cost not in COST_PRESETS:
        raise UnknownChild(f"no cost {cost!r}: there are {', '.join(COST_PRESETS)}")
    if not sandbox or (fault is not None and fault_needs_no_sandbox(fault)):
        command.append("--no-sandbox")
    if cost != "none":
        command += ["--cost", cost]
    if cost_per_request_us is not None:
        command += ["--cost-per-request-us", _decimal(cost_per_request_us)]
    if cost_per_record_us is not None:
        command += ["--cost-per-record-us", _decimal(cost_per_record_us)]
    if fault is not None:
        command += ["--fault", fault]
    return tuple(command)


def check_fault(text: str) -> str:
    """The text, if it is a fault: ``NAME[:KEY=VALUE[,KEY=VALUE]...]``, with a name and keys of
    ``FAULTS``. Raises UnknownFault, which tells what is valid and what was perhaps meant.
    """
    try:
        parse_fault(text)
    except FaultError as error:
        raise UnknownFault(error) from error
    return text


def fault_needs_no_sandbox(text: str) -> bool:
    """Whether the C child runs this fault outside its sandbox. Raises UnknownFault."""
    name = check_fault(text).partition(":")[0]
    return not FAULTS[name].sandboxed


def sandbox_allowed(program: Path) -> bool:
    """Whether this C child can enter its sandbox here.

    Not where the process has a seccomp filter already, as in most containers.
    """
    ended = subprocess.run(
        [str(program)], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return ended.returncode != EXIT_SANDBOX


def _decimal(us: float) -> str:
    return f"{us:.6f}".rstrip("0").rstrip(".")  # the children take no exponents


def _key(sources: Sequence[Path], compiler: Compiler, flags: Sequence[str]) -> str:
    digest = hashlib.sha256()
    parts = [platform.machine(), *compiler.command, compiler.version, *flags]
    for part in parts:
        digest.update(part.encode() + b"\0")
    for path in [*sources, *sorted(_headers(sources))]:
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:_KEY_DIGITS]


def _headers(sources: Iterable[Path]) -> set[Path]:
    """The project's headers that the sources include, directly or through others."""
    found: set[Path] = set()
    todo = list(sources)
    while todo:
        file = todo.pop()
        included = {
            (file.parent / name.decode()).resolve() for name in _INCLUDE.findall(file.read_bytes())
        }
        todo += included - found
        found |= included
    return found


def _user_folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "walredo-bench"


def _writable(folders: Sequence[Path]) -> Path:
    refusal: OSError | None = None
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Asked by doing it: access() says yes to root on a read-only file system, too.
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError as error:
            refusal = error
    raise BuildError(f"no folder for programs is writable: {refusal}") from refusal


def _compile(
    sources: Sequence[Path], compiler: Compiler, flags: Sequence[str], target: Path
) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        fresh = Path(folder) / target.name
        command = [*compiler.command, *flags, "-o", str(fresh), *map(str, sources)]
        status, said = _call(command, folder)
        if status != 0:
            raise CompileFailed(command, status, said)
        fd = os.open(fresh, os.O_RDONLY)
        try:
            os.fsync(fd)  # before the rename: a crash must not leave an empty program for good
        finally:
            os.close(fd)
        fresh.replace(target)


def _call(command: Sequence[str], temporary: str) -> tuple[int, str]:
    """Exit status and output. An interruption ends it with all that it has started.

    A compiler is a driver: killed alone, it leaves the programs that it has called, and their
    temporary files. So these have a folder of ours, and the group is killed as a whole.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=os.environ | {"TMPDIR": temporary},
        process_group=0,
    ) as process:
        try:
            said = _output_of(process, lambda: None)
        except BaseException:
            # The end of their output is the end of the last of them.
            _output_of(process, partial(_kill_group, process.pid))
            raise
        return process.returncode, said


def _output_of(process: subprocess.Popen[str], again: Callable[[], None]) -> str:
    """Its output to the end; calls ``again`` first and after each short wait.

    Short, as a signal that comes just before a wait is not seen until it is over.
    """
    while True:
        again()
        try:
            said, _ = process.communicate(timeout=_WAIT_S)
        except subprocess.TimeoutExpired:
            continue
        return said


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def main() -> int:
    """Build all there is and print the paths; the result is the exit status."""
    try:
        for program in (child_program(), floor_program()):
            print(program)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
