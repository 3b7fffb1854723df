"""A figure as an SVG element of a page, in the page's own colours.

Ids get a prefix, so that pictures of one page do not mix. Colours become CSS variables
(``--c-0072b2`` for #0072B2) with the figure's colour as the fallback, so that a dark page can
choose others. Spots with descriptions lie above the curves. What a figure shows and how the page
looks belongs elsewhere.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.show.pictures import style

_SVG: Final = "http://www.w3.org/2000/svg"
_XLINK: Final = "http://www.w3.org/1999/xlink"

ET.register_namespace("", _SVG)
ET.register_namespace("xlink", _XLINK)


@dataclass(frozen=True, slots=True)
class Spot:
    """A point of a curve with a description: ``x`` and ``y`` in the units of the axes; spots of one
    ``line`` belong together."""

    axes: Axes
    x: float
    y: float
    line: str
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure, the spots on it, and the text for readers who cannot see it."""

    figure: Figure
    spots: tuple[Spot, ...] = ()
    alternative: str = ""


def inline(make: Callable[[], Picture], prefix: str) -> str:
    """An ``<svg>`` element. ``make`` is called within the project's style.

    ``prefix`` begins every id and must differ from that of each other picture of the page.
    The same figure gives the same text.
    """
    file = io.BytesIO()
    with mpl.rc_context(style.RC):
        picture = make()
        picture.figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    root = ET.fromstring(file.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            # Who made it; and rules of style, which would hold for the whole page.
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, f"{prefix}-{value}")
            elif name == f"{{{_XLINK}}}href":
                element.set(name, f"#{prefix}-{value.removeprefix('#')}")
            elif name == "style":
                element.set(name, re.sub(r"#([0-9a-f]{6})\b", r"var(--c-\1, #\1)", value))
            else:
                element.set(name, value.replace("url(#", f"url(#{prefix}-"))
    drawn = ET.Element(f"{{{_SVG}}}g", {"role": "img", "aria-label": picture.alternative})
    drawn.extend(list(root))
    for child in list(root):
        root.remove(child)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "group", "aria-label": picture.alternative, "class": "picture"}
    root.append(drawn)
    root.extend(_spots(picture))
    return ET.tostring(root, encoding="unicode")


def _spots(picture: Picture) -> Iterable[ET.Element]:
    """The tab key reaches the first of them; the page's script moves on from there."""
    figure = picture.figure
    width, height = figure.get_size_inches() * 72  # in points, as matplotlib writes an SVG
    to_share = figure.transFigure.inverted()
    lines = list(dict.fromkeys(spot.line for spot in picture.spots))
    for index, spot in enumerate(picture.spots):
        at = to_share.transform(spot.axes.transData.transform((spot.x, spot.y)))
        center = {"cx": f"{at[0] * width:.1f}", "cy": f"{(1 - at[1]) * height:.1f}"}
        point = ET.Element(
            f"{{{_SVG}}}g",
            {
                "class": "spot",
                "role": "img",
                "tabindex": "-1" if index else "0",
                "aria-label": spot.text,
                "data-line": str(lines.index(spot.line)),
                "data-x": f"{spot.x:g}",
            },
        )
        ET.SubElement(point, f"{{{_SVG}}}title").text = spot.text
        # The area that a mouse or a finger hits, and the ring that marks the spot.
        for kind, radius in (("hit", "9"), ("ring", "5")):
            ET.SubElement(point, f"{{{_SVG}}}circle", {"class": kind, "r": radius, **center})
        yield point
