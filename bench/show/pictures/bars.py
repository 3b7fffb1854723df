"""One measure at a single N: a bar per manager, and below it one of its p99 where that is wanted.

At one N a curve would be a point. What each manager reaches there is compared by length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from bench.cases.names import FLOOR
from bench.results.row import CaseRow, Estimate, Measure
from bench.results.summary import Group
from bench.show import units
from bench.show.pictures import figures, style

_ROOM: Final = 1.3
"""The axis goes so far beyond what is drawn: the text of a value stands behind its bar."""

_SPREAD: Final = style.Look("#000000", "-", 1.3)

_HEIGHT: Final = 0.7
"""The bars of a manager take so much of its room."""


@dataclass(frozen=True, slots=True)
class Bar:
    """``place``: its middle on the axis of managers, on which each of them has a room of 1;
    ``height``: how much of that room it takes."""

    row: CaseRow
    measure: Measure
    estimate: Estimate
    place: float
    height: float


def measures_of(manager: str, measure: Measure, *, tail: bool) -> tuple[Measure, ...]:
    """What is drawn of a manager: the measure, with ``tail`` also the p99. That of the floor would
    say nothing."""
    return (measure, Measure.LATENCY_P99) if tail and manager != FLOOR else (measure,)


def clients_of(group: Group, measure: Measure) -> int:
    """The N at which the measure is known, else the greatest."""
    known = (row.case.clients for row in group.rows if measure.of(row) is not None)
    return next(known, group.clients[-1])


def bars(group: Group, measure: Measure, *, tail: bool) -> Iterator[Bar]:
    """The bars of a group with a single N, from the top down."""
    known = [row for row in group.rows if measure.of(row) is not None]
    for number, row in enumerate(known, 1):
        shown = [
            (one, estimate)
            for one in measures_of(row.case.manager, measure, tail=tail)
            if (estimate := one.of(row)) is not None
        ]
        height = _HEIGHT / (2 if tail else 1)
        for at, (one, estimate) in enumerate(shown):
            yield Bar(row, one, estimate, number + (at - (len(shown) - 1) / 2) * height, height)


def draw_bars(
    panel: Axes, group: Group, looks: Mapping[str, style.Look], measure: Measure, *, tail: bool
) -> None:
    """All bars, with their axes."""
    drawn = list(bars(group, measure, tail=tail))
    for bar in drawn:
        own = _properties(looks[bar.row.case.manager].color, is_tail=bar.measure is not measure)
        panel.barh(bar.place, bar.estimate.median, bar.height * 0.85, **own)
        panel.hlines(
            bar.place, bar.estimate.low, bar.estimate.high, _SPREAD.color, linewidth=_SPREAD.width
        )
        text = units.formatted(bar.measure.key, bar.estimate.median)
        panel.annotate(
            text,
            (max(bar.estimate.high, bar.estimate.median), bar.place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=style.FOOTER_SIZE,
        )
    longest = max((bar.estimate.high for bar in drawn), default=0)
    panel.set_xlim(0, longest * _ROOM or 1)
    panel.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]))
    panel.xaxis.set_major_formatter(FuncFormatter(style.Y_FORMATS[measure]))
    managers = [bar.row.case.manager for bar in drawn if bar.measure is measure]
    panel.set_ylim(len(managers) + 0.5, 0.5)
    panel.yaxis.set_major_locator(FixedLocator(list(range(1, len(managers) + 1))))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: managers[round(y) - 1]))
    panel.yaxis.grid(False)
    panel.set_xlabel(f"{measure.label}, N = {clients_of(group, measure)}")


def legend(*, tail: bool) -> Sequence[Artist]:
    """What the bars of any colour are, and the lines on them."""
    parts = (
        Patch(label="p50", **_properties(style.FAINT, is_tail=False)),
        Patch(label="p99", **_properties(style.FAINT, is_tail=True)),
    )
    return [*(parts if tail else ()), figures.legend_entry("spread between runs", _SPREAD)]


def _properties(color: str, *, is_tail: bool) -> dict[str, Any]:
    """Hollow for a p99, as the markers of its line are."""
    return {"facecolor": "none" if is_tail else color, "edgecolor": color, "linewidth": 1.3}
