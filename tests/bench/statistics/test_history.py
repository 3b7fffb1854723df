"""Results of known code, dates and machines: what `history` makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.cli import history as cli_history
from bench.errors import PictureError
from bench.results.environment import Environment
from bench.results.record import FailedRun
from bench.results.summary import MEASURE_NAMES, load_summary
from bench.show.pictures import figures
from bench.show.pictures.history import MOST_CASES, draw
from bench.statistics.history import Dated, Series, dated, history, in_order
from tests.support.checkouts import git
from tests.support.made_up_runs import Bench
from tests.support.synthetic import ENVIRONMENT, peer_record, save, steady_record, with_pipes

CASE = Case("async", "short", 8)
TIME = MEASURE_NAMES["time-per-redo"]
A, B, C, UNKNOWN = ("a" * 40, "b" * 40, "c" * 40, "f" * 40)
DATES: Mapping[str, datetime] = {
    A: datetime(2026, 3, 1, 12, tzinfo=UTC),
    B: datetime(2026, 3, 2, 12, tzinfo=UTC),
    C: datetime(2026, 3, 3, 12, tzinfo=UTC),
}
OTHER_KERNEL = replace(ENVIRONMENT, kernel="Linux 6.12.0")


def result(
    folder: Path,
    name: str,
    commit: str | None,
    latency_ns: int,
    *cases: Case,
    environment: Environment = ENVIRONMENT,
    dirty: bool = False,
    suite_date: str = "2026-04-01T00:00:00+00:00",
) -> Path:
    """Three runs of each case, of exactly that time per redo (but for the first: 2 % less)."""
    runs = [
        steady_record(case, n, latency_ns=latency_ns * (100 if n else 98) // 100)
        for case in cases or (CASE,)
        for n in range(3)
    ]
    made_on = replace(environment, git_commit=commit, git_dirty=dirty, suite_date=suite_date)
    return save(folder / f"{name}.json", runs, environment=made_on)


def read(*paths: Path) -> list[Dated]:
    found = [dated(load_summary(path), DATES.get) for path in paths]
    return [one for one in found if one is not None]


def sources(results: list[Dated]) -> list[str]:
    return [one.summary.source.removesuffix(".json") for one in results]


def only(results: list[Dated], measure: str = TIME) -> Series:
    (series,) = history(results, measure)
    return series


# --- Order and dates ------------------------------------------------------------------------------


def test_the_age_of_the_code_counts_and_not_when_it_was_measured(tmp_path: Path) -> None:
    results = read(
        result(tmp_path, "measured-first", C, 1000, suite_date="2026-04-01T00:00:00+00:00"),
        result(tmp_path, "measured-last", A, 1000, suite_date="2026-04-03T00:00:00+00:00"),
        result(tmp_path, "between", B, 1000, suite_date="2026-04-02T00:00:00+00:00"),
    )
    assert sources(in_order(results)) == ["measured-last", "between", "measured-first"]
    assert [one.date for one in in_order(results)] == list(DATES.values())
    assert all(one.by_commit for one in results)


def test_a_dirty_tree_is_later_than_its_commit(tmp_path: Path) -> None:
    results = read(
        result(tmp_path, "next", C, 1000),
        result(tmp_path, "dirty", B, 1000, dirty=True, suite_date="2026-04-01T00:00:00+00:00"),
        result(tmp_path, "again", B, 1000, suite_date="2026-04-03T00:00:00+00:00"),
        result(tmp_path, "once", B, 1000, suite_date="2026-04-02T00:00:00+00:00"),
    )
    assert sources(in_order(results)) == ["once", "again", "dirty", "next"]


@pytest.mark.parametrize("commit", [None, UNKNOWN])
def test_without_a_known_commit_the_suite_has_a_date(commit: str | None, tmp_path: Path) -> None:
    path = result(tmp_path, "r", commit, 1000, suite_date="2026-04-01T02:00:00+02:00")
    (one,) = read(path)
    assert (one.date, one.by_commit) == (datetime(2026, 4, 1, tzinfo=UTC), False)


def test_what_has_no_date_at_all_is_none(tmp_path: Path) -> None:
    path = result(tmp_path, "r", None, 1000, suite_date="unknown")
    assert dated(load_summary(path), DATES.get) is None
    assert sources(read(result(tmp_path, "k", A, 1000, suite_date="unknown"))) == ["k"]


# --- Points ---------------------------------------------------------------------------------------


def test_points_have_the_known_truth(tmp_path: Path) -> None:
    series = only(
        read(
            result(tmp_path, "a", A, 100_000),
            result(tmp_path, "b", B, 110_000),
            result(tmp_path, "c", C, 55_000),
        )
    )
    assert series.case == CASE
    assert [one.estimate.median for one in series.points] == pytest.approx([1e-4, 1.1e-4, 5.5e-5])
    assert [one.estimate.low for one in series.points] == pytest.approx([9.8e-5, 1.078e-4, 5.39e-5])
    assert [one.change for one in series.points[1:]] == pytest.approx([1.1, 0.5])
    assert series.points[0].change is None
    assert not any(one.differences for one in series.points)


def test_no_ratio_across_a_change_of_the_machine(tmp_path: Path) -> None:
    series = only(
        read(
            result(tmp_path, "a", A, 100_000),
            result(tmp_path, "b", B, 50_000, environment=OTHER_KERNEL),
            result(tmp_path, "c", C, 60_000, environment=OTHER_KERNEL),
        )
    )
    differences = ("kernel: Linux 6.1.0 | Linux 6.12.0",)
    assert [one.differences for one in series.points] == [(), differences, ()]
    assert [one.change for one in series.points] == [None, None, pytest.approx(1.2)]


def test_a_case_is_compared_with_the_last_result_that_has_it(tmp_path: Path) -> None:
    other = Case("sync", "short", 1)
    results = read(
        result(tmp_path, "a", A, 100_000),
        result(tmp_path, "b", B, 70_000, other, environment=OTHER_KERNEL),
        result(tmp_path, "c", C, 50_000, CASE, other),
    )
    first, second = history(results, TIME)
    assert (first.case, second.case) == (CASE, other)
    assert [one.change for one in first.points] == [None, pytest.approx(0.5)]
    assert [bool(one.differences) for one in second.points] == [False, True]


def test_other_pipes_are_a_change_of_their_case_only(tmp_path: Path) -> None:
    other = Case("sync", "short", 1)
    environments = [replace(ENVIRONMENT, git_commit=commit) for commit in (A, B)]
    results = read(
        *(
            save(
                tmp_path / f"{size}.json",
                [with_pipes(steady_record(CASE), size), with_pipes(steady_record(other), 65536)],
                environment=environment,
            )
            for size, environment in zip((1 << 20, 65536), environments, strict=True)
        )
    )
    of_case, of_other = history(results, TIME)
    assert [one.differences for one in of_case.points][1] == (
        f"bytes of pipes: 1048576 | 65536 in {CASE.name}",
    )
    assert of_case.points[1].change is None
    assert of_other.points[1].differences == ()
    assert of_other.points[1].change == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*", ["async/short/n=8", "async/short/n=16", "sync/ping/n=8"]),
        ("async/*", ["async/short/n=8", "async/short/n=16"]),
        ("*/n=8", ["async/short/n=8", "sync/ping/n=8"]),
        ("sync/ping/n=?", ["sync/ping/n=8"]),
        ("async", []),
        ("ASYNC/*", []),
        ("", []),
    ],
)
def test_a_pattern_is_a_glob_over_the_name(pattern: str, names: list[str], tmp_path: Path) -> None:
    cases = (Case("sync", "ping", 8), Case("async", "short", 16), CASE)
    results = read(result(tmp_path, "a", A, 1000, *cases))
    assert [one.case.name for one in history(results, TIME, pattern)] == names


def test_a_result_without_the_measure_has_no_point(tmp_path: Path) -> None:
    peer = save(tmp_path / "p.json", [peer_record()])
    failed = save(tmp_path / "f.json", [steady_record(CASE)], [FailedRun(CASE, 1, "no child")])
    results = read(peer, failed)
    assert [one.case.name for one in history(results, TIME)] == [CASE.name, "peer:mine/short/n=8"]
    assert only(results, MEASURE_NAMES["latency-p99"]).case == CASE


# --- The figure -----------------------------------------------------------------------------------


def svg_of(folder: Path, results: list[Dated], measure: str = TIME) -> str:
    svg, png = draw(history(results, measure), measure, folder / "h")
    assert png.read_bytes().startswith(b"\x89PNG")
    return " ".join(svg.read_text(encoding="utf-8").split())


def test_the_figure_says_what_it_shows(tmp_path: Path) -> None:
    other = replace(OTHER_KERNEL, cpu_model="Other CPU", cpu_count=2, cpu_governor="powersave")
    settings = replace(other, config_json='{"slices":9,"seconds":1}', seed=9)
    results = read(
        result(tmp_path, "a", A, 100_000),
        result(tmp_path, "b", B, 100_000, environment=other),
        result(tmp_path, "c", C, 100_000, dirty=True, environment=other),
        result(tmp_path, "u", UNKNOWN, 100_000, environment=settings),
    )
    svg = svg_of(tmp_path, results)
    for text in (
        CASE.name,
        "time per redo",
        "100 us",
        "aaaaaaa",
        "2026-03-01",
        "fffffff",
        "2026-04-01",
        "CPU, kernel",
        "seed, slices +1",
        "uncommitted changes",
        "other conditions",
        "spread between runs",
    ):
        assert f">{text}</text>" in svg, text
    assert "4 results by date of the commit (1 by that of the suite)" in svg
    assert "the last one on Other CPU, Linux 6.12.0" in svg


def test_the_legend_has_only_what_is_there(tmp_path: Path) -> None:
    svg = svg_of(tmp_path, read(result(tmp_path, "a", A, 100_000)), "throughput_per_s")
    assert "80 k<" in svg
    assert "1 result by date of the commit |" in svg
    assert "uncommitted" not in svg
    assert "other conditions" not in svg


def test_many_results_have_few_names(tmp_path: Path) -> None:
    results = read(*(result(tmp_path, f"r{n:02}", A, 100_000 + n) for n in range(23)))
    svg = svg_of(tmp_path, results)
    assert 5 <= svg.count(">2026-03-01</text>") <= 10


def test_the_same_history_gives_the_same_bytes(tmp_path: Path) -> None:
    series = history(read(result(tmp_path, "a", A, 1000), result(tmp_path, "b", B, 900)), TIME)
    first = [path.read_bytes() for path in draw(series, TIME, tmp_path / "x")]
    assert [path.read_bytes() for path in draw(series, TIME, tmp_path / "y")] == first


def test_pictures_that_are_there_are_kept(tmp_path: Path) -> None:
    series = history(read(result(tmp_path, "a", A, 1000)), TIME)
    (tmp_path / "h-time-per-redo.png").write_text("mine")
    with pytest.raises(PictureError, match=r"time-per-redo\.png: is there already: use --force"):
        draw(series, TIME, tmp_path / "h")
    assert not (tmp_path / "h-time-per-redo.svg").exists()
    assert len(draw(series, TIME, tmp_path / "h", force=True)) == 2


def test_too_many_cases_for_a_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [Case("sync", "short", n + 1) for n in range(MOST_CASES + 1)]
    series = history(read(result(tmp_path, "a", A, 1000, *cases)), TIME)
    with pytest.raises(PictureError, match="25 cases are too many for a figure, 24 the most"):
        draw(series, TIME, tmp_path / "h")
    monkeypatch.setattr(figures, "FORMATS", ("svg",))
    draw(series[:MOST_CASES], TIME, tmp_path / "h")


# --- The command ----------------------------------------------------------------------------------


@pytest.fixture
def results(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of two commits with a result of each in its results/, the older one measured
    last, one of an unknown commit on another kernel, and two that are left out."""
    checkout = bench.folder / "checkout"
    checkout.mkdir()
    git(checkout, "init", "-q")
    commits = []
    for date in ("2026-03-01T23:30:00-02:00", "2026-03-05T12:00:00+00:00"):
        monkeypatch.setenv("GIT_COMMITTER_DATE", date)
        git(checkout, "commit", "-q", "--allow-empty", "-m", date)
        commits.append(git(checkout, "rev-parse", "HEAD"))
    monkeypatch.setattr(cli_history, "ROOT", checkout)
    folder = bench.folder / "results"
    other = Case("sync", "short", 1)
    result(folder, "old", commits[0], 100_000, CASE, other, suite_date="2026-04-09T00:00:00+00:00")
    result(folder, "new", commits[1], 110_000, dirty=True)
    result(folder, "else", UNKNOWN, 50_000, environment=OTHER_KERNEL)
    result(folder, "ab-base", commits[0], 1000, environment=replace(ENVIRONMENT, ab="x"))
    (folder / "foreign.json").write_text('{"results": []}')
    (folder / "notes.txt").write_text("no result")
    return folder


