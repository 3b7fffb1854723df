"""Which pictures a result has, and the choice among them.

An ordinary picture shows all groups that have what it draws, in one file per value of the further
dimensions. Experiments draw their own, in their views. How an ordinary picture is drawn is in a
module of its own (`clients`, `ratio`, ...).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from bench.cases.case import Case
from bench.errors import PictureError
from bench.results.row import Measure
from bench.results.summary import Group, Summary
from bench.show.pictures import figures
from bench.show.pictures.clients import clients_figure
from bench.show.pictures.cpu_parts import cpu_figure, has_cpu
from bench.show.pictures.knee import has_knee_curves, knee_figure
from bench.show.pictures.ratio import has_ratio_curves, ratio_figure
from bench.show.view import Reading, Views


@dataclass(frozen=True, slots=True)
class Kind:
    """An ordinary picture: which groups it can show, and how it is drawn.

    ``caption``: what it shows. ``by_default``: whether it is drawn if no picture was chosen.
    """

    name: str
    caption: str
    shows: Callable[[Group], bool]
    figure: Callable[[Sequence[Group], Summary], Figure]
    by_default: bool = False


def has(group: Group, measure: Measure) -> bool:
    """Whether the measure has a picture: curves, or bars at a single N."""
    # A case that only failed has a row without numbers: nothing to draw, but its note says so.
    return any(measure.of(row) is not None for row in group.rows)


was_measured = partial(has, measure=Measure.THROUGHPUT)
_latency = partial(clients_figure, measure=Measure.LATENCY, tail=True)
_throughput = partial(clients_figure, measure=Measure.THROUGHPUT)
_RATIO: Final = "throughput relative to sync, and from which N on it is faster"

KINDS: Final = (
    Kind("latency", "latency against N", was_measured, _latency, by_default=True),
    Kind("throughput", "throughput against N", was_measured, _throughput, by_default=True),
    Kind("ratio", _RATIO, has_ratio_curves, ratio_figure),
    Kind("knee", "time per redo over throughput, N at the points", has_knee_curves, knee_figure),
    Kind("cpu-parts", "CPU per redo by process and mode", has_cpu, cpu_figure),
)
"""In the order in which they are drawn."""


def names(views: Views) -> tuple[str, ...]:
    """Every picture that a result can have, but for those of single measures."""
    return (*(kind.name for kind in KINDS), *views.pictures)


def draw(
    reading: Reading,
    stem: Path,
    formats: Sequence[str] = figures.FORMATS,
    *,
    only: Iterable[str] = (),
    measures: Iterable[str] = (),
    more: Iterable[tuple[str, figures.MakeFigure]] = (),
    force: bool = False,
) -> list[Path]:
    """Draws figures of a result and returns the files, in the order they were written.

    ``only`` names pictures, ``measures`` (fields of a row) are drawn against N, ``more`` are drawn
    as well; without any of them, latency, throughput and the pictures of the experiments. ``stem``
    is a folder that exists, for ``FOLDER/latency.svg``, or the start of the names, for
    ``STEM-latency.svg``. A further dimension that differs from its default (child=python) has
    figures of its own, ``...-latency-child-python.svg``. The same result gives the same SVG, byte
    for byte.

    Raises PictureError for an unknown format, for a picture or measure that the result does not
    have, if there is nothing to draw, and before anything is drawn if a file is there already,
    unless ``force`` is given.
    """
    only_named, fields, others = tuple(only), tuple(measures), tuple(more)
    # A picture that was named as a measure as well is one picture.
    chosen: dict[str, figures.MakeFigure] = {}
    if only_named or fields or not others:
        chosen = dict(_chosen(reading, only_named, fields))
    return figures.write_all([*chosen.items(), *others], stem, formats, force=force)


def _chosen(
    reading: Reading, only: Sequence[str], measures: Sequence[str]
) -> Iterator[tuple[str, figures.MakeFigure]]:
    """The name of each figure, and how to make it. Raises PictureError for what the result does not
    have."""
    summary, groups = reading.summary, reading.ordinary.groups()
    kinds = [kind for kind in KINDS if any(map(kind.shows, groups))]
    known = [*(kind.name for kind in kinds), *(name for v in reading.views for name in v.pictures)]
    if not known:
        raise PictureError(f"{summary.source}: no case has a result to draw: run it again")
    for name in only:
        if name not in known:
            raise PictureError(
                f"{summary.source} has no picture {name!r}: it has {', '.join(known)}"
                " (and tails and cdf, if it has the samples)"
            )
    if not only and not measures:
        kinds = [kind for kind in kinds if kind.by_default]
        only = known
    for kind, extra, panels in _ordinary([kind for kind in kinds if kind.name in only], groups):
        yield f"{kind.name}{figures.suffix(extra)}", partial(kind.figure, panels, summary)
    for view in reading.views:
        for name in view.pictures:
            if name in only:
                yield name, partial(view.figure, name, summary)
    for measure in map(Measure.of_field, measures):
        draw = partial(clients_figure, measure=measure)
        kind = Kind(measure.name, f"{measure.name} against N", partial(has, measure=measure), draw)
        # A measure may be drawn of any case.
        pictures = list(_ordinary([kind], summary.groups()))
        if not pictures:
            raise PictureError(f"{summary.source} has no {kind.name} of any case")
        for _, extra, panels in pictures:
            yield f"{kind.name}{figures.suffix(extra)}", partial(draw, panels, summary)


def further(summary: Summary) -> Iterator[tuple[str, str, figures.MakeFigure]]:
    """The ordinary pictures that `draw` makes only if they were chosen: name, caption and how to
    make each."""
    kinds = [kind for kind in KINDS if not kind.by_default]
    for kind, extra, panels in _ordinary(kinds, summary.groups()):
        beside = "".join(f", {key}={value}" for key, value in extra)
        make = partial(kind.figure, panels, summary)
        yield f"{kind.name}{figures.suffix(extra)}", f"{kind.caption}{beside}", make


def check_free(views: Views, cases: Iterable[Case], stem: Path) -> None:
    """Raises PictureError if a picture that a result of these cases will get is there already."""
    all_cases = frozenset(cases)
    suffixes = {figures.suffix(case.extra.items()) for case in all_cases - views.covered(all_cases)}
    names = [
        f"{kind.name}{suffix}" for suffix in sorted(suffixes) for kind in KINDS if kind.by_default
    ]
    names += [name for view in views.of(all_cases) for name in view.pictures]
    figures.check_free(
        figures.place(stem, name, extension) for name in names for extension in figures.FORMATS
    )


def _ordinary(
    kinds: Sequence[Kind], groups: Sequence[Group]
) -> Iterator[tuple[Kind, tuple[tuple[str, str | int], ...], list[Group]]]:
    """Each picture of these kinds with its further dimensions and its groups: by dimensions, then
    by kind."""
    for extra in dict.fromkeys(group.extra for group in groups):
        for kind in kinds:
            panels = [group for group in groups if group.extra == extra and kind.shows(group)]
            if panels:
                yield kind, extra, panels
