"""Turns a measured run into a pyperf run: its numbers under the keys that ``keys`` describes.

No other module fills in these keys. It touches no file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Final

import pyperf

from bench.cases.case import is_closed_loop
from bench.results import histogram
from bench.results.environment import Environment
from bench.results.key import SCHEMA_VERSION, Value
from bench.results.measures import redos as measures
from bench.results.measures.admission import admission_measures
from bench.results.measures.fairness import fairness_measures
from bench.results.measures.lifecycle import lifecycle_measures
from bench.results.measures.open_loop import open_measures
from bench.results.measures.stall import stall_measures
from bench.results.record import RunRecord, Usage
from bench.results.samples import Int64s, SliceSamples

# Host names, folders of the user's machine, and what is true of this process only: pyperf looks at
# the process that writes the file, which is not the one that was measured.
_LEFT_OUT: Final = frozenset({"mem_max_rss", "hostname", "python_executable", "python_config_args"})

_EXPERIMENTS: Final[tuple[Callable[[RunRecord], Mapping[str, Value]], ...]] = (
    stall_measures,
    admission_measures,
    open_measures,
    lifecycle_measures,
    fairness_measures,
)
"""From a run to values under keys of ``keys.FURTHER``; empty if it did not measure them."""


def to_pyperf_run(record: RunRecord, environment: Environment) -> pyperf.Run:
    """The run with one value per slice, its time per redo in seconds, and all of its metadata.

    Unknown values are left out and never written as zero: pyperf has no null.
    """
    slices = record.slices
    metadata: dict[str, Value | None] = {
        "name": record.case.name,
        "unit": "second",
        "loops": max(1, round(measures.redos(slices) / len(slices))),
        # Otherwise pyperf takes the clients' walls added up for the time that it took.
        "duration": measures.wall_s(slices),
        "redo_schema_version": SCHEMA_VERSION,
        **environment.to_metadata(),
        **{f"redo_{item.name}": getattr(record.case, item.name) for item in fields(record.case)},
        "redo_round": record.round,
        "redo_redos": measures.redos(slices),
        "redo_slice_throughputs": json.dumps(
            [float(f"{measures.throughput_per_s([part]):.6g}") for part in slices]
        ),
        "redo_slices": len(slices),
        "redo_time_per_redo": measures.time_per_redo_s(slices),
        "redo_throughput": measures.throughput_per_s(slices),
        **(_latency_metadata(record) if record.samples else {}),
        **(_self_check_metadata(record.samples) if is_closed_loop(record.case) else {}),
        **_usage_metadata(record.usage, measures.redos(slices)),
        **further_metadata(record),
        **record.worker_metadata,
    }
    return pyperf.Run(
        [measures.time_per_redo_s([part]) for part in slices],
        warmups=list(record.warmups),
        metadata=_machine_metadata(record.worker_metadata) | _cleaned(metadata),
        collect_metadata=False,
    )


def further_metadata(record: RunRecord) -> dict[str, Value]:
    """The measures of experiments that the run has."""
    return {key: value for of in _EXPERIMENTS for key, value in of(record).items()}


def _latency_metadata(record: RunRecord) -> dict[str, Value]:
    latency_ns = measures.pooled_latency_ns(record.samples)
    turn_ns = measures.pooled_turn_ns(record.samples)
    if not is_closed_loop(record.case):
        # There the latency counts from the moment at which the redo was wanted.
        turn_ns = latency_ns
    fewest, most = measures.fairness(record.samples)
    return {
        **(_percentiles("turn", turn_ns) if turn_ns is not None else {}),
        **_percentiles("latency", latency_ns),
        **({histogram.TURN_KEY: histogram.encode(turn_ns)} if turn_ns is not None else {}),
        histogram.KEY: histogram.encode(latency_ns),
        "redo_client_redos_min": fewest,
        "redo_client_redos_max": most,
    }


def _percentiles(name: str, sample_ns: Int64s) -> dict[str, Value]:
    found = measures.percentiles(sample_ns)
    return {
        f"redo_{name}_p50": found.p50_s,
        f"redo_{name}_p90": found.p90_s,
        f"redo_{name}_p99": found.p99_s,
        f"redo_{name}_p99_9": found.p99_9_s,
        f"redo_{name}_max": found.max_s,
    }


def _self_check_metadata(slices: Sequence[SliceSamples]) -> dict[str, Value]:
    checks = [measures.self_check(part) for part in slices]
    if not checks:
        return {}
    worst = max(checks, key=lambda check: check.excess)
    missed = sum(not check.ok for check in checks)
    verdict = "ok"
    if missed:
        verdict = (
            f"{missed} of {len(checks)} slices miss N = throughput x time per redo, the worst by "
            f"{worst.excess:.1%} of N (allowed: {measures.SELF_CHECK_TOLERANCE:.0%}) "
            f"beyond the {worst.explained:.1%} that the last redos explain"
        )
    return {
        "redo_self_check": verdict,
        "redo_littles_law": worst.ratio,
        "redo_littles_law_explained": worst.explained,
    }


def _usage_metadata(usage: Usage, redos: int) -> dict[str, Value | None]:
    manager_s, child_s = usage.manager_cpu_s, usage.child_cpu_s
    totals = {
        "redo_cpu_manager": manager_s,
        "redo_cpu_child": child_s,
        "redo_cpu_manager_user": usage.manager_user_s,
        "redo_cpu_manager_system": usage.manager_system_s,
        "redo_cpu_child_user": usage.child_user_s,
        "redo_cpu_child_system": usage.child_system_s,
        "redo_cpu_total": None if manager_s is None or child_s is None else manager_s + child_s,
        "redo_switches_manager_voluntary": usage.manager_voluntary_switches,
        "redo_switches_manager_involuntary": usage.manager_involuntary_switches,
        "redo_switches_child_voluntary": usage.child_voluntary_switches,
        "redo_switches_child_involuntary": usage.child_involuntary_switches,
        "redo_read_calls": usage.read_calls,
        "redo_write_calls": usage.write_calls,
        "redo_poll_calls": usage.poll_calls,
    }
    return {key: None if total is None else total / redos for key, total in totals.items()}


def _machine_metadata(worker_metadata: Mapping[str, Value]) -> dict[str, Value]:
    """What pyperf collects now, without what is not true of the worker or not to be published."""
    collected: dict[str, Value] = pyperf.Run([1.0], collect_metadata=True).get_metadata()
    other_python = "python_version" in worker_metadata
    return {
        key: value
        for key, value in collected.items()
        if key not in _LEFT_OUT
        and not (other_python and (key.startswith("python_") or key == "timer"))
    }


def _cleaned(metadata: Mapping[str, Value | None]) -> dict[str, Value]:
    """Without missing values, and each text on one line, as pyperf requires."""
    result: dict[str, Value] = {}
    for key, value in metadata.items():
        clean = re.sub(r"[\r\n]+", " ", value).strip() if isinstance(value, str) else value
        if clean is not None and clean != "":
            result[key] = clean
    return result
