"""The fuzzer's seeds: complete, as committed, and harmless under the sanitizers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from fake_redo_child import build
from tests.support import page_model as model
from tests.support import sanitized
from tests.support.children import LIMIT_S
from tests.support.fuzz_seeds import (
    ALL_SEEDS,
    CORPUS,
    FOLDER,
    NO_FIELD,
    SPLIT_BYTES,
    message_types,
)

SOURCES = ("fuzz/fuzz_replay.c", "fuzz/fuzz_redo_parser.c", "child/redo_parser.c")
MEMORY_SOURCES = (
    "fuzz/fuzz_replay.c",
    "fuzz/fuzz_memory_io.c",
    "child/redo_parser.c",
    "common/memory_io.c",
    "common/shared_ring.c",
    "common/child_io.c",
)
PROTOCOL_H = (Path(build.__file__).parent / "common/protocol.h").read_text()
FUZZ_TARGET = (Path(build.__file__).parent / "fuzz/fuzz_redo_parser.c").read_text()
MEMORY_TARGET = (Path(build.__file__).parent / "fuzz/fuzz_memory_io.c").read_text()


def replay(*paths: Path, sources: tuple[str, ...] = SOURCES) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sanitized.program(*sources), *paths],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
        env=sanitized.ENVIRONMENT,
    )


@pytest.mark.parametrize("target", ALL_SEEDS)
def test_committed_seeds_are_those_of_the_function(target: str) -> None:
    """`python -m tests.support.fuzz_seeds` writes them."""
    seeds = ALL_SEEDS[target]()
    assert {path.name: path.read_bytes() for path in (CORPUS / target).iterdir()} == seeds
    assert sum(map(len, seeds.values())) < 10_000


def test_every_message_type_has_a_seed() -> None:
    types = set(re.findall(r"MESSAGE_\w+ = '(.)'", PROTOCOL_H))
    assert types == set("BPAGH")
    seen = set().union(*(message_types(path.read_bytes()) for path in FOLDER.iterdir()))
    assert types <= seen


def test_both_sides_agree_where_the_messages_begin() -> None:
    assert f"#define SPLIT_BYTES {SPLIT_BYTES}u" in FUZZ_TARGET
    assert f"#define HEAD_BYTES {SPLIT_BYTES + 4}u" in MEMORY_TARGET
    assert f"#define FIELDS {NO_FIELD}u" in MEMORY_TARGET


@pytest.mark.parametrize(
    ("target", "sources"), [("redo_parser", SOURCES), ("memory_io", MEMORY_SOURCES)]
)
def test_replay_of_the_seeds(target: str, sources: tuple[str, ...]) -> None:
    paths = sorted((CORPUS / target).iterdir())
    done = replay(*paths, sources=sources)
    sanitized.assert_no_report(done.returncode, done.stderr)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == len(paths)


@pytest.mark.parametrize("data", [b"", b"x", b"xy"], ids=len)
def test_replay_of_almost_nothing(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(data)
    done = replay(path)
    assert (done.returncode, done.stderr) == (0, b"")


def test_replay_of_every_split(tmp_path: Path) -> None:
    """All choices of spans, each with some seeds of its own, over a stream that has everything."""
    tag = (0, 1, 2, 3, 4)
    stream = model.PING + model.redo(tag, bytes(range(256)) * 32, [(1, b"a" * 9000), (2, b"")])
    paths = []
    for choice in range(6):
        for seed in range(4):
            path = tmp_path / f"{choice}-{seed}"
            path.write_bytes(bytes([choice, seed]) + stream + model.get(tag) + b"X")
            paths.append(path)
    done = replay(*paths)
    assert (done.returncode, done.stderr) == (0, b"")


def test_replay_of_every_memory(tmp_path: Path) -> None:
    """All sizes of ring and slots, and each change of a byte of the header."""
    tag = (0, 1, 2, 3, 4)
    stream = model.PING + model.redo(tag, bytes(range(256)) * 32, [(1, b"a" * 9000), (2, b"")])
    heads = [bytes([ring % 6, ring, ring, slots, 6, 0]) for ring in range(18) for slots in range(4)]
    heads += [
        bytes([5, 0, 9, 1, field, change]) for field in range(6) for change in range(0, 256, 5)
    ]
    paths = []
    for number, head in enumerate(heads):
        path = tmp_path / str(number)
        path.write_bytes(head + stream + model.get(tag) + b"X")
        paths.append(path)
    done = replay(*paths, sources=MEMORY_SOURCES)
    assert (done.returncode, done.stderr) == (0, b"")


def test_replay_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = replay(tmp_path / "missing", *FOLDER.iterdir())
    assert done.returncode == 1
    assert b"cannot read" in done.stderr
