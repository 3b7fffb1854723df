"""What `show` says of the whole range of N: crossovers, and how throughput grows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.cases.names import BASE
from bench.results.summary import Summary
from bench.show import units
from bench.show.columns import ABSENT
from bench.show.findings import HEADINGS, better_from
from bench.show.layout import hanging, named_table
from bench.statistics.crossover import MEASURES as CROSSOVER_MEASURES
from bench.statistics.crossover import crossovers, leads
from bench.statistics.scalability import Fit, scalings

CROSSOVERS_READ: Final = (
    "Better from N on: on average (geometric mean over the rounds) at that N and at every greater"
    " one, and significantly at the greatest; only: significantly at these N, but not at the"
    " greatest."
)
_SCALINGS_READ: Final = (
    "Universal scalability law. lambda: throughput of one client; sigma: the share of a redo for"
    " which clients queue; kappa: the cost of each pair of clients; off by: the greatest distance"
    " of the data from the curve (docs/crossover.md)."
)


def print_crossovers(summary: Summary, console: Console) -> list[str]:
    """Prints from which N on a manager is better, where it has that; how to read it."""
    table = crossovers_table(summary)
    if table is None:
        return []
    console.print()
    console.print(table, crop=False)
    return [CROSSOVERS_READ]


def crossovers_table(summary: Summary) -> Table | None:
    """From which N on each manager is better than sync; None if no manager has that."""
    rows = list(_crossovers(summary))
    headings = ("manager", *(HEADINGS[measure] for measure in CROSSOVER_MEASURES))
    title = f"Better than {BASE} from N on (95 % CI)"
    return named_table(title, headings, rows) if rows else None


def print_scaling(summary: Summary, console: Console) -> list[str]:
    """Prints the fits of how throughput grows, and who has none; how to read them."""
    rows, not_fitted = _scalings(summary)
    console.print()
    if rows:
        headings = ("manager", "lambda, redo/s", "sigma, %", "kappa, 1e-6", "peak at N", "off by")
        table = named_table("How throughput grows with N (95 % CI)", headings, rows)
        console.print(table, crop=False)
    for why_not, names in not_fitted.items():
        text = f"no fit for {'; '.join(names)}: {why_not}"
        console.print(hanging("- ", text, ""), highlight=False)
    return [_SCALINGS_READ] if rows else []


def over_clients_data(summary: Summary) -> dict[str, Any]:
    """The same as plain data, each with its group.

    ``crossovers``: N is null where the manager is better than sync at no N. ``scalability``:
    ``fit`` is null where ``why_not`` says why; what is null in a ``peak`` that is ``known`` lies
    beyond the measured N.
    """
    groups = summary.groups()
    return {
        "crossovers": [
            {
                "group": group.title,
                "manager": found.manager,
                "measure": found.measure,
                "measured": found.measured,
                **asdict(found),
            }
            for group in groups
            for found in crossovers(group)
        ],
        "scalability": [
            {"group": group.title, **asdict(found)} for group in groups for found in scalings(group)
        ],
    }


def _crossovers(summary: Summary) -> Iterator[tuple[str, ...]]:
    """A name and the text of each measure for every manager that has a crossover."""
    for group in summary.groups():
        by_manager: dict[str, dict[str, str]] = {}
        for found in crossovers(group):
            text = better_from(leads(group, found.manager, found.measure), found)
            by_manager.setdefault(found.manager, {})[found.measure] = text
        for manager, texts in by_manager.items():
            cells = (texts.get(measure, ABSENT) for measure in CROSSOVER_MEASURES)
            yield f"{manager}, {group.title}", *cells


def _scalings(summary: Summary) -> tuple[list[tuple[str, ...]], dict[str, list[str]]]:
    """The lines of the fits whose intervals say something, and who has none, by the reason."""
    rows: list[tuple[str, ...]] = []
    not_fitted: dict[str, list[str]] = {}
    for group in summary.groups():
        for found in scalings(group):
            name = f"{found.manager}, {group.title}"
            if found.fit is None:
                not_fitted.setdefault(str(found.why_not), []).append(name)
            elif found.fit.undetermined:
                why_not = f"the 95 % CI of {' and '.join(found.fit.undetermined)} is too wide"
                not_fitted.setdefault(why_not, []).append(name)
            else:
                rows.append((name, *_cells(found.fit, found.measured)))
    return rows, not_fitted


def _cells(fit: Fit, measured: tuple[int, ...]) -> tuple[str, ...]:
    def named(clients: float | None) -> str:
        """As in ``45 (32 to >128)``, ``>128`` or ``1 (?)``."""
        if clients is None:
            return f">{measured[-1]}"
        return f"<{measured[0]}" if clients == measured[0] > 1 else f"{clients:.0f}"

    return (
        units.bounded(fit.lambda_per_s, units.short_rate),
        units.bounded(fit.sigma, lambda share: units.number(share * 100)),
        units.bounded(fit.kappa, lambda share: units.number(share * 1e6)),
        units.threshold(fit.peak, named),
        f"{abs(fit.worst):.0%}",
    )
