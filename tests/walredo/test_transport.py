"""The transports: what each implementation of ``Transport`` promises to the sessions."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import os
import select
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from tests.support.managers import (
    SLACK_S,
    Driver,
    eventually,
    has_ended,
    is_gone,
    make_request,
    open_descriptors,
    own_children,
    page_of,
)
from walredo import PAGE_SIZE, ChildExitedError, ChildIOError, InvalidRequest, LaunchError
from walredo.config import ManagerConfig, TransportKind
from walredo.transport import TRANSPORTS
from walredo.transport.base import Launcher, Transport, discard
from walredo.wire import PING, ZERO_PAGE

PIPE_BYTES = 65536
SLACK_MS = round(SLACK_S * 1000)
SLEEP = (sys.executable, "-I", "-S", "-c", "import time; time.sleep(3600)")
CLOSES_INPUT = (sys.executable, "-I", "-S", "-c", "import os, time; os.close(0); time.sleep(3600)")

Launch = Callable[..., Transport]

# test_shared_memory.py has the same for shared memory, where its child must speak the protocol.
is_pipe = pytest.mark.parametrize("launch", [TransportKind.PIPE], indirect=True)


@functools.cache
def uvloop_once() -> None:
    """libuv keeps a pair of descriptors for good after its first loop: takes them once."""
    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.new_event_loop().close()


@pytest.fixture(params=TransportKind)
def launch(request: pytest.FixtureRequest) -> Iterator[Launch]:
    """Launches children on each kind of transport; no process and no descriptor is left behind."""
    uvloop_once()
    gc.collect()
    before = open_descriptors()
    transports: list[Transport] = []
    launchers: list[Launcher] = []

    def make(command: tuple[str, ...], pipe_bytes: int = PIPE_BYTES) -> Transport:
        config = ManagerConfig(command, transport=request.param, pipe_bytes=pipe_bytes)
        launchers.append(TRANSPORTS[request.param](config))
        transports.append(launchers[-1].launch())
        return transports[-1]

    yield make
    for transport in transports:
        discard(transport)
    for launcher in launchers:
        launcher.close()
    assert own_children() == set()
    assert open_descriptors() == before


@pytest.fixture
def nudge() -> Iterator[int]:
    fd = os.eventfd(0)
    yield fd
    os.close(fd)


def fill(transport: Transport) -> int:
    """Sends until there is no room; returns the number of bytes."""
    sent = 0
    while count := transport.send([bytes(PAGE_SIZE)]):
        sent += count
    return sent


def received(transport: Transport) -> bytes:
    """What has come so far."""
    space = memoryview(bytearray(2 * PAGE_SIZE))
    came = transport.receive(space)
    if came is None:
        return b""
    return bytes(space[:came]) if isinstance(came, int) else b"".join(came)


def receive_page(transport: Transport, nudge: int) -> bytes:
    """Receives one page as the reader of a sync session does."""
    poll = transport.poller(nudge, room=False)
    data = b""
    while len(data) < PAGE_SIZE:
        assert [fd for fd, _ in poll(SLACK_MS)] == [transport.pages_fd]
        data += received(transport)
    return data


# --- registration ---------------------------------------------------------------------------------


def test_every_kind_is_registered() -> None:
    assert set(TRANSPORTS) == set(TransportKind)


def test_pipes_unless_the_config_names_another() -> None:
    assert ManagerConfig(SLEEP).transport is TransportKind.PIPE
    by_name: Any = "shm"
    assert ManagerConfig(SLEEP, transport=by_name).transport is TransportKind.SHM


def test_an_unknown_transport_is_refused() -> None:
    unknown: Any = "carrier pigeon"
    expected = r"^transport is 'carrier pigeon': it must be one of pipe, shm$"
    with pytest.raises(InvalidRequest, match=expected):
        ManagerConfig(SLEEP, transport=unknown)


def test_managers_launch_on_the_transport_of_their_config(
    transport: str,
    start: Callable[..., Driver],
    c_child: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind = TransportKind(transport)
    original = TRANSPORTS[kind]
    configs: list[ManagerConfig] = []

    def noted(config: ManagerConfig) -> Launcher:
        configs.append(config)
        return original(config)

    monkeypatch.setitem(TRANSPORTS, kind, noted)
    driver = start(child_command=c_child, pipe_bytes=PIPE_BYTES)
    assert driver.redo(make_request(1)) == page_of(make_request(1))
    assert [(each.transport, each.pipe_bytes) for each in configs] == [(kind, PIPE_BYTES)]


# --- bytes ----------------------------------------------------------------------------------------


def test_a_request_of_several_chunks_gets_its_page(
    launch: Launch, nudge: int, c_child: tuple[str, ...]
) -> None:
    transport = launch(c_child)
    request = make_request(7)
    message = request.serialise()
    assert transport.send([message[:9], memoryview(message)[9:]]) == len(message)
    assert receive_page(transport, nudge) == page_of(request)


def test_nothing_blocks(launch: Launch) -> None:
    transport = launch(SLEEP)
    assert received(transport) == b""
    assert 0 < fill(transport) <= transport.window_bytes
    assert transport.send([b"more"]) == 0


@is_pipe
def test_a_receive_takes_no_more_than_its_space(
    launch: Launch, nudge: int, c_child: tuple[str, ...]
) -> None:
    transport = launch(c_child)
    poll = transport.poller(nudge, room=False)
    assert transport.send([PING]) == len(PING)
    pieces: list[bytes] = []
    while len(b"".join(pieces)) < PAGE_SIZE:
        space = memoryview(bytearray(3000))
        assert poll(SLACK_MS)
        count = transport.receive(space)
        assert isinstance(count, int)
        pieces.append(bytes(space[:count]))
    assert len(pieces) >= 3
    assert b"".join(pieces) == ZERO_PAGE


def test_a_refused_launch_leaves_nothing(launch: Launch) -> None:
    with pytest.raises(LaunchError, match="/no/such/child"):
        launch(("/no/such/child",))


# --- ends of the child ----------------------------------------------------------------------------


@is_pipe
def test_pages_sent_before_the_child_ended_are_received(
    launch: Launch, nudge: int, c_child: tuple[str, ...]
) -> None:
    transport = launch(c_child)
    assert transport.send([PING]) == len(PING)
    assert transport.poller(nudge, room=False)(SLACK_MS)
    os.kill(transport.child.pid, signal.SIGKILL)
    assert eventually(lambda: has_ended(transport.child.pid))
    with pytest.raises(ChildExitedError, match="closed its input"):
        transport.send([PING])
    assert receive_page(transport, nudge) == ZERO_PAGE
    with pytest.raises(ChildExitedError, match="closed its output"):
        transport.receive(memoryview(bytearray(PAGE_SIZE)))


def test_an_end_of_output_ends_a_wait(launch: Launch, nudge: int) -> None:
    transport = launch(("/bin/true",))
    assert [fd for fd, _ in transport.poller(nudge, room=False)(SLACK_MS)] == [transport.pages_fd]
    with pytest.raises(ChildExitedError) as caught:
        transport.receive(memoryview(bytearray(PAGE_SIZE)))
    assert caught.value.pid == transport.child.pid


@is_pipe
def test_a_closed_input_ends_a_wait_for_room(launch: Launch, nudge: int) -> None:
    transport = launch(CLOSES_INPUT)
    poll = transport.poller(nudge, room=True)

    def refuses() -> bool:
        try:
            transport.send([b"x"])
        except ChildExitedError:
            return True
        return False

    assert eventually(refuses)
    assert transport.room_fd in [fd for fd, _ in poll(SLACK_MS)]


@pytest.mark.pure("mypyc leaves out the cause in raise ... from")
@is_pipe
def test_what_the_kernel_refuses_is_an_error_of_the_child(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = launch(SLEEP)

    def refuse(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "writev", refuse)
        patched.setattr(os, "readv", refuse)
        with pytest.raises(ChildIOError, match=r"Input/output error \(errno 5\)") as sending:
            transport.send([b"x"])
        with pytest.raises(ChildIOError, match=r"Input/output error \(errno 5\)"):
            transport.receive(memoryview(bytearray(PAGE_SIZE)))
    assert isinstance(sending.value.__cause__, OSError)


def test_discard_reaps_and_may_be_repeated(launch: Launch) -> None:
    transport = launch(SLEEP)
    for _ in range(2):
        discard(transport)
        assert is_gone(transport.child.pid)


# --- waiting: threads -----------------------------------------------------------------------------


def test_a_nudge_and_a_time_out_end_a_wait(launch: Launch, nudge: int) -> None:
    transport = launch(SLEEP)
    for room in (False, True):
        poll = transport.poller(nudge, room=room)
        if room:
            fill(transport)
        assert poll(1) == []
        os.eventfd_write(nudge, 1)
        assert poll(SLACK_MS) == [(nudge, select.POLLIN)]
        os.eventfd_read(nudge)


@is_pipe
def test_room_is_reported_to_those_who_ask_for_it(
    launch: Launch, nudge: int, c_child: tuple[str, ...]
) -> None:
    transport = launch(SLEEP)
    with_room, without = (transport.poller(nudge, room=room) for room in (True, False))
    assert [fd for fd, _ in with_room(0)] == [transport.room_fd]
    assert without(0) == []
    fill(transport)
    assert with_room(0) == []


# --- waiting: event loops -------------------------------------------------------------------------


def run_on(loop_name: str, main: Callable[[], Any]) -> None:
    if loop_name == "uvloop":
        uvloop = pytest.importorskip("uvloop")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    else:
        asyncio.run(main())


async def beats() -> AsyncIterator[None]:
    """A turn of the loop every millisecond until the slack is over."""
    for _ in range(SLACK_MS):
        yield
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("loop_name", ["asyncio", "uvloop"])
def test_a_loop_calls_back_for_pages(
    launch: Launch, c_child: tuple[str, ...], loop_name: str
) -> None:
    transport = launch(c_child)
    arrived = bytearray()
    calls = 0

    def on_pages() -> None:
        nonlocal calls
        calls += 1
        arrived.extend(received(transport))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport.watch_pages(loop, on_pages)
        transport.send([PING, PING])
        async for _ in beats():
            if len(arrived) == 2 * PAGE_SIZE:
                break
        for _ in range(2):
            transport.unwatch(loop)
        before = calls
        transport.send([PING])
        await asyncio.sleep(0.02)
        assert calls == before

    run_on(loop_name, main)
    assert arrived == 2 * ZERO_PAGE


@is_pipe
@pytest.mark.parametrize("loop_name", ["asyncio", "uvloop"])
def test_a_loop_calls_back_for_room(launch: Launch, loop_name: str) -> None:
    transport = launch((sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()"))
    rooms = 0

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def on_room() -> None:
            nonlocal rooms
            rooms += 1
            transport.unwatch_room(loop)

        transport.unwatch_room(loop)  # there is none
        os.kill(transport.child.pid, signal.SIGSTOP)
        fill(transport)
        transport.watch_room(loop, on_room)
        await asyncio.sleep(0.02)
        full = transport.send([b"x"]) == 0
        assert rooms == 0 or not full
        os.kill(transport.child.pid, signal.SIGCONT)
        async for _ in beats():
            if rooms:
                break
        assert transport.send([b"x"]) == 1
        await asyncio.sleep(0.02)
        assert rooms == 1
        transport.unwatch(loop)

    run_on(loop_name, main)
