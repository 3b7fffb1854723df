"""The figure of a comparison: what its cells are, and that it is only drawn when it may be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from bench.cases.case import Case
from bench.errors import PictureError
from bench.results.record import FailedRun
from bench.results.summary import load_summary
from bench.show.pictures.comparison import comparison_figure, draw_comparison, finding, panels
from bench.statistics.comparison import Comparison, compare
from tests.support.made_up_runs import Bench
from tests.support.synthetic import save, steady_record

SLOWER = {("async", "short", 8): 1.5}
CASES = [
    Case(manager, workload, n)
    for manager in ("sync", "async")
    for workload in ("short", "medium")
    for n in (1, 8)
]


def result(
    path: Path,
    factors: Mapping[tuple[str, str, int], float],
    *,
    rounds: int = 5,
    without: Case | None = None,
) -> Path:
    random = np.random.default_rng(len(path.name))
    base_ns = {"short": 50_000, "medium": 90_000}
    records = [
        steady_record(
            case,
            number,
            latency_ns=round(
                base_ns[case.workload]
                * factors.get((case.manager, case.workload, case.clients), 1.0)
                * random.normal(1, 0.01)
            ),
        )
        for number in range(rounds)
        for case in CASES
        if case != without
    ]
    failures = [] if without is None else [FailedRun(without, 0, "no child")]
    return save(path, records, failures)


def two_results(folder: Path, *, rounds: int = 5, without: Case | None = None) -> tuple[Path, Path]:
    return (
        result(folder / "b.json", {}, rounds=rounds),
        result(folder / "changed.json", SLOWER, rounds=rounds, without=without),
    )


def compared(folder: Path, *, rounds: int = 5, without: Case | None = None) -> Comparison:
    base, changed = two_results(folder, rounds=rounds, without=without)
    return compare(load_summary(base), load_summary(changed))


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Five rounds of every case."""
    return compared(tmp_path_factory.mktemp("two"))


def cells(axes: Axes) -> dict[tuple[float, float], Rectangle]:
    """By place: N from left to right, workloads from top to bottom."""
    found = [one for one in axes.patches if isinstance(one, Rectangle)]
    return {(one.get_x() + 0.5, one.get_y() + 0.5): one for one in found}


def test_a_cell_per_workload_and_n_of_each_manager(comparison: Comparison) -> None:
    sync, other = panels(comparison)
    assert (sync.workloads, sync.clients) == (("short", "medium"), (1, 8))
    assert re.fullmatch(r"async: 1 slower \(up to 1\.(49|50|51)x\), 3 same", finding(other))
    assert finding(sync) == "sync: 4 same"
    axes = comparison_figure(comparison).axes
    numbers = {text.get_position(): text for text in axes[1].texts}
    assert set(numbers) == {(0, 0), (1, 0), (0, 1), (1, 1)}
    assert float(numbers[1, 0].get_text()) == pytest.approx(1.5, abs=0.03)
    assert numbers[1, 0].get_fontweight() == "bold"
    assert numbers[0, 0].get_fontweight() == "normal"
    red, green, blue, _ = to_rgba(cells(axes[1])[1, 0].get_facecolor())
    assert red > max(green, blue)
    red, green, blue, _ = to_rgba(cells(axes[1])[0, 0].get_facecolor())
    assert red == pytest.approx(blue, abs=0.1)
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["short", "medium"]


def test_what_does_not_decide_is_hatched(comparison: Comparison, tmp_path: Path) -> None:
    unsure = compared(tmp_path, rounds=1)
    figure = comparison_figure(unsure)
    assert finding(panels(unsure)[0]) == "sync: 4 inconclusive"
    assert all(one.get_hatch() for one in cells(figure.axes[0]).values())
    sure = comparison_figure(comparison)
    assert not any(one.get_hatch() for one in cells(sure.axes[0]).values())


def test_a_case_that_failed_has_no_cell(tmp_path: Path) -> None:
    comparison = compared(tmp_path, without=Case("sync", "medium", 8))
    axes = comparison_figure(comparison).axes[0]
    assert set(cells(axes)) == {(0, 0), (1, 0), (0, 1)}
    assert finding(panels(comparison)[0]) == "sync: 3 same"


def test_nothing_to_draw(tmp_path: Path) -> None:
    case = Case("sync", "short", 1)
    failed = save(
        tmp_path / "f.json",
        [steady_record(Case("floor", "short", 1))],
        [FailedRun(case, 0, "no child")],
    )
    good = save(tmp_path / "g.json", [steady_record(case)])
    with pytest.raises(PictureError, match="nothing to draw"):
        draw_comparison(compare(load_summary(failed), load_summary(good)), tmp_path)


def test_the_same_files_give_the_same_bytes(comparison: Comparison, tmp_path: Path) -> None:
    first, second = (draw_comparison(comparison, tmp_path / name) for name in ("x", "y"))
    assert [path.name for path in first] == ["x-comparison.svg", "x-comparison.png"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


# --- The command ----------------------------------------------------------------------------------


@pytest.fixture
def two(bench: Bench) -> Bench:
    two_results(bench.folder)
    return bench


def test_compare_draws_beside_the_changed_one(two: Bench) -> None:
    status, out, err = two("compare b.json changed.json --plot")
    assert (status, err) == (0, "")
    assert "8 cases: 1 slower" in out
    assert out.split()[-2:] == ["changed-comparison.svg", "changed-comparison.png"]
    refused = two.refuses("compare b.json changed.json --plot")
    assert "changed-comparison.svg: is there already" in refused
    assert two("compare b.json changed.json --plot --force")[0] == 0
    assert two("compare b.json changed.json --plot -o elsewhere")[0] == 0
    assert (two.folder / "elsewhere-comparison.png").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("-o x", "--output is where --plot draws to"),
        ("--plot --json", "not allowed with"),
        ("--plot --csv", "not allowed with"),
    ],
)
def test_bad_usage(options: str, says: str, two: Bench) -> None:
    assert says in two.refuses(f"compare b.json changed.json {options}")
