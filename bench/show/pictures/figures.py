"""How a figure is laid out, drawn and written, whatever it shows.

Panels in rows, a legend above and a footer below; an axis of N; lines and bands. What is drawn is
the business of the modules ``..._plot`` and the views, how it looks that of ``plot_style``.
Nothing is shown on a screen, printed or shared: a figure is made, written and forgotten.
"""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from PIL import Image

from bench.errors import PictureError
from bench.results.suite_file import write_atomically
from bench.results.summary import Estimate, Summary
from bench.show.pictures import style

FORMATS: Final = ("svg", "png")

MakeFigure = Callable[[], Figure]

Points = Sequence[tuple[float, Estimate]]
"""Where on the x axis, and what is known there."""


def check_formats(formats: Iterable[str]) -> None:
    """Raises PictureError for one that is not in FORMATS."""
    for one in formats:
        if one not in FORMATS:
            raise PictureError(f"picture format {one!r}: choose from {', '.join(FORMATS)}")


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

    Raises PictureError for a format that there is not and, unless ``force``, before anything is
    written, if a file is there already.
    """
    check_formats(formats)
    plan = [(make, place(stem, name, one)) for name, make in pictures for one in formats]
    taken = Counter(path for _, path in plan)
    if twice := [str(path) for path, count in taken.items() if count > 1]:
        raise PictureError(f"two pictures would be {twice[0]}: choose with --only")
    if not force:
        check_free(path for _, path in plan)
    for make, path in plan:
        write(path, make)
    return [path for _, path in plan]


def place(stem: Path, name: str, extension: str) -> Path:
    """``FOLDER/NAME.svg`` where the stem is a folder that exists, else ``STEM-NAME.svg``. A name
    keeps what no file system minds: ``load-open:80%`` is ``load-open-80pct``."""
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


def panels(count: int, most_columns: int = style.MOST_COLUMNS) -> tuple[Figure, list[Axes], int]:
    """A figure with so many panels, the panels, and how many are in a row."""
    columns = min(count, most_columns)
    rows = math.ceil(count / columns)
    height = style.FRAME_HEIGHT + style.PANEL_HEIGHT * rows
    figure = Figure(figsize=(style.WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    # Bands for the legend above and the footer below; the panels share what is between.
    top, bottom = style.LEGEND_HEIGHT / height, style.FOOTER_HEIGHT / height
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0, bottom, 1, 1 - top - bottom))  # type: ignore[call-arg]
    axes = list(figure.subplots(rows, columns, squeeze=False).reshape(-1))
    for unused in axes[count:]:
        unused.set_axis_off()
    return figure, axes[:count], columns


def frame(figure: Figure, legend: Sequence[Artist], footer: str) -> None:
    """The legend above the panels, in one row, and the footer below them."""
    figure.legend(handles=legend, loc="upper left", bbox_to_anchor=(0.005, 1.0), ncols=len(legend))
    figure.text(0.01, 0.012, footer, color=style.FAINT, fontsize=style.FOOTER_SIZE)


def footer(summary: Summary) -> str:
    """What was measured, where and when."""
    environment = summary.environment
    cpus = [] if environment.cpu_count is None else [f"{environment.cpu_count} CPUs"]
    count = len(summary.rounds)
    return "  |  ".join(
        (
            environment.version,
            ", ".join([environment.cpu_model, *cpus, environment.kernel]),
            environment.suite_date.partition("T")[0],
            f"{count} round{'' if count == 1 else 's'}",
        )
    )


def title(panel: Axes, text: str, columns: int) -> None:
    """The title of one of so many panels in a row, on several lines if need be."""
    # ``N = 8`` and ``24.7 us`` stay together.
    joined = re.sub(r"(?<=\d) (?=[mun]?s\b)", "\0", text.replace(" = ", "\0=\0"))
    lines = textwrap.fill(joined, style.TITLE_COLUMNS // columns)
    panel.set_title(lines.replace("\0", " "), loc="left")


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
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(show))


def give_room(panel: Axes) -> None:
    """A logarithmic y axis spans at least LEAST_Y_SPAN."""
    low, high = panel.get_ylim()
    room = math.sqrt(max(1.0, style.LEAST_Y_SPAN / (high / low)))
    panel.set_ylim(low / room, high * room)


class Telling(Line2D):
    """A line whose points can tell what they are, for pictures that are asked."""

    def told(self) -> Iterator[tuple[float, float, str]]:
        """Of each point x, y and its text, which begins with whose panel it is, by the head of its
        title."""
        if isinstance(self.axes, Axes):
            head = " ".join(self.axes.get_title(loc="left").split()).partition(":")[0]
            for x, y, text in self._points(self.axes):
                yield x, y, f"{head}; {text}"

    def _points(self, axes: Axes) -> Iterator[tuple[float, float, str]]:
        raise NotImplementedError


class Marks(Telling):
    """Points that are not drawn, at what is drawn in another way."""

    def __init__(self, marks: Sequence[tuple[float, float, str]]) -> None:
        super().__init__([x for x, _, _ in marks], [y for _, y, _ in marks], ls="", marker="")
        self._marks = tuple(marks)

    def _points(self, _axes: Axes) -> Iterator[tuple[float, float, str]]:
        yield from self._marks


class Curve(Telling):
    """A line of medians or ratios; what is measured and where, its axes say."""

    def __init__(
        self,
        xs: Sequence[float],
        ys: Sequence[float],
        look: style.Look,
        name: str,
        at: Sequence[str] = (),
        around: Sequence[Around | None] = (),
    ) -> None:
        """``name``: what the line is. ``at``: what each point is, where its x does not say so.
        ``around``: what lies around each value."""
        super().__init__(list(xs), list(ys), **_properties(look))
        self._places = tuple(zip(map(float, xs), map(float, ys), strict=True))
        self._name = name
        self._at = at
        self._around = around

    def _points(self, axes: Axes) -> Iterator[tuple[float, float, str]]:
        """As ``async p50, N = 8: latency of a redo 24.7us (23.1us to 25us between runs, 7
        rounds)``. Nothing of a line without a name."""
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
class Around:
    """Two values around a third, and what they are; of one round there is no spread."""

    low: float
    high: float
    what: str

    @classmethod
    def between_runs(cls, one: Estimate) -> Around:
        count = len(one.by_round)
        what = f"between runs, {count} rounds" if count > 1 else ""
        return cls(one.low, one.high, what)

    @classmethod
    def interval(cls, low: float | None, high: float | None) -> Around | None:
        return None if low is None or high is None else cls(low, high, "95 %")

    def text(self, show: Callable[[float], str]) -> str:
        """As `` (23.1us to 25us between runs, 7 rounds)``."""
        if not self.what:
            return " (1 round, no spread)"
        low, high = (show(_three_digits(one)) for one in (self.low, self.high))
        return f" ({low} to {high} {self.what})"


def _three_digits(value: float) -> float:
    """More are noise, and a tick's text would have them."""
    return float(f"{value:.3g}")


