"""Tables of fields: one unit per column, numbers below each other, nothing said twice."""

from __future__ import annotations

import pytest

from bench.results.summary import Estimate
from bench.show import columns, fields
from bench.show.columns import intervals
from bench.statistics.bounded import Bounded
from bench.statistics.effects import Effect
from tests.support.printed import printed

Row = tuple[str, int, float | None]


def table_of(
    rows: list[Row], shown: list[fields.Field[Row]], title: str | None = None
) -> list[str]:
    table = fields.field_table(rows, shown, title)
    text = printed(lambda console: console.print(table))
    return [line.rstrip() for line in text.splitlines()]


def estimate(row: Row) -> Estimate | None:
    return None if row[2] is None else Estimate.of([(1, row[2])])


NAME: fields.Field[Row] = fields.words("name", lambda row: row[0], is_group=True)
N: fields.Field[Row] = fields.clients(lambda row: row[1])


def test_numbers_share_a_unit_which_the_heading_names() -> None:
    rows: list[Row] = [("sync", 1, 20e-6), ("async", 1, 4.5e-3), ("floor", 1, None)]
    words: fields.Field[Row] = fields.words("manager", lambda row: row[0])
    assert table_of(rows, [N, words, fields.measure("p50", estimate)]) == [
        "               p50",
        "N  manager      us",
        "1  sync       20.0",
        "   async    4500.0",
        "   floor         -",
    ]


def test_percentiles_of_a_measure_share_the_unit_of_the_lowest() -> None:
    rows: list[Row] = [("sync", 1, 20e-6), ("async", 1, 450e-6)]

    def tail(row: Row) -> Estimate | None:
        return Estimate.of([(1, row[2] * 100)]) if row[2] else None

    words: fields.Field[Row] = fields.words("manager", lambda row: row[0])
    shown = [words, fields.measure("p50", estimate), fields.measure("alone", tail)]
    assert table_of(rows, [*shown, fields.percentile("p99", tail, beside=estimate)]) == [
        "           p50  alone    p99",
        "manager     us     ms     us",
        "sync      20.0   2.00   2000",
        "async    450.0  45.00  45000",
    ]


def test_a_percentile_beside_nothing_has_its_own_unit() -> None:
    rows: list[Row] = [("sync", 1, 2e-3)]
    alone: fields.Field[Row] = fields.percentile("p99", estimate, beside=lambda _: None)
    assert [line.split() for line in table_of(rows, [alone])] == [["p99"], ["ms"], ["2.00"]]


def test_without_a_unit_there_is_one_line_of_headings() -> None:
    rows: list[Row] = [("a", 1, 3.0), ("b", 2, 10.0)]
    assert table_of(rows, [N, fields.measure("in flight", estimate, columns.plain(0))]) == [
        "N  in flight",
        "1          3",
        "2         10",
    ]


def test_groups_are_said_where_they_change_or_one_before_them_does() -> None:
    rows: list[Row] = [("a", 1, 1.0), ("a", 1, 2.0), ("a", 2, 3.0), ("b", 2, 4.0)]
    shown = [NAME, N, fields.measure("x", estimate, columns.plain(0))]
    assert [line.split() for line in table_of(rows, shown)[1:]] == [
        ["a", "1", "1"],
        ["2"],
        ["2", "3"],
        ["b", "2", "4"],
    ]


def test_a_column_of_which_nothing_is_known_is_left_out() -> None:
    rows: list[Row] = [("a", 1, None), ("b", 2, None)]
    assert table_of(rows, [NAME, N, fields.measure("p99.9", estimate)]) == [
        "name  N",
        "a     1",
        "b     2",
    ]


def test_words_may_stand_in_place_of_a_number() -> None:
    rows: list[Row] = [("a", 1, 2.0), ("b", 1, 3.0)]
    over: fields.Field[Row] = fields.measure(
        "held", estimate, columns.plain(1), lambda row: "over" if row[0] == "b" else ""
    )
    assert [line.split() for line in table_of(rows, [NAME, over])] == [
        ["name", "held"],
        ["a", "2.0"],
        ["b", "over"],
    ]


def test_ratios_and_their_bounds_stand_below_each_other() -> None:
    texts = intervals(
        [Bounded(0.77, 0.64, 1.01), None, Bounded(12.5, 8.0, 20.25), Bounded(0.9)]
    ).texts
    assert texts == (
        "0.77 (0.64-1.01) ",
        "-",
        "12.50 (8.00-20.25)",
        "0.90 (?)         ",
    )


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.5, 2.0, None], ("0.50", "2.00", "-")),
        ([0.027, 0.785], ("0.027", "0.785")),
        ([0.0, 1.0], ("0.00", "1.00")),
    ],
)
def test_small_ratios_have_a_decimal_more(
    values: list[float | None], texts: tuple[str, ...]
) -> None:
    assert columns.factors(values).texts == texts


def test_a_bound_that_is_far_out_needs_no_digits() -> None:
    assert intervals([Bounded(3.0, 0.0005, 12345.6)]).texts == ("3.00 (<0.01->999)",)
    assert intervals([Bounded(0.004, 0.0039, 0.0041)]).texts == ("0.004 (0.004-0.004)",)


def test_a_ratio_carries_its_interval() -> None:
    rows: list[Row] = [("a", 1, 1.0)]
    effect = Effect(0.5, 0.4, 0.6, 0.01, 0.1, (6, 6))
    bounded: fields.Field[Row] = fields.ratio_interval("/sync", lambda _: effect)
    plain: fields.Field[Row] = fields.ratio("/floor", lambda _: effect)
    assert table_of(rows, [NAME, bounded, plain])[1].split() == ["a", "0.50", "(0.40-0.60)", "0.50"]


@pytest.mark.parametrize(
    ("cells", "unit"), [(columns.seconds, "s"), (columns.rates, ""), (columns.sizes, "B")]
)
def test_of_nothing_the_unit_is_the_plain_one(cells: columns.Numbers, unit: str) -> None:
    assert cells([0.0, None]) == columns.Column(unit, ("0", "-"))


def test_what_stands_in_place_of_a_number_keeps_its_column() -> None:
    rows: list[Row] = [("a", 1, None)]
    over: fields.Field[Row] = fields.measure("held", estimate, instead=lambda _: "over budget")
    assert table_of(rows, [NAME, over])[1].split() == ["a", "over", "budget"]
