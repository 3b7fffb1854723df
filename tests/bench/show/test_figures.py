"""Figures: that they are written, what they say, and that the data make them say it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import pytest
from cycler import cycler

from bench.cases.case import Case
from bench.errors import PictureError
from bench.results.record import FailedRun
from bench.results.summary import Group, load_summary
from bench.show.findings import Measure, title
from bench.show.page.page import page
from bench.show.pictures.choice import draw
from tests.support.synthetic import modelled_records, reading, save, steady_record

N = (1, 2, 4, 8)


def group(folder: Path, latencies: Mapping[str, Sequence[Sequence[int]]]) -> Group:
    """One workload; for each manager, for each of N, the latency (ns) of each round."""
    records = [
        steady_record(Case(manager, "short", n), number, latency_ns=ns)
        for manager, by_clients in latencies.items()
        for n, by_round in zip(N, by_clients, strict=False)
        for number, ns in enumerate(by_round)
    ]
    (only,) = load_summary(save(folder / "t.json", records)).groups()
    return only


def steady(*latencies: int) -> list[list[int]]:
    return [[ns, ns, ns] for ns in latencies]


@pytest.mark.parametrize(
    ("sync", "other", "expected"),
    [
        (
            (10, 20, 60, 120),
            (20, 25, 30, 40),
            "async is ahead of sync from N = 4 on, 3.0x at N = 8",
        ),
        ((30, 60, 90, 120), (10, 20, 30, 40), "async is ahead of sync at every N, 3.0x at N = 8"),
        ((10, 20, 30, 40), (20, 40, 60, 60), "sync is ahead of async at every N, 1.5x at N = 8"),
        ((10, 20, 30, 60), (10, 20, 30, 40), "async is 1.5x ahead of sync at N = 8 only"),
        (
            (100, 200, 300, 400),
            (101, 198, 300, 404),
            "no significant difference between async and sync at any N",
        ),
        (
            (20, 10, 30, 40),
            (10, 20, 30, 40),
            "no significant difference between async and sync at N = 8; async leads at N = 1, sync"
            " leads at N = 2",
        ),
        ((30,), (10,), "async is 3.0x ahead of sync at N = 1"),
        ((10,), (30,), "sync is 3.0x ahead of async at N = 1"),
        ((10,), (10,), "no significant difference between async and sync at N = 1"),
    ],
)
def test_titles_are_computed(
    tmp_path: Path, sync: tuple[int, ...], other: tuple[int, ...], expected: str
) -> None:
    scale = 10_000
    one = group(
        tmp_path,
        {
            "sync": steady(*(scale * ns for ns in sync)),
            "async": steady(*(scale * ns for ns in other)),
            "floor": steady(*(scale * 5 for _ in sync)),
        },
    )
    assert title(one, Measure.THROUGHPUT) == f"short: {expected}"
    # With steady clients latency and throughput are each other's inverse.
    lower = expected.replace("is ahead of", "has a lower p50 than")
    lower = re.sub("is ([0-9.]+x) ahead of", r"has a \1 lower p50 than", lower)
    assert title(one, Measure.LATENCY) == f"short: {lower}"


def test_a_lead_needs_an_interval_on_one_side_of_1(tmp_path: Path) -> None:
    noisy = group(tmp_path, {"sync": [[100, 100, 100]], "async": [[50, 110, 90]]})
    assert (
        title(noisy, Measure.THROUGHPUT)
        == "short: no significant difference between async and sync at N = 1"
    )


def test_rounds_that_disturb_both_hide_no_lead(tmp_path: Path) -> None:
    paired = group(tmp_path, {"sync": [[100, 300, 900]], "async": [[50, 150, 450]]})
    assert title(paired, Measure.THROUGHPUT) == "short: async is 2.0x ahead of sync at N = 1"


def test_async_is_the_challenger_and_else_the_best(tmp_path: Path) -> None:
    curves = {"sync": steady(90, 90), "async-uvloop": steady(30, 30), "other": steady(45, 45)}
    (tmp_path / "1").mkdir()
    first = title(group(tmp_path / "1", curves), Measure.THROUGHPUT)
    assert first == "short: async-uvloop is ahead of sync at every N, 3.0x at N = 2"
    curves["async"] = steady(60, 60)
    second = title(group(tmp_path, curves), Measure.THROUGHPUT)
    assert second == "short: async is ahead of sync at every N, 1.5x at N = 2"


def test_without_a_pair_the_title_says_what_there_is(tmp_path: Path) -> None:
    alone = group(tmp_path, {"async": steady(50_000, 80_000), "floor": steady(5, 5)})
    assert title(alone, Measure.LATENCY) == "short: async has 80.0 us at N = 2"
    (tmp_path / "1").mkdir()
    floor = group(tmp_path / "1", {"floor": steady(50_000)})
    assert title(floor, Measure.THROUGHPUT) == "short: floor has 20.0 k/s at N = 1"


# Files


def modelled(folder: Path, managers: Sequence[str], clients: Sequence[int], rounds: int) -> Path:
    records = modelled_records(managers, ["short", "medium"], clients, rounds)
    return save(folder / "a.json", records)


ALL = ("sync", "async", "async-uvloop", "floor")


def test_figures_say_what_they_show(tmp_path: Path) -> None:
    summary = load_summary(modelled(tmp_path, ALL, (1, 8, 128), 4))
    written = draw(reading(summary), tmp_path / "a")
    names = ["a-latency.svg", "a-latency.png", "a-throughput.svg", "a-throughput.png"]
    assert [path.name for path in written] == names
    for path in written:
        assert 0 < path.stat().st_size < 150 * 1024
    assert written[1].read_bytes().startswith(b"\x89PNG")
    svg = " ".join(written[2].read_text().split())
    for label in (*ALL, "spread between runs", "N, concurrent clients", "128", "redos per second"):
        assert f">{label}</text>" in svg
    assert "short: async is ahead of sync from N = 8" in svg
    assert "1a2b3c4 | Example CPU 3000, 8 CPUs, Linux 6.1.0 | 2026-11-23 | 4 rounds" in svg
    latency = written[0].read_text()
    assert all(f">{label}</text>" in latency for label in ("p50", "p99", "latency of a redo"))


def test_the_same_result_gives_the_same_bytes(tmp_path: Path) -> None:
    summary = load_summary(modelled(tmp_path, ("sync", "async"), (1, 8), 2))
    first = [path.read_bytes() for path in draw(reading(summary), tmp_path / "a")]
    assert [path.read_bytes() for path in draw(reading(summary), tmp_path / "b")] == first


def test_settings_of_the_user_change_no_picture(tmp_path: Path) -> None:
    """A matplotlibrc may want a program that is missing, invisible text, or another look."""
    summary = load_summary(modelled(tmp_path, ("sync", "async"), (1, 8), 2))

    def drawn(name: str) -> list[bytes]:
        paths = draw(reading(summary), tmp_path / name, only=["latency", "ratio", "cpu-parts"])
        return [*(path.read_bytes() for path in paths), page([reading(summary)]).encode()]

    ours = drawn("a")
    with mpl.rc_context(
        {
            "axes.formatter.use_locale": True,
            "axes.prop_cycle": cycler(color=["red"]),
            "axes.xmargin": 0.4,
            "figure.dpi": 30,
            "font.sans-serif": ["Nothing Like It"],
            "image.cmap": "gray",
            "lines.linestyle": "--",
            "path.sketch": (1, 100, 2),
            "savefig.bbox": "tight",
            "savefig.transparent": True,
            "svg.image_inline": False,
            "text.color": "white",
            "text.usetex": True,
            "ytick.major.size": 20,
        }
    ):
        assert drawn("b") == ours


def test_pictures_are_not_overwritten_unasked(tmp_path: Path) -> None:
    summary = load_summary(modelled(tmp_path, ("sync", "async"), (1,), 1))
    (tmp_path / "latency.png").write_text("mine")
    with pytest.raises(PictureError, match=r"latency\.png: is there already: use --force"):
        draw(reading(summary), tmp_path)
    assert not (tmp_path / "latency.svg").exists()
    assert (tmp_path / "latency.png").read_text() == "mine"
    assert len(draw(reading(summary), tmp_path, force=True)) == 4
    assert (tmp_path / "latency.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("managers", "clients"),
    [
        (("sync",), (1,)),
        (("sync", "async"), (128,)),
        (("floor",), (1, 2)),
        (("async-uvloop", "floor"), (3, 100)),
        (("async",), (1, 2, 4, 8, 16, 32, 64, 128)),
    ],
)
def test_results_with_little_in_them(
    tmp_path: Path, managers: tuple[str, ...], clients: tuple[int, ...]
) -> None:
    summary = load_summary(modelled(tmp_path, managers, clients, 1))
    assert len(draw(reading(summary), tmp_path, ["svg"])) == 2


def test_a_manager_that_was_measured_at_other_clients(tmp_path: Path) -> None:
    records = modelled_records(["sync"], ["short"], [1, 4], 2)
    records += [steady_record(Case("new-one", "short", n)) for n in (2, 4)]
    failures = [FailedRun(Case("floor", "short", 1), 0, "no compiler")]
    summary = load_summary(save(tmp_path / "a.json", records, failures))
    (svg,) = draw(reading(summary), tmp_path, ("svg",))[:1]
    assert ">new-one</text>" in svg.read_text()


def test_a_further_dimension_has_figures_of_its_own(tmp_path: Path) -> None:
    records = modelled_records(["sync", "async"], ["short"], [1, 2], 1)
    records += modelled_records(["async"], ["short"], [1, 2], 1, child="python")
    written = draw(reading(load_summary(save(tmp_path / "a.json", records))), tmp_path, ["svg"])
    assert [path.name for path in written] == [
        "latency.svg",
        "throughput.svg",
        "latency-child-python.svg",
        "throughput-child-python.svg",
    ]
    assert "short, child=python: async has" in written[3].read_text()


def test_many_workloads_go_into_rows(tmp_path: Path) -> None:
    records = [steady_record(Case("sync", f"w{index}", 1)) for index in range(5)]
    draw(reading(load_summary(save(tmp_path / "a.json", records))), tmp_path, ["svg"])


def test_a_format_that_is_not_there_is_named(tmp_path: Path) -> None:
    summary = load_summary(modelled(tmp_path, ("sync",), (1,), 1))
    with pytest.raises(PictureError, match="'pdf': choose from svg, png"):
        draw(reading(summary), tmp_path, ["pdf"])
