"""A figure of panels in rows: a title above each, a legend above all of them and a footer below.

It is as wide as the style says (``figure.figsize``); in a narrow one each panel has a row.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from bench.results.summary import Summary
from bench.show.notes import rounds_text
from bench.show.pictures import style

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Sheet:
    """``columns``: how many panels are in a row. Without any part there is one empty panel."""

    figure: Figure
    panels: tuple[Axes, ...]
    columns: int

    @classmethod
    def of(
        cls,
        parts: Sequence[Part],
        draw: Callable[[Axes, Part], object],
        title: Callable[[Part], str],
        most_columns: int = style.MOST_COLUMNS,
    ) -> Sheet:
        width = mpl.rcParams["figure.figsize"][0]
        count = max(1, len(parts))
        is_apart = width <= style.PANEL_WIDTH
        columns = 1 if is_apart else min(count, most_columns)
        rows = math.ceil(count / columns)
        height = style.FRAME_HEIGHT + style.PANEL_HEIGHT * rows
        figure = Figure(figsize=(width, height), layout=None if is_apart else "constrained")
        FigureCanvasAgg(figure)
        _leave_bands(figure, style.LEGEND_HEIGHT)
        axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)
        for unused in axes[count:]:
            unused.set_axis_off()
        sheet = cls(figure, tuple(axes[:count]), columns)
        for panel, part in zip(sheet.panels, parts, strict=False):
            draw(panel, part)
            sheet.title(panel, title(part))
        return sheet

    def title(self, panel: Axes, text: str) -> None:
        """Sets a panel's title, on several lines if need be."""
        # ``N = 8`` and ``24.7 us`` stay together.
        joined = re.sub(r"(?<=\d) (?=[mun]?s\b)", "\0", text.replace(" = ", "\0=\0"))
        width = self.figure.get_size_inches()[0] / style.WIDTH / self.columns
        lines = textwrap.fill(joined, int(style.TITLE_COLUMNS * width))
        panel.set_title(lines.replace("\0", " "), loc="left")

    def label_left(self, text: str) -> None:
        for panel in self.panels[:: self.columns]:
            panel.set_ylabel(text)

    def share_y(self, room: float = 1.0) -> tuple[float, float]:
        """Gives all panels the same y axis, from the least / room to the greatest x room; both."""
        low = min(panel.get_ylim()[0] for panel in self.panels) / room
        high = max(panel.get_ylim()[1] for panel in self.panels) * room
        for panel in self.panels:
            panel.set_ylim(low, high)
        return low, high

    def framed(self, legend: Sequence[Artist], footer: str) -> Figure:
        """The figure, with the legend above the panels, in as many rows as it needs, and the footer
        below them."""
        if self.figure.get_layout_engine() is None:  # the panels and entries are taken apart
            self.figure.legend(handles=legend, loc="upper left")
            return self.figure
        drawn = fit_legend(self.figure, legend, loc="upper left", bbox_to_anchor=(0.005, 1.0))
        band = max(style.LEGEND_HEIGHT, drawn.get_window_extent().height / self.figure.dpi)
        width, height = self.figure.get_size_inches()
        self.figure.set_size_inches(width, height - style.LEGEND_HEIGHT + band)
        _leave_bands(self.figure, band)
        self.figure.text(0.01, 0.012, footer, color=style.FAINT, fontsize=style.FOOTER_SIZE)
        return self.figure


def _leave_bands(figure: Figure, legend_height: float) -> None:
    """For the legend above and the footer below; the panels share what is between."""
    height = figure.get_size_inches()[1]
    top, bottom = legend_height / height, style.FOOTER_HEIGHT / height
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0, bottom, 1, 1 - top - bottom))  # type: ignore[call-arg]


def fit_legend(figure: Figure, entries: Sequence[Artist], **place: Any) -> Legend:
    """Adds a legend in as few rows as the figure is wide enough for; in smaller letters if a single
    name is wider than the figure."""
    available = figure.bbox.width * 0.99
    for columns in range(max(1, len(entries)), 0, -1):
        legend = figure.legend(handles=entries, ncols=columns, **place)
        width = legend.get_window_extent().width
        if width <= available:
            return legend
        legend.remove()
    size = style.RC["legend.fontsize"] * available / width * 0.95
    return figure.legend(handles=entries, ncols=1, fontsize=size, **place)


def footer(summary: Summary) -> str:
    environment = summary.environment
    cpus = [] if environment.cpu_count is None else [f"{environment.cpu_count} CPUs"]
    return "  |  ".join(
        (
            environment.version,
            ", ".join([environment.cpu_model, *cpus, environment.kernel]),
            environment.suite_date.partition("T")[0],
            rounds_text(summary),
        )
    )
