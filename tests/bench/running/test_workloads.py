"""The requests that are measured: their sizes, their shape, and the files they travel in."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import pytest

from bench.cases.names import WORKLOADS as NAMES
from bench.running.equipment.workloads import (
    DISTINCT_REQUESTS,
    WORKLOADS,
    expected_page,
    make_requests,
    write_traffic,
)
from fake_redo_child.child.python_child import redo_page
from tests.support.page_model import page as model_page
from walredo import PAGE_SIZE, RedoRequest, parse_requests

REDOS = tuple(name for name in WORKLOADS if name != "ping")
IMAGE_BYTES = 8_214
WIRE_BYTES = {
    "short": 1_132,
    "medium": 26_393,
    "short+image": 1_132 + IMAGE_BYTES,
    "medium+image": 26_393 + IMAGE_BYTES,
}


def wire(requests: tuple[RedoRequest, ...]) -> list[bytes]:
    return [request.serialise() for request in requests]


def test_the_workloads_are_those_that_can_be_chosen() -> None:
    assert tuple(WORKLOADS) == NAMES
    assert set(WIRE_BYTES) == set(REDOS)


@pytest.mark.parametrize("name", REDOS)
def test_sizes_are_the_published_ones(name: str) -> None:
    assert {len(sent) for sent in wire(make_requests(name, 1))} == {WIRE_BYTES[name]}


@pytest.mark.parametrize("name", REDOS)
def test_all_requests_differ_and_so_do_their_pages(name: str) -> None:
    requests = make_requests(name, 1)
    assert len(requests) == DISTINCT_REQUESTS == 64
    assert len(set(wire(requests))) == 64
    assert len({expected_page(request) for request in requests}) == 64
    # No two records either, so that a record of another request is noticed as well.
    records = [record.data for request in requests for record in request.records]
    assert len(set(records)) == len(records)


@pytest.mark.parametrize("name", REDOS)
def test_the_seed_decides(name: str) -> None:
    assert wire(make_requests(name, 7)) == wire(make_requests(name, 7))
    of_both = set(wire(make_requests(name, 7))) & set(wire(make_requests(name, 8)))
    assert of_both == set()


def test_workloads_of_one_seed_do_not_repeat_each_other() -> None:
    short, image = make_requests("short", 1), make_requests("short+image", 1)
    assert not {r.records for r in short} & {r.records for r in image}


@pytest.mark.parametrize("name", REDOS)
def test_records_are_shaped_like_wal(name: str) -> None:
    records = [record for request in make_requests(name, 1) for record in request.records]
    for record in records:
        total, _xid, _prev, _info, _manager, padding = struct.unpack_from("<IIQBBH", record.data)
        assert (total, padding) == (len(record.data), 0)
    ends = [record.end_lsn for record in records]
    assert all(a < b for a, b in itertools.pairwise(ends))
    # Each record's header points to where the record before it ended.
    previous = [struct.unpack_from("<Q", record.data, 8)[0] for record in records]
    assert previous[1:] == ends[:-1]


@pytest.mark.parametrize("name", REDOS)
def test_only_image_workloads_have_base_images(name: str) -> None:
    images = {request.base_image for request in make_requests(name, 1)}
    if name.endswith("+image"):
        assert len(images) == 64
    else:
        assert images == {None}


def test_a_ping_has_no_requests() -> None:
    assert make_requests("ping", 1) == ()


@pytest.mark.parametrize("name", REDOS)
def test_the_files_hold_the_requests_and_their_pages(name: str, tmp_path: Path) -> None:
    traffic = write_traffic(tmp_path, [name], seed=3)[name]
    requests = make_requests(name, 3)
    sent, pages = traffic.requests.read_bytes(), traffic.pages.read_bytes()
    assert sent == b"".join(wire(requests))
    assert tuple(parse_requests(sent)) == requests
    assert len(pages) == 64 * PAGE_SIZE
    for at, request in enumerate(requests):
        records = [(record.end_lsn, record.data) for record in request.records]
        page = pages[at * PAGE_SIZE : (at + 1) * PAGE_SIZE]
        assert page == redo_page(request.tag.fields, request.base_image, records)
        if at == 0:  # the independent model is slow
            assert page == model_page(request.tag.fields, request.base_image, records)


def test_the_files_of_a_ping(tmp_path: Path) -> None:
    traffic = write_traffic(tmp_path, ["ping"], seed=3)["ping"]
    assert traffic.requests.read_bytes() == b"H\0\0\0\x04" * 64
    assert traffic.pages.read_bytes() == bytes(64 * PAGE_SIZE)


def test_each_workload_has_files_of_its_own(tmp_path: Path) -> None:
    found = write_traffic(tmp_path, NAMES, seed=1)
    assert tuple(found) == NAMES
    files = [path for one in found.values() for path in (one.requests, one.pages)]
    assert len(set(files)) == 2 * len(NAMES)
    assert set(tmp_path.iterdir()) == set(files)
