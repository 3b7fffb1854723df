"""A result file has one suite at a time: a lock beside the file while the suite runs.

The file itself cannot carry the lock, since each save puts a new file in its place. The lock is the
kernel's (flock on ``.NAME.lock``), so it ends with the suite, however that ends; the lock file of a
suite that was killed means nothing, and the next one takes it over.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from bench.errors import ResultTakenError
from bench.interrupts import held_back
from bench.results.suite_file import cannot_be_written


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Keeps other suites from the file. Makes its folder if there is none.

    Raises ResultTakenError if another suite has it, ResultFileError if the folder takes no file.
    """
    target = Path(os.path.realpath(path))
    lock = target.with_name(f".{target.name}.lock")
    descriptor = None
    try:
        with held_back():
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                descriptor = _take(path, lock)
            except OSError as error:
                raise cannot_be_written(path, error) from error
        yield
    finally:
        if descriptor is not None:
            # Before it is released: after that it may be another suite's. One that cannot be
            # removed (the disk has become read-only) harms nobody.
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
        os.close(descriptor)  # its holder has removed it between the opening and the locking


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
