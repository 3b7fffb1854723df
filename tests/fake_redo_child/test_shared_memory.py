"""Children over shared memory: the ring, the slots, the doorbells, and how they end."""

from __future__ import annotations

import random

import pytest

from tests.support import page_model as model
from tests.support.children import command_of
from tests.support.memory_client import Memory, SharingChild
from tests.support.page_model import Record, Tag

TAG: Tag = (0, 1663, 5, 16384, 7)
REDO = model.redo(TAG, None, [(1, b"one"), (2, b"two")])
PAGE = model.page(TAG, None, [(1, b"one"), (2, b"two")])
ZERO_PAGE = bytes(model.PAGE)

KINDS = ("c",)
"""The children that speak it."""

each_kind = pytest.mark.parametrize("kind", KINDS)


def traffic(seed: int, redos: int = 12) -> tuple[bytes, bytes]:
    """Messages with records of all sizes, and the pages that answer them: two for each redo."""
    source = random.Random(seed)
    image = source.randbytes(model.PAGE)
    data = pages = b""
    for n in range(redos):
        sizes = [source.choice((0, 5, 70, 1000, 30_000)) for _ in range(source.randrange(4))]
        records: list[Record] = [(100 * n + k, source.randbytes(s)) for k, s in enumerate(sizes)]
        base = source.choice((None, image))
        data += model.PING + model.redo(TAG, base, records)
        pages += ZERO_PAGE + model.page(TAG, base, records)
    return data, pages


@each_kind
@pytest.mark.parametrize("always_ring", [0, 1])
@pytest.mark.parametrize("spin_ns", [0, 200_000])
@pytest.mark.parametrize(
    ("ring", "slots"),
    [(1 << 20, 256), (1 << 17, 8), (4096, 2), (64, 1)],
    ids=["as managers have it", "pieces", "wrap", "a record larger than the ring"],
)
def test_pages(kind: str, ring: int, slots: int, spin_ns: int, always_ring: int) -> None:
    data, pages = traffic(ring)
    memory = Memory(ring=ring, slots=slots, spin_ns=spin_ns, always_ring=always_ring)
    with SharingChild(command_of(kind), memory) as child:
        assert child.ask(data, len(pages) // model.PAGE) == pages
        assert child.end() == 0
        assert child.stderr.read() == b""
