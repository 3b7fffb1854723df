"""The redo child in Python: where no C compiler is at hand, and as the page for who must check one.

Same messages, same pages, same options as the C child (PROTOCOL.md), without its sandbox. Run it as
``python -I -S python_child.py``: it stands alone, imports the standard library only, and little of
that, since it is started often. Only a child that is given a fault loads more: the two files beside
this one that know faults. ``redo_page`` is the page as a function; the child itself computes
its pages with the same code.

Made to be quick for Python: one read takes all there is, a record costs one unpack, one slice and
one step of the chain, and the body is XORed as a few large integers at the end of the redo.
"""

from __future__ import annotations

import os
import sys
from itertools import repeat
from struct import Struct
from time import perf_counter_ns

TYPE_CHECKING = False  # typing's own would cost an import at every start
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import NoReturn

    from fake_redo_child.faults.faults import Fault
    from fake_redo_child.faults.misbehave import Misbehaviour

PAGE_SIZE = 8192
MAX_RECORD_BYTES = 16 * 1024 * 1024

COST_PRESETS: dict[str, tuple[float, float]] = {"none": (0.0, 0.0), "pg14": (9.0, 0.5)}
"""Name to added CPU cost: microseconds per request, microseconds per record."""

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

# A record is taken apart together with its type and length: one call gets all of its head.
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

# A default pipe holds 64 KiB and the largest one 1 MiB.
_READ_BYTES = 1024 * 1024
# Records of a redo are kept until this many bytes, then worked into the page.
_GATHER_BYTES = 1024 * 1024


class ProtocolError(Exception):
    """The input is not the protocol; the text is the line for standard error."""


# ---- the page ----


class PageBuilder:
    """One page in the making: a tag, perhaps a base image, then records, in their order."""

    __slots__ = ("_at", "_body", "_chain", "_head", "_tag")

    def __init__(self, tag: tuple[int, int, int, int, int]) -> None:
        self._tag = tag
        self._chain = _chain_start(tag, 0, 0, 0)
        self._head = bytes(8)
        self._body = 0  # as one integer, its first byte the lowest
        self._at = 0  # where in the body the next record begins

    def push(self, image: bytes) -> None:
        """Take the base image (8,192 bytes). To be called before any record."""
        self._chain = _chain_start(self._tag, 1, *_IMAGE_HEAD.unpack_from(image))
        self._head = image[:8]
        self._body = int.from_bytes(image[_HEAD_BYTES:], "little")

    def apply(self, records: Sequence[tuple[int, bytes]]) -> None:
        """Take some (end LSN, bytes), in order; a redo's records may come in several calls."""
        if not records:
            return
        chain = self._chain
        for lsn, record in records:
            x = (chain ^ lsn) * _CHAIN_FACTOR + len(record) & _MASK
            chain = x ^ x >> 32
        self._chain = chain
        lsn = records[-1][0]
        self._head = _LSN_AND_CHAIN.pack(lsn >> 32, lsn & 0xFFFF_FFFF, 0)[:8]

        # Zeros in front put the first byte at its place and change nothing under XOR.
        stream = b"".join([bytes(self._at), *[record for _, record in records]])
        body = self._body
        for start in range(0, len(stream), _BODY_BYTES):
            body ^= int.from_bytes(stream[start : start + _BODY_BYTES], "little")
        self._body = body
        self._at = len(stream) % _BODY_BYTES

    def page(self) -> bytes:
        """The 8,192 bytes so far."""
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
    """The page the redo child answers for these; records are (end LSN, bytes), in order.

    ``tag`` is fork, tablespace, database, relation, block. Raises ValueError for what could not be
    sent: a field out of range, an image that is not a page, a record that is too long.
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
    """Bytes in, pages out. Does no I/O: ``answer`` gets each page and the number of its records
    (None if it answers no redo), ``warn`` gets a line of text.
    """

    def __init__(
        self, answer: Callable[[bytes, int | None], None], warn: Callable[[str], None]
    ) -> None:
        self._answer = answer
        self._warn = warn
        self._held = bytearray()  # the beginning of a message whose end has not come
        self._needed = _HEADER.size  # bytes of it that allow the next step
        self._tag: bytes | None = None  # None: outside a redo
        self._builder = PageBuilder((0, 0, 0, 0, 0))
        self._records: list[tuple[int, bytes]] = []  # not yet in the builder
        self._gathered = 0  # bytes of them
        self._applied = 0  # number of records in the builder
        self._pushed = False

    def feed(self, data: bytes) -> None:
        """Take the next piece of input, of any size. Raises ProtocolError, and is then done for."""
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
        """The input is at its end. Raises ProtocolError if that is inside a message."""
        if self._held:
            raise ProtocolError("end of input inside a message")

    def _take_messages(self, data: bytes) -> int:
        """Take the whole messages at the front of data; return their size and set ``_needed``."""
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
        """Take the whole ``A`` messages that follow one another from ``at``; return where they end.

        If the first one is not whole, that is ``at``, and ``_needed`` is set.
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
        """Take one whole message that is not a record."""
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
    """The fastest of many short trials: what disturbs one makes it slower, never faster."""
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
  --help                   this text
