"""The redo child in Python. It needs no C compiler, and ``redo_page`` computes pages to check with.

It has the messages, pages and options of the C child (PROTOCOL.md), but no sandbox. Run it as
``python -I -S python_child.py``: it imports little, and only from the standard library, since it is
started often. A child that is given a fault also loads the two modules of ``faults``. ``redo_page``
uses the same code as the child.

It is fast for Python code: one read takes all the input there is, a record costs one unpack, one
slice and one chain step, and the body is XORed as a few large integers at the end of the redo.
"""

from __future__ import annotations

import os
import sys
from itertools import repeat
from struct import Struct
from time import perf_counter_ns

TYPE_CHECKING = False  # importing typing would slow down every start
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import NoReturn

    from fake_redo_child.child.shared_streams import SharedStreams
    from fake_redo_child.faults.faults import Fault
    from fake_redo_child.faults.misbehave import Misbehaviour

PAGE_SIZE = 8192
MAX_RECORD_BYTES = 16 * 1024 * 1024

COST_PRESETS: dict[str, tuple[float, float]] = {"none": (0.0, 0.0), "pg14": (9.0, 0.5)}
"""Added CPU cost by preset name: microseconds per request, microseconds per record."""

MAX_COST_US = 1_000_000.0

EXIT_FATAL, EXIT_USAGE = 1, 2

_ZERO_PAGE = bytes(PAGE_SIZE)
_HEAD_BYTES = 16
_BODY_BYTES = PAGE_SIZE - _HEAD_BYTES

_CHAIN_START = 0x9E37_79B9_7F4A_7C15
_CHAIN_FACTOR = 0xD6E8_FEB8_6659_FD93
_MASK = 0xFFFF_FFFF_FFFF_FFFF

_IMAGE_HEAD = Struct("<QQ")
_LSN_AND_CHAIN = Struct("<IIQ")

# Type, length and LSN of a record are unpacked in one call.
_TAG = Struct(">BIIII")
_HEADER = Struct(">BI")
_APPLY_HEAD = Struct(">BIQ")
_TAG_AT = _HEADER.size
_IMAGE_AT = _TAG_AT + _TAG.size
_RECORD_AT = _APPLY_HEAD.size

_BEGIN, _PUSH, _APPLY, _GET, _PING = b"BPAGH"
_FIXED_LENGTHS = {
    _BEGIN: 4 + _TAG.size,
    _PUSH: 4 + _TAG.size + PAGE_SIZE,
    _GET: 4 + _TAG.size,
    _PING: 4,
}
_MIN_APPLY_LENGTH = 4 + 8
_MAX_APPLY_LENGTH = _MIN_APPLY_LENGTH + MAX_RECORD_BYTES

# A pipe holds 64 KiB by default and 1 MiB at most without privilege.
_READ_BYTES = 1024 * 1024
# Records of a redo are collected up to this many bytes, then applied to the page together.
_GATHER_BYTES = 1024 * 1024


class ProtocolError(Exception):
    """The input violates the protocol. The message is the line for standard error."""


# ---- the page ----


class PageBuilder:
    """Computes one page from a tag, an optional base image, and records in order."""

    __slots__ = ("_at", "_body", "_chain", "_head", "_tag")

    def __init__(self, tag: tuple[int, int, int, int, int]) -> None:
        self._tag = tag
        self._chain = _chain_start(tag, 0, 0, 0)
        self._head = bytes(8)
        self._body = 0  # an integer whose lowest byte is the first byte of the body
        self._at = 0  # where in the body the next record begins

    def push(self, image: bytes) -> None:
        """Sets the base image (8,192 bytes). Must be called before ``apply``."""
        self._chain = _chain_start(self._tag, 1, *_IMAGE_HEAD.unpack_from(image))
        self._head = image[:8]
        self._body = int.from_bytes(image[_HEAD_BYTES:], "little")

    def apply(self, records: Sequence[tuple[int, bytes]]) -> None:
        """Applies records (end LSN, bytes), in order. May be called several times."""
        if not records:
            return
        chain = self._chain
        for lsn, record in records:
            x = (chain ^ lsn) * _CHAIN_FACTOR + len(record) & _MASK
            chain = x ^ x >> 32
        self._chain = chain
        lsn = records[-1][0]
        self._head = _LSN_AND_CHAIN.pack(lsn >> 32, lsn & 0xFFFF_FFFF, 0)[:8]

        # Leading zeros move the first byte to its place; XOR with zero changes nothing.
        stream = b"".join([bytes(self._at), *[record for _, record in records]])
        body = self._body
        for start in range(0, len(stream), _BODY_BYTES):
            body ^= int.from_bytes(stream[start : start + _BODY_BYTES], "little")
        self._body = body
        self._at = len(stream) % _BODY_BYTES

    def page(self) -> bytes:
        """The page (8,192 bytes) as of the last record."""
        return b"".join(
            (
                self._head,
                self._chain.to_bytes(8, "little"),
                self._body.to_bytes(_BODY_BYTES, "little"),
            )
        )


