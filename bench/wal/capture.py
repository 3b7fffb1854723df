"""From a folder of WAL to redo requests, with what there is to say about them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Final

from bench.wal.blocks import RecordError, main_data, methods_of
from bench.wal.chains import Chains, Images, Page
from bench.wal.lsn import PAGE_BYTES, WalError, aligned, lsn_text
from bench.wal.pages import Pages
from bench.wal.records import CHECKPOINT_ONLINE, CHECKPOINT_SHUTDOWN, Record, Records
from bench.wal.sampling import Reservoir
from bench.wal.segments import Wal, find_wal
from walredo import RedoRequest

_REDO: Final = Struct("<Q")
"""The first field of CheckPoint."""

_HINT: Final = "begin at a checkpoint's redo LSN (pg_controldata prints that of the latest)"

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


@dataclass(frozen=True, slots=True)
class Capture:
    """``start``, ``end``: LSNs. ``start_note``: why it begins there; ``reason``: why it ends.
    ``records``: how many were read. ``offered``: how many requests ``requests`` is a sample of.
    ``unknown``: references to pages whose base is unknown. ``image_only``: requests that only an
    image answers."""

    wal: Wal
    start: int
    start_note: str
    end: int
    reason: str
    records: int
    requests: tuple[RedoRequest, ...]
    offered: int
    unknown: int
    image_only: int


def capture(choice: Choice, on_read: OnRead | None = None) -> Capture:
    """Reads the WAL: once, and once more for points. Raises WalError.

    Python's collector of cycles rests meanwhile, in the whole process: it would take a quarter of
    the time to look through records, of which none is in a cycle.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return _capture(choice, on_read)
    finally:
        if was_enabled:
            gc.enable()


def _capture(choice: Choice, on_read: OnRead | None) -> Capture:
    wal = find_wal(choice.folder, choice.timeline)
    size = wal.end - wal.start
    passes = 1 + (choice.start is None) + (choice.points is not None)
    done = 0

    def read(count: int) -> None:
        nonlocal done
        done += count
        if on_read is not None:
            on_read(done, passes * size)

    start, note = _start(wal, choice.start, read)
    if choice.stop is not None and choice.stop <= start:
        raise WalError(f"--to {lsn_text(choice.stop)}: is not after the start, {lsn_text(start)}")
    # A part of the WAL may be left out.
    done = size if choice.start is None else 0
    reading = _Reading(wal, start, choice.stop, read)
    chosen = (_last if choice.points is None else _points)(choice, reading)
    if not chosen.requests:
        problem = f"no request in {reading.count} records from {lsn_text(start)} on"
        raise WalError(f"{choice.folder}: {problem} ({reading.reason}): {_HINT}")
    return Capture(
        wal=wal,
        start=start,
        start_note=note,
        end=reading.end,
        reason=reading.reason,
        records=reading.count,
        requests=tuple(chosen.requests),
        offered=chosen.offered,
        unknown=chosen.unknown,
        image_only=chosen.image_only,
    )


class _Chosen:
    """The requests that were chosen, and what there is to say about them as in `Capture`."""

    def __init__(self, most_bytes: int) -> None:
        self.requests: list[RedoRequest] = []
        self.offered = self.unknown = self.image_only = 0
        self._most_bytes = most_bytes
        self._bytes = 0

    def add(self, chains: Chains, page: Page) -> None:
        """The request for that page as it is now. Raises WalError if all are too large together."""
        request = chains.request(page)
        self.requests.append(request)
        self.image_only += chains.is_image_only(page)
        self._bytes += len(request.serialise())
        if self._bytes > self._most_bytes:
            had = f"{len(self.requests)} requests have more than {self._most_bytes >> 20} MiB"
            raise WalError(f"{had}: take fewer (--most N)")


def _last(choice: Choice, reading: _Reading) -> _Chosen:
    """Each changed page once; a sample of the pages if there are more than asked for."""
    chains = Chains(methods_of(reading.wal.version), choice.images)
    sample = Reservoir[Page](choice.most, choice.seed)
    for record in reading:
        for page, is_new in chains.add(record):
            if not is_new:
                continue
            is_kept, replaced = sample.offer(page)
            if not is_kept:
                chains.drop(page)
            if replaced is not None:
                chains.drop(replaced)
    chosen = _Chosen(choice.most_bytes)
    for page in sorted(sample.kept):
        chosen.add(chains, page)
    chosen.offered, chosen.unknown = sample.offered, chains.unknown
    return chosen


