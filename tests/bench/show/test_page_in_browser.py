"""A report in a real browser: nothing complains, tables and points answer, and all of it fits.

Screenshots are left in build/screenshots, to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.experiments.registry import VIEWS
from bench.results.histogram import distributions_of
from bench.results.record import FailedRun
from bench.results.suite_file import read_suite
from bench.results.summary import load_summary, summary_of
from bench.show.page.page import page as page_of
from bench.show.view import Reading
from tests.support.browser import MISSING, SCREENSHOTS, Browser, browser
from tests.support.synthetic import (
    ENVIRONMENT,
    modelled_records,
    reading,
    save,
    steady_record,
)

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

LARGE, SMALL = 1400, 390
ARROW_RIGHT, ARROW_DOWN, ESCAPE = "\ue014", "\ue015", "\ue00c"
CUT = """
const isCut = (one) => one.getBoundingClientRect().right > innerWidth + 1;
const scrolls = (one) => one.scrollWidth > one.clientWidth + 1
  && getComputedStyle(one).overflowX !== "visible";
return [...document.querySelectorAll("main :not(svg *)")]
  .filter((one) => isCut(one) || scrolls(one))
  .map((one) => `${one.tagName} ${one.textContent.slice(0, 40)}`);
"""
"""Elements that run off the window or scroll sideways; what is in a picture is clipped by it."""
SHOWN = "return [...document.querySelectorAll('tbody tr[data-manager]:not([hidden]) th')]"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ordinary cases, an experiment with its wide figure, and a failed run."""
    folder = tmp_path_factory.mktemp("report")
    records = modelled_records(["sync", "async", "floor"], ["short", "medium"], (1, 8, 64), 3)
    records += [
        steady_record(Case(manager, "short", n, topology="per-tenant"), number)
        for manager in ("sync", "async")
        for n in (1, 4)
        for number in range(3)
    ]
    failures = [FailedRun(Case("async-uvloop", "short", 1), 0, "no uvloop")]
    place = folder / "report.html"
    path = save(folder / "r.json", records, failures)
    suite = read_suite(path)
    both = Reading.of(summary_of(path, suite), VIEWS, distributions_of(path, suite))
    place.write_text(page_of([both]))
    return place


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [SMALL, LARGE])
def test_it_fits_and_nothing_complains(
    width: int, scheme: str, chromium: Browser, report: Path
) -> None:
    chromium.open(report, width=width, scheme=scheme)
    assert chromium.run("return innerWidth") == width
    chromium.screenshot(SCREENSHOTS / f"report-{width}-{scheme}-folded.png")
    chromium.run("for (const one of document.querySelectorAll('details')) one.open = true")
    assert chromium.run("return document.documentElement.scrollWidth") <= width
    assert chromium.run(CUT) == []
    # Texts of pictures stay legible: 8.5 of the picture's units are a tick's.
    shown = "return [...document.querySelectorAll('.picture')].map(p => p.getScreenCTM().a)"
    assert min(chromium.run(shown)) > 0.85
    paper = chromium.run("return getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 23, 27)"}[scheme]
    chromium.screenshot(SCREENSHOTS / f"report-{width}-{scheme}.png")
    assert chromium.complaints() == []


@pytest.mark.parametrize("width", [SMALL, LARGE])
def test_several_results_fit(width: int, chromium: Browser, tmp_path: Path) -> None:
    records = modelled_records(["sync", "async", "async-uvloop"], ["short"], (1, 8), 3)
    model = "Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz"
    other = replace(ENVIRONMENT, cpu_model=model, cpu_count=64, cpus_allowed="0-3")
    environments = {"20261123T120542Z-1a2b3c4-dirty.json": ENVIRONMENT, "other.json": other}
    readings = [
        reading(load_summary(save(tmp_path / name, records, environment=of)))
        for name, of in environments.items()
    ]
    place = tmp_path / "several.html"
    place.write_text(page_of(readings))
    chromium.open(place, width=width, scheme="light")
    chromium.screenshot(SCREENSHOTS / f"several-{width}-light.png")
    assert chromium.run("return document.documentElement.scrollWidth") <= width
    assert chromium.run(CUT) == []
    assert chromium.complaints() == []


