"""The table of `selftest`, on the terminal and as Markdown."""

from __future__ import annotations

import re
import statistics

from rich.console import Console
from rich.table import Table

from bench.layout import print_whole
from bench.selftest import KNOWN_COST_S, Tally
from bench.selftest_file import Kept

_HEADINGS = ("asked", "trials", "said", "rate (95 %)", "wrong way", "measured", "could show")
"""The last two are medians over the trials."""
_WIDTH = 100


def print_kept(kept: Kept, out: Console, *, markdown: bool) -> None:
    """The table, the known cost, and of what they are."""
    report = kept.report
    rows = [_row(name, report.tallies[name]) for name in sorted(report.tallies, key=_order)]
    if markdown:
        lines = [_HEADINGS, ("---", *("---:",) * (len(_HEADINGS) - 1)), *rows]
        _plain(out, "\n".join(f"| {' | '.join(line)} |" for line in lines))
    else:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for at, heading in enumerate(_HEADINGS):
            table.add_column(heading, justify="right" if at else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        print_whole(table, _WIDTH, out)
    if report.floor_costs_s:
        costs_us = sorted(cost * 1e6 for cost in report.floor_costs_s)
        _plain(
            out,
            f"\nA cost of {KNOWN_COST_S * 1e6:.0f} us, measured by the floor {len(costs_us)} times:"
            f" {costs_us[len(costs_us) // 2]:.0f} us"
            f" ({costs_us[0]:.0f} to {costs_us[-1]:.0f})",
        )
    _plain(out, f"\n{_provenance(kept)}")


def _provenance(kept: Kept) -> str:
    where = kept.environment
    return (
        f"selftest --minutes {kept.minutes:g} --only {','.join(kept.only)}, begun"
        f" {where.suite_date}, of {where.version},"
        f" on {where.cpu_model} x {where.cpu_count or '?'}, {where.kernel}"
    )


def _order(name: str) -> tuple[int | str, ...]:
    """False alarms first, then effects by their size and pairs: numbers in names count as such."""
    parts = re.split(r"(\d+)", name)
    numbered = (int(part) if part.isdecimal() else part for part in parts)
    return not name.startswith("false alarm"), *numbered


def _row(name: str, tally: Tally) -> tuple[str, ...]:
    low, high = tally.interval()
    return (
        name,
        str(tally.trials),
        str(tally.found),
        f"{tally.found / tally.trials:.0%} ({low:.0%} to {high:.0%})",
        str(tally.wrong) if tally.ratios else "-",
        f"{statistics.median(tally.ratios) - 1:+.1%}" if tally.ratios else "-",
        f"{statistics.median(tally.smallest_shown):.1%}" if tally.smallest_shown else "-",
    )


def _plain(out: Console, text: str) -> None:
    out.print(text, highlight=False, markup=False, soft_wrap=True)
