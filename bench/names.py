"""The names that can be chosen from, and how a wrong one is answered.

The one place that knows them: profiles, options, the worker and the plots all ask here. Standard
library only, because the worker imports it.
"""

import difflib
import json
from collections.abc import Collection
from typing import Final

MANAGERS: Final = ("sync", "async", "async-uvloop", "floor")
WORKLOADS: Final = ("ping", "short", "medium", "short+image", "medium+image")
CHILDREN: Final = ("c", "python")
COSTS: Final = ("none", "pg14")
NO_FAULT: Final = "none"
"""A child that behaves; the faults that it can be given are ``fake_redo_child``'s."""

CLIENTS_MAX: Final = 4096
"""The most concurrent clients of a case: the sync manager needs a thread for each."""

_SIMILARITY = 0.5
"""Below difflib's own 0.6, which finds nothing for short words such as "asnc"."""

_LISTED = 8


def nearest(word: str, names: Collection[str]) -> str | None:
    """The name most like ``word``, in any case of letters; None when none is near."""
    by_folded = {name.casefold(): name for name in names}
    found = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=_SIMILARITY)
    return by_folded[found[0]] if found else None


def unknown(noun: str, word: str, names: Collection[str]) -> str:
    """One line that refuses ``word`` and says what would be right.

    As ``unknown manager "asyn": did you mean "async"? (sync, async, async-uvloop, floor)``. Many
    names are listed only when none is near: they would bury the guess.
    """
    near = nearest(word, names)
    guesses = [] if near is None else [f'did you mean "{near}"?']
    if near is None or len(names) <= _LISTED:
        guesses.append(f"({', '.join(names)})")
    return f"unknown {noun} {json.dumps(word, ensure_ascii=False)}: {' '.join(guesses)}"