def test_without_a_pattern_cases_are_listed(results: Path, bench: Bench) -> None:
    status, out, err = bench("history")
    assert status == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines == [["case", "results"], [CASE.name, "3"], ["sync/short/n=1", "1"]]
    foreign, sides = err.splitlines()
    assert foreign.startswith(f"left out: {results / 'foreign.json'}: JSON, but not in pyperf's")
    assert sides == "left out: 1 side of A/B measurements (--ab takes them in)"


def test_the_table(results: Path, bench: Bench) -> None:
    status, out, _ = bench("history --case async/*")
    assert status == 0
    lines = out.splitlines()
    start = [line.strip() for line in lines].index(CASE.name)
    rows = [line.split() for line in lines[start + 1 : start + 5]]
    assert rows[0] == ["date", "commit", "median", "+-", "change"]
    assert rows[1][:2] == ["2026-03-02", "01:30"]
    assert rows[1][3:] == ["100", "us", "1%", "-"]
    assert rows[2][2].endswith("-dirty")
    assert rows[2][3:] == ["110", "us", "1%", "+10.0%"]
    last = " ".join(" ".join(lines[start + 4 : start + 6]).split())
    assert last == "2026-04-01 00:00 fffffff 50.0 us 1% - date of the suite changed: kernel"
    assert max(map(len, lines)) <= 80


