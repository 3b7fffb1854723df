"""What figures are drawn with, and how they are written to files, whatever they show.

An axis of N, lines and bands with descriptions of their points, entries of a legend. How panels
are laid out is in `sheet`, how lines look in `style`. Nothing is shown on a screen or shared: a
figure is made, written and forgotten.
"""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from PIL import Image

from bench.errors import PictureError
from bench.results.suite_file import write_atomically
from bench.results.summary import CaseRow, Estimate
from bench.show.pictures import style
from bench.statistics.bounded import HasBounds

FORMATS: Final = ("svg", "png")

MakeFigure = Callable[[], Figure]

Points = Sequence[tuple[float, Estimate]]
"""Places on the x axis, and the estimates there."""

Ratios = Iterable[tuple[float, HasBounds[float]]]
"""Likewise ratios and their 95 % intervals, which one round does not show."""

Value = TypeVar("Value")


def check_free(paths: Iterable[Path]) -> None:
    """Raises PictureError for a file that is there already."""
    for path in paths:
        if path.exists():
            raise PictureError(f"{path}: is there already: use --force, or another name")


def write_all(
    pictures: Iterable[tuple[str, MakeFigure]],
    stem: Path,
    formats: Sequence[str],
    *,
    force: bool = False,
) -> list[Path]:
    """Writes each picture, by name, in each format, at its `place`; returns the files.

    Raises PictureError for an unknown format, and before anything is written if a file is there
    already, unless ``force`` is given.
    """
    for extension in formats:
        if extension not in FORMATS:
            raise PictureError(f"picture format {extension!r}: choose from {', '.join(FORMATS)}")
    plan = [
        (place(stem, name, extension), make) for name, make in pictures for extension in formats
    ]
    taken = Counter(path for path, _ in plan)
    if twice := [str(path) for path, count in taken.items() if count > 1]:
        raise PictureError(f"two pictures would be {twice[0]}: choose with --only")
    return write_plan(plan, force=force)


def write_plan(plan: Sequence[tuple[Path, MakeFigure]], *, force: bool) -> list[Path]:
    """Writes each figure to its file; returns the files. Raises PictureError as `write_all`."""
    paths = [path for path, _ in plan]
    if not force:
        check_free(paths)
    for path, make in plan:
        write(path, make)
    return paths


def place(stem: Path, name: str, extension: str) -> Path:
    """``FOLDER/NAME.svg`` where the stem is a folder that exists, else ``STEM-NAME.svg``.
    Characters that a file system may not allow are replaced: ``load-open:80%`` becomes
    ``load-open-80pct``."""
    file = re.sub(r"[^\w.,+=-]+", "-", f"{name}.{extension}".replace("%", "pct"))
    return stem / file if stem.is_dir() else stem.with_name(f"{stem.name}-{file}")


def suffix(extra: Iterable[tuple[str, object]]) -> str:
    """How the name of a picture ends whose cases have these further dimensions."""
    return "".join(f"-{key}-{value}" for key, value in extra)


def write(path: Path, make: MakeFigure) -> None:
    """Makes a figure in the project's style and writes it in the format that the name ends in.

    The same figure gives the same SVG, byte for byte. Raises ResultFileError.
    """
    write_atomically(path, [_render(make, path.suffix.removeprefix("."))])


def own_style(rc: Mapping[Any, Any] = style.RC) -> AbstractContextManager[None]:
    """Within it figures are made and written in the project's style, over matplotlib's defaults:
    a matplotlibrc of the user's changes nothing."""
    settings: dict[Any, Any] = {**mpl.rcParamsDefault, **rc}
    del settings["backend"]
    return mpl.rc_context(settings)


def _render(make: MakeFigure, extension: str) -> bytes:
    with own_style():
        file = io.BytesIO()
        # Neither date nor version of the library: the same result gives the same bytes.
        metadata: dict[str, Any] = {"Date": None} if extension == "svg" else {"Software": None}
        make().savefig(file, format=extension, dpi=style.DPI, metadata=metadata)
    return _with_palette(file) if extension == "png" else file.getvalue()


def _with_palette(png: io.BytesIO) -> bytes:
    small = io.BytesIO()
    with Image.open(png) as image:
        flat = image.convert("RGB").quantize(style.PNG_COLORS, dither=Image.Dither.NONE)
        flat.save(small, format="PNG", optimize=True, dpi=(style.DPI, style.DPI))
    return small.getvalue()


