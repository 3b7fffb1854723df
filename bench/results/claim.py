"""Keeps a second suite from a result file: a lock beside the file, held while a suite runs.

The lock cannot be on the file itself, since each save puts a new file in its place. It is the
kernel's (flock on ``.NAME.lock``), so it ends with the suite, even if that is killed. A lock file
that a killed suite left behind is simply taken over.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from bench.errors import ResultTakenError
from bench.interrupts import held_back
from bench.results.suite_file import cannot_be_written

T = TypeVar("T")


def first_free(take: Callable[[int], T]) -> T:
    """What ``take`` makes of the first number, from 1 on, of which the name is not taken: another
    suite that began in the same second may have it. ``take`` raises ResultTakenError then."""
    for number in itertools.count(1):
        with contextlib.suppress(ResultTakenError):
            return take(number)
    raise AssertionError("there is always a next number")


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Keeps other suites from the file.

    Raises ResultTakenError if another suite has it, ResultFileError if its folder is not there or
    not writable.
    """
    target = Path(os.path.realpath(path))
    lock = target.with_name(f".{target.name}.lock")
    descriptor = None
    try:
        with held_back():
            try:
                descriptor = _take(path, lock)
            except OSError as error:
                raise cannot_be_written(path, error) from error
        yield
    finally:
        if descriptor is not None:
            # Removed before it is released: after that it may belong to another suite. If it cannot
            # be removed (the disk has become read-only), it does no harm.
            with contextlib.suppress(OSError):
                lock.unlink()
            os.close(descriptor)


def _take(path: Path, lock: Path) -> int:
    """The descriptor that holds the lock. Raises ResultTakenError and OSError."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, lock):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
                return descriptor
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode(errors="replace")
            os.close(descriptor)
            who = f" (process {holder})" if holder else ""
            raise ResultTakenError(
                path, f"another suite{who} is writing it: wait for its end, or name another"
            ) from None
        except OSError:
            with contextlib.suppress(OSError):
                lock.unlink()
            os.close(descriptor)
            raise
        os.close(descriptor)  # the lock file was removed between our opening and locking it


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
