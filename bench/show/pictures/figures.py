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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

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

FORMATS: Final = ("svg", "png")

MakeFigure = Callable[[], Figure]

Points = Sequence[tuple[float, Estimate]]
"""Places on the x axis, and the estimates there."""

Value = TypeVar("Value")


class Ratio(Protocol):
    """A ratio and its 95 % interval; of one round, which shows none, the bounds are None."""

    @property
    def ratio(self) -> float: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


def check_formats(formats: Iterable[str]) -> None:
    """Raises PictureError for a format that is not in FORMATS."""
    for extension in formats:
        if extension not in FORMATS:
            raise PictureError(f"picture format {extension!r}: choose from {', '.join(FORMATS)}")


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
    check_formats(formats)
    plan = [
        (make, place(stem, name, extension)) for name, make in pictures for extension in formats
    ]
    taken = Counter(path for _, path in plan)
    if twice := [str(path) for path, count in taken.items() if count > 1]:
        raise PictureError(f"two pictures would be {twice[0]}: choose with --only")
    if not force:
        check_free(path for _, path in plan)
    for make, path in plan:
        write(path, make)
    return [path for _, path in plan]


def place(stem: Path, name: str, extension: str) -> Path:
    """``FOLDER/NAME.svg`` where the stem is a folder that exists, else ``STEM-NAME.svg``.
    Characters that a file system may not allow are replaced: ``load-open:80%`` becomes
    ``load-open-80pct``."""
    file = re.sub(r"[^\w.,+=-]+", "-", f"{name}.{extension}".replace("%", "pct"))
    return stem / file if stem.is_dir() else stem.with_name(f"{stem.name}-{file}")


def write(path: Path, make: MakeFigure) -> None:
    """Makes a figure in the project's style and writes it in the format that the name ends in.

    The same figure gives the same SVG, byte for byte. Raises ResultFileError.
    """
    write_atomically(path, _render(make, path.suffix.removeprefix(".")))


def _render(make: MakeFigure, extension: str) -> bytes:
    with mpl.rc_context(style.RC):
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
    low, high = panel.get_ylim()
    room = math.sqrt(max(1.0, style.LEAST_Y_SPAN / (high / low)))
    panel.set_ylim(low / room, high * room)


class DescribedLine(Line2D):
    """A line that has a text for each of its points, for pages that show it beside the point."""

    def descriptions(self) -> Iterator[tuple[float, float, str]]:
        """x, y and text of each point. A text begins with the head of the panel's title."""
        if isinstance(self.axes, Axes):
            head = " ".join(self.axes.get_title(loc="left").split()).partition(":")[0]
            for x, y, text in self._points(self.axes):
                yield x, y, f"{head}; {text}"

    def _points(self, axes: Axes) -> Iterator[tuple[float, float, str]]:
        raise NotImplementedError


class Marks(DescribedLine):
    """Points without a mark, where something is drawn in another way, as a bar."""

    def __init__(self, marks: Sequence[tuple[float, float, str]]) -> None:
        super().__init__([x for x, _, _ in marks], [y for _, y, _ in marks], ls="", marker="")
        self._marks = tuple(marks)

    def _points(self, _axes: Axes) -> Iterator[tuple[float, float, str]]:
        yield from self._marks


class Curve(DescribedLine):
    """A line of medians or ratios. Its axes say what is measured, and where."""

    def __init__(
        self,
        xs: Sequence[float],
        ys: Sequence[float],
        look: style.Look,
        name: str,
        at: Sequence[str] = (),
        around: Sequence[Bounds | None] = (),
    ) -> None:
        """``name``: what the line is. ``at``: what each point is, if its x does not say so.
        ``around``: the bounds of each value."""
        super().__init__(list(xs), list(ys), **_properties(look))
        self._places = tuple(zip(map(float, xs), map(float, ys), strict=True))
        self._name = name
        self._at = at
        self._around = around

    def _points(self, axes: Axes) -> Iterator[tuple[float, float, str]]:
        """As ``async p50, N = 8: latency of a redo 24.7us (23.1us to 25us between runs, 7
        rounds)``. A line without a name has no descriptions."""
        if not self._name:
            return
        x_axis, y_axis = axes.xaxis, axes.yaxis
        show_x, show_y = x_axis.get_major_formatter(), y_axis.get_major_formatter()
        x_name = x_axis.get_label_text().partition(",")[0]
        measure = y_axis.get_label_text()
        for index, (x, y) in enumerate(self._places):
            at = self._at[index] if self._at else f"{x_name} = {show_x(x)}"
            around = self._around[index] if self._around else None
            beside = "" if around is None else around.text(show_y)
            value = " ".join(filter(None, (measure, show_y(_three_digits(y)))))
            yield x, y, f"{self._name}, {at}: {value}{beside}"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The values below and above another, and what they are; one round shows no spread."""

    low: float
    high: float
    what: str

    @classmethod
    def between_runs(cls, estimate: Estimate) -> Bounds:
        count = len(estimate.by_round)
        what = f"between runs, {count} rounds" if count > 1 else ""
        return cls(estimate.low, estimate.high, what)

    @classmethod
    def interval(cls, low: float | None, high: float | None) -> Bounds | None:
        return None if low is None or high is None else cls(low, high, "95 %")

    def text(self, show: Callable[[float], str]) -> str:
        """As `` (23.1us to 25us between runs, 7 rounds)``."""
        if not self.what:
            return " (1 round, no spread)"
        low, high = (show(_three_digits(bound)) for bound in (self.low, self.high))
        return f" ({low} to {high} {self.what})"


def _three_digits(value: float) -> float:
    """More are noise, and a tick's text would have them."""
    return float(f"{value:.3g}")


