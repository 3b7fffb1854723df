"""A long run against a child that is killed and stopped all the time (``make soak REDOS=1000000``).

Both managers, many clients, each with requests of its own; about every 2,000 redos the child gets
SIGKILL, about every 5,000 SIGSTOP and soon SIGCONT. What must hold: no client ever gets a page that
is not its own, no error but those that a killed child explains, and at the end neither memory nor
descriptors, threads or processes have grown. Exit status 1 where it does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import itertools
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from fake_redo_child.build import child_command, child_program, sandbox_allowed
from tests.support.managers import make_request, open_descriptors, own_children, page_of, shares
from walredo import (
    AsyncRedoManager,
    Cause,
    FailedAttempt,
    ManagerConfig,
    ManagerKind,
    ManagerStatus,
    RedoRequest,
    SyncRedoManager,
)
from walredo.config import TransportKind
from walredo.transport.ring import SharedRing

MANAGERS: Final = ("sync", "async", "async-uvloop")
REQUESTS_PER_CLIENT: Final = 16
KILL_EVERY: Final = 2000
STOP_EVERY: Final = 5000
STOPPED_S: Final = 0.02
WARMUP_SHARE: Final = 0.1
WARMUP_MOST: Final = 50_000
"""Redos before the footprint is taken that the last one is compared with."""

EXPLAINED: Final = frozenset({Cause.CHILD_EXIT, Cause.POISONED})
"""What an attempt may fail of where nothing happens but that children are killed."""

MOST_GROWTH: Final = {
    "descriptors": 0,
    "threads": 0,
    "children": 0,
    "blocks": 2000,
    "malloc_bytes": 3 << 20,
    "rss_bytes": 64 << 20,
}
"""What the last footprint may have more than the first. What is in use grows until each thread has
its cache of freed memory, by 1.5 MiB at 64 threads: more than that is, over a million redos, less
than a page per killed child. Resident memory grows for a while as freed memory lies scattered."""

REPORT_EVERY_S: Final = 10.0

Work = Sequence[tuple[RedoRequest, bytes]]


@dataclass(frozen=True, slots=True)
class Footprint:
    """What this process holds while nothing is in flight and no child is left.

    ``blocks``: of the interpreter's own allocator, for small objects. ``malloc_bytes``: what the C
    library has given out, pages among it; 0 where it does not tell (not glibc).
    """

    rss_bytes: int
    malloc_bytes: int
    blocks: int
    descriptors: int
    threads: int
    children: int

    @classmethod
    def now(cls) -> Footprint:
        gc.collect()
        # What was freed goes back to the system, or the C library's reserve would look like growth.
        ctypes.CDLL(None).malloc_trim(0)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            rss_bytes=pages * os.sysconf("SC_PAGE_SIZE"),
            malloc_bytes=_malloc_bytes(),
            blocks=sys.getallocatedblocks(),
            descriptors=len(open_descriptors()),
            threads=threading.active_count(),
            children=len(own_children()),
        )

    def __str__(self) -> str:
        return (
            f"{self.malloc_bytes / 2**20:.2f} MiB and {self.blocks} blocks in use,"
            f" {self.rss_bytes / 2**20:.0f} MiB resident, {self.descriptors} descriptors,"
            f" {self.threads} threads, {self.children} children"
        )


@dataclass(slots=True)
class Tally:
    """What the clients got so far. Each client writes its own element of ``done`` only."""

    done: list[int]
    errors: list[Cause] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    ended_by: float = float("inf")
    """time.monotonic() after which clients begin no redo any more."""

    def take(self, client: int, request: RedoRequest, expected: bytes, page: bytes) -> None:
        self.done[client] += 1
        if page != expected:
            self.wrong.append(f"client {client}, block {request.tag.block}")

    def failed(self, client: int, error: FailedAttempt) -> None:
        self.done[client] += 1
        self.errors.append(error.cause)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One manager's soak."""

    manager: str
    tally: Tally
    status: ManagerStatus
    stops: int
    start: Footprint
    end: Footprint
    took_s: float

    def problems(self) -> list[str]:
        """What does not hold, a line each."""
        found = [f"wrong page: {what}" for what in self.tally.wrong]
        found += [
            f"{count} x {cause}, which no killed child explains"
            for cause, count in self.status.errors.items()
            if count and cause not in EXPLAINED
        ]
        for name, most in MOST_GROWTH.items():
            before, after = getattr(self.start, name), getattr(self.end, name)
            if after - before > most:
                found.append(f"{name} grew from {before} to {after}")
        return found

    def __str__(self) -> str:
        causes = Counter({c: n for c, n in self.status.errors.items() if n})
        kills = {c: n for c, n in self.status.kills.items() if n}
        return "\n".join(
            (
                f"{self.manager}: {sum(self.tally.done)} redos in {self.took_s:.0f} s",
                f"  launches     {self.status.launches}; children ended: {_listed(kills)}",
                f"  stopped      {self.stops} times",
                f"  errors       {_listed(Counter(self.tally.errors))} (to clients);"
                f" {_listed(causes)} (attempts, tried again)",
                f"  wrong pages  {len(self.tally.wrong)}",
                f"  start        {self.start}",
                f"  end          {self.end}",
            )
        )


