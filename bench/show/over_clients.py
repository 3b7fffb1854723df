"""What `show` says of the whole range of N: crossovers, and how throughput grows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.cases.names import BASE
from bench.results.summary import Summary
from bench.show import units
from bench.show.columns import ABSENT
from bench.show.findings import HEADINGS, crossover_text
from bench.show.layout import WIDTH, bare_table, hanging, print_whole
from bench.statistics.crossover import MEASURES as CROSSOVER_MEASURES
from bench.statistics.crossover import crossovers
from bench.statistics.scalability import Fit, scalings

_CROSSOVERS_READ: Final = (
    "Better from N on: by the mean ratio over the rounds at it and at every greater N; none: at no"
    " N."
)
_SCALINGS_READ: Final = (
    "Growth: lambda is what one client gets alone, sigma the share for which clients queue, kappa"
    " what each pair of them costs, off by how far the curve is from the data at most"
    " (docs/crossover.md)."
)


def print_crossovers(summary: Summary, console: Console) -> list[str]:
    """Prints from which N on a manager is better, where it has that; how to read it."""
    crossed = _crossovers_table(summary)
    if not crossed.row_count:
        return []
    console.print()
    print_whole(crossed, 80, console)
    return [_CROSSOVERS_READ]


def print_scaling(summary: Summary, console: Console) -> list[str]:
    """Prints the fits of how throughput grows, and who has none; how to read them."""
    growth, not_fitted = _scalings_table(summary)
    console.print()
    if growth.row_count:
        print_whole(growth, WIDTH, console)
    for why_not, names in not_fitted.items():
        text = f"growth with N not fitted to {'; '.join(names)}: {why_not}"
        console.print(hanging("- ", text, ""), highlight=False)
    return [_SCALINGS_READ] if growth.row_count else []


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


def _crossovers_table(summary: Summary) -> Table:
    headings = (HEADINGS[measure] for measure in CROSSOVER_MEASURES)
    table = _table(f"Better than {BASE} from N on (95 % interval)", *headings)
    for group in summary.groups():
        by_manager: dict[str, dict[str, str]] = {}
        for found in crossovers(group):
            by_manager.setdefault(found.manager, {})[found.measure] = crossover_text(found)
        for manager, texts in by_manager.items():
            cells = (texts.get(measure, ABSENT) for measure in CROSSOVER_MEASURES)
            table.add_row(Text(f"{manager}, {group.title}"), *cells)
    return table


def _scalings_table(summary: Summary) -> tuple[Table, dict[str, list[str]]]:
    """The table of the fits, and who has none, by the reason."""
    headings = ("lambda, redo/s", "sigma, %", "kappa, 1e-6", "peak at N", "off by")
    table = _table("How throughput grows with N (95 % interval)", *headings)
    not_fitted: dict[str, list[str]] = {}
    for group in summary.groups():
        for found in scalings(group):
            name = f"{found.manager}, {group.title}"
            if found.fit is None:
                not_fitted.setdefault(str(found.why_not), []).append(name)
            elif found.fit.undetermined:
                why_not = f"the data do not determine {' and '.join(found.fit.undetermined)}"
                not_fitted.setdefault(why_not, []).append(name)
            else:
                table.add_row(Text(name), *_cells(found.fit, found.measured))
    return table, not_fitted


def _table(title: str, *headings: str) -> Table:
    table = bare_table(title)
    table.add_column("manager", overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


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