def described(estimate: Estimate, show: Callable[[float], str]) -> str:
    """As ``24.7 us (23.1 us to 25.0 us between runs, 4 rounds)``."""
    return f"{show(estimate.median)}{Bounds.between_runs(estimate).text(show)}"


def describe(panel: Axes, marks: Sequence[tuple[float, float, str]]) -> None:
    """Adds descriptions, x, y and text, of what is no curve."""
    panel.add_line(Marks(marks))


def points(
    rows: Iterable[CaseRow], measure_of: Callable[[CaseRow], Value | None]
) -> list[tuple[int, Value]]:
    """N and the measure of each row that has it."""
    return [(row.case.clients, value) for row in rows if (value := measure_of(row)) is not None]


def percentiles(
    panel: Axes, median: Points, tail: Points, look: style.Look, name: str = ""
) -> None:
    """The line of a p50 with the spread between runs, and the dotted one of its p99; ``name``
    begins the names of both."""
    line(panel, median, look, name and f"{name} p50")
    band(panel, median, look.color)
    line(panel, tail, look.tail, name and f"{name} p99")


def line(
    panel: Axes, points: Points, look: style.Look, name: str = "", at: Sequence[str] = ()
) -> None:
    """The medians; ``name`` and ``at`` as in `Curve`."""
    medians = [estimate.median for _, estimate in points]
    around = [Bounds.between_runs(estimate) for _, estimate in points]
    curve(panel, [x for x, _ in points], medians, look, name, at=at, around=around)


def curve(
    panel: Axes,
    xs: Sequence[float],
    ys: Sequence[float],
    look: style.Look,
    name: str = "",
    *,
    at: Sequence[str] = (),
    around: Sequence[Bounds | None] = (),
) -> None:
    """A line through these points; ``name``, ``at`` and ``around`` as in `Curve`."""
    if len(xs) == 1 and not look.marker:  # a line needs two
        look = look.lone_point
    panel.add_line(Curve(xs, ys, look, name, at, around))
    panel.autoscale_view()


def band(panel: Axes, points: Points, color: str) -> None:
    """The spread between runs."""
    low, high = [value.low for _, value in points], [value.high for _, value in points]
    area(panel, [x for x, _ in points], low, high, color)


def ratios(panel: Axes, points: Iterable[tuple[float, Ratio]], look: style.Look, name: str) -> None:
    """A line through ratios; the descriptions of its points have their intervals."""
    found = list(points)
    curve(
        panel,
        [x for x, _ in found],
        [ratio.ratio for _, ratio in found],
        look,
        name,
        around=[Bounds.interval(ratio.low, ratio.high) for _, ratio in found],
    )


def intervals(panel: Axes, points: Iterable[tuple[float, Ratio]], color: str) -> None:
    """The area of the intervals of ratios, where they are known."""
    known = [(x, ratio.low, ratio.high) for x, ratio in points if ratio.low and ratio.high]
    if known:
        xs, low, high = zip(*known, strict=True)
        area(panel, xs, low, high, color)


def area(
    panel: Axes, xs: Sequence[float], low: Sequence[float], high: Sequence[float], color: str
) -> None:
    """The area between two lines."""
    if len(xs) == 1:  # an area needs two
        panel.vlines(xs, low, high, color=color, alpha=style.BAND_ALPHA, lw=style.BAND_WIDTH)
    else:
        panel.fill_between(xs, low, high, color=color, alpha=style.BAND_ALPHA, linewidth=0)


def legend_entry(label: str, look: style.Look) -> Line2D:
    """An entry of the legend: a line of that look."""
    return Line2D([], [], label=label, **_properties(look))


def band_entry(label: str = "spread between runs") -> Line2D:
    """An entry of the legend for the bands."""
    return legend_entry(label, style.Look(style.BAND, "-", style.BAND_WIDTH, "", 0.0))


def percentile_entries() -> list[Line2D]:
    """Entries of the legend for the lines of p50 and p99, whatever their colour."""
    return [legend_entry("p50", style.PLAIN), legend_entry("p99", style.PLAIN.tail)]


def _properties(look: style.Look) -> dict[str, Any]:
    return {
        "color": look.color,
        "linestyle": look.linestyle,
        "linewidth": look.width,
        "marker": look.marker,
        "markersize": look.marker_size,
    }
