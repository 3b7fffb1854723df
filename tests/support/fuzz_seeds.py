"""The seeds of the fuzzers: small inputs to start from, with every message in one of them.

``python -m tests.support.fuzz_seeds`` writes them to ``tests/corpus``; a test compares. An input is
two bytes that choose a split, for the memory four more (fake_redo_child/fuzz), then messages.
"""

from __future__ import annotations

from pathlib import Path

from tests.support import page_model as model
from tests.support.page_model import Tag

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
FOLDER = CORPUS / "redo_parser"

SPLIT_BYTES = 2
NO_FIELD = 6
WHOLE, BY_BYTE, BY_FEW = b"\5\0", b"\0\0", b"\1\7"

_TAG: Tag = (0, 1663, 5, 16384, 7)
_OTHER: Tag = (0, 1663, 5, 16384, 8)
_IMAGE = bytes(range(256)) * 32


def seeds() -> dict[str, bytes]:
    """File name to content; under 10 KB together, so one base image only."""
    record = model.apply(0x1_0000_0001, b"record")
    begun = model.begin(_TAG)
    redo = begun + record + model.apply(2, b"") + model.get(_TAG)
    return {
        "begin": WHOLE + begun,
        "push": b"\3\1" + begun + model.push(_TAG, _IMAGE) + record + model.get(_TAG),
        "apply": BY_FEW + begun + record + record,
        "get": WHOLE + begun + model.get(_TAG),
        "ping": BY_BYTE + model.PING + model.PING,
        "redo": BY_BYTE + redo,
        "redos-and-pings": BY_FEW + model.PING + redo + redo + begun + model.PING + record,
        "get-of-another-block": BY_FEW + begun + record + model.get(_OTHER) + model.get(_TAG),
        "record-outside-a-redo": BY_BYTE + redo + record,
        "unknown-type": WHOLE + redo + model.message("X", b""),
        "wrong-length": BY_FEW + model.message("H", b"", 5),
        "record-too-large": WHOLE + begun + model.message("A", b"", 12 + model.MAX_RECORD + 1),
        "record-cut": BY_FEW + begun + model.message("A", bytes(9), 4000),
    }


def memory_seeds() -> dict[str, bytes]:
    """File name to content: some of the seeds, in memories of several sizes; bad headers."""
    parser = seeds()

    def seed(name: str, ring: int, slots: int, field: int = NO_FIELD, change: int = 0) -> bytes:
        data = parser[name]
        head = bytes([ring, slots, field, change])
        return data[:SPLIT_BYTES] + head + data[SPLIT_BYTES:]

    return {
        "ring-of-a-byte": seed("redo", 0, 0),
        "ring-wraps": seed("redos-and-pings", 5, 1),
        "few-slots": WHOLE + bytes([12, 1, NO_FIELD, 0]) + model.PING * 9,
        "ring-as-managers-have-it": seed("get-of-another-block", 17, 3),
        "record-cut": seed("record-cut", 6, 0),
        "unknown-type": seed("unknown-type", 8, 2),
        **{f"field-{field}": seed("ping", 8, 1, field, 9) for field in range(NO_FIELD)},
    }


ALL_SEEDS = {"redo_parser": seeds, "memory_io": memory_seeds}


def message_types(data: bytes) -> set[str]:
    """The types of the messages in an input, as far as they follow one another."""
    types: set[str] = set()
    at = SPLIT_BYTES
    while len(data) - at >= 5:
        types.add(chr(data[at]))
        at += 1 + max(int.from_bytes(data[at + 1 : at + 5], "big"), 4)
    return types


def main() -> None:
    """Write all seeds; those that are there and no seeds any more are removed."""
    for target, of_target in ALL_SEEDS.items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.iterdir():
            stale.unlink()
        for name, data in of_target().items():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
