"""The table that `show` prints, and the same as plain data for `show --json`.

It prints through the console that the caller passes and nowhere else, so colours and width are the
caller's choice.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.cases.case import Case
from bench.cases.names import BASE, FLOOR
from bench.errors import BenchError
from bench.results.disturbance import disturbed_rounds
from bench.results.key import SCHEMA_VERSION
from bench.results.row import MEASURES, Measure
from bench.results.summary import QUARTILES_FROM, CaseRow, Estimate, Group, Summary, paired_ratio
from bench.show import columns, units
from bench.show.fields import brief, in_full
from bench.show.findings import HEADINGS
from bench.show.layout import hanging, whole_table
from bench.show.notes import disturbed_line, notes, rounds_text
from bench.show.over_clients import over_clients_data, print_crossovers, print_scaling
from bench.show.verdict import compares, verdict_data, verdict_of
from bench.show.verdict_table import print_verdict
from bench.show.view import Reading
from bench.statistics.effects import Effect
from bench.statistics.rounds import point_ratio, ratio, winner

JSON_VERSION = 1
"""Version of what `as_data` returns."""

VERDICT: Final = "verdict"
CASES: Final = "cases"
EXPERIMENTS: Final = "experiments"
SCALING: Final = "scaling"
USUAL_PARTS: Final = (VERDICT, CASES, EXPERIMENTS)
PARTS: Final = (*USUAL_PARTS, SCALING)
"""What `print_summary` can print. The fit of how throughput grows is for those who ask for it."""

HINT: Final = "--legend explains every column and mark."
"""What stands in place of the legend."""

_NOISY_SPREAD = 0.25
"""A spread above this is coloured: the machine did not keep its pace."""

_BLOCKS: Final = "▁▂▃▄▅▆▇█"


def print_summary(
    reading: Reading,
    console: Console,
    *,
    plain: bool = False,
    parts: Collection[str] = USUAL_PARTS,
    legend: bool = False,
    verdict_last: bool = False,
) -> None:
    """Print the verdict, one table per workload, the experiments and the notes.

    ``plain``: without the lines that are for the eye only, the small curves. ``parts``: those of
    PARTS that are wanted. ``legend``: explains every column; without it a line says how to get
    that. ``verdict_last``: for a terminal, which shows the end of a long output. Raises BenchError
    where there is nothing of what is wanted.
    """
    summary, ordinary, views = reading.summary, reading.ordinary, reading.views
    marks = notes(summary)
    only_verdict = set(parts) == {VERDICT}
    # Why there is no verdict is for those who have asked for it.
    has_verdict = only_verdict or any(map(compares, ordinary.groups()))
    there_is = {VERDICT: has_verdict, CASES: bool(ordinary.rows), EXPERIMENTS: bool(views)}
    there_is[SCALING] = bool(ordinary.rows)
    if set(parts) != set(USUAL_PARTS) and not any(there_is[part] for part in parts):
        has = ", ".join(part for part, is_there in there_is.items() if is_there)
        raise BenchError(f"{summary.source}: has no {' and no '.join(parts)}; it has {has}")
    says_verdict = VERDICT in parts and there_is[VERDICT]
    verdict_last = verdict_last and says_verdict and not only_verdict
    if not verdict_last:
        _print_opening(reading, console, says_verdict=says_verdict)
    readings: list[str] = []
    if CASES in parts:
        marked = {note.case for note in marks if note.case is not None}
        for group in ordinary.groups():
            console.print()
            console.print(_table(group, marked), crop=False)
            for line in () if plain else sparklines(group):
                console.print(line, highlight=False)
        readings = print_crossovers(ordinary, console)
    if SCALING in parts:
        readings += print_scaling(ordinary, console)
    for view in views if EXPERIMENTS in parts else ():
        *shown, how_to_read = list(view.tables(summary)) or [Text("")]
        for part in (*shown, *([how_to_read] if legend else [])):
            console.print()
            console.print(part, crop=False)
    if not only_verdict:
        console.print()
        for note in marks:
            console.print(hanging("! ", note.text, "yellow"), highlight=False)
        has_cases = CASES in parts and bool(ordinary.rows)
        said = [HINT]
        if legend:
            said = [_legend(ordinary, marked=bool(marks)), *readings] if has_cases else readings
        elif has_cases:
            said = ["Medians over the runs.", HINT]
        if marks and said:
            console.print()
        if said:
            console.print(Text(" ".join(said), style="dim"), highlight=False)
    if verdict_last:
        console.print()
        _print_opening(reading, console, says_verdict=True)


def _print_opening(reading: Reading, console: Console, *, says_verdict: bool) -> None:
    """What was measured, whether it was disturbed, and the verdict."""
    console.print(heading(reading.summary), highlight=False)
    if disturbed := disturbed_line(reading.summary):
        console.print()
        console.print(hanging("! ", disturbed, "bold yellow"), highlight=False)
    if says_verdict:
        console.print()
        print_verdict(verdict_of(reading.ordinary), console)


def as_data(reading: Reading) -> dict[str, Any]:
    """All of the table as plain data for JSON: SI units in the names, null where nothing is known.

    ``version`` is JSON_VERSION. Each measure of a case is null or an object with ``median``,
    ``low``, ``high`` and ``by_round`` (a list of [round, value]); so are the ratios
    ``throughput_to_sync`` and ``throughput_to_floor``.
    """
    summary = reading.summary
    return {
        "version": JSON_VERSION,
        "schema_version": SCHEMA_VERSION,
        "source": summary.source,
        "environment": asdict(summary.environment),
        "rounds": list(summary.rounds),
        "sessions": [asdict(session) for session in summary.sessions],
        "verdict": verdict_data(verdict_of(reading.ordinary)),
        "cases": [_row_data(group, row) for group in summary.groups() for row in group.rows],
        **over_clients_data(summary),
        "experiments": {view.name: view.data(summary) for view in reading.views},
        "failures": [
            {"case": one.case.name, "round": one.round, "reason": one.reason}
            for one in summary.failures
        ],
        "dropped_cases": [case.name for case in summary.dropped_cases],
        "dropped_rounds": [asdict(dropped) for dropped in summary.dropped_rounds],
        "notes": [
            {"kind": note.kind, "case": note.case and note.case.name, "text": note.text}
            for note in notes(summary)
        ],
    }


def throughput_ratio(group: Group, row: CaseRow, base: str) -> Effect | None:
    """Throughput of a row to that of the base at the same N; None for the base."""
    return ratio(*_throughputs(group, row, base))


def _throughputs(group: Group, row: CaseRow, base: str) -> tuple[Estimate | None, Estimate | None]:
    """Of the row, and of the base at the same N unless it is that itself."""
    base_row = None if row.case.manager == base else group.row(base, row.case.clients)
    return row.throughput_per_s, None if base_row is None else base_row.throughput_per_s


def _row_data(group: Group, row: CaseRow) -> dict[str, Any]:
    return {
        "name": row.case.name,
        **asdict(row.case),
        "rounds": list(row.rounds),
        **{field: in_full(getattr(row, field)) for field in MEASURES},
        "further": {key: in_full(one) for key, one in row.further.items()},
        "throughput_to_sync": in_full(paired_ratio(*_throughputs(group, row, BASE))),
        "throughput_to_floor": in_full(paired_ratio(*_throughputs(group, row, FLOOR))),
        "disturbed_rounds": [
            {"round": number, "others_cpu_share": share}
            for number, share in disturbed_rounds(row).items()
        ],
        "self_check_missed": [{"round": number, "text": text} for number, text in row.missed],
    }


def heading(summary: Summary) -> Text:
    environment = summary.environment
    cpus = "" if environment.cpu_count is None else f", {environment.cpu_count} CPUs"
    return Text.assemble(
        (summary.source, "bold"),
        f"\ncommit {environment.version}, profile {environment.profile}, "
        f"{rounds_text(summary)}, started {environment.suite_date}"
        f"\n{environment.cpu_model}{cpus}, governor {environment.cpu_governor}, "
        f"{environment.kernel}",
    )


def _table(group: Group, marked: Collection[Case]) -> Table:
    """A line per N and manager; the best manager of an N has a star behind its number."""
    rows = group.rows
    before = (None, *(row.case.clients for row in rows[:-1]))
    headings = ["N", "manager"]
    cells: list[Sequence[str | Text]] = [
        [
            "" if row.case.clients == last else str(row.case.clients)
            for row, last in zip(rows, before, strict=True)
        ],
        [
            f"{row.case.manager}{'!' if row.case in marked else ''}"
            f"{'~' if disturbed_rounds(row) else ''}"
            for row in rows
        ],
    ]
    for measure in map(Measure.of_field, HEADINGS):
        medians = _medians(rows, measure)
        column = columns.of_unit(measure.key.unit)(medians)
        if measure is Measure.LATENCY_P99:
            column = columns.seconds(medians, _medians(rows, Measure.LATENCY))
        # The blank stands above the stars.
        headings.append(f"{measure.heading} \n{column.unit} ")
        cells.append(_starred(rows, measure, column.texts))
        if measure is Measure.TIME_PER_REDO:
            headings.append("+-\n%")
            estimates = map(measure.of, rows)
            spreads = [None if estimate is None else estimate.spread for estimate in estimates]
            texts = columns.shares(spreads).texts
            cells.append(
                [
                    Text(text, style="yellow" if (spread or 0) > _NOISY_SPREAD else "")
                    for text, spread in zip(texts, spreads, strict=True)
                ]
            )
    for base in (BASE, FLOOR):
        ratios = [point_ratio(*_throughputs(group, row, base)) for row in rows]
        if any(ratios):
            headings.append(f"/{base}")
            cells.append(columns.factors(ratios).texts)
    return whole_table(group.title, headings, zip(*cells, strict=True), left=[1])


def _medians(rows: Sequence[CaseRow], measure: Measure) -> list[float | None]:
    return [brief(measure.of(row)) for row in rows]


def _starred(rows: Sequence[CaseRow], measure: Measure, texts: Sequence[str]) -> list[Text]:
    """The texts, each with room for the star of the best at its N, which is bold besides."""
    best = [
        winner([row for row in rows if row.case.clients == clients], measure.field)
        for clients in dict.fromkeys(row.case.clients for row in rows)
    ]
    return [
        Text(f"{text}*", style="bold") if row in best else Text(f"{text} ")
        for row, text in zip(rows, texts, strict=True)
    ]


def sparklines(group: Group) -> Iterator[Text]:
    """A line per manager: its median latency over N, all on one scale. None for fewer than 3 N."""
    clients = group.clients
    by_manager: dict[str, list[float | None]] = {}
    for manager in group.managers:
        estimates = [Measure.LATENCY.of(group.row(manager, n)) for n in clients]
        by_manager[manager] = [None if found is None else found.median for found in estimates]
    known = [value for values in by_manager.values() for value in values if value]
    if len(clients) < 3 or not known:
        return
    width = max(map(len, by_manager))
    low, high = min(known), max(known)
    span = math.log(high / low) or 1.0
    for manager, values in by_manager.items():
        blocks = "".join(
            " "
            if value is None
            else _BLOCKS[min(len(_BLOCKS) - 1, int(math.log(value / low) / span * len(_BLOCKS)))]
            for value in values
        )
        if ends := [value for value in values if value]:
            yield Text(
                f"{manager:<{width}}  {blocks}  p50 {units.seconds(ends[0])} at N = {clients[0]},"
                f" {units.seconds(ends[-1])} at N = {clients[-1]}"
            )


def _latency_of(summary: Summary) -> str:
    if any(row.turn_p50_s is not None for row in summary.rows):
        return "turn latency, from the end of a client's redo to the end of its next"
    return "latency of the call"


def _legend(summary: Summary, *, marked: bool) -> str:
    """Of what the tables have; nothing of columns that they have not."""
    spread = "interquartile range" if len(summary.rounds) >= QUARTILES_FROM else "range"
    bases = [
        base
        for base in (BASE, FLOOR)
        if any(
            point_ratio(*_throughputs(group, row, base))
            for group in summary.groups()
            for row in group.rows
        )
    ]
    said = [
        "Medians over the runs. t/redo: time per redo, the sum of the clients' wall times / redos."
        f" +-: half the {spread} of t/redo over the runs, in % of the median. redo/s: throughput."
        f" p50, p99: {_latency_of(summary)}. CPU: CPU time per redo of manager and child."
    ]
    if bases:
        of_bases = " and of ".join("the floor" if base == FLOOR else base for base in bases)
        said.append(
            f"{', '.join(f'/{base}' for base in bases)}: throughput divided by that of {of_bases}"
            " at the same N (geometric mean over the rounds)."
        )
    if len({row.case.manager for row in summary.rows} - {FLOOR}) > 1:
        said.append("*: the best manager at its N, significantly better than each other one.")
    if marked:
        said.append("!: see the notes.")
    if any(map(disturbed_rounds, summary.rows)):
        said.append("~: other processes took CPU during some of its runs.")
    return " ".join(said)
