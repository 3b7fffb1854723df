"""The folder of a run: made before the first, gone after the last."""

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
    """The error of a folder that takes no temporary files."""
    return BenchError(
        f"{folder}: cannot take temporary files ({error.strerror or error}): make room there, or"
        " name another folder in the environment variable TMPDIR"
    )


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for the traffic, for as long as the suite runs. Raises BenchError.

    Whatever the suite has started ends before the folder goes: a worker that nobody knows of yet,
    as an interruption came where it was started, might still write to it.
    """
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
            end_all()
            if folder is not None:
                folder.cleanup()
