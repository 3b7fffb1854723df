"""A measured run -> a pyperf run: the numbers of a run under the keys of the result file.

The only place that fills these keys in; ``keys`` describes them. No file is touched here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields

import pyperf

from bench.cases.case import is_closed_loop
from bench.results import histogram
from bench.results.environment import Environment
from bench.results.key import SCHEMA_VERSION, Value
from bench.results.measures import redos as measures
from bench.results.measures.further import further_metadata
from bench.results.record import RunRecord, Usage
from bench.results.samples import SliceSamples

# pyperf looks at the process that writes the file, which is not the one that was measured.
_OF_THIS_PROCESS = frozenset({"mem_max_rss"})

# A result file may be published: no host name and no folder of somebody's machine.
_PRIVATE = frozenset({"hostname", "python_executable", "python_config_args"})


def to_pyperf_run(record: RunRecord, environment: Environment) -> pyperf.Run:
    """The run with one value per slice, its time per redo in seconds, and all of its metadata.

    What is not known is left out: pyperf has no null, and it is never a zero.
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
        **_case_metadata(record),
        **_totals_metadata(record),
        **(_latency_metadata(record.samples) if record.samples else {}),
        **(_self_check_metadata(record.samples) if _can_be_checked(record) else {}),
        **_usage_metadata(record.usage, measures.redos(slices)),
        **further_metadata(record),
        **record.worker_metadata,
    }
    return pyperf.Run(
        [measures.time_per_redo_s([one]) for one in slices],
        warmups=list(record.warmups),
        metadata=_machine_metadata(record.worker_metadata) | _present(metadata),
        collect_metadata=False,
    )


def _case_metadata(record: RunRecord) -> dict[str, Value]:
    case = record.case
    dimensions = {f"redo_{item.name}": getattr(case, item.name) for item in fields(case)}
    return dimensions | {"redo_round": record.round}


def _totals_metadata(record: RunRecord) -> dict[str, Value]:
    slices = record.slices
    return {
        "redo_redos": measures.redos(slices),
        "redo_slice_throughputs": json.dumps(
            [float(f"{measures.throughput_per_s([one]):.6g}") for one in slices]
        ),
        "redo_slices": len(slices),
        "redo_time_per_redo": measures.time_per_redo_s(slices),
        "redo_throughput": measures.throughput_per_s(slices),
    }


def _latency_metadata(slices: Sequence[SliceSamples]) -> dict[str, Value]:
    latency = measures.percentiles(slices)
    shares = measures.fairness(slices)
    return {
        "redo_latency_p50": latency.p50_s,
        "redo_latency_p90": latency.p90_s,
        "redo_latency_p99": latency.p99_s,
        "redo_latency_p99_9": latency.p99_9_s,
        "redo_latency_max": latency.max_s,
        "redo_hdr_histogram": histogram.encode(measures.pooled_latency_ns(slices)),
        "redo_client_redos_min": shares.least,
        "redo_client_redos_max": shares.most,
    }


def _can_be_checked(record: RunRecord) -> bool:
    return bool(record.samples) and is_closed_loop(record.case)


def _self_check_metadata(slices: Sequence[SliceSamples]) -> dict[str, Value]:
    checks = [measures.self_check(one) for one in slices]
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
    def per_redo(total: float | None) -> float | None:
        return None if total is None else total / redos

    manager_s, child_s = usage.manager_cpu_s, usage.child_cpu_s
    total_s = None if manager_s is None or child_s is None else manager_s + child_s
    return {
        "redo_cpu_manager": per_redo(manager_s),
        "redo_cpu_child": per_redo(child_s),
        "redo_cpu_manager_user": per_redo(usage.manager_user_s),
        "redo_cpu_manager_system": per_redo(usage.manager_system_s),
        "redo_cpu_child_user": per_redo(usage.child_user_s),
        "redo_cpu_child_system": per_redo(usage.child_system_s),
        "redo_cpu_total": per_redo(total_s),
        "redo_switches_manager_voluntary": per_redo(usage.manager_voluntary_switches),
        "redo_switches_manager_involuntary": per_redo(usage.manager_involuntary_switches),
        "redo_switches_child_voluntary": per_redo(usage.child_voluntary_switches),
        "redo_switches_child_involuntary": per_redo(usage.child_involuntary_switches),
        "redo_read_calls": per_redo(usage.read_calls),
        "redo_write_calls": per_redo(usage.write_calls),
        "redo_poll_calls": per_redo(usage.poll_calls),
    }


def _machine_metadata(worker_metadata: Mapping[str, Value]) -> dict[str, Value]:
    """What pyperf collects now, less what is not true of the worker."""
    collected: dict[str, Value] = pyperf.Run([1.0], collect_metadata=True).get_metadata()
    other_python = "python_version" in worker_metadata

    def is_true(key: str) -> bool:
        of_this_python = key.startswith("python_") or key == "timer"
        return key not in _OF_THIS_PROCESS | _PRIVATE and not (of_this_python and other_python)

    return {key: value for key, value in collected.items() if is_true(key)}


def _present(metadata: Mapping[str, Value | None]) -> dict[str, Value]:
    """Without what is missing, and on one line each as pyperf wants it."""
    result: dict[str, Value] = {}
    for key, value in metadata.items():
        clean = re.sub(r"[\r\n]+", " ", value).strip() if isinstance(value, str) else value
        if clean is not None and clean != "":
            result[key] = clean
    return result
