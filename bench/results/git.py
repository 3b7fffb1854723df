"""Asks git about a checkout: the one place that starts it.

It looks at the folder that it is told and at no other, whatever git's own variables say. Names and
output may have bytes that are no text; they come as Python's paths have them (surrogateescape).
"""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path
from typing import Final

from bench.errors import BenchError

TIMEOUT_S: Final = 120.0

_CONFIGURATION: Final = frozenset({"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"})
"""Settings that hold for every checkout, like ``safe.directory``: git itself passes them on when it
goes into another one, and drops the rest of its local variables."""


class GitError(BenchError):
    """git is absent or failed. The text is its own reason, in one line."""


def run_git(root: Path, *arguments: str) -> str:
    """The output of a git command in that folder, without its last newline. Raises GitError."""
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=_environment(),
            check=False,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise GitError(f"git {arguments[0]} took longer than {TIMEOUT_S:g} s") from error
    except FileNotFoundError as error:
        raise GitError("git is not installed") from error
    except OSError as error:
        raise GitError(f"git cannot be started ({error.strerror or error})") from error
    if done.returncode != 0:
        said = " ".join(os.fsdecode(done.stderr).split()).removeprefix("fatal: ")
        raise GitError(said or f"git {arguments[0]} ended with status {done.returncode}")
    return os.fsdecode(done.stdout).removesuffix("\n")


def git_output(root: Path, *arguments: str) -> str | None:
    """As `run_git`, but None if there is no git or it fails."""
    try:
        return run_git(root, *arguments)
    except GitError:
        return None


def commit_hash(root: Path, name: str) -> str | None:
    """The full hash of a commit, tag or branch; None if git knows none of that name.

    Raises GitError if git says nothing about the folder at all.
    """
    what = ("--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    found = git_output(root, "rev-parse", *what)
    if found is None:
        run_git(root, "rev-parse", "--git-dir")
    # git takes ^NAME as well: all but that.
    return None if found is None or found.startswith("^") else found


def check_checkout(root: Path) -> None:
    """Raises GitError, with the reason, if the folder is not the top folder of a checkout that git
    can tell the commit of."""
    top = run_git(root, "rev-parse", "--show-toplevel")
    if Path(top).resolve() != root.resolve():
        # An installed copy may lie inside an unrelated checkout.
        raise GitError(f"not a checkout of its own, but a folder in that of {top}")
    if commit_hash(root, "HEAD") is None:
        raise GitError("the checkout has no commit yet")
    run_git(root, "status", "--porcelain", "--untracked-files=no")


def _environment() -> dict[str, str]:
    """The environment for git, without what says where a repository is, as hooks and aliases have
    it. Nothing is locked for git's own convenience: the user may commit meanwhile."""
    local = _local_variables()
    kept = {name: text for name, text in os.environ.items() if name not in local}
    return {**kept, "GIT_OPTIONAL_LOCKS": "0"}


@functools.cache
def _local_variables() -> frozenset[str]:
    """The names of those variables, as this git lists them: each version has its own.

    Asked without any of its variables: with GIT_INTERNAL_SUPER_PREFIX it lists none."""
    listed = subprocess.run(
        ["git", "rev-parse", "--local-env-vars"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={name: text for name, text in os.environ.items() if not name.startswith("GIT_")},
        check=False,
        timeout=TIMEOUT_S,
    )
    return frozenset(listed.stdout.split()) - _CONFIGURATION
