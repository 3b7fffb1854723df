"""The bytes of every message, written out by hand, and their sizes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from walredo import wire
from walredo.request import BufferTag, RedoRequest, WalRecord

TAG = (1, 0x0203_0405, 0x0607_0809, 0x0A0B_0C0D, 0x0E0F_1011)
TAG_BYTES = bytes(range(1, 18))
IMAGE = bytes(range(256)) * 32


def redo(
    tag: tuple[int, int, int, int, int], image: bytes | None, records: Iterable[bytes]
) -> bytes:
    return b"".join(wire.redo_messages(tag, image, records))


def size(*record_sizes: int, image: bytes | None = None) -> int:
    """Bytes on the wire of a redo with records of those sizes."""
    records = [wire.apply_record(number, bytes(n)) for number, n in enumerate(record_sizes)]
    return len(redo(TAG, image, records))


def test_a_tag_is_17_bytes() -> None:
    assert wire.TAG.size == 17
    assert wire.TAG.pack(*TAG) == TAG_BYTES


def test_a_redo_without_records() -> None:
    assert redo(TAG, None, []) == (
        b"B\x00\x00\x00\x15" + TAG_BYTES + b"G\x00\x00\x00\x15" + TAG_BYTES
    )


def test_a_redo_with_base_image_and_records() -> None:
    first, second = wire.apply_record(7, b"one"), wire.apply_record(8, b"")
    assert redo(TAG, IMAGE, iter([first, second])) == (
        b"B\x00\x00\x00\x15"
        + TAG_BYTES
        + b"P\x00\x00\x20\x15"
        + TAG_BYTES
        + IMAGE
        + b"A\x00\x00\x00\x0f\x00\x00\x00\x00\x00\x00\x00\x07one"
        + b"A\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x08"
        + b"G\x00\x00\x00\x15"
        + TAG_BYTES
    )


def test_an_apply_record() -> None:
    assert wire.apply_record(0x0102_0304_0506_0708, b"xy") == (
        b"A\x00\x00\x00\x0e\x01\x02\x03\x04\x05\x06\x07\x08xy"
    )


def test_a_ping() -> None:
    assert wire.PING == b"H\x00\x00\x00\x04"
    assert bytes(8) == wire.PING_HEAD


@pytest.mark.parametrize(
    ("message", "length", "on_the_wire"),
    [(b"B", 21, 22), (b"P", 8213, 8214), (b"A", 12 + 100, 13 + 100), (b"G", 21, 22)],
)
def test_sizes_of_messages(message: bytes, length: int, on_the_wire: int) -> None:
    stream = redo(TAG, IMAGE, [wire.apply_record(1, bytes(100))])
    sizes = {kind: len(payload) for kind, payload in wire.messages(stream)}
    assert sizes[message] + 4 == length
    assert sizes[message] + 5 == on_the_wire


def test_sizes_of_redos() -> None:
    assert size() == 44
    assert size(image=IMAGE) == 44 + 8214
    assert size(0) == 44 + 13
    assert size(100, 1) == 44 + 113 + 14
    assert size(wire.MAX_RECORD_BYTES) == 44 + 13 + 16 * 1024 * 1024


def test_sizes_of_the_published_workloads() -> None:
    assert size(874, 188) == 1_132
    assert size(*[67] * 226, 8_256) == 26_393


@pytest.mark.parametrize(
    ("lsn", "head"),
    [
        (0, "0000000000000000"),
        (1, "0000000001000000"),
        (0x0102_0304_0506_0708, "0403020108070605"),
        (0xFFFF_FFFF_0000_0000, "ffffffff00000000"),
        (0xFFFF_FFFF_FFFF_FFFF, "ffffffffffffffff"),
    ],
)
def test_page_head_is_high_half_then_low_half_each_little_endian(lsn: int, head: str) -> None:
    assert wire.page_head(lsn).hex() == head


def test_messages_takes_a_stream_apart() -> None:
    stream = wire.PING + redo(TAG, None, [wire.apply_record(9, b"abc")]) + wire.PING
    assert list(wire.messages(stream)) == [
        (b"H", b""),
        (b"B", TAG_BYTES),
        (b"A", bytes(7) + b"\x09abc"),
        (b"G", TAG_BYTES),
        (b"H", b""),
    ]


def test_messages_refuses_every_cut() -> None:
    stream = redo(TAG, None, [wire.apply_record(9, b"abc")])
    whole = {0, 22, 22 + 16, len(stream)}
    for end in set(range(len(stream) + 1)) - whole:
        with pytest.raises(ValueError, match="at byte"):
            list(wire.messages(stream[:end]))
    assert [len(list(wire.messages(stream[:end]))) for end in sorted(whole)] == [0, 1, 2, 3]


@pytest.mark.parametrize("length", [0, 3])
def test_messages_refuses_a_length_that_does_not_count_itself(length: int) -> None:
    with pytest.raises(ValueError, match=f"impossible length {length}"):
        list(wire.messages(b"H" + length.to_bytes(4, "big") + bytes(8)))


def test_apply_fields_undoes_apply_record() -> None:
    [(kind, payload)] = wire.messages(wire.apply_record(2**63 + 5, b"data"))
    assert (kind, wire.apply_fields(payload)) == (b"A", (2**63 + 5, b"data"))
    with pytest.raises(ValueError, match="7 payload bytes"):
        wire.apply_fields(bytes(7))


def test_a_request_is_what_its_messages_are() -> None:
    request = RedoRequest(BufferTag(*TAG), (WalRecord(7, b"one"),), IMAGE)
    assert request.serialise() == redo(TAG, IMAGE, [wire.apply_record(7, b"one")])
