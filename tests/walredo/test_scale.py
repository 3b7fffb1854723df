"""Many clients on one manager, and many managers on one loop: all are answered, nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.support.managers import AsyncDriver, Driver, make_request, own_children, page_of
from walredo import AsyncRedoManager, ManagerConfig, ManagerKind

CLIENTS = 4096
MANAGERS = 256
TURNS = 3


def test_thousands_of_clients_share_a_manager(
    start: Callable[..., Driver], kind: str, c_child: tuple[str, ...]
) -> None:
    clients = CLIENTS if kind == "async" else 512  # a thread each
    work = [(make_request(number), page_of(make_request(number))) for number in range(64)]
    driver = start(child_command=c_child)
    assert driver.redo_many(work, clients, TURNS * clients) == 0
    status = driver.status()
    assert (status.redos, status.launches) == (TURNS * clients, 1)
    if kind == "async":
        assert status.in_flight_peak >= clients


def test_hundreds_of_managers_share_a_loop(c_child: tuple[str, ...]) -> None:
    before = own_children()
    driver = AsyncDriver(child_command=c_child)
    config = ManagerConfig(child_command=c_child, kind=ManagerKind.ASYNC)
    managers = [AsyncRedoManager(config) for _ in range(MANAGERS)]

    async def redo_all() -> int:
        wrong = 0
        for turn in range(TURNS):
            requests = [make_request(MANAGERS * turn + at) for at in range(MANAGERS)]
            redos = [each.request_redo(one) for each, one in zip(managers, requests, strict=True)]
            pages = await asyncio.gather(*redos)
            wrong += sum(page != page_of(one) for page, one in zip(pages, requests, strict=True))
        return wrong

    async def shut_down_all() -> None:
        await asyncio.gather(*(each.shutdown() for each in managers))

    try:
        assert driver.run(redo_all()) == 0
        assert len(own_children() - before) == MANAGERS
    finally:
        driver.run(shut_down_all())
        driver.close()
    assert own_children() == before
