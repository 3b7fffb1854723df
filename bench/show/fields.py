"""The fields that a view shows of its rows: one list gives its table and its `show --json` data.

A table has a line per row and a column per field. The numbers of a column share a unit, which the
heading names, and their decimal points line up. The percentiles of one measure share a unit too, so
that they can be compared by eye.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from rich.table import Table
from rich.text import Text

from bench.results.summary import Estimate
from bench.show import columns
from bench.show.columns import Column
from bench.show.layout import WIDTH, whole_table
from bench.statistics.effects import Effect

Row = TypeVar("Row")


def effect_data(effect: Effect | None) -> dict[str, float | None] | None:
    """A ratio and its interval as plain data."""
    if effect is None:
        return None
    return {"ratio": effect.ratio, "low": effect.low, "high": effect.high}


def brief(value: Any) -> Any:
    """Plain data: of an estimate the median, of an effect the ratio and its interval."""
    if isinstance(value, Estimate):
        return value.median
    return effect_data(value) if isinstance(value, Effect) else value


def in_full(value: Any) -> Any:
    """Plain data: all that an estimate or an effect has."""
    return asdict(value) if isinstance(value, Estimate | Effect) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(Generic[Row]):
    """One value of each row: as a column with a ``heading``, in the data under ``key``, or both.

    ``cells`` makes the texts of all rows, ``data`` turns one value into plain data.
    ``is_words``: aligned to the left. ``is_group``: printed only where it changes from one row to
    the next; such columns come first. ``instead``: what stands in place of a row's number, if
    anything. ``style_of``: how a row's text looks.
    """

    value: Callable[[Row], Any]
    heading: str | None = None
    cells: Callable[[Sequence[Row]], Column] = lambda _: Column("", ())
    key: str | None = None
    data: Callable[[Any], Any] = brief
    is_words: bool = False
    is_group: bool = False
    instead: Callable[[Row], str] = lambda _: ""
    style_of: Callable[[Row], str] = lambda _: ""


def column(
    heading: str,
    cells: Callable[[Sequence[Row]], Column],
    *,
    is_words: bool = False,
    style_of: Callable[[Row], str] = lambda _: "",
) -> Field[Row]:
    """A column whose texts need more of the rows than one value each."""
    return Field(
        value=lambda row: row, heading=heading, cells=cells, is_words=is_words, style_of=style_of
    )


def _as_text(value: Callable[[Row], object]) -> Callable[[Sequence[Row]], Column]:
    return lambda rows: Column("", tuple(str(value(row)) for row in rows))


def _medians(value: Callable[[Row], Any], rows: Sequence[Row]) -> list[float | None]:
    return [brief(value(row)) for row in rows]


def only_data(
    key: str, value: Callable[[Row], Any], data: Callable[[Any], Any] = brief
) -> Field[Row]:
    """A value that the table does not have."""
    return Field(value=value, key=key, data=data)


def words(
    heading: str, value: Callable[[Row], str], *, is_group: bool = False, key: str | None = None
) -> Field[Row]:
    """A text per row."""
    return Field(
        value=value,
        heading=heading,
        cells=_as_text(value),
        key=key,
        is_words=True,
        is_group=is_group,
    )


def texts(heading: str, value: Callable[[Row], str]) -> Field[Row]:
    """A text per row that stands for a number, so aligned to the right."""
    return Field(value=value, heading=heading, cells=_as_text(value))


def clients(value: Callable[[Row], int], *, key: str | None = None) -> Field[Row]:
    """N, printed where it changes."""
    return Field(value=value, heading="N", cells=_as_text(value), key=key, is_group=True)


def numbers(
    heading: str,
    value: Callable[[Row], float | None],
    cells: columns.Numbers,
    *,
    key: str | None = None,
    style_of: Callable[[Row], str] = lambda _: "",
) -> Field[Row]:
    """A number per row, or a dash."""
    return Field(
        value=value,
        heading=heading,
        cells=lambda rows: cells([value(row) for row in rows]),
        key=key,
        style_of=style_of,
    )


def measure(
    heading: str,
    value: Callable[[Row], Estimate | None],
    cells: columns.Numbers = columns.seconds,
    instead: Callable[[Row], str] = lambda _: "",
    style_of: Callable[[Row], str] = lambda _: "",
    *,
    key: str | None = None,
    data: Callable[[Any], Any] = brief,
) -> Field[Row]:
    """The median over the runs."""
    return Field(
        value=value,
        heading=heading,
        cells=lambda rows: cells(_medians(value, rows)),
        key=key,
        data=data,
        instead=instead,
        style_of=style_of,
    )


def percentile(
    heading: str,
    value: Callable[[Row], Estimate | None],
    *,
    beside: Callable[[Row], Estimate | None],
    key: str | None = None,
    data: Callable[[Any], Any] = brief,
) -> Field[Row]:
    """The median over the runs of a duration, in the unit of a lower percentile ``beside`` it."""

    def cells(rows: Sequence[Row]) -> Column:
        return columns.seconds(_medians(value, rows), _medians(beside, rows))

    return Field(value=value, heading=heading, cells=cells, key=key, data=data)


def spread(estimate_of: Callable[[Row], Estimate | None]) -> Field[Row]:
    """The spread of the runs, in percent."""

    def share(row: Row) -> float | None:
        estimate = estimate_of(row)
        return None if estimate is None else estimate.spread

    return numbers("+-", share, columns.shares)


def ratio(
    heading: str,
    value: Callable[[Row], Effect | None],
    *,
    key: str | None = None,
    data: Callable[[Any], Any] = brief,
) -> Field[Row]:
    """The geometric mean over the rounds."""

    def cells(rows: Sequence[Row]) -> Column:
        effects = map(value, rows)
        return columns.factors([None if effect is None else effect.ratio for effect in effects])

    return Field(value=value, heading=heading, cells=cells, key=key, data=data)


def ratio_interval(
    heading: str, value: Callable[[Row], Effect | None], *, key: str | None = None
) -> Field[Row]:
    """The same with its interval, as ``0.81 (0.78-0.84)``."""
    return Field(
        value=value,
        heading=heading,
        cells=lambda rows: columns.intervals(list(map(value, rows))),
        key=key,
    )


def field_data(rows: Sequence[Row], fields: Sequence[Field[Row]]) -> list[dict[str, Any]]:
    """An object per row, with the fields that have a key, in their order."""
    keyed = [(field.key, field) for field in fields if field.key is not None]
    return [{key: field.data(field.value(row)) for key, field in keyed} for row in rows]


def field_table(
    rows: Sequence[Row],
    fields: Sequence[Field[Row]],
    title: str | None = None,
    *,
    gap: int = 2,
) -> Table:
    """The fields that have a heading, with ``gap`` blanks between columns. A column without a known
    value is left out. In a window that is too narrow lines wrap, and no cell is cut short."""
    shown: list[Field[Row]] = []
    headings: list[str] = []
    cells: list[list[Text]] = []
    for field in sorted(fields, key=lambda field: not field.is_group):
        if field.heading is None:
            continue
        printed = field.cells(rows)
        texts = [
            Text(field.instead(row) or text, style=field.style_of(row))
            for row, text in zip(rows, printed.texts, strict=True)
        ]
        if {text.plain for text in texts} != {columns.ABSENT}:
            shown.append(field)
            headings.append(f"{field.heading}\n{printed.unit}".rstrip())
            cells.append(texts)
    # A cell is empty if it equals the one above it, and so do all cells on its left.
    groups = [texts for field, texts in zip(shown, cells, strict=True) if field.is_group]
    before: list[Text] = []
    for at in range(len(rows) if groups else 0):
        line = [texts[at] for texts in groups]
        for number, texts in enumerate(groups):
            if line[: number + 1] == before[: number + 1]:
                texts[at] = Text("")
        before = line
    left = [number for number, field in enumerate(shown) if field.is_words]
    return whole_table(title, headings, zip(*cells, strict=True), left=left, gap=gap)


def room_beside(rows: Sequence[Row], fields: Sequence[Field[Row]], *, gap: int) -> int:
    """The columns of the terminal that a table of these fields leaves to one more."""
    return WIDTH - (field_table(rows, fields, gap=gap).width or 0) - gap
