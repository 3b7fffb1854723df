"""Figures as SVG elements of a page, in the page's own colours.

Ids get a prefix, so that pictures of one page do not mix. Colours become CSS variables
(``--c-0072b2`` for #0072B2) with the figure's colour as the fallback, so that a dark page can
choose others. Spots with descriptions lie above the curves. A figure is taken apart into its panels
and the entries of its legend, which the page places by the width of the window. What a figure shows
and how the page looks belongs elsewhere.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from bench.show.pictures import figures, style

_SVG: Final = "http://www.w3.org/2000/svg"
_XLINK: Final = "http://www.w3.org/1999/xlink"
_HREF: Final = f"{{{_XLINK}}}href"

_SIDES: Final = ("width", "height")

_PAD: Final = 2.0
_TICK_PAD: Final = 8.0
_ENTRY_PAD: Final = 4.0
"""Points around a panel, beside its axes for half a tick's label, and behind an entry of a legend,
since a browser's font may be wider."""

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
    """A figure, the spots on it, and for each of its axes the text for readers who cannot see it.

    Axes without a text are left out.
    """

    figure: Figure
    spots: tuple[Spot, ...]
    alternatives: dict[Axes, str]


@dataclass(frozen=True, slots=True)
class Parts:
    """``panels`` and ``key``, the entries of the legend, are ``<svg>`` elements."""

    panels: tuple[str, ...]
    key: tuple[str, ...]


def parts(make: Callable[[], Picture], prefix: str) -> Parts:
    """The panels of a figure, all of one size, and its legend. ``make`` is called within the
    project's style for figures with a panel in each row.

    ``prefix`` begins every id and must differ from that of each other picture of the page.
    The same figure gives the same text.
    """
    file = io.BytesIO()
    with figures.own_style(style.SINGLE_PANELS):
        picture = make()
        figure = picture.figure
        for number, axes in enumerate(picture.alternatives):
            axes.set_gid(f"panel-{number}")
        for number, legend in enumerate(figure.legends):
            legend.set_gid(f"key-{number}")
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
        boxes = _alike([_box(axes, renderer) for axes in picture.alternatives])
    root = ET.fromstring(file.getvalue())
    by_id = {element.get("id"): element for element in root.iter() if element.get("id")}
    shared = root.findall(f"{{{_SVG}}}defs")  # where curves are clipped; any panel may hold them
    keys = [by_id[f"key-{number}"] for number, _ in enumerate(figure.legends)]
    _adapt(root, prefix, kept=keys)
    panels = []
    for number, (axes, text) in enumerate(picture.alternatives.items()):
        drawn = ET.Element(f"{{{_SVG}}}g", {"role": "img", "aria-label": text})
        drawn.extend(shared if number == 0 else [])
        drawn.append(by_id[f"panel-{number}"])
        panel = _element(boxes[number], {"role": "group", "aria-label": text, "class": "picture"})
        panel.append(drawn)
        panel.extend(_spots(figure, [spot for spot in picture.spots if spot.axes is axes]))
        panels.append(ET.tostring(panel, encoding="unicode"))
    key = [
        entry
        for legend, drawn in zip(figure.legends, keys, strict=True)
        for entry in _entries(legend, drawn)
    ]
    return Parts(tuple(panels), tuple(key))


def _adapt(root: ET.Element, prefix: str, kept: Collection[ET.Element]) -> None:
    """Ids and colours become those of the page. What a page does not need goes: most of the text
    is fonts that the page names once, ids to which nothing refers but those ``kept``, and digits
    beyond a hundredth of a point."""
    for parent in list(root.iter()):
        for child in list(parent):
            # Who made it; and rules of style, which would hold for the whole page.
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    referred = set(re.findall(r"#([\w.-]+)", " ".join(_references(root))))
    for element in root.iter():
        if not (element.text or "").strip():
            element.text = None
        element.tail = None
        for name, value in list(element.attrib.items()):
            if name == "id":
                if value in referred or element in kept:
                    element.set(name, f"{prefix}-{value}")
                else:
                    del element.attrib[name]
            elif name == _HREF:
                element.set(name, f"#{prefix}-{value.removeprefix('#')}")
            elif name == "style":
                value = re.sub(r"font-family: [^;]*(; )?", "", value)
                element.set(name, re.sub(r"#([0-9a-f]{6})\b", r"var(--c-\1, #\1)", value))
            else:
                value = re.sub(r"(\.\d\d)\d+", r"\1", value)
                element.set(name, value.replace("url(#", f"url(#{prefix}-"))


