"""The settings of a manager, the factory that chooses one, and the tree of errors."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import walredo
from tests.support.managers import Driver, make_request, page_of
from walredo import (
    AsyncRedoManager,
    Cause,
    ChildError,
    ChildExitedError,
    ChildIOError,
    FailedAttempt,
    InvalidRequest,
    LaunchError,
    ManagerConfig,
    ManagerKind,
    QuiescedError,
    RedoInterrupted,
    RedoTimeoutError,
    ShutDownError,
    StreamsPoisonedError,
    SyncRedoManager,
    UnexpectedOutputError,
    WalredoError,
    create_manager,
)
from walredo.config import MAX_TIMEOUT_S

COMMAND = ("/no/such/child",)
Start = Callable[..., Driver]

# --- settings -------------------------------------------------------------------------------------


def test_the_kind_is_sync_unless_said_otherwise() -> None:
    config = ManagerConfig(COMMAND)
    assert config.kind is ManagerKind.SYNC
    assert config.timeout_s == 60.0
    assert config.pipe_bytes == 1024 * 1024


@pytest.mark.parametrize("kind", ["async", ManagerKind.ASYNC])
def test_a_kind_may_be_given_by_name(kind: Any) -> None:
    assert ManagerConfig(COMMAND, kind=kind).kind is ManagerKind.ASYNC


def test_a_command_may_be_a_list() -> None:
    words = ["/bin/child", "-x"]
    config = ManagerConfig(words)  # type: ignore[arg-type]
    words.clear()
    assert config.child_command == ("/bin/child", "-x")
    assert hash(config) == hash(ManagerConfig(("/bin/child", "-x")))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("child_command", "/bin/child --option"),
        ("child_command", ()),
        ("kind", "asynchronous"),
        ("kind", None),
        ("timeout_s", 0),
        ("timeout_s", -1.0),
        ("timeout_s", float("nan")),
        ("timeout_s", float("inf")),
        ("backoff_first_s", 0.0),
        ("backoff_most_s", -0.5),
        ("pipe_bytes", 4095),
        ("pipe_bytes", -1),
        ("backoff_after", 0),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match=rf"^{name} is "):
        ManagerConfig(**({"child_command": COMMAND} | {name: value}))


def test_a_refused_kind_names_those_there_are() -> None:
    with pytest.raises(InvalidRequest, match="'asink': it must be one of sync, async"):
        ManagerConfig(COMMAND, kind="asink")  # type: ignore[arg-type]


def test_settings_cannot_be_changed() -> None:
    config = ManagerConfig(COMMAND)
    for field in dataclasses.fields(config):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, field.name, getattr(config, field.name))


@pytest.mark.parametrize("timeout_s", [1e-9, MAX_TIMEOUT_S])
def test_every_timeout_that_is_taken_works(
    start: Start, c_child: tuple[str, ...], timeout_s: float
) -> None:
    """Also where it is more than poll(2) or a lock takes at once."""
    driver = start(child_command=c_child, timeout_s=timeout_s)
    if timeout_s < 1:
        with pytest.raises(RedoTimeoutError):
            driver.redo(make_request(1))
    else:
        assert driver.redo(make_request(1)) == page_of(make_request(1))


@pytest.mark.parametrize("word", [7, None, Path("/no/such/child")], ids=["int", "none", "path"])
def test_a_word_of_the_command_that_is_no_string_is_refused_or_works(word: Any) -> None:
    """It must not come up as a TypeError in the middle of a launch or of its log line."""
    try:
        config = ManagerConfig((word,))
    except InvalidRequest as error:
        assert "child_command" in str(error)
        return
    with SyncRedoManager(config) as manager, pytest.raises(LaunchError) as caught:
        manager.ping()
    assert "/no/such/child" in str(caught.value)


# --- factory --------------------------------------------------------------------------------------


def test_the_factory_chooses_by_kind() -> None:
    assert type(create_manager(ManagerConfig(COMMAND))) is SyncRedoManager
    assert type(create_manager(ManagerConfig(COMMAND, ManagerKind.ASYNC))) is AsyncRedoManager


def test_a_sync_manager_is_a_context_manager(c_child: tuple[str, ...]) -> None:
    with SyncRedoManager(ManagerConfig(c_child)) as manager:
        assert manager.request_redo(make_request(1)) == page_of(make_request(1))
        assert manager.status().kind is ManagerKind.SYNC
    with pytest.raises(ShutDownError):
        manager.ping()
    assert manager.status().pid is None


def test_an_async_manager_is_an_async_context_manager(c_child: tuple[str, ...]) -> None:
    async def use() -> None:
        async with AsyncRedoManager(ManagerConfig(c_child, ManagerKind.ASYNC)) as manager:
            assert await manager.request_redo(make_request(1)) == page_of(make_request(1))
            assert (await manager.status()).kind is ManagerKind.ASYNC
        with pytest.raises(ShutDownError):
            await manager.ping()
        assert (await manager.status()).pid is None

    asyncio.run(use())


def test_no_child_is_launched_before_the_first_redo() -> None:
    with SyncRedoManager(ManagerConfig(COMMAND)) as manager:
        assert manager.status().launches == 0
        assert manager.quiesce(0) is False


# --- errors ---------------------------------------------------------------------------------------

GONE = ChildExitedError(7, "it closed its output")
ERRORS: list[FailedAttempt] = [
    ShutDownError(),
    RedoTimeoutError(1.5, "a page", 7),
    LaunchError(("/child", "-x"), "No such file or directory"),
    GONE,
    UnexpectedOutputError(7, "sent 1 bytes where 0 were asked for"),
    ChildIOError(7, "Bad address (errno 14)"),
    QuiescedError(7, "idle for 3 s"),
    RedoInterrupted(7, "redo 3 was interrupted"),
    StreamsPoisonedError(7, 5, GONE),
]


def test_every_cause_is_that_of_one_error() -> None:
    assert sorted(error.cause for error in ERRORS) == sorted(Cause)


def test_all_errors_have_one_base_and_the_childs_have_its_pid() -> None:
    for error in ERRORS:
        assert isinstance(error, WalredoError)
        assert isinstance(error, ChildError) == (getattr(error, "what", None) is not None)
        if isinstance(error, ChildError):
            assert error.pid == 7
            assert str(error).startswith("redo child 7: ")
    assert issubclass(InvalidRequest, ValueError)
    assert not issubclass(InvalidRequest, FailedAttempt)
    assert issubclass(RedoTimeoutError, TimeoutError)


def test_messages() -> None:
    assert str(ShutDownError()) == "the redo manager is shut down"
    assert str(RedoTimeoutError(1.5, "a page", 7)) == (
        "no page within 1.5 s (waiting for a page of child 7)"
    )
    assert str(RedoTimeoutError(60.0, "a child to be launched")) == (
        "no page within 60 s (waiting for a child to be launched)"
    )
    assert str(LaunchError(("/child", "-x"), "Permission denied")) == (
        "cannot start the redo child '/child -x': Permission denied"
    )
    assert str(StreamsPoisonedError(7, 5, ValueError("why"))) == (
        "redo child 7: its streams became unusable before redo 5 was answered: why"
    )


def test_an_exit_says_how_the_child_ended_once_that_is_known() -> None:
    error = ChildExitedError(7, "it closed its output")
    assert str(error) == "redo child 7: it closed its output"
    error.returncode, error.stderr_tail = -9, "FATAL: why"
    assert str(error) == (
        "redo child 7: it closed its output (return code -9); last on its stderr: FATAL: why"
    )


def test_all_that_is_exported_is_there() -> None:
    assert sorted(walredo.__all__) == sorted(set(walredo.__all__))
    for name in walredo.__all__:
        assert getattr(walredo, name) is not None
