"""Fixtures that hold what every test of a manager must leave behind: nothing."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from managers import AsyncDriver, Driver, SyncDriver, eventually, open_descriptors, own_children
from test_child_harness import command_of


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


@pytest.fixture
def start(kind: str) -> Iterator[Callable[..., Driver]]:
    """Makes drivers of the manager kind; afterwards no process, descriptor or thread is left."""
    gc.collect()
    before = open_descriptors()
    threads = threading.active_count()
    drivers: list[Driver] = []

    def make(**settings: Any) -> Driver:
        driver = SyncDriver(**settings) if kind == "sync" else AsyncDriver(**settings)
        drivers.append(driver)
        return driver

    yield make
    for driver in drivers:
        driver.close()
    assert own_children() == set()
    assert eventually(lambda: threading.active_count() <= threads)
    assert len(open_descriptors()) == len(before)
