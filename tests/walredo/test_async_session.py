"""The async session: what leaves in one write."""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios

from tests.support.managers import eventually, make_request, page_of
from walredo import PAGE_SIZE, AsyncRedoManager, ManagerConfig, ManagerKind

CLIENTS = 8


def readable_bytes(fd: int) -> int:
    held: int = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0]
    return held


def test_requests_of_callers_woken_together_leave_in_one_write(c_child: tuple[str, ...]) -> None:
    requests = [make_request(number) for number in range(2 * CLIENTS)]
    writes = [0, 0]

    async def client(manager: AsyncRedoManager, number: int) -> list[bytes]:
        return [await manager.request_redo(requests[number + k * CLIENTS]) for k in range(2)]

    async def main() -> None:
        async with AsyncRedoManager(ManagerConfig(c_child, kind=ManagerKind.ASYNC)) as manager:
            await manager.ping()
            session = manager._life.current
            assert session is not None
            clients = [asyncio.create_task(client(manager, n)) for n in range(CLIENTS)]
            while session.pipeline.has_unsent or not session.pipeline.in_flight:
                await asyncio.sleep(0)
            # The loop does not turn until all pages are there, so that one read takes them.
            pages = CLIENTS * PAGE_SIZE
            assert eventually(lambda: readable_bytes(session.child.stdout) == pages)
            writes[0] = (await manager.status()).write_calls
            for number, answers in enumerate(await asyncio.gather(*clients)):
                assert answers == [page_of(requests[number + k * CLIENTS]) for k in range(2)]
            writes[1] = (await manager.status()).write_calls

    asyncio.run(main())
    assert writes[1] - writes[0] == 1
