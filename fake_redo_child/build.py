"""Builds each C program once, and makes the command lines of the children.

The file name of a program contains a hash of its sources, headers, compiler and flags. So a program
is compiled again only after a change, and programs with different flags (such as a sanitizer's) can
exist at the same time. Only ``main`` prints; ``python -m fake_redo_child.build`` runs it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from fake_redo_child.child.python_child import COST_PRESETS
from fake_redo_child.faults.faults import ALL_FAULTS, FaultError, parse_fault
from fake_redo_child.faults.faults import FAULTS as FAULTS
from fake_redo_child.faults.faults import MEMORY_FAULTS as MEMORY_FAULTS

CHILD_KINDS = ("c", "python")
"""The kinds of child that ``child_command`` accepts."""

EXIT_SANDBOX = 3
"""The exit status of the C child if it cannot enter its sandbox (PROTOCOL.md)."""

EXIT_INTERRUPTED = 130
"""The exit status of ``main`` after Ctrl-C."""

FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror")
"""The flags of every build. A caller's flags follow them and so can override them."""

_HERE = Path(__file__).resolve().parent
_PYTHON_CHILD = _HERE / "child" / "python_child.py"
_CHILD_SOURCES = (
    "child/fake_redo_child.c",
    "child/redo_parser.c",
    "common/child_io.c",
    "common/memory_io.c",
    "common/shared_ring.c",
    "common/spin.c",
    "faults/fault.c",
    "faults/misbehave.c",
)
_FLOOR_SOURCES = (
    "floor/pipe_floor.c",
    "floor/floor_link.c",
    "floor/floor_slice.c",
    "floor/floor_traffic.c",
    "common/shared_ring.c",
)
_INCLUDE = re.compile(rb'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
_COMPILERS = ("cc", "gcc", "clang")
_KEY_DIGITS = 16
_WAIT_S = 0.2


class BuildError(Exception):
    """A program or its command line could not be made."""


class CompilerMissing(BuildError):  # noqa: N818 - named after the fact that it states
    """No C compiler was found. The message names the programs tried and the remedy."""

    def __init__(self, looked_for: Sequence[str]) -> None:
        self.looked_for = tuple(looked_for)
        super().__init__(
            f"no C compiler: looked for {', '.join(looked_for)} on PATH; install one"
            " (for example: apt-get install gcc), or use --child python, which needs none"
        )


class CompileFailed(BuildError):  # noqa: N818
    """The compiler failed. ``stderr`` is its output, ``command`` its command line."""

    def __init__(self, command: Sequence[str], status: int, stderr: str) -> None:
        self.command = tuple(command)
        self.status = status
        self.stderr = stderr
        super().__init__(f"{shlex.join(command)} ended with status {status}:\n{stderr.rstrip()}")


class UnknownChild(BuildError, ValueError):  # noqa: N818
    """There is no child, or no cost preset, of this name."""


class UnknownFault(BuildError, ValueError):  # noqa: N818
    """The text is not a valid fault. ``nearest``: the most similar valid name or key, or None."""

    def __init__(self, error: FaultError) -> None:
        near = get_close_matches(error.given, error.choices, n=1)
        self.nearest = near[0] if near else None
        hint = "" if self.nearest is None else f" (did you mean {self.nearest}?)"
        super().__init__(f"{error}{hint}")


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler: its command (with arguments if $CC has some) and the version it reports."""

    command: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Build:
    """A program and how it was built, so that a result can record what was measured."""

    path: Path
    compiler: Compiler
    flags: tuple[str, ...]
    key: str


def child_program(extra_flags: Sequence[str] = ()) -> Path:
    """The path of the C child, built if necessary. Raises BuildError."""
    return build_child(extra_flags).path


def floor_program(extra_flags: Sequence[str] = ()) -> Path:
    """The path of the floor program, built if necessary. Raises BuildError."""
    return build_floor(extra_flags).path


def build_child(extra_flags: Sequence[str] = ()) -> Build:
    """The C child and how it was built. Raises BuildError."""
    return build_program([_HERE / name for name in _CHILD_SOURCES], extra_flags)


def build_floor(extra_flags: Sequence[str] = ()) -> Build:
    """The floor program and how it was built. Raises BuildError."""
    return build_program([_HERE / name for name in _FLOOR_SOURCES], extra_flags)


def build_program(
    sources: Sequence[Path], extra_flags: Sequence[str] = (), folder: Path | None = None
) -> Build:
    """Compiles the sources into one program, named after the first, unless it already exists.

    ``folder``: where programs are kept. The default is the package's ``build`` folder, or the
    user's cache folder if that is not writable, or a folder for temporary files. Several processes
    may build at once: each compiles to a temporary name, and a rename replaces the file with equal
    bytes. Raises CompilerMissing, CompileFailed, or BuildError if no folder is writable.
    """
    compiler = find_compiler()
    flags = (*FLAGS, *extra_flags)
    key = _key(sources, compiler, flags)
    name = f"{sources[0].stem}-{key}"
    folders = (folder,) if folder is not None else (_HERE / "build", *_user_folders())
    for place in folders:
        if _has_program(place, name):
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
    """Only $CC if it is set, otherwise the first of cc, gcc, clang. Raises CompilerMissing."""
    chosen = shlex.split(os.environ.get("CC", ""))
    candidates = [tuple(chosen)] if chosen else [(name,) for name in _COMPILERS]
    for program, *arguments in candidates:
        path = shutil.which(program)
        if path is not None:
            command = (path, *arguments)
            result = subprocess.run(
                [*command, "--version"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
            return Compiler(command, result.stdout.decode(errors="replace").strip())
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
    """The command line of a child of this kind ("c" or "python"). Builds the C child if necessary.

    ``cost``: a preset of added CPU cost; the two numbers, in microseconds, override its parts.
    ``fault``: a fault in the notation of ``check_fault``. The sandbox is off if the fault requires
    that. ``program``: a C child that was built elsewhere. A manager that shares memory appends
    ``--shared-memory FD`` itself. Raises BuildError.
    """
    if kind == "c":
        command = [str(program if program is not None else child_program())]
    elif kind == "python":
        # Isolated and without site packages, so that installed packages cannot affect results.
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
    """Returns the text if it is a valid fault: ``NAME[:KEY=VALUE[,KEY=VALUE]...]``, with a name and
    keys of ``FAULTS`` or ``MEMORY_FAULTS``. Raises UnknownFault, which names the valid choices and
    the most similar one.
    """
    try:
        parse_fault(text)
    except FaultError as error:
        raise UnknownFault(error) from error
    return text


def fault_needs_no_sandbox(text: str) -> bool:
    """Whether the C child needs its sandbox off for this fault. Raises UnknownFault."""
    name = check_fault(text).partition(":")[0]
    return not ALL_FAULTS[name].sandboxed


def sandbox_allowed(program: Path) -> bool:
    """Whether this C child can enter its sandbox on this machine.

    It cannot if the process already has a seccomp filter, as in most containers.
    """
    ended = subprocess.run(
        [str(program)], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return ended.returncode != EXIT_SANDBOX


def _decimal(us: float) -> str:
    return f"{us:.6f}".rstrip("0").rstrip(".")  # the children do not accept exponents


def _key(sources: Sequence[Path], compiler: Compiler, flags: Sequence[str]) -> str:
    digest = hashlib.sha256()
    parts = [platform.machine(), *compiler.command, compiler.version, *flags]
    for part in parts:
        digest.update(os.fsencode(part) + b"\0")
    for path in [*sources, *sorted(_headers(sources))]:
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:_KEY_DIGITS]


def _headers(sources: Iterable[Path]) -> set[Path]:
    """The headers of the project that the sources include, directly or indirectly."""
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


def _user_folders() -> tuple[Path, ...]:
    """The user's cache folder, if the user has a home, and a temporary folder of the user's."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not cache.is_absolute():  # such a one does not count, as its specification has it
        with contextlib.suppress(RuntimeError):  # a user id that the system does not know
            cache = Path.home() / ".cache"
    return (*((cache / "walredo-bench",) if cache.is_absolute() else ()), _temporary_folder())


def _temporary_folder() -> Path:
    return Path(tempfile.gettempdir(), f"walredo-bench-{os.getuid()}")


def _check_owner(folder: Path) -> None:
    """Raises OSError if anybody else could have put a program for us to run into the folder."""
    if folder != _temporary_folder():
        return
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(errno.EPERM, "others can write to it", str(folder))


def _has_program(folder: Path, name: str) -> bool:
    try:
        _check_owner(folder)
    except OSError:
        return False
    return os.access(folder / name, os.X_OK)


def _writable(folders: Sequence[Path]) -> Path:
    refusal: OSError | None = None
    for folder in folders:
        try:
            folder.mkdir(
                mode=0o700 if folder == _temporary_folder() else 0o777, parents=True, exist_ok=True
            )
            _check_owner(folder)
            if os.statvfs(folder).f_flag & os.ST_NOEXEC:
                raise PermissionError(errno.EACCES, "programs there are not executed", str(folder))
            # Tried rather than asked: for root, access() succeeds on a read-only file system.
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
        status, output = _call(command, folder)
        if status != 0:
            raise CompileFailed(command, status, output)
        fd = os.open(fresh, os.O_RDONLY)
        try:
            os.fsync(fd)  # before the rename, or a crash could leave an empty program
        finally:
            os.close(fd)
        fresh.replace(target)


def _call(command: Sequence[str], temporary: str) -> tuple[int, str]:
    """Runs the compiler; returns its exit status and output. An interrupt kills its process group.

    A compiler starts other programs, which would survive it and leave temporary files behind. So
    the whole group is killed, and the temporary files are in a folder that the caller removes.
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
            output = _output_of(process, lambda: None)
        except BaseException:
            # The output ends when the last process of the group has ended.
            _output_of(process, partial(_kill_group, process.pid))
            raise
        return process.returncode, output


def _output_of(process: subprocess.Popen[str], again: Callable[[], None]) -> str:
    """Reads the output to its end. Calls ``again`` first and after each short wait.

    The waits are short because a signal that arrives just before one is handled only after it.
    """
    while True:
        again()
        try:
            output, _ = process.communicate(timeout=_WAIT_S)
        except subprocess.TimeoutExpired:
            continue
        return output


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def main() -> int:
    """Builds every program and prints the paths; returns the exit status."""
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