def redo_page(
    tag: tuple[int, int, int, int, int],
    base_image: bytes | None,
    records: Sequence[tuple[int, bytes]],
) -> bytes:
    """The page that a redo child answers. ``records`` are (end LSN, bytes), in order.

    ``tag`` is fork, tablespace, database, relation, block. Raises ValueError if a field is out of
    range, the image is not a page, or a record is too long.
    """
    if not (0 <= tag[0] <= 0xFF and all(0 <= field <= 0xFFFF_FFFF for field in tag[1:])):
        raise ValueError(f"tag {tag}: the fork is a u8, the other fields are u32")
    if base_image is not None and len(base_image) != PAGE_SIZE:
        raise ValueError(f"a base image of {len(base_image)} bytes: a page has {PAGE_SIZE}")
    for lsn, record in records:
        if not 0 <= lsn <= _MASK:
            raise ValueError(f"LSN {lsn} is not a u64")
        if len(record) > MAX_RECORD_BYTES:
            raise ValueError(f"a record of {len(record)} bytes: at most {MAX_RECORD_BYTES}")
    builder = PageBuilder(tag)
    if base_image is not None:
        builder.push(base_image)
    builder.apply(records)
    return builder.page()


def _chain_start(
    tag: tuple[int, int, int, int, int], has_image: int, image0: int, image8: int
) -> int:
    chain = _CHAIN_START
    for value in (*tag, has_image, image0, image8):
        x = (chain ^ value) * _CHAIN_FACTOR & _MASK
        chain = x ^ x >> 32
    return chain


# ---- the messages ----


