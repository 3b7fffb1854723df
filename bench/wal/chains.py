"""Redo requests by page: from the image or the record that makes a page anew to its last change.

Only blocks of the main fork count. Records are grouped by the blocks that they name, so no resource
manager needs to be known. (A record HEAP2/VISIBLE names its heap block and does not advance that
page's LSN in a cluster without checksums: a real redo child answers with an older LSN there.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from bench.wal.blocks import (
    MAIN_FORK,
    Block,
    Methods,
    Page,
    RecordError,
    blocks_of,
    changed_page,
    page_fields,
)
from bench.wal.images import restore_block_image
from bench.wal.lsn import PAGE_BYTES, WalError, lsn_text
from bench.wal.records import Record
from walredo import BufferTag, RedoRequest, WalRecord
from walredo.wire import MAX_RECORD_BYTES, apply_fields, apply_record, messages

Images = Literal["record", "base"]
"""Where an image goes: it stays in its record, or it becomes the request's base image."""

IMAGES: Final = ("record", "base")


@dataclass(slots=True)
class Chain:
    """What redo needs for one page as it is now.

    ``start``: the LSN of the first record. ``has_image``: whether that has an image of the page.
    ``bytes``: of the request on the wire, without its tags. ``messages``: the records as they are
    on the wire, which takes a third of the memory of objects; None: only sizes are kept.
    ``built``: the records that requests share; they have left ``messages``.
    """

    page: Page
    start: int
    has_image: bool
    bytes: int
    messages: bytearray | None
    built: list[WalRecord] = field(default_factory=list)

    def records(self) -> Sequence[WalRecord]:
        assert self.messages is not None
        waiting = messages(bytes(self.messages))
        self.built += (WalRecord(*apply_fields(payload)) for _, payload in waiting)
        self.messages.clear()
        return self.built


IsWanted = Callable[[Page, int], bool]
"""Whether to keep the chain of a page that begins with the record at an LSN."""


class Chains:
    """The chain of each page, as of the last record that was added.

    ``is_wanted`` is asked when a chain begins. ``sizes_only``: no record is kept. ``bytes``: of all
    chains that are kept. ``unknown``: how many changes came to pages that no record had made anew
    before.
    """

    def __init__(
        self, methods: Methods, images: Images, is_wanted: IsWanted, *, sizes_only: bool = False
    ) -> None:
        self.bytes = 0
        self.unknown = 0
        self._methods = methods
        self._images = images
        self._is_wanted = is_wanted
        self._sizes_only = sizes_only
        # None: its base is known, but nobody asks for it.
        self._chains: dict[Page, Chain | None] = {}

    def __contains__(self, page: Page) -> bool:
        """Whether its base is known."""
        return page in self._chains

    def __getitem__(self, page: Page) -> Chain | None:
        """Its chain, if that is kept. Raises KeyError if its base is unknown."""
        return self._chains[page]

    def add(self, record: Record) -> Sequence[Chain]:
        """The kept chains that end with this record. Raises WalError."""
        _, end_lsn, data = record
        page = changed_page(data)
        if page is None or page not in self._chains:
            return self._add_any(record)
        chain = self._chains[page]
        if chain is None:
            return ()
        self._append(chain, apply_record(end_lsn, data))
        return (chain,)

    def _add_any(self, record: Record) -> Sequence[Chain]:
        """Likewise, for records of all forms."""
        lsn, end_lsn, data = record
        changed: list[Chain] = []
        message = b""
        for block in self._blocks(record):
            page = block.page
            if block.fork != MAIN_FORK:
                continue
            if block.restarts:
                chain = self._begun(block, lsn)
            elif page in self._chains:
                chain = self._chains[page]
            else:
                self.unknown += 1
                continue
            if chain is not None:
                message = message or apply_record(end_lsn, data)
                self._append(chain, message)
                changed.append(chain)
        return changed

    def _append(self, chain: Chain, message: bytes) -> None:
        size = len(message)
        self.bytes += size
        chain.bytes += size
        if chain.messages is not None:
            chain.messages += message

    def drop(self, page: Page) -> None:
        """Keeps the chain of that page no longer."""
        chain = self._chains[page]
        if chain is not None:
            self.bytes -= chain.bytes
        self._chains[page] = None

    def request(self, chain: Chain) -> RedoRequest:
        """The request that asks for the page as it is now. Raises WalError."""
        records, image = chain.records(), None
        if self._is_base(chain):
            image, records = self._restored(chain, records[0]), records[1:]
        tag = BufferTag(MAIN_FORK, *page_fields(chain.page))
        return RedoRequest(tag, tuple(records), image)

    def _blocks(self, record: Record) -> Sequence[Block]:
        """Raises WalError."""
        try:
            blocks = blocks_of(record.data, self._methods)
        except RecordError as error:
            raise WalError(f"record {lsn_text(record.lsn)} {error}") from error
        if blocks and len(record.data) > MAX_RECORD_BYTES:
            problem = f"{len(record.data)} bytes: a child takes at most {MAX_RECORD_BYTES}"
            raise WalError(f"record {lsn_text(record.lsn)} has {problem}")
        return blocks

    def _begun(self, block: Block, lsn: int) -> Chain | None:
        """A chain without records; None if it is not wanted."""
        page, image, chain = block.page, block.image, None
        is_wanted = self._is_wanted(page, lsn)
        if page in self._chains:
            self.drop(page)
        if is_wanted:
            chain = Chain(page, lsn, block.has_base, 0, None if self._sizes_only else bytearray())
            if image is not None and self._is_base(chain):
                chain.bytes = PAGE_BYTES - image.length
                self.bytes += chain.bytes
        self._chains[page] = chain
        return chain

    def _is_base(self, chain: Chain) -> bool:
        """Whether it begins with an image that becomes a base image."""
        return chain.has_image and self._images == "base"

    def _restored(self, chain: Chain, record: WalRecord) -> bytes:
        """The image in the first record of a chain."""
        blocks = blocks_of(record.data, self._methods)
        image = next(one.image for one in blocks if one.page == chain.page and one.has_base)
        assert image is not None
        try:
            return restore_block_image(record.data, image, record.end_lsn)
        except RecordError as error:
            raise WalError(f"record {lsn_text(chain.start)} {error}") from error
