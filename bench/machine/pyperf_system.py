"""The results of pyperf's own checks of the machine, as values.

This is the only module that uses pyperf's private functions for the machine: if an update moves
them, one place breaks, and tests/bench/machine/test_checks.py shows it. Only the method ``show`` of
an operation is called, which changes no setting.
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
"""Our names of the checks, and their classes in ``pyperf._system``. The other classes are not used:
IRQAffinity starts systemctl, and the rest report the content of a single file."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One check of pyperf. ``ready``: whether the setting is as pyperf wants it for benchmarks,
    None where it has no opinion. ``problems``: why something could not be read."""

    ready: bool | None = None
    states: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def readings(cpus: Iterable[int]) -> Mapping[str, Reading]:
    """The readings by our names. Checks that do not apply to this machine are missing."""
    try:
        from pyperf import _system  # here, where its absence is handled

        system = _system.System()
        system.logical_cpu_count = _cpu_utils.get_logical_cpu_count()
        system.cpus = tuple(sorted(cpus))
    except (ImportError, AttributeError, OSError, TypeError, ValueError) as error:
        return dict.fromkeys(OPERATIONS, _unable(error))
    by_class = {type(operation).__name__: operation for operation in system.operations}
    return {
        name: _shown(system, by_class[wanted])
        for name, wanted in OPERATIONS.items()
        if wanted in by_class
    }


def _shown(system: Any, operation: Any) -> Reading:
    try:
        for messages in (system.states, system.advices, system.warnings, system.errors):
            messages.clear()
        operation.show()
        found = (system.states, system.advices, [*system.warnings, *system.errors])
        texts = (tuple(t.removeprefix(f"{operation.name}: ") for t in texts) for texts in found)
        return Reading(operation.tuned_for_benchmarks, *texts)
    # The files that it reads may be masked or have an unexpected form.
    except (AttributeError, OSError, TypeError, ValueError) as error:
        return _unable(error)


def _unable(error: Exception) -> Reading:
    return Reading(problems=(f"pyperf {pyperf.__version__} cannot tell: {error}",))


def cpu_list(text: str) -> tuple[int, ...]:
    """The CPUs of a list as the kernel writes it, like ``0-3,8``. Raises ValueError."""
    return tuple(_cpu_utils.parse_cpu_list(text) or ())


def as_cpu_list(cpus: Iterable[int]) -> str:
    """The CPUs, at least one, as the kernel writes a list."""
    return str(_cpu_utils.format_cpu_list(cpus))
