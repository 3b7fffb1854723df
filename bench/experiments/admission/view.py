"""Admissions to a read path side by side: what each bounds, and at which price.

Shows the cases that have a read path: a table per load, its sentences, and a figure of bars.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rich.console import RenderableType
from rich.text import Text

from bench.cases.case import Case
from bench.cases.notations import OVER_BUDGET, UNLIMITED, Admission
from bench.results.keys import WORKER_PEAK_RSS
from bench.results.measures import admission as measures
from bench.results.summary import CaseRow, Estimate, Summary, manager_order
from bench.show import columns, fields, units
from bench.show.families import alike, differing, title, to_base
from bench.show.fields import field_data, field_table
from bench.show.findings import Measure
from bench.show.layout import hanging
from bench.show.pictures import style
from bench.statistics.effects import Effect

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEGEND: Final = (
    "A read collects data, redoes and frees it; reads/s, p50 and p99 are of whole reads, from the"
    " wish for a page to the page, waits at semaphores included; redo p99 is of the redo only."
    " before:K is taken before the data is collected, after:K once it is there, both:D,K are one of"
    " each. Medians over the runs; +-: half the spread over the runs. /unlim: throughput divided"
    " by that without a limit, round by round. held: the most data held at once;"
    f" {OVER_BUDGET}: the next read would have held more than the budget, and the run was ended."
    " in redo: the most redos in flight."
    " idle: share of time with none, when the child had nothing to do."
)
_BARS: Final = 0.8
"""Width of all bars of one admission, where 1 is the distance to the next."""


@dataclass(frozen=True, slots=True)
class Line:
    """One admission of one manager. ``to_unlimited``: the ratio of its throughput to that without a
    limit; None for the latter, and where one has no result. ``over_budget``: in how many rounds it
    exceeded the budget."""

    row: CaseRow
    to_unlimited: Effect | None
    over_budget: int

    @property
    def admission(self) -> str:
        return self.row.case.admission

    @property
    def held(self) -> Estimate | None:
        """The most data held at once."""
        return self.row.further.get(measures.HELD_PEAK)

    @property
    def idle(self) -> Estimate | None:
        """The share of time in which the child had nothing to do."""
        return self.row.further.get(measures.CHILD_IDLE)

    @property
    def bounds_memory(self) -> bool | None:
        """Whether fewer clients than there are held data at once, in every run; None if unknown."""
        return self._stays_below_all(measures.COLLECTING_PEAK)

    @property
    def bounds_redos(self) -> bool | None:
        """Whether fewer redos than there are clients were in flight at once, in every run."""
        return self._stays_below_all(measures.REDOING_PEAK)

    def _stays_below_all(self, key: str) -> bool | None:
        peaks = self.row.further.get(key)
        if peaks is None:
            return None
        return max(value for _, value in peaks.by_round) < self.row.case.clients


@dataclass(frozen=True, slots=True)
class Panel:
    """The admissions at one load: lines by manager, then by what they limit."""

    title: str
    clients: int
    budget_bytes: int
    lines: tuple[Line, ...]

    @property
    def managers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(line.row.case.manager for line in self.lines))

    def of(self, manager: str) -> list[Line]:
        return [line for line in self.lines if line.row.case.manager == manager]


def panels(summary: Summary) -> list[Panel]:
    """One per workload, further dimensions and N."""
    config = json.loads(summary.environment.config_json)
    budget_bytes = int(config.get("read_path", {}).get("budget_bytes", 0))
    with_read_path = differing((row.case for row in summary.rows), "admission")
    rows = [row for group in summary.groups() for row in group.rows if row.case in with_read_path]
    found = [
        Panel(title(load), load.clients, budget_bytes, _lines(members, summary))
        for load, members in alike(rows, "manager", "admission").items()
    ]
    return sorted(found, key=lambda panel: (panel.title, panel.clients))


def _lines(rows: Collection[CaseRow], summary: Summary) -> tuple[Line, ...]:
    unlimited = {row.case.manager: row for row in rows if row.case.admission == UNLIMITED}
    over = Counter(failure.case for failure in summary.failures if failure.over_budget is not None)

    def order(row: CaseRow) -> tuple[object, ...]:
        return manager_order(row.case.manager), _by_limit(row.case.admission)

    return tuple(
        Line(
            row,
            to_base(row, unlimited.get(row.case.manager), Measure.THROUGHPUT.of),
            over[row.case],
        )
        for row in sorted(rows, key=order)
    )


def _by_limit(admission: str) -> tuple[bool, bool, int, int, int]:
    """Sort key: without a limit first, then those on the data, on the redo, on both."""
    limit = Admission.parse(admission)
    data, redo = limit.data or 0, limit.redo or 0
    return bool(data and redo), bool(redo), data + redo, data, redo


def verdict(panel: Panel, manager: str) -> str:
    """What each admission bounds and what that costs, as one sentence."""
    lines = panel.of(manager)
    over = [line.admission for line in lines if line.over_budget]
    budget = units.size(panel.budget_bytes)
    parts = [f"{_and(over)} run over the budget of {budget}"] if over else []
    parts += filter(None, map(_bounds, lines))
    return f"{manager}, N = {panel.clients}: {'; '.join(parts) or 'no result'}."


def finding(panel: Panel) -> str:
    """A title: which admissions exceed the budget, and the fastest of those that bound memory."""
    over = {line.admission for line in panel.lines if line.over_budget}
    fastest: dict[str, list[str]] = {}
    for manager in panel.managers:
        bounded = [
            (line.row.throughput_per_s.median, line)
            for line in panel.of(manager)
            if line.bounds_memory and line.row.throughput_per_s is not None
        ]
        if bounded:
            _, best = max(bounded, key=lambda pair: pair[0])
            effect = best.to_unlimited
            price = "" if effect is None else f" {units.factor(effect.ratio)} of {UNLIMITED}"
            fastest.setdefault(best.admission, []).append(f"{manager}{price}")
    parts = [f"{_and(sorted(over, key=_by_limit))} over budget"] if over else []
    best_of = [f"{admission} ({', '.join(who)})" for admission, who in fastest.items()]
    parts.append(f"memory bounded fastest by {_and(best_of)}" if best_of else "memory not bounded")
    return f"N = {panel.clients}: {'; '.join(parts)}"


def _bounds(line: Line) -> str | None:
    memory, redos = line.bounds_memory, line.bounds_redos
    if memory is None or redos is None or line.held is None or line.idle is None:
        return None
    what = {
        (True, True): "bounds memory and redos in flight",
        (True, False): "bounds memory",
        (False, True): "bounds redos in flight only",
        (False, False): "bounds neither",
    }[memory, redos]
    price, effect = "", line.to_unlimited
    if effect is not None:
        bounds = ""
        if effect.low is not None and effect.high is not None:
            bounds = f" ({effect.low:.2f}-{effect.high:.2f})"
        price = f", {units.factor(effect.ratio)}{bounds} of {UNLIMITED}'s throughput"
    held, idle = units.size(line.held.median), f"child idle {line.idle.median:.0%}"
    return f"{line.admission} {what}: {held} held{price}, {idle}"


def _and(names: Collection[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


class AdmissionView:
    """`View` of every case that has a read path."""

    name = "admission"
    pictures: tuple[str, ...] = ("admission",)

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        return differing(cases, "admission")

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        found = panels(summary)
        for panel in found:
            for manager in panel.managers:
                yield hanging("- ", verdict(panel, manager), "")
        for panel in found:
            yield field_table(panel.lines, _FIELDS, f"{panel.title}, N = {panel.clients}")
        yield Text(_LEGEND, style="dim")

    def data(self, summary: Summary) -> Any:
        """A list of loads. Peaks in bytes and counts, times in seconds, shares of 1."""
        return [
            {
                "group": panel.title,
                "clients": panel.clients,
                "budget_bytes": panel.budget_bytes or None,
                "verdicts": {name: verdict(panel, name) for name in panel.managers},
                "cases": field_data(panel.lines, _FIELDS),
            }
            for panel in panels(summary)
        ]

    def figure(self, picture: str, summary: Summary) -> Figure:
        from bench.show.pictures import figures
        from bench.show.pictures.sheet import Sheet, footer

        assert picture in self.pictures
        found = panels(summary)
        looks = style.looks(name for panel in found for name in panel.managers)
        sheet = Sheet.of(found, partial(_draw, looks=looks), finding)
        sheet.label_left("reads per second")
        legend = [
            figures.legend_entry(name, replace(look.bare, width=style.BAND_WIDTH))
            for name, look in looks.items()
        ]
        return sheet.framed(legend, footer(summary))


def _further(key: str) -> Callable[[Line], Estimate | None]:
    return lambda line: line.row.further.get(key)


def _p50(line: Line) -> Estimate | None:
    return line.row.latency_p50_s


_FIELDS: Final[list[fields.Field[Line]]] = [
    fields.only_data("name", lambda line: line.row.case.name),
    fields.words("manager", lambda line: line.row.case.manager, is_group=True),
    fields.words("admission", lambda line: line.admission),
    fields.only_data("throughput_to_unlimited", lambda line: line.to_unlimited),
    fields.only_data("over_budget_runs", lambda line: line.over_budget),
    fields.only_data("bounds_memory", lambda line: line.bounds_memory),
    fields.only_data("bounds_redos", lambda line: line.bounds_redos),
    fields.measure(
        "reads/s", lambda line: line.row.throughput_per_s, columns.rates, key="throughput_per_s"
    ),
    fields.spread(lambda line: line.row.throughput_per_s),
    fields.ratio("/unlim", lambda line: line.to_unlimited),
    fields.measure("p50", _p50, key="latency_p50_s"),
    fields.percentile("p99", lambda line: line.row.latency_p99_s, beside=_p50, key="latency_p99_s"),
    fields.only_data("redo_p50_s", _further(measures.REDO_P50)),
    fields.percentile("redo p99", _further(measures.REDO_P99), beside=_p50, key="redo_p99_s"),
    fields.measure(
        "held",
        lambda line: line.held,
        columns.sizes,
        instead=lambda line: OVER_BUDGET if line.over_budget else "",
        style_of=lambda line: "yellow" if line.over_budget else "",
        key="held_peak_bytes",
    ),
    fields.only_data("collecting_peak", _further(measures.COLLECTING_PEAK)),
    fields.measure(
        "in redo", _further(measures.REDOING_PEAK), columns.plain(0), key="redoing_peak"
    ),
    fields.measure("idle", lambda line: line.idle, columns.shares, key="child_idle_share"),
    fields.only_data("worker_peak_rss_bytes", _further(WORKER_PEAK_RSS)),
]


def _draw(axes: Axes, panel: Panel, looks: Mapping[str, style.Look]) -> None:
    """Bars of throughput, by admission; above each how idle its child was, below what was held."""
    from matplotlib.ticker import FuncFormatter

    from bench.show.pictures import figures

    admissions = sorted({line.admission for line in panel.lines}, key=_by_limit)
    width = _BARS / len(panel.managers)
    marks: list[tuple[float, float, str]] = []
    for number, manager in enumerate(panel.managers):
        for line in panel.of(manager):
            x = admissions.index(line.admission) + (number + 0.5) * width - _BARS / 2
            _bar(axes, x, width, line, looks[manager].color)
            if (reads := line.row.throughput_per_s) is not None:
                text = f"{manager}, {line.admission}: reads {figures.described(reads, units.rate)}"
                text += f", {units.size(line.held.median)} held" if line.held else ""
                text += f", child idle {line.idle.median:.0%}" if line.idle else ""
                marks.append((x, reads.median, text))
    figures.describe(axes, marks)
    axes.set_xticks(range(len(admissions)), [_label(panel, name) for name in admissions])
    axes.set_xlim(-0.6, len(admissions) - 0.4)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.1)  # room for what stands above the bars
    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_formatter(FuncFormatter(style.Y_FORMATS[Measure.THROUGHPUT]))
    axes.set_xlabel(f"admission, and the most data held ({panel.title})")


def _bar(axes: Axes, x: float, width: float, line: Line, color: str) -> None:
    throughput = line.row.throughput_per_s
    if throughput is None:
        why = OVER_BUDGET if line.over_budget else "no result"
        at = axes.get_xaxis_transform()
        axes.text(x, 0.03, why, transform=at, rotation=90, ha="center", color=color)
        return
    axes.bar(x, throughput.median, width * 0.92, color=color)
    axes.vlines(x, throughput.low, throughput.high, color=style.FAINT, linewidth=1.2)
    if line.idle is not None:
        text = f"idle\n{line.idle.median:.0%}"
        axes.text(x, throughput.high, text, ha="center", va="bottom", fontsize=style.FOOTER_SIZE)


def _label(panel: Panel, admission: str) -> str:
    held = [line.held.median for line in panel.lines if line.admission == admission and line.held]
    return f"{admission}\n{units.size(max(held)) if held else columns.ABSENT}"
