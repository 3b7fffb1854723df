"""Every child computes the page of PROTOCOL.md, whatever the input and however it is split."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fake_redo_child.child.python_child import redo_page
from tests.support import page_model as model
from tests.support.children import KINDS, RunningChild, command_of
from tests.support.page_model import Record, Tag

Redo = tuple[Tag, bytes | None, list[Record]]

u32 = st.integers(0, 2**32 - 1)
tags = st.tuples(st.integers(0, 255), u32, u32, u32, u32)
lsns = st.integers(0, 2**64 - 1)


def content(sizes: st.SearchStrategy[int]) -> st.SearchStrategy[bytes]:
    """Bytes from a seed: hypothesis is not made to draw megabytes one by one."""
    return st.builds(lambda seed, n: random.Random(seed).randbytes(n), st.integers(0, 99), sizes)


sizes = st.one_of(
    st.integers(0, 200), st.sampled_from([0, 8175, 8176, 8177]), st.integers(0, 20000)
)
images = st.none() | content(st.just(model.PAGE))
redos = st.tuples(tags, images, st.lists(st.tuples(lsns, content(sizes)), max_size=6))

steady = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
TAG: Tag = (1, 1663, 5, 16384, 7)


@pytest.fixture(scope="module", params=KINDS)
def child(request: pytest.FixtureRequest) -> Iterator[RunningChild]:
    with RunningChild(command_of(request.param)) as running:
        yield running


def ask(child: RunningChild, redo: Redo) -> bytes:
    child.send(model.redo(*redo))
    return child.page()


def test_a_page_by_hand() -> None:
    """The model itself, at the places where the eye can check it."""
    page = model.page(
        (0, 0, 0, 0, 0), None, [(0x0A0B_0000_0001, b"\x01\x02"), (0x1C_0000_0D0E, b"\x10")]
    )
    assert page[:8] == bytes.fromhex("1c000000 0e0d0000")
    assert page[16:20] == bytes.fromhex("01021000")
    assert not any(page[20:])


@steady
@given(redos)
def test_function_agrees_with_model(redo: Redo) -> None:
    assert redo_page(*redo) == model.page(*redo)


@steady
@given(st.lists(redos, min_size=1, max_size=5), st.lists(st.integers(1, 9000), max_size=8))
def test_child_agrees_with_model(
    child: RunningChild, several: list[Redo], pieces: list[int]
) -> None:
    data = b"".join(model.redo(*redo) for redo in several)
    for size in pieces:
        child.send_apart(data[:size])
        data = data[size:]
    child.send(data)
    for redo in several:
        assert child.page() == model.page(*redo)


def test_every_split_of_a_redo(child: RunningChild) -> None:
    """Cut at each place of a message's head, in an image and in a record."""
    redo: Redo = (
        TAG,
        random.Random(3).randbytes(model.PAGE),
        [(1, b"ab"), (2, b""), (3, b"c" * 30)],
    )
    data = model.redo(*redo)
    expected = model.page(*redo)
    image_ends = 22 + 8214
    cuts = [*range(1, 80), *range(image_ends - 20, len(data))]
    for cut in cuts:
        child.send_apart(data[:cut])
        child.send(data[cut:])
        assert child.page() == expected, f"cut at {cut}"


def test_byte_by_byte(child: RunningChild) -> None:
    redo: Redo = (TAG, None, [(2**40 + 5, b"hello"), (2**40 + 9, b"")])
    for byte in model.redo(*redo):
        child.send_apart(bytes([byte]))
    assert child.page() == model.page(*redo)


@pytest.mark.parametrize("size", [65536 + 1, 1024 * 1024 + 17, 3 * 1024 * 1024])
def test_large_record_then_small_ones(child: RunningChild, size: int) -> None:
    """Bug 17 of real redo managers: a record over 64 KiB, then a small one, crashed the child."""
    large = random.Random(size).randbytes(size)
    in_one: Redo = (TAG, None, [(10, large), (11, b"small"), (12, large[:70000]), (13, b"x")])
    assert ask(child, in_one) == model.page(*in_one)
    after: Redo = ((0, 1, 2, 3, 4), None, [(14, b"tiny")])
    assert ask(child, after) == model.page(*after)


