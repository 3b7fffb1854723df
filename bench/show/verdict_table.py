"""The verdict as the terminal shows it: the answer, the table, and how to read its marks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.cases.names import BASE
from bench.show import columns, fields
from bench.show.columns import ABSENT, Column
from bench.show.layout import WIDTH, hanging
from bench.show.verdict import AMOUNTS, Amount, Mark, Row, Verdict

_STYLES: Final = {Mark.BETTER: "green", Mark.WORSE: "red"}

MARKS_READ: Final = {
    Mark.BETTER: "better",
    Mark.WORSE: "worse",
    Mark.SAME: "no significant difference",
    Mark.UNKNOWN: "one round has no CI",
}


def print_verdict(verdict: Verdict, console: Console) -> None:
    """Prints the sentences and, where there is a manager to compare, the table."""
    for sentence in verdict.sentences:
        console.print(hanging("- ", sentence, "bold"), highlight=False)
    if verdict.rows:
        console.print()
        console.print(verdict_table(verdict), crop=False)
        if marks := {amount.mark for row in verdict.rows for amount in row.amounts if amount}:
            read = ", ".join(f"{mark} {MARKS_READ[mark]}" for mark in Mark if mark in marks)
            console.print(Text(f"Compared with {BASE}: {read}.", style="dim"), highlight=False)


def verdict_table(verdict: Verdict) -> Table:
    """A line per row. What all rows have in common stands in no column of its own."""
    rows = verdict.rows
    clients = {row.clients for row in rows} - {None}
    at_clients = f" at N = {next(iter(clients))}" if len(clients) == 1 else ""
    title = f"Ratio to {BASE}{at_clients} (95 % CI)"
    faster, *amounts = verdict.headings
    shown: list[fields.Field[Row]] = []
    if len({row.child for row in rows}) > 1:
        shown.append(fields.words("child", lambda row: row.child, is_group=True))
    if any(row.conditions for row in rows):
        conditions: fields.Field[Row] = fields.words(
            "conditions", lambda row: row.conditions or ABSENT, is_group=True
        )
        shown.append(conditions)
    shown += [
        fields.words("workload", lambda row: row.workload, is_group=True),
        fields.words("manager", lambda row: row.manager),
        fields.words(faster, lambda row: row.faster_from),
    ]
    if len(clients) > 1:
        shown.append(fields.texts("at N", lambda row: str(row.clients or ABSENT)))
    shown += [
        fields.column(heading, partial(_amounts, at=at), style_of=partial(_style, at=at))
        for at, heading in enumerate(amounts)
    ]
    table = fields.field_table(rows, shown, title)
    return table if (table.width or 0) <= WIDTH else fields.field_table(rows, shown, title, gap=1)


def _amount(row: Row, at: int) -> Amount | None:
    return row.amounts[at] if len(row.amounts) == len(AMOUNTS) else None


def _amounts(rows: Sequence[Row], at: int) -> Column:
    found = [_amount(row, at) for row in rows]
    texts = columns.intervals([None if one is None else one.effect for one in found]).texts
    marked = zip(texts, found, strict=True)
    return Column(
        "", tuple(ABSENT if one is None else f"{text} {one.mark}" for text, one in marked)
    )


def _style(row: Row, at: int) -> str:
    amount = _amount(row, at)
    return "" if amount is None else _STYLES.get(amount.mark, "")
