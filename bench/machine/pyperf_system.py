"""What pyperf's own checks of the machine say, as values.

Everything of pyperf that is private and used here for the machine is touched in this module alone:
an update that moves it breaks one place, and tests/bench/machine/test_checks.py notices. Nothing is
written: of an operation only its ``show`` is called. Judging what it means is not done here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyperf
from pyperf import _cpu_utils

OPERATIONS: Final = {
    "governor": "CPUGovernor",
    "turbo boost": "TurboBoostMSR",
    "ASLR": "ASLR",
    "perf events": "PerfEvent",
    "power supply": "PowerSupply",
}
"""Our names of the checks, and the classes of ``pyperf._system``. Its other ones are not asked:
IRQAffinity starts systemctl, and the rest says what is in one file."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One check of pyperf. ``ready``: whether the setting is as pyperf wants it for benchmarks,
    None where it has no opinion. ``problems``: why something could not be read."""

    ready: bool | None = None
    states: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def readings(cpus: Iterable[int]) -> Mapping[str, Reading]:
    """What pyperf says, by our names; those that do not exist on this machine are missing."""
    try:
        system = _system(cpus)
    except (ImportError, AttributeError, OSError, TypeError, ValueError) as error:
        return dict.fromkeys(OPERATIONS, _unable(error))
    by_class = {type(one).__name__: one for one in system.operations}
    return {
        name: _shown(system, by_class[wanted])
        for name, wanted in OPERATIONS.items()
        if wanted in by_class
    }


def _system(cpus: Iterable[int]) -> Any:
    from pyperf import _system  # here, where its absence can be told

    system = _system.System()
    system.logical_cpu_count = _cpu_utils.get_logical_cpu_count()
    system.cpus = tuple(sorted(cpus))
    return system


def _shown(system: Any, operation: Any) -> Reading:
    try:
        for messages in (system.states, system.advices, system.warnings, system.errors):
            messages.clear()
        operation.show()
        return Reading(
            operation.tuned_for_benchmarks,
            _without(operation.name, system.states),
            _without(operation.name, system.advices),
            _without(operation.name, [*system.warnings, *system.errors]),
        )
    # What it reads may be masked or have another form than it expects.
    except (AttributeError, OSError, TypeError, ValueError) as error:
        return _unable(error)


def _without(name: str, messages: Iterable[str]) -> tuple[str, ...]:
    return tuple(message.removeprefix(f"{name}: ") for message in messages)


def _unable(error: Exception) -> Reading:
    return Reading(problems=(f"pyperf {pyperf.__version__} cannot tell: {error}",))


def cpu_list(text: str) -> tuple[int, ...]:
    """The CPUs of a list as the kernel writes it, ``0-3,8``. ValueError if it is none."""
    return tuple(_cpu_utils.parse_cpu_list(text) or ())


def as_cpu_list(cpus: Iterable[int]) -> str:
    """The opposite. There must be a CPU."""
    return str(_cpu_utils.format_cpu_list(cpus))
