"""Tests on each interpreter that the project supports: ``make test-pythons``.

``python3 tests/support/pythons.py [VERSION ...]`` looks for each version on PATH and in pyenv's
folder, makes a virtual environment of it in build/pythons, and runs the tests in it. A version that
the machine does not have is skipped, and that is said. Standard library only, as whoever starts it
may have nothing else. Exit status 1: tests failed, or no interpreter was found.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
"""The oldest that pyproject.toml allows, and all after it."""

PART = (
    *("tests/walredo", "tests/fake_redo_child", "tests/bench", "tests/whole/test_end_to_end.py"),
    *("tests/whole/test_interrupts.py", "tests/whole/test_resilience.py"),
    "--ignore=tests/bench/show/test_page_in_browser.py",
)
"""What of the tests depends on the interpreter."""

_OF_MAKE = ("ARGS", "MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS")


def find_python(version: str, environment: Mapping[str, str]) -> Path | None:
    """An interpreter of that version that runs. What pyenv puts on PATH need not."""
    for candidate in _candidates(version, environment):
        code = (
            f"import sys; sys.exit(sys.version_info[:2] != {tuple(map(int, version.split('.')))})"
        )
        try:
            done = subprocess.run([candidate, "-I", "-c", code], capture_output=True, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return candidate
    return None


def _candidates(version: str, environment: Mapping[str, str]) -> Iterator[Path]:
    on_path = shutil.which(f"python{version}", path=environment.get("PATH", os.defpath))
    if on_path is not None:
        yield Path(on_path)
    pyenv = environment.get("PYENV_ROOT") or os.path.join(environment.get("HOME", "/"), ".pyenv")  # noqa: PTH118
    # Free-threaded builds (3.13.0t) are left out: not all libraries have wheels for them.
    found = [
        (int(match[1]), path)
        for path in Path(pyenv, "versions").glob(f"{version}.*")
        if (match := re.fullmatch(rf"{re.escape(version)}\.(\d+)", path.name))
    ]
    for _, path in sorted(found, reverse=True):
        yield path / "bin" / f"python{version}"


def _options() -> str:
    return " ".join((*PART, os.environ.get("ARGS", ""))).strip()


def main(versions: tuple[str, ...]) -> int:
    """Tests on each of the versions; returns the exit status."""
    outcomes = {}
    for version in versions or VERSIONS:
        python = find_python(version, os.environ)
        if python is None:
            outcomes[version] = "skipped: it is neither on PATH nor in ~/.pyenv/versions"
            continue
        print(f"== {version}: {python}", flush=True)
        venv = f"build/pythons/{version}"
        words = (f"VENV={venv}", f"PYTHON={python}", f"ARGS={_options()}")
        done = subprocess.run(
            ["make", "--no-print-directory", "test", *words],
            cwd=ROOT,
            # Without what a make above passes on: it would go to this one's ARGS as well.
            env={name: text for name, text in os.environ.items() if name not in _OF_MAKE},
            check=False,
        )
        outcomes[version] = "passed" if done.returncode == 0 else "failed"
    print(*(f"{version}: {text}" for version, text in outcomes.items()), sep="\n")
    tried = {text for text in outcomes.values() if not text.startswith("skipped")}
    return 0 if tried == {"passed"} else 1


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:])))
