"""Tables of experiments: a line per row, a column per field. The numbers of a column share a unit,
which its heading names, and stand with their decimal points below each other.

What a field shows belongs to the view; this module only lays it out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rich.table import Table
from rich.text import Text

from bench.results.summary import Estimate
from bench.show import columns
from bench.show.columns import Column
from bench.show.layout import WIDTH, whole_table
from bench.statistics.effects import Effect

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Field(Generic[Row]):
    """A column: its heading, and the texts of all rows.

    ``is_words``: aligned to the left. ``is_group``: said only where it changes from one row to the
    next; such fields come first. ``instead``: what stands in place of a row's number, if anything.
    ``style_of``: how a row's text looks.
    """

    heading: str
    column: Callable[[Sequence[Row]], Column]
    is_words: bool = False
    is_group: bool = False
    instead: Callable[[Row], str] = lambda _: ""
    style_of: Callable[[Row], str] = lambda _: ""


def words(heading: str, of: Callable[[Row], str], *, is_group: bool = False) -> Field[Row]:
    """A text per row."""
    return Field(heading, lambda rows: Column("", tuple(map(of, rows))), True, is_group)


def texts(heading: str, of: Callable[[Row], str]) -> Field[Row]:
    """A text per row that says a number, so aligned to the right."""
    return Field(heading, lambda rows: Column("", tuple(map(of, rows))))


def clients(of: Callable[[Row], int]) -> Field[Row]:
    """N, said where it changes."""
    return Field("N", lambda rows: Column("", tuple(str(of(row)) for row in rows)), is_group=True)


def numbers(
    heading: str,
    of: Callable[[Row], float | None],
    cells: columns.Numbers,
    instead: Callable[[Row], str] = lambda _: "",
    style_of: Callable[[Row], str] = lambda _: "",
) -> Field[Row]:
    """A number per row, or a dash."""
    return Field(
        heading,
        lambda rows: cells([of(row) for row in rows]),
        instead=instead,
        style_of=style_of,
    )


def measure(
    heading: str,
    of: Callable[[Row], Estimate | None],
    cells: columns.Numbers = columns.seconds,
    instead: Callable[[Row], str] = lambda _: "",
    style_of: Callable[[Row], str] = lambda _: "",
) -> Field[Row]:
    """The median over the runs."""

    def median(row: Row) -> float | None:
        estimate = of(row)
        return None if estimate is None else estimate.median

    return numbers(heading, median, cells, instead, style_of)


def spread(of: Callable[[Row], Estimate | None]) -> Field[Row]:
    """That of the runs, in percent."""

    def share(row: Row) -> float | None:
        estimate = of(row)
        return None if estimate is None else estimate.spread

    return numbers("+-", share, columns.shares)


def ratio(heading: str, of: Callable[[Row], Effect | None]) -> Field[Row]:
    """The geometric mean over the rounds."""

    def value(row: Row) -> float | None:
        effect = of(row)
        return None if effect is None else effect.ratio

    return numbers(heading, value, columns.factors)


def ratio_interval(heading: str, of: Callable[[Row], Effect | None]) -> Field[Row]:
    """The same with its interval, as ``0.81 (0.78-0.84)``."""

    def bounded(row: Row) -> columns.Bounded | None:
        effect = of(row)
        return None if effect is None else (effect.ratio, effect.low, effect.high)

    return Field(heading, lambda rows: columns.intervals([bounded(row) for row in rows]))


def field_table(
    rows: Sequence[Row],
    fields: Sequence[Field[Row]],
    title: str | None = None,
    *,
    gap: int = 2,
) -> Table:
    """The table, with so many blanks between columns. A column of which nothing is known is left
    out. In a window that is too narrow lines wrap, and no cell is cut short."""
    shown: list[Field[Row]] = []
    headings: list[str] = []
    cells: list[list[Text]] = []
    for field in fields:
        column = field.column(rows)
        texts = [
            Text(field.instead(row) or text, style=field.style_of(row))
            for row, text in zip(rows, column.texts, strict=True)
        ]
        if {text.plain for text in texts} != {columns.ABSENT}:
            shown.append(field)
            headings.append(f"{field.heading}\n{column.unit}".rstrip())
            cells.append(texts)
    _say_once([texts for field, texts in zip(shown, cells, strict=True) if field.is_group])
    left = [number for number, field in enumerate(shown) if field.is_words]
    return whole_table(title, headings, zip(*cells, strict=True), left=left, gap=gap)


def room_beside(rows: Sequence[Row], fields: Sequence[Field[Row]], *, gap: int) -> int:
    """The columns of the terminal that a table of these fields leaves to one more."""
    return WIDTH - (field_table(rows, fields, gap=gap).width or 0) - gap


def _say_once(groups: Sequence[list[Text]]) -> None:
    """Empties each cell that is as the one above it, along with all those before it."""
    before: list[Text] = []
    for at in range(len(groups[0]) if groups else 0):
        line = [cells[at] for cells in groups]
        for number, cells in enumerate(groups):
            if line[: number + 1] == before[: number + 1]:
                cells[at] = Text("")
        before = line