def test_largest_record(child: RunningChild) -> None:
    redo: Redo = (TAG, None, [(1, b"before"), (2, bytes(range(256)) * (model.MAX_RECORD // 256))])
    assert ask(child, redo) == redo_page(*redo)  # the model would take many seconds
    after: Redo = (TAG, None, [(3, b"after")])
    assert ask(child, after) == model.page(*after)


def test_many_records(child: RunningChild) -> None:
    """More than the Python child gathers at once: the page is then made in several steps."""
    source = random.Random(5)
    records = [(lsn, source.randbytes(lsn % 700)) for lsn in range(5000)]
    redo: Redo = (TAG, source.randbytes(model.PAGE), records)
    assert ask(child, redo) == model.page(*redo)


def changes(redo: Redo) -> Iterator[tuple[str, Redo]]:
    """The redo with one thing changed, each thing there is."""
    tag, image, records = redo
    for i in range(5):
        yield f"tag field {i}", ((*tag[:i], tag[i] ^ 1, *tag[i + 1 :]), image, records)  # type: ignore[misc]
    assert image is not None
    for i in (0, 7, 8, 15, 16, 5000, 8191):
        changed = image[:i] + bytes([image[i] ^ 0x80]) + image[i + 1 :]
        yield f"image byte {i}", (tag, changed, records)
    yield "no image", (tag, None, records)
    for k, (lsn, record) in enumerate(records):
        for bit in (0, 31, 32, 63):
            yield (
                f"LSN {k} bit {bit}",
                (tag, image, [*records[:k], (lsn ^ 1 << bit, record), *records[k + 1 :]]),
            )
        for i in (0, len(record) // 2, len(record) - 1):
            changed = record[:i] + bytes([record[i] ^ 1]) + record[i + 1 :]
            yield (
                f"record {k} byte {i}",
                (tag, image, [*records[:k], (lsn, changed), *records[k + 1 :]]),
            )
        yield (
            f"record {k} longer",
            (tag, image, [*records[:k], (lsn, record + b"\0"), *records[k + 1 :]]),
        )
        yield f"record {k} gone", (tag, image, [*records[:k], *records[k + 1 :]])
    for k in range(len(records) - 1):
        swapped = [*records[:k], records[k + 1], records[k], *records[k + 2 :]]
        yield f"records {k} and {k + 1} swapped", (tag, image, swapped)


def test_one_change_changes_the_page(child: RunningChild) -> None:
    source = random.Random(9)
    records = [(100 + k, source.randbytes(size)) for k, size in enumerate((5, 5, 9000, 40))]
    # LSNs alone change places, too: the contents are the same.
    records += [(200, b"same"), (201, b"same")]
    redo: Redo = (TAG, source.randbytes(model.PAGE), records)
    seen = {ask(child, redo): "unchanged"}
    for what, changed in changes(redo):
        page = ask(child, changed)
        assert page not in seen, f"{what} gives the same page as {seen[page]}"
        seen[page] = what


def test_page_without_records(child: RunningChild) -> None:
    image = random.Random(1).randbytes(model.PAGE)
    assert ask(child, (TAG, image, []))[:8] == image[:8]
    assert ask(child, (TAG, None, []))[:8] == bytes(8)


def test_begin_drops_an_unfinished_redo(child: RunningChild) -> None:
    image = random.Random(2).randbytes(model.PAGE)
    child.send(model.begin((0, 9, 9, 9, 9)) + model.push((0, 9, 9, 9, 9), image))
    child.send(model.apply(77, b"dropped"))
    redo: Redo = (TAG, None, [(78, b"kept")])
    assert ask(child, redo) == model.page(*redo)


def test_ping_changes_nothing(child: RunningChild) -> None:
    child.send(model.begin(TAG) + model.PING + model.apply(5, b"abc") + model.PING + model.get(TAG))
    assert child.page() == bytes(model.PAGE)
    assert child.page() == bytes(model.PAGE)
    assert child.page() == model.page(TAG, None, [(5, b"abc")])


@pytest.mark.parametrize(
    ("tag", "image", "records"),
    [
        ((256, 0, 0, 0, 0), None, []),
        ((0, 0, 0, 0, 2**32), None, []),
        ((0, -1, 0, 0, 0), None, []),
        (TAG, b"short", []),
        (TAG, None, [(2**64, b"")]),
        (TAG, None, [(-1, b"")]),
        (TAG, None, [(1, bytes(model.MAX_RECORD + 1))]),
    ],
)
def test_function_refuses_what_cannot_be_sent(
    tag: Tag, image: bytes | None, records: list[Record]
) -> None:
    with pytest.raises(ValueError, match=r"tag|image|LSN|record"):
        redo_page(tag, image, records)
