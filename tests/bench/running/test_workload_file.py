"""Workloads of the user's: what a file may hold, what is refused, and a run of one."""

from __future__ import annotations

import base64
import hashlib
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from bench.cases.config import ConfigError, differences, load_profile, override
from bench.cases.matrix import cases_of
from bench.cases.names import WORKLOADS
from bench.cases.own import workload_label, workload_path
from bench.cli.main import main
from bench.results.result_file import ResultFile
from bench.running.equipment.equipment import prepare
from bench.running.equipment.interpreters import find_interpreters
from bench.running.equipment.workload_file import WorkloadFileError, read_workload, write_workload
from bench.running.equipment.workloads import expected_page, make_requests, write_traffic
from tests.support.made_up_runs import Bench
from tests.support.suite_server import SuiteServer
from walredo import BufferTag, RedoRequest, WalRecord, parse_requests

HEADER = {"format": "walredo-requests", "version": 1, "encoding": "hex"}
TAG = {"fork": 0, "tablespace": 1663, "database": 5, "relation": 7, "block": 9}
RECORD = {"lsn": "0/16B3748", "data": "00ff"}
REQUEST = {"tag": TAG, "records": [RECORD]}


def written(folder: Path, *lines: Any) -> Path:
    path = folder / "mine.jsonl"
    texts = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    path.write_bytes(b"\n".join(texts))
    return path


@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("name", WORKLOADS[1:])
def test_what_is_written_is_read(name: str, encoding: str, tmp_path: Path) -> None:
    requests = make_requests(name, 3)
    path = tmp_path / "f"
    path.write_bytes(b"".join(write_workload(requests, encoding)))
    found = read_workload(path)
    assert found.requests == requests
    assert found.distinct == len(requests)
    assert found.wire_bytes == sum(len(request.serialise()) for request in requests)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_each_notation_of_a_field(tmp_path: Path) -> None:
    image = bytes(range(256)) * 32
    records = [
        {"lsn": "2/A", "data": ""},
        {"lsn": 2**64 - 1, "data": base64.b64encode(b"\0\xff").decode()},
    ]
    tag = {**TAG, "fork": 255, "block": 2**32 - 1}
    lines = (
        {**HEADER, "encoding": "base64"},
        {"tag": tag, "records": records, "base_image": base64.b64encode(image).decode()},
        b"  \r",
        {"tag": TAG, "records": []},
        b"",
    )
    assert read_workload(written(tmp_path, *lines)).requests == (
        RedoRequest(
            BufferTag(255, 1663, 5, 7, 2**32 - 1),
            (WalRecord(2 << 32 | 10, b""), WalRecord(2**64 - 1, b"\0\xff")),
            image,
        ),
        RedoRequest(BufferTag(0, 1663, 5, 7, 9), ()),
    )


