"""The transport through shared memory, with real children: what a pipe has no part in."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import mmap
import os
import select
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.children import command_of, run
from tests.support.managers import (
    SLACK_S,
    AsyncDriver,
    Driver,
    Start,
    eventually,
    has_ended,
    in_parallel,
    make_request,
    open_descriptors,
    page_of,
)
from walredo import Cause, ChildExitedError, LaunchError, UnexpectedOutputError
from walredo.config import ManagerConfig, TransportKind
from walredo.transport.ring import (
    CHILD_SLEEPS,
    CONSUMED,
    HEADER_BYTES,
    MANAGER_SLEEPS,
    READY,
    RING_BYTES,
    SLOTS,
    TAKEN,
    WRITTEN,
)
from walredo.transport.shared_memory import (
    OPTION,
    SharedMemoryLauncher,
    SharedMemoryTransport,
)
from walredo.wire import PAGE_SIZE, PING, ZERO_PAGE

SLACK_MS = round(SLACK_S * 1000)
is_shm = pytest.mark.parametrize("transport", ["shm"], indirect=True)


def memories() -> list[str]:
    """The descriptors of this process that are a shared memory. A mapping may have one, too."""
    found = []
    for name in open_descriptors():
        try:
            if "memfd:walredo" in str(Path(f"/proc/self/fd/{name}").readlink()):
                found.append(name)
        except FileNotFoundError:
            continue
    return found


@contextlib.contextmanager
def words() -> Iterator[memoryview]:
    """The header of the only memory, as a child maps it."""
    fd = int(memories()[0])
    with mmap.mmap(fd, HEADER_BYTES) as it, memoryview(it) as view, view.cast("Q") as header:
        yield header


def pid_of(driver: Driver) -> int:
    pid = driver.status().pid
    assert pid is not None
    return pid


# --- the memory -----------------------------------------------------------------------------------


@is_shm
def test_one_memory_serves_all_children_of_a_manager(
    start: Start, child: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    original = os.memfd_create

    def noted(name: str, flags: int) -> int:
        made.append(name)
        return original(name, flags)

    monkeypatch.setattr(os, "memfd_create", noted)
    driver = start(child_command=child)
    for number in range(8):
        assert driver.redo(make_request(number)) == page_of(make_request(number))
        os.kill(pid_of(driver), signal.SIGKILL)
    assert driver.status().launches == 8
    assert len(made) == 1
    assert driver.shutdown()
    assert memories() == []


@is_shm
def test_no_child_can_shrink_the_memory(start: Start, c_child: tuple[str, ...]) -> None:
    driver = start(child_command=c_child)
    driver.ping()
    name = memories()[0]
    seals = fcntl.fcntl(int(name), fcntl.F_GET_SEALS)
    assert seals == fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    with pytest.raises(PermissionError):
        os.ftruncate(int(name), 0)


@is_shm
def test_a_child_keeps_no_descriptor_of_the_memory(start: Start, child: tuple[str, ...]) -> None:
    driver = start(child_command=child)
    driver.ping()
    open_there = Path(f"/proc/{pid_of(driver)}/fd").iterdir()
    assert sorted(path.name for path in open_there) == ["0", "1", "2"]


@is_shm
@pytest.mark.parametrize("call", ["memfd_create", "ftruncate"])
def test_a_system_without_such_memory_is_named(
    call: str, start: Start, c_child: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(38, "Function not implemented")

    driver = start(child_command=c_child)
    with monkeypatch.context() as patched:
        patched.setattr(os, call, refuse)
        problem = r"no shared memory: memfd_create with seals.* \(Function not implemented\)"
        with pytest.raises(LaunchError, match=problem):
            driver.redo(make_request(1))
    with monkeypatch.context() as patched:
        patched.delattr(os, "memfd_create")
        with pytest.raises(LaunchError, match="no shared memory"):
            driver.redo(make_request(1))
    assert memories() == []
    assert driver.redo(make_request(1)) == page_of(make_request(1))


# --- a child that is not to be trusted ------------------------------------------------------------


def ready(by: int) -> Callable[[memoryview], None]:
    def lie(header: memoryview) -> None:
        header[READY] = (header[READY] + by) % (1 << 64)

    return lie


@is_shm
@pytest.mark.parametrize("by", [1, -1, 2, SLOTS, SLOTS + 1, 1 << 40, -(1 << 40)])
def test_a_false_number_of_pages_gets_nobody_a_page(
    by: int, start: Start, c_child: tuple[str, ...]
) -> None:
    driver = start(child_command=c_child, timeout_s=SLACK_S, backoff_first_s=0.001)
    driver.redo(make_request(1))
    pid = pid_of(driver)
    os.kill(pid, signal.SIGSTOP)

    def lie() -> bytes:
        assert eventually(lambda: driver.status().in_flight == 2)
        with words() as header:
            header[READY] = (header[READY] + by) % (1 << 64)
        os.kill(pid, signal.SIGKILL)  # its end wakes the manager, which looks for pages first
        return b""

    redos: list[Callable[[], bytes]] = [partial(driver.redo, make_request(n)) for n in (2, 3)]
    pages = in_parallel([*redos, lie])
    assert pages == [page_of(make_request(2)), page_of(make_request(3)), b""]
    assert driver.status().kills == {Cause.UNEXPECTED_OUTPUT: 1}


@is_shm
def test_the_counters_of_the_manager_are_its_own(start: Start, c_child: tuple[str, ...]) -> None:
    driver = start(child_command=c_child)
    driver.redo(make_request(1))
    with words() as header:
        # To the manager this means nothing: with the next redo its own counters are there again.
        header[TAKEN] = header[WRITTEN] = header[WRITTEN] - 1
        with_lie = [driver.redo(make_request(number)) for number in (2, 3)]
        assert with_lie == [page_of(make_request(number)) for number in (2, 3)]


# --- full, and killed -----------------------------------------------------------------------------


@is_shm
def test_a_child_killed_with_requests_half_written(start: Start, c_child: tuple[str, ...]) -> None:
    driver = start(child_command=c_child, timeout_s=SLACK_S, backoff_first_s=0.001)
    driver.ping()
    pid = pid_of(driver)
    with words() as header:
        os.kill(pid, signal.SIGSTOP)
        requests = [make_request(n, (700_000, 30)) for n in range(1, 6)]

        def kill() -> bytes:
            assert eventually(lambda: header[WRITTEN] - header[CONSUMED] == RING_BYTES)
            os.kill(pid, signal.SIGKILL)
            return b""

        calls: list[Callable[[], bytes]] = [partial(driver.redo, each) for each in requests]
        pages = in_parallel([*calls, kill])
    assert pages == [*(page_of(request) for request in requests), b""]


@is_shm
def test_requests_larger_than_the_ring(start: Start, child: tuple[str, ...]) -> None:
    driver = start(child_command=child)
    requests = [make_request(n, (3 * RING_BYTES + n, 17)) for n in range(1, 4)]
    pages = in_parallel([partial(driver.redo, request) for request in requests])
    assert pages == [page_of(request) for request in requests]


@pytest.mark.parametrize("spin_s", [0.0, 200e-6])
def test_more_redos_than_slots_while_nobody_takes_a_page(
    spin_s: float, child: tuple[str, ...]
) -> None:
    driver = AsyncDriver(child_command=child, transport="shm", spin_s=spin_s)
    requests = [make_request(number) for number in range(3 * SLOTS)]

    async def main() -> list[bytes]:
        tasks = [asyncio.ensure_future(driver.manager.request_redo(each)) for each in requests]
        await asyncio.sleep(0.01)
        with words() as header:
            # The loop is busy: the child fills its slots and sleeps.
            assert eventually(lambda: header[READY] - header[TAKEN] in (0, SLOTS))
            return await asyncio.gather(*tasks)

    try:
        assert driver.run(main()) == [page_of(request) for request in requests]
    finally:
        driver.close()


# --- the transport by itself ----------------------------------------------------------------------


@pytest.fixture
def launched(c_child: tuple[str, ...]) -> Any:
    launcher = SharedMemoryLauncher(ManagerConfig(c_child, transport=TransportKind.SHM))
    transport = launcher.launch()
    nudge = os.eventfd(0)
    yield transport, nudge
    transport.child.kill_and_reap()
    transport.close()
    transport.close()
    launcher.close()
    launcher.close()
    os.close(nudge)
    assert memories() == []


def test_pages_before_the_end_of_a_child_are_received(
    launched: tuple[SharedMemoryTransport, int],
) -> None:
    transport, nudge = launched
    poll, space = transport.poller(nudge, room=False), memoryview(b"")
    assert transport.send([PING, PING]) == 2 * len(PING)
    with words() as header:
        assert eventually(lambda: header[READY] == 2)
        assert eventually(lambda: header[CHILD_SLEEPS] == 1)
        os.kill(transport.child.pid, signal.SIGKILL)
        assert eventually(lambda: has_ended(transport.child.pid))
        with pytest.raises(ChildExitedError, match="closed its input"):
            transport.send([PING])
        assert transport.receive(space) == (ZERO_PAGE, ZERO_PAGE)
        assert poll(SLACK_MS) == [(transport.pages_fd, 1)]
        for _ in range(2):
            with pytest.raises(ChildExitedError, match="closed its output"):
                transport.receive(space)
            assert poll(SLACK_MS) == [(transport.pages_fd, 1)]


def test_a_wait_for_room_ends_with_room(launched: tuple[SharedMemoryTransport, int]) -> None:
    transport, nudge = launched
    with_room, without = (transport.poller(nudge, room=room) for room in (True, False))
    assert [fd for fd, _ in with_room(0)] == [transport.room_fd]
    os.kill(transport.child.pid, signal.SIGSTOP)
    message = make_request(1, (RING_BYTES,)).serialise()
    assert transport.send([message]) == RING_BYTES
    assert transport.send([message[RING_BYTES:]]) == 0
    assert with_room(0) == without(0) == []
    with words() as header:
        assert header[MANAGER_SLEEPS] == 0
        os.kill(transport.child.pid, signal.SIGCONT)
        assert [fd for fd, _ in with_room(SLACK_MS)] == [transport.room_fd]
        assert transport.send([message[RING_BYTES:]]) == len(message) - RING_BYTES
        assert [fd for fd, _ in without(SLACK_MS)] == [transport.pages_fd]
        assert transport.receive(memoryview(b"")) == (page_of(make_request(1, (RING_BYTES,))),)


def test_a_stale_bell_is_no_time_out(launched: tuple[SharedMemoryTransport, int]) -> None:
    transport, nudge = launched
    poll, space = transport.poller(nudge, room=False), memoryview(b"")
    with words() as header:
        assert transport.send([PING]) == len(PING)
        assert eventually(lambda: header[CHILD_SLEEPS] == 1)
        header[MANAGER_SLEEPS] = 1  # as if it had fallen asleep, and had then seen the page
        assert transport.send([PING]) == len(PING)
        assert eventually(lambda: header[READY] == 2)
        assert eventually(lambda: header[MANAGER_SLEEPS] == 0)
    assert transport.receive(space) == (ZERO_PAGE, ZERO_PAGE)
    assert poll(SLACK_MS) == [(transport.pages_fd, select.POLLIN)]
    assert transport.receive(space) is None
    assert poll(0) == []


@pytest.mark.parametrize("consumed", [1, RING_BYTES + 9, (1 << 64) - 1])
def test_a_false_number_of_consumed_bytes_is_an_error_of_the_child(
    consumed: int, launched: tuple[SharedMemoryTransport, int]
) -> None:
    transport, nudge = launched
    assert transport.send([PING]) == len(PING)
    os.kill(transport.child.pid, signal.SIGSTOP)
    message = make_request(1, (RING_BYTES,)).serialise()
    with words() as header:
        assert transport.send([message]) + header[CONSUMED] >= RING_BYTES - len(PING)
        assert transport.send([message]) in (0, len(PING))
        header[CONSUMED] = len(PING) - 1 if consumed == 1 else consumed
    expected = rf"child {transport.child.pid}: says that it consumed \d+ bytes of requests"
    if consumed > 1:
        with pytest.raises(UnexpectedOutputError, match=expected):
            transport.send([message])
    assert nudge >= 0


@is_shm
def test_a_child_that_does_not_speak_it_ends(start: Start) -> None:
    driver = start(child_command=("/bin/cat",), backoff_after=50)
    with pytest.raises((ChildExitedError, LaunchError)):
        driver.redo(make_request(1))


def test_bells_are_what_is_counted(start: Start, c_child: tuple[str, ...]) -> None:
    driver = start(child_command=c_child, transport="shm")
    for number in range(50):
        driver.redo(make_request(number))
    status = driver.status()
    assert status.bytes_received == 50 * PAGE_SIZE + status.fences * PAGE_SIZE
    assert 0 <= status.read_calls <= 51
    assert 0 < status.write_calls <= 51


def test_the_option_is_the_one_of_the_protocol() -> None:
    for kind in ("c", "python"):
        told = run([*command_of(kind), "--help"], b"").stdout.decode()
        assert f"{OPTION} FD " in told


def test_a_memory_that_is_one_too_many_is_not_kept(c_child: tuple[str, ...]) -> None:
    """Where the next child is launched before the last thread has left the one before."""
    launcher = SharedMemoryLauncher(ManagerConfig(c_child, transport=TransportKind.SHM))
    first, second = launcher.launch(), launcher.launch()
    both = len(memories())
    for transport in (first, second):
        transport.child.kill_and_reap()
        transport.close()
    assert len(memories()) == both // 2
    launcher.close()
    assert memories() == []
