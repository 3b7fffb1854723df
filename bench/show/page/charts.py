"""The pictures of a report: curves panel by panel, before and after, and those of the experiments.

Each panel is an element of its own, which fits a narrow screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.results.histogram import Distributions
from bench.results.summary import CaseRow, Estimate, Group, Summary
from bench.show import units
from bench.show.findings import Measure, title
from bench.show.page import svg
from bench.show.pictures import cdf, figures, style
from bench.show.pictures.bars import bars, clients_of, measures_of
from bench.show.pictures.choice import further, has, was_measured
from bench.show.pictures.clients import draw_panel, has_curves, legend, points
from bench.show.view import View

_COMPARED: Final = (Measure.LATENCY, Measure.LATENCY_P99, Measure.THROUGHPUT)
"""With both results in a panel there is no room for tails, so p99 has its own."""

_BEFORE_LOOK: Final = style.Look(style.FAINT, (0, (4, 2)), 1.1, "o", 5.0, is_hollow=True)
"""Thin, dashed and with hollow markers: colour is not the only difference."""


@dataclass(frozen=True, slots=True)
class Chart:
    """``panels`` and the entries of their legend, ``key``, are elements."""

    caption: str
    panels: tuple[str, ...]
    key: tuple[str, ...]


def measured(summary: Summary) -> list[Group]:
    """The groups that have a picture."""
    return list(filter(was_measured, summary.groups()))


def are_curves(groups: Iterable[Group]) -> bool:
    """Whether anything of these groups is drawn against N."""
    return any(has_curves(group, Measure.THROUGHPUT) for group in groups)


def curves(groups: Iterable[Group], summary: Summary, prefix: str) -> Iterator[Chart]:
    """Throughput, and latency if that is known, of each of these groups of the summary."""
    looks = style.looks(summary.managers)
    for index, group in enumerate(groups):
        for measure in (Measure.THROUGHPUT, Measure.LATENCY):
            if has(group, measure):
                yield _chart(group, None, looks, measure, f"{prefix}-{index}-{measure.name}")


def before_and_after(base: Summary, changed: Summary, prefix: str) -> Iterator[Chart]:
    """The curves of both results on the same axes, for each group that both have. At a single N
    the table of changes says all."""
    looks = style.looks((*base.managers, *changed.managers))
    before = {group.title: group for group in measured(base)}
    for index, group in enumerate(measured(changed)):
        old = before.get(group.title)
        for measure in _COMPARED:
            if old is not None and has_curves(group, measure) and has_curves(old, measure):
                yield _chart(group, old, looks, measure, f"{prefix}-{index}-{measure.name}")


def further_curves(summary: Summary, prefix: str) -> Iterator[Chart]:
    """The other pictures of the ordinary cases: ratio to sync, knee, parts of the CPU."""
    for name, caption, make in further(summary):
        yield _whole(make, caption, f"{prefix}-{name}")


def of_distributions(
    summary: Summary, distributions: Distributions, prefix: str
) -> Iterator[Chart]:
    """The cumulative distributions of the ordinary cases at the smallest N, one between and the
    greatest; nothing where none is known. `plot --only cdf` draws them all."""
    for number, group in enumerate(summary.groups()):
        if clients := cdf.clients_of(group, distributions):
            few = sorted({clients[0], clients[len(clients) // 2], clients[-1]})
            make = partial(cdf.cdf_figure, group, few, distributions, summary)
            caption = f"{group.title}: which share of redos took no longer"
            yield _whole(make, caption, f"{prefix}-cdf-{number}")


def of_view(view: View, summary: Summary, prefix: str) -> Iterator[Chart]:
    for name in view.pictures:
        make = partial(view.figure, name, summary)
        yield _whole(make, name.replace("-", " "), f"{prefix}-{name}")


def _whole(make: figures.MakeFigure, caption: str, prefix: str) -> Chart:
    parts = svg.parts(partial(_described, make, caption), prefix)
    return Chart(caption, parts.panels, parts.key)


def _described(make: figures.MakeFigure, caption: str) -> svg.Picture:
    """A figure with the descriptions of its points."""
    figure = make()
    shown = [axes for axes in figure.axes if axes.axison]
    drawn = [
        (axes, line)
        for axes in shown
        for line in axes.lines
        if isinstance(line, figures.DescribedLine)
    ]
    spots = tuple(
        svg.Spot(axes, x, y, str(number), text)
        for number, (axes, line) in enumerate(drawn)
        for x, y, text in line.descriptions()
    )
    alternatives = {
        axes: f"{caption}: {' '.join(axes.get_title(loc='left').split())}; the tables"
        " have its numbers"
        for axes in shown
    }
    return svg.Picture(figure, spots, alternatives)


def _chart(
    group: Group,
    old: Group | None,
    looks: Mapping[str, style.Look],
    measure: Measure,
    prefix: str,
) -> Chart:
    if old is None:
        caption = title(group, measure)
    else:
        caption = f"{group.title}, {measure.label}: before and after"
    managers = ", ".join(name for name in group.managers if points(group, name, measure))
    how = "against N, the number of concurrent clients, both scales logarithmic, a curve"
    if not has_curves(group, measure):
        how = f"at N = {clients_of(group, measure)}, a bar"
    alternative = (
        f"{caption}. {measure.label} {how} for each of {managers}; the table has the numbers"
    )
    parts = svg.parts(partial(_picture, group, old, looks, measure, alternative), prefix)
    return Chart(caption, parts.panels, parts.key)


def _picture(
    group: Group,
    old: Group | None,
    looks: Mapping[str, style.Look],
    measure: Measure,
    alternative: str,
) -> svg.Picture:
    figure = Figure()
    axes = figure.subplots()
    tail = measure is Measure.LATENCY and old is None
    draw_panel(axes, group, looks, measure, tail=tail)
    is_curves = has_curves(group, measure)
    if is_curves:
        axes.set_ylabel(measure.label)
    entries = legend([group], looks, measure, tail=tail)
    spots: list[svg.Spot] = []
    if old is not None:
        figures.clients_axis(axes, sorted({*old.clients, *group.clients}))
        for manager in old.managers:
            if before := points(old, manager, measure):
                own = looks[manager]
                look = replace(_BEFORE_LOOK, color=own.color, marker=own.marker)
                figures.line(axes, before, look)
        entries.append(figures.legend_entry("before", _BEFORE_LOOK))
        spots += _spots(axes, old, measure, "before", tail=False)
        axes.autoscale(axis="y")
        figures.give_room(axes)
    figure.legend(handles=entries)
    if is_curves:
        spots += _spots(axes, group, measure, "" if old is None else "after", tail=tail)
    else:
        spots += _bar_spots(axes, group, measure, tail=tail)
    return svg.Picture(figure, tuple(spots), {axes: alternative})


def _spots(
    axes: Axes, group: Group, measure: Measure, when: str, *, tail: bool
) -> Iterator[svg.Spot]:
    """The spots of each curve that is drawn; ``when`` follows the case's name."""
    for manager in group.managers:
        for one in measures_of(manager, measure, tail=tail):
            for row in group.rows:
                estimate = one.of(row)
                if row.case.manager == manager and estimate is not None:
                    text = _told(row, one, estimate, when)
                    line = f"{manager} {one.noun} {when}"
                    yield svg.Spot(axes, row.case.clients, estimate.median, line, text)


def _bar_spots(axes: Axes, group: Group, measure: Measure, *, tail: bool) -> Iterator[svg.Spot]:
    """At the end of each bar; those of a manager belong together."""
    for bar in bars(group, measure, tail=tail):
        text = _told(bar.row, bar.measure, bar.estimate)
        yield svg.Spot(axes, bar.estimate.median, bar.place, bar.row.case.manager, text)


def _told(row: CaseRow, measure: Measure, estimate: Estimate, when: str = "") -> str:
    """As ``async/short/n=8 after: p50 24.7 us (23.1 us to 25.0 us between runs, 4 rounds)``."""
    case = f"{row.case.name} {when}".rstrip()
    show = partial(units.formatted, measure.key)
    return f"{case}: {measure.noun} {figures.described(estimate, show)}"
