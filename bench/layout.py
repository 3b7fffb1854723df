"""The shapes that what is printed has in common: tables without lines, marks with a text beside
them. What stands in them belongs to the modules that print.
"""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_whole(table: Table, width: int, console: Console) -> None:
    """Prints a table that needs so many columns: in a narrower window its lines wrap, but none of
    its columns is lost."""
    table.width = width if console.width < width else None
    console.print(table, crop=False)


def bare_table(title: str | None = None) -> Table:
    """An empty table without lines."""
    return Table(
        title=None if title is None else Text(title),
        title_style="bold",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )


def hanging(mark: str, text: str, style: str) -> Table:
    """A mark with its text beside it, so that further lines of the text stay clear of the mark."""
    grid = Table.grid(padding=0)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(mark, style=style), Text(text))
    return grid
