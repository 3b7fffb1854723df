"""A report: results as one page that needs nothing else.

Gathers what the template shows, as plain data; the template decides how it looks. Sentences come
from `verdict` and the views, pictures from `charts`, warnings from `notes`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bench.cases.case import Case
from bench.cases.managers.registry import competes
from bench.cases.names import BASE
from bench.errors import BenchError
from bench.results.disturbance import disturbed_rounds
from bench.results.key import PREFIX
from bench.results.keys import find
from bench.results.row import Measure
from bench.results.suite_file import check_no_result, write_atomically
from bench.results.summary import CaseRow, Group, Summary
from bench.show import comparison as comparison_output
from bench.show import units
from bench.show.columns import ABSENT
from bench.show.fields import Field
from bench.show.findings import HEADINGS
from bench.show.notes import disturbed_line, notes, rounds_text
from bench.show.over_clients import CROSSOVERS_READ, crossovers_table
from bench.show.page import charts
from bench.show.side_by_side import HOW_TO_READ, SHOWN, Answer, of_one_machine, side_by_side
from bench.show.side_by_side_table import result_fields
from bench.show.summary import throughput_ratio
from bench.show.tails import tails_shown
from bench.show.verdict import Amount, Mark, Verdict, verdict_of
from bench.show.verdict_table import (
    amounts_title,
    manager_field,
    marks_read,
    naming_fields,
    reach_fields,
    row_amount,
)
from bench.show.view import Reading, View
from bench.statistics.comparison import DECISIVE, MEASURES, CaseComparison, Comparison, compare
from bench.statistics.effects import Effect

_MEASURES: Final = tuple(map(Measure.of_field, MEASURES))
_MOST_NAMES: Final = 4
_HEADINGS: Final = tuple(HEADINGS[measure] for measure in MEASURES)

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Heading:
    """Of a column. ``is_words``: aligned to the left, as numbers are to the right."""

    text: str
    is_words: bool = False


_CASE: Final = Heading("case", is_words=True)


@dataclass(frozen=True, slots=True)
class Cell:
    """``value``: what a column is sorted by, None in an empty cell. ``spread``: smaller text beside
    the text. ``mark``: whether it is significantly better or worse."""

    text: str
    value: float | str | None
    spread: str = ""
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a table, one case. ``marked``: there is a warning about it. ``disturbed``: the
    most that others took of the CPUs during one of its disturbed runs, or nothing."""

    case: Case
    cells: tuple[Cell, ...]
    marked: bool = False
    disturbed: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A small table of texts; the first cell of a row names it."""

    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """A table of answers to "faster than sync?"; the first cell of a row names it. Each group of
    rows has a title, or none. ``reading``: how to read the marks."""

    caption: str
    headings: tuple[Heading, ...]
    groups: tuple[tuple[str, tuple[tuple[Cell, ...], ...]], ...]
    reading: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A table that sorts and filters. ``headings``: of the case, then of the cells."""

    ident: str
    caption: str
    headings: tuple[Heading, ...]
    lines: tuple[Line, ...]

    @property
    def choices(self) -> dict[str, list[str]]:
        """What the lines can be filtered by: dimension -> its values."""
        return {
            name: list(dict.fromkeys(getattr(line.case, name) for line in self.lines))
            for name in ("manager", "workload")
        }


