"""From a folder of WAL to redo requests, with what there is to say about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from bench.wal.blocks import Page, methods_of, page_fields
from bench.wal.chains import Chain, Chains, Images
from bench.wal.lsn import WalError, lsn_text
from bench.wal.records import Record, Records
from bench.wal.sampling import Reservoir
from bench.wal.segments import Wal, find_wal
from bench.wal.start import asked, first_redo
from walredo import RedoRequest

_HINT: Final = "begin at a checkpoint's redo LSN (pg_controldata prints that of the latest)"

_T = TypeVar("_T")

OnRead = Callable[[int, int], object]
"""Is told how many bytes were read, and how many are to be read at most."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What to read. ``start``, ``stop``: LSNs; None: the first redo LSN of a checkpoint, and the
    end of the WAL. ``points``: how many page reads to draw from all; None: each changed page once,
    at the end. ``most``: how many requests there may be, ``most_bytes``: and how many bytes on the
    wire in all."""

    folder: Path
    start: int | None = None
    stop: int | None = None
    timeline: int | None = None
    images: Images = "record"
    points: int | None = None
    seed: int = 1
    most: int = 16_384
    most_bytes: int = 384 << 20


class Captured(NamedTuple):
    """``is_image_only``: whether an image is all that there is: no record changes the page."""

    request: RedoRequest
    is_image_only: bool


@dataclass(frozen=True, slots=True)
class Capture:
    """``start``, ``end``: LSNs. ``start_note``: why it begins there; ``reason``: why it ends.
    ``records``: how many were read. ``unknown``: references to pages whose base is unknown.

    ``requests``: to be taken once; each is built when it is its turn, so that not all are in
    memory. There are ``count``, a sample of those ``offered``. ``is_cut``: whether more are asked
    for, and too large. Raises WalError.
    """

    wal: Wal
    start: int
    start_note: str
    end: int
    reason: str
    records: int
    unknown: int
    offered: int
    count: int
    is_cut: bool
    requests: Iterator[Captured]


def capture(choice: Choice, on_read: OnRead | None = None) -> Capture:
    """Reads the WAL: once, and once more for points, while requests are taken. Before that, headers
    up to a checkpoint, unless a start is given. Raises WalError."""
    wal = find_wal(choice.folder, choice.timeline)
    size = wal.end - wal.start
    passes = 1 + (choice.start is None) + (choice.points is not None)
    done = 0

    def read(count: int) -> None:
        nonlocal done
        done += count
        if on_read is not None:
            on_read(done, passes * size)

    if choice.start is None:
        start, note = first_redo(wal, read)
        # A part of the WAL may be left out.
        done = size
    else:
        start, note = asked(wal, choice.start)
    if choice.stop is not None and choice.stop <= start:
        raise WalError(f"--to {lsn_text(choice.stop)}: is not after the start, {lsn_text(start)}")
    reading = _Reading(wal, start, choice.stop, read)
    chosen = (_last if choice.points is None else _points)(choice, reading)
    if not chosen.kept:
        problem = f"no request in {reading.count} records from {lsn_text(start)} on"
        raise WalError(f"{choice.folder}: {problem} ({reading.reason}): {_HINT}")
    return Capture(
        wal=wal,
        start=start,
        start_note=note,
        end=reading.end,
        reason=reading.reason,
        records=reading.count,
        unknown=chosen.unknown,
        offered=chosen.offered,
        count=chosen.kept,
        is_cut=chosen.is_cut,
        requests=chosen.requests,
    )


class _Reading:
    """The records from ``start`` to ``stop``. ``count``, ``end``, ``reason``: once it is over."""

    def __init__(
        self, wal: Wal, start: int, stop: int | None, on_read: Callable[[int], None]
    ) -> None:
        self.wal = wal
        self.count = 0
        self.end = start
        self.reason = ""
        self._start = start
        self._stop = stop
        self._on_read = on_read

    def __iter__(self) -> Iterator[Record]:
        """Raises WalError, also if the WAL ends before ``stop``."""
        records = Records(self.wal, self._start, self._on_read, stop=self._stop)
        yield from records
        self.count, self.end, self.reason = records.count, records.end, records.reason
        # The next record begins after the header of a page: LSNs of PostgreSQL may say that.
        if self._stop is not None and not records.was_stopped and records.next < self._stop:
            ended = f"the WAL ends at {lsn_text(records.end)}: {records.reason}"
            raise WalError(f"--to {lsn_text(self._stop)}: {ended}")

    def again(self) -> Iterator[Record]:
        """The same records once more, though a server may have written further ones meanwhile.
        Raises WalError if they are not there any more."""
        records = Records(self.wal, self._start, self._on_read, stop=self.end)
        yield from records
        if records.count != self.count:
            changed = f"has changed while it was read ({records.reason}): read a copy of it"
            raise WalError(f"{self.wal.folder}: {changed}")


class _Chosen(NamedTuple):
    """As in `Capture`."""

    unknown: int
    offered: int
    kept: int
    is_cut: bool
    requests: Iterator[Captured]


def _last(choice: Choice, reading: _Reading) -> _Chosen:
    """Each changed page once; a sample of the pages if there are more than asked for, or if they
    are too large."""
    sample = Reservoir[Page](choice.most, choice.seed)

    def is_wanted(page: Page, _: int) -> bool:
        if page in chains:
            return chains[page] is not None
        is_kept, replaced = sample.offer(page)
        if replaced is not None:
            chains.drop(replaced)
        return is_kept

    chains = Chains(methods_of(reading.wal.version), choice.images, is_wanted)
    add, most_bytes, is_cut = chains.add, choice.most_bytes, False
    for record in reading:
        add(record)
        if chains.bytes > most_bytes:
            is_cut = True
            for page in sample.shrink():
                chains.drop(page)
            _check_any(sample, choice)

    def requests() -> Iterator[Captured]:
        for page in sorted(sample.kept, key=page_fields):
            chain = chains[page]
            assert chain is not None
            yield _captured(chains, chain)
            chains.drop(page)

    return _Chosen(chains.unknown, sample.offered, len(sample.kept), is_cut, requests())


class _Point(NamedTuple):
    """A read of a page after the record that ends at an LSN. ``chain``: where its chain begins."""

    page: Page
    chain: int
    end_lsn: int
    bytes: int


def _points(choice: Choice, reading: _Reading) -> _Chosen:
    """Reads of a page after any of its changes: drawn in one pass, collected in another, so that
    only chains of drawn ones are held in memory."""
    assert choice.points is not None
    methods = methods_of(reading.wal.version)
    chains = Chains(methods, choice.images, lambda *_: True, sizes_only=True)
    sample = Reservoir[_Point](min(choice.points, choice.most), choice.seed)
    for record in reading:
        for chain in chains.add(record):
            sample.offer(_Point(chain.page, chain.start, record.end_lsn, chain.bytes))
    is_cut = False
    while sum(point.bytes for point in sample.kept) > choice.most_bytes:
        is_cut = True
        sample.shrink()
        _check_any(sample, choice)
    drawn = defaultdict[tuple[Page, int], set[int]](set)
    for point in sample.kept:
        drawn[point.page, point.chain].add(point.end_lsn)

    def requests() -> Iterator[Captured]:
        chains = Chains(methods, choice.images, lambda *chain: chain in drawn)
        for record in reading.again():
            for chain in chains.add(record):
                waiting = drawn[chain.page, chain.start]
                if record.end_lsn in waiting:
                    yield _captured(chains, chain)
                    waiting.remove(record.end_lsn)
                if not waiting:
                    chains.drop(chain.page)

    return _Chosen(chains.unknown, sample.offered, len(sample.kept), is_cut, requests())


def _check_any(sample: Reservoir[_T], choice: Choice) -> None:
    """Raises WalError if no request is left."""
    if not sample.kept:
        most = f"{choice.most_bytes >> 20} MiB"
        raise WalError(f"{choice.folder}: a request has more than {most}: end before (--to)")


def _captured(chains: Chains, chain: Chain) -> Captured:
    request = chains.request(chain)
    return Captured(request, chain.has_image and len(chain.built) == 1)
