"""The C child under valgrind: what is read before it was written, and what is leaked.

Outside its sandbox, since valgrind makes system calls of its own.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess

import pytest

from tests.support import page_model as model
from tests.support.children import LIMIT_S, command_of
from tests.support.page_model import Tag

EXIT_REPORT = 9
TAG: Tag = (1, 1663, 5, 16384, 7)


def under_valgrind(data: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    command = command_of("c", "--no-sandbox", *options)
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        missing = "valgrind is missing: install it (for example: apt-get install valgrind)"
        # A machine with Python, a compiler and make is enough for all else; CI must have it.
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return subprocess.run(
        [
            valgrind,
            "--quiet",
            f"--error-exitcode={EXIT_REPORT}",
            "--leak-check=full",
            "--show-leak-kinds=all",
            "--errors-for-leak-kinds=all",
            *command,
        ],
        input=data,
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
        env={},
    )


def test_redos() -> None:
    source = random.Random(2)
    image = source.randbytes(model.PAGE)
    data = expected = b""
    for sizes in ([], [1, 0, 3], [67] * 30, [8175, 8177]):
        for base in (None, image):
            records = [(2**40 + n, source.randbytes(n)) for n in sizes]
            data += model.PING + model.redo(TAG, base, records)
            expected += bytes(model.PAGE) + model.page(TAG, base, records)
    done = under_valgrind(data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == expected


def test_fatal_error() -> None:
    done = under_valgrind(model.begin(TAG) + model.message("A", b"", 5))
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"FATAL: message 'A' has length 5: it must be at least 12\n"


@pytest.mark.parametrize(
    ("fault", "status", "pages"),
    [("extra-page:every=2", 0, 3), ("late:ms=1", 0, 2), ("exit-after-reply", 4, 1)],
)
def test_faults(fault: str, status: int, pages: int) -> None:
    redo = model.redo(TAG, None, [(1, b"one")])
    done = under_valgrind(redo * 2, "--fault", fault)
    assert (done.returncode, done.stderr) == (status, b"")
    assert done.stdout == model.page(TAG, None, [(1, b"one")]) * pages
