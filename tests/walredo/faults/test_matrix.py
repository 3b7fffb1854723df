"""The fault matrix: no wrong page, no late answer, nothing left.

The attempt types differ in how often they try, which does not depend on the child. So the cells of
the Python child with another attempt than READ_PAGE are exhaustive.
"""

from __future__ import annotations

import gc
import threading

import pytest

from tests.support.fault_matrix import GRACE_S, TIMEOUT_S, Cell, cells, run_cell, works_again
from tests.support.managers import eventually, open_descriptors, own_children
from walredo import READ_PAGE


def is_exhaustive(cell: Cell) -> bool:
    return cell.child == "python" and cell.attempt is not READ_PAGE


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(
            cell, id=cell.name, marks=[pytest.mark.exhaustive] if is_exhaustive(cell) else []
        )
        for cell in cells()
    ],
)
def test_cell(cell: Cell) -> None:
    gc.collect()
    threads, descriptors = threading.active_count(), len(open_descriptors())
    outcome = run_cell(cell)
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
