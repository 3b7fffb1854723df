"""A pyperf suite <-> a file: atomic writing, and reading that trusts nothing.

Every error is a ResultFileError that names the file and the remedy.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import json
import os
import secrets
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import pyperf

from bench.cases.case import Case
from bench.errors import CaseError, ResultFileError
from bench.results.key import SCHEMA_VERSION, SUFFIXES, Value
from bench.results.record import DroppedRound, FailedRun, Session

FAILED = "redo_failed"
"""The failed runs, as a JSON list in the metadata that all runs share: pyperf has no place for runs
without a value."""

DROPPED_CASES = "redo_dropped_cases"
"""Likewise the names of the cases that were dropped for want of time."""

DROPPED_ROUNDS = "redo_dropped_rounds"
"""Likewise the dropped measurements of rounds that were disturbed and measured again."""

SESSIONS = "redo_sessions"
"""Likewise the sessions of a suite that was combined of several. No file has it."""

SHARED_LISTS: Final = (FAILED, DROPPED_CASES, DROPPED_ROUNDS, SESSIONS)

_T = TypeVar("_T")

_LONGEST_JSON_WORD = len("-Infinity")
"""A JSON error this close to the end means that the text ends inside a word or a number."""

_PROBE_BYTES = 1 << 20
"""Larger than a result file of a few rounds: a disk without room for it is full."""

_GZIP = ".gz"  # pyperf's own test for a compressed file
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def write_suite(path: Path, suite: pyperf.BenchmarkSuite) -> None:
    """Writes the suite; at any moment the file is either the whole old or the whole new one."""
    text = io.StringIO()
    suite.dump(text, compact=True)
    data = text.getvalue().encode("utf-8")
    write_atomically(path, [gzip.compress(data, mtime=0) if path.suffix == _GZIP else data])


def write_atomically(path: Path, pieces: Iterable[bytes]) -> None:
    """Writes and fsyncs a temporary file, renames it over ``path``, and fsyncs the folder.

    Makes no folder. On any failure or interrupt, also of ``pieces``, an older file stays as it was
    and the temporary one is removed. Raises ResultFileError.
    """
    # The target of a link: a rename would replace the link itself.
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            # "x" never takes another's file; a plain open takes permissions from the umask.
            with temporary.open("xb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(target.parent)
    except OSError as error:
        raise cannot_be_written(path, error) from error


def beside(path: Path, ending: str = "") -> Path:
    """The name of what belongs to a result and lies beside it: ``x.html`` of x.json, x.json.gz."""
    name = path.name.removesuffix(_GZIP) if path.name.endswith(SUFFIXES) else path.name
    return path.with_name(name).with_suffix(ending)


def make_folder(folder: Path) -> None:
    """Makes the folder unless it is there. Raises ResultFileError.

    For results/ and its folder of baselines only. The folder of a name that the user gave must be
    there: a mistyped one would be made in the wrong place.
    """
    try:
        folder.mkdir(exist_ok=True, parents=True)
    except OSError as error:
        raise cannot_be_written(folder, error) from error


def check_place(path: Path) -> None:
    """Raises ResultFileError if no file can be written there. For checks before a long run."""
    if path.exists() and not path.is_file():
        raise ResultFileError(path, "is there and is not a file: choose another place")
    folder = Path(os.path.realpath(path)).parent
    probe = folder / f".{path.name}.{secrets.token_hex(4)}.tmp"
    try:
        try:
            probe.write_bytes(bytes(_PROBE_BYTES))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_be_written(path, error) from error


def cannot_be_written(path: Path, error: OSError) -> ResultFileError:
    """The error with the file, the cause and the remedy."""
    remedy = "make room there, or choose" if error.errno in _NO_ROOM else "choose"
    return ResultFileError(
        path, f"cannot be written ({error.strerror or error}): {remedy} another place for it"
    )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_suite(path: Path) -> pyperf.BenchmarkSuite:
    """Reads and checks a result file. Raises ResultFileError.

    Every run has the schema version, its round, and a case that agrees with its benchmark's name;
    no case has two runs in one round.
    """
    raw = read_bytes(path)
    try:
        suite = pyperf.BenchmarkSuite.loads(raw)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        data = _parsed(path, raw)
        if not (isinstance(data, dict) and isinstance(data.get("benchmarks"), list)):
            raise _foreign(path, "JSON, but not in pyperf's format") from error
        raise _foreign(
            path, f"not a suite that pyperf {pyperf.__version__} reads ({error})"
        ) from error
    for benchmark in suite:
        _check_benchmark(path, benchmark)
    return suite


def failed_runs(path: Path, metadata: Mapping[str, Value]) -> tuple[FailedRun, ...]:
    """The failed runs of a suite from the metadata that its runs share. Raises ResultFileError."""

    def read(failed: Any) -> FailedRun:
        return FailedRun(Case.parse(failed["case"]), int(failed["round"]), str(failed["reason"]))

    return _listed(path, metadata, FAILED, read)


def dropped_cases(path: Path, metadata: Mapping[str, Value]) -> tuple[Case, ...]:
    """The cases that the suite dropped for want of time. Raises ResultFileError."""
    return _listed(path, metadata, DROPPED_CASES, Case.parse)


def dropped_rounds(path: Path, metadata: Mapping[str, Value]) -> tuple[DroppedRound, ...]:
    """The dropped measurements of disturbed rounds. Raises ResultFileError."""

    def read(found: Any) -> DroppedRound:
        return DroppedRound(int(found["round"]), float(found["others_share"]), str(found["why"]))

    return _listed(path, metadata, DROPPED_ROUNDS, read)


def sessions(path: Path, metadata: Mapping[str, Value]) -> tuple[Session, ...]:
    """The sessions that the suite was combined of; empty if it is one. Raises ResultFileError."""

    def read(found: Any) -> Session:
        return Session(str(found["file"]), str(found["date"]), int(found["rounds"]))

    return _listed(path, metadata, SESSIONS, read)


def _listed(
    path: Path, metadata: Mapping[str, Value], key: str, read: Callable[[Any], _T]
) -> tuple[_T, ...]:
    try:
        return tuple(map(read, json.loads(str(metadata.get(key, "[]")))))
    except (ValueError, TypeError, KeyError, CaseError) as error:
        raise ResultFileError(
            path, f"its {key} cannot be read ({error}): take the file from a backup"
        ) from error


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, unpacked if its name says so. Raises ResultFileError."""
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == _GZIP else raw
    except FileNotFoundError as error:
        raise ResultFileError(path, "no such file: check the name, or make one with run") from error
    except (EOFError, zlib.error) as error:
        raise _cut_short(path) from error
    except OSError as error:
        reason = error.strerror or error
        raise ResultFileError(path, f"cannot be read ({reason}): check the file") from error


