"""Runs and result files with a known truth, made without measuring anything.

A made-up machine: a redo costs the child ``service_s``; a manager adds ``own_s`` per redo, and
``per_client_s`` more for each client that waits. N closed-loop clients share one child, so a client
waits for N services.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.cases.case import Case
from bench.experiments.registry import VIEWS
from bench.results.environment import Environment
from bench.results.record import FailedRun, RunRecord, Usage
from bench.results.result_file import ResultFile
from bench.results.samples import Int64s, SliceSamples, SliceSummary
from bench.results.summary import Summary, load_summary
from bench.show.view import Reading
from bench.worker.protocol import PIPE_FACTS

COMMIT = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"

ENVIRONMENT = Environment(
    git_commit=COMMIT,
    git_dirty=False,
    kernel="Linux 6.1.0",
    cpu_model="Example CPU 3000",
    cpu_count=8,
    cpu_governor="performance",
    child_build={"compiler": "cc 13.2", "flags": "-O2 -Wall"},
    seed=7,
    profile="synthetic",
    config_json='{"slices":5}',
    suite_date="2026-11-23T12:05:42+00:00",
)

USAGE = Usage(
    manager_cpu_s=0.030,
    child_cpu_s=0.020,
    manager_user_s=0.010,
    manager_system_s=0.020,
    child_user_s=0.005,
    child_system_s=0.015,
    manager_voluntary_switches=1000,
    manager_involuntary_switches=10,
    child_voluntary_switches=900,
    child_involuntary_switches=0,
    read_calls=2000,
    write_calls=2000,
    poll_calls=1000,
)


def int64s(*values: int) -> Int64s:
    """An array as the suite has them."""
    return np.array(values, dtype=np.int64)


def payload(samples: SliceSamples) -> bytes:
    """What a worker sends for a slice."""
    head = np.stack([samples.start_ns, samples.end_ns, samples.redos], axis=1)
    return head.astype(np.int64).tobytes() + samples.latency_ns.tobytes()


def steady_slice(clients: int, redos: int, latency_ns: int) -> SliceSamples:
    """Each client does ``redos`` redos of exactly ``latency_ns``, back to back from the barrier on.

    So time per redo is ``latency_ns``, throughput is clients / latency, and Little's law holds
    exactly.
    """
    return back_to_back([np.full(redos, latency_ns, dtype=np.int64)] * clients)


def idle_slice(clients: int, redos: int, latency_ns: int) -> SliceSamples:
    """As `steady_slice`, but all clients but the first stop halfway: the check fails."""
    counts = [redos] + [redos // 2] * (clients - 1)
    latencies = [np.full(count, latency_ns, dtype=np.int64) for count in counts]
    return back_to_back(latencies, deadline_ns=(redos - 1) * latency_ns)


def noisy_slice(
    clients: int, redos: int, latency_ns: float, rng: np.random.Generator
) -> SliceSamples:
    """Log-normal latencies with that median; each client's wall is the sum of its own."""
    latencies = rng.lognormal(np.log(latency_ns), 0.25, (clients, redos)).astype(np.int64) + 1
    return back_to_back(list(latencies))


def back_to_back(latencies: Sequence[Int64s], deadline_ns: int = 0) -> SliceSamples:
    """Clients whose redos follow each other without a pause: a turn is as long as its call."""
    return SliceSamples(
        start_ns=np.zeros(len(latencies), dtype=np.int64),
        end_ns=np.array([own.sum() for own in latencies], dtype=np.int64),
        redos=np.array([own.size for own in latencies], dtype=np.int64),
        latency_ns=np.concatenate(latencies),
        deadline_ns=deadline_ns,
        redo_end_ns=np.concatenate([own.cumsum() for own in latencies]),
    )


def steady_record(case: Case, number: int = 0, *, latency_ns: int = 50_000) -> RunRecord:
    """A run of two steady slices of 20 redos per client."""
    one = steady_slice(case.clients, 20, latency_ns)
    return RunRecord(case, number, (one, one), USAGE, ((20, 60e-6),))


@dataclass(frozen=True, slots=True)
class Model:
    """How the made-up machine treats a manager."""

    own_s: float
    per_client_s: float

    def latency_s(self, service_s: float, clients: int) -> float:
        """Median latency at N clients."""
        return self.own_s + (service_s + self.per_client_s) * clients


MODELS = {
    "sync": Model(own_s=8e-6, per_client_s=7e-6),
    "async": Model(own_s=16e-6, per_client_s=1e-6),
    "async-uvloop": Model(own_s=12e-6, per_client_s=0.6e-6),
    "floor": Model(own_s=4e-6, per_client_s=0.2e-6),
}
SERVICE_S = {"ping": 1e-6, "short": 5e-6, "medium": 90e-6}


def modelled_records(
    managers: Iterable[str],
    workloads: Iterable[str],
    clients: Sequence[int],
    rounds: int,
    *,
    child: str = "c",
    drift: float = 0.05,
) -> list[RunRecord]:
    """Runs of the made-up machine; ``drift`` disturbs each round as a whole, all cases alike."""
    rng = np.random.default_rng(1)
    workloads, managers = list(workloads), list(managers)
    records = []
    for number in range(rounds):
        disturbance = 1 + drift * rng.standard_normal()
        for workload in workloads:
            for manager in managers:
                for n in clients:
                    median_s = MODELS[manager].latency_s(SERVICE_S[workload], n) * disturbance
                    own = 1 + drift / 5 * rng.standard_normal()
                    slices = tuple(noisy_slice(n, 40, median_s * own * 1e9, rng) for _ in range(3))
                    case = Case(manager, workload, n, child)
                    records.append(RunRecord(case, number, slices, USAGE))
    return records


def save(
    path: Path,
    records: Iterable[RunRecord],
    failures: Iterable[FailedRun] = (),
    environment: Environment = ENVIRONMENT,
) -> Path:
    """A result file of these runs."""
    if not path.parent.exists():  # as run makes results/
        path.parent.mkdir(parents=True)
    result = ResultFile(path, environment)
    for record in records:
        result.add(record)
    for failure in failures:
        result.add_failure(failure)
    result.save()
    return path


def reading(summary: Summary) -> Reading:
    """The summary as everything that shows it takes it, with the views of all experiments."""
    return Reading.of(summary, VIEWS)


def peer_record() -> RunRecord:
    """20 us per redo at N = 8; no latency and no CPU is known of a peer."""
    one = SliceSummary(clients=8, redos=400, wall_ns=1_000_000, clients_ns=8_000_000)
    return RunRecord(Case("peer:mine", "short", 8), 0, (one,))


def summary_of(
    folder: Path,
    records: Iterable[RunRecord],
    failures: Iterable[FailedRun] = (),
    environment: Environment = ENVIRONMENT,
) -> Summary:
    """What a result of these runs says."""
    path = folder / "r.json"
    path.unlink(missing_ok=True)  # a test may make several, one after the other
    return load_summary(save(path, records, failures, environment))


def with_pipes(record: RunRecord, to_child: int, from_child: int | None = None) -> RunRecord:
    """The run of a manager whose pipes have these sizes, by default the same both ways."""
    sizes = (to_child, to_child if from_child is None else from_child)
    facts = dict(zip(PIPE_FACTS, sizes, strict=True))
    return replace(record, worker_metadata={**record.worker_metadata, **facts})


def without_turn(record: RunRecord) -> RunRecord:
    """The run as a worker of an older version sends it."""
    slices = (replace(one, redo_end_ns=None) for one in record.samples)
    return replace(record, slices=tuple(slices))
