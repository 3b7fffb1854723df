"""What is known so far while a suite runs: throughput by manager and N, for the terminal."""

from __future__ import annotations

import statistics

from rich.table import Table
from rich.text import Text

from bench.cases.case import Case
from bench.results.measures import redos
from bench.results.record import RunRecord
from bench.show import units
from bench.show.layout import bare_table

_ABSENT = "-"


class MiniTable:
    """Gathers runs; shows the median throughput of each case, those of one curve in a line.

    Only the curves that were measured last are shown if there are more than ``lines``.
    """

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._throughputs: dict[tuple[str, str], dict[int, list[float]]] = {}

    def add(self, case: Case, record: RunRecord) -> None:
        """Takes a run in."""
        extra = ", ".join(f"{key}={value}" for key, value in case.extra.items())
        curve = case.manager, ", ".join(filter(None, (case.workload, extra)))
        by_clients = self._throughputs.pop(curve, {})
        by_clients.setdefault(case.clients, []).append(redos.throughput_per_s(record.slices))
        self._throughputs[curve] = by_clients  # last: it was measured last

    def table(self) -> Table:
        """As it stands."""
        shown = dict(sorted(list(self._throughputs.items())[-self._lines :]))
        clients = sorted({n for by_clients in shown.values() for n in by_clients})
        table = bare_table("redos per second so far" if shown else None)
        table.add_column("")
        for n in clients:
            table.add_column(f"N={n}", justify="right", no_wrap=True)
        for (manager, group), by_clients in shown.items():
            cells = (
                units.short_rate(statistics.median(by_clients[n])) if n in by_clients else _ABSENT
                for n in clients
            )
            table.add_row(Text(f"{manager}, {group}"), *cells)
        return table