def _parsed(path: Path, raw: bytes) -> Any:
    """The JSON that pyperf could not read as a suite."""
    try:
        return json.loads(raw)
    except json.JSONDecodeError as error:
        left = len(error.doc.rstrip()) - error.pos
        if left < _LONGEST_JSON_WORD or error.msg.startswith("Unterminated"):
            raise _cut_short(path) from error
        raise _foreign(path, f"not JSON ({error})") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise _foreign(path, "not JSON") from error


def _cut_short(path: Path) -> ResultFileError:
    return ResultFileError(path, "cut short: take it from a backup, or measure again with run")


def _foreign(path: Path, problem: str) -> ResultFileError:
    return ResultFileError(path, f"{problem}: give a result file that walredo-bench run has made")


def _check_benchmark(path: Path, benchmark: pyperf.Benchmark) -> None:
    rounds: set[int] = set()
    for run in benchmark.get_runs():
        metadata = run.get_metadata()
        version = metadata.get("redo_schema_version")
        if not isinstance(version, int):
            raise _foreign(path, "a pyperf file without redo_schema_version")
        if version > SCHEMA_VERSION:
            raise ResultFileError(
                path,
                f"made by a newer walredo-bench (schema {version}, this one reads up to "
                f"{SCHEMA_VERSION}): upgrade walredo-bench, or measure again with this one",
            )
        try:
            case = Case.parse(benchmark.get_name())
        except CaseError as error:
            raise _foreign(path, str(error)) from error
        if metadata.get("redo_clients") != case.clients:
            raise _foreign(path, f"{case.name} whose redo_clients is not {case.clients}")
        number = metadata.get("redo_round")
        if not isinstance(number, int):
            raise _foreign(path, f"a run of {case.name} without redo_round")
        if number in rounds:
            raise ResultFileError(
                path,
                f"two runs of {case.name} in round {number}: "
                "it was merged from several files, give those one by one",
            )
        rounds.add(number)


def check_no_result(path: Path) -> None:
    """Raises ResultFileError if the file is a result, which only `run` may overwrite."""
    if not path.is_file():
        return
    try:
        read_suite(path)
    except ResultFileError:
        return
    raise ResultFileError(path, "is a result, which nothing but run overwrites: name another file")


def check_writable(path: Path, *, is_forced: bool) -> None:
    """Raises ResultFileError if the file may not be written, or cannot be: it is a result, or,
    unless ``is_forced``, any file."""
    check_no_result(path)
    if path.exists() and not is_forced:
        raise ResultFileError(path, "is there already: overwrite it (--force)")
    check_place(path)
