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
from bench.show.verdict import compares, of_group
from bench.statistics.rounds import winner

NO_RESULTS = {"neon_bench_walredo.json", "selftest.json", "selftest-same.json"}
KEPT = sorted(
    path for path in (ROOT / "results/reference").glob("*.json") if path.name not in NO_RESULTS
)

Told = tuple[str | None, str | None]
"""Who leads at the greatest N, and from which N on, as far as the text says so."""


def of_sentence(text: str) -> tuple[str, Told]:
    """The manager that the sentence compares with sync, and what it says."""
    if found := re.match(r"(\S+) and sync are not told apart", text):
        return found[1], (None, None)
    if found := re.match(r"(\S+) overtakes sync from N = (\d+) ", text):
        return found[1], (found[1], found[2])
    if found := re.match(r"(\S+) is ahead of sync (?:at every N )?from (?:N = )?(\d+) ", text):
        return found[1], (found[1], found[2])
    if found := re.match(r"(\S+) overtakes sync at no N", text):
        return found[1], (BASE, None)
    found = re.match(r"(\S+) for .*: its throughput is ([0-9.]+) times", text)
    assert found, text
    return found[1], (found[1] if float(found[2]) > 1 else BASE, None)


def of_title(text: str, group: Group) -> Told:
    if "are not told apart" in text:
        return None, None
    found = re.match(r".*?: (\S+) is (?:([0-9.]+x) )?ahead of (\S+)", text)
    assert found, text
    start = re.search(r"from N = (\d+) on", text) or re.search(r"at N = (\d+) only", text)
    first = str(group.clients[0]) if "at every N" in text else None
    return found[1], start[1] if start else first


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_no_title_and_no_star_contradicts_the_verdict(path: Path) -> None:
    for group in filter(compares, load_summary(path).groups()):
        told = dict(map(of_sentence, (s for s in of_group(group) if "in common" not in s)))
        if not told:
            continue
        leader, start = of_title(title(group, Measure.THROUGHPUT), group)
        # The title is about one manager; the sentence about it says the same.
        alike = [
            manager
            for manager, (led, since) in told.items()
            if led == leader and (leader == BASE or None in (start, since) or start == since)
        ]
        assert alike, (group.title, title(group, Measure.THROUGHPUT), told)
        _, _, drawn_title = finding(group).partition(" of ")
        for manager, (led, since) in told.items():
            drawn = re.search(rf"[:,] {re.escape(manager)} ([^,]*)", drawn_title)
            if drawn and led is None:
                assert "not told apart" in drawn[1], (group.title, drawn[1])
            if drawn and led == manager and since is not None:
                assert f"from N = {since} on" in drawn[1] or "at every N" in drawn[1], drawn[1]
        last = group.clients[-1]
        best = winner([row for row in group.rows if row.case.clients == last], "throughput_per_s")
        if best is not None and best.case.manager == BASE:
            assert all(led == BASE for led, _ in told.values()), group.title
        elif best is not None and is_rival(best.case.manager) and best.case.manager in told:
            assert told[best.case.manager][0] == best.case.manager, group.title
