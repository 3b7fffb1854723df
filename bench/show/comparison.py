"""A comparison as a table for people, as Markdown, as CSV and as plain data for programs."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.cases.case import Case, shared_extra, without
from bench.results.disturbance import sentence
from bench.results.key import SCHEMA_VERSION
from bench.results.row import Measure
from bench.results.summary import Summary
from bench.show import columns, fields, units
from bench.show.columns import ABSENT, Column
from bench.show.findings import HEADINGS
from bench.show.layout import broken
from bench.show.notes import rounds_text
from bench.show.over_clients import over_clients_data
from bench.statistics.comparison import DECISIVE, MEASURES, CaseComparison, Compared, Comparison
from bench.statistics.control import MIN_CASES
from bench.statistics.effects import Effect, Verdict, holds_to

JSON_VERSION: Final = 1
"""Version of what `as_data` returns."""

HOW_TO_READ: Final = (
    "95 % CIs in brackets; verdicts are corrected for the number of cases. MDE: the minimum"
    " detectable effect, the smallest change of time per redo that this data detects with a power"
    " of 80 %."
)

_STYLES: Final = {Verdict.FASTER: "green", Verdict.SLOWER: "bold red", Verdict.SAME: "dim"}
FAILED: Final = "failed"
"""In place of the verdict on a case that has no run in one of the results."""

_USUAL: Final = tuple(
    measure.field for measure in (Measure.TIME_PER_REDO, Measure.LATENCY_P99, Measure.CPU_TOTAL)
)
_GAP: Final = 1
_MAX_LISTED: Final = 12


def print_comparison(
    comparison: Comparison, console: Console, measures: Sequence[str] = ()
) -> None:
    """Prints the table, what could not be compared, and the summary. ``measures``: fields of a row
    that the table shows; without any it is the usual ones, and a second table has whatever else was
    judged slower or faster."""
    console.print(f"{source_text(comparison)}: changed / base", highlight=False, markup=False)
    for line in warnings(comparison):
        console.print(line, style="bold yellow", highlight=False, markup=False)
    if (control := control_line(comparison)) is not None:
        console.print(control, highlight=False, markup=False)
    both = [compared.case for compared in comparison.cases]
    failed = [failure.case for failure in comparison.failed]
    shared = shared_extra([*both, *failed, *comparison.only_base, *comparison.only_changed])
    if shared:
        said = ", ".join(f"{name}={value}" for name, value in shared.items())
        console.print(f"all with {said}", highlight=False, markup=False)
    figures = [each for measure in measures for each in _in_full(measure)] or _usual()
    console.print(_table(comparison.cases, figures, shared), crop=False)
    if not measures and (further := _judged(comparison, set(MEASURES) - set(_USUAL))):
        cases = [case for case in comparison.cases if any(_differs(case, m) for m in further)]
        figures = [each for measure in further for each in _in_full(measure)[:2]]
        console.print("further measures that are slower or faster:", highlight=False)
        console.print(_table(cases, figures, shared), crop=False)
    for line in summary_lines(comparison, measures):
        console.print(line, highlight=False, markup=False)


def _usual() -> list[fields.Field[CaseComparison]]:
    """The ratios of the usual measures; the verdict is on time per redo."""
    return [*(_in_full(measure)[0] for measure in _USUAL), *_in_full(DECISIVE)[1:]]


def _in_full(measure: str) -> list[fields.Field[CaseComparison]]:
    """A measure's ratio, its verdict and its minimum detectable effect."""

    def effect(of: CaseComparison) -> Effect | None:
        compared = of.measures.get(measure)
        return None if compared is None else compared.effect

    def verdicts(cases: Sequence[CaseComparison]) -> Column:
        return Column("", tuple(case_verdict(compared, measure) for compared in cases))

    def style(of: CaseComparison) -> str:
        compared = of.measures.get(measure)
        return "" if compared is None else _STYLES.get(compared.verdict, "")

    return [
        fields.ratio_interval(_heading(measure), effect),
        fields.column("verdict", verdicts, is_words=True, style_of=style),
        fields.texts("MDE", lambda compared: smallest_text(compared.measures.get(measure))),
    ]


def _heading(measure: str) -> str:
    return HEADINGS.get(measure, Measure.of_field(measure).noun)


def _differs(of: CaseComparison, measure: str) -> bool:
    compared = of.measures.get(measure)
    return compared is not None and compared.verdict in (Verdict.FASTER, Verdict.SLOWER)