def request(**changed: Any) -> dict[str, Any]:
    return REQUEST | changed


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([b""], ":1: no JSON (Input data was truncated)"),
        ([[1]], ":1: Expected object, got array"),
        ([{**HEADER, "format": "other"}], ':1: format: expected "walredo-requests", got "other"'),
        ([{**HEADER, "version": 2}], ":1: version: 2 is not known: this suite reads version 1"),
        ([{**HEADER, "encoding": "rot13"}], ":1: encoding: Invalid enum value 'rot13'"),
        ([REQUEST], ":1: Object contains unknown field tag"),
        ([HEADER], ": has no request: one a line, after the header"),
        ([HEADER, REQUEST, b"{"], ":3: no JSON (Input data was truncated)"),
        ([HEADER, REQUEST, b'{"\xff": 1}'], ":3: no JSON ('utf-8' codec can't decode byte"),
        ([HEADER, b"", request(tag={**TAG, "fork": 256})], ":3: tag.fork: Expected int <= 255"),
        ([HEADER, request(tag={"fork": 0})], ":2: tag: Object missing required field tablespace"),
        ([HEADER, request(recods=[])], ":2: Object contains unknown field recods"),
        (
            [HEADER, request(records=[RECORD, RECORD | {"data": 5}])],
            ":2: records[1].data: Expected str, got int",
        ),
        (
            [HEADER, request(records=[RECORD, RECORD, RECORD | {"data": "0g"}])],
            ":2: records[2].data: not valid hex (non-hexadecimal number",
        ),
        (
            [{**HEADER, "encoding": "base64"}, request(records=[RECORD | {"data": "abc"}])],
            ":2: records[0].data: not valid base64 (Incorrect padding)",
        ),
        (
            [{**HEADER, "encoding": "base64"}, request(records=[RECORD | {"data": "\xe4bc="}])],
            ":2: records[0].data: not valid base64 (",
        ),
        ([HEADER, request(base_image="00")], ":2: base_image: expected 8192 bytes, got 1"),
        (
            [HEADER, request(records=[RECORD | {"lsn": "16B3748"}])],
            ':2: records[0].lsn: expected a whole number below 2^64, or text as "0/16B3748", got',
        ),
        ([HEADER, request(records=[RECORD | {"lsn": -1}])], ":2: records[0].lsn: expected a whole"),
        ([HEADER, request(records=[RECORD | {"lsn": 2**64}])], ":2: records[0].lsn: expected"),
        ([HEADER, request(records=[RECORD | {"lsn": 1.5}])], ":2: records[0].lsn: Expected int |"),
        ([HEADER, request(records=None)], ":2: records: Expected array, got null"),
    ],
)
def test_what_is_refused(
    lines: list[Any], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, *lines)
    with pytest.raises(WorkloadFileError) as refused:
        read_workload(path)
    text = str(refused.value)
    assert text.startswith(f"{path}{problem}")
    assert len(text.splitlines()) == 1


def test_a_record_that_no_child_takes(tmp_path: Path) -> None:
    data = "00" * (16 * 1024 * 1024 + 1)
    path = written(tmp_path, HEADER, request(records=[RECORD | {"data": data}]))
    with pytest.raises(
        WorkloadFileError, match=r"records\[0\].data: 16777217 bytes: a child takes"
    ):
        read_workload(path)


def test_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, HEADER, REQUEST, REQUEST, REQUEST)
    monkeypatch.setattr("bench.running.equipment.workload_file.MAX_REQUESTS", 2)
    with pytest.raises(WorkloadFileError, match=r"mine.jsonl:4: at most 2 requests"):
        read_workload(path)
    monkeypatch.setattr("bench.running.equipment.workload_file.MAX_FILE_BYTES", 10)
    with pytest.raises(WorkloadFileError, match="has more than"):
        read_workload(path)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(WorkloadFileError, match="no such file"):
        read_workload(tmp_path / "none")
    with pytest.raises(WorkloadFileError, match="is no file"):
        read_workload(tmp_path)


# --- What cases call it ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "label", "path"),
    [
        ("file:/a/b/mine.v2.jsonl", "file:mine", "/a/b/mine.v2.jsonl"),
        ("file:mine", "file:mine", "mine"),
        ("file:x-1=/a/y.jsonl", "file:x-1", "/a/y.jsonl"),
        ("file:../a=b/c", "file:c", "../a=b/c"),
    ],
)
def test_a_file_has_a_label(choice: str, label: str, path: str) -> None:
    assert workload_label(choice) == label
    assert workload_label(label) == label
    assert workload_path(choice) == path


@pytest.mark.parametrize("choice", ["file:", "file: ", "file:x=", "file:/a/", "file:.x", "File:x"])
def test_what_is_no_choice_of_a_workload(choice: str) -> None:
    with pytest.raises(ConfigError, match="--workload"):
        override(load_profile("quick"), workload=[choice])


def test_two_files_need_two_labels() -> None:
    with pytest.raises(ConfigError, match="file:LABEL=PATH"):
        override(load_profile("quick"), workload="file:/a/x.jsonl,file:/b/x.jsonl")
    both = override(load_profile("quick"), workload="file:/a/x.jsonl,file:b=/b/x.jsonl")
    assert {case.workload for case in cases_of(both)} == {"file:x", "file:b"}
    assert both.without_paths().workload == ("file:x", "file:b")
    assert differences(both, both.without_paths()) == []


