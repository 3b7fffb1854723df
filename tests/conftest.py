"""Fixtures that several test modules use; those of a manager hold what it must leave: nothing."""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from bench import interrupts
from bench.cli import ab, history, run
from bench.results import naming
from tests.support.children import command_of
from tests.support.made_up_runs import Bench
from tests.support.managers import (
    AsyncDriver,
    Driver,
    SyncDriver,
    eventually,
    open_descriptors,
    own_children,
)
from tests.support.suite_server import SuiteServer

# No test asserts a time: a busy machine must not fail one.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Managers run over shared memory with the C child, and the Python child over it has tests of
    its own in tests/fake_redo_child: both together are exhaustive."""
    chosen = getattr(getattr(item, "callspec", None), "params", {})
    of_managers = "start" in getattr(item, "fixturenames", ())
    if of_managers and (chosen.get("child"), chosen.get("transport")) == ("python", "shm"):
        item.add_marker(pytest.mark.exhaustive)


def pytest_collection_finish() -> None:
    """What is imported stays: the many collections of garbage to come need not look at it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which manager."""
    name: str = request.param
    return name


@pytest.fixture(params=["c", "python"])
def child(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The command of a child that behaves."""
    return command_of(request.param)


@pytest.fixture
def c_child() -> tuple[str, ...]:
    """The command of the C child, where a test is not about the child."""
    return command_of("c")


@pytest.fixture(params=["pipe", "shm"])
def transport(request: pytest.FixtureRequest) -> str:
    """What carries requests and pages."""
    name: str = request.param
    return name


@pytest.fixture
def start(kind: str, transport: str) -> Iterator[Callable[..., Driver]]:
    """Makes drivers of the manager kind on the transport; afterwards no process, descriptor or
    thread is left."""
    gc.collect()
    before = open_descriptors()
    threads = threading.active_count()
    drivers: list[Driver] = []

    def make(**settings: Any) -> Driver:
        settings.setdefault("transport", transport)
        driver = SyncDriver(**settings) if kind == "sync" else AsyncDriver(**settings)
        drivers.append(driver)
        return driver

    yield make
    for driver in drivers:
        driver.close()
    assert own_children() == set()
    assert eventually(lambda: threading.active_count() <= threads)
    assert len(open_descriptors()) == len(before)


@pytest.fixture(scope="session")
def server() -> Iterator[SuiteServer]:
    """Runs whole suites without the price of a fresh interpreter for each."""
    with SuiteServer() as made:
        yield made


@contextlib.contextmanager
def handlers_kept() -> Iterator[None]:
    """What becomes of signals and of lost exceptions is afterwards as before."""
    before = [(number, signal.getsignal(number)) for number in interrupts.NUMBERS]
    hook = sys.unraisablehook
    try:
        # Under nohup, and after some tests, one is ignored, and so would the command line do.
        for number in set(interrupts.NUMBERS) - {signal.SIGINT, signal.SIGTERM}:
            signal.signal(number, signal.SIG_DFL)
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before:
            signal.signal(number, handler)


@pytest.fixture
def handlers() -> Iterator[None]:
    """For a test that changes them."""
    with handlers_kept():
        yield


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Bench]:
    """The command line in an empty folder, with runs that are made up."""
    made = Bench(tmp_path, capsys)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(run, "measure_run", made.measure)
    for module in (ab, run):
        monkeypatch.setattr(module, "adopt_orphans", lambda: None)  # a property of the process
    for module in (history, run, naming):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    with handlers_kept():
        yield made
