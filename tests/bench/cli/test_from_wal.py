"""``workload from-wal``: what it writes and says, and what it refuses."""

from __future__ import annotations

import io
import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from rich.console import Console

from bench.cli.main import parse
from bench.running.equipment.workload_file import read_workload
from tests.support.made_up_runs import Bench
from tests.support.suite_server import SuiteServer
from tests.support.wal_writer import MIB, PAGE, Ref, WalWriter, page_of, plain_image


def written(folder: Path, **options: int) -> WalWriter:
    """A folder of WAL: three pages, of which one has an image and two more records."""
    folder.mkdir(exist_ok=True)
    writer = WalWriter(**options)  # type: ignore[arg-type]
    writer.record(Ref(9))
    redo = writer.next_lsn()
    writer.record(Ref(1, image=plain_image(page_of(1))))
    writer.checkpoint(redo)
    writer.record(Ref(1), main=b"a")
    writer.record(Ref(1), main=b"b")
    writer.record(Ref(2, init=True), main=b"c")
    writer.record(Ref(3, image=plain_image(page_of(3))))
    writer.record(Ref(4))
    writer.files(folder)
    return writer


def test_what_it_writes_and_says(bench: Bench) -> None:
    writer = written(bench.folder / "pg_wal")
    status, out, err = bench("workload from-wal pg_wal -o mine.jsonl")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "PostgreSQL 15, timeline 1, 1 MiB segments",
        "from 0/300058: the redo LSN of the checkpoint at 0/3001B0",
        f"to 0/{writer.at:X}: record 0/{writer.at:X} has length 0",
        "7 records; 1 references to pages whose base is unknown (left out)",
        "3 requests, each a page; 1 of them an image only",
        "per request        p50       p90       p99       max",
        "records              1         3         3         3",
        "bytes              398       518       518       518",
        "mine.jsonl: holds rows of the database",
    ]
    found = read_workload(bench.folder / "mine.jsonl")
    assert [len(request.records) for request in found.requests] == [3, 1, 1]
    assert bench("workload check mine.jsonl")[0] == 0
    assert "--force" in bench.refuses("workload from-wal pg_wal -o mine.jsonl")
    again = bench("workload from-wal pg_wal -o mine.jsonl --force --images base --reads any:2")
    assert "2 requests, each a page read, drawn from 5;" in again[1]
    assert len(read_workload(bench.folder / "mine.jsonl").requests) == 2
    assert "3 requests" not in bench("workload from-wal pg_wal -o m.jsonl --most 2")[1]


@pytest.mark.parametrize(
    ("options", "passes"), [("", 2), ("--reads any:2", 3), ("--from 0/1000028", 1)]
)
def test_a_line_of_progress_on_a_terminal(options: str, passes: int, tmp_path: Path) -> None:
    folder, screen = tmp_path / "pg_wal", io.StringIO()
    folder.mkdir()
    writer = WalWriter(segment_bytes=16 * MIB, at=16 * MIB)
    writer.record(Ref(1, init=True))
    writer.sized(20 * MIB)
    writer.files(folder)
    words = f"workload from-wal {folder} -o {tmp_path}/o.jsonl {options}"
    args = parse(words.split())
    console = Console(file=screen, force_terminal=True, width=120)
    assert args.execute(args, Console(file=io.StringIO()), console) == 0
    assert f" of at most {passes * 32} MiB of WAL" in screen.getvalue()


@pytest.mark.parametrize(
    "options", ["", "--images base", "--reads any:4", "--reads any:4 --images base --seed 3"]
)
def test_each_form_is_a_workload(options: str, tmp_path: Path, server: SuiteServer) -> None:
    written(tmp_path / "pg_wal")
    mine = tmp_path / "mine.jsonl"
    words = f"workload from-wal {tmp_path}/pg_wal -o {mine} {options}"
    assert server.run(tmp_path, *words.split()).status == 0
    assert server.run(tmp_path, "workload", "check", str(mine)).status == 0
    words = "run --profile quick --manager sync,async --clients 2 --child c --slices 1 --rounds 1"
    words += f" --seconds 0.02 --warmup-s 0 -o {tmp_path}/r.json --workload file:{mine}"
    ended = server.run(tmp_path, *words.split())
    assert ended.status == 0, ended.err


def test_the_mix_that_is_built_in(tmp_path: Path, server: SuiteServer) -> None:
    """Each page is checked, by the floor as well; the result says how large the requests are."""
    words = "run --profile quick --manager sync,async,floor --clients 2 --child c --slices 1"
    words += " --rounds 1 --seconds 0.02 --warmup-s 0 --workload pgbench -o"
    ended = server.run(tmp_path, *words.split(), str(tmp_path / "r.json"))
    assert ended.status == 0, ended.err
    found = json.loads((tmp_path / "r.json").read_text())
    for benchmark in found["benchmarks"]:
        metadata = benchmark["metadata"] | benchmark["runs"][0].get("metadata", {})
        metadata |= found["metadata"]
        assert metadata["redo_request_records_p99"] > metadata["redo_request_records_p50"] > 0


def _timelines(folder: Path) -> None:
    written(folder, timeline=1)
    written(folder, timeline=3)


def _magic(value: int) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        written(folder)
        _changed(folder, 0, struct.pack("<H", value))

    return make


def _changed(folder: Path, at: int, data: bytes) -> None:
    path = min(folder.iterdir())
    content = path.read_bytes()
    path.write_bytes(content[:at] + data + content[at + len(data) :])


def _page_size(folder: Path) -> None:
    written(folder)
    _changed(folder, 36, struct.pack("<I", 16384))


