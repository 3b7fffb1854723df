"""The curves: latency and throughput by number of clients, one panel per workload.

Everything drawn is in the rows of ``stats``, everything said in a title is computed in
``findings``; how things look is in ``plot_style``, how they are drawn and written in ``figures``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench import figures
from bench import plot_style as style
from bench.cases import Case
from bench.errors import PictureError
from bench.findings import FLOOR, Measure, title
from bench.stats import Estimate, Group, Summary
from bench.views import covered, views_of

_FIGURE_NAMES = {Measure.LATENCY: "latency", Measure.THROUGHPUT: "throughput"}


@dataclass(frozen=True, slots=True)
class _Picture:
    """One figure to draw: a measure, and the groups that are its panels."""

    measure: Measure
    groups: tuple[Group, ...]
    suffix: str


def draw(
    summary: Summary,
    stem: Path,
    formats: Sequence[str] = figures.FORMATS,
    *,
    force: bool = False,
) -> list[Path]:
    """Draw every figure of a result and return the files, in the order they were written.

    ``stem`` is a folder that exists, for ``FOLDER/latency.svg``, or the start of the names, for
    ``STEM-latency.svg``. A further dimension that differs from its default (child=python) has
    figures of its own, ``...-latency-child-python.svg``. Raises PictureError for a format that is
    not one of those, when there is nothing to draw, and, before anything is drawn, when a file is
    there already and ``force`` is not given. The same result gives the same SVG, byte for byte.
    """
    pictures = list(_pictures(summary))
    if not pictures:
        raise PictureError(f"{summary.source}: no case has a result to draw: run it again")
    return figures.write_all(pictures, stem, formats, force=force)


def check_free(cases: Iterable[Case], stem: Path) -> None:
    """Raises PictureError if a picture that a result of these cases would get is there already."""
    all_cases = tuple(cases)
    shown_by_views = covered(all_cases)
    ordinary = [case for case in all_cases if case not in shown_by_views]
    suffixes = {_suffix(tuple(case.extra.items())) for case in ordinary}
    names = [f"{name}{suffix}" for suffix in sorted(suffixes) for name in _FIGURE_NAMES.values()]
    names += [name for view in views_of(all_cases) for name in view.pictures]
    figures.check_free(figures.place(stem, name, one) for name in names for one in figures.FORMATS)


def _suffix(extra: Iterable[tuple[str, object]]) -> str:
    return "".join(f"-{key}-{value}" for key, value in extra)


def _pictures(summary: Summary) -> Iterator[tuple[str, figures.MakeFigure]]:
    """The name of each figure, and how to make it."""
    cases = [row.case for row in summary.rows]
    for picture in _ordinary(summary.without(covered(cases))):
        name = f"{_FIGURE_NAMES[picture.measure]}{picture.suffix}"
        yield name, partial(_figure, picture, summary)
    for view in views_of(cases):
        for name in view.pictures:
            yield name, partial(view.figure, name, summary)


def _ordinary(summary: Summary) -> Iterable[_Picture]:
    groups = drawable(summary)
    for extra in dict.fromkeys(group.extra for group in groups):
        panels = tuple(group for group in groups if group.extra == extra)
        suffix = _suffix(extra)
        for measure in (Measure.LATENCY, Measure.THROUGHPUT):
            yield _Picture(measure, panels, suffix)


def drawable(summary: Summary) -> list[Group]:
    """The groups with a curve. A case that only failed has a row without numbers: nothing to draw,
    but its note says so."""
    return [
        group
        for group in summary.groups()
        if any(row.throughput_per_s is not None for row in group.rows)
    ]


def _figure(picture: _Picture, summary: Summary) -> Figure:
    figure, panels, columns = figures.panels(len(picture.groups))
    for panel, group in zip(panels, picture.groups, strict=True):
        draw_panel(panel, group, picture.measure)
        figures.title(panel, title(group, picture.measure), columns)
    for index in range(0, len(picture.groups), columns):
        panels[index].set_ylabel(style.Y_LABELS[picture.measure])
    entries = legend(picture.groups, picture.measure)
    figures.frame(figure, entries, figures.footer(summary))
    return figure


def draw_panel(panel: Axes, group: Group, measure: Measure) -> None:
    """The curves of all managers, with their axes; neither a title nor a label of the y axis."""
    figures.clients_axis(panel, group.clients)
    figures.log_axis(panel, style.Y_FORMATS[measure])
    for manager in reversed(group.managers):  # so that the first one lies on top
        _curve(panel, group, manager, measure)
    figures.give_room(panel)


def _curve(panel: Axes, group: Group, manager: str, measure: Measure) -> None:
    main = points(group, manager, measure)
    look = style.look(manager)
    figures.line(panel, main, look)
    if manager == FLOOR:
        return  # a yardstick: one thin line is enough
    figures.band(panel, main, look.color)
    if measure is Measure.LATENCY:
        rows = [row for row in group.rows if row.case.manager == manager]
        tail = [(row.case.clients, one) for row in rows if (one := row.latency_p99_s) is not None]
        figures.line(panel, tail, replace(look, **style.TAIL))


def points(group: Group, manager: str, measure: Measure) -> list[tuple[int, Estimate]]:
    """By number of clients, what is known of the manager; empty where nothing is."""
    rows = [row for row in group.rows if row.case.manager == manager]
    return [(row.case.clients, one) for row in rows if (one := measure.of(row)) is not None]


def legend(groups: Iterable[Group], measure: Measure) -> list[Line2D]:
    """An entry for each line of panels of these groups, and for the band."""
    # Whoever has no line (of a peer no latency is known) needs no entry.
    managers = dict.fromkeys(
        name for group in groups for name in group.managers if points(group, name, measure)
    )
    entries = [figures.legend_entry(manager, style.look(manager)) for manager in managers]
    if measure is Measure.LATENCY:
        plain = style.Look(style.FAINT, "-", style.LINE_WIDTH, "", 0.0)
        entries.append(figures.legend_entry("p50", plain))
        entries.append(figures.legend_entry("p99", replace(plain, **style.TAIL)))
    return [*entries, figures.band_entry()]
