"""What `show` says of the whole range of N, below the cases: crossovers, and how throughput grows.

The numbers are those of ``crossover`` and ``scalability``; this module only lays them out, as
tables and as data.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from bench.cases.names import BASE
from bench.results.summary import Summary
from bench.show import units
from bench.show.findings import HEADINGS, crossover_text
from bench.show.layout import bare_table, hanging, print_whole
from bench.statistics.crossover import MEASURES as CROSSOVER_MEASURES
from bench.statistics.crossover import crossovers
from bench.statistics.scalability import Fit, scalings

_ABSENT: Final = "-"

_CROSSOVERS_WIDTH: Final = 80
_SCALINGS_WIDTH: Final = 100
"""What the tables need, in columns of the terminal."""


_CROSSOVERS_READ: Final = (
    "Better from N on: by the mean ratio over the rounds at it and at every greater N; none: at no"
    " N."
)
_SCALINGS_READ: Final = (
    "Growth: lambda is what one client gets alone, sigma the share for which clients queue, kappa"
    " what each pair of them costs, off by how far the curve is from the data at most"
    " (docs/comparing.md)."
)


def print_over_clients(summary: Summary, console: Console) -> list[str]:
    """Prints the tables that have anything to say; how to read those that it printed."""
    printed = [
        (_print_crossovers(summary, console), _CROSSOVERS_READ),
        (_print_scalings(summary, console), _SCALINGS_READ),
    ]
    return [reading for is_there, reading in printed if is_there]


def over_clients_data(summary: Summary) -> dict[str, Any]:
    """The same as plain data, each with its group.

    ``crossovers``: N is null where the manager is better than sync at no N. ``scalability``:
    ``fit`` is null where ``why_not`` says why; what is null in a ``peak`` that is ``known`` lies
    beyond the measured N.
    """
    groups = summary.groups()
    return {
        "crossovers": [
            {"group": group.title, **asdict(one)} for group in groups for one in crossovers(group)
        ],
        "scalability": [
            {"group": group.title, **asdict(one)} for group in groups for one in scalings(group)
        ],
    }


def _print_crossovers(summary: Summary, console: Console) -> bool:
    """Whether there was a table."""
    table = bare_table(f"Better than {BASE} from N on (95 % interval)")
    table.add_column("manager", overflow="fold")
    for measure in CROSSOVER_MEASURES:
        table.add_column(HEADINGS[measure], justify="right", no_wrap=True)
    for group in summary.groups():
        by_manager: dict[str, dict[str, str]] = {}
        for one in crossovers(group):
            by_manager.setdefault(one.manager, {})[one.measure] = crossover_text(one)
        for manager, texts in by_manager.items():
            cells = (texts.get(measure, _ABSENT) for measure in CROSSOVER_MEASURES)
            table.add_row(Text(f"{manager}, {group.title}"), *cells)
    if table.row_count:
        console.print()
        print_whole(table, _CROSSOVERS_WIDTH, console)
    return bool(table.row_count)


def _print_scalings(summary: Summary, console: Console) -> bool:
    """Whether there was a table."""
    table = bare_table("How throughput grows with N (95 % interval)")
    table.add_column("manager", overflow="fold")
    for heading in ("lambda, redo/s", "sigma, %", "kappa, 1e-6", "peak at N", "off by"):
        table.add_column(heading, justify="right", no_wrap=True)
    without: dict[str, list[str]] = {}
    for group in summary.groups():
        for one in scalings(group):
            name = f"{one.manager}, {group.title}"
            if one.fit is None:
                without.setdefault(str(one.why_not), []).append(name)
            else:
                table.add_row(Text(name), *_cells(one.fit, one.measured))
    if table.row_count:
        console.print()
        print_whole(table, _SCALINGS_WIDTH, console)
    if without:
        console.print()
    for why_not, names in without.items():
        text = f"growth with N not fitted to {'; '.join(names)}: {why_not}"
        console.print(hanging("- ", text, ""), highlight=False)
    return bool(table.row_count)


def _cells(fit: Fit, measured: tuple[int, ...]) -> tuple[str, ...]:
    return (
        units.bounded(fit.lambda_per_s, units.short_rate),
        units.bounded(fit.sigma, lambda share: units.number(share * 100)),
        units.bounded(fit.kappa, lambda share: units.number(share * 1e6)),
        _peak(fit, measured),
        f"{abs(fit.worst):.0%}",
    )


def _peak(fit: Fit, measured: tuple[int, ...]) -> str:
    """As ``45 (32 to >128)``, ``>128`` or ``1 (?)``."""

    def named(clients: float | None) -> str:
        if clients is None:
            return f">{measured[-1]}"
        return f"<{measured[0]}" if clients == measured[0] > 1 else f"{clients:.0f}"

    point, low, high = (named(n) for n in (fit.peak.clients, fit.peak.low, fit.peak.high))
    return units.threshold(point, low, high, known=fit.peak.known)
