"""Requests: refused when malformed, immutable, and the same again after a trip over the wire."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.managers import page_of
from walredo import BufferTag, InvalidRequest, RedoAttempt, RedoRequest, WalRecord, parse_requests
from walredo import wire as wire_module
from walredo.wire import MAX_RECORD_BYTES, PAGE_SIZE

U8, U32, U64 = 2**8 - 1, 2**32 - 1, 2**64 - 1
GOOD_TAG: dict[str, int] = {
    "fork": 1,
    "tablespace": 1663,
    "database": 5,
    "relation": 16384,
    "block": 7,
}

tags = st.builds(
    BufferTag,
    st.integers(0, U8),
    st.integers(0, U32),
    st.integers(0, U32),
    st.integers(0, U32),
    st.integers(0, U32),
)
wal_records = st.builds(WalRecord, st.integers(0, U64), st.binary(max_size=300))
images = st.none() | st.binary(min_size=64, max_size=64).map(lambda part: part * 128)
requests = st.builds(RedoRequest, tags, st.lists(wal_records, max_size=6).map(tuple), images)


def tag(**changed: int) -> BufferTag:
    return BufferTag(**(GOOD_TAG | changed))


@given(st.lists(requests, max_size=4))
@settings(max_examples=50)
def test_parse_requests_undoes_serialise(made: list[RedoRequest]) -> None:
    stream = b"".join(request.serialise() for request in made)
    parsed = list(parse_requests(stream))
    assert parsed == made
    assert b"".join(request.serialise() for request in parsed) == stream


@given(requests)
@settings(max_examples=50)
def test_page_head_is_how_the_page_begins(request: RedoRequest) -> None:
    assert request.page_head == page_of(request)[:8]


def test_page_head_without_records() -> None:
    image = bytes(range(256)) * 32
    assert RedoRequest(tag(), ()).page_head == bytes(8)
    assert RedoRequest(tag(), (), image).page_head == image[:8]
    assert RedoRequest(tag(), (WalRecord(1, b""),), image).page_head != image[:8]


@pytest.mark.parametrize(
    ("name", "highest"),
    [("fork", U8), ("tablespace", U32), ("database", U32), ("relation", U32), ("block", U32)],
)
def test_a_tag_field_out_of_range_is_refused_by_name(name: str, highest: int) -> None:
    for value in (0, highest):
        assert getattr(tag(**{name: value}), name) == value
    for value in (-1, highest + 1, 2**70):
        with pytest.raises(InvalidRequest, match=rf"^{name} is {value}\b"):
            tag(**{name: value})


def test_a_record_out_of_range_is_refused_by_name() -> None:
    assert WalRecord(U64, b"").end_lsn == U64
    for lsn in (-1, U64 + 1):
        with pytest.raises(InvalidRequest, match=f"^end_lsn is {lsn}:"):
            WalRecord(lsn, b"")
    assert len(WalRecord(0, bytes(MAX_RECORD_BYTES)).message) == MAX_RECORD_BYTES + 13
    with pytest.raises(InvalidRequest, match="record of 16777217 bytes"):
        WalRecord(0, bytes(MAX_RECORD_BYTES + 1))


@pytest.mark.parametrize("length", [0, 1, PAGE_SIZE - 1, PAGE_SIZE + 1])
def test_a_base_image_of_another_size_is_refused(length: int) -> None:
    with pytest.raises(InvalidRequest, match=f"base image of {length} bytes"):
        RedoRequest(tag(), (), bytes(length))


def test_a_refusal_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="fork"):
        tag(fork=256)


@pytest.mark.parametrize("value", [tag(), WalRecord(1, b"x"), RedoRequest(tag(), ())])
def test_values_cannot_be_changed(value: Any) -> None:
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, None)
    with pytest.raises((AttributeError, TypeError)):
        value.another = 1
    assert hash(value) == hash(dataclasses.replace(value))


def test_an_apply_message_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[int] = []
    original = wire_module.apply_record

    def counted(end_lsn: int, record: bytes) -> bytes:
        built.append(end_lsn)
        return original(end_lsn, record)

    monkeypatch.setattr(wire_module, "apply_record", counted)
    record = WalRecord(77, b"data")
    serialised = {RedoRequest(tag(block=n), (record, record)).serialise() for n in range(3)}
    assert len(serialised) == 3
    assert built == [77]


def test_a_request_is_serialised_anew_each_time() -> None:
    request = RedoRequest(tag(), (WalRecord(1, b"x"),))
    first, second = request.serialise(), request.serialise()
    assert first == second
    assert first is not second


def test_records_of_any_iterable_are_kept_as_a_tuple() -> None:
    records = [WalRecord(1, b"a"), WalRecord(2, b"b")]
    request = RedoRequest(tag(), records)  # type: ignore[arg-type]
    records.clear()
    assert [record.end_lsn for record in request.records] == [1, 2]


def test_parse_requests_refuses_every_cut() -> None:
    stream = RedoRequest(tag(), (WalRecord(1, b"abc"),)).serialise()
    assert list(parse_requests(b"")) == []
    for end in range(1, len(stream)):
        with pytest.raises(ValueError, match=r"ends inside|impossible length"):
            list(parse_requests(stream[:end]))


TAG_BYTES = wire_module.TAG.pack(*tag().fields)
OTHER_TAG_BYTES = wire_module.TAG.pack(*tag(block=8).fields)


def message(kind: bytes, payload: bytes) -> bytes:
    return kind + (len(payload) + 4).to_bytes(4, "big") + payload


BEGIN, GET = message(b"B", TAG_BYTES), message(b"G", TAG_BYTES)
PUSH, APPLY = message(b"P", TAG_BYTES + bytes(PAGE_SIZE)), wire_module.apply_record(1, b"x")


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(APPLY, id="apply outside a redo"),
        pytest.param(GET, id="get outside a redo"),
        pytest.param(BEGIN + BEGIN + GET, id="begin inside a redo"),
        pytest.param(BEGIN + wire_module.PING + GET, id="ping inside a redo"),
        pytest.param(BEGIN + message(b"X", b"") + GET, id="unknown type"),
        pytest.param(BEGIN + message(b"G", OTHER_TAG_BYTES), id="get of another page"),
        pytest.param(BEGIN + message(b"A", bytes(7)) + GET, id="apply without an LSN"),
        pytest.param(BEGIN + message(b"P", TAG_BYTES + bytes(9)) + GET, id="short image"),
        pytest.param(message(b"B", TAG_BYTES + b"x") + GET, id="long tag"),
        # PROTOCOL.md calls these fatal: serialise never gives them, so they cannot be undone.
        pytest.param(BEGIN + PUSH + PUSH + GET, id="two images"),
        pytest.param(BEGIN + APPLY + PUSH + GET, id="image after a record"),
        pytest.param(
            BEGIN + message(b"P", OTHER_TAG_BYTES + bytes(PAGE_SIZE)) + GET,
            id="image of another page",
        ),
    ],
)
def test_parse_requests_refuses_what_is_no_sequence_of_whole_redos(stream: bytes) -> None:
    with pytest.raises(ValueError, match=r"message|apply|redo"):
        list(parse_requests(stream))


def test_how_often_an_attempt_is_tried_again() -> None:
    assert {attempt.name: attempt.retries for attempt in RedoAttempt} == {
        "READ_PAGE": 2,
        "LEGACY_COMPACTION": 1,
        "GC_COMPACTION": 0,
    }