def test_as_json(results: Path, bench: Bench) -> None:
    status, out, _ = bench("history --json --case async/*")
    assert status == 0
    data = json.loads(out)
    assert (data["version"], data["measure"]) == (1, "time_per_redo_s")
    (case,) = data["cases"]
    assert case["case"] == CASE.name
    first, second, third = case["points"]
    assert first["source"] == "old.json"
    assert first["date"] == "2026-03-02T01:30:00+00:00"
    assert first["median"] == pytest.approx(1e-4)
    assert (first["date_of"], first["dirty"], first["runs"]) == ("commit", False, 3)
    assert (first["change"], first["differences"]) == (None, [])
    assert (second["dirty"], second["change"]) == (True, pytest.approx(1.1))
    assert (third["date_of"], third["commit"], third["change"]) == ("suite", UNKNOWN, None)
    assert third["differences"] == ["kernel: Linux 6.1.0 | Linux 6.12.0"]
    everything = json.loads(bench("history --json")[1])
    assert [len(one["points"]) for one in everything["cases"]] == [3, 1]


def test_sides_of_an_ab_when_told(results: Path, bench: Bench) -> None:
    _, out, err = bench("history --ab")
    assert "A/B" not in err
    assert out.split()[-4:-2] == [CASE.name, "4"]