class RedoStream:
    """The parser: takes bytes, produces pages, and does no I/O.

    ``answer`` gets each page and the number of its records (None for a ping or a wrong ``G``).
    ``warn`` gets a line of text.
    """

    def __init__(
        self, answer: Callable[[bytes, int | None], None], warn: Callable[[str], None]
    ) -> None:
        self._answer = answer
        self._warn = warn
        self._held = bytearray()  # the first bytes of an incomplete message
        self._needed = _HEADER.size  # how many bytes of it the next step requires
        self._tag: bytes | None = None  # None: outside a redo
        self._builder = PageBuilder((0, 0, 0, 0, 0))
        self._records: list[tuple[int, bytes]] = []  # not yet applied
        self._gathered = 0  # the total size of _records
        self._applied = 0  # the number of records in the builder
        self._pushed = False

    def feed(self, data: bytes) -> None:
        """Takes input of any size. Raises ProtocolError; then it must not be used again."""
        held = self._held
        if held:
            held += data
            if len(held) < self._needed:
                return
            data = bytes(held)
            held.clear()
        done = self._take_messages(data)
        if done < len(data):
            held += data[done:]

    def end(self) -> None:
        """Ends the input. Raises ProtocolError if it ends inside a message."""
        if self._held:
            raise ProtocolError("end of input inside a message")

    def _take_messages(self, data: bytes) -> int:
        """Takes the complete messages of ``data``; returns their size and sets ``_needed``."""
        size = len(data)
        at = 0
        while size - at >= _HEADER.size:
            kind, length = _HEADER.unpack_from(data, at)
            if kind == _APPLY:
                after = self._take_records(data, at)
                if after == at:
                    return at
            else:
                self._check_length(kind, length)
                after = at + 1 + length
                if after > size:
                    self._needed = after - at
                    return at
                self._take_message(kind, data, at)
            at = after
        self._needed = _HEADER.size
        return at

    def _take_records(self, data: bytes, at: int) -> int:
        """Takes the consecutive complete ``A`` messages from ``at`` on; returns where they end.

        If the first one is incomplete, it returns ``at`` and sets ``_needed``.
        """
        size = len(data)
        records = self._records
        gathered = self._gathered
        while size - at >= _HEADER.size:
            kind, length = _HEADER.unpack_from(data, at)
            if kind != _APPLY:
                break
            if not _MIN_APPLY_LENGTH <= length <= _MAX_APPLY_LENGTH:
                raise _bad_apply_length(length)
            after = at + 1 + length
            if after > size:
                self._needed = after - at
                break
            if self._tag is None:
                raise ProtocolError("message 'A' outside a redo: 'B' must come first")
            records.append((_APPLY_HEAD.unpack_from(data, at)[2], data[at + _RECORD_AT : after]))
            at = after
            gathered += length
            if gathered > _GATHER_BYTES:
                self._apply_records()
                gathered = 0
        self._gathered = gathered
        return at

    def _apply_records(self) -> None:
        self._builder.apply(self._records)
        self._applied += len(self._records)
        self._records.clear()
        self._gathered = 0

    def _check_length(self, kind: int, length: int) -> None:
        must = _FIXED_LENGTHS.get(kind)
        if must is None:
            raise ProtocolError(f"unknown message type 0x{kind:02x}")
        if length != must:
            raise ProtocolError(f"message '{kind:c}' has length {length}: it must be {must}")

    def _take_message(self, kind: int, data: bytes, at: int) -> None:
        """Takes one complete message that is not a record."""
        if kind == _PING:
            self._answer(_ZERO_PAGE, None)
            return
        tag = data[at + _TAG_AT : at + _IMAGE_AT]
        if kind == _BEGIN:
            self._tag = tag
            self._builder = PageBuilder(_TAG.unpack(tag))
            self._records.clear()
            self._gathered = 0
            self._applied = 0
            self._pushed = False
        elif kind == _PUSH:
            self._check_push(tag)
            self._pushed = True
            self._builder.push(data[at + _IMAGE_AT : at + _IMAGE_AT + PAGE_SIZE])
        else:
            self._take_get(tag)

    def _check_push(self, tag: bytes) -> None:
        if self._tag is None:
            raise ProtocolError("message 'P' outside a redo: 'B' must come first")
        if tag != self._tag:
            raise ProtocolError("message 'P' is for another block than 'B'")
        if self._pushed or self._records or self._applied:
            raise ProtocolError("message 'P' after a record or another 'P'")

    def _take_get(self, tag: bytes) -> None:
        same_block = tag == self._tag
        self._tag = None
        if not same_block:
            self._warn("message 'G' is for another block than 'B': answered with a zero page")
            self._answer(_ZERO_PAGE, None)
            return
        self._apply_records()
        self._answer(self._builder.page(), self._applied)


def _bad_apply_length(length: int) -> ProtocolError:
    if length < _MIN_APPLY_LENGTH:
        return ProtocolError(
            f"message 'A' has length {length}: it must be at least {_MIN_APPLY_LENGTH}"
        )
    size = length - _MIN_APPLY_LENGTH
    return ProtocolError(f"record of {size} bytes is over the maximum of {MAX_RECORD_BYTES}")


# ---- CPU cost ----


def _spin(rounds: int) -> None:
    for _ in repeat(None, rounds):
        pass


def _calibrate_rounds_per_us() -> float:
    """The fastest of many short trials, since a disturbance can only slow a trial down."""
    rounds = 20_000
    best_ns = 10**12
    for _ in range(25):
        start_ns = perf_counter_ns()
        _spin(rounds)
        best_ns = min(best_ns, perf_counter_ns() - start_ns)
    return rounds * 1000 / max(best_ns, 1000)


