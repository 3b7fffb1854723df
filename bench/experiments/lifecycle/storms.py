"""What holds back a manager whose children all fail: waiting for the reaping, or its back-off.

Statistics over the rows of a summary; nothing here prints. How a storm is made is in
``lifecycle_subjects``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bench.cases.notations import STORM, STORM_BACK_OFF, STORM_BACKGROUND, STORM_WAIT, STORMS
from bench.results.summary import CaseRow, Estimate, Summary
from bench.show import units
from bench.statistics.effects import Effect
from bench.statistics.rounds import ratio

LAUNCHES: Final = "redo_lifecycle_launches_per_s"
UNREAPED: Final = "redo_lifecycle_unreaped_peak"


@dataclass(frozen=True, slots=True)
class Storms:
    """The storms that are alike but for the manager and the way of it, slowest way first."""

    extra: tuple[tuple[str, str | int], ...]
    rows: tuple[CaseRow, ...]

    @property
    def title(self) -> str:
        """As ``storms`` or ``storms, child=python``."""
        return ", ".join(("storms", *(f"{key}={value}" for key, value in self.extra)))

    def to_waiting(self, row: CaseRow) -> Effect | None:
        """Launches per second to those of the same order that waits for each reaping, by rounds."""
        return _ratio(row, self._first(STORM_WAIT))

    @property
    def verdict(self) -> str:
        """One sentence; what is not known is left out of it."""
        parts = [part for part in (self._of_waiting(), self._of_back_off()) if part]
        return "; ".join(parts) or "nothing to compare: measure the storms beside each other"

    @property
    def headline(self) -> str:
        """The verdict in a few words."""
        background = self._first(STORM_BACKGROUND)
        effect = None if background is None else self.to_waiting(background)
        if effect is None or effect.low is None or effect.high is None:
            return "launches of children that fail"
        if effect.low <= 1 <= effect.high:
            return "reaping in the background is not shown to allow more launches"
        more = "more" if effect.low > 1 else "fewer"
        return f"reaping in the background allows {abs(effect.ratio - 1):.0%} {more} launches"

    def _of_waiting(self) -> str:
        background = self._first(STORM_BACKGROUND)
        effect = None if background is None else self.to_waiting(background)
        if effect is None:
            return ""
        change = f"{abs(effect.ratio - 1):.0%}"
        if effect.low is None or effect.high is None:
            said = f"reaping in the background changes launches by {effect.ratio - 1:+.0%} in"
            return f"{said} the one round that there is, which shows no spread"
        interval = f"95 % interval {effect.low - 1:+.0%} to {effect.high - 1:+.0%}"
        if effect.low > 1:
            return (
                "waiting for a child to be reaped does limit launches: reaping in the background"
                f" allows {change} more ({interval})"
            )
        if effect.high < 1:
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
        before, after = without.further[LAUNCHES].median, held.further[LAUNCHES].median
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
    """All storms of which a result is known, by their further dimensions."""
    groups: dict[tuple[tuple[str, str | int], ...], list[CaseRow]] = {}
    for group in summary.groups():
        extra = dict(group.extra)
        if extra.pop("scenario", None) in STORMS:
            known = (row for row in group.rows if LAUNCHES in row.further)
            groups.setdefault(tuple(extra.items()), []).extend(known)
    for alike, rows in groups.items():
        if rows:
            ordered = sorted(rows, key=lambda row: STORMS.index(row.case.scenario))
            yield Storms(alike, tuple(ordered))


def launches_per_s(row: CaseRow) -> Estimate:
    """Of a row of `Storms`."""
    return row.further[LAUNCHES]


def _ratio(above: CaseRow, below: CaseRow | None) -> Effect | None:
    if below is None or below is above:
        return None
    return ratio(above.further[LAUNCHES], below.further[LAUNCHES])
