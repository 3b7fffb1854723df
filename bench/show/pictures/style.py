"""How figures look: sizes, colours and number formats. Data and drawing do not belong here.

The colours are those of Okabe and Ito (Color Universal Design, 2008), which differ for any kind of
colour vision. Managers also differ by marker, so that a print without colours works as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from zlib import crc32

from bench.cases.managers import kind as kinds
from bench.cases.managers.registry import find
from bench.cases.managers.yours import PEER_PREFIX, is_peer
from bench.cases.names import FLOOR
from bench.results.key import Key
from bench.results.row import MEASURES
from bench.show import units

WIDTH = 9.0
PANEL_HEIGHT = 3.3
LEGEND_HEIGHT = 0.34
FOOTER_HEIGHT = 0.24
FRAME_HEIGHT = LEGEND_HEIGHT + FOOTER_HEIGHT
"""Inches, as a README shows them; a row has up to MOST_COLUMNS panels."""

DPI = 150
MOST_COLUMNS = 3
TITLE_COLUMNS = 93
"""Characters that fit into the whole width, in a wider font as well: the titles of a row."""

LEAST_Y_SPAN = 8.0
"""Greatest / least y of a panel: nearly equal values must look so, and 1-2-5 ticks need room."""

PNG_COLORS = 128
"""Figures have few colours: a palette makes the file a third of its size."""

FOOTER_SIZE = 7.5
LINE_WIDTH = 1.8
BAND = "#cccccc"
BAND_ALPHA = 0.22
BAND_WIDTH = 6.0
FAINT = "#555555"

MANAGER_USER, MANAGER_SYSTEM = "#44546A", "#A9B4C4"
CHILD_USER, CHILD_SYSTEM = "#A6760F", "#E8CF8C"
"""A hue per process, a shade per mode; no manager has these colours."""

RC: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlepad": 7,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.size": 9,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "legend.borderaxespad": 0.3,
    "legend.columnspacing": 1.4,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 2.0,
    "lines.solid_capstyle": "round",
    "savefig.facecolor": "white",
    "svg.fonttype": "none",  # text that can be searched, and a file a tenth of the size
    "svg.hashsalt": "walredo-bench",
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
}


def _tick(key: Key, value: float, _position: int | None = None) -> str:
    """``20 us`` for ``20.0 us``, and no ``/s``: ticks are round numbers and have a label."""
    number, _, unit = units.formatted(key, value).partition(" ")
    return f"{float(number):g} {unit.removesuffix('/s')}".strip()


Y_FORMATS = {measure: partial(_tick, measure.key) for measure in MEASURES.values()}


@dataclass(frozen=True, slots=True)
class Look:
    """How one line is drawn; sizes in points."""

    color: str
    linestyle: Any
    width: float
    marker: str = ""
    marker_size: float = 0.0

    @property
    def tail(self) -> Look:
        """The line of a p99 beside this line of a p50."""
        return replace(self, linestyle=(0, (1, 1.3)), width=1.3, marker="", marker_size=0.0)

    @property
    def lone_point(self) -> Look:
        """For a line without markers that has one point only, and would not be seen."""
        return replace(self, marker="_", marker_size=14.0)

    @property
    def bare(self) -> Look:
        return replace(self, marker="", marker_size=0.0)


PLAIN = Look(FAINT, "-", LINE_WIDTH)
"""In legends: a line of any manager."""

DASHED = Look(FAINT, (0, (5, 2)), 1.3)
"""What others are compared with: one thin line is enough."""

_MORE = (kinds.Look("#CC79A7", "D"), kinds.Look("#E69F00", "v"), kinds.Look("#56B4E9", "P"))
"""For managers without a look of their own."""


def look(manager: str) -> Look:
    """The line of a manager, the same in every figure."""
    if manager == FLOOR:
        return DASHED
    # A peer has the colour of the suite's own manager that waits alike; its line says what it is.
    name = manager.removeprefix(PEER_PREFIX)
    kind = find(name)
    chosen = None if kind is None else kind.look
    chosen = chosen or _MORE[crc32(manager.encode()) % len(_MORE)]
    if is_peer(manager):
        marker = {"sync": "p", "async": "X"}.get(name, chosen.marker)
        return Look(chosen.color, "-.", LINE_WIDTH, marker, 5.0)
    return Look(chosen.color, "-", LINE_WIDTH, chosen.marker, 4.0)
