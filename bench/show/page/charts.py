"""The pictures of a report: curves panel by panel, before and after, and those of the experiments.

Each workload and measure has a figure of its own, which fits a narrow screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.cases.names import FLOOR
from bench.results.summary import Group, Summary
from bench.show import units
from bench.show.findings import Measure, title
from bench.show.page import svg
from bench.show.pictures import figures, style
from bench.show.pictures.choice import further, has, was_measured
from bench.show.pictures.clients import draw_panel, legend, points
from bench.show.view import View

_COMPARED: Final = (Measure.LATENCY, Measure.LATENCY_P99, Measure.THROUGHPUT)
"""With both results in a panel there is no room for tails, so p99 has its own."""

_BEFORE_LOOK: Final = style.Look(style.FAINT, (0, (4, 2)), 1.1, "o", 5.0)
"""Thin, dashed and with hollow markers: colour is not the only difference."""


@dataclass(frozen=True, slots=True)
class Chart:
    """``svg`` is an element. ``wide``: too wide for a telephone, so that it scrolls."""

    caption: str
    svg: str
    wide: bool = False


def curves(summary: Summary, prefix: str) -> Iterator[Chart]:
    """Latency and throughput of each group of these cases."""
    for index, group in enumerate(filter(was_measured, summary.groups())):
        for measure in (Measure.LATENCY, Measure.THROUGHPUT):
            if has(group, measure):
                yield _chart(group, None, measure, f"{prefix}-{index}-{measure.name}")


def before_and_after(base: Summary, changed: Summary, prefix: str) -> Iterator[Chart]:
    """The curves of both results on the same axes, for each group that both have."""
    before = {group.title: group for group in filter(was_measured, base.groups())}
    for index, group in enumerate(filter(was_measured, changed.groups())):
        old = before.get(group.title)
        for measure in _COMPARED:
            if old is not None and has(group, measure) and has(old, measure):
                yield _chart(group, old, measure, f"{prefix}-{index}-{measure.name}")


def further_curves(summary: Summary, prefix: str) -> Iterator[Chart]:
    """The other pictures of the ordinary cases: ratio to sync, knee, parts of the CPU."""
    for name, caption, make in further(summary):
        yield _wide(make, caption, f"{prefix}-{name}")


def of_view(view: View, summary: Summary, prefix: str) -> Iterator[Chart]:
    for name in view.pictures:
        make = partial(view.figure, name, summary)
        yield _wide(make, name.replace("-", " "), f"{prefix}-{name}")


def _wide(make: figures.MakeFigure, caption: str, prefix: str) -> Chart:
    return Chart(caption, svg.inline(partial(_whole, make, caption), prefix), wide=True)


def _whole(make: figures.MakeFigure, caption: str) -> svg.Picture:
    """A figure with the descriptions of its points."""
    figure = make()
    drawn = [
        (axes, line)
        for axes in figure.axes
        for line in axes.lines
        if isinstance(line, figures.DescribedLine)
    ]
    titles = (" ".join(axes.get_title(loc="left").split()) for axes in figure.axes)
    spots = tuple(
        svg.Spot(axes, x, y, str(number), text)
        for number, (axes, line) in enumerate(drawn)
        for x, y, text in line.descriptions()
    )
    shown = "; ".join(filter(None, titles))
    return svg.Picture(figure, spots, f"{caption}: {shown}; the tables beside it have its numbers")


def _chart(group: Group, old: Group | None, measure: Measure, prefix: str) -> Chart:
    if old is None:
        caption = title(group, measure)
    else:
        caption = f"{group.title}, {measure.label}: before and after"
    managers = ", ".join(name for name in group.managers if points(group, name, measure))
    alternative = (
        f"{caption}. {measure.label} against N, the number of concurrent clients, both"
        f" scales logarithmic, a curve for each of {managers}; the table has the numbers"
    )
    make = partial(_picture, group, old, measure, alternative)
    return Chart(caption, svg.inline(make, prefix))


def _picture(group: Group, old: Group | None, measure: Measure, alternative: str) -> svg.Picture:
    # On a telephone, text of a figure of this size has its intended size.
    figure = Figure(figsize=(4.9, 3.7), layout="constrained")
    axes = figure.subplots()
    tail = measure is Measure.LATENCY and old is None
    draw_panel(axes, group, measure, tail=tail)
    axes.set_ylabel(measure.label)
    entries = legend([group], measure, tail=tail)
    spots: list[svg.Spot] = []
    if old is not None:
        figures.clients_axis(axes, sorted({*old.clients, *group.clients}))
        for manager in old.managers:
            if before := points(old, manager, measure):
                own = style.look(manager)
                look = replace(_BEFORE_LOOK, color=own.color, marker=own.marker)
                figures.line(axes, before, look)
                axes.lines[-1].set_markerfacecolor("none")
        entries.append(figures.legend_entry("before", _BEFORE_LOOK))
        entries[-1].set_markerfacecolor("none")
        spots += _spots(axes, old, [measure], "before")
        axes.autoscale(axis="y")
        figures.give_room(axes)
    figure.legend(handles=entries, loc="outside upper left", ncols=3)
    measures = [measure, Measure.LATENCY_P99] if tail else [measure]
    spots += _spots(axes, group, measures, "" if old is None else "after")
    return svg.Picture(figure, tuple(spots), alternative)


def _spots(axes: Axes, group: Group, measures: Sequence[Measure], when: str) -> Iterator[svg.Spot]:
    """The spots of each curve that is drawn; ``when`` follows the case's name."""
    for manager in group.managers:
        # The floor has no line of the tail.
        for measure in measures[:1] if manager == FLOOR else measures:
            show = partial(units.formatted, measure.key)
            for row in group.rows:
                estimate = measure.of(row)
                if row.case.manager == manager and estimate is not None:
                    case = f"{row.case.name} {when}".rstrip()
                    text = f"{case}: {measure.noun} {figures.described(estimate, show)}"
                    line = f"{manager} {measure.noun} {when}"
                    yield svg.Spot(axes, row.case.clients, estimate.median, line, text)