def _references(root: ET.Element) -> Iterator[str]:
    """The texts of attributes that refer to an id."""
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == _HREF or "url(#" in value:
                yield value


def _element(box: Bbox, attributes: dict[str, str]) -> ET.Element:
    """An empty ``<svg>`` that shows that part of the figure, in points with y downwards."""
    view = f"{box.x0:.1f} {box.y0:.1f} {box.width:.1f} {box.height:.1f}"
    return ET.Element(f"{{{_SVG}}}svg", {"viewBox": view, **attributes})


def _in_points(figure: Figure, box: Bbox) -> Bbox:
    """A box of the figure's pixels in the units of an SVG, whose y grows downwards."""
    scale, top = 72 / figure.dpi, figure.bbox.height
    return Bbox.from_extents(
        box.x0 * scale, (top - box.y1) * scale, box.x1 * scale, (top - box.y0) * scale
    )


def _box(axes: Axes, renderer: RendererAgg) -> Bbox:
    """The place of a panel with its title and labels."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    if axes.get_xlabel() and axes.get_ylabel():
        # The labels lie beyond those of the ticks, which would take long to measure.
        texts = [axes.xaxis.label, axes.yaxis.label, *axes.get_children()]
        places = [
            text.get_window_extent(renderer)
            for text in texts
            if isinstance(text, Text) and text.get_text()
        ]
        box = Bbox.union([axes.bbox.padded(_TICK_PAD), *places])
    else:
        # Lines stay inside of the axes; texts may not.
        whole = axes.get_tightbbox(renderer, bbox_extra_artists=list(axes.texts))
        assert whole is not None
        box = Bbox(whole)
    return _in_points(figure, Bbox(box.padded(_PAD)))


def _alike(boxes: Sequence[Bbox]) -> list[Bbox]:
    """Boxes of one size that hold these and have the same lower right corners."""
    width, height = (max((getattr(b, side) for b in boxes), default=0) for side in _SIDES)
    return [Bbox.from_extents(b.x1 - width, b.y1 - height, b.x1, b.y1) for b in boxes]


def _entries(legend: Legend, drawn: ET.Element) -> Iterable[str]:
    """Each entry is a window on the whole legend, which the first one holds."""
    figure = legend.get_figure(root=True)
    assert figure is not None
    for number, text in enumerate(legend.get_texts()):
        size = float(text.get_fontsize())
        box = _in_points(figure, text.get_window_extent())
        left = box.x0 - (legend.handlelength + legend.handletextpad) * size - 1
        middle, half = (box.y0 + box.y1) / 2, size * 0.7
        window = Bbox.from_extents(left, middle - half, box.x1 + _ENTRY_PAD, middle + half)
        entry = _element(
            window,
            {
                "class": "entry",
                "role": "img",
                "aria-label": text.get_text(),
                "width": f"{window.width:.1f}pt",
                "height": f"{window.height:.1f}pt",
            },
        )
        if number:
            ET.SubElement(entry, f"{{{_SVG}}}use", {_HREF: f"#{drawn.get('id')}"})
        else:
            entry.append(drawn)
        yield ET.tostring(entry, encoding="unicode")


def _spots(figure: Figure, spots: Sequence[Spot]) -> Iterable[ET.Element]:
    """The tab key reaches the first of them; the page's script moves on from there."""
    width, height = figure.get_size_inches() * 72  # in points, as matplotlib writes an SVG
    to_share = figure.transFigure.inverted()
    lines = list(dict.fromkeys(spot.line for spot in spots))
    for index, spot in enumerate(spots):
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
