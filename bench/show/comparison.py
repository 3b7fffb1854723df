"""A comparison as a table for people, as Markdown, as CSV and as plain data for programs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.cases.case import shared_extra, without
from bench.results.disturbance import sentence
from bench.results.key import SCHEMA_VERSION
from bench.results.row import Measure
from bench.show import columns, fields, units
from bench.show.columns import ABSENT, Column
from bench.show.findings import HEADINGS
from bench.show.layout import broken
from bench.show.over_clients import over_clients_data
from bench.statistics.comparison import DECISIVE, MEASURES, CaseComparison, Compared, Comparison
from bench.statistics.effects import Effect, Verdict, holds_to

JSON_VERSION: Final = 1
"""Version of what `as_data` returns."""

HOW_TO_READ: Final = (
    "Intervals hold to 95 %, verdicts are corrected for the number of cases. shows: the least"
    " change of time per redo that such data finds in 8 of 10 attempts."
)

_STYLES: Final = {Verdict.FASTER: "green", Verdict.SLOWER: "bold red", Verdict.SAME: "dim"}
_GAP: Final = 1
_MAX_LISTED: Final = 12
_MAX_SHOWN: Final = 9.99


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Prints the table, what could not be compared, and the summary."""
    console.print(f"{source_text(comparison)}: changed / base", highlight=False, markup=False)
    for line in warnings(comparison):
        console.print(line, style="bold yellow", highlight=False, markup=False)
    both = [compared.case for compared in comparison.cases]
    shared = shared_extra([*both, *comparison.only_base, *comparison.only_changed])
    if shared:
        said = ", ".join(f"{name}={value}" for name, value in shared.items())
        console.print(f"all with {said}", highlight=False, markup=False)
    console.print(_table(comparison.cases, shared), crop=False)
    for line in summary_lines(comparison):
        console.print(line, highlight=False, markup=False)


def _table(cases: Sequence[CaseComparison], shared: Mapping[str, str | int]) -> Table:
    """A case whose name leaves too little room has it broken at its slashes."""

    def effect(of: CaseComparison, measure: Measure) -> Effect | None:
        compared = of.measures.get(measure.field)
        return None if compared is None else compared.effect

    def verdicts(cases: Sequence[CaseComparison]) -> Column:
        return Column("", tuple(verdict_text(compared.decisive) for compared in cases))

    figures: list[fields.Field[CaseComparison]] = [
        *(
            fields.ratio_interval(HEADINGS[measure.field], partial(effect, measure=measure))
            for measure in (Measure.TIME_PER_REDO, Measure.LATENCY_P99, Measure.CPU_TOTAL)
        ),
        fields.column(
            "verdict",
            verdicts,
            is_words=True,
            style_of=lambda compared: _STYLES.get(compared.verdict, ""),
        ),
        fields.texts("shows", lambda compared: smallest_text(compared.decisive)),
    ]
    room = fields.room_beside(cases, figures, gap=_GAP)
    name: fields.Field[CaseComparison] = fields.words(
        "case", lambda compared: broken(without(compared.case, shared).name, room, "/")
    )
    return fields.field_table(cases, [name, *figures], gap=_GAP)


def as_markdown(comparison: Comparison) -> str:
    """The table with every measure, as GitHub shows it."""
    head = ["case", *(HEADINGS[measure] for measure in MEASURES), "p", "verdict", "shows"]
    lines = [
        f"**{source_text(comparison)}**, changed / base",
        *(f"\n> {line}" for line in warnings(comparison)),
        "",
        f"| {' | '.join(head)} |",
        f"|---|{'---:|' * len(MEASURES)}---:|---|---:|",
    ]
    for compared in comparison.cases:
        decisive = compared.decisive
        name = verdict_text(decisive)
        cells = [
            f"`{compared.case.name}`",
            *(ratio_text(compared.measures.get(measure)) for measure in MEASURES),
            ABSENT if decisive is None else f"{decisive.p_corrected:.2g}",
            f"**{name}**" if compared.verdict in (Verdict.FASTER, Verdict.SLOWER) else name,
            smallest_text(decisive),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(f"{line}  " for line in summary_lines(comparison))])


def as_csv(comparison: Comparison) -> str:
    """One line per case and measure."""
    out = io.StringIO()
    names = ["case", "measure", *Effect.__slots__, "p_corrected", "verdict", "same_within"]
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for one in comparison.cases:
        for measure, compared in one.measures.items():
            data = _compared_data(compared)
            data["units"] = "/".join(map(str, data["units"]))
            writer.writerow({"case": one.case.name, "measure": measure, **data})
    return out.getvalue().rstrip("\n")


