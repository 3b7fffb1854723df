"""The table of every metadata key that the suite adds to a result file: its unit and meaning.

One table, so that the writer, `show` and docs/measures.md cannot disagree. A key that ends in ``*``
stands for a family.

History of the schema (``redo_schema_version``):

1. First version.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from bench.cases.case import DIMENSIONS
from bench.errors import BenchError
from bench.results.disturbance import DISTURBANCE_KEYS
from bench.results.histogram import KEY, TURN_KEY
from bench.results.key import PREFIX, Key
from bench.results.measures.admission import ADMISSION_KEYS
from bench.results.measures.fairness import FAIRNESS_KEYS
from bench.results.measures.lifecycle import LIFECYCLE_KEYS
from bench.results.measures.open_loop import OPEN_LOOP_KEYS
from bench.results.measures.stall import STALL_KEYS
from bench.results.row import MEASURES
from bench.worker.protocol import PIPE_FACTS

_DIMENSIONS = tuple(
    Key(
        PREFIX + name,
        "count" if name == "clients" else "text",
        f"dimension of the case: {dimension.meaning}",
    )
    for name, dimension in DIMENSIONS.items()
)

_OF_ROWS = tuple(measure.key for measure in MEASURES.values())
_CPU = tuple(key for key in _OF_ROWS if key.name.startswith("redo_cpu_"))

_RUN = (
    Key("redo_schema_version", "count", "version of these keys"),
    Key("redo_round", "count", "round that the run belongs to; runs of one round can be paired"),
    Key("redo_redos", "count", "redos in all slices of the run"),
    Key("redo_slices", "count", "slices of the run"),
    Key(
        "redo_slice_throughputs",
        "text",
        "JSON list: throughput of each slice, in the order of the run's values, each of which is"
        " its time per redo: their product is N",
    ),
    *(key for key in _OF_ROWS if key not in _CPU),
    Key(
        TURN_KEY,
        "text",
        "the turns in ns as an HdrHistogram (V2, zlib, base64), 1 ns to 60 s, 3 digits",
    ),
    Key(KEY, "text", "the latencies of the calls, likewise"),
    *(
        Key(
            f"redo_request_{name}_p{percent}",
            unit,
            f"{meaning} of the workload's requests, p{percent}",
        )
        for name, unit, meaning in (
            ("records", "count", "records"),
            ("bytes", "bytes", "bytes on the wire"),
        )
        for percent in (50, 99)
    ),
    Key("redo_client_redos_min", "count", "fewest redos of any client (fairness)"),
    Key("redo_client_redos_max", "count", "most redos of any client (fairness)"),
    Key("redo_self_check", "text", "ok, or by how much slices miss N = throughput x time per redo"),
    Key("redo_littles_law", "ratio", "throughput x time per redo / N of the slice furthest off"),
    Key("redo_littles_law_explained", "ratio", "share of N that the last redos of it explain"),
)

USAGE = (
    *(key for key in _CPU if key.name != "redo_cpu_total"),
    Key("redo_cpu_manager", "s/redo", "CPU time of the manager's process, both modes; exact"),
    Key("redo_cpu_child", "s/redo", "CPU time of the redo child, both modes; exact"),
    *(key for key in _CPU if key.name == "redo_cpu_total"),
    Key("redo_switches_manager_voluntary", "1/redo", "the manager waited and gave up its CPU"),
    Key("redo_switches_manager_involuntary", "1/redo", "the manager was taken off its CPU"),
    Key("redo_switches_child_voluntary", "1/redo", "the child waited and gave up its CPU"),
    Key("redo_switches_child_involuntary", "1/redo", "the child was taken off its CPU"),
    Key("redo_read_calls", "1/redo", "read system calls of the manager"),
    Key("redo_write_calls", "1/redo", "write system calls of the manager"),
    Key("redo_poll_calls", "1/redo", "poll, epoll or select calls of the manager"),
)
WORKER_PEAK_RSS = "redo_worker_peak_rss_bytes"

FURTHER: tuple[Key, ...] = (
    Key(WORKER_PEAK_RSS, "bytes", "most memory of the worker that was resident"),
    Key("redo_cpus", "count", "CPUs that manager and child may run on"),
    Key(
        "redo_counter_in_flight_peak",
        "count",
        "most requests in flight at once, pings of the manager's own among them, warm-up included",
    ),
    *DISTURBANCE_KEYS,
    *STALL_KEYS,
    *ADMISSION_KEYS,
    *OPEN_LOOP_KEYS,
    *LIFECYCLE_KEYS,
    *FAIRNESS_KEYS,
)
"""Measures of experiments (docs/experiments.md), which only some runs have."""

_WORKER = (
    Key("redo_loop", "text", "event loop that the clients ran on, with its version"),
    *(
        Key(f"redo_counter_{name}", unit, f"{meaning} since the manager's launch, warm-up included")
        for name, unit, meaning in (
            ("redos", "count", "redos that were answered"),
            ("records", "count", "records of these redos"),
            ("pings", "count", "pings of clients that were answered"),
            ("fences", "count", "pings of the manager between redos whose pages begin alike"),
            ("pages_dropped", "count", "pages of redos that were cancelled"),
            ("bytes_sent", "bytes", "bytes written to the child"),
            ("bytes_received", "bytes", "bytes read from the child"),
            ("read_calls", "count", "read calls"),
            ("write_calls", "count", "write calls"),
            ("poll_calls", "count", "poll(2) calls of sync, readiness callbacks of async"),
            ("launches", "count", "children launched"),
            ("launch_ns_total", "ns", "time spent launching children"),
        )
    ),
    Key("redo_counter_*", "count", "a further counter of the manager, warm-up included"),
    Key("redo_start_ns", "ns", "from the worker's first line to a child that answers"),
    Key("redo_worker_switch_interval_s", "s", "how long a thread may keep the interpreter lock"),
    Key("redo_worker_page_check", "text", "what of a page is checked: content, or its length"),
    *(
        Key(name, "bytes", f"size of the pipe {way} the child, as the kernel granted it")
        for name, way in zip(PIPE_FACTS, ("to", "from"), strict=True)
    ),
    Key("redo_worker_*", "text", "a further fact that the worker reports of itself"),
)

_SUITE = (
    Key("redo_git_commit", "text", "full hash of the commit that was measured"),
    Key("redo_git_dirty", "yes/no", "whether the tree differed from that commit"),
    Key(
        "redo_git_diff_sha256",
        "text",
        "SHA-256 of the measured folders' files that differ from that commit, if any does",
    ),
    Key("redo_kernel", "text", "name and release of the kernel"),
    Key("redo_cpu_model", "text", "model of the CPU"),
    Key("redo_cpu_count", "count", "CPUs of the machine"),
    Key("redo_cpus_allowed", "text", "CPUs that the suite might use, as 0-3,8"),
    Key("redo_cpu_governor", "text", "frequency governor, or unknown"),
    Key("redo_child_build_*", "text", "how the C programs were built"),
    Key("redo_peer_sha256", "text", "SHA-256 of the program that the managers peer:KIND are"),
    Key("redo_pythons", "text", "interpreters beside the suite's own, as LABEL: what it is"),
    Key("redo_compiled_core", "text", "what build mypyc is, as HASH: compiled modules"),
    Key(
        "redo_workload_files", "text", "SHA-256 of each workload that is a file, as file:LABEL: it"
    ),
    Key("redo_own_managers", "text", "SHA-256 of each own manager's module, as MODULE:FACTORY: it"),
    Key(
        "redo_own_children",
        "text",
        "SHA-256 of each own child's command, files in it by their content, as cmd:LABEL: it",
    ),
    Key("redo_ab", "text", "the A/B measurement that this file is one side of"),
    Key("redo_seed", "count", "seed of the order of the cases and of the requests"),
    Key("redo_profile", "text", "name of the profile"),
    Key("redo_config", "text", "the full configuration as JSON"),
    Key("redo_suite_date", "text", "when the suite was started, UTC, ISO 8601"),
    Key(
        "redo_failed",
        "text",
        "runs that gave no result: JSON list of objects with case, round and reason",
    ),
    Key("redo_dropped_cases", "text", "cases dropped for want of time: JSON list of names"),
    Key(
        "redo_dropped_rounds",
        "text",
        "measurements of disturbed rounds that were dropped, as the round was measured again: JSON"
        " list of objects with round, others_share (the most that others took of the CPUs during a"
        " run of the first measurement) and why",
    ),
)

KEYS: tuple[Key, ...] = _DIMENSIONS + _RUN + USAGE + FURTHER + _WORKER + _SUITE
"""Every key, in the order in which it is documented."""


def find(name: str) -> Key | None:
    """The entry of a key or of its family; None if the table has neither."""
    # A family comes after those of its members that have an entry of their own.
    return next((key for key in KEYS if fnmatchcase(name, key.name)), None)


TABLE_BEGIN = "<!-- keys: begin (written from bench/results/keys.py, do not edit) -->"
TABLE_END = "<!-- keys: end -->"


def with_table(page: str) -> str:
    """The page with the current table between its two markers. Raises BenchError."""
    before, begin, rest = page.partition(TABLE_BEGIN)
    _, end, after = rest.partition(TABLE_END)
    if not begin or not end:
        raise BenchError(f"no place for the table of keys: put {TABLE_BEGIN} and {TABLE_END} in")
    rows = (f"| `{key.name}` | {key.unit} | {key.meaning} |" for key in KEYS)
    table = "\n".join(("| key | unit | meaning |", "|---|---|---|", *rows))
    return f"{before}{begin}\n\n{table}\n\n{end}{after}"
