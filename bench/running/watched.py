"""What else the machine did while a run was measured, as metadata of the run."""

from __future__ import annotations

from bench.machine.disturbance import Watch
from bench.results.disturbance import FREQUENCY, OTHERS, PRESSURE, STEAL
from bench.worker.meters import DescendantsMeter, OwnMeter


def watch() -> Watch:
    """A watch that begins now. What this process and its descendants do disturbs nothing."""
    return Watch(_own_cpu_s)


def watched(begun: Watch) -> dict[str, float]:
    """What others did since the watch began, by key, without what this machine does not tell."""
    found = begun.so_far()
    values = {
        OTHERS: found.others_share,
        STEAL: found.steal_share,
        PRESSURE: found.pressure_share,
        FREQUENCY: found.frequency_hz,
    }
    return {key: float(f"{value:.4g}") for key, value in values.items() if value is not None}


def _own_cpu_s() -> float:
    return (OwnMeter().used().cpu_ns + DescendantsMeter().used().cpu_ns) / 1e9
