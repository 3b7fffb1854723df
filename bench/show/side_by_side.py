"""The same question put to several results, mostly of several machines: is a manager faster than
sync, and from which N on?

`side_by_side` gives plain data, of which the terminal, the HTML page and `show --json` each make
their own form. Every answer is a `Row` of the result's own verdict: there is no second rule. Two
results disagree at an N if one says "faster", "slower" or "no significant difference" and the other
something else.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.cases import placement
from bench.cases.names import BASE
from bench.errors import BenchError
from bench.results.row import Measure
from bench.results.summary import Group, Summary
from bench.show import units
from bench.show.columns import ABSENT
from bench.show.findings import span
from bench.show.notes import disturbed_line, notes
from bench.show.verdict import (
    AMOUNTS,
    HEADINGS,
    Amount,
    Asked,
    Row,
    amounts_at,
    amounts_data,
    conditions_text,
    listed,
    row_data,
    rows_of,
)
from bench.show.view import Reading
from bench.statistics.comparison import condition, differences

SHOWN: Final = {
    "throughput": AMOUNTS.index(Measure.THROUGHPUT),
    "p99 latency": AMOUNTS.index(Measure.LATENCY_P99),
}
"""Heading of a cell -> its place in `Answer.amounts`. CPU per redo is in the data only."""

FASTER_FROM: Final = HEADINGS[0]

NOT_MEASURED: Final = "not measured"

HOW_TO_READ: Final = (
    "The ratios of a row are those of its own result, at the greatest N that all have in common. A"
    " difference that is significant in one result and not in another does not prove that the"
    " machines differ: compare the CIs."
)

_OF_MACHINE: Final = frozenset(
    {
        *("CPU", "number of CPUs", "CPU governor", "CPUs allowed", "kernel", "seed"),
        *("compiler of the child", "flags of the child", "sandbox of the child"),
        *("bytes of pipes", "CPUs of manager and child"),
    }
)
"""Conditions that may differ between machines without a word."""

_MACHINE: Final = frozenset({"CPU", "number of CPUs"})
"""Conditions that never differ on one machine."""

_LIMITING: Final = ("failed", "no-turn", "single-round")
"""Kinds of notes on a result that limit what it says beside others."""

_SIDES: Final = {1: "faster", -1: "slower", 0: "no significant difference"}


@dataclass(frozen=True, slots=True)
class Result:
    """One of the results, with a letter as its label."""

    label: str
    reading: Reading

    @property
    def summary(self) -> Summary:
        return self.reading.summary

    @property
    def machine(self) -> str:
        """Its CPU, without the words that all CPUs are called by."""
        model = self.summary.environment.cpu_model.partition("@")[0]
        for word in ("(R)", "(TM)", "(tm)", " CPU", " Processor"):
            model = model.replace(word, "")
        return " ".join(model.split()) or self.summary.environment.cpu_model

    @property
    def cpus(self) -> str:
        """As ``8``, or ``2 of 8`` where the suite was allowed no more."""
        environment = self.summary.environment
        if environment.cpu_count is None:
            return ABSENT
        # Older files have pyperf's list only.
        text = environment.cpus_allowed or self.summary.metadata.get("cpu_affinity")
        allowed = placement.count_of(str(text or ""))
        few = 0 < allowed < environment.cpu_count
        return f"{allowed} of {environment.cpu_count}" if few else str(environment.cpu_count)

    @property
    def measured(self) -> str:
        """Which file this is, and on what and how it was measured, in one line."""
        environment = self.summary.environment
        return (
            f"{self.summary.source}: {environment.cpu_model}, CPUs: {self.cpus},"
            f" {environment.kernel}; commit {environment.version}, profile {environment.profile},"
            f" {units.counted(len(self.summary.rounds), 'round')}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Asked):
    """What one result says. ``row`` is that of its verdict, None if it does not have the manager
    and sync. ``amounts``: `AMOUNTS` at ``clients``, the greatest N of the question; empty where
    there is none."""

    result: Result
    row: Row | None
    clients: int | None
    amounts: tuple[Amount | None, ...]

    @property
    def faster_from(self) -> str:
        return NOT_MEASURED if self.row is None else self.row.faster_from

    def amount(self, heading: str) -> Amount | None:
        """The amount of a heading of `SHOWN`."""
        return self.amounts[SHOWN[heading]] if self.amounts else None

    def side(self, clients: int) -> int:
        """Whether the manager is faster than sync (1), slower (-1) or neither (0) at that N."""
        assert self.row is not None
        return next(lead.side for lead in self.row.leads if lead.clients == clients)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Asked):
    """The same question put to every result.

    ``about``: the kind of child in words. ``clients``: the N that all results have which could
    compare the two, ascending.
    """

    about: str
    clients: tuple[int, ...]
    answers: tuple[Answer, ...]

    @property
    def title(self) -> str:
        """As ``async, short requests, a free child, N = 16``."""
        at = f"N = {self.clients[-1]}" if self.clients else "no N in common"
        return f"{self.manager}, {self.workload} requests, {self.about}, {at}"

    @property
    def answering(self) -> tuple[Answer, ...]:
        """The answers of the results that could compare the two."""
        return tuple(answer for answer in self.answers if answer.row and answer.row.leads)

    @property
    def disagree_at(self) -> tuple[int, ...]:
        return tuple(n for n in self.clients if len(set(self._sides(n))) > 1)

    @property
    def agree_at(self) -> tuple[int, ...]:
        return tuple(n for n in self.clients if len(set(self._sides(n))) == 1)

    def _sides(self, clients: int) -> tuple[int, ...]:
        """Of each of ``answering``."""
        return tuple(answer.side(clients) for answer in self.answering)

    @property
    def who(self) -> str:
        """As ``the results``, or ``A and B`` where another one cannot answer."""
        if len(self.answering) == len(self.answers):
            return "the results"
        return listed([answer.result.label for answer in self.answering])

    def said(self, opening: str = "") -> str:
        """As ``the results disagree at N = 4 (faster on A, slower on B) and agree at N = 1
        (faster)``; ``opening`` stands behind the first verb. Without it the sentence has an
        opening already, and the results are ``they``."""
        if len(self.answering) < 2:
            who = f"only {self.who} compares" if self.answering else "no result compares"
            return f"{who} {self.manager} with {BASE}"
        if not self.clients:
            return f"{self.who} have no N in common for {self.manager} and {BASE}"
        who = self.who
        if not opening and len(self.answering) == len(self.answers):
            who = "they"
        parts: list[str] = []
        for verb, clients in (("disagree", self.disagree_at), ("agree", self.agree_at)):
            by_sides: dict[tuple[int, ...], list[int]] = {}
            for n in clients:
                by_sides.setdefault(self._sides(n), []).append(n)
            places = [
                f"at N = {span(alike, self.clients)} ({self._told(sides)})"
                for sides, alike in by_sides.items()
            ]
            if places:
                parts.append(f"{verb}{opening if not parts else ''} {listed(places)}")
        return f"{who} {' and '.join(parts)}"

    def _told(self, sides: Sequence[int]) -> str:
        """As ``faster``, or ``faster on A, slower on B``."""
        if len(set(sides)) == 1:
            return _SIDES[sides[0]]
        labels = [answer.result.label for answer in self.answering]
        by_side = {
            text: [label for label, own in zip(labels, sides, strict=True) if own == side]
            for side, text in _SIDES.items()
        }
        return ", ".join(f"{text} on {listed(on)}" for text, on in by_side.items() if on)


@dataclass(frozen=True, slots=True)
class SideBySide:
    """``sentences``: where the results agree and disagree. ``notes``: what limits that."""

    results: tuple[Result, ...]
    questions: tuple[Question, ...]
    sentences: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The rows of the table."""
        return tuple(answer for question in self.questions for answer in question.answers)


