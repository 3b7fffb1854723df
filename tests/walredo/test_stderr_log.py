"""What a child says on stderr: cut into lines, given a level, never held without bound."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walredo.stderr_log import MAX_LINE_BYTES, TAIL_LINES, StderrLog

PREFIX = "redo child 7: "


class Collector(logging.Handler):
    """Keeps what is logged: (level name, text without the prefix)."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        assert record.getMessage().startswith(PREFIX)
        self.lines.append((record.levelname, record.getMessage().removeprefix(PREFIX)))

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.lines]


@pytest.fixture
def collector() -> Iterator[Collector]:
    yield from collecting()


def collecting() -> Iterator[Collector]:
    handler, logger = Collector(), logging.getLogger("walredo.child")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("LOG:  started", "INFO"),
        ("anything at all", "INFO"),
        ("WARNING: get of another page", "WARNING"),
        ("ERROR:  invalid record", "ERROR"),
        ("FATAL: unknown type", "ERROR"),
        ("PANIC:  corrupted", "ERROR"),
        ("2024-02-01 12:00:00 [77] FATAL:  with a prefix", "ERROR"),
        ("2024-02-01 12:00:00 [77] WARNING:  an error follows", "WARNING"),
        ("no terrors, no errors", "INFO"),
        # An informational line is not an error because it speaks of one.
        ("LOG:  recovered from an error", "INFO"),
    ],
)
def test_levels(collector: Collector, line: str, level: str) -> None:
    StderrLog(7).feed(line.encode() + b"\n")
    assert collector.lines == [(level, line)]


def test_a_line_waits_for_its_end(collector: Collector) -> None:
    log = StderrLog(7)
    for part in (b"LOG: in ", b"three", b" parts\nand ", b"another\n"):
        log.feed(part)
    assert collector.texts == ["LOG: in three parts", "and another"]


def test_close_logs_a_last_line_without_an_end(collector: Collector) -> None:
    log = StderrLog(7)
    log.feed(b"FATAL: the la")
    log.feed(b"st")
    assert collector.lines == []
    log.close()
    log.close()
    assert collector.lines == [("ERROR", "FATAL: the last")]


def test_empty_lines_and_carriage_returns_are_dropped(collector: Collector) -> None:
    StderrLog(7).feed(b"\n\r\n  \none\r\n\ntwo\n")
    assert collector.texts == ["one", "two"]


def test_a_mebibyte_without_an_end_is_logged_in_pieces(collector: Collector) -> None:
    log = StderrLog(7)
    for _ in range(16):
        log.feed(b"x" * 65536)
        assert len(log._partial) < MAX_LINE_BYTES
    log.close()
    assert "".join(collector.texts) == "x" * (1 << 20)
    assert max(map(len, collector.texts)) <= MAX_LINE_BYTES
    assert len(log.tail) <= TAIL_LINES * (MAX_LINE_BYTES + 3)


def test_a_long_line_that_ends_is_logged_in_pieces_too(collector: Collector) -> None:
    StderrLog(7).feed(b"y" * 10_000 + b"\nshort\n")
    assert [len(text) for text in collector.texts] == [4096, 4096, 10_000 - 2 * 4096, 5]


def test_undecodable_bytes_are_shown(collector: Collector) -> None:
    StderrLog(7).feed(b"LOG: \xff\xfe caf\xc3\xa9\n")
    assert collector.lines == [("INFO", "LOG: \\xff\\xfe café")]


def test_a_percent_sign_is_only_text(collector: Collector) -> None:
    StderrLog(7).feed(b"LOG: 100 %s of %d\n")
    assert collector.texts == ["LOG: 100 %s of %d"]


def test_tail_is_the_last_few_lines() -> None:
    log = StderrLog(7)
    assert log.tail == ""
    for number in range(TAIL_LINES + 3):
        log.feed(f"line {number}\n".encode())
    log.feed(b"unfinished")
    lines = [f"line {number}" for number in range(3, TAIL_LINES + 3)]
    assert log.tail == " | ".join(lines)
    log.close()
    assert log.tail == " | ".join([*lines[1:], "unfinished"])


def test_the_tail_is_kept_where_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL, "walredo.child"):
        log = StderrLog(7)
        log.feed(b"FATAL: why\n")
    assert caplog.records == []
    assert log.tail == "FATAL: why"


@given(
    lines=st.lists(st.text("ab é", min_size=1, max_size=40).filter(str.strip), max_size=10),
    data=st.data(),
)
def test_any_split_gives_the_same_lines(lines: list[str], data: st.DataObject) -> None:
    stream = "".join(line + "\n" for line in lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    for collector in collecting():
        log = StderrLog(7)
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            log.feed(stream[start:end])
        assert collector.texts == [line.rstrip() for line in lines]
