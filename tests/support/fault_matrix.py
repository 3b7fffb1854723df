"""The fault matrix: every fault of the child x both managers x both children x N x attempt type.

``run_cell`` is what a test holds to; run as a program this file prints the matrix as Markdown
(``make test-faults``). What must hold in each cell, whatever the child does:

- every caller gets its own page or a typed error, and gets it within its deadline;
- the next redo succeeds (as a page read, which is tried again);
- nothing is left: no process, descriptor, thread.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from fake_redo_child.build import FAULTS, child_command, child_program, sandbox_allowed
from tests.support.managers import (
    AsyncDriver,
    Driver,
    SyncDriver,
    in_parallel,
    make_request,
    page_of,
)
from walredo import FailedAttempt, RedoAttempt

TIMEOUT_S: Final = 0.4
"""Deadline of a redo: short for a test, long for a child that answers in microseconds."""

GRACE_S: Final = 20.0
"""How much later than the deadline an answer may come on a machine that is busy."""

MANAGERS: Final = ("sync", "async")
CHILDREN: Final = ("c", "python")
CLIENTS: Final = (1, 32)

_KEYS: Final = {"late": "ms=30", "drip": "us=200", "start-slowly": "ms=30"}
_WITHOUT_TRIGGER: Final = ("start-slowly", "fail-to-start", "ignore-eof")
_NEVER_WORKS: Final = ("fail-to-start",)


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    fault: str
    manager: str
    child: str
    clients: int
    attempt: RedoAttempt

    @property
    def name(self) -> str:
        parts = (self.fault, self.manager, self.child, self.clients, self.attempt.name.lower())
        return "-".join(map(str, parts))

    @property
    def option(self) -> str:
        """The fault as the child takes it: late enough in each of its processes that it has shown
        that it works, and in the middle of the redos of many clients."""
        keys = [_KEYS[self.fault]] if self.fault in _KEYS else []
        if self.fault not in _WITHOUT_TRIGGER:
            keys.append("at=2" if self.clients == 1 else "at=20")
        return self.fault + (":" + ",".join(keys) if keys else "")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the callers of a cell got: pages of their own, other pages, errors by type."""

    pages: int
    wrong_pages: int
    errors: Counter[str]
    latest_s: float
    next_redo: str
    works_again: bool
    """Whether the next redo must succeed."""

    @property
    def kinds(self) -> frozenset[str]:
        """Which outcomes there were, not how many."""
        return frozenset([*self.errors, *(["page"] if self.pages else [])])

    @property
    def is_bad(self) -> bool:
        return bool(self.wrong_pages) or (self.works_again and self.next_redo != "page")


def cells() -> Iterator[Cell]:
    """All of them."""
    for fault in FAULTS:
        for manager in MANAGERS:
            for child in CHILDREN:
                for clients in CLIENTS:
                    for attempt in RedoAttempt:
                        yield Cell(fault, manager, child, clients, attempt)


def run_cell(cell: Cell, **settings: Any) -> Outcome:
    """Two redos of each client, in parallel; then one more. Leaves nothing behind.

    ``settings``: of the manager, besides.
    """
    sandbox = cell.child != "c" or sandbox_allowed(child_program())
    command = child_command(cell.child, sandbox=sandbox, fault=cell.option)
    kind = SyncDriver if cell.manager == "sync" else AsyncDriver
    driver: Driver = kind(
        child_command=command, timeout_s=TIMEOUT_S, backoff_first_s=0.001, **settings
    )
    errors: Counter[str] = Counter()
    pages = wrong = 0
    latest_s = 0.0

    def timed(number: int) -> tuple[float, bytes | FailedAttempt]:
        request, start_s = make_request(number), time.monotonic()
        outcome: bytes | FailedAttempt
        try:
            outcome = driver.redo(request, cell.attempt)
        except FailedAttempt as error:
            outcome = error
        return time.monotonic() - start_s, outcome

    try:
        for batch in range(2):
            numbers = range(batch * cell.clients, (batch + 1) * cell.clients)
            results = in_parallel([lambda n=n: timed(n) for n in numbers])  # type: ignore[misc]
            for number, result in zip(numbers, results, strict=True):
                if isinstance(result, BaseException):
                    raise result
                took_s, outcome = result
                latest_s = max(latest_s, took_s)
                if isinstance(outcome, FailedAttempt):
                    errors[type(outcome).__name__] += 1
                elif outcome == page_of(make_request(number)):
                    pages += 1
                else:
                    wrong += 1
        next_redo = _next_redo(driver)
        return Outcome(pages, wrong, errors, latest_s, next_redo, works_again(cell))
    finally:
        driver.close()


