"""The faults of PROTOCOL.md: their names and keys, the ``--fault`` notation, and when one is due.

This is the only table of faults in Python. ``fault.c`` has the table of the C child, and a test
compares the two. The Python child loads this file by its path, and only if it is given a fault; so
the file imports the standard library only. ``misbehave.py`` does what a fault asks for; nothing
here does I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_NUMBER = 1_000_000_000
"""The largest K of ``at=K`` and ``every=K``."""

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_TRIGGERS = ("at", "every", "p")
_SHOWN = 80  # the most characters of an argument that an error quotes


class FaultError(ValueError):
    """The text is not a valid fault. The message is one line: what is wrong and what is valid.

    ``given``: the wrong name, key or value. ``choices``: the valid names or keys (empty for a
    value).
    """

    def __init__(self, text: str, given: str, choices: Sequence[str] = ()) -> None:
        self.given = given
        self.choices = tuple(choices)
        super().__init__(f"{text}: {given[:_SHOWN]}")


@dataclass(frozen=True, slots=True)
class Amount:
    """The number that a fault takes under its own key, with its default and limits."""

    key: str
    usual: int
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One row of the table.

    ``at_redo``: the fault has a trigger; a fault at the start or end of the child has none.
    ``sandboxed``: the C child can do it inside its sandbox. Otherwise the sandbox is off.
    """

    description: str
    amount: Amount | None = None
    at_redo: bool = True
    sandboxed: bool = True

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that the fault accepts."""
        own = () if self.amount is None else (self.amount.key,)
        return (*own, *_TRIGGERS, "seed") if self.at_redo else own


_LONGEST_MS = 3_600_000

FAULTS: dict[str, FaultKind] = {
    "exit-before-reply": FaultKind("exits with status 4 instead of a page"),
    "exit-in-reply": FaultKind("exits with status 4 after half of the page"),
    "exit-after-reply": FaultKind("exits with status 4 after the page"),
    "killed": FaultKind("is killed by SIGKILL instead of a page"),
    "hang": FaultKind(
        "does not answer and reads no more; ends only by a signal",
        sandboxed=False,
    ),
    "late": FaultKind("answers late, busy until then", Amount("ms", 50, 0, _LONGEST_MS)),
    "drip": FaultKind(
        "writes the page byte by byte, busy between bytes", Amount("us", 1000, 0, 1_000_000)
    ),
    "short-reply": FaultKind(
        "leaves out the last bytes of the page and goes on", Amount("bytes", 100, 1, 8192)
    ),
    "extra-page": FaultKind("writes the page twice and goes on"),
    "close-stdout": FaultKind(
        "closes its output instead of a page and stays; ends only by a signal", sandboxed=False
    ),
    "close-stdin": FaultKind(
        "closes its input after the page and stays; ends only by a signal", sandboxed=False
    ),
    "stderr-lines": FaultKind("writes 1 MiB of lines to standard error before the page"),
    "stderr-blob": FaultKind("writes 1 MiB without a line end to standard error before the page"),
    "open-file": FaultKind("opens a file before the page, which the C child's sandbox forbids"),
    "start-slowly": FaultKind(
        "waits before it reads a byte", Amount("ms", 200, 0, _LONGEST_MS), at_redo=False
    ),
    "fail-to-start": FaultKind("exits with status 1 before it reads a byte", at_redo=False),
    "ignore-eof": FaultKind(
        "stays at the end of input; ends only by a signal", at_redo=False, sandboxed=False
    ),
}
"""Every fault that a child can have over pipes and over shared memory, in the order of PROTOCOL.md.
"""

_LIE = Amount("by", 2_000_000, 1, 1_000_000_000)

MEMORY_FAULTS: dict[str, FaultKind] = {
    "consumed-ahead": FaultKind("says that it has consumed more bytes than it has", _LIE),
    "consumed-behind": FaultKind("says that it has consumed fewer bytes than it has", _LIE),
    "ready-ahead": FaultKind("says that more pages are ready than are", _LIE),
    "ready-behind": FaultKind("says that fewer pages are ready than are", _LIE),
}
"""The faults that exist over shared memory only."""

ALL_FAULTS = FAULTS | MEMORY_FAULTS


@dataclass(slots=True)
class Trigger:
    """At which redos a fault is due. Mutable, since it counts redos and draws random numbers."""

    kind: str | None  # at, every or p; None: never
    number: int = 1
    chance: float = 0.0
    random: int = 0  # the state of splitmix64, initially the seed
    _redos: int = field(default=0, init=False)

    def is_due(self) -> bool:
        """Whether the fault is due at this redo. Must be called once for each redo, in order."""
        self._redos += 1
        if self.kind == "at":
            return self._redos == self.number
        if self.kind == "every":
            return self._redos % self.number == 0
        return self.kind == "p" and self._draw() < self.chance

    def _draw(self) -> float:
        """The next number from 0 to below 1: the upper 53 bits of splitmix64."""
        self.random = z = self.random + 0x9E37_79B9_7F4A_7C15 & _MASK
        z = (z ^ z >> 30) * 0xBF58_476D_1CE4_E5B9 & _MASK
        z = (z ^ z >> 27) * 0x94D0_49BB_1331_11EB & _MASK
        z ^= z >> 31
        return (z >> 11) * 2.0**-53


@dataclass(frozen=True, slots=True)
class Fault:
    """A parsed ``--fault``. ``amount`` is in the unit that its key names; 0 without a key."""

    name: str
    amount: int
    trigger: Trigger
    text: str

    @property
    def needs_memory(self) -> bool:
        """Whether it exists over shared memory only."""
        return self.name in MEMORY_FAULTS


def parse_fault(text: str) -> Fault:
    """Parses ``NAME[:KEY=VALUE[,KEY=VALUE]...]``. Raises FaultError."""
    name, colon, rest = text.partition(":")
    kind = ALL_FAULTS.get(name)
    if kind is None:
        names = ", ".join(ALL_FAULTS)
        raise FaultError(f"unknown fault, not one of {names}", name, list(ALL_FAULTS))
    values: dict[str, str] = {}
    for part in rest.split(",") if colon else ():
        key, _, value = part.partition("=")
        _check_key(name, kind, key, values)
        _check_value(name, kind, key, value)
        values[key] = value
    return Fault(name, _amount(kind, values), _trigger(name, kind, values, text), text)


def _check_key(name: str, kind: FaultKind, key: str, before: dict[str, str]) -> None:
    if not kind.keys:
        raise FaultError(f"fault {name} takes no keys", key)
    if key not in kind.keys:
        keys = ", ".join(kind.keys)
        raise FaultError(f"unknown key of fault {name}, not one of {keys}", key, kind.keys)
    if key in before:
        raise FaultError(f"key of fault {name} given twice", key)


def _check_value(name: str, kind: FaultKind, key: str, value: str) -> None:
    if key == "p":
        if not _is_chance(value):
            raise FaultError(f"p of fault {name} is not a decimal from 0 to 1", value)
        return
    least, most = _limits(kind, key)
    if not _is_whole(value, least, most):
        raise FaultError(
            f"{key} of fault {name} is not a whole number from {least} to {most}", value
        )


def _limits(kind: FaultKind, key: str) -> tuple[int, int]:
    if kind.amount is not None and key == kind.amount.key:
        return kind.amount.least, kind.amount.most
    return (0, _MASK) if key == "seed" else (1, MAX_NUMBER)


def _is_whole(text: str, least: int, most: int) -> bool:
    if not (text.isascii() and text.isdigit()):
        return False
    # The length is checked first: int() raises another error for thousands of digits.
    return len(text.lstrip("0")) <= len(str(most)) and least <= int(text.lstrip("0") or "0") <= most


def _is_chance(text: str) -> bool:
    # Plain decimals only: float() also accepts infinity, exponents and blanks.
    digits = text.replace(".", "", 1)
    return digits.isascii() and digits.isdigit() and float(text) <= 1.0


def _amount(kind: FaultKind, values: dict[str, str]) -> int:
    if kind.amount is None:
        return 0
    return int(values.get(kind.amount.key, kind.amount.usual))


def _trigger(name: str, kind: FaultKind, values: dict[str, str], text: str) -> Trigger:
    given = [key for key in _TRIGGERS if key in values]
    if len(given) > 1:
        raise FaultError(f"fault {name} takes only one of {', '.join(_TRIGGERS)}", text)
    if "seed" in values and "p" not in values:
        raise FaultError(f"seed of fault {name} needs p", text)
    if not kind.at_redo:
        return Trigger(None)
    chosen = given[0] if given else "at"
    if chosen == "p":
        return Trigger("p", chance=float(values["p"]), random=int(values.get("seed", "0")))
    return Trigger(chosen, number=int(values.get(chosen, "1")))