def _judged(comparison: Comparison, measures: Collection[str]) -> list[str]:
    """Those measures that are slower or faster in some case, in the order of `MEASURES`."""
    return [
        measure
        for measure in MEASURES
        if measure in measures and any(_differs(case, measure) for case in comparison.cases)
    ]


def _table(
    cases: Sequence[CaseComparison],
    figures: Sequence[fields.Field[CaseComparison]],
    shared: Mapping[str, str | int],
) -> Table:
    """A case whose name leaves too little room has it broken at its slashes."""
    room = fields.room_beside(cases, figures, gap=_GAP)
    name: fields.Field[CaseComparison] = fields.words(
        "case", lambda compared: broken(without(compared.case, shared).name, room, "/")
    )
    return fields.field_table(cases, [name, *figures], gap=_GAP)


def control_line(comparison: Comparison) -> str | None:
    """What was taken out of the ratios of two files; None if nothing was, as between the sides of
    one A/B measurement."""
    drift = comparison.drift
    if drift is not None:
        return (
            "control: the floor, which is the same program in both, takes"
            f" {_interval(drift)} times as long in {comparison.changed.source}; the ratios are"
            " divided by it, round by round"
        )
    if comparison.paired:
        return None
    return (
        "control: none, so a change of the machine counts as one of the code: it needs"
        f" {MIN_CASES} cases of the same floor, with the same child, in both results"
    )


def as_markdown(comparison: Comparison, measures: Sequence[str] = ()) -> str:
    """The table with every measure, or with these fields of a row, as GitHub shows it."""
    cells = [_ratio_cell(measure) for measure in MEASURES] + _judgement_cells(DECISIVE)
    if measures:
        cells = [cell for each in measures for cell in (_ratio_cell(each), *_judgement_cells(each))]
    head = ["case", *(cell.heading for cell in cells)]
    lines = [
        f"**{source_text(comparison)}**, changed / base",
        *(f"\n> {line}" for line in warnings(comparison)),
        *([] if (control := control_line(comparison)) is None else ["", control]),
        "",
        f"| {' | '.join(head)} |",
        f"|---|{''.join('---|' if cell.is_words else '---:|' for cell in cells)}",
    ]
    for compared in comparison.cases:
        texts = [f"`{compared.case.name}`", *(cell.text(compared) for cell in cells)]
        lines.append(f"| {' | '.join(texts)} |")
    return "\n".join([*lines, "", *(f"{line}  " for line in summary_lines(comparison, measures))])


@dataclass(frozen=True, slots=True)
class _Cell:
    """A column of the Markdown table."""

    heading: str
    text: Callable[[CaseComparison], str]
    is_words: bool = False


def _ratio_cell(measure: str) -> _Cell:
    return _Cell(_heading(measure), lambda of: ratio_text(of.measures.get(measure)))


def _judgement_cells(measure: str) -> list[_Cell]:
    def p_value(of: CaseComparison) -> str:
        compared = of.measures.get(measure)
        if compared is None or compared.p_corrected is None:
            return ABSENT
        return f"{compared.p_corrected:.2g}"

    def verdict(of: CaseComparison) -> str:
        text = case_verdict(of, measure)
        return f"**{text}**" if _differs(of, measure) else text

    return [
        _Cell("p", p_value),
        _Cell("verdict", verdict, is_words=True),
        _Cell("MDE", lambda of: smallest_text(of.measures.get(measure))),
    ]


def as_csv(*comparisons: Comparison) -> str:
    """One line per case and measure, and per case that failed. Of several comparisons the first
    column names the changed result."""
    out = io.StringIO()
    which = ["changed"] if len(comparisons) > 1 else []
    names = [*which, "case", "measure", *Effect.__slots__, "p_corrected", "verdict", "same_within"]
    writer = csv.DictWriter(out, names, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for comparison in comparisons:
        source = {"changed": comparison.changed.source}
        for one in comparison.cases:
            for measure, compared in one.measures.items():
                data = _compared_data(compared)
                data["units"] = "/".join(map(str, data["units"]))
                writer.writerow({**source, "case": one.case.name, "measure": measure, **data})
        for failure in comparison.failed:
            writer.writerow({**source, "case": failure.case.name, "verdict": FAILED})
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
                "sessions": [asdict(session) for session in summary.sessions],
                "disturbed": sentence(summary.rows),
                **over_clients_data(summary),
            }
            for side, summary in (("base", comparison.base), ("changed", comparison.changed))
        },
        "paired": comparison.paired,
        "differences": list(comparison.differences),
        "only_base": [case.name for case in comparison.only_base],
        "only_changed": [case.name for case in comparison.only_changed],
        "failed": [
            {"case": failure.case.name, "side": failure.side, "reason": failure.reason}
            for failure in comparison.failed
        ],
        "drift": None if comparison.drift is None else asdict(comparison.drift),
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


