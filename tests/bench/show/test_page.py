"""The page of a report: what it says, whatever state a result is in; that it needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.cases.notations import REAP
from bench.experiments.registry import VIEWS
from bench.places import ROOT
from bench.results.environment import Environment
from bench.results.histogram import distributions_of
from bench.results.record import FailedRun, RunRecord
from bench.results.suite_file import read_suite
from bench.results.summary import Estimate, Summary, load_summary, summary_of
from bench.show import units
from bench.show.page.page import page as page_of
from bench.show.pictures import figures
from bench.show.view import Reading
from tests.support.made_up_runs import Bench
from tests.support.synthetic import (
    ENVIRONMENT,
    USAGE,
    idle_slice,
    modelled_records,
    reading,
    save,
    steady_record,
)

MANAGERS = ("sync", "async", "floor")
N = (1, 8, 64)
VOID = {"meta", "input", "link", "br", "wbr"}
CSS = (ROOT / "bench" / "show" / "page" / "templates" / "report.css").read_text()


def html_of(summaries: Sequence[Summary], *, other_conditions: bool = False) -> str:
    return page_of([reading(each) for each in summaries], other_conditions=other_conditions)


class Page(HTMLParser):
    """What is in a page: elements with their attributes, and that they are nested properly."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._open: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        # A browser closes these itself where the template leaves it to it.
        while self._open[-1] != tag and self._open[-1] == "option":
            self._open.pop()
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self._open[-1] not in ("script", "style"):
            self.words = f"{self.words} {' '.join(data.split())}"

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and wanted.items() <= attributes.items()
        ]


def modelled(
    folder: Path,
    *,
    failures: Sequence[FailedRun] = (),
    more: Sequence[RunRecord] = (),
) -> Summary:
    records = [*modelled_records(MANAGERS, ["short", "medium"], N, 4), *more]
    return load_summary(save(folder / "a.json", records, failures, ENVIRONMENT))


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """A result in which nothing is missing."""
    return modelled(tmp_path_factory.mktemp("ordinary"))


@pytest.fixture(scope="module")
def ordinary(summary: Summary) -> str:
    """Its page."""
    return html_of([summary])


def test_what_was_measured_then_the_verdict_its_curves_and_all_the_rest(ordinary: str) -> None:
    words = Page(ordinary).words
    title = (
        "Throughput and latency of sync and async: short and medium requests,"
        " 1 to 64 concurrent clients"
    )
    order = [
        f"walredo-bench: {title}",
        f" {title} Verdict",
        "async is faster than sync from N = 8 on",
        "Ratio to sync at N = 64 (95 % CI) manager workload faster from N throughput",
        "redos per second",
        "Better than sync from N on",
        "Every case: medians over the runs, with the spread between them",
        "Machine, code and build",
        "Settings of the measurement",
    ]
    assert "git dirty no kernel Linux 6.1.0 cpu model Example CPU 3000 cpu count 8" in words
    assert "Settings of the measurement slices 5" in words
    places = [words.find(text) for text in order]
    assert -1 not in places
    assert places == sorted(places)


def test_it_needs_nothing_else(ordinary: str) -> None:
    assert len(ordinary.encode()) < 2_000_000
    assert "default-src 'none'" in ordinary
    found = Page(ordinary)
    assert not found.all("link") + found.all("img")
    for _, attributes in found.elements:
        assert "src" not in attributes
        for name in ("href", "xlink:href"):
            assert attributes.get(name, "#").startswith("#")
    assert not re.search(r"@import|url\((?!#)", ordinary)


def test_ids_are_unique_and_all_that_is_referred_to_is_there(tmp_path: Path) -> None:
    small = modelled_records(("sync", "async"), ["short"], (1, 8), 2)
    text = html_of([load_summary(save(tmp_path / name, small)) for name in ("a.json", "b.json")])
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    referred = re.findall(r'(?:href="#|url\(#)([^")]+)', text)
    assert referred
    referred += re.findall(r'aria-labelledby="([^"]+)"', text)
    assert set(referred) <= set(ids)


