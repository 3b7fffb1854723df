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
from bench.results.summary import Group, Summary, measure_name
from bench.show.findings import Measure
from bench.show.pictures import figures
from bench.show.pictures.clients import clients_figure
from bench.show.pictures.cpu_parts import cpu_figure, has_cpu
from bench.show.pictures.knee import has_points, knee_figure
from bench.show.pictures.ratio import ratio_figure, ratios
from bench.show.view import Reading, View, Views


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


def _has(group: Group, measure: Measure) -> bool:
    # A case that only failed has a row without numbers: nothing to draw, but its note says so.
    return any(measure.of(row) is not None for row in group.rows)


def was_measured(group: Group) -> bool:
    """Whether it has a curve."""
    return _has(group, Measure.THROUGHPUT)


KINDS: Final = (
    Kind(
        "latency",
        "latency against N",
        was_measured,
        partial(clients_figure, measure=Measure.LATENCY, tail=True),
        by_default=True,
    ),
    Kind(
        "throughput",
        "throughput against N",
        was_measured,
        partial(clients_figure, measure=Measure.THROUGHPUT),
        by_default=True,
    ),
    Kind(
        "ratio",
        "throughput to that of sync, and from which N on it is ahead",
        lambda group: bool(ratios(group)),
        ratio_figure,
    ),
    Kind("knee", "time per redo over throughput, N at the points", has_points, knee_figure),
    Kind("cpu-parts", "CPU per redo by process and mode, each a median", has_cpu, cpu_figure),
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
        pictures = _Pictures.of(reading)
        chosen |= (
            pictures.chosen(only_named, fields) if only_named or fields else pictures.by_default()
        )
    return figures.write_all([*chosen.items(), *others], stem, formats, force=force)


def further(summary: Summary) -> Iterator[tuple[str, str, figures.MakeFigure]]:
    """The ordinary pictures that `draw` makes only if they were chosen: name, caption and how to
    make each."""
    kinds = [kind for kind in KINDS if not kind.by_default]
    for kind, extra, panels in _ordinary(kinds, summary.groups()):
        beside = "".join(f", {key}={value}" for key, value in extra)
        make = partial(kind.figure, panels, summary)
        yield f"{kind.name}{_suffix(extra)}", f"{kind.caption}{beside}", make


def check_free(views: Views, cases: Iterable[Case], stem: Path) -> None:
    """Raises PictureError if a picture that a result of these cases will get is there already."""
    all_cases = tuple(cases)
    shown_by_views = views.covered(all_cases)
    ordinary = [case for case in all_cases if case not in shown_by_views]
    suffixes = {_suffix(tuple(case.extra.items())) for case in ordinary}
    names = [
        f"{kind.name}{suffix}" for suffix in sorted(suffixes) for kind in KINDS if kind.by_default
    ]
    names += [name for view in views.of(all_cases) for name in view.pictures]
    figures.check_free(
        figures.place(stem, name, extension) for name in names for extension in figures.FORMATS
    )


_Named = Iterator[tuple[str, figures.MakeFigure]]
"""The name of each figure, and how to make it."""


@dataclass(frozen=True, slots=True)
class _Pictures:
    """What can be drawn of a result. ``groups``: those of the ordinary cases."""

    summary: Summary
    groups: tuple[Group, ...]
    views: tuple[View, ...]

    @classmethod
    def of(cls, reading: Reading) -> _Pictures:
        """Raises PictureError if there is nothing to draw."""
        pictures = cls(reading.summary, reading.ordinary.groups(), reading.views)
        if not pictures.names():
            raise PictureError(
                f"{reading.summary.source}: no case has a result to draw: run it again"
            )
        return pictures

    def names(self) -> tuple[str, ...]:
        """The pictures that the result has, without the suffixes of further dimensions."""
        of_views = (name for view in self.views for name in view.pictures)
        return (*(kind.name for kind in KINDS if any(map(kind.shows, self.groups))), *of_views)

    def by_default(self) -> _Named:
        """What is drawn if no picture was chosen."""
        yield from self._of_kinds([kind for kind in KINDS if kind.by_default], self.groups)
        yield from self._of_views(self.names())

    def chosen(self, only: Sequence[str], measures: Sequence[str]) -> _Named:
        """Raises PictureError for what the result does not have."""
        for name in only:
            if name not in self.names():
                raise PictureError(
                    f"{self.summary.source} has no picture {name!r}: it has"
                    f" {', '.join(self.names())} (and tails, if it has the samples)"
                )
        yield from self._of_kinds([kind for kind in KINDS if kind.name in only], self.groups)
        yield from self._of_views(only)
        for measure in map(Measure.of_field, measures):
            kind = Kind(
                measure_name(measure.field),
                f"{measure_name(measure.field)} against N",
                partial(_has, measure=measure),
                partial(clients_figure, measure=measure),
            )
            groups = self.summary.groups()  # a measure may be drawn of any case
            if not any(map(kind.shows, groups)):
                raise PictureError(f"{self.summary.source} has no {kind.name} of any case")
            yield from self._of_kinds([kind], groups)

    def _of_kinds(self, kinds: Sequence[Kind], groups: Sequence[Group]) -> _Named:
        for kind, extra, panels in _ordinary(kinds, groups):
            yield f"{kind.name}{_suffix(extra)}", partial(kind.figure, panels, self.summary)

    def _of_views(self, names: Sequence[str]) -> _Named:
        for view in self.views:
            for name in view.pictures:
                if name in names:
                    yield name, partial(view.figure, name, self.summary)


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


def _suffix(extra: Iterable[tuple[str, object]]) -> str:
    return "".join(f"-{key}-{value}" for key, value in extra)
