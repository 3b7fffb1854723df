"""A comparison as a figure: workload x N for each manager, coloured by the ratio of time per redo.

Colours go from blue (quicker) over white (1) to red (slower), on one logarithmic scale for all
panels, symmetric about 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bench.errors import PictureError
from bench.show.pictures import figures, style
from bench.show.pictures.sheet import Sheet
from bench.statistics.comparison import CaseComparison, Compared, Comparison
from bench.statistics.effects import Verdict

_TICKS: Final = (1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
_HATCH: Final = "////"
_HATCH_COLOR: Final = "#b0b0b0"
_NOT_MEASURED: Final = "#eeeeee"


@dataclass(frozen=True, slots=True)
class Panel:
    """The cases of one manager and one value of the further dimensions, by workload and N."""

    title: str
    workloads: tuple[str, ...]
    clients: tuple[int, ...]
    cases: tuple[CaseComparison, ...]


def panels(comparison: Comparison) -> list[Panel]:
    """One per manager, for each value of the further dimensions; cheap workloads first."""
    compared = {case.case: case for case in comparison.cases}
    groups = comparison.base.groups()
    found = []
    for extra in dict.fromkeys(group.extra for group in groups):
        alike = [group for group in groups if group.extra == extra]
        for manager in dict.fromkeys(name for group in alike for name in group.managers):
            cases = tuple(
                compared[row.case]
                for group in alike
                for row in group.rows
                if row.case.manager == manager and row.case in compared
            )
            if cases:
                title = ", ".join((manager, *(f"{key}={value}" for key, value in extra)))
                workloads = tuple(dict.fromkeys(case.case.workload for case in cases))
                clients = tuple(sorted({case.case.clients for case in cases}))
                found.append(Panel(title, workloads, clients, cases))
    return found


def finding(panel: Panel) -> str:
    """As ``async: 2 slower (up to 1.12x), 5 same, 1 inconclusive``."""
    counts = []
    for kind in (Verdict.SLOWER, Verdict.FASTER, Verdict.SAME, Verdict.INCONCLUSIVE):
        decisive = [found for case in panel.cases if (found := case.decisive)]
        ratios = [found.effect.ratio for found in decisive if found.verdict is kind]
        if ratios:
            how_far = ""
            if kind is Verdict.SLOWER:
                how_far = f" (up to {max(ratios):.2f}x)"
            elif kind is Verdict.FASTER:
                how_far = f" (down to {min(ratios):.2f}x)"
            counts.append(f"{len(ratios)} {kind}{how_far}")
    return f"{panel.title}: {', '.join(counts) or 'not measured'}"


def draw_comparison(comparison: Comparison, stem: Path, *, force: bool = False) -> list[Path]:
    """Draws the figure ``comparison`` in each format, at `figures.place`; returns the files.

    Raises PictureError if no case has a ratio, and before anything is drawn if a file is there
    already, unless ``force`` is given.
    """
    if all(case.decisive is None for case in comparison.cases):
        raise PictureError("no case has a time per redo in both results: nothing to draw")
    make = partial(comparison_figure, comparison)
    return figures.write_all([("comparison", make)], stem, figures.FORMATS, force=force)


def comparison_figure(comparison: Comparison) -> Figure:
    """All `panels`, at least one, with one scale of colours."""
    shown = panels(comparison)
    colors = _scale(comparison)
    sheet = Sheet.of(shown, partial(_panel, colors=colors), finding)
    for index, axes in enumerate(sheet.panels):
        # Rows are named on the left, and where they are not those of the panel on the left.
        named = index % sheet.columns == 0 or shown[index].workloads != shown[index - 1].workloads
        axes.yaxis.set_tick_params(labelleft=named)
    bar = sheet.figure.colorbar(
        colors, ax=list(sheet.panels), aspect=30, label="time per redo, changed / base"
    )
    # The greatest of the round ratios on the scale, their inverses, and 1.
    _, top = colors.get_clim()
    above = [ratio for ratio in _TICKS if top is not None and ratio <= top][-3:]
    bar.ax.yaxis.set_major_locator(FixedLocator([*(1 / r for r in reversed(above)), 1.0, *above]))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(value, 2):g}x"))
    legend = [
        Patch(facecolor="white", edgecolor=_HATCH_COLOR, hatch=_HATCH, label="inconclusive"),
        Patch(facecolor=_NOT_MEASURED, label="not measured in both"),
        Patch(facecolor="none", label="bold: significantly faster or slower"),
    ]
    base, changed = comparison.base.environment, comparison.changed.environment
    parts = [
        f"base {base.version}, changed {changed.version}",
        f"{changed.cpu_model}, {changed.kernel}",
        "paired by round" if comparison.paired else "not measured together",
    ]
    if comparison.differences:
        parts.append("NOT THE SAME CONDITIONS")
    return sheet.framed(legend, "  |  ".join(parts))


def _scale(comparison: Comparison) -> ScalarMappable:
    """Red and blue of ColorBrewer differ for any kind of colour vision. The darkest colour is at
    least the ratio 1.1: noise must look pale. An odd number of colours, so that 1 has one; few, so
    that the palette of a PNG has them."""
    ratios = [found.effect.ratio for case in comparison.cases if (found := case.decisive)]
    span = max([1.1, *ratios, *(1 / ratio for ratio in ratios)])
    return ScalarMappable(LogNorm(1 / span, span), mpl.colormaps["RdBu_r"].resampled(21))


def _panel(axes: Axes, panel: Panel, colors: ScalarMappable) -> None:
    width, height = len(panel.clients), len(panel.workloads)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)  # the first workload above
    axes.set_facecolor(_NOT_MEASURED)
    axes.grid(False)
    for case in panel.cases:
        x, y = panel.clients.index(case.case.clients), panel.workloads.index(case.case.workload)
        if case.decisive is not None:
            _cell(axes, x, y, case.decisive, colors)
    axes.set_xticks(range(width), [str(n) for n in panel.clients])
    axes.set_yticks(range(height), panel.workloads)
    axes.tick_params(length=0)
    axes.set_xlabel("N, concurrent clients")


def _cell(axes: Axes, x: int, y: int, compared: Compared, colors: ScalarMappable) -> None:
    ratio, verdict = compared.effect.ratio, compared.verdict
    undecided = verdict is Verdict.INCONCLUSIVE
    red, green, blue, _ = color = tuple(colors.to_rgba(np.array([ratio]))[0])
    axes.add_patch(
        Rectangle(
            (x - 0.5, y - 0.5),
            1,
            1,
            facecolor=color,
            edgecolor=_HATCH_COLOR if undecided else "white",
            hatch=_HATCH if undecided else None,
            linewidth=0,
        )
    )
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue  # as in ITU-R BT.709
    axes.text(
        x,
        y,
        f"{ratio:.2f}",
        color="white" if luminance < 0.5 else "black",
        fontsize=style.FOOTER_SIZE,
        fontweight="bold" if verdict in (Verdict.FASTER, Verdict.SLOWER) else "normal",
        ha="center",
        va="center",
        bbox={"facecolor": color, "edgecolor": "none", "pad": 1.0},
    )
