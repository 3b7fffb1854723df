"""The verdict as the terminal shows it: the answer, the table, and how to read its marks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.cases.names import BASE
from bench.show import columns, fields
from bench.show.columns import ABSENT, Column
from bench.show.layout import WIDTH, hanging
from bench.show.side_by_side import Answer
from bench.show.verdict import AMOUNTS, Amount, Mark, Row, Verdict

_STYLES: Final = {Mark.BETTER: "green", Mark.WORSE: "red"}

_MARKS_READ: Final = {
    Mark.BETTER: "better",
    Mark.WORSE: "worse",
    Mark.SAME: "no significant difference",
    Mark.UNKNOWN: "one round has no CI",
}


R = TypeVar("R", bound=Row | Answer)


def print_verdict(verdict: Verdict, console: Console) -> None:
    """Prints the sentences and, where there is a manager to compare, the table."""
    for sentence in verdict.sentences:
        console.print(hanging("- ", sentence, "bold"), highlight=False)
    if verdict.rows:
        for table in verdict_tables(verdict):
            console.print()
            console.print(table, crop=False)
        amounts = (amount for row in verdict.rows for amount in row.amounts)
        if read := marks_read(amounts):
            console.print(Text(read, style="dim"), highlight=False)


def marks_read(amounts: Iterable[Amount | None]) -> str:
    """What the marks of these amounts mean; empty where there is none."""
    marks = {amount.mark for amount in amounts if amount is not None}
    read = ", ".join(f"{mark} {_MARKS_READ[mark]}" for mark in Mark if mark in marks)
    return f"Compared with {BASE}: {read}." if read else ""


def verdict_tables(verdict: Verdict) -> list[Table]:
    """One table with a line per row, or where that is too wide one for each of the conditions, and
    then for each N of the amounts. What all rows of a table have in common stands in no column of
    its own."""
    return list(_tables(verdict))


def _tables(verdict: Verdict, conditions: str = "") -> Iterator[Table]:
    """``conditions``: what all rows are measured under, for the title."""
    rows = verdict.rows
    together = _table(verdict, conditions, rows)
    is_wide = (together.width or 0) > WIDTH
    by_conditions = list(dict.fromkeys(row.conditions for row in rows))
    by_clients = list(dict.fromkeys(row.clients for row in rows))
    if is_wide and len(by_conditions) > 1:
        for each in by_conditions:
            of_each = tuple(row for row in rows if row.conditions == each)
            yield from _tables(replace(verdict, rows=of_each), each)
    elif is_wide and len(by_clients) > 1:
        for clients in by_clients:
            of_clients = tuple(row for row in rows if row.clients == clients)
            yield _table(replace(verdict, rows=of_clients), conditions, rows)
    else:
        yield together


def _table(verdict: Verdict, conditions: str, named: Sequence[Row]) -> Table:
    """``named``: all rows, of other tables too: what varies among them has a column."""
    rows = verdict.rows
    _, *amounts = verdict.headings
    shown = [*naming_fields(named), manager_field(), *reach_fields(verdict)]
    shown += [
        amount_field(heading, partial(row_amount, at=at)) for at, heading in enumerate(amounts)
    ]
    title = ", ".join(filter(None, (amounts_title(rows), conditions)))
    table = fields.field_table(rows, shown, title)
    return table if (table.width or 0) <= WIDTH else fields.field_table(rows, shown, title, gap=1)


def amounts_title(rows: Iterable[Row | Answer]) -> str:
    """Names the N of the amounts if that is the same in all rows."""
    clients = _clients(rows)
    at_clients = f" at N = {next(iter(clients))}" if len(clients) == 1 else ""
    return f"Ratio to {BASE}{at_clients} (95 % CI)"


def manager_field() -> fields.Field[Row]:
    return fields.words("manager", lambda row: row.manager)


def reach_fields(verdict: Verdict) -> Iterator[fields.Field[Row]]:
    """From which N on the manager is faster, and the N of the amounts."""
    yield fields.words(verdict.headings[0], lambda row: row.faster_from)
    yield from clients_fields(verdict.rows)


def naming_fields(rows: Sequence[R]) -> Iterator[fields.Field[R]]:
    """Child and further conditions where they vary, and the workload."""
    if len({row.child for row in rows}) > 1:
        yield fields.words("child", lambda row: row.child, is_group=True)
    if len({row.conditions for row in rows}) > 1:
        yield fields.words("conditions", lambda row: row.conditions or ABSENT, is_group=True)
    yield fields.words("workload", lambda row: row.workload, is_group=True)


def clients_fields(rows: Sequence[R]) -> Iterator[fields.Field[R]]:
    """The N of the amounts, where it varies."""
    if len(_clients(rows)) > 1:
        yield fields.texts("at N", lambda row: str(row.clients or ABSENT))


def amount_field(heading: str, amount_of: Callable[[R], Amount | None]) -> fields.Field[R]:
    """A ratio with its 95 % CI and its mark."""

    def cells(rows: Sequence[R]) -> Column:
        found = list(map(amount_of, rows))
        texts = columns.intervals([None if one is None else one.effect for one in found]).texts
        marked = zip(texts, found, strict=True)
        return Column(
            "", tuple(ABSENT if one is None else f"{text} {one.mark}" for text, one in marked)
        )

    def style(row: R) -> str:
        amount = amount_of(row)
        return "" if amount is None else _STYLES.get(amount.mark, "")

    return fields.column(heading, cells, style_of=style)


def _clients(rows: Iterable[Row | Answer]) -> set[int]:
    return {row.clients for row in rows if row.clients is not None}


def row_amount(row: Row, at: int) -> Amount | None:
    """That of a row's `AMOUNTS`, if it has any."""
    return row.amounts[at] if len(row.amounts) == len(AMOUNTS) else None