"""


class UsageError(Exception):
    """A bad option; the text is the line for standard error."""


class Options:
    """What the command line asks for; its words, from the left, are taken one by one."""

    __slots__ = ("fault", "help", "record_us", "request_us")

    def __init__(self) -> None:
        self.request_us, self.record_us = COST_PRESETS["none"]
        self.fault: Fault | None = None
        self.help = False

    def take(self, name: str, value: str) -> None:
        """An option with a value. Raises UsageError."""
        if name == "--cost":
            if value not in COST_PRESETS:
                presets = ", ".join(COST_PRESETS)
                raise UsageError(f"unknown cost, not one of {presets}: {value[:80]}")
            self.request_us, self.record_us = COST_PRESETS[value]
        elif name == "--cost-per-request-us":
            self.request_us = _cost_us(value)
        elif name == "--cost-per-record-us":
            self.record_us = _cost_us(value)
        else:
            self.fault = _fault(value)


_WITH_VALUE = ("--cost", "--cost-per-request-us", "--cost-per-record-us", "--fault")


def parse_options(arguments: Sequence[str]) -> Options:
    """The options; those after ``--help`` are not looked at. Raises UsageError."""
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
    return options


def _cost_us(text: str) -> float:
    # Plain decimals only: float() alone would take infinity, underscores, blanks and more.
    digits = text.replace(".", "", 1)
    if not (digits.isascii() and digits.isdigit() and float(text) <= MAX_COST_US):
        raise UsageError(f"not a number of microseconds from 0 to 1000000: {text[:80]}")
    return float(text)


def _fault(text: str) -> Fault:
    faults = _load_fault_module("faults")
    try:
        fault: Fault = faults.parse_fault(text)
    except faults.FaultError as error:
        raise UsageError(str(error)) from error
    return fault


def _load_fault_module(name: str) -> ModuleType:
    """The module of the file faults/NAME.py: an isolated child has no path to import it from."""
    from importlib.util import module_from_spec, spec_from_file_location

    path = f"{__file__.rpartition('/')[0] or '.'}/../faults/{name}.py"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"--fault needs {path}")
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except OSError as error:
        raise UsageError(f"--fault needs {path}") from error
    return module


def _write_all(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, data[written:])


def _write_errors(data: bytes) -> None:
    try:
        _write_all(2, data)
    except OSError:
        return  # nobody listens


def _tell(text: str) -> None:
    _write_errors(f"{text}\n".encode(errors="backslashreplace"))


def _write_page(data: bytes) -> None:
    try:
        written = os.write(1, data)
        if written < len(data):  # seldom: a call less for every page
            _write_all(1, data[written:])
    except OSError as error:
        raise ProtocolError(f"cannot write a page: output is gone (errno {error.errno})") from error


def _misbehaviour(fault: Fault) -> Misbehaviour:
    module = _load_fault_module("misbehave")
    made: Misbehaviour = module.Misbehaviour(
        fault, write_page=_write_page, tell=_tell, make_noise=_write_errors
    )
    return made


def _answerer(
    options: Options, write_redo: Callable[[bytes], None]
) -> Callable[[bytes, int | None], None]:
    """What answers with a page; ``write_redo`` writes that of a redo."""
    request_us, record_us = options.request_us, options.record_us
    rounds_per_us = _calibrate_rounds_per_us() if request_us or record_us else 0.0

    def answer(page: bytes, records: int | None) -> None:
        if records is None:
            _write_page(page)
            return
        if rounds_per_us:
            _spin(int((request_us + record_us * records) * rounds_per_us))
        write_redo(page)

    return answer


def _warn(text: str) -> None:
    _tell(f"WARNING: {text}")


def _serve(options: Options) -> int:
    """Answer until the input ends; the result is the exit status."""
    misbehaviour = None if options.fault is None else _misbehaviour(options.fault)
    write_redo = _write_page if misbehaviour is None else misbehaviour.in_reply
    stream = RedoStream(_answerer(options, write_redo), _warn)
    if misbehaviour is not None and not misbehaviour.at_start():
        _tell("FATAL: fault fail-to-start")
        return EXIT_FATAL
    try:
        while data := os.read(0, _READ_BYTES):
            stream.feed(data)
        if misbehaviour is not None:
            misbehaviour.at_end()
        stream.end()
    except ProtocolError as error:
        _tell(f"FATAL: {error}")
        return EXIT_FATAL
    except OSError as error:
        _tell(f"FATAL: cannot read (errno {error.errno})")
        return EXIT_FATAL
    return 0


def main(arguments: Sequence[str]) -> int:
    """Be a redo child; the result is the exit status."""
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
    # Nothing is buffered and nothing needs tidying, so the interpreter's own end can be skipped.
    os._exit(status)


if __name__ == "__main__":
    _run()
