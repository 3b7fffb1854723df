"""Tables without lines, marks with a text beside them: what printed output has in common."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

WIDTH: Final = 100
"""Columns of the terminal that a table may need."""


def print_whole(table: Table, width: int, console: Console) -> None:
    """Prints a table, at most ``width`` wide. In a narrower window its lines wrap, but no column is
    lost. A `whole_table` has its width already."""
    if table.width is not None:
        console.print(table, crop=False)
        return
    unbounded = console.options.update(max_width=10_000)
    needed = min(width, console.measure(table, options=unbounded).maximum)
    table.width = needed if console.width < needed else None
    console.print(table, crop=False)


def bare_table(title: str | None = None) -> Table:
    """An empty table without lines."""
    return Table(
        # A narrow table must not break its title into lines of its own width.
        title=None if title is None else Text(title, no_wrap=True, overflow="ignore"),
        title_style="bold",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )


def whole_table(
    title: str | None,
    headings: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    left: Collection[int] = (),
    gap: int = 2,
) -> Table:
    """A table of numbers, aligned to the right but for the columns ``left``, with ``gap`` blanks
    between columns. In a window that is too narrow its lines wrap, and no cell is cut short.
    Headings and cells may have several lines."""
    table = bare_table(title)
    table.padding = (0, gap, 0, 0)
    lines = [tuple(cells) for cells in rows]
    widths = []
    for number, (heading, *cells) in enumerate(zip(headings, *lines, strict=True)):
        lines_of = (line for cell in (heading, *cells) for line in str(cell).split("\n"))
        widths.append(max(map(len, lines_of)))
        side: JustifyMethod = "left" if number in left else "right"
        table.add_column(Text(heading), justify=side, width=widths[-1], no_wrap=True)
    for line in lines:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in line))
    table.width = sum(widths) + gap * (len(widths) - 1)
    return table


def broken(text: str, width: int, separator: str) -> str:
    """The text in lines of at most that width, broken after separators only."""
    lines = [""]
    *parts, last = text.split(separator)
    for part in (*(f"{part}{separator}" for part in parts), last):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def hanging(mark: str, text: str, style: str) -> Table:
    """A mark with its text beside it; further lines of the text begin below the first."""
    grid = Table.grid(padding=0)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(mark, style=style), Text(text))
    return grid
