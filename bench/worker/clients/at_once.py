"""N clients that call at the same moment, once each: for threads and for tasks.

Standard library only. A sample is the time from that moment to a client's page in its hands; what
it waits for its executor before its call is a part of it, since nobody has begun earlier. Pages are
checked. The closed loop is in ``clients``.
"""

from __future__ import annotations

import asyncio
import threading
import time
from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence

from bench.worker.clients.slice import SliceOutcome, Work, WrongPageError
from bench.worker.meters import Used
from bench.worker.protocol import STRIDE

Episode = Sequence[int]
"""One sample of each client, ns."""

_now_ns = time.perf_counter_ns


def threads_at_once(work: Work[bytes], clients: int, begin: Callable[[], object]) -> Episode:
    """An episode with a thread per client. ``begin`` is called at the moment from which they count,
    just before they do. Raises what the first failing client raised."""
    calls, pages = work.calls, work.pages
    everybody_there = threading.Barrier(clients + 1)
    gate = threading.Event()
    page_ns = [0] * clients
    errors: list[BaseException] = []

    def call_once(client: int) -> None:
        index = client * STRIDE % len(calls)
        everybody_there.wait()
        gate.wait()
        try:
            page = calls[index]()
            page_ns[client] = _now_ns()
            if page != pages[index]:
                raise WrongPageError(client, index)  # noqa: TRY301
        except BaseException as error:  # noqa: BLE001 - raised again below, by the caller's thread
            errors.append(error)

    threads = [threading.Thread(target=call_once, args=(n,), daemon=True) for n in range(clients)]
    for thread in threads:
        thread.start()
    everybody_there.wait()
    began_ns = _now_ns()
    try:
        begin()
    finally:
        gate.set()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return [at_ns - began_ns for at_ns in page_ns]


async def tasks_at_once(
    work: Work[Awaitable[bytes]], clients: int, begin: Callable[[], object]
) -> Episode:
    """An episode with a task per client, else as `threads_at_once`."""
    calls, pages = work.calls, work.pages
    gate = asyncio.Event()
    page_ns = [0] * clients

    async def call_once(client: int) -> None:
        index = client * STRIDE % len(calls)
        await gate.wait()
        page = await calls[index]()
        page_ns[client] = _now_ns()
        if page != pages[index]:
            raise WrongPageError(client, index)

    try:
        async with asyncio.TaskGroup() as group:
            for client in range(clients):
                group.create_task(call_once(client))
            await asyncio.sleep(0)  # everybody reaches the gate
            began_ns = _now_ns()
            begin()
            gate.set()
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [at_ns - began_ns for at_ns in page_ns]


def outcome_of(
    episodes: Sequence[Episode], used: tuple[Used, ...], counts: Mapping[str, int]
) -> SliceOutcome:
    """A slice of at least one episode. A client's wall is the sum of its samples, so that the time
    per redo is their mean."""
    per_client = list(zip(*episodes, strict=True))
    head = array("q")
    for samples in per_client:
        head.extend((0, sum(samples), len(samples)))
    latency_ns = array("q", (ns for samples in per_client for ns in samples))
    return SliceOutcome(head.tobytes() + latency_ns.tobytes(), used, counts=counts)