def test_at_a_large_width_throughput_and_latency_are_side_by_side(
    chromium: Browser, report: Path
) -> None:
    chromium.open(report, width=LARGE, scheme="light")
    boxes = chromium.run(
        "return [...document.querySelectorAll('.charts .picture')].slice(0, 2)"
        ".map(p => p.getBoundingClientRect().toJSON())"
    )
    (left, right) = boxes
    assert left["top"] == right["top"]
    assert left["right"] <= right["left"]
    assert right["right"] > 0.9 * LARGE  # no half of the window is empty


def test_a_link_opens_the_part_that_it_leads_to(chromium: Browser, report: Path) -> None:
    chromium.open(report, width=SMALL, scheme="light")
    is_open = "return document.getElementById('result-1-warnings').closest('details').open"
    assert chromium.run(is_open) is False
    for _ in range(2):  # also once it was closed again
        chromium.click("a[href='#result-1-warnings']")
        assert chromium.run(is_open) is True
        chromium.run(f"{is_open.removeprefix('return ')} = false")
    chromium.open(report, width=SMALL, scheme="light", part="result-1-cases")
    assert chromium.run("return document.getElementById('result-1-cases').closest('details').open")


def test_the_table_sorts(chromium: Browser, report: Path) -> None:
    chromium.open(report, width=LARGE, scheme="light", part="result-1-cases")
    value = f"{SHOWN}.map(one => one.parentElement.cells[3].dataset.value)"
    heading = "#result-1-table thead th:nth-child(4)"
    before = chromium.run(value)
    chromium.click(f"{heading} button")
    ascending = chromium.run(value)
    numbers = sorted(float(text) for text in before if text)
    assert [float(text) for text in ascending[: len(numbers)]] == numbers
    assert ascending[-1] == ""  # the case that only failed
    assert chromium.run(f"return document.querySelector('{heading}').ariaSort") == "ascending"
    chromium.click(f"{heading} button")
    descending = chromium.run(value)
    assert [float(text) for text in descending[: len(numbers)]] == numbers[::-1]
    assert descending[-1] == ""
    assert chromium.run(f"return document.querySelector('{heading}').ariaSort") == "descending"
    assert chromium.complaints() == []


def test_the_table_filters(chromium: Browser, report: Path) -> None:
    chromium.open(report, width=LARGE, scheme="light", part="result-1-cases")
    names = f"{SHOWN}.map(one => one.dataset.value)"
    everything = chromium.run(names)
    chromium.type("input[data-filter=text]", "N=8 short")
    assert set(chromium.run(names)) == {f"{one}/short/n=8" for one in ("sync", "async", "floor")}
    assert chromium.run("return document.querySelector('output').textContent") == (
        f"3 of {len(everything)} cases"
    )
    chromium.type("select[data-filter=manager]", "async")
    assert chromium.run(names) == ["async/short/n=8"]


def test_a_point_tells_what_it_is(chromium: Browser, report: Path) -> None:
    chromium.open(report, width=LARGE, scheme="light")
    tip = "const tip = document.getElementById('tip'); return tip.hidden ? '' : tip.textContent"
    wanted = "sync/short/n=8: throughput"
    assert chromium.run(tip) == ""
    chromium.hover(f".spot[aria-label^='{wanted}'] .hit")
    assert chromium.run(tip).startswith(wanted)
    assert "between runs, 3 rounds" in chromium.run(tip)
    chromium.hover("h1")
    assert chromium.run(tip) == ""


def test_the_keyboard_goes_from_point_to_point(chromium: Browser, report: Path) -> None:
    chromium.open(report, width=LARGE, scheme="light")
    tip = "const tip = document.getElementById('tip'); return tip.hidden ? '' : tip.textContent"
    chromium.run("document.querySelector('.spot[tabindex=\"0\"]').focus()")
    first = chromium.run(tip)
    assert first.startswith("sync/short/n=1: throughput")
    chromium.press(ARROW_RIGHT)
    assert chromium.run(tip).startswith("sync/short/n=8: throughput")
    chromium.press(ARROW_DOWN)
    assert chromium.run(tip).startswith("async/short/n=8: throughput")
    reachable = "document.querySelector('.picture').querySelectorAll('[tabindex=\"0\"]').length"
    assert chromium.run(f"return {reachable}") == 1
    chromium.press(ESCAPE)
    assert chromium.run(tip) == ""
