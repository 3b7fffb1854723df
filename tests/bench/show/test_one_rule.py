"""Titles, stars and sentences about the kept results never contradict each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.cases.managers.registry import is_rival
from bench.cases.names import BASE
from bench.places import ROOT
from bench.results.row import Measure
from bench.results.summary import Group, load_summary
from bench.show.findings import title
from bench.show.pictures.ratio import finding
from bench.show.verdict import Mark, Row, compares, rows_of, verdict_of
from bench.statistics.rounds import winner

NO_RESULTS = {
    "neon_bench_walredo.json",
    "neon_shared_memory.json",
    "selftest.json",
    "selftest-same.json",
    "selftest-files.json",
}
KEPT = sorted(
    path for path in (ROOT / "results/reference").glob("*.json") if path.name not in NO_RESULTS
)

Told = tuple[str | None, str | None]
"""Who leads at the greatest N, and from which N on, as far as the text says so."""


def of_row(row: Row) -> Told:
    """What a row of the verdict says by its text, its mark and its ratio."""
    throughput = row.amounts[0]
    assert throughput is not None
    ratio = throughput.effect.ratio
    single = throughput.mark is Mark.UNKNOWN and not 1 / 1.02 < ratio < 1.02
    if throughput.mark is Mark.WORSE or (single and ratio < 1):
        assert not row.faster_from.startswith("every")
        return BASE, None
    if throughput.mark is Mark.BETTER or single:
        if row.faster_from == "every N":
            return row.manager, str(row.leads[0].clients)
        start = re.match(r"(\d+) \(", row.faster_from)
        return row.manager, start[1] if start else None
    assert re.search("only|no N", row.faster_from), row.faster_from
    return None, None


def check_answer(row: Row) -> None:
    """The sentence says of the manager what its row says."""
    led, since = of_row(row)
    is_ = f"{re.escape(row.manager)} (is|was)"
    if since is not None:
        wanted = rf"{is_} faster than sync (from|at every N from) (N = )?{since} "
    elif led == row.manager:
        wanted = f"{is_} faster than sync at N = "
    elif led == BASE:
        wanted = f"{is_} (faster .* and )?slower "
    else:
        wanted = f"no (significant )?difference between sync and {row.manager} |{is_} .* at N = "
    assert re.search(wanted, row.answer), (wanted, row.answer)


def of_title(text: str, group: Group) -> Told:
    if "no significant difference" in text:
        return None, None
    found = re.match(r".*?: (\S+) is (?:([0-9.]+x) )?ahead of (\S+)", text)
    assert found, text
    start = re.search(r"from N = (\d+) on", text) or re.search(r"at N = (\d+) only", text)
    first = str(group.clients[0]) if "at every N" in text else None
    return found[1], start[1] if start else first


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_no_title_and_no_star_contradicts_the_verdict(path: Path) -> None:
    summary = load_summary(path)
    sentences = " ".join(verdict_of(summary).sentences)
    for group in filter(compares, summary.groups()):
        rows = [row for row in rows_of(group) if row.leads]
        told = {row.manager: of_row(row) for row in rows}
        if not told:
            continue
        for row in rows:
            check_answer(row)
        assert any(row.answer in sentences for row in rows), group.title
        leader, start = of_title(title(group, Measure.THROUGHPUT), group)
        # The title is about one manager; the sentence about it says the same.
        alike = [
            manager
            for manager, (led, since) in told.items()
            if led == leader and (leader == BASE or None in (start, since) or start == since)
        ]
        assert alike, (group.title, title(group, Measure.THROUGHPUT), told)
        _, _, drawn_title = finding(group).partition(" than ")
        for manager, (led, since) in told.items():
            drawn = re.search(rf"[:,] {re.escape(manager)} ([^,]*)", drawn_title)
            if drawn and led is None:
                assert "no significant difference" in drawn[1], (group.title, drawn[1])
            if drawn and led == manager and since is not None:
                assert f"from N = {since} on" in drawn[1] or "at every N" in drawn[1], drawn[1]
        last = group.clients[-1]
        best = winner([row for row in group.rows if row.case.clients == last], "throughput_per_s")
        if best is not None and best.case.manager == BASE:
            assert all(led == BASE for led, _ in told.values()), group.title
        elif best is not None and is_rival(best.case.manager) and best.case.manager in told:
            assert told[best.case.manager][0] == best.case.manager, group.title