def side_by_side(readings: Sequence[Reading]) -> SideBySide:
    """The questions that at least two of the results can answer, with the answers of all.

    There are none where no two have a manager and sync in common. Raises BenchError if no two have
    any case in common.
    """
    results = tuple(
        Result(_label(number), reading) for number, reading in enumerate(readings, start=1)
    )
    if not _have_common_case(results):
        names = listed([result.summary.source for result in results])
        raise BenchError(f"{names} have no case in common")
    found: dict[Asked, dict[str, tuple[Group, Row]]] = {}
    for result in results:
        for group in result.reading.ordinary.groups():
            for row in rows_of(group):
                found.setdefault(row.asked, {})[result.label] = group, row
    questions = tuple(
        _question(asked, results, by_label)
        for asked, by_label in found.items()
        if len(by_label) > 1
    )
    single = [
        (asked, label)
        for asked, by_label in found.items()
        for label in by_label
        if len(by_label) == 1
    ]
    return SideBySide(
        results,
        questions,
        tuple(_sentences(questions)),
        (*_notes(results), *_left_out(single)),
    )


def of_one_machine(one: Summary, other: Summary) -> bool:
    """Whether two results may be of the same machine."""
    return _MACHINE.isdisjoint(map(condition, differences(one, other)))


def _label(number: int) -> str:
    """``A``, ``B``, ... ``Z``, ``A2``, ..."""
    letters = string.ascii_uppercase
    turn, at = divmod(number - 1, len(letters))
    return f"{letters[at]}{turn + 1 if turn else ''}"


