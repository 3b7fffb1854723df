"""The table that `show` prints, and the same as plain data for `show --json`.

Rows come from ``stats``, marks from ``notes``; this module only lays them out. It prints through
the console that the caller passes and nowhere else, so colours and width are the caller's choice.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench import units
from bench.findings import BASE, FLOOR
from bench.keys import SCHEMA_VERSION
from bench.layout import bare_table, hanging, print_whole
from bench.notes import notes
from bench.over_clients import over_clients_data, print_over_clients
from bench.stats import (
    MEASURES,
    QUARTILES_FROM,
    CaseRow,
    Estimate,
    Group,
    Summary,
    paired_ratio,
)
from bench.views import covered, views_of

JSON_VERSION = 1
"""Version of what `as_data` returns."""

_ABSENT = "-"

_COLUMNS = (
    ("t/redo", 6),
    ("+-", 4),
    ("redo/s", 6),
    ("p50", 6),
    ("p99", 6),
    ("CPU", 6),
    ("/sync", 5),
    ("/floor", 6),
)
"""Heading and least width of each column of numbers."""

_WIDTH = 80
"""What the table needs, in columns of the terminal."""

_NOISY_SPREAD = 0.25
"""A spread above this is coloured: the machine did not keep its pace."""


def print_summary(summary: Summary, console: Console) -> None:
    """Print one table per workload, the experiments, the marks, and how to read the columns."""
    marks = notes(summary)
    marked = {note.case for note in marks}
    console.print(heading(summary), highlight=False)
    cases = [row.case for row in summary.rows]
    ordinary = summary.without(covered(cases))
    for group in ordinary.groups():
        console.print()
        print_whole(_table(group, marked), _WIDTH, console)
    print_over_clients(ordinary, console)
    for view in views_of(cases):
        for table in view.tables(summary):
            console.print()
            console.print(table, crop=False)
    console.print()
    for note in marks:
        console.print(hanging("! ", note.text, "yellow"), highlight=False)
    if marks:
        console.print()
    if ordinary.rows:
        console.print(Text(_legend(summary), style="dim"), highlight=False)


def as_data(summary: Summary) -> dict[str, Any]:
    """All of the table as plain data for JSON: SI units in the names, null where nothing is known.

    ``version`` is JSON_VERSION. Each measure of a case is null or an object with ``median``,
    ``low``, ``high`` and ``by_round`` (a list of [round, value]); so are the ratios
    ``throughput_to_sync`` and ``throughput_to_floor``.
    """
    return {
        "version": JSON_VERSION,
        "schema_version": SCHEMA_VERSION,
        "source": summary.source,
        "environment": asdict(summary.environment),
        "rounds": list(summary.rounds),
        "cases": [_row_data(group, row) for group in summary.groups() for row in group.rows],
        **over_clients_data(summary),
        "experiments": {
            view.name: view.data(summary) for view in views_of([row.case for row in summary.rows])
        },
        "failures": [
            {"case": one.case.name, "round": one.round, "reason": one.reason}
            for one in summary.failures
        ],
        "notes": [
            {"kind": note.kind, "case": note.case and note.case.name, "text": note.text}
            for note in notes(summary)
        ],
    }


def throughput_ratio(group: Group, row: CaseRow, base: str) -> Estimate | None:
    """Throughput of a row to that of the base at the same N, round by round; None for the base."""
    if row.case.manager == base:
        return None
    base_row = group.row(base, row.case.clients)
    return (
        None if base_row is None else paired_ratio(row.throughput_per_s, base_row.throughput_per_s)
    )


def _row_data(group: Group, row: CaseRow) -> dict[str, Any]:
    return {
        "name": row.case.name,
        **asdict(row.case),
        "rounds": list(row.rounds),
        **{field: _estimate_data(getattr(row, field)) for field in MEASURES},
        "further": {key: _estimate_data(one) for key, one in row.further.items()},
        "throughput_to_sync": _estimate_data(throughput_ratio(group, row, BASE)),
        "throughput_to_floor": _estimate_data(throughput_ratio(group, row, FLOOR)),
        "self_check_missed": [{"round": number, "text": text} for number, text in row.missed],
    }


def _estimate_data(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    return {
        "median": estimate.median,
        "low": estimate.low,
        "high": estimate.high,
        "by_round": [list(pair) for pair in estimate.by_round],
    }


def heading(summary: Summary) -> Text:
    """What was measured, on what and when."""
    environment = summary.environment
    count = len(summary.rounds)
    cpus = "" if environment.cpu_count is None else f", {environment.cpu_count} CPUs"
    return Text.assemble(
        (summary.source, "bold"),
        f"\ncommit {environment.version}, profile {environment.profile}, "
        f"{count} round{'' if count == 1 else 's'}, started {environment.suite_date}"
        f"\n{environment.cpu_model}{cpus}, governor {environment.cpu_governor}, "
        f"{environment.kernel}",
    )


def _table(group: Group, marked: set[Any]) -> Table:
    # Narrow on purpose: it just fits 80 columns. Only the manager's column may wrap.
    table = bare_table(group.title)
    table.add_column("N", justify="right", min_width=3, no_wrap=True)
    table.add_column("manager", overflow="fold")
    for name, width in _COLUMNS:
        table.add_column(name, justify="right", min_width=width, no_wrap=True)
    for clients in group.clients:
        rows = [row for row in group.rows if row.case.clients == clients]
        for index, row in enumerate(rows):
            table.add_row(
                str(clients) if index == 0 else "",
                f"{row.case.manager}{'!' if row.case in marked else ''}",
                _seconds(row.time_per_redo_s),
                _spread(row.time_per_redo_s),
                _rate(row.throughput_per_s),
                _seconds(row.latency_p50_s),
                _seconds(row.latency_p99_s),
                _seconds(row.cpu_total_s),
                _factor(throughput_ratio(group, row, BASE)),
                _factor(throughput_ratio(group, row, FLOOR)),
            )
    return table


def _seconds(estimate: Estimate | None) -> str:
    return _ABSENT if estimate is None else units.seconds(estimate.median).replace(" ", "")


def _rate(estimate: Estimate | None) -> str:
    return _ABSENT if estimate is None else units.short_rate(estimate.median)


def _spread(estimate: Estimate | None) -> Text:
    spread = None if estimate is None else estimate.spread
    if spread is None:
        return Text(_ABSENT)
    return Text(f"{spread:.0%}", style="yellow" if spread > _NOISY_SPREAD else "")


def _factor(estimate: Estimate | None) -> str:
    return _ABSENT if estimate is None else units.factor(estimate.median)


def _legend(summary: Summary) -> str:
    spread = "quartiles" if len(summary.rounds) >= QUARTILES_FROM else "least and greatest"
    return (
        "Medians over the runs. t/redo: time per redo, the sum of the clients' walls / redos. "
        f"+-: its spread over the runs, half the distance of the {spread}. redo/s: throughput. "
        "p50, p99: latency. CPU: per redo, manager and child. /sync, /floor: throughput to that "
        "of sync and of the floor at the same N, the median of the ratios round by round. "
        "!: see the notes. Better from N on: by the mean ratio over the rounds at it and at every "
        "greater N; none: at no N. Growth: lambda is what one client gets alone, sigma the share "
        "for which clients queue, kappa what each pair of them costs, off by how far the "
        "curve is from the data at most (docs/comparing.md)."
    )
