"""Which pictures of a result are drawn, and which are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.cases.case import Case
from bench.cases.notations import PER_TENANT
from bench.errors import PictureError
from bench.experiments.registry import VIEWS
from bench.results.record import FailedRun, Usage
from bench.results.summary import MEASURE_NAMES, MEASURES, Summary, load_summary, measure_of
from bench.show.findings import Measure
from bench.show.pictures import style
from bench.show.pictures.choice import KINDS, check_free, draw
from bench.show.pictures.choice import names as picture_names
from bench.show.pictures.clients import clients_figure
from bench.show.pictures.figures import place, write_all
from tests.support.drawn import xs, ys
from tests.support.made_up_runs import Bench
from tests.support.synthetic import USAGE, modelled_records, reading, save, steady_record

NEW = ("ratio", "knee", "cpu-parts")


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    records = modelled_records(["sync", "async", "floor"], ["short", "medium"], [1, 4, 16], 3)
    return load_summary(save(tmp_path_factory.mktemp("result") / "r.json", records))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """What each picture needs and no more: a picture's time grows with its panels."""
    records = modelled_records(["sync", "async"], ["short"], [1, 4], 2)
    return load_summary(save(tmp_path_factory.mktemp("small") / "r.json", records))


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


@pytest.mark.parametrize("name", [kind.name for kind in KINDS])
def test_one_picture_alone_is_always_the_same(name: str, small: Summary, tmp_path: Path) -> None:
    written = draw(reading(small), tmp_path, only=[name])
    assert names(written) == [f"{name}.svg", f"{name}.png"]
    again = draw(reading(small), tmp_path / "again", only=[name])
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]


def test_pictures_and_measures_together_and_each_once(small: Summary, tmp_path: Path) -> None:
    written = draw(
        reading(small),
        tmp_path,
        ["svg"],
        only=["cpu-parts", "throughput", "cpu-parts"],
        measures=["latency_p99_9_s", "throughput_per_s", "time_per_redo_s"],
    )
    assert names(written) == [
        "throughput.svg",
        "cpu-parts.svg",
        "latency-p99-9.svg",
        "time-per-redo.svg",
    ]


def test_names_differ() -> None:
    assert len(set(picture_names(VIEWS))) == len(picture_names(VIEWS))
    assert {kind.name for kind in KINDS if not kind.by_default} == set(NEW)
    assert set(MEASURE_NAMES) & set(picture_names(VIEWS)) == {"throughput"}


def test_what_nobody_chose_is_known_before_it_is_measured(small: Summary, tmp_path: Path) -> None:
    cases = [row.case for row in small.rows]
    for name in draw(reading(small), tmp_path, ["svg"]):
        with pytest.raises(PictureError, match="is there already"):
            check_free(VIEWS, cases, tmp_path)
        name.unlink()
    draw(reading(small), tmp_path, ["svg"], only=NEW)
    check_free(VIEWS, cases, tmp_path)


def test_a_further_dimension_is_in_the_name(tmp_path: Path) -> None:
    records = modelled_records(["sync", "async"], ["short"], [1, 2], 2)
    records += modelled_records(["async"], ["short"], [1, 2], 2, child="python")
    written = draw(
        reading(load_summary(save(tmp_path / "r.json", records))),
        tmp_path,
        ["svg"],
        only=["ratio", "cpu-parts"],
        measures=["cpu_total_s"],
    )
    # With the Python child there is no sync to have a ratio to.
    assert names(written) == [
        "ratio.svg",
        "cpu-parts.svg",
        "cpu-parts-child-python.svg",
        "cpu-total.svg",
        "cpu-total-child-python.svg",
    ]


def test_what_a_result_has_not_is_refused(tmp_path: Path) -> None:
    records = [replace(steady_record(Case("floor", "short", n)), usage=Usage()) for n in (1, 2)]
    summary = load_summary(save(tmp_path / "f.json", records))
    with pytest.raises(
        PictureError,
        match=r"f\.json has no picture 'cpu-parts': it has latency, throughput, knee \(and tails",
    ):
        draw(reading(summary), tmp_path, only=["latency", "cpu-parts"])
    with pytest.raises(PictureError, match="no picture 'ratio'"):
        draw(reading(summary), tmp_path, only=["ratio"])
    with pytest.raises(PictureError, match=r"f\.json has no cpu-total of any case"):
        draw(reading(summary), tmp_path, measures=["time_per_redo_s", "cpu_total_s"])
    assert [path.name for path in tmp_path.iterdir()] == ["f.json"]