def page(readings: Sequence[Reading], *, other_conditions: bool = False) -> str:
    """The whole page, for at least one result. Each further result is compared with the first,
    unless it is put beside it as one of another machine; with ``other_conditions`` even then, and
    even if their conditions differ. The same results give the same page."""
    base, *others = readings
    beside = _side_by_side(readings) if others else None
    compared = [
        compare(base.summary, other.summary)
        for other in others
        if beside is None or other_conditions or of_one_machine(base.summary, other.summary)
    ]
    environment = Environment(
        loader=PackageLoader("bench.show.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        title=_title(readings),
        side_by_side=beside,
        comparisons=[
            _compared(one, f"compared-{index}", other_conditions)
            for index, one in enumerate(compared, 1)
        ],
        parts=[_part(reading, f"result-{index}") for index, reading in enumerate(readings, 1)],
    )


def _title(readings: Sequence[Reading]) -> str:
    """As ``Throughput and latency of sync and async: short requests, 1 to 64 concurrent
    clients``."""
    summaries = [reading.summary for reading in readings]
    what = "Throughput and latency of"
    if not any(reading.ordinary.rows for reading in readings):
        views = dict.fromkeys(view.name for reading in readings for view in reading.views)
        what = f"Experiment {_listed([name.replace('_', ' ') for name in views], 'kinds')} with"
    cases = [row.case for summary in summaries for row in summary.rows]
    if not cases:
        return "No case was measured"
    names = dict.fromkeys(name for summary in summaries for name in summary.managers)
    managers = [name for name in names if competes(name)] or list(names)
    groups = [group for summary in summaries for group in summary.groups()]
    workloads = list(dict.fromkeys(group.workload for group in groups))
    lowest, highest = (of(case.clients for case in cases) for of in (min, max))
    clients = units.counted(highest, "concurrent client")
    return (
        f"{what} {_listed(managers, 'managers')}:"
        f" {_listed(workloads, 'kinds of')} requests,"
        f" {clients if lowest == highest else f'{lowest} to {clients}'}"
    )


def _listed(names: Sequence[str], many: str) -> str:
    """As ``a, b and c``, or how many."""
    if len(names) > _MOST_NAMES:
        return f"{len(names)} {many}"
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _side_by_side(readings: Sequence[Reading]) -> dict[str, Any] | None:
    """The same question in each result, as side_by_side.html.j2 takes it; None if no two results
    can answer one. Raises BenchError if they have no case in common."""
    found = side_by_side(readings)
    if not found.questions:
        return None
    fields = list(result_fields(lambda answer: answer.result.machine))
    amounts = {heading: partial(Answer.amount, heading=heading) for heading in SHOWN}
    groups = [(question.title, question.answers) for question in found.questions]
    return {
        "sentences": found.sentences,
        "notes": found.notes,
        "results": [(result.label, result.measured) for result in found.results],
        "table": _answers(f"Ratio to {BASE} (95 % CI)", groups, fields, amounts),
        "reading": HOW_TO_READ,
    }


def _answers(
    caption: str,
    groups: Sequence[tuple[str, Sequence[R]]],
    fields: Sequence[Field[R]],
    amounts: Mapping[str, Callable[[R], Amount | None]],
) -> Answers:
    """``groups``: titles, each with its rows. ``fields`` come before the ``amounts``, which are by
    heading."""
    headings = [Heading(field.heading or "", field.is_words) for field in fields]
    headings += map(Heading, amounts)

    def lines(rows: Sequence[R]) -> Iterator[tuple[Cell, ...]]:
        texts = (field.cells(rows).texts for field in fields)
        for row, of_row in zip(rows, zip(*texts, strict=True), strict=True):
            found = (_amount_cell(amount_of(row)) for amount_of in amounts.values())
            yield (*(Cell(text, None) for text in of_row), *found)

    return Answers(
        caption,
        tuple(headings),
        tuple((title, tuple(lines(rows))) for title, rows in groups),
        marks_read(of(row) for _, rows in groups for row in rows for of in amounts.values()),
    )


def _part(reading: Reading, ident: str) -> dict[str, Any]:
    """One result, as the template takes it. ``facts`` and ``settings`` are names and values.

    The hero is the throughput and latency with no further dimension, or with the first one.
    """
    summary, ordinary = reading.summary, reading.ordinary
    environment = summary.environment
    marks = notes(summary)
    marked = {note.case for note in marks}
    groups = charts.measured(ordinary)
    hero = [group for group in groups if group.extra == groups[0].extra]
    others = [group for group in groups if group not in hero]
    verdict = verdict_of(ordinary)
    crossed = crossovers_table(ordinary)
    known = {row.case for row in ordinary.rows} & reading.distributions.keys()
    distributions = {case: reading.distributions[case] for case in known}
    return {
        "ident": ident,
        "source": summary.source,
        "measured": (
            f"commit {environment.version}, profile {environment.profile}, "
            f"{rounds_text(summary)}, {environment.suite_date}, "
            f"on {environment.cpu_model}, {environment.kernel}"
        ),
        "disturbed": disturbed_line(summary),
        "sentences": verdict.sentences,
        "verdict": _verdict_table(verdict) if verdict.rows else None,
        "notes": [note.text for note in marks],
        "are_curves": charts.are_curves(groups),
        "hero": list(charts.curves(hero, ordinary, ident)),
        "others": list(charts.curves(others, ordinary, f"{ident}-other")),
        "further": list(charts.further_curves(ordinary, ident)),
        "crossovers": None if crossed is None else _grid(crossed),
        "crossovers_read": CROSSOVERS_READ,
        "distributions": list(charts.of_distributions(ordinary, distributions, ident)),
        "tails": _shown(tails_shown(ordinary, distributions)) if distributions else None,
        "experiments": [_experiment(view, summary, ident) for view in reading.views],
        "listing": Listing(
            f"{ident}-table",
            "Every case: medians over the runs, with the spread between them; to sync: the"
            " geometric mean with its 95 % CI",
            (_CASE, *map(Heading, ("N", *_HEADINGS, f"redo/s to {BASE}", "rounds"))),
            tuple(
                _line(group, row, row.case in marked)
                for group in summary.groups()
                for row in group.rows
            ),
        ),
        "facts": list(_facts(summary)),
        "settings": [
            (name.replace("_", " "), _setting(value))
            for name, value in json.loads(summary.environment.config_json).items()
        ],
    }


def _verdict_table(verdict: Verdict) -> Answers:
    rows = verdict.rows
    fields = [manager_field(), *naming_fields(rows), *reach_fields(verdict)]
    _, *headings = verdict.headings
    amounts = {heading: partial(row_amount, at=at) for at, heading in enumerate(headings)}
    return _answers(amounts_title(rows), [("", rows)], fields, amounts)


def _amount_cell(amount: Amount | None) -> Cell:
    if amount is None:
        return Cell(ABSENT, None)
    return replace(_ratio_cell(amount.effect), mark=amount.mark)


def _experiment(view: View, summary: Summary, ident: str) -> dict[str, Any]:
    return {
        "ident": f"{ident}-{view.name.replace('_', '-')}",
        "name": view.name.replace("_", " "),
        "charts": list(charts.of_view(view, summary, f"{ident}-{view.name}")),
        **_shown(view.tables(summary)),
    }


def _shown(tables: Iterable[RenderableType]) -> dict[str, Any]:
    """What the terminal shows: its last text is how to read it, those before are findings."""
    *shown, reading = list(tables) or [Text("")]
    return {
        "sentences": [
            line for part in shown if _is_sentence(part) for line in _plain(part).splitlines()
        ],
        "grids": list(_grids(shown)),
        "reading": _plain(reading),
    }


def _grids(shown: Iterable[RenderableType]) -> Iterator[Grid]:
    """The tables. A table without a title gets the head of the sentence before it."""
    head = ""
    for part in shown:
        if _is_sentence(part):
            head = _plain(part).partition(":")[0]
        elif isinstance(part, Table):
            yield _grid(part, head)


def _grid(table: Table, head: str = "") -> Grid:
    """A table of the terminal. There a first cell is empty if it equals the one above it."""
    columns = [[_cell_text(cell) for cell in column.cells] for column in table.columns]
    for column in columns[:1]:
        for at, text in enumerate(column):
            column[at] = text or column[max(0, at - 1)]
    return Grid(
        _cell_text(table.title) if table.title else head,
        tuple(
            Heading(_cell_text(column.header), column.justify == "left") for column in table.columns
        ),
        tuple(zip(*columns, strict=True)),
    )


def _cell_text(cell: RenderableType) -> str:
    return " ".join((cell.plain if isinstance(cell, Text) else str(cell)).split())


def _is_sentence(shown: RenderableType) -> bool:
    return isinstance(shown, Text) or (isinstance(shown, Table) and not shown.show_header)


def _plain(shown: RenderableType) -> str:
    """As text, whose lines may be of any length."""
    console = Console(file=io.StringIO(), width=10_000, color_system=None, emoji=False)
    with console.capture() as captured:
        console.print(shown, crop=False)
    lines = (line.rstrip() for line in captured.get().splitlines())
    return "\n".join(lines).strip("\n").removeprefix("- ")


def _line(group: Group, row: CaseRow, marked: bool) -> Line:
    cells = (
        Cell(str(row.case.clients), row.case.clients),
        *(_cell(measure, row) for measure in _MEASURES),
        _ratio_cell(throughput_ratio(group, row, BASE)),
        Cell(str(len(row.rounds)), len(row.rounds)),
    )
    shares = disturbed_rounds(row).values()
    return Line(row.case, cells, marked, f"{max(shares) * 100:.0f} %" if shares else "")


def _cell(measure: Measure, row: CaseRow) -> Cell:
    estimate = measure.of(row)
    if estimate is None:
        return Cell(ABSENT, None)
    median, low, high = (
        units.formatted(measure.key, value)
        for value in (estimate.median, estimate.low, estimate.high)
    )
    return Cell(median, estimate.median, "" if estimate.spread is None else f"{low} to {high}")


def _ratio_cell(effect: Effect | None) -> Cell:
    if effect is None:
        return Cell(ABSENT, None)
    spread = ""
    if effect.low is not None and effect.high is not None:
        spread = f"{units.factor(effect.low)} to {units.factor(effect.high)}"
    return Cell(units.factor(effect.ratio), effect.ratio, spread)


def _facts(summary: Summary) -> Iterator[tuple[str, str]]:
    """What the suite knows of machine and code, then pyperf's metadata common to all runs."""
    found = summary.environment.to_metadata()
    del found["redo_config"]  # has a table of its own
    found |= {
        name: value for name, value in summary.metadata.items() if not name.startswith(PREFIX)
    }
    for name, value in found.items():
        if value is not None:
            key = find(name)
            text = str(value) if key is None else units.formatted(key, value)
            yield name.removeprefix(PREFIX).replace("_", " "), text


def _setting(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_setting, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_setting(inner)}" for name, inner in value.items())
    return ABSENT if value in (None, "") else str(value)


def _compared(comparison: Comparison, ident: str, other_conditions: bool) -> dict[str, Any]:
    """Two results, as the template takes them. If ``refused`` says why they do not compare, as the
    command `compare` has it, there is nothing else but the title."""
    refused = ""
    if not comparison.cases:
        refused = "They have no case in common."
    elif comparison.differences and not other_conditions:
        differences = "; ".join(text.replace(" | ", ", then ") for text in comparison.differences)
        refused = (
            f"They were not measured under the same conditions ({differences}), so they do not"
            " compare; report --other-conditions compares them all the same."
        )
    title = f"{comparison_output.source_text(comparison)}: changed / base"
    if refused:
        return {"title": title, "refused": refused}
    return {
        "ident": ident,
        "title": title,
        "refused": "",
        "warnings": list(comparison_output.warnings(comparison)),
        "sentences": list(comparison_output.result_lines(comparison)),
        "reading": comparison_output.HOW_TO_READ,
        "charts": list(charts.before_and_after(comparison.base, comparison.changed, ident)),
        "listing": Listing(
            f"{ident}-table",
            "Ratios, changed / base, with their 95 % CI; of times less is better",
            (_CASE, *map(Heading, _HEADINGS), Heading("verdict", is_words=True), Heading("MDE")),
            tuple(map(_change, comparison.cases)),
        ),
    }


def _change(compared: CaseComparison) -> Line:
    decisive = compared.measures.get(DECISIVE)
    smallest = None if decisive is None else decisive.effect.smallest_shown
    ratios = (compared.measures.get(measure.field) for measure in _MEASURES)
    text = comparison_output.case_verdict(compared)
    cells = (
        *(
            Cell(comparison_output.ratio_text(r), None if r is None else r.effect.ratio)
            for r in ratios
        ),
        Cell(text, text),
        Cell(comparison_output.smallest_text(decisive), smallest),
    )
    return Line(compared.case, cells)


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
    # The name of a file may have bytes that are no text, and that no page can hold.
    write_atomically(place, [text.encode("utf-8", errors="replace")])
