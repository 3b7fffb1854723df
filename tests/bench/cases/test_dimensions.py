"""The notations of what is around a manager: what they mean, and what they refuse."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from bench.cases.case import Case
from bench.cases.config import ConfigError, load_profile, override
from bench.cases.matrix import cases_of, without_meaning
from bench.cases.names import TRANSPORTS
from bench.cases.notations import Admission, Load, executor_threads
from bench.experiments.registry import VIEWS
from walredo import TransportKind


def test_what_they_mean() -> None:
    assert executor_threads("per-client") is None
    assert executor_threads("ncpus") == len(os.sched_getaffinity(0))
    assert executor_threads("7") == 7
    assert Load.parse("closed") == Load()
    assert not Load.parse("closed").is_open
    assert Load.parse("open:2500.5") == Load(rate_per_s=2500.5)
    assert Load.parse("open:80%") == Load(percent=80.0)
    assert Admission.parse("none") == Admission.parse("unlimited") == Admission()
    assert Admission.parse("before:4") == Admission(data=4)
    assert Admission.parse("after:2") == Admission(redo=2)
    assert Admission.parse("both:4,2") == Admission(data=4, redo=2)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        *((executor_threads, text) for text in ("0", "-1", "4097", "many", "")),
        *(
            (Load.parse, text)
            for text in ("open", "open:", "open:0", "open:0%", "open:-5", "open:1e3", "open:nan")
        ),
        *((Load.parse, text) for text in ("open:1001%", "open:%", "closed:5", "5")),
        *(
            (Admission.parse, text)
            for text in (
                "none:1",
                "unlimited:2",
                "before",
                "before:0",
                "before:1,2",
                "both:1",
                "both:1,0",
                "x:1",
            )
        ),
    ],
)
def test_anything_else_is_refused_with_what_would_be_right(
    parse: Callable[[str], object], text: str
) -> None:
    with pytest.raises(ValueError, match="expected") as refused:
        parse(text)
    assert repr(text) in str(refused.value)


def test_a_dimension_that_means_nothing_to_a_manager_multiplies_nothing() -> None:
    config = override(
        load_profile("quick"),
        manager="sync,async,floor",
        workload="short",
        clients="4",
        executor="per-client,2",
        heartbeat="none,loop,thread",
        pause="yield,none",
    )
    cases = cases_of(config)
    assert len(set(cases)) == len(cases)
    of = {name: [case for case in cases if case.manager == name] for name in config.manager}
    assert of["floor"] == [Case("floor", "short", 4)]
    assert {case.executor for case in of["async"]} == {"per-client"}
    assert len(of["async"]) == 3 * 2
    # A thread has no loop to put a heartbeat on.
    assert {case.heartbeat for case in of["sync"]} == {"none", "thread"}
    assert len(of["sync"]) == 2 * 2 * 2


def test_a_manager_that_has_only_pipes_is_measured_over_them_once() -> None:
    config = override(
        load_profile("quick"),
        manager="sync,floor,streams,peer:x,examples.lock_manager:create,noop-sync",
        workload="short",
        clients="4",
        transport="pipe,shm",
        wait="park,spin:20",
    )
    others = [case for case in cases_of(config) if case.manager not in ("sync", "floor")]
    assert {case.extra == {} for case in others} == {True}
    assert len(others) == 4
    of = {name: [c.extra for c in cases_of(config) if c.manager == name] for name in config.manager}
    shm, spin = {"transport": "shm"}, {"wait": "spin:20"}
    assert of["sync"] == [{}, spin, shm, {**shm, **spin}]
    # Over pipes the floor does not spin.
    assert of["floor"] == [{}, shm, {**shm, **spin}]


def test_the_transports_are_those_of_the_managers() -> None:
    assert list(TRANSPORTS) == list(TransportKind)
    assert Case.parse("sync/short/n=1").transport == TransportKind.PIPE  # as in older files
    assert Case("floor", "short", 1, transport="shm").name == "floor/short/n=1/transport=shm"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"manager": "async,floor", "caller": "own,loop"},
            ["caller loop makes no difference to any of these cases: left out"],
        ),
        (
            {"manager": "floor", "wait": "spin:20", "topology": "per-tenant"},
            [
                "wait spin:20 makes no difference to any of these cases: left out",
                "topology per-tenant makes no difference to any of these cases: left out",
            ],
        ),
        (
            {"manager": "streams,peer:x,noop-sync", "transport": "pipe,shm"},
            ["transport shm makes no difference to any of these cases: left out"],
        ),
        (
            {"manager": "sync", "scenario": "storm-wait", "transport": "shm"},
            ["transport shm makes no difference to any of these cases: left out"],
        ),
        ({"manager": "sync,floor", "caller": "loop"}, []),
        ({"manager": "floor"}, []),
    ],
)
def test_what_means_nothing_to_any_manager_is_said(
    options: dict[str, str], said: list[str]
) -> None:
    config = override(load_profile("quick"), **options)
    assert list(without_meaning(config)) == said


def test_a_peer_has_no_busy_processes_beside_it() -> None:
    config = override(
        load_profile("quick"),
        manager="floor,peer:async",
        workload="short",
        clients="4",
        background_load="0,2",
    )
    found = [(case.manager, case.background_load) for case in cases_of(config)]
    assert sorted(found) == [("floor", 0), ("floor", 2), ("peer:async", 0)]


@pytest.mark.parametrize("name", ["executor", "fairness", "cpu"])
def test_profiles_of_shared_threads_and_cpu_have_their_views(name: str) -> None:
    config = load_profile(name)
    cases = cases_of(config)
    assert [view.name for view in VIEWS.of(cases)] == [name]
    assert VIEWS.covered(cases) == set(cases)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"topology": "per-tenant", "executor": "2"}, "--topology"),
        ({"load": "closed,open:50%", "admission": "none,after:2"}, "--load"),
        ({"load": "open:50%"}, "closed as well"),
        ({"background_load": "-1"}, "--background-load"),
        ({"background_load": "257"}, "from 0 to 256"),
        ({"executor": "0"}, "per-client, ncpus, or a number of threads"),
        ({"scenario": "cold"}, 'did you mean "cold-start"?'),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        override(load_profile("quick"), **options)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_names_hold_what_differs_and_can_be_read_back() -> None:
    case = Case("sync", "short", 8, load="open:80%", background_load=2)
    assert case.name == "sync/short/n=8/load=open:80%/background_load=2"
    assert Case.parse(case.name) == case
    both = Case("async", "short", 8, admission="both:4,2")
    assert Case.parse(both.name) == both
