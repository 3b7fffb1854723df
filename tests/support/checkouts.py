"""This code as the only commit of a repository of its own, for tests that change or compare it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.places import ROOT

_OF_MAKE = ("ARGS", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS")
_PACKAGES = ("bench", "walredo", "fake_redo_child")


def make_checkout(folder: Path, *further: str) -> Path:
    """A checkout at ``folder``, a new one, of the packages and ``further`` files of the project."""
    for package in _PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("*.pyc"))
    for name in ("pyproject.toml", ".gitignore", *further):
        shutil.copy(ROOT / name, folder)
    git(folder, "init", "--quiet")
    commit_all(folder)
    return folder


def commit_all(checkout: Path, *, tag: str | None = None) -> None:
    """Commits the checkout as it is, ignored files too, and gives the commit a tag."""
    git(checkout, "add", "--all", "--force", ".")
    git(checkout, "commit", "--quiet", "-m", "one")
    if tag is not None:
        git(checkout, "tag", tag)


def install_python(checkout: Path) -> None:
    """Gives it a .venv, which `make` takes for complete: this interpreter, with all it has."""
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    (checkout / ".venv" / ".runtime-installed").touch()


def environment_of_make() -> dict[str, str]:
    """The environment for a make that a test starts: without what a make above passes on.

    `make test ARGS=...` would hand its ARGS to each make below it.
    """
    return {name: text for name, text in os.environ.items() if name not in _OF_MAKE}


def git(folder: Path, *arguments: str) -> str:
    """What git prints, without the configuration and the variables of whoever runs the tests."""
    done = subprocess.run(
        [
            "git",
            "-C",
            str(folder),
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@example.org",
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=True,
        env={
            **{
                name: text
                for name, text in os.environ.items()
                if not name.startswith("GIT_") or name.endswith("_DATE")
            },
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
        },
    )
    return done.stdout.strip()
