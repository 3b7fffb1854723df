"""What limits the launches of children that all fail: waiting for the reaping, or the back-off.

Computes from the rows of a summary. How a storm is measured belongs to the worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.cases.notations import STORM, STORM_BACK_OFF, STORM_BACKGROUND, STORM_WAIT, STORMS
from bench.results.measures.lifecycle import LAUNCHES_PER_S
from bench.results.summary import CaseRow, Estimate, Summary
from bench.show import units
from bench.show.families import alike, to_base
from bench.statistics.effects import Effect, side


@dataclass(frozen=True, slots=True)
class Storms:
    """The storms that differ in the manager and the scenario only, the slowest scenario first."""

    extra: tuple[tuple[str, str | int], ...]
    rows: tuple[CaseRow, ...]

    @property
    def title(self) -> str:
        """As ``storms`` or ``storms, child=python``."""
        return ", ".join(("storms", *(f"{key}={value}" for key, value in self.extra)))

    def to_waiting(self, row: CaseRow) -> Effect | None:
        """The ratio of launches per second to those that wait for each reaping, by rounds."""
        return to_base(row, self._first(STORM_WAIT), launches_per_s)

    @property
    def verdict(self) -> str:
        """One sentence, without what is not known."""
        parts = [part for part in (self._of_waiting(), self._of_back_off()) if part]
        return "; ".join(parts) or "nothing to compare: measure the storms beside each other"

    @property
    def headline(self) -> str:
        """The verdict in a few words."""
        background = self._first(STORM_BACKGROUND)
        effect = None if background is None else self.to_waiting(background)
        if effect is None or effect.low is None or effect.high is None:
            return "launches of children that fail"
        if side(effect) == 0:
            return "reaping in the background is not shown to allow more launches"
        more = "more" if side(effect) > 0 else "fewer"
        return f"reaping in the background allows {abs(effect.ratio - 1):.0%} {more} launches"

    def _of_waiting(self) -> str:
        background = self._first(STORM_BACKGROUND)
        effect = None if background is None else self.to_waiting(background)
        if effect is None:
            return ""
        change = f"{abs(effect.ratio - 1):.0%}"
        if effect.low is None or effect.high is None:
            return (
                f"reaping in the background changes launches by {effect.ratio - 1:+.0%} in the one"
                " round that there is, which shows no spread"
            )
        interval = f"95 % interval {effect.low - 1:+.0%} to {effect.high - 1:+.0%}"
        if side(effect) > 0:
            return (
                "waiting for a child to be reaped does limit launches: reaping in the background"
                f" allows {change} more ({interval})"
            )
        if side(effect) < 0:
            return (
                "waiting for a child to be reaped does not limit launches: reaping in the"
                f" background allows {change} fewer ({interval})"
            )
        return (
            "these runs do not show that waiting for a child to be reaped limits launches: reaping"
            f" in the background changes them by {effect.ratio - 1:+.0%} ({interval})"
        )

    def _of_back_off(self) -> str:
        without = self._first(STORM)
        held = None if without is None else self._first(STORM_BACK_OFF, without.case.manager)
        if without is None or held is None:
            return ""
        before, after = launches_per_s(without).median, launches_per_s(held).median
        return (
            f"the back-off of {without.case.manager} lets {units.rate(after)} through in place of"
            f" {units.rate(before)}"
        )

    def _first(self, scenario: str, manager: str | None = None) -> CaseRow | None:
        found = (
            row
            for row in self.rows
            if row.case.scenario == scenario and manager in (None, row.case.manager)
        )
        return next(found, None)


def storms(summary: Summary) -> Iterator[Storms]:
    """All storms that have a result, by their further dimensions."""
    rows = (
        row
        for group in summary.groups()
        for row in group.rows
        if row.case.scenario in STORMS and LAUNCHES_PER_S in row.further
    )
    found = alike(rows, "manager", "workload", "clients", "scenario")
    for common, members in found.items():
        ordered = sorted(members, key=lambda row: STORMS.index(row.case.scenario))
        yield Storms(tuple(common.extra.items()), tuple(ordered))


def launches_per_s(row: CaseRow) -> Estimate:
    """The launches of a row of `Storms`, which all have them."""
    return row.further[LAUNCHES_PER_S]
