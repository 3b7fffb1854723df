"""The picture of the rooms in docs/architecture.md, drawn from the import test's own table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from bench.show.pictures import figures, style
from tests.support.rooms import ROOMS

NAME: Final = "rooms"
_WIDTH, _HEIGHT = 8.0, 5.4
_BOX_WIDTH, _BOX_HEIGHT = 2.3, 0.52
_COLUMN_WIDTH = 2.55
_COLUMNS: Final = {"running": -1, "machine": -1, "experiments": 1, "show": 1, "wal": 1}
"""Left and right of the middle, so that no arrow crosses a room."""

_FILL, _EDGE = "#F2F4F7", "#44546A"


def arrows() -> dict[str, set[str]]:
    """Room -> the rooms that it may import, without those that another of them leads to."""
    direct = {
        name: {allowed.partition(".")[0] for allowed in room.may} for name, room in ROOMS.items()
    }

    def below(name: str) -> set[str]:
        return direct[name].union(*map(below, direct[name]))

    return {
        name: {room for room in rooms if not any(room in below(other) for other in rooms)}
        for name, rooms in direct.items()
    }


def floors(shown: Mapping[str, set[str]]) -> dict[str, int]:
    """Room -> how many rooms stand below it, one on the other."""
    found: dict[str, int] = {}
    for name in ROOMS:  # from the bottom up
        found[name] = 1 + max((found[other] for other in shown[name]), default=-1)
    return found


def make_figure() -> Figure:
    shown = arrows()
    level = floors(shown)
    figure = Figure(figsize=(_WIDTH, _HEIGHT))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, _WIDTH)
    axes.set_ylim(0, _HEIGHT)
    step = _HEIGHT / (max(level.values()) + 1)
    middle = _WIDTH / 2
    centers = {
        name: (middle + _COLUMNS.get(name, 0) * _COLUMN_WIDTH, step * (floor + 0.5))
        for name, floor in level.items()
    }
    for name, (x, y) in centers.items():
        corner = (x - _BOX_WIDTH / 2, y - _BOX_HEIGHT / 2)
        axes.add_patch(
            FancyBboxPatch(
                corner,
                _BOX_WIDTH,
                _BOX_HEIGHT,
                boxstyle="round,pad=0,rounding_size=0.08",
                facecolor=_FILL,
                edgecolor=_EDGE,
            )
        )
        axes.text(x, y + 0.09, name, ha="center", va="center", weight="bold", fontsize=10)
        says = ROOMS[name].says
        axes.text(x, y - 0.12, says, ha="center", va="center", fontsize=7.5, color=style.FAINT)
        for other in sorted(shown[name]):
            to_x, to_y = centers[other]
            axes.annotate(
                "",
                xy=(to_x, to_y + _BOX_HEIGHT / 2),
                xytext=(x, y - _BOX_HEIGHT / 2),
                arrowprops={"arrowstyle": "-|>", "color": _EDGE, "linewidth": 1.0},
            )
    return figure


def draw(folder: Path) -> list[Path]:
    """Draws it as SVG; the files."""
    return figures.write_all([(NAME, make_figure)], folder, ("svg",), force=True)
