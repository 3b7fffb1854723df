"""A redo request: the tag of a page, and the records and base image from which to rebuild it.

The classes are immutable and validated when they are created, so nothing malformed reaches a child.
``wire`` turns them into bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from walredo import wire
from walredo.errors import InvalidRequest
from walredo.wire import MAX_RECORD_BYTES, MAX_U8, MAX_U32, MAX_U64, PAGE_SIZE


class RedoAttempt(Enum):
    """The purpose of a redo, which decides how often it is retried.

    The value is a name and the number of retries after a failed attempt.
    """

    READ_PAGE = ("read_page", 2)
    LEGACY_COMPACTION = ("legacy_compaction", 1)
    GC_COMPACTION = ("gc_compaction", 0)

    @property
    def retries(self) -> int:
        """The number of further attempts after a failed one."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class BufferTag:
    """Identifies a page: fork (u8), tablespace, database, relation and block (u32 each)."""

    fork: int
    tablespace: int
    database: int
    relation: int
    block: int

    def __post_init__(self) -> None:
        _check_range("fork", self.fork, MAX_U8)
        for name in ("tablespace", "database", "relation", "block"):
            _check_range(name, getattr(self, name), MAX_U32)

    @property
    def fields(self) -> tuple[int, int, int, int, int]:
        """The fields in wire order."""
        return (self.fork, self.tablespace, self.database, self.relation, self.block)


@dataclass(frozen=True, slots=True)
class WalRecord:
    """One WAL record and the LSN of its end. Its message is built once, at creation."""

    end_lsn: int
    data: bytes
    message: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_range("end_lsn", self.end_lsn, MAX_U64)
        if len(self.data) > MAX_RECORD_BYTES:
            raise InvalidRequest(
                f"a record of {len(self.data)} bytes: at most {MAX_RECORD_BYTES} are taken"
            )
        object.__setattr__(self, "message", wire.apply_record(self.end_lsn, self.data))


@dataclass(frozen=True, slots=True)
class RedoRequest:
    """One redo: the records to apply, in order, to the base image (None: a page of zeros).

    ``page_head``: the first bytes of the resulting page. They are the LSN of the last record, or
    the start of the base image if there is no record. Managers check them, which detects a child
    that answers out of order.
    """

    tag: BufferTag
    records: tuple[WalRecord, ...]
    base_image: bytes | None = None
    page_head: bytes = field(init=False, repr=False, compare=False)
    _messages: tuple[bytes, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.base_image is not None and len(self.base_image) != PAGE_SIZE:
            raise InvalidRequest(
                f"a base image of {len(self.base_image)} bytes: a page has {PAGE_SIZE}"
            )
        object.__setattr__(self, "records", tuple(self.records))
        if self.records:
            head = wire.page_head(self.records[-1].end_lsn)
        else:
            head = (self.base_image or wire.ZERO_PAGE)[: wire.PAGE_HEAD_BYTES]
        object.__setattr__(self, "page_head", head)
        messages = wire.redo_messages(
            self.tag.fields, self.base_image, [r.message for r in self.records]
        )
        object.__setattr__(self, "_messages", messages)

    def serialise(self) -> bytes:
        """The request in wire format. Each call builds it again (one join)."""
        return b"".join(self._messages)


def parse_requests(stream: bytes) -> Iterator[RedoRequest]:
    """The requests in a byte string in wire format: the inverse of ``serialise``.

    Raises ValueError if the bytes are not a sequence of complete redos.
    """
    tag: BufferTag | None = None
    base_image: bytes | None = None
    records: list[WalRecord] = []
    for kind, payload in wire.messages(stream):
        if kind == b"B" and tag is None and len(payload) == wire.TAG.size:
            tag = BufferTag(*wire.TAG.unpack(payload))
        elif tag is None:
            raise ValueError(f"message {kind!r} where a redo should begin")
        elif kind == b"P" and _is_image_of(payload, tag) and base_image is None and not records:
            base_image = payload[wire.TAG.size :]
        elif kind == b"A":
            records.append(WalRecord(*wire.apply_fields(payload)))
        elif kind == b"G" and payload == wire.TAG.pack(*tag.fields):
            yield RedoRequest(tag, tuple(records), base_image)
            tag, base_image, records = None, None, []
        else:
            raise ValueError(f"message {kind!r} with {len(payload)} payload bytes inside a redo")
    if tag is not None:
        raise ValueError("ends inside a redo")


def _is_image_of(payload: bytes, tag: BufferTag) -> bool:
    whole = len(payload) == wire.TAG.size + PAGE_SIZE
    return whole and payload.startswith(wire.TAG.pack(*tag.fields))


def _check_range(name: str, value: int, highest: int) -> None:
    if not isinstance(value, int) or not 0 <= value <= highest:
        raise InvalidRequest(f"{name} is {value!r}: it must be a whole number from 0 to {highest}")
