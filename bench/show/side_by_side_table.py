"""Several results side by side, as the terminal shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.show import fields
from bench.show.layout import WIDTH, broken, hanging
from bench.show.side_by_side import FASTER_FROM, HOW_TO_READ, SHOWN, Answer, SideBySide
from bench.show.verdict_table import (
    amount_field,
    amounts_title,
    clients_fields,
    marks_read,
    naming_fields,
)


def print_side_by_side(found: SideBySide, console: Console, *, legend: bool = False) -> None:
    """Prints what was measured, where the results agree and disagree, the table and the notes;
    with ``legend`` also how to read it."""
    for result in found.results:
        console.print(hanging(f"{result.label}  ", result.measured, "bold"), highlight=False)
    console.print()
    for sentence in found.sentences:
        console.print(hanging("- ", sentence, "bold"), highlight=False)
    console.print()
    console.print(side_by_side_table(found), crop=False)
    shown = (answer.amount(heading) for answer in found.answers for heading in SHOWN)
    said = " ".join([marks_read(shown), *([HOW_TO_READ] if legend else [])]).strip()
    if said:
        console.print(Text(said, style="dim"), highlight=False)
    if found.notes:
        console.print()
    for note in found.notes:
        console.print(hanging("! ", note, "yellow"), highlight=False)


def side_by_side_table(found: SideBySide) -> Table:
    """A line per question and result. Where that would be wider than `WIDTH`, the names of machines
    are broken after blanks."""
    rows = found.answers

    def table(machine_width: int, gap: int) -> Table:
        shown = list(_fields(rows, machine_width))
        return fields.field_table(rows, shown, amounts_title(rows), gap=gap)

    widest = max(len(row.result.machine) for row in rows)
    wide = table(widest, gap=2)
    if (wide.width or 0) <= WIDTH:
        return wide
    beyond = max(0, (table(widest, gap=1).width or 0) - WIDTH)
    return table(max(1, widest - beyond), gap=1)


def _fields(rows: Sequence[Answer], machine_width: int) -> Iterator[fields.Field[Answer]]:
    yield from naming_fields(rows)
    yield fields.words("manager", lambda row: row.manager, is_group=True)
    yield from result_fields(lambda row: broken(row.result.machine, machine_width, " "))
    yield from clients_fields(rows)
    for heading in SHOWN:
        yield amount_field(heading, partial(Answer.amount, heading=heading))


def result_fields(machine_of: Callable[[Answer], str]) -> Iterator[fields.Field[Answer]]:
    """Which result it is, and from which N on the manager is faster there."""
    yield fields.words("result", lambda row: row.result.label)
    yield fields.words("machine", machine_of)
    yield fields.texts("CPUs", lambda row: row.result.cpus)
    yield fields.words(FASTER_FROM, lambda row: row.faster_from)