class Disturber:
    """A thread that kills and stops the manager's child as the redos go on."""

    def __init__(
        self, manager: SyncRedoManager | AsyncRedoManager, tally: Tally, redos: int, seed: int
    ) -> None:
        self.stops = 0
        self._manager = manager
        self._tally = tally
        self._redos = redos
        self._random = random.Random(seed)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._disturb)

    def __enter__(self) -> Disturber:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _disturb(self) -> None:
        started_s = said_s = time.monotonic()
        kill_at, stop_at = self._after(0, KILL_EVERY), self._after(0, STOP_EVERY)
        while not self._over.wait(0.001):
            done = sum(self._tally.done)
            if done >= stop_at:
                self.stops += self._signal(signal.SIGSTOP)
                self._over.wait(STOPPED_S)
                self._signal(signal.SIGCONT)
                stop_at = self._after(done, STOP_EVERY)
            if done >= kill_at:
                self._signal(signal.SIGKILL)
                kill_at = self._after(done, KILL_EVERY)
            if time.monotonic() - said_s >= REPORT_EVERY_S:
                said_s = time.monotonic()
                share = f"{done} of {self._redos} redos after {said_s - started_s:.0f} s"
                print(f"  {share}, {len(self._tally.wrong)} wrong pages", file=sys.stderr)

    def _after(self, done: int, every: int) -> int:
        return done + self._random.randint(every // 2, every * 3 // 2)

    def _signal(self, number: signal.Signals) -> bool:
        """To the child in use, and never to a process that has got its number since."""
        pid = self._manager.child_pid
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            fd = os.pidfd_open(pid)
            try:
                # A child is taken out of use before it is reaped: it was still ours when opened.
                if self._manager.child_pid == pid:
                    signal.pidfd_send_signal(fd, number)
                    return True
            finally:
                os.close(fd)
        return False


def work_of(client: int) -> Work:
    """The requests of a client, nobody else's, with their pages: small ones and some large."""
    found = []
    for number in range(REQUESTS_PER_CLIENT):
        sizes = (3000, 9000) if number % 8 == 0 else (90, 40)
        request = make_request(client * REQUESTS_PER_CLIENT + number, sizes)
        found.append((request, page_of(request)))
    return found


def soak(
    manager: str,
    command: tuple[str, ...],
    redos: int,
    clients: int,
    seed: int,
    seconds: float = float("inf"),
    transport: TransportKind = TransportKind.PIPE,
    spin_s: float = 0.0,
) -> Outcome:
    """Soaks one manager until so many redos are done, or so many seconds are over."""
    work = [work_of(client) for client in range(clients)]
    tally = Tally(done=[0] * clients, ended_by=time.monotonic() + seconds)
    kind = ManagerKind.SYNC if manager == "sync" else ManagerKind.ASYNC
    config = ManagerConfig(child_command=command, kind=kind, transport=transport, spin_s=spin_s)
    soak_one = _soak_sync if manager == "sync" else _soak_async
    return soak_one(manager, config, work, tally, redos, seed)


@contextmanager
def late_sleepers(most_us: int, seed: int) -> Iterator[None]:
    """Each manager on shared memory is late by up to so long each time that it falls asleep, before
    it says so and before it looks again: a wake-up that could be lost there is lost soon."""
    fall_asleep, drawn = SharedRing.fall_asleep, random.Random(seed)

    def busy() -> None:
        till_ns = time.perf_counter_ns() + drawn.randrange(most_us * 1000 + 1)
        while time.perf_counter_ns() < till_ns:
            pass

    def late(ring: SharedRing, until: int) -> bool:
        busy()
        asleep = fall_asleep(ring, until)
        busy()
        return asleep

    SharedRing.fall_asleep = late  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        SharedRing.fall_asleep = fall_asleep  # type: ignore[method-assign]


def _warmup(redos: int) -> int:
    return min(round(redos * WARMUP_SHARE), WARMUP_MOST)


def _soak_sync(
    name: str, config: ManagerConfig, work: Sequence[Work], tally: Tally, redos: int, seed: int
) -> Outcome:
    def client(number: int, count: int) -> None:
        own = work[number]
        for turn in range(count):
            if time.monotonic() > tally.ended_by:
                return
            request, expected = own[turn % len(own)]
            try:
                page = manager.request_redo(request)
            except FailedAttempt as error:
                tally.failed(number, error)
            else:
                tally.take(number, request, expected, page)

    started_s = time.monotonic()
    everybody, warmup = range(len(work)), _warmup(redos)
    with SyncRedoManager(config) as manager, ThreadPoolExecutor(len(work)) as pool:
        # A pool starts threads as it needs them: all of them now, or they would count as growth.
        everybody_there = threading.Barrier(len(work))
        list(pool.map(lambda _: everybody_there.wait(), everybody))
        with Disturber(manager, tally, redos, seed) as disturber:
            list(pool.map(client, everybody, shares(warmup, len(work))))
        manager.quiesce(0)
        start = Footprint.now()
        stops = disturber.stops
        with Disturber(manager, tally, redos, seed + 1) as disturber:
            list(pool.map(client, everybody, shares(redos - warmup, len(work))))
        manager.quiesce(0)
        end = Footprint.now()
        status = manager.status()
    stops += disturber.stops
    return Outcome(name, tally, status, stops, start, end, time.monotonic() - started_s)


def _soak_async(
    name: str, config: ManagerConfig, work: Sequence[Work], tally: Tally, redos: int, seed: int
) -> Outcome:
    async def client(number: int, count: int) -> None:
        own = work[number]
        for turn in range(count):
            if time.monotonic() > tally.ended_by:
                return
            request, expected = own[turn % len(own)]
            try:
                page = await manager.request_redo(request)
            except FailedAttempt as error:
                tally.failed(number, error)
            else:
                tally.take(number, request, expected, page)

    manager = AsyncRedoManager(config)

    async def everybody() -> Outcome:
        started_s = time.monotonic()
        warmup = _warmup(redos)
        async with manager:
            with Disturber(manager, tally, redos, seed) as disturber:
                await asyncio.gather(*map(client, range(len(work)), shares(warmup, len(work))))
            await manager.quiesce(0)
            start = Footprint.now()
            stops = disturber.stops
            with Disturber(manager, tally, redos, seed + 1) as disturber:
                await asyncio.gather(
                    *map(client, range(len(work)), shares(redos - warmup, len(work)))
                )
            await manager.quiesce(0)
            end = Footprint.now()
            status = await manager.status()
        stops += disturber.stops
        return Outcome(name, tally, status, stops, start, end, time.monotonic() - started_s)

    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.SelectorEventLoop
    if name == "async-uvloop":
        import uvloop

        new_loop = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(everybody())


class _Mallinfo2(ctypes.Structure):
    """As in mallinfo(3)."""

    _names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks")
    _fields_: ClassVar = [
        (name, ctypes.c_size_t) for name in (*_names, "uordblks", "fordblks", "keepcost")
    ]


def _malloc_bytes() -> int:
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2  # since glibc 2.33
    except AttributeError:
        return 0
    mallinfo2.restype = _Mallinfo2
    told = mallinfo2()
    return int(told.uordblks) + int(told.hblkhd)


def _listed(counts: Mapping[Cause, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--redos", type=int, default=1_000_000, help="of each manager (%(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="at most, for each")
    parser.add_argument("--manager", action="append", choices=MANAGERS, help="default: sync, async")
    parser.add_argument("--clients", type=int, default=64, help="(%(default)s)")
    parser.add_argument(
        "--transport", choices=list(TransportKind), action="append", help="default: all"
    )
    parser.add_argument("--spin-us", type=float, default=0.0, help="(%(default)g)")
    parser.add_argument(
        "--late-us",
        type=int,
        default=0,
        help="the most that a manager on shared memory is late in falling asleep (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of what is killed when (%(default)s)")
    options = parser.parse_args()
    for name in ("redos", "clients", "seconds"):
        if getattr(options, name) <= 0:
            parser.error(f"--{name} is {getattr(options, name):g}: it must be above 0")
    command = child_command("c", sandbox=sandbox_allowed(child_program()))
    problems = []
    chosen = options.manager or ("sync", "async"), options.transport or list(TransportKind)
    for manager, transport in itertools.product(*chosen):
        name = f"{manager}/{transport}"
        print(f"{name}: {options.redos} redos, {options.clients} clients", file=sys.stderr)
        with late_sleepers(options.late_us, options.seed) if options.late_us else nullcontext():
            outcome = soak(
                manager,
                command,
                options.redos,
                options.clients,
                options.seed,
                options.seconds,
                TransportKind(transport),
                options.spin_us / 1e6,
            )
        print(outcome, flush=True)
        problems += [f"{name}: {problem}" for problem in outcome.problems()]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
