"""Tables without lines, marks with a text beside them: what printed output has in common."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

WIDTH: Final = 100
"""Columns of the terminal that a table may need."""


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
    between columns. Headings and cells may have several lines. Print it with ``crop=False``: a
    window that is too narrow wraps its lines, and no cell is cut short."""
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


def named_table(
    title: str | None,
    headings: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    left: Collection[int] = (0,),
    separator: str = ", ",
) -> Table:
    """A `whole_table` with names in its first column. Where it would be wider than `WIDTH`, names
    are broken after separators, and never elsewhere."""
    lines = [tuple(cells) for cells in rows]
    table = whole_table(title, headings, lines, left=left)
    beyond = (table.width or 0) - WIDTH
    if beyond <= 0:
        return table
    room = max(len(str(name)) for name, *_ in [headings, *lines]) - beyond
    lines = [(broken(str(name), room, separator), *others) for name, *others in lines]
    return whole_table(title, headings, lines, left=left)


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
