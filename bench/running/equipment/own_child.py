"""Redo children of the user's: found before anything is launched. docs/extending.md says what they
must do; how they are chosen is in `own_names`."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.cases.own import child_label, child_words
from bench.errors import BenchError


@dataclass(frozen=True, slots=True)
class OwnChild:
    """``sha256``: of the command, in which each word that names a file stands for its content."""

    command: tuple[str, ...]
    sha256: str


def find_child(choice: str) -> OwnChild:
    """The child of a choice ``cmd:...``. Raises BenchError."""
    first, *arguments = child_words(choice)
    program = shutil.which(first)
    if program is None:
        raise BenchError(
            f"--child {choice}: there is no program {first}: give its command as"
            f" {child_label(choice)}=COMMAND"
        )
    # Its environment is empty, so it is not looked up again.
    command = (str(Path(program).absolute()), *arguments)
    digest = hashlib.sha256()
    for word in command:
        try:
            content = Path(word).read_bytes() if Path(word).is_file() else word.encode()
        except OSError as error:
            raise BenchError(f"--child {choice}: {word}: {error.strerror}") from error
        digest.update(hashlib.sha256(content).digest())
    return OwnChild(command, digest.hexdigest())