AGAINST_N = ("ratio", "knee")
"""Pictures that say nothing at a single N."""


@pytest.mark.parametrize("name", [kind.name for kind in KINDS if kind.name not in AGAINST_N])
def test_a_case_that_failed_and_a_single_round_at_one_n(name: str, tmp_path: Path) -> None:
    records = [steady_record(Case(manager, "short", 8)) for manager in ("sync", "async")]
    failures = [FailedRun(Case("async", "medium", 8), 0, "no child")]
    summary = load_summary(save(tmp_path / "r.json", records, failures))
    (svg,) = draw(reading(summary), tmp_path, ["svg"], only=[name])
    assert "medium" not in svg.read_text()


def test_what_says_nothing_at_a_single_n_is_not_there(tmp_path: Path) -> None:
    records = modelled_records(["sync", "async"], ["short"], [8], 2)
    summary = load_summary(save(tmp_path / "r.json", records))
    for name in AGAINST_N:
        with pytest.raises(PictureError, match="it has latency, throughput, cpu-parts"):
            draw(reading(summary), tmp_path, only=[name])


def test_a_single_n_has_a_bar_per_manager_and_percentile(tmp_path: Path) -> None:
    records = modelled_records(["sync", "async", "floor"], ["short"], [8], 3)
    summary = load_summary(save(tmp_path / "r.json", records))
    (group,) = summary.groups()
    figure = clients_figure([group], summary, Measure.LATENCY, tail=True)
    (panel,) = figure.axes
    medians = [
        estimate.median
        for row in group.rows
        for measure in (Measure.LATENCY, Measure.LATENCY_P99)
        if (estimate := measure.of(row)) and (row.case.manager, measure.noun) != ("floor", "p99")
    ]
    bars = [bar for bar in panel.patches if isinstance(bar, Rectangle)]
    assert [bar.get_width() for bar in bars] == medians
    assert len({bar.get_y() for bar in bars}) == len(bars)
    assert [to_rgba(bar.get_facecolor())[3] for bar in bars] == [1, 0, 1, 0, 1]  # a p99 is hollow
    assert panel.get_xlim()[0] == 0
    assert panel.get_xlabel() == "latency of a redo, N = 8"
    ticks = [panel.yaxis.get_major_formatter()(place) for place in panel.get_yticks()]
    assert ticks == ["sync", "async", "floor"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "p50",
        "p99",
        "spread between runs",
    ]


def test_curves_and_bars_are_beside_each_other(tmp_path: Path) -> None:
    records = modelled_records(["sync", "async"], ["medium"], [8], 2)
    records += modelled_records(["sync", "async"], ["short"], [1, 8], 2)
    summary = load_summary(save(tmp_path / "r.json", records))
    figure = clients_figure(summary.groups(), summary, Measure.THROUGHPUT)
    drawn = {
        panel.get_title(loc="left").partition(":")[0]: (panel.get_xlabel(), panel.get_ylabel())
        for panel in figure.axes
    }
    assert drawn == {
        "medium": ("redos per second, N = 8", ""),
        "short": ("N, concurrent clients", "redos per second"),
    }


# --- Measures against N ---------------------------------------------------------------------------


def test_every_measure_has_words_and_a_picture(small: Summary, tmp_path: Path) -> None:
    assert all(one.noun and one.label for one in MEASURES.values())
    assert set(style.Y_FORMATS) == set(MEASURES.values())
    written = draw(reading(small), tmp_path, ["svg"], measures=list(MEASURES))
    assert names(written) == [f"{name}.svg" for name in MEASURE_NAMES]


def test_a_measure_of_cases_that_an_experiment_shows(tmp_path: Path) -> None:
    case = Case("sync", "short", 2, topology=PER_TENANT)
    summary = load_summary(save(tmp_path / "r.json", [steady_record(case)]))
    (svg,) = draw(reading(summary), tmp_path, ["svg"], measures=["cpu_total_s"])
    assert svg.name == "cpu-total-topology-per-tenant.svg"
    with pytest.raises(PictureError, match=r"no picture 'knee': it has tenants \(and tails"):
        draw(reading(summary), tmp_path, only=["knee"])