def is_range(clients: Iterable[int]) -> bool:
    """Whether there is a range of N to draw something against: at a single N a curve, a crossover
    or a knee says nothing."""
    return len(set(clients)) > 1


def clients_axis(panel: Axes, clients: Sequence[int]) -> None:
    """N as the x axis, logarithmic, with a tick for each of them (ascending)."""
    panel.set_xscale("log", base=2)
    # Half a step of room on both sides, which also gives a single N a width.
    panel.set_xlim(clients[0] / math.sqrt(2), clients[-1] * math.sqrt(2))
    panel.xaxis.set_major_locator(FixedLocator(list(clients)))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    panel.set_xlabel("N, concurrent clients")


def log_axis(panel: Axes, show: Callable[[float, int | None], str]) -> None:
    """A logarithmic y axis whose ticks are 1, 2 and 5 of each decade."""
    panel.set_yscale("log")
    log_ticks(panel.yaxis, show)


def log_ticks(
    axis: Axis, show: Callable[[float, int | None], str], subs: Sequence[float] = (1.0, 2.0, 5.0)
) -> None:
    """Ticks of a logarithmic axis, at these multiples of each power of 10."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(show))


def give_room(panel: Axes) -> None:
    """A logarithmic y axis spans at least LEAST_Y_SPAN."""
    panel.set_ylim(*roomy(*panel.get_ylim()))


def roomy(low: float, high: float, least: float = 1.0) -> tuple[float, float]:
    """The bounds of a logarithmic axis with room on both sides, by the factor ``least`` and so that
    it spans at least LEAST_Y_SPAN."""
    room = max(least, math.sqrt(style.LEAST_Y_SPAN / (high / low)))
    return low / room, high * room


class DescribedLine(Line2D):
    """A line that has a text for each of its points, for pages that show it beside the point."""

    def __init__(
        self,
        xs: Sequence[float],
        ys: Sequence[float],
        texts: Callable[[Axes], Iterable[str]],
        **properties: Any,
    ) -> None:
        """``texts`` gives a text for each point, or none at all, once the axes are complete."""
        super().__init__(list(xs), list(ys), **properties)
        self._places = tuple(zip(map(float, xs), map(float, ys), strict=True))
        self._texts = texts

    def descriptions(self) -> Iterator[tuple[float, float, str]]:
        """x, y and text of each point. A text begins with the head of the panel's title."""
        if isinstance(self.axes, Axes):
            head = " ".join(self.axes.get_title(loc="left").split()).partition(":")[0]
            for (x, y), text in zip(self._places, self._texts(self.axes), strict=False):
                yield x, y, f"{head}; {text}"


Show = Callable[[float], str]


def _bounds(found: HasBounds[float], show: Show, what: str) -> str:
    """As `` (23.1us to 25us between runs, 7 rounds)``; empty where they are not known."""
    if found.low is None or found.high is None:
        return ""
    return f" ({show(_three_digits(found.low))} to {show(_three_digits(found.high))} {what})"


def _spread(estimate: Estimate, show: Show) -> str:
    count = len(estimate.by_round)
    if count < 2:
        return " (1 round, no spread)"
    return _bounds(estimate, show, f"between runs, {count} rounds")


def _three_digits(value: float) -> float:
    """More are noise, and a tick's text would have them."""
    return float(f"{value:.3g}")


def described(estimate: Estimate, show: Show) -> str:
    """As ``24.7 us (23.1 us to 25.0 us between runs, 4 rounds)``."""
    return f"{show(estimate.median)}{_spread(estimate, show)}"


def describe(panel: Axes, marks: Sequence[tuple[float, float, str]]) -> None:
    """Adds descriptions, x, y and text, of what is no curve but, say, a bar."""
    xs, ys = [x for x, _, _ in marks], [y for _, y, _ in marks]
    texts = [text for _, _, text in marks]
    panel.add_line(DescribedLine(xs, ys, lambda _: texts, linestyle="", marker=""))


def points(
    rows: Iterable[CaseRow], measure_of: Callable[[CaseRow], Value | None]
) -> list[tuple[int, Value]]:
    """N and the measure of each row that has it."""
    return [(row.case.clients, value) for row in rows if (value := measure_of(row)) is not None]