def test_every_point_tells_case_value_and_interval(ordinary: str) -> None:
    found = Page(ordinary)
    pictures = found.all("svg", **{"class": "picture"})
    # Of two workloads throughput, latency, ratio and knee, and the CPU of each of three managers.
    assert len(pictures) == 2 * (4 + 3)
    assert all(picture["aria-label"] for picture in pictures)
    spots = [
        one["aria-label"] for one in found.all("g", role="img") if "spot" in one.get("class", "")
    ]
    # Two workloads, three N: throughput of three managers, p50 of three, p99 of all but the floor.
    shape = r"\w+/(short|medium)/n=\d+: (p50|p99|throughput) .+ \(.+ to .+ between runs, 4 rounds\)"
    of_cases = [text for text in spots if re.fullmatch(shape, text)]
    assert len(of_cases) == 2 * 3 * (3 + 3 + 2)
    told = [text for text in spots if text not in of_cases]
    # Async's ratio, and three managers on the knee and in the bars of CPU.
    assert len(told) == 2 * 3 * (1 + 3 + 3)
    assert all(re.match(r"(short|medium)[^;]*; ", text) for text in told)
    assert sum("async to sync, N = 8: " in text and "95 %" in text for text in told) == 2
    reachable = [one for one in found.all("g", tabindex="0") if "spot" in one.get("class", "")]
    assert len(reachable) == len(pictures)


def test_a_value_and_what_is_known_of_it() -> None:
    several = Estimate(24.7e-6, 23e-6, 25e-6, ((0, 23e-6), (1, 24.7e-6), (2, 25e-6)))
    assert (
        figures.described(several, units.seconds)
        == "24.7 us (23.0 us to 25.0 us between runs, 3 rounds)"
    )
    one = Estimate(4e4, 4e4, 4e4, ((0, 4e4),))
    assert figures.described(one, units.rate) == "40.0 k/s (1 round, no spread)"


def test_points_lie_where_the_curves_are(tmp_path: Path) -> None:
    """A spot's centre is the place of a marker that matplotlib drew."""
    text = html_of(
        [load_summary(save(tmp_path / "a.json", modelled_records(["sync"], ["short"], N, 1)))]
    )
    markers = {
        (round(float(x)), round(float(y)))
        for x, y in re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"', text)
    }
    rings = re.findall(r'class="ring" r="5" cx="([\d.]+)" cy="([\d.]+)"', text)
    throughput = rings[: len(N)]
    assert len(throughput) == len(N)
    for x, y in throughput:
        assert any(abs(float(x) - a) <= 1 and abs(float(y) - b) <= 1 for a, b in markers)


