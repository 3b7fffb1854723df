"""Names of cases: what they look like, and that they can be read back."""

from __future__ import annotations

import string
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.case import DEFAULTS, DIMENSIONS, Case
from bench.errors import BenchError, CaseError

WORDS = st.text(string.ascii_letters + string.digits + "_.+:-", min_size=1).filter(
    lambda word: word[0].isalnum()
)


def test_default_dimensions_are_left_out_of_the_name() -> None:
    assert Case("async", "short", 128).name == "async/short/n=128"
    assert Case("async", "short", 128, "c").name == "async/short/n=128"


def test_other_dimensions_are_appended() -> None:
    assert Case("async", "short+image", 4, "python").name == "async/short+image/n=4/child=python"
    assert Case("async", "short", 4, "python").extra == {"child": "python"}


@given(WORDS, WORDS, st.integers(1, 10_000), WORDS)
def test_a_name_reads_back(manager: str, workload: str, clients: int, child: str) -> None:
    case = Case(manager, workload, clients, child)
    assert Case.parse(case.name) == case


def test_the_fields_are_the_table_of_dimensions() -> None:
    assert {"child": "c"}.items() <= DEFAULTS.items()
    assert [item.name for item in fields(Case)][:3] == ["manager", "workload", "clients"]
    assert all(dimension.meaning and dimension.help for dimension in DIMENSIONS.values())


@pytest.mark.parametrize(
    "name",
    [
        "",
        "async",
        "async/short",
        "async/short/128",
        "async/short/n=",
        "async/short/n=-1",
        "async/short/n=0",
        "async/short/n=1/",
        "async/short/n=1/child",
        "async/short/n=1/color=red",
        "async/short/n=1/manager=sync",
        "async/short/n=1/child=python/child=python",
        "a b/short/n=1",
    ],
)
def test_another_name_is_refused_by_name(name: str) -> None:
    with pytest.raises(CaseError) as caught:
        Case.parse(name)
    assert isinstance(caught.value, BenchError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", ["a/b", "a b=c", "", " a", "a\n"])
def test_a_value_that_would_not_read_back_is_refused(bad: str) -> None:
    with pytest.raises(CaseError, match="workload"):
        Case("async", bad, 1)


def test_cases_sort() -> None:
    cases = [Case("sync", "short", 8), Case("async", "short", 128), Case("async", "short", 8)]
    assert [case.clients for case in sorted(cases)] == [8, 128, 8]
