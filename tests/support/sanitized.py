"""C programs with AddressSanitizer and UndefinedBehaviorSanitizer, for the tests that use them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from fake_redo_child import build

FLAGS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")

EXIT_REPORT = 99
"""The exit status of a program that a sanitizer has something to say about."""

ENVIRONMENT = {
    "ASAN_OPTIONS": f"exitcode={EXIT_REPORT}:detect_leaks=1:abort_on_error=0",
    "UBSAN_OPTIONS": f"exitcode={EXIT_REPORT}:print_stacktrace=1",
}


@cache
def program(*names: str) -> Path:
    """The program of these files of fake_redo_child, built if need be.

    Skips the test without a compiler, as all tests of C programs do. A compiler that lacks the
    sanitizers fails it: they are what such a test is about.
    """
    sources = [Path(build.__file__).parent / name for name in names]
    try:
        return build.build_program(sources, FLAGS).path
    except build.CompilerMissing as missing:
        pytest.skip(str(missing))
    except build.CompileFailed as failed:
        pytest.fail(
            "the compiler cannot build with -fsanitize=address,undefined: install its sanitizer"
            " libraries (Debian, Ubuntu: apt-get install gcc libasan8 libubsan1; for clang:"
            f" apt-get install libclang-rt-dev)\n{failed}"
        )


def assert_no_report(returncode: int, stderr: bytes) -> None:
    """That no sanitizer has reported anything: by the status, and by the words of its report."""
    assert returncode != EXIT_REPORT, stderr.decode(errors="replace")
    for word in (b"Sanitizer", b"runtime error"):
        assert word not in stderr, stderr.decode(errors="replace")