def test_the_traffic_of_a_file(tmp_path: Path) -> None:
    requests = make_requests("short", 5)[:3]
    path = tmp_path / "mine.jsonl"
    path.write_bytes(b"".join(write_workload(requests, "hex")))
    found = write_traffic(tmp_path, [f"file:own={path}"], seed=1)["file:own"]
    assert tuple(parse_requests(found.requests.read_bytes())) == requests
    assert found.pages.read_bytes() == b"".join(map(expected_page, requests))
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.distinct == 3


@pytest.mark.parametrize("lines", [(REQUEST,), (REQUEST, REQUEST)])
def test_equal_requests_are_taken_with_a_word(lines: tuple[Any, ...], tmp_path: Path) -> None:
    path = written(tmp_path, HEADER, *lines)
    config = override(
        load_profile("quick"), manager="sync", workload=f"file:{path}", child="python"
    )
    equipment = prepare(config, tmp_path, find_interpreters([]))
    assert equipment.warnings == (
        "all requests of file:mine are equal: a page that comes to the wrong caller is not noticed",
    )


# --- The command line -----------------------------------------------------------------------------


def test_check_says_what_there_is(bench: Bench) -> None:
    path = written(bench.folder, HEADER, REQUEST, REQUEST, request(records=[]))
    assert bench(f"workload check {path}") == (
        0,
        f"{path}: 3 requests, 2 of them distinct, 2 records, {3 * 44 + 2 * 15} bytes on the wire\n",
        "",
    )
    written(bench.folder, HEADER, request(tag=1))
    assert bench.refuses(["workload", "check", str(path)]).endswith(
        f"{path}:2: tag: Expected object, got int\n"
    )


def test_write(bench: Bench) -> None:
    assert bench("workload write medium+image -o m.jsonl --seed 4 --encoding base64")[0] == 0
    assert read_workload(bench.folder / "m.jsonl").requests == make_requests("medium+image", 4)
    assert "--force" in bench.refuses(["workload", "write", "short", "-o", "m.jsonl"])
    assert bench("workload write short -o m.jsonl --force")[0] == 0
    assert read_workload(bench.folder / "m.jsonl").requests == make_requests("short", 1)
    assert "did you mean" in bench.refuses(["workload", "write", "shrt"])
    assert "no requests" in bench.refuses(["workload", "write", "ping"])
    assert "no folder no" in bench.refuses(["workload", "write", "short", "-o", "no/m.jsonl"])
    assert "ACTION" in bench.refuses(["workload"])


def test_dump_request_of_a_file(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    path = written(tmp_path, HEADER, REQUEST, request(records=[]))
    before = signal.getsignal(signal.SIGTERM)
    statuses = [main(["dump-request", f"file:{path}", "--index", index]) for index in "12"]
    signal.signal(signal.SIGTERM, before)
    assert statuses == [0, 2]
    out, err = capsysbinary.readouterr()
    assert out == read_workload(path).requests[1].serialise()
    assert b"--index 2: expected 0 to 1" in err


def test_a_run_of_a_file(tmp_path: Path, server: SuiteServer) -> None:
    path, result = tmp_path / "mine.jsonl", tmp_path / "r.json"
    path.write_bytes(b"".join(write_workload(make_requests("short", 5)[:7], "hex")))
    words = "run --profile quick --manager sync,async --clients 2 --child python --slices 1"
    words += f" --rounds 1 --seconds 0.02 --warmup-s 0 -o {result} --workload file:{path}"
    ended = server.run(tmp_path, *words.split())
    assert ended.status == 0, ended.err
    text = result.read_text()
    assert '"sync/file:mine/n=2/child=python"' in text
    assert hashlib.sha256(path.read_bytes()).hexdigest() in text
    assert str(tmp_path) not in text

    # It goes on with the same file, and with no other.
    again = ("run", "--resume", str(result), "--rounds", "2")
    assert server.run(tmp_path, *again).last_line == (
        f"walredo-bench: {result}: does not hold where what is yours is:"
        " say --workload file:mine=PATH"
    )
    assert server.run(tmp_path, *again, "--workload", f"file:{path}").status == 0
    assert ResultFile.load(result).run_count == 4
    path.write_bytes(b"".join(write_workload(make_requests("short", 6)[:7], "hex")))
    other = server.run(tmp_path, *again[:-1], "3", "--workload", f"file:{path}")
    assert (other.status, "another workload_files" in other.err) == (2, True)
