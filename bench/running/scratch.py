"""The folder for the temporary files of a suite."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.errors import BenchError
from bench.interrupts import held_back
from bench.running.processes import end_all


def no_room(folder: Path | str, error: OSError) -> BenchError:
    """The error for a folder in which temporary files cannot be written."""
    return BenchError(
        f"{folder}: cannot take temporary files ({error.strerror or error}): make room there, or"
        " name another folder in the environment variable TMPDIR"
    )


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that exists for as long as the suite runs. Raises BenchError."""
    folder: tempfile.TemporaryDirectory[str] | None = None
    try:
        try:
            # An interruption between making the folder and noting it would leave it behind.
            with held_back():
                folder = tempfile.TemporaryDirectory(prefix="walredo-bench-")
        except OSError as error:
            raise no_room(os.environ.get("TMPDIR") or "/tmp", error) from error
        yield Path(folder.name)
    finally:
        # So would one that stops the removal halfway.
        with held_back():
            # Before the folder goes: an interruption can leave a worker that has just been started
            # and that nothing else ends, and it might still write to the folder.
            end_all()
            if folder is not None:
                folder.cleanup()