def test_the_dark_has_a_colour_for_each_that_pictures_use(ordinary: str) -> None:
    used = set(re.findall(r"var\(--c-(\w{6})", ordinary))
    dark = CSS.partition("(prefers-color-scheme: dark)")[2].partition("@media print")[0]
    assert used
    assert used <= set(re.findall(r"--c-(\w{6}):", dark))


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio."""

    def luminance(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_and_curves_stand_out(scheme: str) -> None:
    light, dark = CSS.partition("@media print")[0].split("(prefers-color-scheme: dark)")
    own = dict(re.findall(r"(--[\w-]+): (#\w{6});", light if scheme == "light" else dark))
    paper = own["--paper"]
    for name in ("--ink", "--faint", "--accent", "--c-555555"):
        assert _contrast(own[name], paper) >= 4.5, name
    for code in ("d55e00", "0072b2", "009e73", "cc79a7", "e69f00", "56b4e9", "8c3b00"):
        assert _contrast(own.get(f"--c-{code}", f"#{code}"), paper) >= 3, code


def test_the_verdict_is_a_table_whose_signs_need_no_colour(ordinary: str) -> None:
    found = Page(ordinary)
    (table,) = found.all("table", **{"class": "stack answer"})
    assert table
    better = found.all("b", **{"class": "better"})
    assert len(better) >= 2  # throughput of both workloads
    assert "+ better" in found.words
    # On a telephone a row is a block, in which each cell has its heading beside it.
    assert all(cell.get("data-label") for cell in found.all("td", **{"data-label": "throughput"}))


def test_words_are_on_the_left_and_numbers_on_the_right(ordinary: str) -> None:
    sides: dict[str, set[str]] = {}
    found = Page(ordinary)
    for cell in (*found.all("td"), *found.all("th", scope="row")):
        if label := cell.get("data-label"):
            sides.setdefault(label, set()).add(cell.get("class", ""))
    for heading in ("workload", "faster from N", "manager"):
        assert sides[heading] == {"words"}, heading
    for heading in ("N", "throughput", "p99", "redo/s"):
        assert sides[heading] == {""}, heading
    headings = dict(re.findall(r'<th scope="col"([^>]*)>([^<]*)</th>', ordinary)[::-1])
    assert set(headings) == {"", ' class="words"'}


def test_at_a_single_n_bars_compare_and_nothing_is_drawn_against_n(tmp_path: Path) -> None:
    records = modelled_records(("sync", "async", "floor"), ["short"], (8,), 3)
    text = html_of([load_summary(save(tmp_path / "one.json", records))])
    found = Page(text)
    pictures = [one.get("aria-label", "") for one in found.all("svg", **{"class": "picture"})]
    bars = [label for label in pictures if "at N = 8, a bar for each of sync, async" in label]
    assert len(bars) == 2  # throughput and latency
    assert len(pictures) == 2 + 3  # and the CPU of each manager
    assert "against N" not in "".join(pictures)
    assert "Bars are medians" in found.words
    assert "Lines are medians" not in found.words
    assert "Crossovers" not in found.words
    told = [spot.get("aria-label", "") for spot in found.all("g", **{"class": "spot"})]
    for measure in ("throughput", "p50", "p99"):
        assert sum(one.startswith(f"async/short/n=8: {measure} ") for one in told) == 1


def test_curves_before_and_after_need_several_n(tmp_path: Path) -> None:
    sides = []
    for name, latency_ns in (("base", 50_000), ("changed", 60_000)):
        records = [
            steady_record(Case("async", "short", 8), number, latency_ns=latency_ns)
            for number in range(3)
        ]
        sides.append(load_summary(save(tmp_path / f"{name}.json", records)))
    words = Page(html_of(sides)).words
    assert "Changes: base.json" in words
    assert "Curves before and after" not in words


def test_only_what_answers_is_open_and_every_link_leads_somewhere(ordinary: str) -> None:
    found = Page(ordinary)
    folded = found.all("details")
    assert len(folded) == 4  # crossovers and what goes with them, cases, warnings, machine
    assert not any("open" in one for one in folded)
    pictures = [at for at, (tag, _) in enumerate(found.elements) if tag == "figure"]
    first_folded = next(at for at, (tag, _) in enumerate(found.elements) if tag == "details")
    assert sum(at < first_folded for at in pictures) == 4


def test_distributions_and_tails_are_on_the_page(tmp_path: Path) -> None:
    path = save(tmp_path / "a.json", modelled_records(("sync", "async"), ["short"], (1, 8), 4))
    suite = read_suite(path)
    both = Reading.of(summary_of(path, suite), VIEWS, distributions_of(path, suite))
    found = Page(page_of([both]))
    assert "Distribution and tails of latency" in found.words
    assert "short, N = 8: p50 of async is" in found.words
    assert "short: ratio to sync (95 % CI)" in found.words
    spots = [one.get("aria-label", "") for one in found.all("g", role="img")]
    assert sum(": async, latency " in text or "; async, p50 " in text for text in spots) == 2 * 4


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a result in which cases failed, one of them the only one of an experiment."""
    failures = [
        FailedRun(Case("async", "ping", 1), 0, "no <child> & nothing"),
        FailedRun(Case("sync", "short", 8), 9, "late"),
        FailedRun(Case("async", "short", 4, topology="per-tenant"), 0, "no memory"),
    ]
    lazy = (idle_slice(8, 30, 50_000),) * 2
    more = [RunRecord(Case("async", "ping", 8), 0, lazy, USAGE)]
    folder = tmp_path_factory.mktemp("damaged")
    return html_of([modelled(folder, failures=failures, more=more)])


