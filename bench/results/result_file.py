"""The result file of a suite: gathers runs round by round, saves them, and can be continued.

The file is a pyperf suite (``python -m pyperf show`` and its other commands work on it). ``keys``
describes what is in it beyond pyperf's own.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyperf

from bench.cases.case import Case
from bench.cases.config import differences, from_json, override
from bench.errors import ResultFileError
from bench.results.disturbance import disturbed_share
from bench.results.environment import Environment, short_commit
from bench.results.key import Value
from bench.results.pyperf_run import to_pyperf_run
from bench.results.record import DroppedRound, FailedRun, RunRecord, Session
from bench.results.suite_file import (
    DROPPED_CASES,
    DROPPED_ROUNDS,
    FAILED,
    SESSIONS,
    SHARED_LISTS,
    dropped_cases,
    dropped_rounds,
    failed_runs,
    read_suite,
    write_suite,
)

# A suite may be continued on another day, but not on another machine or with other code.
_FREE_TO_DIFFER = frozenset({"redo_suite_date"})
_SAID_OF: Final[Mapping[str, str]] = {
    "cpus_allowed": " ({old}, now {new}; taskset -c LIST sets it)",
    "git_diff_sha256": " (the tree was edited since)",
}
"""What a refusal to resume adds to the names of these facts."""


def default_name(now_utc: datetime, commit: str | None, dirty: bool | None, number: int = 1) -> str:
    """Name of a result file: ``20261123T120542Z-1a2b3c4.json``, so that names sort by date.

    ``-dirty`` follows the commit if the tree differed from it; ``nocommit`` stands for no commit.
    ``number``, from 2 on, ends the name of a further suite of the same second: ``...-2.json``.
    ``now_utc`` must know its time zone (ValueError).
    """
    if now_utc.tzinfo is None:
        raise ValueError(f"{now_utc} has no time zone")
    stamp = now_utc.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{stamp}-{short_commit(commit, dirty)}{_further(number)}.json"


def default_ab_name(now_utc: datetime, number: int = 1) -> str:
    """How the names of the two files of an `ab` begin: ``20261123T120542-ab``. ``number`` as in
    `default_name`."""
    return f"{now_utc.astimezone(UTC):%Y%m%dT%H%M%S}-ab{_further(number)}"


def _further(number: int) -> str:
    return "" if number == 1 else f"-{number}"


class ResultFile:
    """The runs of one suite and the file that they are saved in. Not thread-safe.

    A new one has no runs and refuses the path of an existing file, unless ``overwrite``; ``load``
    continues an older file and keeps its environment. Nothing is on disk before the first ``save``.
    """

    def __init__(self, path: Path, environment: Environment, *, overwrite: bool = False) -> None:
        if path.exists() and not overwrite:
            raise ResultFileError(
                path,
                "is there already: resume it (--resume), overwrite it (--force), or name another",
            )
        self.path = path
        self.environment = environment
        self._runs: dict[Case, dict[int, pyperf.Run]] = {}
        self._failures: list[FailedRun] = []
        self._dropped_cases: list[Case] = []
        self._dropped_rounds: list[DroppedRound] = []
        self._sessions: list[Session] = []

    @classmethod
    def load(cls, path: Path) -> ResultFile:
        """Reads an older file, to continue it. Raises ResultFileError."""
        suite = read_suite(path)
        metadata = suite.get_metadata()
        result = cls(path, Environment.from_metadata(metadata), overwrite=True)
        result._failures.extend(failed_runs(path, metadata))
        result._dropped_cases.extend(dropped_cases(path, metadata))
        result._dropped_rounds.extend(dropped_rounds(path, metadata))
        for benchmark in suite:
            runs = result._runs.setdefault(Case.parse(benchmark.get_name()), {})
            for run in benchmark.get_runs():
                run_metadata = run.get_metadata()
                # The result has these as lists; a stale copy would be written back.
                for key in SHARED_LISTS:
                    run_metadata.pop(key, None)
                runs[run_metadata["redo_round"]] = _with_metadata(run, run_metadata)
        return result

    @property
    def failures(self) -> tuple[FailedRun, ...]:
        """The runs without a result, in the order in which they failed."""
        return tuple(self._failures)

    @property
    def dropped_cases(self) -> tuple[Case, ...]:
        """The cases that were dropped for want of time."""
        return tuple(self._dropped_cases)

    @property
    def run_count(self) -> int:
        """The number of runs, without the failed ones."""
        return sum(len(runs) for runs in self._runs.values())

    def check_resumable(self, environment: Environment) -> None:
        """Raises ResultFileError if the suite cannot be continued in this environment."""
        differing = [
            name + _SAID_OF.get(name, "").format(old=before or "unknown", new=now)
            for name, before, now in _differing(self.environment, environment)
        ]
        if differing:
            raise ResultFileError(
                self.path,
                f"was measured with another {', '.join(differing)}: its rounds and new ones would"
                " not compare; go back to that, or start a new file",
            )

    def add(self, record: RunRecord) -> None:
        """Adds a run to its round. Raises ResultFileError if pyperf cannot put it with the others.

        ValueError if the round already has a run of its case.
        """
        if record.round in self._runs.get(record.case, {}):
            raise ValueError(f"round {record.round} has a run of {record.case.name} already")
        run = to_pyperf_run(record, self.environment)
        self._check_alike(record.case, run)
        self._runs.setdefault(record.case, {})[record.round] = run

    def add_failure(self, failure: FailedRun) -> None:
        """Keeps a run without a result, which is shown wherever results are."""
        self._failures.append(failure)

    def rounds(self) -> tuple[int, ...]:
        """The rounds that have a run or a failed run, ascending."""
        return tuple(sorted({number for _, number in self._attempted()}))

    def complete_rounds(self, cases: Iterable[Case]) -> tuple[int, ...]:
        """The rounds in which each of the cases was run or failed, ascending."""
        wanted, attempted = set(cases), self._attempted()
        return tuple(n for n in self.rounds() if attempted.issuperset((case, n) for case in wanted))

    def drop_round(self, number: int) -> int:
        """Removes a round, so that all of it is run again; returns how many runs and failures."""
        before = self.run_count + len(self._failures)
        for runs in self._runs.values():
            runs.pop(number, None)
        self._failures = [failed for failed in self._failures if failed.round != number]
        return before - self.run_count - len(self._failures)

    def drop_cases(self, cases: Iterable[Case]) -> None:
        """Removes the runs of these cases, and notes that. Their failures stay known."""
        for case in cases:
            self._runs.pop(case, None)
            self._dropped_cases.append(case)

    def disturbed_shares(self, number: int) -> tuple[float, ...]:
        """What others took of the CPUs in each disturbed run of a round; empty if none was."""
        runs = (runs[number] for runs in self._runs.values() if number in runs)
        shares = (disturbed_share(run.get_metadata()) for run in runs)
        return tuple(share for share in shares if share is not None)

    def take_round(self, number: int) -> Mapping[Case, pyperf.Run]:
        """Removes and returns the runs of a round, so that it can be measured again."""
        return {case: runs.pop(number) for case, runs in self._runs.items() if number in runs}

    def put_round(self, number: int, taken: Mapping[Case, pyperf.Run]) -> None:
        """Puts back what `take_round` has returned, in place of what the round has now."""
        self.take_round(number)
        for case, run in taken.items():
            self._runs.setdefault(case, {})[number] = run

    def add_dropped_round(self, dropped: DroppedRound) -> None:
        """Notes that one of two measurements of a round was dropped."""
        self._dropped_rounds.append(dropped)

    def combine(self, other: ResultFile, differing: Sequence[str] = ()) -> None:
        """Takes the rounds of another session, behind its own.

        Raises ResultFileError, which names what differs, if this suite could not have been resumed
        to measure them. ``differing``: conditions of which the caller knows that they differ.
        """
        own, others = (
            from_json(result.environment.config_json, where=str(result.path))
            for result in (self, other)
        )
        agreed = replace(other.environment, config_json=self.environment.config_json)
        differing = list(differing) or [
            *differences(own, others),
            *(f"{name}: {a} | {b}" for name, a, b in _differing(self.environment, agreed)),
        ]
        if self._dates() & other._dates():
            differing = ["both have the same runs"]
        if differing:
            what = f"cannot be combined with {self.path} ({'; '.join(differing)})"
            raise ResultFileError(other.path, what)
        for case, runs in other._runs.items():
            self._check_alike(case, next(iter(runs.values())))
        self._sessions = [*(self._sessions or [self._as_session()]), other._as_session()]
        self.environment = replace(
            self.environment,
            config_json=override(own, rounds=own.rounds + others.rounds).to_json(),
            suite_date=min(self.environment.suite_date, other.environment.suite_date),
        )
        shift = 1 + max(self.rounds()) - min(other.rounds())
        for case, runs in other._runs.items():
            own_runs = self._runs.setdefault(case, {})
            for number, run in runs.items():
                moved = run.get_metadata() | {"redo_round": number + shift}
                own_runs[number + shift] = _with_metadata(run, moved)
        for failed in other._failures:
            self._failures.append(replace(failed, round=failed.round + shift))
        for dropped in other._dropped_rounds:
            self._dropped_rounds.append(replace(dropped, round=dropped.round + shift))
        self._dropped_cases = [case for case in self._dropped_cases if case in other._dropped_cases]

    def suite(self) -> pyperf.BenchmarkSuite:
        """The suite as it is saved. Raises ResultFileError if it has no run."""
        benchmarks = [
            pyperf.Benchmark([runs[number] for number in sorted(runs)])
            for _, runs in sorted(self._runs.items())
            if runs
        ]
        if not benchmarks:
            why = "no case was run"
            if self._failures:
                first, count = self._failures[0], len(self._failures)
                why = f"all {count} runs failed, the first, {first.case.name}, with: {first.reason}"
            raise ResultFileError(self.path, f"nothing to save: {why}")
        failures = [
            {"case": failed.case.name, "round": failed.round, "reason": failed.reason}
            for failed in self._failures
        ]
        shared: dict[str, list[Any]] = {
            FAILED: failures,
            DROPPED_CASES: [case.name for case in self._dropped_cases],
            DROPPED_ROUNDS: [asdict(dropped) for dropped in self._dropped_rounds],
            SESSIONS: [asdict(session) for session in self._sessions],
        }
        metadata: dict[str, Value | None] = {k: json.dumps(v) for k, v in shared.items() if v}
        if self._sessions:
            # Each run has what its own session said of its date and its number of rounds.
            metadata |= self.environment.to_metadata()
        for benchmark in benchmarks:
            benchmark.update_metadata({k: v for k, v in metadata.items() if v is not None})
        return pyperf.BenchmarkSuite(benchmarks)

    def save(self) -> None:
        """Writes the file atomically; an older file is never damaged.

        Raises ResultFileError, also if there is no run.
        """
        write_suite(self.path, self.suite())

    def rescue(self) -> Path | None:
        """Writes the file, which cannot be saved in its place, to a new folder for temporary files.

        None if that fails, too.
        """
        try:
            folder = Path(tempfile.mkdtemp(prefix="walredo-bench-rescued-"))
        except OSError:
            return None
        path = folder / self.path.name
        try:
            write_suite(path, self.suite())
        except ResultFileError:
            folder.rmdir()
            return None
        return path

    def _check_alike(self, case: Case, run: pyperf.Run) -> None:
        """Raises ResultFileError if pyperf cannot put the run with those of its case."""
        for first in list(self._runs.get(case, {}).values())[:1]:
            try:
                pyperf.Benchmark([first, run])
            except ValueError as error:
                what = f"cannot take a run of {case.name} ({error}): it needs a file of its own"
                raise ResultFileError(self.path, what) from error

    def _as_session(self) -> Session:
        return Session(self.path.name, self.environment.suite_date, len(self.rounds()))

    def _dates(self) -> set[Any]:
        """When each run was measured; a copy of it has the same, to the microsecond."""
        found = {
            run.get_metadata().get("date") for runs in self._runs.values() for run in runs.values()
        }
        return found - {None}

    def _attempted(self) -> set[tuple[Case, int]]:
        ran = {(case, number) for case, runs in self._runs.items() for number in runs}
        return ran | {(failed.case, failed.round) for failed in self._failures}


def _differing(old: Environment, new: Environment) -> list[tuple[str, Value | None, Value | None]]:
    """Each fact of which rounds of both would not compare: its name, and what both have."""
    before, now = old.to_metadata(), new.to_metadata()
    return [
        (key.removeprefix("redo_"), before.get(key), now.get(key))
        for key in sorted((before.keys() | now.keys()) - _FREE_TO_DIFFER)
        if before.get(key) != now.get(key)
    ]


def _with_metadata(run: pyperf.Run, metadata: Mapping[str, Value]) -> pyperf.Run:
    return pyperf.Run(run.values, warmups=run.warmups, metadata=metadata, collect_metadata=False)
