"""The table of `selftest`, on the terminal and as Markdown."""

from __future__ import annotations

import re
import statistics

from rich.console import Console

from bench.results.summary import HEADINGS
from bench.running.selftest.file import Kept
from bench.running.selftest.tallies import KNOWN_COST_S, LATE, Tally
from bench.show.layout import print_whole, whole_table

_HEADINGS = ("asked", "trials", "said", "rate (95 %)", "wrong way", "measured", "shows")
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
        print_whole(whole_table(None, _HEADINGS, rows, left=[0]), _WIDTH, out)
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


def _named(name: str) -> str:
    """With what tables call the measures."""
    for field, heading in HEADINGS.items():
        name = name.replace(field, heading)
    return name.replace(LATE, "late now and then")


def _row(name: str, tally: Tally) -> tuple[str, ...]:
    low, high = tally.interval()
    return (
        _named(name),
        str(tally.trials),
        str(tally.found),
        f"{tally.found / tally.trials:.0%} ({low * 100:.0f}-{high * 100:.0f})",
        str(tally.wrong) if tally.ratios else "-",
        f"{statistics.median(tally.ratios) - 1:+.1%}" if tally.ratios else "-",
        f"{statistics.median(tally.smallest_shown):.1%}" if tally.smallest_shown else "-",
    )


def _plain(out: Console, text: str) -> None:
    out.print(text, highlight=False, markup=False, soft_wrap=True)
