"""A report: results as one page that needs nothing else.

Gathers what the template shows, as plain data; the template decides how it looks. Sentences come
from `verdict` and the views, pictures from `charts`, warnings from `notes`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bench.cases.names import BASE
from bench.errors import BenchError
from bench.results.key import PREFIX, Value
from bench.results.keys import find
from bench.results.suite_file import check_no_result, write_atomically
from bench.results.summary import CaseRow, Estimate, Group, Summary, measure_of
from bench.show import comparison as comparison_output
from bench.show import units, verdict
from bench.show.findings import HEADINGS
from bench.show.notes import notes
from bench.show.page import charts
from bench.show.page.charts import Chart
from bench.show.summary import throughput_ratio
from bench.show.view import Reading, View
from bench.statistics.comparison import DECISIVE, MEASURES, CaseComparison, Comparison, compare
from bench.statistics.effects import Effect

_ABSENT: Final = "-"
_TABLE_WIDTH: Final = 100
"""Columns of the terminal that tables of experiments need."""

_CONFIG: Final = "redo_config"
"""Shown in a table of its own."""

_TEMPLATE: Final = "report.html.j2"
_SHOW: Final[dict[str, Callable[[float], str]]] = {
    measure: units.rate if measure == "throughput_per_s" else units.seconds for measure in MEASURES
}


@dataclass(frozen=True, slots=True)
class Cell:
    """``value``: what a column is sorted by, None in an empty cell. ``spread``: smaller text beside
    the text."""

    text: str
    value: float | str | None
    spread: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a table: the name, then the cells. ``marked``: there is a warning about it."""

    name: str
    manager: str
    workload: str
    cells: tuple[Cell, ...]
    marked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A table that sorts and filters. ``headings`` are those of the cells, without the name's."""

    ident: str
    caption: str
    headings: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def managers(self) -> list[str]:
        """To choose from."""
        return list(dict.fromkeys(line.manager for line in self.lines))

    @property
    def workloads(self) -> list[str]:
        """To choose from."""
        return list(dict.fromkeys(line.workload for line in self.lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What a view shows."""

    name: str
    sentences: tuple[str, ...]
    charts: tuple[Chart, ...]
    tables: str
    reading: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One result file. ``facts`` and ``settings`` are names and values."""

    ident: str
    source: str
    measured: str
    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    charts: tuple[Chart, ...]
    further: tuple[Chart, ...]
    experiments: tuple[Experiment, ...]
    listing: Listing
    facts: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Two files. ``refused`` says why they do not compare; then there is no table."""

    ident: str
    title: str
    refused: str
    warnings: tuple[str, ...]
    sentences: tuple[str, ...]
    reading: str
    charts: tuple[Chart, ...]
    listing: Listing | None


def page(readings: Sequence[Reading], *, other_conditions: bool = False) -> str:
    """The whole page, for at least one result. Each further result is compared with the first; with
    ``other_conditions`` even if their conditions differ. The same results give the same page."""
    base, *others = readings
    environment = Environment(
        loader=PackageLoader("bench.show.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(_TEMPLATE).render(
        title=", ".join(reading.summary.source for reading in readings),
        comparisons=[
            _compared(
                compare(base.summary, other.summary),
                f"compared-{index}",
                other_conditions=other_conditions,
            )
            for index, other in enumerate(others, 1)
        ],
        parts=[_part(reading, f"result-{index}") for index, reading in enumerate(readings, 1)],
    )


# One result


def _part(reading: Reading, ident: str) -> Part:
    summary, ordinary = reading.summary, reading.ordinary
    environment = summary.environment
    count = len(summary.rounds)
    return Part(
        ident=ident,
        source=summary.source,
        measured=(
            f"commit {environment.version}, profile {environment.profile}, "
            f"{count} round{'' if count == 1 else 's'}, {environment.suite_date}, "
            f"on {environment.cpu_model}, {environment.kernel}"
        ),
        sentences=verdict.sentences(ordinary),
        notes=tuple(note.text for note in notes(summary)),
        charts=tuple(charts.curves(ordinary, ident)),
        further=tuple(charts.further_curves(ordinary, ident)),
        experiments=tuple(_experiment(view, summary, ident) for view in reading.views),
        listing=_listing(summary, f"{ident}-table"),
        facts=_facts(summary),
        settings=_settings(summary),
    )


def _experiment(view: View, summary: Summary, ident: str) -> Experiment:
    """What a view shows: its last text is how to read it, those before are findings."""
    *shown, reading = list(view.tables(summary)) or [Text("")]
    return Experiment(
        name=view.name.replace("_", " "),
        sentences=tuple(
            line for part in shown if _is_sentence(part) for line in _plain(part, None).splitlines()
        ),
        charts=tuple(charts.of_view(view, summary, f"{ident}-{view.name}")),
        tables="\n\n".join(_titled(shown)),
        reading=_plain(reading, None),
    )


def _titled(shown: Sequence[RenderableType]) -> Iterator[str]:
    """The tables. A table without a title gets the head of the sentence before it."""
    head = ""
    for part in shown:
        if _is_sentence(part):
            head = _plain(part, None).partition(":")[0]
        elif isinstance(part, Table) and part.title is None and head:
            yield f"{head}\n{_plain(part, _TABLE_WIDTH)}"
        else:
            yield _plain(part, _TABLE_WIDTH)


def _is_sentence(shown: RenderableType) -> bool:
    return isinstance(shown, Text) or (isinstance(shown, Table) and not shown.show_header)


def _plain(shown: RenderableType, width: int | None) -> str:
    """As text; without a width, of any width."""
    console = Console(file=io.StringIO(), width=width or 10_000, color_system=None, emoji=False)
    with console.capture() as captured:
        console.print(shown, crop=False)
    lines = (line.rstrip() for line in captured.get().splitlines())
    return "\n".join(lines).strip("\n").removeprefix("- ")


def _listing(summary: Summary, ident: str) -> Listing:
    marked = {note.case for note in notes(summary)}
    lines = [
        _line(group, row, row.case in marked) for group in summary.groups() for row in group.rows
    ]
    return Listing(
        ident=ident,
        caption="Every case: medians over the runs, with the spread between them; to sync: the"
        " geometric mean with its 95 % interval",
        headings=("N", *(HEADINGS[measure] for measure in MEASURES), f"redo/s to {BASE}", "rounds"),
        lines=tuple(lines),
    )


def _line(group: Group, row: CaseRow, marked: bool) -> Line:
    clients = row.case.clients
    return Line(
        name=row.case.name,
        manager=row.case.manager,
        workload=row.case.workload,
        cells=(
            Cell(str(clients), clients),
            *(_cell(measure_of(row, measure), _SHOW[measure]) for measure in MEASURES),
            _ratio_cell(throughput_ratio(group, row, BASE)),
            Cell(str(len(row.rounds)), len(row.rounds)),
        ),
        marked=marked,
    )


def _cell(estimate: Estimate | None, show: Callable[[float], str]) -> Cell:
    if estimate is None:
        return Cell(_ABSENT, None)
    spread = "" if estimate.spread is None else f"{show(estimate.low)} to {show(estimate.high)}"
    return Cell(show(estimate.median), estimate.median, spread)


def _ratio_cell(effect: Effect | None) -> Cell:
    if effect is None:
        return Cell(_ABSENT, None)
    spread = ""
    if effect.low is not None and effect.high is not None:
        spread = f"{units.factor(effect.low)} to {units.factor(effect.high)}"
    return Cell(units.factor(effect.ratio), effect.ratio, spread)


def _facts(summary: Summary) -> tuple[tuple[str, str], ...]:
    """What the suite knows of machine and code, then pyperf's metadata common to all runs."""
    own = {key: value for key, value in summary.environment.to_metadata().items() if key != _CONFIG}
    found = {key: value for key, value in summary.metadata.items() if not key.startswith(PREFIX)}
    return tuple(
        (key.removeprefix(PREFIX).replace("_", " "), _fact(key, value))
        for key, value in (own | found).items()
        if value is not None
    )


def _fact(name: str, value: Value) -> str:
    key = find(name)
    return str(value) if key is None else units.formatted(key, value)


def _settings(summary: Summary) -> tuple[tuple[str, str], ...]:
    config: dict[str, Any] = json.loads(summary.environment.config_json)
    return tuple((name.replace("_", " "), _setting(value)) for name, value in config.items())


def _setting(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_setting, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_setting(inner)}" for name, inner in value.items())
    return _ABSENT if value in (None, "") else str(value)


# Two results


def _compared(comparison: Comparison, ident: str, *, other_conditions: bool) -> Compared:
    refused = _refused(comparison, other_conditions=other_conditions)
    return Compared(
        ident=ident,
        title=f"{comparison_output.source_text(comparison)}: changed / base",
        refused=refused,
        warnings=() if refused else tuple(comparison_output.warnings(comparison)),
        sentences=() if refused else tuple(comparison_output.result_lines(comparison)),
        reading=comparison_output.HOW_TO_READ,
        charts=()
        if refused
        else tuple(charts.before_and_after(comparison.base, comparison.changed, ident)),
        listing=None if refused else _changes(comparison, f"{ident}-table"),
    )


def _refused(comparison: Comparison, *, other_conditions: bool) -> str:
    """Why they do not compare, as the command `compare` has it; empty if they do."""
    if not comparison.cases:
        return "They have no case in common."
    if comparison.differences and not other_conditions:
        differences = "; ".join(text.replace(" | ", ", then ") for text in comparison.differences)
        return (
            f"They were not measured under the same conditions ({differences}), so they do not"
            " compare; report --other-conditions compares them all the same."
        )
    return ""


def _changes(comparison: Comparison, ident: str) -> Listing:
    return Listing(
        ident=ident,
        caption="Ratios, changed / base, with their 95 % intervals; of times less is better",
        headings=(*(HEADINGS[measure] for measure in MEASURES), "verdict", "shows"),
        lines=tuple(map(_change, comparison.cases)),
    )


def _change(compared: CaseComparison) -> Line:
    decisive = compared.measures.get(DECISIVE)
    smallest = None if decisive is None else decisive.effect.smallest_shown
    ratios = (compared.measures.get(measure) for measure in MEASURES)
    text = comparison_output.verdict_text(decisive)
    return Line(
        name=compared.case.name,
        manager=compared.case.manager,
        workload=compared.case.workload,
        cells=(
            *(
                Cell(comparison_output.ratio_text(r), None if r is None else r.effect.ratio)
                for r in ratios
            ),
            Cell(text, text),
            Cell(comparison_output.smallest_text(decisive), smallest),
        ),
    )


def check_page(place: Path, *, of: Sequence[Path], overwrite: bool) -> None:
    """Raises BenchError if no page can be written there: if it is a folder, one of the results that
    the page is of, or, unless ``overwrite``, any file."""
    if place.is_dir():
        raise BenchError(f"{place}: is a folder: name a file, as {place / 'report.html'}")
    there = [path for path in of if path.exists()]
    if place in of or (place.exists() and any(map(place.samefile, there))):
        raise BenchError(f"{place}: is the result itself: name another page, or another result")
    check_no_result(place)
    if place.exists() and not overwrite:
        raise BenchError(f"{place}: is there already: use --force, or another name")


def write_page(place: Path, readings: Sequence[Reading], *, other_conditions: bool = False) -> None:
    """Writes the page, over any file there; ``other_conditions`` as in `page`. Raises
    ResultFileError."""
    text = page(readings, other_conditions=other_conditions)
    write_atomically(place, text.encode("utf-8"))
