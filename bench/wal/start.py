"""Where reading begins: at an LSN that was asked for, or at the first redo LSN of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final

from bench.wal.blocks import RecordError, main_data, methods_of
from bench.wal.lsn import PAGE_BYTES, WalError, aligned, lsn_text
from bench.wal.pages import Pages
from bench.wal.records import CHECKPOINT_ONLINE, CHECKPOINT_SHUTDOWN, Records
from bench.wal.segments import Wal

_REDO: Final = Struct("<Q")
"""The first field of CheckPoint."""


def asked(wal: Wal, lsn: int) -> tuple[int, str]:
    """The LSN of the first record from that LSN on, and why it is that one. Raises WalError."""
    if not wal.start <= lsn < wal.end:
        held = f"the segments hold {lsn_text(wal.start)} to {lsn_text(wal.end)}"
        raise WalError(f"--from {lsn_text(lsn)}: {held}")
    records = Records(wal, first_record(wal, lsn))
    exact = wal.layout.start_lsn(lsn)
    for record in records:
        if record.lsn >= lsn:
            inside = f"--from {lsn_text(lsn)} is inside a record: this is the next one"
            return record.lsn, "--from" if record.lsn == exact else inside
    ended = f"the WAL ends at {lsn_text(records.end)}: {records.reason}"
    raise WalError(f"--from {lsn_text(lsn)}: {ended}")


def first_redo(wal: Wal, on_read: Callable[[int], object]) -> tuple[int, str]:
    """The first redo LSN of a checkpoint, and that it is one. Raises WalError.

    From there on the first change of every page has an image: full_page_writes. Of the records
    before the checkpoint only headers are read.
    """
    first = first_record(wal, wal.start)
    methods = methods_of(wal.version)
    for record in Records(wal, first, on_read, only_xlog=True):
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
