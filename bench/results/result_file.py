"""The result file of a suite: gathers runs round by round, saves them, and can be continued.

The file is a pyperf suite (``python -m pyperf show`` and the others work on it); ``keys`` describes
what it holds beyond pyperf's own, ``pyperf_run`` fills that in and ``suite_file`` reads and writes
it. pyperf has no place for a run without a value, so failed runs are a JSON list, ``redo_failed``,
in the metadata that all runs share.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pyperf

from bench.cases.case import Case
from bench.errors import CaseError, ResultFileError
from bench.results.environment import Environment, short_commit
from bench.results.key import Value
from bench.results.pyperf_run import to_pyperf_run
from bench.results.record import FailedRun, RunRecord, Usage
from bench.results.suite_file import read_suite, write_suite

__all__ = [
    "Environment",
    "FailedRun",
    "ResultFile",
    "RunRecord",
    "Usage",
    "common_metadata",
    "default_name",
    "failed_runs",
    "to_pyperf_run",
]

_FAILED = "redo_failed"

# A suite may be continued on another day, not on another machine or with other code.
_FREE_TO_DIFFER = frozenset({"redo_suite_date"})


def default_name(now_utc: datetime, commit: str | None, dirty: bool | None, number: int = 1) -> str:
    """Name of a result file: ``20261123T120542Z-1a2b3c4.json``, so that names sort by date.

    ``-dirty`` follows the commit if the tree differed from it; ``nocommit`` stands for no commit.
    ``number``, from 2 on, ends the name of a further suite of the same second: ``...-2.json``.
    ``now_utc`` must know its time zone (ValueError).
    """
    if now_utc.tzinfo is None:
        raise ValueError(f"{now_utc} has no time zone")
    stamp = now_utc.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    further = "" if number == 1 else f"-{number}"
    return f"{stamp}-{short_commit(commit, dirty)}{further}.json"


class ResultFile:
    """The runs of one suite and the file that they are saved in. Not for several threads at once.

    A new one holds no runs and refuses a path where a file is, unless ``overwrite``; ``load`` goes
    on with an older file. Nothing is on disk before the first ``save``.
    """

    def __init__(self, path: Path, environment: Environment, *, overwrite: bool = False) -> None:
        if path.exists() and not overwrite:
            raise ResultFileError(
                path,
                "is there already: resume it (--resume), overwrite it (--force), or name another",
            )
        self._path = path
        self._environment = environment
        self._runs: dict[Case, dict[int, pyperf.Run]] = {}
        self._failures: list[FailedRun] = []

    @classmethod
    def load(cls, path: Path) -> ResultFile:
        """Take up an older file, to go on with it. Raises ResultFileError."""
        suite = read_suite(path)
        metadata = common_metadata(suite)
        result = cls(path, Environment.from_metadata(metadata), overwrite=True)
        result._failures.extend(failed_runs(path, metadata))
        for benchmark in suite:
            runs = result._runs.setdefault(Case.parse(benchmark.get_name()), {})
            for run in benchmark.get_runs():
                run_metadata = run.get_metadata()
                # Kept once, in the list of failures; a stale copy would be written back.
                run_metadata.pop(_FAILED, None)
                runs[run_metadata["redo_round"]] = _with_metadata(run, run_metadata)
        return result

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def environment(self) -> Environment:
        """What the suite was started on and with; a resumed suite keeps its own."""
        return self._environment

    @property
    def failures(self) -> tuple[FailedRun, ...]:
        """The runs that gave no result, in the order in which they failed."""
        return tuple(self._failures)

    @property
    def run_count(self) -> int:
        """How many runs there are, without the failed ones."""
        return sum(len(runs) for runs in self._runs.values())

    def check_resumable(self, environment: Environment) -> None:
        """Raise ResultFileError if the suite cannot go on in this environment, and say why."""
        old, new = self._environment.to_metadata(), environment.to_metadata()
        differing = sorted(
            key.removeprefix("redo_")
            for key in (old.keys() | new.keys()) - _FREE_TO_DIFFER
            if old.get(key) != new.get(key)
        )
        if differing:
            raise ResultFileError(
                self._path,
                f"was measured with another {', '.join(differing)}: its rounds and new ones would"
                " not compare; go back to that, or start a new file",
            )

    def add(self, record: RunRecord) -> None:
        """Add a run to its round. Raises ResultFileError if it cannot stand beside the others.

        ValueError if there is such a run already: each case runs once in a round.
        """
        runs = self._runs.get(record.case, {})
        if record.round in runs:
            raise ValueError(f"round {record.round} has a run of {record.case.name} already")
        run = to_pyperf_run(record, self._environment)
        if runs:
            first = next(iter(runs.values()))
            try:
                pyperf.Benchmark([first, run])
            except ValueError as error:
                raise ResultFileError(
                    self._path,
                    f"cannot take a run of {record.case.name} ({error}): start a new file",
                ) from error
        self._runs.setdefault(record.case, {})[record.round] = run

    def add_failure(self, failure: FailedRun) -> None:
        """Remember a run that gave no result, so that it shows wherever results are shown."""
        self._failures.append(failure)

    def rounds(self) -> tuple[int, ...]:
        """The rounds that have a run or a failed run, in ascending order."""
        return tuple(sorted({number for _, number in self._attempted()}))

    def complete_rounds(self, cases: Iterable[Case]) -> tuple[int, ...]:
        """The rounds in which each of the cases was run or failed, in ascending order."""
        wanted, attempted = set(cases), self._attempted()
        return tuple(
            number
            for number in self.rounds()
            if all((case, number) in attempted for case in wanted)
        )

    def pending(self, cases: Iterable[Case], rounds: Iterable[int]) -> list[tuple[int, Case]]:
        """What is neither run nor failed yet: (round, case), rounds first, cases as given."""
        wanted, attempted = list(cases), self._attempted()
        return [
            (number, case)
            for number in rounds
            for case in wanted
            if (case, number) not in attempted
        ]

    def drop_round(self, number: int) -> int:
        """Forget a round, to run all of it again; returns how many runs and failures went."""
        before = self.run_count + len(self._failures)
        for runs in self._runs.values():
            runs.pop(number, None)
        self._failures = [one for one in self._failures if one.round != number]
        return before - self.run_count - len(self._failures)

    def suite(self) -> pyperf.BenchmarkSuite:
        """The suite as it is saved. Raises ResultFileError while no run has given a result."""
        benchmarks = [
            pyperf.Benchmark([runs[number] for number in sorted(runs)])
            for _, runs in sorted(self._runs.items())
            if runs
        ]
        if not benchmarks:
            raise ResultFileError(self._path, f"nothing to save: {self._why_empty()}")
        if self._failures:
            failed = {_FAILED: _failures_json(self._failures)}
            for benchmark in benchmarks:
                benchmark.update_metadata(failed)
        return pyperf.BenchmarkSuite(benchmarks)

    def save(self) -> Path:
        """Write the file atomically and return its path; an older file is never damaged.

        Raises ResultFileError, also while no run has given a result.
        """
        write_suite(self._path, self.suite())
        return self._path

    def rescue(self) -> Path | None:
        """Write the file, which cannot be saved in its place, to a new folder for temporary files.

        None if that takes it neither.
        """
        try:
            folder = Path(tempfile.mkdtemp(prefix="walredo-bench-rescued-"))
        except OSError:
            return None
        path = folder / self._path.name
        try:
            write_suite(path, self.suite())
        except ResultFileError:
            folder.rmdir()
            return None
        return path

    def _attempted(self) -> set[tuple[Case, int]]:
        ran = {(case, number) for case, runs in self._runs.items() for number in runs}
        return ran | {(one.case, one.round) for one in self._failures}

    def _why_empty(self) -> str:
        if not self._failures:
            return "no case was run"
        first = self._failures[0]
        count = len(self._failures)
        return f"all {count} runs failed, the first, {first.case.name}, with: {first.reason}"


def common_metadata(suite: pyperf.BenchmarkSuite) -> Mapping[str, Value]:
    """The metadata that all runs of a suite share."""
    metadata: dict[str, Value] = suite.get_metadata()
    return metadata


def failed_runs(path: Path, metadata: Mapping[str, Value]) -> tuple[FailedRun, ...]:
    """The failed runs of a suite from the metadata that its runs share. Raises ResultFileError."""
    try:
        return tuple(
            FailedRun(Case.parse(one["case"]), int(one["round"]), str(one["reason"]))
            for one in json.loads(str(metadata.get(_FAILED, "[]")))
        )
    except (ValueError, TypeError, KeyError, CaseError) as error:
        raise ResultFileError(
            path, f"its {_FAILED} cannot be read ({error}): take the file from a backup"
        ) from error


def _failures_json(failures: Iterable[FailedRun]) -> str:
    return json.dumps(
        [{"case": one.case.name, "round": one.round, "reason": one.reason} for one in failures]
    )


def _with_metadata(run: pyperf.Run, metadata: Mapping[str, Value]) -> pyperf.Run:
    return pyperf.Run(
        run.values, warmups=run.warmups, metadata=dict(metadata), collect_metadata=False
    )
