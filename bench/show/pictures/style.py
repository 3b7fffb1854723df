"""How figures look: sizes, colours and number formats. Data and drawing do not belong here.

The colours are those of Okabe and Ito (Color Universal Design, 2008), which differ for any kind of
colour vision. Managers also differ by marker, so that a print without colours works as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from types import MappingProxyType
from typing import Any, Final

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

PANEL_WIDTH = 4.9
"""Inches of a panel that stands alone: on a telephone its text has the intended size."""

DPI = 150
MOST_COLUMNS = 3
TITLE_COLUMNS = 93
"""Characters that fit into WIDTH, in a wider font as well: the titles of a row."""

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
    "figure.figsize": (WIDTH, PANEL_HEIGHT),
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

SINGLE_PANELS: dict[Any, Any] = RC | {
    "figure.dpi": 72,  # so that a pixel is a point, as in an SVG
    "figure.figsize": (PANEL_WIDTH, PANEL_HEIGHT),
    "figure.subplot.bottom": 0.15,
    "figure.subplot.hspace": 0.4,
    "figure.subplot.left": 0.15,
    "figure.subplot.right": 0.97,
    "figure.subplot.top": 0.95,
}
"""The same for figures with one panel in a row, which a page takes apart: panels are cut out one by
one, so that nothing has to be laid out."""


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
    is_hollow: bool = False

    @property
    def tail(self) -> Look:
        """The line of a p99 beside this line of a p50: dotted, its markers hollow."""
        return replace(self, linestyle=(0, (1, 1.3)), width=1.3, is_hollow=True)

    @property
    def lone_point(self) -> Look:
        """For a line without markers that has one point only, and would not be seen."""
        return replace(self, marker="_", marker_size=14.0)

    @property
    def bare(self) -> Look:
        return replace(self, marker="", marker_size=0.0)


PLAIN = Look(FAINT, "-", LINE_WIDTH)
"""In legends: a line of any manager."""

PLAIN_POINTS = replace(PLAIN, marker="o", marker_size=4.0)
"""Likewise a line whose points have markers."""

DASHED = Look(FAINT, (0, (5, 2)), 1.3)
"""What others are compared with: one thin line is enough."""

_FREE_COLORS: Final = ("#CC79A7", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00")
_FREE_MARKERS: Final = ("D", "v", "P", "<", ">", "*", "h", "^", "d", "H", "8", "s", "o")
"""For managers without a look of their own. Those of sync and async come last: a reader knows
them."""

_PEER_MARKERS: Final = {"sync": "p", "async": "X"}
_DASHES: Final = (0, (7, 1.5))
_SIZE: Final = 4.0
_PEER_SIZE: Final = 5.0


def looks(managers: Iterable[str]) -> Mapping[str, Look]:
    """The line of each manager of a figure.

    A manager of the suite looks the same in every figure. Each other manager, in the given order,
    gets the first colour and the first marker that no manager of the figure has. With more
    managers than colours, lines of one colour differ by marker and dashes.
    """
    return _looks(tuple(dict.fromkeys(managers)))


def look(manager: str) -> Look:
    """The line of a manager of the suite."""
    return looks([manager])[manager]


@cache
def _looks(managers: tuple[str, ...]) -> Mapping[str, Look]:
    chosen = {name: look for name in managers if (look := _fixed(name)) is not None}
    colors, markers = (
        [one for one in free if one not in taken]
        for free, taken in (
            (_FREE_COLORS, {look.color for look in chosen.values()}),
            (_FREE_MARKERS, {look.marker for look in chosen.values()}),
        )
    )
    for number, name in enumerate([name for name in managers if name not in chosen]):
        is_new = number < len(colors)
        color = colors[number] if is_new else _FREE_COLORS[number % len(_FREE_COLORS)]
        dashes = "-." if is_peer(name) else "-" if is_new else _DASHES
        size = _PEER_SIZE if is_peer(name) else _SIZE
        chosen[name] = Look(color, dashes, LINE_WIDTH, markers[number % len(markers)], size)
    return MappingProxyType({name: chosen[name] for name in managers})


def _fixed(manager: str) -> Look | None:
    """The look that a manager has in every figure; None if it has none."""
    if manager == FLOOR:
        return DASHED
    # A peer has the colour of the suite's own manager that waits alike; its line says what it is.
    name = manager.removeprefix(PEER_PREFIX)
    kind = find(name)
    if kind is None or kind.look is None:
        return None
    if is_peer(manager):
        marker = _PEER_MARKERS.get(name, kind.look.marker)
        return Look(kind.look.color, "-.", LINE_WIDTH, marker, _PEER_SIZE)
    return Look(kind.look.color, "-", LINE_WIDTH, kind.look.marker, _SIZE)