def _next_redo(driver: Driver) -> str:
    """What a caller gets that comes after it all: "page", "wrong page" or the error's name."""
    request = make_request(1000)
    # Whatever the children before did, it must be with a new one; one that has its fault again is
    # tried again, but for a fault that lasts until the deadline. On a busy machine a new child may
    # be late, too.
    for _ in range(5):
        try:
            return "page" if driver.redo(request) == page_of(request) else "wrong page"
        except FailedAttempt as error:
            name = type(error).__name__
    return name


def works_again(cell: Cell) -> bool:
    """Whether a redo after the fault must succeed: unless no child ever starts."""
    return cell.fault not in _NEVER_WORKS


def table_lines(outcomes: Mapping[Cell, Outcome]) -> Iterator[str]:
    """A line of the table per fault and N. Managers and children that differ in what kinds of
    outcomes their callers got have a line each."""
    by_line: dict[tuple[str, int], dict[str, dict[RedoAttempt, Outcome]]] = {}
    for cell, outcome in outcomes.items():
        variants = by_line.setdefault((cell.option, cell.clients), {})
        variants.setdefault(f"{cell.manager} {cell.child}", {})[cell.attempt] = outcome
    for (option, clients), variants in by_line.items():
        alike: dict[tuple[frozenset[str], ...], list[str]] = {}
        for variant, by_attempt in variants.items():
            kinds = tuple(outcome.kinds for outcome in by_attempt.values())
            alike.setdefault(kinds, []).append(variant)
        for names in alike.values():
            cells = (
                _together([variants[name][attempt] for name in names])
                for attempt in variants[names[0]]
            )
            yield f"| `{option}` | {clients} | {_short(names)} | {' | '.join(cells)} |"


def _short(variants: Sequence[str]) -> str:
    """As ``all``, ``sync``, ``python`` or ``sync c, async python``."""
    named = {"all": [f"{manager} {child}" for manager in MANAGERS for child in CHILDREN]}
    named |= {manager: [f"{manager} {child}" for child in CHILDREN] for manager in MANAGERS}
    named |= {child: [f"{manager} {child}" for manager in MANAGERS] for child in CHILDREN}
    exact = (name for name, meant in named.items() if set(meant) == set(variants))
    return next(exact, ", ".join(variants))


def _together(outcomes: Sequence[Outcome]) -> str:
    """As ``60 to 64 pages, RedoTimeoutError``; ``(!)`` marks what must not be."""
    pages = sorted({outcome.pages for outcome in outcomes})
    span = " to ".join(map(str, dict.fromkeys((pages[0], pages[-1]))))
    found = [f"{span} page{'' if pages[-1] == 1 else 's'}"] if pages[-1] else []
    found += sorted({name for outcome in outcomes for name in outcome.errors})
    return ", ".join(found) + (" (!)" if any(outcome.is_bad for outcome in outcomes) else "")


def main() -> None:
    """Prints the matrix as a Markdown table."""
    print("| fault | N | manager, child |", " | ".join(a.name for a in RedoAttempt), "|")
    print("|---|---|---|" + "---|" * len(RedoAttempt))
    for _, cells_of_fault in groupby(cells(), attrgetter("fault")):
        for line in table_lines({cell: run_cell(cell) for cell in cells_of_fault}):
            print(line, flush=True)


if __name__ == "__main__":
    main()
