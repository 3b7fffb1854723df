"""Plain text for pipes and files. A terminal gets what rich makes of it (`main`)."""

from __future__ import annotations

import os
from typing import IO, Any, Final

from rich.console import Console

_WIDER_THAN_ANY: Final = 10_000


class PlainConsole(Console):
    """No colours, no blanks at the ends of lines. A line is as long as ``width``, else as
    ``$COLUMNS`` allows, else never wrapped. Raises BrokenPipeError when its reader has gone."""

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


def plain(console: Console) -> Console:
    """The same stream, plain, with lines that are never wrapped."""
    return PlainConsole(console.file, _WIDER_THAN_ANY)