def _points(choice: Choice, reading: _Reading) -> _Chosen:
    """Reads of a page after any of its changes: drawn in one pass, collected in another, so that
    only the drawn pages are held in memory."""
    assert choice.points is not None
    methods = methods_of(reading.wal.version)
    chains = Chains(methods, choice.images, wanted=())
    sample = Reservoir[tuple[int, Page]](min(choice.points, choice.most), choice.seed)
    for record in reading:
        for page, _ in chains.add(record):
            sample.offer((sample.offered, page))
    drawn = {number for number, _ in sample.kept}
    collected = Chains(methods, choice.images, wanted={page for _, page in sample.kept})
    chosen = _Chosen(choice.most_bytes)
    number = 0
    for record in reading.again():
        for page, _ in collected.add(record):
            if number in drawn:
                chosen.add(collected, page)
            number += 1
    chosen.offered, chosen.unknown = sample.offered, chains.unknown
    return chosen


class _Reading:
    """The records from ``start`` to ``stop``. ``count``, ``end``, ``reason``: once it is over."""

    def __init__(
        self, wal: Wal, start: int, stop: int | None, on_read: Callable[[int], None]
    ) -> None:
        self.wal = wal
        self.count = 0
        self.end = self._start = start
        self.reason = ""
        self._stop = stop
        self._on_read = on_read

    def __iter__(self) -> Iterator[Record]:
        """Raises WalError, also if the WAL ends before ``stop``."""
        records = Records(self.wal, self._start, self._on_read)
        for record in records:
            if self._stop is not None and record.end_lsn > self._stop:
                self.reason = f"--to {lsn_text(self._stop)}"
                return
            self.count += 1
            self.end = record.end_lsn
            yield record
        self.reason = records.reason
        # The next record begins after the header of a page: LSNs of PostgreSQL may say that.
        if self._stop is not None and records.next < self._stop:
            ended = f"the WAL ends at {lsn_text(records.end)}: {records.reason}"
            raise WalError(f"--to {lsn_text(self._stop)}: {ended}")

    def again(self) -> Iterator[Record]:
        """The same records once more: a server may have written further ones meanwhile."""
        for number, record in enumerate(Records(self.wal, self._start, self._on_read)):
            if number == self.count:
                return
            yield record


def _start(wal: Wal, asked: int | None, on_read: Callable[[int], None]) -> tuple[int, str]:
    """The LSN of the record to begin with, and why. Raises WalError."""
    if asked is None:
        return _first_redo(wal, on_read)
    if not wal.start <= asked < wal.end:
        held = f"the segments hold {lsn_text(wal.start)} to {lsn_text(wal.end)}"
        raise WalError(f"--from {lsn_text(asked)}: {held}")
    records = Records(wal, first_record(wal, asked))
    exact = wal.layout.start_lsn(asked)
    for record in records:
        if record.lsn >= asked:
            inside = f"--from {lsn_text(asked)} is inside a record: this is the next one"
            return record.lsn, "--from" if record.lsn == exact else inside
    ended = f"the WAL ends at {lsn_text(records.end)}: {records.reason}"
    raise WalError(f"--from {lsn_text(asked)}: {ended}")


def _first_redo(wal: Wal, on_read: Callable[[int], None]) -> tuple[int, str]:
    """From there on the first change of every page has an image: full_page_writes."""
    first = first_record(wal, wal.start)
    methods = methods_of(wal.version)
    for record in Records(wal, first, on_read):
        if record.is_of_xlog(CHECKPOINT_SHUTDOWN, CHECKPOINT_ONLINE):
            try:
                redo = int(_REDO.unpack_from(main_data(record.data, methods))[0])
            except RecordError as error:
                raise WalError(f"record {lsn_text(record.lsn)} {error}") from error
            if redo >= first:
                note = f"the redo LSN of the checkpoint at {lsn_text(record.lsn)}"
                return wal.layout.start_lsn(redo), note
    return first, "the first record, as there is no checkpoint whose redo LSN is in this WAL"


def first_record(wal: Wal, lsn: int) -> int:
    """Where the first record begins on the page of that LSN or after it. Raises WalError."""
    pages = Pages(wal, lsn)
    page = pages.lsn
    try:
        while True:
            while page not in pages.starts:
                if not pages.more():
                    raise WalError(
                        f"{wal.folder}: no record from {lsn_text(lsn)} on: {pages.reason}"
                    )
            header = wal.layout.header_bytes(page)
            left = aligned(pages.starts[page].rem_len) if pages.starts[page].is_continued else 0
            if left < PAGE_BYTES - header:
                return page + header + left
            page += PAGE_BYTES
    finally:
        pages.close()
