"""The fault matrix: no wrong page, no late answer, nothing left. And how it is printed.

The attempt types differ in how often they try, which does not depend on the child. So the cells of
the Python child with another attempt than READ_PAGE are exhaustive.
"""

from __future__ import annotations

import gc
import re
import threading
from collections import Counter
from dataclasses import replace

import pytest

from bench.places import ROOT
from tests.support.fault_matrix import (
    GRACE_S,
    TIMEOUT_S,
    Cell,
    Outcome,
    cells,
    run_cell,
    table_lines,
    works_again,
)
from tests.support.managers import eventually, open_descriptors, own_children
from walredo import READ_PAGE


def is_exhaustive(cell: Cell, transport: str) -> bool:
    """What differs in the attempt does not depend on child and transport, nor the child on both."""
    if cell.attempt is READ_PAGE:
        return cell.child == "python" and transport == "shm"
    return cell.child == "python" or transport == "shm"


@pytest.mark.parametrize(
    ("cell", "transport"),
    [
        pytest.param(
            cell,
            transport,
            id=f"{cell.name}-{transport}",
            marks=[pytest.mark.exhaustive] if is_exhaustive(cell, transport) else [],
        )
        for cell in cells()
        for transport in ("pipe", "shm")
    ],
)
def test_cell(cell: Cell, transport: str) -> None:
    gc.collect()
    threads, descriptors = threading.active_count(), len(open_descriptors())
    outcome = run_cell(cell, transport=transport)
    assert outcome.wrong_pages == 0
    assert outcome.pages + sum(outcome.errors.values()) == 2 * cell.clients
    assert outcome.latest_s < TIMEOUT_S + GRACE_S
    if works_again(cell):
        assert outcome.next_redo == "page"
    else:
        assert outcome.pages == 0
    assert own_children() == set()
    assert eventually(lambda: threading.active_count() <= threads)
    assert eventually(lambda: len(open_descriptors()) <= descriptors)


# --- The printed table ----------------------------------------------------------------------------


def outcome(pages: int, next_redo: str = "page", **errors: int) -> Outcome:
    return Outcome(pages, 0, Counter(errors), 0.0, next_redo, works_again=True)


def test_managers_and_children_whose_callers_fare_alike_share_a_line() -> None:
    outcomes = {cell: outcome(64) for cell in cells() if cell.fault == "late" and cell.clients > 1}
    assert list(table_lines(outcomes)) == [
        "| `late:ms=30,at=20` | 32 | all | 64 pages | 64 pages | 64 pages |"
    ]
    for cell in outcomes:
        if cell.manager == "async":
            pages = 1 if cell.child == "c" else 0
            outcomes[cell] = outcome(pages, LaunchError=2, ChildExitedError=1)
        elif cell.child == "c" and cell.attempt is READ_PAGE:
            outcomes[cell] = outcome(61)
    assert list(table_lines(outcomes)) == [
        "| `late:ms=30,at=20` | 32 | sync | 61 to 64 pages | 64 pages | 64 pages |",
        *(
            f"| `late:ms=30,at=20` | 32 | {name} | {' | '.join([text] * 3)} |"
            for name, text in (
                ("async c", "1 page, ChildExitedError, LaunchError"),
                ("async python", "ChildExitedError, LaunchError"),
            )
        ),
    ]


def test_what_must_not_be_is_marked() -> None:
    outcomes = {cell: outcome(2) for cell in cells() if cell.option == "hang:at=2"}
    last = list(outcomes)[-1]
    for bad in (outcome(2, "RedoTimeoutError"), replace(outcome(2), wrong_pages=1)):
        (line,) = table_lines({**outcomes, last: bad})
        assert line == "| `hang:at=2` | 1 | all | 2 pages | 2 pages | 2 pages (!) |"


def test_the_page_has_every_fault() -> None:
    page = (ROOT / "docs" / "fault-matrix.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `([\w:=,-]+)` \| (\d+) \|", page, re.MULTILINE)
    assert set(shown) == {(cell.option, str(cell.clients)) for cell in cells()}
    assert "(!) |" not in page
