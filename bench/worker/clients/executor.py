"""N clients that share K threads, as tasks share those of an executor: their closed loop.

Standard library only. The published benchmark works this way: its clients are tasks, its executor
has as many threads as there are CPUs, and a sync redo blocks one of them. A thread takes the client
that has waited longest, makes one redo for it, puts it back at the end of the queue and takes the
next. So there are never more redos in flight than threads. The other clients wait between two
redos: that is in their wall clock, and in no latency.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from bench.worker.clients.slice import (
    Client,
    Slice,
    SliceOutcome,
    ThreadStart,
    WrongPageError,
    outcome,
)

_now_ns = time.perf_counter_ns


@dataclass(slots=True)
class _Waiting:
    """A client in the queue and the index of its next request."""

    client: Client
    index: int


def run_on_executor(this: Slice[bytes], *, threads: int, gives_way: bool = True) -> SliceOutcome:
    """One slice with so many threads, at most one per client; else as `closed_loop.run_threads`.

    ``gives_way``: whether a client goes to the end of the queue after each redo. If not, it keeps
    its thread until the deadline, and clients without a thread do a single redo after the deadline.
    """
    calls, pages = this.work.calls, this.work.pages
    count = len(calls)
    running = min(threads, this.clients)
    start = ThreadStart(running)
    team = [Client(number) for number in range(this.clients)]
    queue = deque(_Waiting(client, client.first(count)) for client in team)

    def serve_clients() -> None:
        start.wait()
        deadline_ns = this.deadline_ns
        while True:
            try:
                waiting = queue.popleft()
            except IndexError:
                return  # every client that is not done is on another thread
            client, index = waiting.client, waiting.index
            begun, ended = client.begun_ns.append, client.ended_ns.append
            if not client.start_ns:
                client.start_ns = _now_ns()
            while True:
                before_ns = _now_ns()
                page = calls[index]()
                after_ns = _now_ns()
                begun(before_ns)
                ended(after_ns)
                if page != pages[index]:
                    raise WrongPageError(client.number, index)
                if after_ns >= deadline_ns:
                    client.end_ns = after_ns
                    break
                index = index + 1 if index + 1 < count else 0
                if gives_way:
                    waiting.index = index
                    queue.append(waiting)
                    break

    start.run(this, [serve_clients] * running)
    return outcome(this, team)
