"""The JSON that `selftest` prints and reads again: the counts, the code, the machine, the time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.errors import BenchError
from bench.results.environment import Environment
from bench.running.selftest.tallies import KNOWN_COST_S, Report, Tally

KIND: Final = "redo-selftest"
SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """A report, the code and machine it is about, and the options of the command."""

    report: Report
    environment: Environment
    minutes: float
    only: tuple[str, ...]
    """The kinds of trials that were chosen."""


def to_json(kept: Kept) -> str:
    report = kept.report
    return json.dumps(
        {
            "kind": KIND,
            "schema": SCHEMA,
            "environment": {
                key: value
                for key, value in kept.environment.to_metadata().items()
                if value is not None
            },
            "minutes": kept.minutes,
            "only": kept.only,
            "tallies": {
                name: {**asdict(tally), "interval": tally.interval()}
                for name, tally in report.tallies.items()
            },
            "floor_costs_s": report.floor_costs_s,
            "known_cost_s": KNOWN_COST_S,
            "failed": report.failed,
        },
        indent=2,
    )


def from_json(path: Path) -> Kept:
    """Reads what `to_json` made. Raises BenchError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise BenchError(f"{path}: not JSON; selftest --json writes what --from reads") from None
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise BenchError(f"{path}: not of selftest, whose --json writes what --from reads")
    if data.get("schema") != SCHEMA:
        raise BenchError(f"{path}: schema {data.get('schema')}, but this suite reads {SCHEMA}")
    try:
        kept = _kept(data)
    except (KeyError, TypeError, ValueError, AttributeError, msgspec.ValidationError) as error:
        raise BenchError(f"{path}: damaged: {error!r}") from None
    if data.get("known_cost_s") != KNOWN_COST_S:
        raise BenchError(
            f"{path}: of a known cost of {data.get('known_cost_s')} s, but this suite's is"
            f" {KNOWN_COST_S}"
        )
    return kept


def _kept(data: Mapping[str, Any]) -> Kept:
    tallies = msgspec.convert(
        {
            name: {key: value for key, value in tally.items() if key != "interval"}
            for name, tally in data["tallies"].items()
        },
        dict[str, Tally],
    )
    for name, tally in tallies.items():
        if not 0 <= tally.found <= tally.trials or not tally.trials:
            raise ValueError(f"{name}: {tally.found} of {tally.trials} trials")
    return Kept(
        Report(
            tallies,
            msgspec.convert(data["floor_costs_s"], list[float]),
            msgspec.convert(data["failed"], list[str]),
        ),
        Environment.from_metadata(data["environment"]),
        float(data["minutes"]),
        tuple(data["only"]),
    )
