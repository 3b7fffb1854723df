"""A comparison as a figure: workload x N for each manager, coloured by the ratio of time per redo.

Ratios and verdicts are computed in `bench.statistics.comparison`. Colours go from blue (quicker)
over white (1) to red (slower), on one logarithmic scale for all panels, symmetric about 1.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from bench.results.summary import Group
from bench.show.pictures import figures, style
from bench.show.pictures.sheet import Sheet
from bench.statistics.comparison import DECISIVE, CaseComparison, Compared, Comparison
from bench.statistics.effects import Verdict

PICTURE: Final = "comparison"

_COLORS: Final = "RdBu_r"
"""Of ColorBrewer: red and blue differ for any kind of colour vision."""

_LEAST_SPAN: Final = 1.1
"""The darkest colour is at least this ratio: noise must look pale."""

_STEPS: Final = 21
"""Colours of the scale: odd, so that 1 has one; few, so that the palette of a PNG has them."""

_TICKS: Final = (1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
_MOST_TICKS: Final = 3

_HATCH: Final = "////"
_HATCH_COLOR: Final = "#b0b0b0"
_ABSENT: Final = "#eeeeee"
_DARK: Final = 0.5
"""Below this luminance numbers are white."""

_VERDICTS: Final = (Verdict.SLOWER, Verdict.FASTER, Verdict.SAME, Verdict.INCONCLUSIVE)
"""In the order in which a title counts them."""


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
        managers = dict.fromkeys(name for group in alike for name in group.managers)
        for manager in managers:
            cases = tuple(
                compared[row.case]
                for group in alike
                for row in group.rows
                if row.case.manager == manager and row.case in compared
            )
            if cases:
                found.append(_panel_of(manager, alike, cases))
    return found


def finding(panel: Panel) -> str:
    """As ``async: 2 slower (up to 1.12x), 5 same, 1 inconclusive``."""
    ratios: dict[Verdict, list[float]] = {}
    for case in panel.cases:
        if (compared := _decisive(case)) is not None:
            ratios.setdefault(compared.verdict, []).append(compared.effect.ratio)
    counts = [
        f"{len(ratios[kind])} {kind}{_how_far(kind, ratios[kind])}"
        for kind in _VERDICTS
        if kind in ratios
    ]
    return f"{panel.title}: {', '.join(counts) or 'not measured'}"


def _how_far(kind: Verdict, ratios: Sequence[float]) -> str:
    if kind is Verdict.SLOWER:
        return f" (up to {max(ratios):.2f}x)"
    return f" (down to {min(ratios):.2f}x)" if kind is Verdict.FASTER else ""


def draw_comparison(comparison: Comparison, stem: Path, *, force: bool = False) -> list[Path]:
    """Draws the figure ``comparison`` in each format, at `figures.place`; returns the files.

    Raises PictureError if no case has a ratio, and before anything is drawn if a file is there
    already, unless ``force`` is given.
    """
    if all(DECISIVE not in case.measures for case in comparison.cases):
        raise PictureError("no case has a time per redo in both results: nothing to draw")
    make = partial(comparison_figure, comparison)
    return figures.write_all([(PICTURE, make)], stem, figures.FORMATS, force=force)


def comparison_figure(comparison: Comparison) -> Figure:
    """All `panels`, at least one, with one scale of colours."""
    shown = panels(comparison)
    colors = _scale(comparison)
    sheet = Sheet.of(shown, partial(_panel, colors=colors), finding)
    for index, axes in enumerate(sheet.panels):
        at_left = index % sheet.columns == 0
        axes.yaxis.set_tick_params(labelleft=at_left or _differ(shown, index))
    bar = sheet.figure.colorbar(
        colors, ax=list(sheet.panels), aspect=30, label="time per redo, changed / base"
    )
    bar.ax.yaxis.set_major_locator(FixedLocator(_ticks(colors)))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(value, 2):g}x"))
    legend = [
        Patch(facecolor="white", edgecolor=_HATCH_COLOR, hatch=_HATCH, label="inconclusive"),
        Patch(facecolor=_ABSENT, label="not measured in both"),
        Patch(facecolor="none", label="bold: surely faster or slower"),
    ]
    return sheet.framed(legend, _footer(comparison))


def _panel_of(manager: str, alike: Sequence[Group], cases: tuple[CaseComparison, ...]) -> Panel:
    extra = (f"{key}={value}" for key, value in alike[0].extra)
    return Panel(
        title=", ".join((manager, *extra)),
        workloads=tuple(dict.fromkeys(compared.case.workload for compared in cases)),
        clients=tuple(sorted({compared.case.clients for compared in cases})),
        cases=cases,
    )


def _differ(shown: Sequence[Panel], index: int) -> bool:
    """Whether the rows are not those of the panel on the left."""
    return shown[index].workloads != shown[index - 1].workloads


def _scale(comparison: Comparison) -> ScalarMappable:
    decisive = [found for case in comparison.cases if (found := _decisive(case))]
    ratios = [compared.effect.ratio for compared in decisive]
    span = max([_LEAST_SPAN, *ratios, *(1 / ratio for ratio in ratios)])
    return ScalarMappable(LogNorm(1 / span, span), mpl.colormaps[_COLORS].resampled(_STEPS))


def _ticks(colors: ScalarMappable) -> list[float]:
    """1, the greatest of the round ratios on the scale, and their inverses."""
    _, most = colors.get_clim()
    above = [ratio for ratio in _TICKS if most is not None and ratio <= most][-_MOST_TICKS:]
    return sorted([*(1 / ratio for ratio in above), 1.0, *above])


def _decisive(case: CaseComparison) -> Compared | None:
    return case.measures.get(DECISIVE)


def _panel(axes: Axes, panel: Panel, colors: ScalarMappable) -> None:
    width, height = len(panel.clients), len(panel.workloads)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)  # the first workload above
    axes.set_facecolor(_ABSENT)
    axes.grid(False)
    for case in panel.cases:
        x, y = panel.clients.index(case.case.clients), panel.workloads.index(case.case.workload)
        if (compared := _decisive(case)) is not None:
            _cell(axes, x, y, compared, colors)
    axes.xaxis.set_major_locator(FixedLocator(list(range(width))))
    axes.set_xticklabels([str(n) for n in panel.clients])
    axes.yaxis.set_major_locator(FixedLocator(list(range(height))))
    axes.set_yticklabels(list(panel.workloads))
    axes.tick_params(length=0)
    axes.set_xlabel("N, concurrent clients")


def _cell(axes: Axes, x: int, y: int, compared: Compared, colors: ScalarMappable) -> None:
    ratio, verdict = compared.effect.ratio, compared.verdict
    red, green, blue, _ = color = tuple(colors.to_rgba(np.array([ratio]))[0])
    axes.add_patch(
        Rectangle(
            (x - 0.5, y - 0.5),
            1,
            1,
            facecolor=color,
            edgecolor=_HATCH_COLOR if verdict is Verdict.INCONCLUSIVE else "white",
            hatch=_HATCH if verdict is Verdict.INCONCLUSIVE else None,
            linewidth=0,
        )
    )
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue  # as in ITU-R BT.709
    axes.text(
        x,
        y,
        f"{ratio:.2f}",
        color="white" if luminance < _DARK else "black",
        fontsize=style.FOOTER_SIZE,
        fontweight="bold" if verdict in (Verdict.FASTER, Verdict.SLOWER) else "normal",
        ha="center",
        va="center",
        bbox={"facecolor": color, "edgecolor": "none", "pad": 1.0},
    )


def _footer(comparison: Comparison) -> str:
    base, changed = comparison.base.environment, comparison.changed.environment
    parts = [
        f"base {base.version}, changed {changed.version}",
        f"{changed.cpu_model}, {changed.kernel}",
        "paired by round" if comparison.paired else "not measured together",
    ]
    if comparison.differences:
        parts.append("NOT THE SAME CONDITIONS")
    return "  |  ".join(parts)