def described(one: Estimate, show: Callable[[float], str]) -> str:
    """As ``24.7 us (23.1 us to 25.0 us between runs, 4 rounds)``."""
    return f"{show(one.median)}{Around.between_runs(one).text(show)}"


def tell(panel: Axes, marks: Sequence[tuple[float, float, str]]) -> None:
    """What has no curve tells at these points, x and y, what it is."""
    panel.add_line(Marks(marks))


def line(
    panel: Axes, points: Points, look: style.Look, name: str = "", at: Sequence[str] = ()
) -> None:
    """The medians; ``name`` and ``at`` as in `Curve`."""
    curve(
        panel,
        [x for x, _ in points],
        [one.median for _, one in points],
        look,
        name,
        at=at,
        around=[Around.between_runs(one) for _, one in points],
    )


def curve(
    panel: Axes,
    xs: Sequence[float],
    ys: Sequence[float],
    look: style.Look,
    name: str = "",
    *,
    at: Sequence[str] = (),
    around: Sequence[Around | None] = (),
) -> None:
    """A line through these points; what they tell as in `Curve`."""
    if len(xs) == 1 and not look.marker:  # a line needs two
        look = replace(look, **style.LONE_POINT)
    panel.add_line(Curve(xs, ys, look, name, at, around))
    panel.autoscale_view()


def band(panel: Axes, points: Points, color: str) -> None:
    """The spread between runs."""
    low, high = [one.low for _, one in points], [one.high for _, one in points]
    area(panel, [x for x, _ in points], low, high, color)


def area(
    panel: Axes, xs: Sequence[float], low: Sequence[float], high: Sequence[float], color: str
) -> None:
    """What lies between two lines."""
    if len(xs) == 1:  # an area needs two
        panel.vlines(xs, low, high, color=color, alpha=style.BAND_ALPHA, lw=style.BAND_WIDTH)
    else:
        panel.fill_between(xs, low, high, color=color, alpha=style.BAND_ALPHA, linewidth=0)


def legend_entry(label: str, look: style.Look) -> Line2D:
    """A line of that look."""
    return Line2D([], [], label=label, **_properties(look))


def band_entry(label: str = "spread between runs") -> Line2D:
    """What the bands are."""
    return legend_entry(label, style.Look(style.BAND, "-", style.BAND_WIDTH, "", 0.0))


def _properties(look: style.Look) -> dict[str, Any]:
    return {
        "color": look.color,
        "linestyle": look.linestyle,
        "linewidth": look.width,
        "marker": look.marker,
        "markersize": look.marker_size,
    }
