"""Where commands print: a terminal as rich knows it, and plain text for pipes and files."""

from __future__ import annotations

import os
import sys
from typing import IO, Any, Final

from rich.console import Console

EXIT_PIPE: Final = 141

_WIDER_THAN_ANY: Final = 10_000


class OutputConsole(Console):
    """A console that exits with `EXIT_PIPE` when its reader goes. Rich itself would exit with 1,
    which here means a failed run or check."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        drop_output()
        raise SystemExit(EXIT_PIPE)


class PlainConsole(OutputConsole):
    """No colours, no blanks at the ends of lines. A line is as long as ``width``, else as
    ``$COLUMNS`` allows, else never wrapped."""

    def __init__(self, file: IO[str], width: int | None = None) -> None:
        if width is None:
            columns = os.environ.get("COLUMNS", "")
            width = int(columns) if columns.isdecimal() and int(columns) else _WIDER_THAN_ANY
        super().__init__(
            file=file, width=width, color_system=None, force_terminal=False, emoji=False
        )

    def print(self, *objects: Any, **options: Any) -> None:
        with self.capture() as captured:
            super().print(*objects, **options)
        self.file.write("\n".join(line.rstrip(" ") for line in captured.get().split("\n")))


def of_stdout() -> Console:
    """For a terminal as it is, else plain."""
    # Rich would turn parts of users' names into emoji, like the ":x:" in "--manager m:x: ...".
    console = OutputConsole(emoji=False)
    return console if console.is_terminal else PlainConsole(sys.stdout)


def plain(console: Console) -> Console:
    """The same stream, plain, with lines that are never wrapped."""
    return PlainConsole(console.file, _WIDER_THAN_ANY)


def drop_output() -> None:
    """What is still buffered for stdout, and what follows, is discarded."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
