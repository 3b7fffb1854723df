"""Signals that ask the suite to end: the first one ends what it is at, wherever that is.

It comes as KeyboardInterrupt. What ends the suite's processes and files then takes a moment, and no
second one keeps it from that. Python runs signal handlers in the main thread, so this is for it.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import Final, NoReturn

_ALWAYS: Final = (signal.SIGINT, signal.SIGTERM)
_NEVER: Final = frozenset(
    {
        # Nobody hears these.
        *(signal.SIGKILL, signal.SIGSTOP),
        # These end the program as it is, for whoever looks into its core file.
        *(signal.SIGQUIT, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS),
        *(signal.SIGFPE, signal.SIGSEGV, signal.SIGSYS),
        # These do not end it; the last two come with the error of a write.
        *(signal.SIGCHLD, signal.SIGCONT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
        *(signal.SIGURG, signal.SIGWINCH, signal.SIGPIPE, signal.SIGXFSZ),
    }
)
_UNLESS_IGNORED: Final = tuple(sorted(signal.valid_signals() - {*_ALWAYS, *_NEVER}))
"""All others end a program. Some examples: a terminal is closed (SIGHUP), a scheduler of batch jobs
warns before it kills (SIGUSR1, SIGUSR2), the limit of CPU time is reached (SIGXCPU), a timer ends
that was set before the program was executed (SIGALRM, SIGVTALRM, SIGPROF)."""

NUMBERS: Final[tuple[int, ...]] = (*_ALWAYS, *_UNLESS_IGNORED)

_AGAIN_S: Final = 0.01


def install() -> None:
    """From now on each of them raises KeyboardInterrupt, once.

    One that is ignored stays so, like SIGHUP under nohup; but for SIGINT, which shells ignore for
    whatever is in the background, and SIGTERM. So does one that a library handles, like SIGPROF.
    """
    for number in _heard():
        signal.signal(number, _interrupt)
    sys.unraisablehook = _unraisable


def uninstall() -> None:
    """From now on each of them ends the process at once: there is nothing left to put right."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in _heard():
        signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """What comes meanwhile takes effect at the end: for steps that must not be cut in two.

    For short ones, as nobody can break them off.
    """
    came: list[int] = []
    heard = _heard()
    before = [signal.signal(number, lambda one, _: came.append(one)) for number in heard]
    try:
        yield
    finally:
        for number, handler in zip(heard, before, strict=True):
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _heard() -> tuple[int, ...]:
    # None: a handler that is not Python's.
    others = {one for one in _UNLESS_IGNORED if signal.getsignal(one) in (signal.SIG_IGN, None)}
    return tuple(number for number in NUMBERS if number not in others)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    for number in _heard():
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
