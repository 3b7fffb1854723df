"""The requests that are measured: their sizes, their shape, and the files they travel in."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import pytest

from bench.cases.names import WORKLOADS as NAMES
from bench.running.equipment.workloads import (
    DISTINCT_REQUESTS,
    PGBENCH,
    WORKLOADS,
    expected_page,
    make_requests,
    percentiles,
    size_of,
    write_traffic,
)
from fake_redo_child.child.python_child import redo_page
from tests.support.page_model import page as model_page
from walredo import PAGE_SIZE, RedoRequest, parse_requests

REDOS = tuple(name for name, one in WORKLOADS.items() if one.record_bytes is not None)
"""Those that are made from a seed."""

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
    assert set(NAMES) - set(REDOS) == {"ping", "pgbench"}


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


def test_pgbench_is_a_mix_of_real_requests(tmp_path: Path) -> None:
    assert PGBENCH.stat().st_size <= 300_000
    requests = make_requests("pgbench", 1)
    assert requests == make_requests("pgbench", 2)
    assert len(set(wire(requests))) == len(requests) == 256
    assert len({expected_page(request) for request in requests}) == 256
    found = percentiles(map(size_of, requests), (50, 99, 100))
    assert found["records"][0] < 10 < found["records"][1]
    assert 8000 < found["bytes"][0] < found["bytes"][1]
    for request in requests:
        assert request.tag.fork == 0
        for record in request.records:
            assert struct.unpack_from("<I", record.data)[0] == len(record.data)
        ends = [record.end_lsn for record in request.records]
        assert ends == sorted(set(ends))
    traffic = write_traffic(tmp_path, ["pgbench"], seed=3)["pgbench"]
    assert traffic.distinct == 256
    assert traffic.pages.read_bytes() == b"".join(map(expected_page, requests))


def test_a_run_says_how_large_the_requests_are(tmp_path: Path) -> None:
    """Nearest rank: of 64 equal requests each percentile is that of any."""
    traffic = write_traffic(tmp_path, ["medium", "ping"], seed=3)
    assert traffic["medium"].per_request == {
        "redo_request_records_p50": 227,
        "redo_request_records_p99": 227,
        "redo_request_bytes_p50": 26_393,
        "redo_request_bytes_p99": 26_393,
    }
    assert traffic["ping"].per_request == {}
    requests = [RedoRequest(make_requests("short", 1)[0].tag, ())] * 3
    sizes = map(size_of, requests)
    assert percentiles(sizes, (50, 100)) == {"records": [0, 0], "bytes": [44, 44]}
