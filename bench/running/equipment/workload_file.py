"""Reads, checks and writes files of requests, which users can bring as workloads.

A file is lines of JSON; docs/extending.md describes the format. `bench.cases.own` holds how such a
workload is named. An error is one line that names the line and the field of the file.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from bench.errors import BenchError
from walredo import PAGE_SIZE, BufferTag, RedoRequest, WalRecord
from walredo.wire import MAX_RECORD_BYTES, MAX_U8, MAX_U32, MAX_U64

FORMAT: Final = "walredo-requests"
VERSION: Final = 1
ENCODINGS: Final = ("hex", "base64")

MAX_REQUESTS: Final = 16_384
MAX_FILE_BYTES: Final = 512 << 20
"""The suite and each of its workers hold the requests, and a page for each, in memory."""

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_PLACE = re.compile(r"(?P<problem>.*) - at `\$\.?(?P<place>.*)`")

_U32 = Annotated[int, Meta(ge=0, le=MAX_U32)]
_Line = TypeVar("_Line", bound=Struct)


class WorkloadFileError(BenchError):
    """A file of requests cannot be read or used. The message begins with the path."""


class _Header(Struct, forbid_unknown_fields=True):
    format: str
    version: int
    encoding: Literal["hex", "base64"]


class _Tag(Struct, forbid_unknown_fields=True):
    fork: Annotated[int, Meta(ge=0, le=MAX_U8)]
    tablespace: _U32
    database: _U32
    relation: _U32
    block: _U32


class _Record(Struct, forbid_unknown_fields=True):
    lsn: int | str
    data: str


class _Request(Struct, forbid_unknown_fields=True):
    tag: _Tag
    records: list[_Record]
    base_image: str | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class WorkloadFile:
    """The content of a file. ``requests``: at least one. ``sha256``: the hash of the file."""

    requests: tuple[RedoRequest, ...]
    sha256: str

    @property
    def distinct(self) -> int:
        """How many requests differ from each other."""
        return len(set(self.requests))

    @property
    def wire_bytes(self) -> int:
        return sum(len(request.serialise()) for request in self.requests)


def read_workload(path: Path) -> WorkloadFile:
    """The requests of a file. Raises WorkloadFileError."""
    data = _content(path)
    first, *lines = data.split(b"\n")
    decode = _decoder(first, f"{path}:1")
    requests: list[RedoRequest] = []
    for number, line in enumerate(lines, 2):
        if not line.strip():
            continue
        if len(requests) == MAX_REQUESTS:
            raise WorkloadFileError(f"{path}:{number}: at most {MAX_REQUESTS} requests are taken")
        requests.append(_request(line, f"{path}:{number}", decode))
    if not requests:
        raise WorkloadFileError(f"{path}: has no request: one a line, after the header")
    return WorkloadFile(tuple(requests), hashlib.sha256(data).hexdigest())


def write_workload(requests: Iterable[RedoRequest], encoding: str) -> Iterator[bytes]:
    """The lines of a file with these requests. ``encoding``: of `ENCODINGS`."""

    def encode(data: bytes) -> str | bytes:
        # Bytes become base64 in msgspec.
        return data.hex() if encoding == "hex" else data

    yield _line({"format": FORMAT, "version": VERSION, "encoding": encoding})
    for request in requests:
        records = [
            {"lsn": f"{r.end_lsn >> 32:X}/{r.end_lsn & MAX_U32:X}", "data": encode(r.data)}
            for r in request.records
        ]
        tag = msgspec.structs.asdict(_Tag(*request.tag.fields))
        image = {} if request.base_image is None else {"base_image": encode(request.base_image)}
        yield _line({"tag": tag, "records": records, **image})


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():
            problem = "is no file" if path.exists() else "there is no such file"
            raise WorkloadFileError(f"{path}: {problem}")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise WorkloadFileError(f"{path}: has more than {MAX_FILE_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise WorkloadFileError(f"{path}: cannot be read ({error.strerror})") from error


def _decoder(line: bytes, where: str) -> Callable[[str], bytes]:
    """The decoder of the encoding that the header names."""
    header = _decoded(line, _Header, where)
    if header.format != FORMAT:
        _refuse(where, "format", f'expected "{FORMAT}", got {_shown(header.format)}')
    if header.version != VERSION:
        problem = f"{header.version} is not known: this suite reads version {VERSION}"
        _refuse(where, "version", problem)
    return bytes.fromhex if header.encoding == "hex" else partial(base64.b64decode, validate=True)


def _request(line: bytes, where: str, decode: Callable[[str], bytes]) -> RedoRequest:
    given = _decoded(line, _Request, where)

    def decoded(text: str, field: str) -> bytes:
        try:
            return decode(text)
        except ValueError as error:
            kind = "hex" if decode == bytes.fromhex else "base64"
            _refuse(where, field, f"not valid {kind} ({error})", error)

    image = None
    if isinstance(given.base_image, str):
        image = decoded(given.base_image, "base_image")
        if len(image) != PAGE_SIZE:
            _refuse(where, "base_image", f"expected {PAGE_SIZE} bytes, got {len(image)}")
    records = []
    for at, record in enumerate(given.records):
        lsn = _lsn(record.lsn)
        if lsn is None:
            expected = 'a whole number below 2^64, or text as "0/16B3748"'
            _refuse(where, f"records[{at}].lsn", f"expected {expected}, got {_shown(record.lsn)}")
        data = decoded(record.data, f"records[{at}].data")
        if len(data) > MAX_RECORD_BYTES:
            problem = f"{len(data)} bytes: a child takes at most {MAX_RECORD_BYTES}"
            _refuse(where, f"records[{at}].data", problem)
        records.append(WalRecord(end_lsn=lsn, data=data))
    tag = BufferTag(*msgspec.structs.astuple(given.tag))
    return RedoRequest(tag, tuple(records), image)


def _decoded(line: bytes, kind: type[_Line], where: str) -> _Line:
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.ValidationError as error:
        found = _PLACE.fullmatch(str(error))
        problem, place = (found["problem"], found["place"]) if found else (str(error), "")
        _refuse(where, place, problem.replace("`", ""), error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _refuse(where, "", f"no JSON ({error})", error)


def _refuse(where: str, field: str, problem: str, cause: Exception | None = None) -> NoReturn:
    place = f"{where}: {field}" if field else where
    raise WorkloadFileError(f"{place}: {problem}") from cause


def _lsn(given: int | str) -> int | None:
    """The LSN as a number; None if it is none."""
    if isinstance(given, int):
        return given if 0 <= given <= MAX_U64 else None
    found = _LSN.fullmatch(given)
    return None if found is None else int(found[1], 16) << 32 | int(found[2], 16)


def _shown(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 40 else text[:37] + "..."


def _line(value: dict[str, Any]) -> bytes:
    return msgspec.json.encode(value) + b"\n"