def _have_common_case(results: Sequence[Result]) -> bool:
    cases = [{row.case for row in result.summary.rows} for result in results]
    return sum(map(len, cases)) > len(set().union(*cases))


def _question(
    asked: Asked,
    results: Sequence[Result],
    found: dict[str, tuple[Group, Row]],
) -> Question:
    measured = [{lead.clients for lead in row.leads} for _, row in found.values() if row.leads]
    clients = tuple(sorted(set.intersection(*measured))) if measured else ()
    at = clients[-1] if clients else None

    def answer(result: Result) -> Answer:
        amounts: tuple[Amount | None, ...] = ()
        row = None
        if result.label in found:
            group, row = found[result.label]
            if row.leads and at is not None:
                amounts = amounts_at(group, row.manager, at)
        return Answer(**asdict(asked), result=result, row=row, clients=at, amounts=amounts)

    one, _ = next(iter(found.values()))
    return Question(
        **asdict(asked),
        about=conditions_text(dict(one.extra)),
        clients=clients,
        answers=tuple(map(answer, results)),
    )


def _sentences(questions: Iterable[Question]) -> Iterator[str]:
    """One for each manager and kind of child, with a clause for each workload."""
    alike: dict[tuple[str, str], list[Question]] = {}
    for question in questions:
        alike.setdefault((question.about, question.manager), []).append(question)
    for (about, manager), those in alike.items():
        opening, beside = f" on whether {manager} is faster than {BASE}", f" with {about}"
        clauses = []
        for question in those:
            clauses.append(f"{question.workload} requests{beside}, {question.said(opening)}")
            beside = ""
            if len(question.answering) > 1 and question.clients:
                opening = ""
        yield f"For {'; for '.join(clauses)}."


def _notes(results: Sequence[Result]) -> Iterator[str]:
    base, *others = results
    for result in results:
        if disturbed := disturbed_line(result.summary):
            yield f"{result.label}: {disturbed}"
        for note in notes(result.summary):
            if note.kind in _LIMITING:
                yield f"{result.label}: {note.text}"
    for other in others:
        version, before = other.summary.environment.version, base.summary.environment.version
        found = [f"commit: {before} | {version}"] if version != before else []
        found += [
            difference
            for difference in differences(base.summary, other.summary)
            if condition(difference) not in _OF_MACHINE
        ]
        if found:
            yield f"{base.label} and {other.label} differ in code or settings: {'; '.join(found)}"


def _left_out(single: Iterable[tuple[Asked, str]]) -> Iterator[str]:
    """What only one result has."""
    by_label: dict[str, list[str]] = {}
    for asked, label in single:
        more = ", ".join(filter(None, (asked.workload, asked.child, asked.conditions)))
        by_label.setdefault(label, []).append(f"{asked.manager} ({more})")
    for label, names in by_label.items():
        yield f"only {label} compares {listed(names)} with {BASE}"


def side_by_side_data(found: SideBySide) -> dict[str, Any]:
    """The same as plain data for `show --json`."""
    return {
        "results": [
            {
                "label": result.label,
                "source": result.summary.source,
                "cpu_model": result.summary.environment.cpu_model,
                "cpu_count": result.summary.environment.cpu_count,
                "cpus_allowed": result.summary.environment.cpus_allowed,
                "kernel": result.summary.environment.kernel,
                "version": result.summary.environment.version,
                "rounds": len(result.summary.rounds),
            }
            for result in found.results
        ],
        "sentences": list(found.sentences),
        "notes": list(found.notes),
        "questions": [
            {
                "manager": question.manager,
                "workload": question.workload,
                "child": question.child,
                "conditions": question.conditions,
                "clients": list(question.clients),
                "agree_at": list(question.agree_at),
                "disagree_at": list(question.disagree_at),
                "answers": [
                    {
                        "result": answer.result.label,
                        "amounts_at": answer.clients,
                        "amounts": amounts_data(answer.amounts),
                        "row": answer.row and row_data(answer.row),
                    }
                    for answer in question.answers
                ],
            }
            for question in found.questions
        ],
    }
