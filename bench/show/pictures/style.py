"""How the figures look: sizes, colours and number formats; no data and no drawing.

Colours are those of Okabe and Ito (Color Universal Design, 2008), told apart with any kind of
colour vision; managers also differ by marker, so that a print without colours still works.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from bench.cases.managers import kind as kinds
from bench.cases.managers.registry import find
from bench.cases.managers.yours import PEER_PREFIX, is_peer
from bench.cases.names import FLOOR
from bench.show import units
from bench.show.findings import Measure

WIDTH = 9.0
PANEL_HEIGHT = 3.3
LEGEND_HEIGHT = 0.34
FOOTER_HEIGHT = 0.24
FRAME_HEIGHT = LEGEND_HEIGHT + FOOTER_HEIGHT
"""Inches, as a README shows them; panels are in rows of up to MOST_COLUMNS."""

DPI = 150
MOST_COLUMNS = 3
TITLE_COLUMNS = 93
"""Characters of titles that fit beside each other in the whole width, in a wider font as well."""

LEAST_Y_SPAN = 8.0
"""Greatest / least y of a panel: what is nearly equal must look so, and 1-2-5 ticks need room."""

PNG_COLORS = 128
"""Few lines have few colours: a palette makes the file a third of its size."""

FOOTER_SIZE = 7.5
LINE_WIDTH = 1.8
BAND = "#cccccc"
BAND_ALPHA = 0.22
BAND_WIDTH = 6.0
FAINT = "#555555"

MANAGER_USER, MANAGER_SYSTEM = "#44546A", "#A9B4C4"
CHILD_USER, CHILD_SYSTEM = "#A6760F", "#E8CF8C"
"""Whose CPU it is, and in which mode: a hue per process, and none that a manager has."""

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

Y_LABELS = {
    Measure.THROUGHPUT: "redos per second",
    Measure.LATENCY: "latency of a redo",
    Measure.LATENCY_P90: "90th percentile of latency",
    Measure.LATENCY_P99: "99th percentile of latency",
    Measure.LATENCY_P99_9: "99.9th percentile of latency",
    Measure.LATENCY_MAX: "greatest latency of a run",
    Measure.TIME_PER_REDO: "time per redo",
    Measure.CPU_TOTAL: "CPU per redo, manager and child",
    Measure.CPU_MANAGER_USER: "CPU per redo, manager, user mode",
    Measure.CPU_MANAGER_SYSTEM: "CPU per redo, manager, system",
    Measure.CPU_CHILD_USER: "CPU per redo, child, user mode",
    Measure.CPU_CHILD_SYSTEM: "CPU per redo, child, system",
}


def _no_position(show: Callable[[float], str]) -> Callable[[float, int | None], str]:
    return lambda value, _position: show(value)


def _short_seconds(value: float) -> str:
    return _without_zeros(units.seconds(value))


def _short_rate(value: float) -> str:
    return _without_zeros(units.rate(value).removesuffix("/s"))


def _without_zeros(text: str) -> str:
    """``20 us`` for ``20.0 us``: ticks are round numbers."""
    number, _, unit = text.partition(" ")
    return f"{float(number):g} {unit}".strip()


Y_FORMATS = {
    one: _no_position(_short_rate if one is Measure.THROUGHPUT else _short_seconds)
    for one in Measure
}


@dataclass(frozen=True, slots=True)
class Look:
    """How one line is drawn; sizes in points."""

    color: str
    linestyle: Any
    width: float
    marker: str
    marker_size: float


TAIL: Mapping[str, Any] = {
    "linestyle": (0, (1, 1.3)),
    "width": 1.3,
    "marker": "",
    "marker_size": 0.0,
}
"""What differs in the line of a p99."""

LONE_POINT: Mapping[str, Any] = {"marker": "_", "marker_size": 14.0}
"""What a line without markers has where it is one point."""

_PEER_MARKERS = {"sync": "p", "async": "X"}
_MORE = (kinds.Look("#CC79A7", "D"), kinds.Look("#E69F00", "v"), kinds.Look("#56B4E9", "P"))
"""For managers without a look of their own."""


def look(manager: str) -> Look:
    """The line of a manager: the same in every figure, whatever else is in it."""
    if manager == FLOOR:
        return Look(FAINT, (0, (5, 2)), 1.3, "", 0.0)
    # A peer has the colour of the suite's own manager that waits alike; its line says what it is.
    as_peer = is_peer(manager)
    name = manager.removeprefix(PEER_PREFIX)
    kind = find(name)
    chosen = None if kind is None else kind.look
    chosen = chosen or _MORE[crc32(manager.encode()) % len(_MORE)]
    if as_peer:
        marker = _PEER_MARKERS.get(name, chosen.marker)
        return Look(chosen.color, "-.", LINE_WIDTH, marker, 5.0)
    return Look(chosen.color, "-", LINE_WIDTH, chosen.marker, 4.0)
