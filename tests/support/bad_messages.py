"""Messages that end a child, each with what it says of them."""

from __future__ import annotations

from tests.support import page_model as model
from tests.support.page_model import Tag

TAG: Tag = (0, 1663, 5, 16384, 7)


OTHER: Tag = (0, 1663, 5, 16384, 8)


IMAGE = bytes(range(256)) * 32


FATAL = {
    "unknown type": (model.message("X", b""), "unknown message type 0x58"),
    "unknown type 0": (bytes(5), "unknown message type 0x00"),
    "type in lower case": (model.message("h", b""), "unknown message type 0x68"),
    "length 0": (model.message("H", b"", 0), "'H' has length 0: it must be 4"),
    "length 3": (model.message("A", b"", 3), "'A' has length 3: it must be at least 12"),
    "ping too long": (model.message("H", b"x"), "'H' has length 5: it must be 4"),
    "begin too short": (model.message("B", bytes(16)), "'B' has length 20: it must be 21"),
    "begin too long": (model.message("B", bytes(18)), "'B' has length 22: it must be 21"),
    "get too short": (model.message("G", b""), "'G' has length 4: it must be 21"),
    "push without a page": (model.message("P", bytes(17)), "'P' has length 21: it must be 8213"),
    "record without LSN": (
        model.begin(TAG) + model.message("A", bytes(7)),
        "'A' has length 11: it must be at least 12",
    ),
    "record too large": (
        model.begin(TAG) + model.message("A", b"", 12 + model.MAX_RECORD + 1),
        "record of 16777217 bytes is over the maximum of 16777216",
    ),
    "length of 4 GiB": (
        model.begin(TAG) + model.message("A", b"", 2**32 - 1),
        "record of 4294967283 bytes is over the maximum of 16777216",
    ),
    "push outside a redo": (model.push(TAG, IMAGE), "'P' outside a redo: 'B' must come first"),
    "record outside a redo": (model.apply(1, b"x"), "'A' outside a redo: 'B' must come first"),
    "push for another block": (
        model.begin(TAG) + model.push(OTHER, IMAGE),
        "'P' is for another block than 'B'",
    ),
    "push twice": (
        model.begin(TAG) + 2 * model.push(TAG, IMAGE),
        "'P' after a record or another 'P'",
    ),
    "push after a record": (
        model.begin(TAG) + model.apply(1, b"") + model.push(TAG, IMAGE),
        "'P' after a record or another 'P'",
    ),
}
