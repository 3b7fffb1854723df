"""SIGINT and SIGTERM: the first one ends what the suite is at, wherever that is.

It comes as KeyboardInterrupt. What ends the suite's processes and files then takes a moment, and no
second one keeps it from that. Python runs signal handlers in the main thread, so this is for it.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import Final, NoReturn

NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)

_AGAIN_S: Final = 0.01


def install() -> None:
    """From now on either of them raises KeyboardInterrupt, once."""
    for number in NUMBERS:
        signal.signal(number, _interrupt)
    sys.unraisablehook = _unraisable


def uninstall() -> None:
    """From now on either of them ends the process at once: there is nothing left to put right."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in NUMBERS:
        signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """What comes meanwhile takes effect at the end: for steps that must not be cut in two.

    For short ones, as nobody can break them off.
    """
    came: list[int] = []
    before = [signal.signal(number, lambda one, _: came.append(one)) for number in NUMBERS]
    try:
        yield
    finally:
        for number, handler in zip(NUMBERS, before, strict=True):
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _interrupt(_number: int, _frame: object) -> NoReturn:
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _unraisable(what: sys.UnraisableHookArgs) -> None:
    """Where Python drops exceptions (a ``__del__``, a callback of the collector), one that is an
    interruption must not be lost, as no other would be heard: it comes again a moment later."""
    if what.exc_type is KeyboardInterrupt:
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
    else:
        sys.__unraisablehook__(what)