def test_a_folder_that_is_named_and_files_that_are_compressed(bench: Bench) -> None:
    folder = bench.folder / "elsewhere"
    save(folder / "r.json.gz", [steady_record(CASE)])
    status, out, err = bench("history elsewhere")
    assert (status, err) == (0, "")
    assert out.split()[-2:] == [CASE.name, "1"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", "results/history-latency-p99"),
        ("-o pictures", "pictures/history-latency-p99"),
        ("-o mine", "mine-latency-p99"),
    ],
)
def test_it_is_drawn_where_it_is_told(
    options: str, expected: str, results: Path, bench: Bench
) -> None:
    (bench.folder / "pictures").mkdir()
    command = f"history --case * --measure latency-p99 --plot {options}"
    status, out, _ = bench(command)
    assert status == 0
    written = [bench.folder / line for line in out.splitlines()[-2:]]
    assert written == [bench.folder / f"{expected}.{kind}" for kind in ("svg", "png")]
    assert all(path.stat().st_size for path in written)
    if not options:
        assert bench(command)[:2] == (2, "")
        assert bench(f"{command} --force")[0] == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--measure p99x", "unknown measure"),
        ("--measure zzz", f"({', '.join(MEASURE_NAMES)})"),
        ("--measure latency-p9", 'did you mean "latency-p9'),
        ("--case sink/*", "--case 'sink/*': none of the 1 cases is called so"),
        (
            "--case peer* --measure latency-p99",
            "--measure latency-p99: no result has it",
        ),
        ("--plot", "--plot: of which cases? Give --case"),
        ("-o x", "--output is where --plot draws to"),
        ("--json --plot --case *", "not allowed with"),
        ("empty", "no result in empty: make one with `run`, or name another folder"),
        ("absent", "no result in absent"),
    ],
)
def test_bad_usage_is_one_line(options: str, says: str, bench: Bench) -> None:
    save(bench.folder / "results" / "p.json", [peer_record()])
    (bench.folder / "empty").mkdir()
    assert says in bench.refuses(f"history {options}")


def test_no_results_at_all(bench: Bench) -> None:
    assert f"no result in {bench.folder / 'results'}" in bench.refuses("history")


def test_what_cannot_be_read_or_dated_is_named_and_skipped(bench: Bench) -> None:
    folder = bench.folder / "results"
    good = result(folder, "good", None, 1000)
    (folder / "cut.json").write_bytes(good.read_bytes()[:200])
    (folder / "dangling.json").symlink_to(folder / "gone")
    result(folder, "undated", None, 1000, suite_date="unknown")
    status, out, err = bench("history")
    assert status == 0
    assert out.split()[-2:] == [CASE.name, "1"]
    cut, dangling, undated = err.splitlines()
    assert "cut.json: cut short" in cut
    assert "dangling.json: no such file" in dangling
    assert undated.endswith("undated.json: neither its commit nor its date is known")