def _segment_size(folder: Path) -> None:
    written(folder)
    _changed(folder, 32, struct.pack("<I", MIB + PAGE))


def _renamed(folder: Path) -> None:
    written(folder)
    path = min(folder.iterdir())
    path.rename(folder / "000000010000000000000009")


def _gap(folder: Path) -> None:
    folder.mkdir()
    writer = WalWriter()
    writer.sized(3 * MIB)
    writer.files(folder)[1].unlink()


def _short(folder: Path) -> None:
    folder.mkdir()
    writer = WalWriter()
    writer.sized(3 * MIB)
    path = writer.files(folder)[0]
    path.write_bytes(path.read_bytes()[: 3 * PAGE])


def _unknown(folder: Path) -> None:
    folder.mkdir()
    writer = WalWriter()
    writer.record(Ref(1))
    writer.files(folder)


def _cluster(folder: Path) -> None:
    written(folder)
    inside = folder / "pg_wal"
    inside.mkdir()
    for path in folder.glob("0*"):
        path.rename(inside / path.name)


NAME = "000000010000000000000003"


@pytest.mark.parametrize(
    ("make", "options", "says"),
    [
        (lambda folder: None, "", "w: there is no such folder: name the folder pg_wal"),
        (Path.touch, "", "w: is no folder: name the folder pg_wal of a cluster"),
        (Path.mkdir, "", "w: has no segment of WAL (24 hexadecimal digits)"),
        (_cluster, "", "w: has no segment of WAL: did you mean w/pg_wal?"),
        (_magic(0), "", f"w/{NAME}: has magic 0000: WAL of PostgreSQL begins with D106 (13), "),
        (_magic(0xD101), "", f"w/{NAME}: has magic D101: WAL of PostgreSQL begins with D106 (13)"),
        (_page_size, "", f"w/{NAME}: has pages of 16384 bytes: only those of 8192 are read"),
        (_segment_size, "", f"w/{NAME}: says that a segment has 1056768 bytes: 1 MiB to 1 GiB"),
        (_renamed, "", "holds WAL of 0/300000, not of 0/900000, as its name says"),
        (_timelines, "", "w: has timelines 1, 3: say which (--timeline)"),
        (_timelines, "--timeline 2", "w: has no timeline 2: choose from 1, 3"),
        (_gap, "", "w: has a gap at 0/400000: there is no segment 000000010000000000000004"),
        (_short, "", f"w/{NAME}: has 24576 bytes instead of 1048576, as its header says"),
        (written, "--from 0/1", "--from 0/1: the segments hold 0/300000 to 0/400000"),
        (written, "--from x", "--from 'x': expected an LSN as 0/16B3748"),
        (written, "--to 0/3F0000", "--to 0/3F0000: the WAL ends at 0/300"),
        (written, "--to 0/300000", "--to 0/300000: is not after the start, 0/300058"),
        (_unknown, "", "w: no request in 1 records from 0/300028 on (record 0/300058 has length"),
        (_unknown, "", "begin at a checkpoint's redo LSN"),
        (written, "--reads some", "--reads some: expected last, or any:N with N page reads"),
        (written, "--reads any:0", "--reads any:0: expected 1 to 16384 requests"),
        (written, "--most 16385", "--most 16385: expected 1 to 16384 requests"),
        (written, "--images no", "--images: invalid choice: 'no'"),
    ],
)
def test_what_is_refused(
    make: Callable[[Path], object], options: str, says: str, bench: Bench
) -> None:
    make(Path("w"))
    assert says in bench.refuses(f"workload from-wal w -o o.jsonl {options}")


def test_a_file_to_write_is_named_first(bench: Bench) -> None:
    assert "-o FILE is missing" in bench.refuses("workload from-wal nowhere")


def test_what_cannot_be_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    written(Path("w"))

    def refuse(path: Path) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", refuse)
        says = bench("workload from-wal w -o o.jsonl")
    assert says == (2, "", "walredo-bench: w: cannot be read (Permission denied)\n")
    opened = Path.open

    def open_other(path: Path, *args: Any, **named: Any) -> Any:
        return refuse(path) if path.name == NAME else opened(path, *args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_other)
        says = bench("workload from-wal w -o o.jsonl")
    assert says == (2, "", f"walredo-bench: w/{NAME}: cannot be read (Permission denied)\n")


def test_a_missing_library_is_named_with_the_extra(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(Path("w"))
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    line = bench.refuses("workload from-wal w -o o.jsonl")
    assert "needs the package google-crc32c: install the extra wal" in line


@pytest.mark.parametrize(("options", "drawn"), [("", "page, "), ("--reads any:3", "page read, ")])
def test_a_file_that_would_be_too_large(
    options: str, drawn: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer requests are taken, and it says so; one that is too large by itself is refused."""
    written(Path("w"))
    monkeypatch.setattr("bench.cli.from_wal._MAX_BYTES", 500)
    status, out, _ = bench(f"workload from-wal w -o o.jsonl {options}")
    assert status == 0
    assert f"1 request, each a {drawn}drawn from " in out
    assert " (more do not fit into 0 MiB); " in out
    monkeypatch.setattr("bench.cli.from_wal._MAX_BYTES", 10)
    line = bench.refuses(f"workload from-wal w -o o2.jsonl {options}")
    assert "w: a request has more than 0 MiB: end before (--to)" in line


def test_a_file_that_cannot_be_written_leaves_what_was_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(Path("w"))
    Path("o.jsonl").write_text("before")

    def full(path: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    line = bench.refuses("workload from-wal w -o o.jsonl --force")
    assert "o.jsonl: cannot be written (No space left on device)" in line
    assert Path("o.jsonl").read_text() == "before"