def test_who_has_no_value_has_no_line(tmp_path: Path) -> None:
    managers = ("sync", "peer:async")
    records = [steady_record(Case(manager, "short", n)) for manager in managers for n in (1, 2)]
    summary = load_summary(save(tmp_path / "r.json", records))
    rows = [
        replace(row, turn_p99_s=None, latency_p99_s=None)
        if row.case.manager == "peer:async"
        else row
        for row in summary.rows
    ]
    summary = replace(summary, rows=tuple(rows))
    figure = clients_figure(summary.groups(), summary, Measure.LATENCY_P99)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "sync",
        "spread between runs",
    ]
    (panel,) = figure.axes
    assert [len(xs(one)) for one in panel.get_lines()] == [0, 2]


@pytest.mark.parametrize("field", ["latency_p99_9_s", "cpu_total_s"])
def test_lines_are_the_medians(field: str, summary: Summary) -> None:
    group = summary.groups()[0]
    figure = clients_figure([group], summary, Measure.of_field(field))
    (panel,) = figure.axes
    drawn = {line.get_color(): line for line in panel.get_lines()}
    assert len(panel.get_lines()) == len(drawn) == 3  # and no p99 beside it
    for manager in ("sync", "async", "floor"):
        line = drawn[style.look(manager).color]
        rows = [row for row in group.rows if row.case.manager == manager]
        medians = [one.median for row in rows if (one := measure_of(row, field)) is not None]
        assert xs(line) == [1, 4, 16]
        assert ys(line) == medians
    assert panel.get_yscale() == "log"


def test_a_cpu_time_of_zero_is_drawn_and_nobody_leads_it(tmp_path: Path) -> None:
    unused = replace(USAGE, child_user_s=0.0)
    records = [
        replace(steady_record(Case(manager, "short", n), number), usage=usage)
        for number in range(3)
        for n in (1, 2)
        for manager, usage in (("sync", unused), ("async", USAGE if number else unused))
    ]
    summary = load_summary(save(tmp_path / "r.json", records))
    figure = clients_figure(summary.groups(), summary, Measure.CPU_CHILD_USER)
    (panel,) = figure.axes
    assert panel.get_yscale() == "linear"
    sync = next(one for one in panel.get_lines() if one.get_color() == style.look("sync").color)
    assert ys(sync) == [0.0, 0.0]
    assert panel.get_title(loc="left").startswith("short: sync has 0 s at N = 2, async has")


# --- The command ----------------------------------------------------------------------------------


@pytest.fixture
def drawable(bench: Bench) -> Bench:
    save(bench.folder / "r.json", modelled_records(["sync", "async"], ["short"], [1, 4], 2))
    return bench


def test_plot_draws_what_was_chosen(drawable: Bench) -> None:
    command = "plot r.json --only ratio,cpu-parts --measure latency-p99-9 --format svg -o x"
    status, out, err = drawable(command)
    assert (status, err) == (0, "")
    assert out.split() == ["x-ratio.svg", "x-cpu-parts.svg", "x-latency-p99-9.svg"]
    assert "x-ratio.svg: is there already" in drawable.refuses(command)
    assert drawable(f"{command} --force")[0] == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            "--only nope",
            "r.json has no picture 'nope': it has latency, throughput, ratio, knee, cpu-parts",
        ),
        ("--only latency,tenants", "no picture 'tenants': it has latency"),
        ("--only=", "no picture ''"),
        ("--measure latency-p98", '--measure: unknown measure "latency-p98": did you mean'),
        ("--measure=", '--measure: unknown measure ""'),
    ],
)
def test_a_wrong_choice_is_one_line(options: str, says: str, drawable: Bench) -> None:
    assert says in drawable.refuses(f"plot r.json {options}")


def test_names_of_files_hold_nothing_that_a_file_system_minds(tmp_path: Path) -> None:
    names = (
        "latency-load-open:80%",
        "latency-load-open:80",
        "latency-both:16,4",
        "a/b c",
    )
    assert [place(tmp_path, name, "svg").name for name in names] == [
        "latency-load-open-80pct.svg",
        "latency-load-open-80.svg",
        "latency-both-16,4.svg",
        "a-b-c.svg",
    ]


def test_two_pictures_never_share_a_file(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"two pictures would be .*/a-b\.svg"):
        write_all([("a:b", Figure), ("a-b", Figure)], tmp_path, ["svg"])
    assert not list(tmp_path.iterdir())