def as_data(comparison: Comparison) -> dict[str, Any]:
    """All of it, for `--json`. Ratios are changed / base; ``smallest_shown`` 0.05 is 5 %."""
    return {
        "version": JSON_VERSION,
        "schema_version": SCHEMA_VERSION,
        **{
            side: {
                "source": summary.source,
                "version": summary.environment.version,
                "disturbed": sentence(summary.rows),
                **over_clients_data(summary),
            }
            for side, summary in (("base", comparison.base), ("changed", comparison.changed))
        },
        "paired": comparison.paired,
        "differences": list(comparison.differences),
        "only_base": [case.name for case in comparison.only_base],
        "only_changed": [case.name for case in comparison.only_changed],
        "overall": None if comparison.overall is None else asdict(comparison.overall),
        "cases": [
            {
                "case": one.case.name,
                "verdict": one.verdict,
                "measures": {
                    measure: _compared_data(compared) for measure, compared in one.measures.items()
                },
            }
            for one in comparison.cases
        ],
    }


def verdict_text(compared: Compared | None) -> str:
    """The verdict; ``same`` with what it holds to."""
    if compared is None:
        return "not measured"
    if compared.verdict is Verdict.SAME:
        return _same(holds_to(compared.effect))
    return str(compared.verdict)


def warnings(comparison: Comparison) -> Iterator[str]:
    """What a reader must know before the table."""
    for difference in comparison.differences:
        side_by_side = difference.replace(" | ", ", then ")
        yield f"WARNING: not the same conditions: {side_by_side}"
    if comparison.base.metadata.get("redo_git_commit") is None:
        yield "WARNING: nobody knows what commit the base is"
    for summary in (comparison.base, comparison.changed):
        if disturbed := sentence(summary.rows):
            yield f"WARNING: {summary.source}: {disturbed}"


def summary_lines(comparison: Comparison) -> Iterator[str]:
    """What stands below the table: the results, and how to read it."""
    yield from result_lines(comparison)
    yield HOW_TO_READ


def result_lines(comparison: Comparison) -> Iterator[str]:
    """Counts, the overall ratio, what only one file has."""
    by_verdict = {
        kind: [compared for compared in comparison.cases if compared.verdict is kind]
        for kind in Verdict
    }
    said = ", ".join(
        f"{len(cases)} {_same(max(holds_to(c.measures[DECISIVE].effect) for c in cases))}"
        if kind is Verdict.SAME
        else f"{len(cases)} {kind}"
        for kind, cases in by_verdict.items()
        if cases
    )
    yield f"{units.counted(len(comparison.cases), 'case')}: {said or 'none in common'}"
    if comparison.overall is not None:
        overall = _interval(comparison.overall)
        yield f"time per redo over all of them (geometric mean): {overall}"
    for name, only in (("base", comparison.only_base), ("changed", comparison.only_changed)):
        if only:
            names = [case.name for case in only[:_MAX_LISTED]]
            if more := len(only) - len(names):
                names.append(f"and {more} more (--json has all)")
            yield f"only in {name}: {', '.join(names)}"


def _same(within: float) -> str:
    return f"same within {math.ceil(within * 100)} %"


def source_text(comparison: Comparison) -> str:
    """Which files are compared, and how."""
    base, changed = comparison.base, comparison.changed
    how = "paired by round" if comparison.paired else "not measured together, so not paired"
    return (
        f"{base.source} ({base.environment.version}) to"
        f" {changed.source} ({changed.environment.version}), {how}"
    )


def _compared_data(compared: Compared) -> dict[str, Any]:
    return {
        **asdict(compared.effect),
        "p_corrected": compared.p_corrected,
        "verdict": compared.verdict,
        "same_within": holds_to(compared.effect) if compared.verdict is Verdict.SAME else None,
    }


def ratio_text(compared: Compared | None) -> str:
    """As ``0.95 (0.93-0.97)``."""
    return ABSENT if compared is None else _interval(compared.effect)


def _interval(effect: Effect) -> str:
    return columns.intervals([effect]).texts[0].rstrip()


def smallest_text(compared: Compared | None) -> str:
    """The least change that such data shows, as ``3 %``."""
    if compared is None:
        return ABSENT
    share = compared.effect.smallest_shown
    if share is None:
        return "?"  # of one round nobody can tell
    if share > _MAX_SHOWN:
        return f">{_MAX_SHOWN * 100:.0f} %"
    return f"{share * 100:.2g} %" if share < 0.995 else f"{share * 100:.0f} %"