def percentiles(
    panel: Axes, median: Points, tail: Points, look: style.Look, name: str = ""
) -> None:
    """The line of a p50 with the spread between runs, and the dotted one of its p99 with hollow
    markers; ``name`` begins the names of both."""
    line(panel, median, look, name and f"{name} p50")
    band(panel, median, look.color)
    line(panel, tail, look.tail, name and f"{name} p99")


def line(
    panel: Axes, points: Points, look: style.Look, name: str = "", at: Sequence[str] = ()
) -> None:
    """The medians; ``name`` and ``at`` as in `curve`."""
    medians = [estimate.median for _, estimate in points]
    around = [partial(_spread, estimate) for _, estimate in points]
    curve(panel, [x for x, _ in points], medians, look, name, at=at, around=around)


def curve(
    panel: Axes,
    xs: Sequence[float],
    ys: Sequence[float],
    look: style.Look,
    name: str = "",
    *,
    at: Sequence[str] = (),
    around: Sequence[Callable[[Show], str]] = (),
) -> None:
    """A line of medians or ratios. Its axes say what is measured, and where.

    ``name``: what the line is; without it its points have no descriptions. ``at``: what each point
    is, if its x does not say so. ``around``: what follows each value, in the format of the y axis.
    """

    def texts(axes: Axes) -> Iterator[str]:
        """As ``async p50, N = 8: latency of a redo 24.7us (23.1us to 25us between runs, 7
        rounds)``."""
        show_x, show_y = axes.xaxis.get_major_formatter(), axes.yaxis.get_major_formatter()
        x_name = axes.get_xlabel().partition(",")[0]
        for index, (x, y) in enumerate(zip(xs, ys, strict=True)) if name else ():
            place = at[index] if at else f"{x_name} = {show_x(x)}"
            value = " ".join(filter(None, (axes.get_ylabel(), show_y(_three_digits(y)))))
            yield f"{name}, {place}: {value}{around[index](show_y) if around else ''}"

    if len(xs) == 1 and not look.marker:  # a line needs two
        look = look.lone_point
    panel.add_line(DescribedLine(xs, ys, texts, **_properties(look)))
    panel.autoscale_view()


def band(panel: Axes, points: Points, color: str) -> None:
    """The spread between runs."""
    low, high = [value.low for _, value in points], [value.high for _, value in points]
    area(panel, [x for x, _ in points], low, high, color)


def ratios(panel: Axes, points: Ratios, look: style.Look, name: str) -> None:
    """A line through ratios; the descriptions of its points have their intervals."""
    found = list(points)
    around = [partial(_bounds, ratio, what="95 % CI") for _, ratio in found]
    xs, ys = [x for x, _ in found], [ratio.value for _, ratio in found]
    curve(panel, xs, ys, look, name, around=around)


def intervals(panel: Axes, points: Ratios, color: str) -> None:
    """The area of the intervals of ratios, where they are known."""
    known = [(x, ratio.low, ratio.high) for x, ratio in points if ratio.low and ratio.high]
    if known:
        xs, low, high = zip(*known, strict=True)
        area(panel, xs, low, high, color)


def area(
    panel: Axes, xs: Sequence[float], low: Sequence[float], high: Sequence[float], color: str
) -> None:
    if len(xs) == 1:  # an area needs two
        panel.vlines(xs, low, high, color=color, alpha=style.BAND_ALPHA, lw=style.BAND_WIDTH)
    else:
        panel.fill_between(xs, low, high, color=color, alpha=style.BAND_ALPHA, linewidth=0)


def legend_entry(label: str, look: style.Look) -> Line2D:
    return Line2D([], [], label=label, **_properties(look))


def band_entry(label: str = "spread between runs") -> Line2D:
    return legend_entry(label, style.Look(style.BAND, "-", style.BAND_WIDTH, "", 0.0))


def percentile_entries() -> list[Line2D]:
    """Entries of the legend for the lines of p50 and p99, whatever their colour."""
    look = style.PLAIN_POINTS
    return [legend_entry("p50", look), legend_entry("p99", look.tail)]


def _properties(look: style.Look) -> dict[str, Any]:
    return {
        "color": look.color,
        "linestyle": look.linestyle,
        "linewidth": look.width,
        "marker": look.marker,
        "markersize": look.marker_size,
        "markerfacecolor": "none" if look.is_hollow else look.color,
    }
