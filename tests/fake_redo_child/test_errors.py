"""Input that is not the protocol: one line on standard error, and the exit status that says so."""

from __future__ import annotations

import pytest

from tests.support import page_model as model
from tests.support.bad_messages import FATAL, IMAGE, OTHER, TAG
from tests.support.children import KINDS, RunningChild, command_of, run

ZERO_PAGE = bytes(model.PAGE)

pytestmark = pytest.mark.parametrize("kind", KINDS)


@pytest.mark.parametrize("case", FATAL)
def test_fatal(kind: str, case: str) -> None:
    data, text = FATAL[case]
    done = run(command_of(kind), data)
    assert (done.returncode, done.stdout) == (1, b"")
    line = done.stderr.decode()
    assert line.startswith("FATAL: ")
    assert line.endswith(f"{text}\n")
    assert line.count("\n") == 1


@pytest.mark.parametrize("case", FATAL)
def test_fatal_without_end_of_input(kind: str, case: str) -> None:
    """The child ends by itself, also when the bytes come one read at a time."""
    data, text = FATAL[case]
    with RunningChild(command_of(kind)) as child:
        child.send(data[:-3])
        try:
            child.send_apart(data[-3:-2])
            child.send(data[-2:])
        except BrokenPipeError:
            pass  # what is wrong may be known before the last byte
        assert child.page() == b""
        assert child.process.wait() == 1
        assert text in child.stderr.read().decode()


def test_malformed_first_record(kind: str) -> None:
    """Bug 18 of real redo managers: formatting this error crashed the child."""
    done = run(command_of(kind), model.begin(TAG) + model.message("A", b"", 5) + model.get(TAG))
    assert done.returncode == 1  # and not the death by a signal
    assert done.stderr == b"FATAL: message 'A' has length 5: it must be at least 12\n"


def test_pages_before_an_error_are_answered(kind: str) -> None:
    good = model.redo(TAG, None, [(3, b"good")])
    done = run(command_of(kind), model.PING + good + b"?????" + good)
    assert done.returncode == 1
    assert done.stdout == ZERO_PAGE + model.page(TAG, None, [(3, b"good")])


def test_record_after_get_is_outside_the_redo(kind: str) -> None:
    done = run(command_of(kind), model.redo(TAG, None, []) + model.apply(1, b"late"))
    assert done.returncode == 1
    assert done.stdout == model.page(TAG, None, [])
    assert b"'A' outside a redo" in done.stderr


@pytest.mark.parametrize(
    "data",
    [
        model.begin(TAG) + model.apply(1, b"x") + model.get(OTHER),
        model.get(TAG),
        model.begin(TAG) + model.get((1, *TAG[1:])),
    ],
    ids=["another block", "outside a redo", "another fork"],
)
def test_get_for_another_block(kind: str, data: bytes) -> None:
    """A warning and a zero page, and the child goes on."""
    after = model.redo(TAG, IMAGE, [(9, b"after")])
    done = run(command_of(kind), data + after)
    assert done.returncode == 0
    assert done.stdout == ZERO_PAGE + model.page(TAG, IMAGE, [(9, b"after")])
    assert done.stderr.startswith(b"WARNING: message 'G' is for another block than 'B'")
    assert done.stderr.count(b"\n") == 1


def test_second_get_is_outside_the_redo(kind: str) -> None:
    done = run(command_of(kind), model.redo(TAG, IMAGE, []) + model.get(TAG))
    assert done.returncode == 0
    assert done.stdout == model.page(TAG, IMAGE, []) + ZERO_PAGE
    assert done.stderr.startswith(b"WARNING: ")


WHOLE = model.redo(TAG, IMAGE, [(1, b"one"), (2, b"")])
BETWEEN = [0, 22, 22 + 8214, 22 + 8214 + 16, 22 + 8214 + 16 + 13]


@pytest.mark.parametrize("size", BETWEEN)
def test_end_between_messages(kind: str, size: int) -> None:
    done = run(command_of(kind), WHOLE[:size])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    "size",
    [1, 4, 5, 21, 23, 27, 44, 60, 8000, 22 + 8213, *(BETWEEN[2] + k for k in (1, 5, 12, 13, 15)),
     *(BETWEEN[3] + k for k in (1, 5, 12)), len(WHOLE) - 1],
)  # fmt: skip
def test_end_inside_a_message(kind: str, size: int) -> None:
    done = run(command_of(kind), WHOLE[:size])
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"FATAL: end of input inside a message\n"


def test_end_after_a_redo(kind: str) -> None:
    done = run(command_of(kind), WHOLE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == model.page(TAG, IMAGE, [(1, b"one"), (2, b"")])
