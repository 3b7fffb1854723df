"""Named baselines and combined results on the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench.results.result_file import ResultFile
from tests.support.made_up_runs import RUN, Bench

QUICK = f"{RUN} --rounds 4"


def measured(bench: Bench, *options: str) -> str:
    """What the command printed that measured a result."""
    status, out, err = bench([*QUICK.split(), *options])
    assert status == 0, err
    bench.ran.clear()
    return out


@pytest.fixture
def before(bench: Bench) -> Path:
    """A result that was saved as `before`."""
    measured(bench, "--save-as", "before")
    return bench.folder / "results" / "baselines" / "before.json"


# --- Saving under a name --------------------------------------------------------------------------


def test_a_result_is_saved_under_a_name(bench: Bench) -> None:
    out = measured(bench, "--save-as", "before", "--report")
    path = bench.folder / "results" / "baselines" / "before.json"
    assert out.splitlines()[-2:] == [str(path), str(path.with_suffix(".html"))]
    assert ResultFile.load(path).rounds() == (1, 2, 3, 4)


def test_a_name_is_not_given_twice_without_force(bench: Bench, before: Path) -> None:
    line = bench.refuses(f"{QUICK} --save-as before")
    assert f"{before}: is there already" in line
    assert "--force" in line
    old = before.read_bytes()
    measured(bench, "--save-as", "before", "--force")
    assert before.read_bytes() != old


def test_a_saved_result_can_be_resumed(bench: Bench, before: Path) -> None:
    assert bench(f"run --resume {before} --rounds 5")[0] == 0
    assert ResultFile.load(before).rounds() == (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--save-as a -o b.json", "not allowed with argument"),
        ("--save-as", "--save-as: expected one argument"),
        ("--save-as=", "--save-as '': a name has 1 to 200 bytes"),
        ("--save-as=-a", "--save-as '-a': a name does not begin with -"),
        ("--save-as a/b", "--save-as 'a/b': a name has no /"),
        ("--save-as latest", "--save-as 'latest': that is the newest result"),
        ("--save-as a.json", "--save-as 'a.json': only the names of files end in .json"),
    ],
)
def test_what_is_refused_before_anything_is_measured(options: str, says: str, bench: Bench) -> None:
    assert says in bench.refuses(f"{QUICK} {options}")


def test_a_resumed_result_keeps_its_name(bench: Bench, before: Path) -> None:
    assert "leave out --save-as" in bench.refuses(f"run --resume {before} --save-as after")


def test_the_saved_names_are_listed(bench: Bench, before: Path) -> None:
    measured(bench, "--save-as", "after this")
    measured(bench)
    broken = before.with_name("broken.json")
    broken.write_text("{")
    environment = ResultFile.load(before).environment
    status, out, err = bench("list --saved")
    assert (status, err) == (0, "")
    one, other, third = out.splitlines()
    assert one.startswith("after this  ")
    assert other == f"before      {environment.suite_date}  {environment.version}"
    assert third.startswith("broken      cut short")


def test_no_saved_names(bench: Bench) -> None:
    assert bench("list --saved") == (
        *(0, ""),
        "no saved names: `run --save-as NAME` saves a result under one\n",
    )
    assert "not allowed with argument" in bench.refuses("list --saved --profiles")


# --- Where results are named ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "show before",
        "show before --json",
        "compare before before",
        "compare before latest",
        "plot before --format svg",
        "report before",
        "history",
    ],
)
def test_commands_find_a_saved_name(command: str, bench: Bench, before: Path) -> None:
    status, out, err = bench(command)
    assert status == 0, err
    wanted = "sync/short/n=1" if command == "history" else "before"
    assert wanted in out


def test_a_result_alone_is_compared_with_the_latest(bench: Bench, before: Path) -> None:
    measured(bench)
    (newest,) = (bench.folder / "results").glob("*.json")
    os.utime(before, (1, 1))
    assert bench("compare before") == bench(f"compare {before} {newest}")


def test_the_latest_result_is_not_compared_with_itself_unnoticed(
    bench: Bench, before: Path
) -> None:
    status, _, err = bench("compare before")
    assert (status, err) == (0, f"walredo-bench: both are {before}: nothing can differ\n")


def test_an_unknown_name_says_where_names_are_listed(bench: Bench, before: Path) -> None:
    assert "`list --saved`" in bench.refuses("show befor")


# --- Several sessions -----------------------------------------------------------------------------


@pytest.fixture
def sessions(bench: Bench) -> tuple[str, str, str, str]:
    """Four sessions of the same code."""
    names = ("a.json", "b.json", "c.json", "d.json")
    for name in names:
        measured(bench, "-o", name)
    return names


def test_show_combines_sessions(bench: Bench, sessions: tuple[str, ...]) -> None:
    status, out, err = bench("show a.json b.json --combine")
    assert (status, err) == (0, "")
    assert out.startswith("a.json + b.json\n")
    assert "2 sessions, 4 + 4 rounds" in " ".join(out.split())
    data = json.loads(bench("show a.json b.json c.json --combine --json")[1])
    assert data["rounds"] == list(range(1, 13))
    assert [one["file"] for one in data["sessions"]] == ["a.json", "b.json", "c.json"]
    assert json.loads(bench("show a.json --combine --json")[1])["sessions"] == []


def test_each_side_of_a_comparison_may_be_combined(bench: Bench, sessions: tuple[str, ...]) -> None:
    status, out, err = bench("compare a.json,b.json c.json,d.json --combine")
    assert (status, err) == (0, "")
    assert " ".join(out.split()).count("2 sessions, 4 + 4 rounds") == 2
    assert out.startswith("a.json + b.json (")
    data = json.loads(bench("compare a.json b.json,c.json,d.json --combine --json")[1])
    assert data["base"]["sessions"] == []
    assert len(data["changed"]["sessions"]) == 3
    (case,) = data["cases"]
    assert case["measures"]["time_per_redo_s"]["units"] == [4, 12]


def test_a_combined_side_can_be_the_baseline(bench: Bench, sessions: tuple[str, ...]) -> None:
    command = "compare a.json c.json,d.json --combine --baseline d.json,c.json"
    assert bench(command)[1].startswith("c.json + d.json (")
    assert "is none of the results" in bench.refuses(
        "compare a.json c.json,d.json --combine --baseline c.json"
    )


def test_plot_and_report_combine_sessions(bench: Bench, sessions: tuple[str, ...]) -> None:
    status, out, err = bench("plot a.json b.json --combine --format svg -o both")
    assert (status, err) == (0, "")
    assert "2 sessions, 4 + 4 rounds" in Path(out.split()[0]).read_text()
    assert bench("report a.json b.json --combine -o both.html")[0] == 0
    page = Path("both.html").read_text()
    assert "2 sessions, 4 + 4 rounds" in page
    assert "a.json + b.json" in page


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("show a.json b.json other.json --combine", "other.json: cannot be combined with a.json ("),
        ("show a.json other.json --combine", "(seed: 1 | 8"),
        ("report a.json other.json --combine", "(seed: 1 | 8"),
        ("plot a.json other.json --combine", "(seed: 1 | 8"),
        ("compare b.json a.json,other.json --combine", "(seed: 1 | 8"),
        ("show a.json a.json --combine", "is named twice"),
        ("show a.json nothing.json --combine", "nothing.json: no such file"),
        ("compare a.json a.json,b.json --combine", "a.json: is on both sides"),
        ("compare a.json,b.json c.json", "a.json,b.json: no such file"),
        ("plot a.json b.json", "or --combine several"),
    ],
)
def test_what_cannot_be_combined(
    command: str, says: str, bench: Bench, sessions: tuple[str, ...]
) -> None:
    measured(bench, "-o", "other.json", "--seed", "8")
    assert says in bench.refuses(command)