def test_what_is_missing_is_said_and_the_rest_drawn(damaged: str) -> None:
    found = Page(damaged)
    assert "no &lt;child&gt; &amp; nothing" in damaged
    assert "async/ping/n=1: failed once" in found.words
    assert "it has no result" in found.words
    assert (
        "There is no result of sync with a free child and ping requests to compare async with."
        in found.words
    )
    assert "async/ping/n=8: the self-check fails" in found.words
    assert re.search(r"\d warnings about this result", found.words)
    assert found.all("tr", **{"data-workload": "ping"})
    # Throughput and latency of three workloads, knee and ratio of those two with several N, the CPU
    # of seven managers, and the experiment's.
    assert len(found.all("svg", **{"class": "picture"})) == 3 * 2 + 2 * 2 + 7 + 1


def test_one_round_shows_no_interval(tmp_path: Path) -> None:
    records = modelled_records(("sync", "async"), ["short"], (1, 8), 1)
    words = Page(html_of([load_summary(save(tmp_path / "a.json", records))])).words
    assert "(one round, so no 95 % CI: measure more rounds)" in words
    assert "one round only: without a spread no difference can be tested" in words


def test_experiments_have_sentence_figure_and_numbers(tmp_path: Path) -> None:
    records = [
        steady_record(Case(manager, "short", n, topology="per-tenant"), number)
        for manager in ("sync", "async")
        for n in (1, 4)
        for number in range(3)
    ]
    found = Page(html_of([load_summary(save(tmp_path / "a.json", records))]))
    assert (
        "Experiment tenants with sync and async: short requests, 1 to 4 concurrent" in found.words
    )
    assert "Experiment: tenants" in found.words
    spots = [one.get("aria-label", "") for one in found.all("g", role="img")]
    told = [text for text in spots if "; async, N = 4, " in text]
    assert len(told) == 1
    assert re.search(
        r"k/s: time per redo \d+ us \(\d+ us to \d+ us between runs, 3 rounds\)$", told[0]
    )
    assert len(found.all("figure")) >= 1
    assert found.all("table", **{"class": "stack dense"})
    assert found.all("details", open="")  # there is nothing else to show


def test_bars_tell_what_they_are(tmp_path: Path) -> None:
    case = Case("sync", "short", 1, scenario=REAP)
    records = [steady_record(case, number, latency_ns=1_000_000) for number in range(3)]
    found = Page(html_of([load_summary(save(tmp_path / "a.json", records))]))
    spots = [one.get("aria-label", "") for one in found.all("g", role="img")]
    told = [text for text in spots if text.startswith("reap; reap, p50: ")]
    assert len(told) == 1
    assert told[0].endswith(": 1.00 ms (1.00 ms to 1.00 ms between runs, 3 rounds)")


def test_an_experiment_that_only_failed_is_said_to_have_failed(damaged: str) -> None:
    found = Page(damaged)
    assert "async/short/n=4/topology=per-tenant: failed once" in found.words
    assert found.all("tr", **{"data-manager": "async"})


# Two results