# ---- the process ----

_HELP = """\
usage: python_child.py [OPTION]...
Reads redo requests on standard input, answers pages on standard output (PROTOCOL.md).

  --no-sandbox             taken and ignored: this child has no sandbox
  --cost NAME              added CPU cost: none (default), or
                           pg14 (9 us per request, 0.5 us per record)
  --cost-per-request-us X  added CPU cost of a redo, in microseconds
  --cost-per-record-us Y   added CPU cost of each record, in microseconds
  --fault NAME[:KEY=VALUE[,KEY=VALUE]...]
                           misbehave on purpose; PROTOCOL.md has the names and keys
  --shared-memory FD       requests and pages go through this inherited memory
  --help                   this text
"""


class UsageError(Exception):
    """A bad option. The message is the line for standard error."""


class Options:
    """The options of the command line. A later option replaces an earlier one."""

    __slots__ = ("fault", "help", "record_us", "request_us", "shared")

    def __init__(self) -> None:
        self.request_us, self.record_us = COST_PRESETS["none"]
        self.fault: Fault | None = None
        self.shared: SharedStreams | None = None
        self.help = False

    def take(self, name: str, value: str) -> None:
        """Sets an option that has a value. Raises UsageError."""
        if name == "--cost":
            if value not in COST_PRESETS:
                presets = ", ".join(COST_PRESETS)
                raise UsageError(f"unknown cost, not one of {presets}: {value[:80]}")
            self.request_us, self.record_us = COST_PRESETS[value]
        elif name == "--cost-per-request-us":
            self.request_us = _cost_us(value)
        elif name == "--cost-per-record-us":
            self.record_us = _cost_us(value)
        elif name == "--shared-memory":
            self.shared = _shared(value)
        else:
            self.fault = _fault(value)


_WITH_VALUE = (
    "--cost",
    "--cost-per-request-us",
    "--cost-per-record-us",
    "--fault",
    "--shared-memory",
)


def parse_options(arguments: Sequence[str]) -> Options:
    """Parses the options up to ``--help``. Raises UsageError."""
    options = Options()
    rest = iter(arguments)
    for argument in rest:
        if argument == "--no-sandbox":
            continue
        if argument == "--help":
            options.help = True
            break
        name, equals, value = argument.partition("=")
        if name not in _WITH_VALUE:
            raise UsageError(f"unknown option: {argument[:80]}")
        if not equals:
            given = next(rest, None)
            if given is None:
                raise UsageError(f"option needs a value: {name}")
            value = given
        options.take(name, value)
    if options.fault is not None and options.fault.needs_memory and options.shared is None:
        raise UsageError(f"fault needs --shared-memory: {options.fault.text[:80]}")
    return options


def _cost_us(text: str) -> float:
    # Plain decimals only: float() also accepts infinity, underscores and blanks.
    digits = text.replace(".", "", 1)
    if not (digits.isascii() and digits.isdigit() and float(text) <= MAX_COST_US):
        raise UsageError(f"not a number of microseconds from 0 to 1000000: {text[:80]}")
    return float(text)


def _shared(text: str) -> SharedStreams:
    module = _load_module("child/shared_streams", "--shared-memory")
    # The length first: int() raises another error for thousands of digits.
    if not (text.isascii() and text.isdigit() and len(text) < 11 and 2 < int(text) < 1 << 31):
        raise UsageError(f"not the number of a descriptor above 2: {text[:80]}")
    try:
        shared: SharedStreams = module.SharedStreams(int(text))
    except module.BadMemoryError as error:
        raise UsageError(f"shared memory of descriptor {text}: {error}") from error
    return shared


def _fault(text: str) -> Fault:
    faults = _load_module("faults/faults", "--fault")
    try:
        fault: Fault = faults.parse_fault(text)
    except faults.FaultError as error:
        raise UsageError(str(error)) from error
    return fault


