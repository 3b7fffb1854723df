"""Which runs were disturbed: others had too much of the CPUs while they were measured.

What others took is measured beside each run, by the kernel's own counters. Whether a run is
disturbed depends on that alone and never on the run's own values (docs/method.md says why).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from bench.results.key import Key
from bench.results.record import DroppedRound
from bench.results.row import CaseRow

OTHERS: Final = "redo_others_cpu_share"
STEAL: Final = "redo_steal_share"
PRESSURE: Final = "redo_cpu_pressure"
FREQUENCY: Final = "redo_cpu_frequency"

DISTURBANCE_KEYS: Final = (
    Key(OTHERS, "ratio", "CPU time that other processes took meanwhile / that of all CPUs"),
    Key(STEAL, "ratio", "CPU time that the host gave to others meanwhile / that of all CPUs"),
    Key(PRESSURE, "ratio", "share of the time in which a task waited for a CPU, its own included"),
    Key(FREQUENCY, "Hz", "clock rate of the CPUs at the end of the run, their mean"),
)
MAX_DISTURBED_SHARE: Final = 0.15
"""A run is disturbed if others, the host among them, took more of the CPUs than this: more than the
counters, which tell time in ticks of 10 ms, are off on a quiet machine (docs/method.md)."""


def disturbed_share(values: Mapping[str, object]) -> float | None:
    """What others and the host took of the CPUs in a disturbed run, by its metadata; None if it was
    not disturbed, or nobody knows."""
    found = [v for name in (OTHERS, STEAL) if isinstance(v := values.get(name), int | float)]
    share = sum(found)
    return share if share > MAX_DISTURBED_SHARE else None


def disturbed_rounds(row: CaseRow) -> dict[int, float]:
    """What others took in the disturbed runs of a case, by round."""
    by_round: dict[int, dict[str, object]] = {number: {} for number in row.rounds}
    for name in (OTHERS, STEAL):
        estimate = row.further.get(name)
        for number, share in () if estimate is None else estimate.by_round:
            by_round[number][name] = share
    shares = ((number, disturbed_share(values)) for number, values in by_round.items())
    return {number: share for number, share in shares if share is not None}


def sentence(rows: Iterable[CaseRow]) -> str | None:
    """Of these cases how many runs were disturbed and how much; None if none was."""
    runs, shares = 0, list[float]()
    for row in rows:
        runs += len(row.rounds)
        shares += disturbed_rounds(row).values()
    if not shares:
        return None
    most = f"{max(shares) * 100:.0f} %"
    were = "was" if len(shares) == 1 else "were"
    return (
        f"{len(shares)} of {runs} runs {were} disturbed: other processes took up to {most} of the"
        " CPUs"
    )


def repeated_sentence(dropped: Collection[DroppedRound]) -> str | None:
    """How many rounds were disturbed and measured again; None if none was."""
    if not dropped:
        return None
    rounds = len({one.round for one in dropped})
    low, high = (f(one.others_share * 100 for one in dropped) for f in (min, max))
    span = f"{low:.0f} to {high:.0f}" if round(low) < round(high) else f"{high:.0f}"
    what = "1 round was" if rounds == 1 else f"{rounds} rounds were"
    return f"{what} disturbed (other processes took {span} % of the CPUs) and measured again"
