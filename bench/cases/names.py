"""The names that can be chosen from, and the message that refuses a wrong one.

Profiles, options, the worker and the plots take the names from here; kinds of managers are in
`bench.cases.managers`. Standard library only, because the worker imports it.
"""

import difflib
import json
import re
from collections.abc import Collection
from typing import Final

SYNC: Final = "sync"
WORKLOADS: Final = ("ping", "short", "medium", "short+image", "medium+image", "pgbench")
CHILDREN: Final = ("c", "python")
NO_FAULT: Final = "none"
"""The child behaves. The faults it can have instead are those of ``fake_redo_child``."""

PIPE: Final = "pipe"
SHM: Final = "shm"
TRANSPORTS: Final = (PIPE, SHM)
"""What carries requests and pages, as walredo's TransportKind calls it."""

PARK: Final = "park"
"""The manager waits in poll(2) or in its event loop. With "spin:US" it polls for US us before."""

MAX_SPIN_US: Final = 1_000_000

THIS_PYTHON: Final = "this"
"""The suite's own interpreter."""

PURE: Final = "pure"
MYPYC: Final = "mypyc"
BUILDS: Final = (PURE, MYPYC)
"""The managers of walredo as Python modules, or with the hot ones compiled."""

OLDEST_PYTHON: Final = (3, 11)
"""The oldest CPython that workers run on."""

MAX_CLIENTS: Final = 4096
"""The sync manager needs a thread for each client."""

PIPE_BYTES: Final = 1024 * 1024
"""The size that managers and the floor ask for their pipes, so that all have the same ones."""

_PYTHON_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")

_SIMILARITY = 0.5
"""Below difflib's own 0.6, which finds nothing for short words such as "asnc"."""

_LISTED = 8


def spin_us(wait: str) -> int:
    """How long a manager polls before it waits; 0 for "park". Raises ValueError."""
    if wait == PARK:
        return 0
    name, _, digits = wait.partition(":")
    if name != "spin" or not digits.isdecimal() or not 1 <= int(digits) <= MAX_SPIN_US:
        raise ValueError(
            f"{wait!r}: expected park, or spin:US with 1 to {MAX_SPIN_US} microseconds"
        )
    return int(digits)


def python_label(choice: str) -> str:
    """The label that cases give to an interpreter chosen as ``this``, NAME, PATH or LABEL=PATH.

    Raises ValueError if the choice has no valid label.
    """
    label, equals, path = choice.partition("=")
    if not equals:
        label = choice.rpartition("/")[2]
    if not _PYTHON_LABEL.fullmatch(label) or (equals and (not path or label == THIS_PYTHON)):
        raise ValueError(
            f"{choice!r}: expected this, or an interpreter as NAME, PATH or LABEL=PATH with a label"
            " of letters, digits and _ . + - (not this)"
        )
    return label


def nearest(word: str, names: Collection[str]) -> str | None:
    """The name most like ``word``, in any case of letters; None when none is near."""
    by_folded = {name.casefold(): name for name in names}
    found = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=_SIMILARITY)
    return by_folded[found[0]] if found else None


def unknown(noun: str, word: str, names: Collection[str]) -> str:
    """One line that refuses ``word`` and says what would be right.

    As ``unknown manager "asyn": did you mean "async"? (sync, async, async-uvloop, floor)``. A long
    list of names is shown only if no name is near, since it would hide the guess.
    """
    near = nearest(word, names)
    guesses = [] if near is None else [f'did you mean "{near}"?']
    if near is None or len(names) <= _LISTED:
        guesses.append(f"({', '.join(names)})")
    return f"unknown {noun} {json.dumps(word, ensure_ascii=False)}: {' '.join(guesses)}"


BASE: Final = SYNC
"""The manager that results compare the others with."""

CHALLENGER: Final = "async"
"""The manager that titles of figures compare with it."""

FLOOR: Final = "floor"
