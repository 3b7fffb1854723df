"""Plain text for pipes and files. A terminal gets what rich makes of it (`main`)."""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
from collections.abc import Mapping
from typing import IO, Any, Final

from rich.console import Console

_WIDER_THAN_ANY: Final = 10_000


_SIZES: Final = ("COLUMNS", "LINES")
_SIZE: Final = re.compile(r"0*[1-9][0-9]{0,3}")
_ANY_TEXT: Final = "walredo-bench"


def environment() -> Mapping[str, str]:
    """The environment without sizes of a window that none can have, like COLUMNS=0: as if unset."""
    found = os.environ.items()
    return {name: text for name, text in found if name not in _SIZES or _SIZE.fullmatch(text)}


class OutputConsole(Console):
    """A console for whatever names users give, and whatever size they say that a window has."""

    def __init__(self, **options: Any) -> None:
        # Rich would turn parts of users' names into emoji, like the ":x:" in "--manager m:x: ...".
        super().__init__(emoji=False, _environ=environment(), **options)


class PlainConsole(OutputConsole):
    """No colours, no blanks at the ends of lines. A line is as long as ``width``, else as
    ``$COLUMNS`` allows, else never wrapped. Raises BrokenPipeError when its reader has gone."""

    def __init__(self, file: IO[str], width: int | None = None) -> None:
        if width is None:
            width = int(environment().get("COLUMNS", _WIDER_THAN_ANY))
        super().__init__(file=file, width=width, color_system=None, force_terminal=False)

    def print(self, *objects: Any, **options: Any) -> None:
        with self.capture() as captured:
            super().print(*objects, **options)
        self.file.write("\n".join(line.rstrip(" ") for line in captured.get().split("\n")))


def plain(console: Console) -> Console:
    """The same stream, plain, with lines that are never wrapped."""
    return PlainConsole(console.file, _WIDER_THAN_ANY)


def accept_any_text() -> None:
    """From now on stdout and stderr take every text: paths whose bytes are no text are written as
    those bytes, and what the locale's encoding lacks as a question mark."""
    codecs.register_error(_ANY_TEXT, _as_bytes)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ANY_TEXT)


def _as_bytes(error: UnicodeError) -> tuple[bytes, int]:
    """How an error of encoding is handled: `surrogateescape`, and ``?`` for other characters."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    failed = error.object[error.start : error.end]
    escaped = (ord(letter) - 0xDC00 for letter in failed)
    return bytes(byte if 0x80 <= byte <= 0xFF else ord("?") for byte in escaped), error.end
