"""How the commands print a line of text that is no table."""

from __future__ import annotations

from rich.console import Console


def say(console: Console, text: str, style: str | None = None) -> None:
    """Prints the text as it is, without markup and never wrapped: scripts may read it."""
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)