def both_sides(folder: Path, environment: Environment = ENVIRONMENT) -> list[Summary]:
    def side(name: str, latency_ns: int, of: Environment) -> Summary:
        records = [
            steady_record(Case("async", "short", n), number, latency_ns=latency_ns * (9 + number))
            for n in (1, 4)
            for number in range(5)
        ]
        return load_summary(save(folder / name, records, environment=of))

    together = replace(ENVIRONMENT, ab="20261124T120000")
    changed = replace(environment, ab="20261124T120000")
    return [side("base.json", 5_000, together), side("changed.json", 10_000, changed)]


def test_two_sides_are_compared(tmp_path: Path) -> None:
    found = Page(html_of(both_sides(tmp_path)))
    assert "paired by round" in found.words
    assert "2 cases: 2 slower" in found.words
    assert "(geometric mean): 2.00 (2.00-2.00)" in found.words
    spots = [one.get("aria-label", "") for one in found.all("g", role="img")]
    for measure in ("p50", "p99", "throughput"):
        for when in ("before", "after"):
            told = f"async/short/n=4 {when}: {measure} "
            assert sum(text.startswith(told) for text in spots) == 1
    values = [one.get("data-value") for one in found.all("td")]
    assert values.count("slower") == 2


def test_other_conditions_are_not_compared(tmp_path: Path) -> None:
    other = replace(ENVIRONMENT, kernel="Linux 7.0")
    sides = both_sides(tmp_path, other)
    words = Page(html_of(sides)).words
    assert "not measured under the same conditions (kernel: Linux 6.1.0, then Linux 7.0)" in words
    assert "report --other-conditions" in words
    assert "2 slower" not in words
    forced = Page(html_of(sides, other_conditions=True)).words
    assert "WARNING: not the same conditions: kernel: Linux 6.1.0, then Linux 7.0" in forced
    assert "2 slower" in forced


def test_the_same_results_give_the_same_page(ordinary: str, summary: Summary) -> None:
    assert html_of([summary]) == ordinary


# The command


@pytest.fixture
def result(bench: Bench) -> Path:
    return save(bench.folder / "r.json", modelled_records(("sync", "async"), ["short"], (1, 2), 2))


def test_the_page_lies_beside_the_result(bench: Bench, result: Path) -> None:
    assert bench("report r.json") == (0, "r.html\n", "")
    assert (bench.folder / "r.html").read_text().startswith("<!DOCTYPE html>")


def test_the_page_lies_where_it_is_told(bench: Bench, result: Path) -> None:
    (bench.folder / "x").mkdir()
    (bench.folder / "other.json").write_bytes(result.read_bytes())
    assert bench("report r.json other.json -o x/page.html") == (0, "x/page.html\n", "")
    assert "paired by round" not in (bench.folder / "x/page.html").read_text()


def test_nothing_is_overwritten_unasked(bench: Bench, result: Path) -> None:
    mine = bench.folder / "r.html"
    mine.write_text("mine")
    assert bench.refuses("report r.json").startswith("walredo-bench: r.html: is there already")
    assert mine.read_text() == "mine"
    assert bench("report r.json --force")[0] == 0
    assert "Verdict" in mine.read_text()


def test_a_result_is_never_overwritten(bench: Bench, result: Path) -> None:
    before = result.read_bytes()
    assert "must end in .html" in bench.refuses("report r.json -o r.json --force")
    for link in ("soft.html", "hard.html"):
        made = bench.folder / link
        made.symlink_to(result) if link == "soft.html" else made.hardlink_to(result)
        line = bench.refuses(f"report r.json -o {link} --force")
        assert f"{link}: is the result itself" in line
    assert result.read_bytes() == before


def test_what_is_no_result_is_refused(bench: Bench, result: Path) -> None:
    (bench.folder / "no.json").write_text("{}")
    assert "no.json" in bench.refuses("report r.json no.json -o p.html")
    assert "is a folder" in bench.refuses("report r.json -o .")
    assert not list(bench.folder.glob("*.html"))