def _load_module(name: str, option: str) -> ModuleType:
    """Imports FOLDER/NAME of this package from its own folder, since an isolated child has no
    import path to it. Raises UsageError if the ``option`` cannot be had without it."""
    folder, _, name = name.rpartition("/")
    path = f"{__file__.rpartition('/')[0] or '.'}/../{folder}"
    sys.path.insert(0, path)
    try:
        return __import__(name)
    except ImportError as error:
        raise UsageError(f"{option} needs {path}/{name}.py") from error
    finally:
        sys.path.remove(path)


def _write_all(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, data[written:])


def _write_errors(data: bytes) -> None:
    try:
        _write_all(2, data)
    except OSError:
        return  # standard error is closed


def _tell(text: str) -> None:
    _write_errors(f"{text}\n".encode(errors="backslashreplace"))


def _write_page(data: bytes) -> None:
    try:
        written = os.write(1, data)
        if written < len(data):  # rare, so the usual page saves a function call
            _write_all(1, data[written:])
    except OSError as error:
        raise _no_output(error) from error


def _read_requests() -> bytes:
    return os.read(0, _READ_BYTES)


def _page_writer(shared: SharedStreams) -> Callable[[bytes], None]:
    """``_write_page`` to shared memory."""

    def write(data: bytes) -> None:
        try:
            shared.write(data)
        except OSError as error:
            raise _no_output(error) from error

    return write


def _no_output(error: OSError) -> ProtocolError:
    return ProtocolError(f"cannot write a page: output is gone (errno {error.errno})")


def _misbehaviour(
    fault: Fault, write_page: Callable[[bytes], None], shared: SharedStreams | None
) -> Misbehaviour:
    module = _load_module("faults/misbehave", "--fault")
    made: Misbehaviour = module.Misbehaviour(
        fault, write_page=write_page, tell=_tell, make_noise=_write_errors, memory=shared
    )
    return made


def _answerer(
    options: Options, write_page: Callable[[bytes], None], write_redo: Callable[[bytes], None]
) -> Callable[[bytes, int | None], None]:
    """Returns the ``answer`` function of the stream. ``write_redo`` writes the page of a redo."""
    request_us, record_us = options.request_us, options.record_us
    rounds_per_us = _calibrate_rounds_per_us() if request_us or record_us else 0.0

    def answer(page: bytes, records: int | None) -> None:
        if records is None:
            write_page(page)
            return
        if rounds_per_us:
            _spin(int((request_us + record_us * records) * rounds_per_us))
        write_redo(page)

    return answer


def _warn(text: str) -> None:
    _tell(f"WARNING: {text}")


def _serve(options: Options) -> int:
    """Answers requests until the input ends; returns the exit status."""
    shared = options.shared
    read = _read_requests if shared is None else shared.read
    write_page = _write_page if shared is None else _page_writer(shared)
    fault = options.fault
    misbehaviour = None if fault is None else _misbehaviour(fault, write_page, shared)
    fatal = (ProtocolError,) if shared is None else (ProtocolError, shared.Error)
    write_redo = write_page if misbehaviour is None else misbehaviour.in_reply
    stream = RedoStream(_answerer(options, write_page, write_redo), _warn)
    if misbehaviour is not None and not misbehaviour.at_start():
        _tell("FATAL: fault fail-to-start")
        return EXIT_FATAL
    try:
        while data := read():
            stream.feed(data)
        if misbehaviour is not None:
            misbehaviour.at_end()
        stream.end()
    except fatal as error:
        _tell(f"FATAL: {error}")
        return EXIT_FATAL
    except OSError as error:
        _tell(f"FATAL: cannot read (errno {error.errno})")
        return EXIT_FATAL
    return 0


def main(arguments: Sequence[str]) -> int:
    """Runs a redo child; returns the exit status."""
    try:
        options = parse_options(arguments)
    except UsageError as error:
        _tell(f"python_child: {error} (--help tells the options)")
        return EXIT_USAGE
    if options.help:
        _write_all(1, _HELP.encode())
        return 0
    os.closerange(3, 65536)
    return _serve(options)


def _run() -> NoReturn:
    try:
        status = main(sys.argv[1:])
    except KeyboardInterrupt:
        status = 130
    # Nothing is buffered and nothing needs cleanup, so the interpreter's shutdown is skipped.
    os._exit(status)


if __name__ == "__main__":
    _run()
