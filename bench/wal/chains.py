"""Redo requests by page: from the image or the record that makes a page anew to its last change.

Only blocks of the main fork count. Records are grouped by the blocks that they name, so no resource
manager needs to be known. (A record HEAP2/VISIBLE names its heap block and does not advance that
page's LSN in a cluster without checksums: a real redo child answers with an older LSN there.)
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from bench.wal.blocks import MAIN_FORK, Block, Image, Methods, RecordError, blocks_of
from bench.wal.images import restore_block_image
from bench.wal.lsn import WalError, lsn_text
from bench.wal.records import Record
from walredo import BufferTag, RedoRequest, WalRecord
from walredo.wire import MAX_RECORD_BYTES

Images = Literal["record", "base"]
"""Where an image goes: it stays in its record, or it becomes the request's base image."""

IMAGES: Final = ("record", "base")

Page = tuple[int, int, int, int]
"""Tablespace, database, relation, block."""


@dataclass(slots=True)
class _Chain:
    """What redo needs for one page. ``base``: the record with the image that is the base image.
    ``records``: what follows, in order. ``built``: the first of them as requests share them."""

    base: tuple[Record, Image] | None
    records: list[Record]
    built: list[WalRecord] = field(default_factory=list)


class Chains:
    """The chain of each page, as of the last record that was added.

    ``wanted``: the pages to collect; None: all but those that are dropped. ``unknown``: how many
    changes came to pages that no record had made anew before.
    """

    def __init__(
        self, methods: Methods, images: Images, wanted: Collection[Page] | None = None
    ) -> None:
        self.unknown = 0
        self._methods = methods
        self._images = images
        self._wanted = wanted
        # None: its base is known, but nobody asks for it.
        self._chains: dict[Page, _Chain | None] = {}

    def add(self, record: Record) -> Sequence[tuple[Page, bool]]:
        """The pages whose chain ends with this record, and whether each is new. Raises WalError."""
        chains, found = self._chains, []
        for page, block in changes(record, self._methods):
            is_new = page not in chains
            if block.restarts:
                wanted = self._is_wanted(page) if is_new else chains[page] is not None
                chains[page] = self._begun(record, block) if wanted else None
            elif is_new:
                self.unknown += 1
                continue
            elif (chain := chains[page]) is not None:
                chain.records.append(record)
            found.append((page, is_new))
        return found

    def drop(self, page: Page) -> None:
        """Collects that page no longer."""
        self._chains[page] = None

    def request(self, page: Page) -> RedoRequest:
        """The request that asks for a collected page as it is now. Raises WalError."""
        chain = self._chains[page]
        assert chain is not None
        image = None
        if chain.base is not None:
            record, found = chain.base
            try:
                image = restore_block_image(record.data, found, record.end_lsn)
            except RecordError as error:
                raise WalError(f"record {lsn_text(record.lsn)} {error}") from error
        further = chain.records[len(chain.built) :]
        chain.built += (WalRecord(one.end_lsn, one.data) for one in further)
        return RedoRequest(BufferTag(MAIN_FORK, *page), tuple(chain.built), image)

    def is_image_only(self, page: Page) -> bool:
        """Whether an image is all that there is of a collected page: no record changes it."""
        chain = self._chains[page]
        assert chain is not None
        if chain.base is not None:
            return not chain.records
        return len(chain.records) == 1 and any(
            page == one and block.image is not None and block.image.apply
            for one, block in changes(chain.records[0], self._methods)
        )

    def _is_wanted(self, page: Page) -> bool:
        return self._wanted is None or page in self._wanted

    def _begun(self, record: Record, block: Block) -> _Chain:
        if self._images == "base" and block.image is not None and block.image.apply:
            return _Chain((record, block.image), [])
        return _Chain(None, [record])


def changes(record: Record, methods: Methods) -> Sequence[tuple[Page, Block]]:
    """The pages of the main fork that a record changes. Raises WalError."""
    try:
        blocks = blocks_of(record.data, methods)
    except RecordError as error:
        raise WalError(f"record {lsn_text(record.lsn)} {error}") from error
    found = [((*one.relation, one.block), one) for one in blocks if one.fork == MAIN_FORK]
    if found and len(record.data) > MAX_RECORD_BYTES:
        problem = f"{len(record.data)} bytes: a child takes at most {MAX_RECORD_BYTES}"
        raise WalError(f"record {lsn_text(record.lsn)} has {problem}")
    return found