def case_verdict(compared: CaseComparison, measure: str = DECISIVE) -> str:
    """The verdict on a case in a measure, or that the case failed."""
    return FAILED if compared.failed else verdict_text(compared.measures.get(measure))


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
        yield "WARNING: the commit of the base is unknown"
    for summary in (comparison.base, comparison.changed):
        if disturbed := sentence(summary.rows):
            yield f"WARNING: {summary.source}: {disturbed}"


def summary_lines(comparison: Comparison, measures: Sequence[str] = ()) -> Iterator[str]:
    """What stands below the table: the results, and how to read it."""
    yield from result_lines(comparison, measures)
    yield HOW_TO_READ.replace("time per redo", "the measure") if measures else HOW_TO_READ


def result_lines(comparison: Comparison, measures: Sequence[str] = ()) -> Iterator[str]:
    """Counts in these measures (fields of a row; of time per redo if there are none), the overall
    ratio, what failed, what only one file has."""
    cases = units.counted(len(comparison.cases), "case")
    for measure in measures or (DECISIVE,):
        of = f", {_heading(measure)}" if measures else ""
        yield f"{cases}{of}: {_counts(comparison, measure) or 'none in common'}"
    if not measures and (others := _judged(comparison, {*MEASURES} - {DECISIVE})):
        said = "; ".join(f"{_heading(each)} {_differences(comparison, each)}" for each in others)
        yield f"other measures: {said}"
    if comparison.overall is not None and (not measures or DECISIVE in measures):
        overall = _interval(comparison.overall)
        of = "them" if comparison.drift is None else "them but the floor"
        yield f"time per redo over all of {of} (geometric mean): {overall}"
    alike: dict[tuple[str, str], list[Case]] = {}
    for failure in comparison.failed:
        alike.setdefault((failure.side, failure.reason), []).append(failure.case)
    for (side, reason), failed in alike.items():
        yield f"failed in {side}: {_names(failed)}: {reason}"
    for side, only in (("base", comparison.only_base), ("changed", comparison.only_changed)):
        if only:
            yield f"only in {side}: {_names(only)}"


def _counts(comparison: Comparison, measure: str) -> str:
    """As ``2 slower, 1 same within 3 %, 1 failed``."""
    by_verdict: dict[Verdict, list[Compared | None]] = {kind: [] for kind in Verdict}
    for case in comparison.cases:
        if not case.failed:
            compared = case.measures.get(measure)
            verdict = Verdict.INCONCLUSIVE if compared is None else compared.verdict
            by_verdict[verdict].append(compared)
    said = [
        f"{len(found)} {_same(max(holds_to(each.effect) for each in found if each))}"
        if kind is Verdict.SAME
        else f"{len(found)} {kind}"
        for kind, found in by_verdict.items()
        if found
    ]
    failed = sum(case.failed for case in comparison.cases)
    return ", ".join([*said, *([f"{failed} {FAILED}"] if failed else [])])


def _differences(comparison: Comparison, measure: str) -> str:
    """As ``2 slower, 1 faster``."""
    judged = [case for case in comparison.cases if measure in case.measures]
    verdicts = Counter(case.measures[measure].verdict for case in judged)
    kinds = (Verdict.FASTER, Verdict.SLOWER)
    return ", ".join(f"{verdicts[kind]} {kind}" for kind in kinds if verdicts[kind])


def _names(cases: Sequence[Case]) -> str:
    names = [case.name for case in cases[:_MAX_LISTED]]
    if more := len(cases) - len(names):
        names.append(f"and {more} more (--json has all)")
    return ", ".join(names)


def _same(within: float) -> str:
    return f"same within {math.ceil(within * 100)} %"


def source_text(comparison: Comparison) -> str:
    """Which files are compared, and how."""
    base, changed = comparison.base, comparison.changed
    how = "paired by round" if comparison.paired else "not measured together, so not paired"
    return f"{_named(base)} to {_named(changed)}, {how}"


def _named(summary: Summary) -> str:
    sessions = f", {rounds_text(summary)}" if summary.sessions else ""
    return f"{summary.source} ({summary.environment.version}{sessions})"


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
    """The minimum detectable effect, as ``3 %``."""
    if compared is None:
        return ABSENT
    share = compared.effect.smallest_shown
    if share is None:
        return "?"  # one round has no spread
    return f"{units.percent(share)} %"
