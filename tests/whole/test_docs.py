"""README and docs/: links lead somewhere, commands exist, pictures are of the data."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cases.config import load_profile, override, profiles
from bench.cli.main import parse
from bench.cli.options import given_options
from bench.places import ROOT
from tests.support.checkouts import environment_of_make, install_python, make_checkout

PAGES = [ROOT / "README.md", ROOT / "results" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PAGES}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
IMAGES = ROOT / "docs" / "images"

_FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?:^ {4}.*\n)+", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_BENCH = re.compile(r"-m bench (?P<words>[a-z].*)$")


def code_lines(text: str) -> list[str]:
    """The lines of its code blocks, continued ones in one piece, and all that is in backticks."""
    prose = _FENCED.sub("", text)
    blocks = [*_FENCED.findall(text), *_INDENTED.findall(prose)]
    lines = [line for one in blocks for line in one.replace("\\\n", " ").splitlines()]
    return [line.strip() for line in lines] + re.findall(r"`([^`\n]+)`", _INDENTED.sub("", prose))


def bench_commands(text: str) -> list[str]:
    """What follows `-m bench` in its code, without comments, pipes and redirections."""
    found = [_BENCH.search(line) for line in code_lines(text)]
    return [re.split(r" [>|] ", one["words"])[0] for one in found if one]


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


LINKS = [
    (page, link)
    for page, text in TEXTS.items()
    for link in _LINK.findall(_FENCED.sub("", text))
    if "://" not in link
]
COMMANDS = {page: bench_commands(text) for page, text in TEXTS.items()}
UNIQUE_COMMANDS = sorted({command for found in COMMANDS.values() for command in found})


def test_the_reader_finds_all_there_is() -> None:
    text = "a `make x`\n\n    -m bench show \\\n    latest > x\n\n```sh\n-m bench list  # a\n```\n"
    assert code_lines(text) == ["-m bench list  # a", "-m bench show      latest > x", "make x"]
    assert bench_commands(text) == ["list  # a", "show      latest"]
    assert all(COMMANDS[page] for page in ("README.md", "docs/tutorial.md", "docs/experiments.md"))
    assert ("README.md", "docs/method.md") in LINKS


@pytest.mark.parametrize(("page", "link"), LINKS, ids=lambda one: str(one))
def test_links_lead_somewhere(page: str, link: str) -> None:
    place, _, fragment = link.partition("#")
    target = (ROOT / page).parent / place if place else ROOT / page
    assert target.exists()
    if fragment:
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        assert fragment in [anchor(heading) for heading in headings]


@pytest.mark.parametrize("command", UNIQUE_COMMANDS)
def test_commands_are_those_of_the_suite(command: str) -> None:
    args = parse(shlex.split(command, comments=True))
    if args.command in ("run", "ab") and args.profile in (None, *dict(profiles())):
        override(load_profile(args.profile or "quick"), **given_options(args))


@pytest.mark.parametrize("page", TEXTS)
def test_make_targets_are_there(page: str) -> None:
    for line in code_lines(TEXTS[page]):
        if target := re.match(r"make (?:-s )?([a-z][a-z-]*)", line):
            assert re.search(rf"^{target[1]}:", MAKEFILE, re.MULTILINE), line


def test_pages_know_each_other() -> None:
    linked = {((ROOT / page).parent / link.partition("#")[0]).resolve() for page, link in LINKS}
    pages = {path for path in PAGES if path.parent.name == "docs" and path.name != "open-work.md"}
    assert pages <= linked


# --- Pictures -------------------------------------------------------------------------------------


def shown_images() -> set[Path]:
    return {
        ((ROOT / page).parent / link).resolve() for page, link in LINKS if link.endswith(".svg")
    }


def test_every_picture_is_shown() -> None:
    assert shown_images() == set(IMAGES.iterdir())


@pytest.mark.exhaustive
@pytest.mark.timeout(300)  # every picture is drawn
def test_pages_and_pictures_are_what_the_kept_results_say(tmp_path: Path) -> None:
    """All but what is altered here, which is named."""
    clone = clone_with_pages(tmp_path)
    shutil.copytree(ROOT / "results" / "reference", clone / "results" / "reference")
    page, picture = clone / "docs" / "experiments.md", clone / "docs" / "images" / "stall.svg"
    printed = page.read_text(encoding="utf-8")
    altered = printed.replace(", profile ", ", another profile ", 1)
    assert altered != printed
    page.write_text(altered)
    picture.unlink()
    checked = make_figures(clone, "ARGS=--check")
    assert checked.returncode != 0
    assert checked.stdout.splitlines() == [
        "docs/images/stall.svg is not what the results say: make figures",
        "docs/experiments.md is not what the results say: make figures",
    ]
    assert (page.read_text(encoding="utf-8"), picture.exists()) == (altered, False)


def test_what_is_not_as_the_results_say_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refresh = runpy.run_path(str(ROOT / "docs" / "refresh.py"))
    page = tmp_path / "page.md"
    command = "$ python -m bench list --manager sync --workload short --clients 1,8 --child c"
    hidden = f"<!-- {command.removeprefix('$ ')} -->\n```text\n"
    page.write_text(f"a\n\n```console\n{command}\nold\n```\n\nb\n\n{hidden}old\n```\n")
    picture = tmp_path / "images" / "x.svg"
    here = refresh["main"].__globals__
    monkeypatch.setitem(here, "ROOT", tmp_path)
    monkeypatch.setitem(here, "PAGES", (page,))
    monkeypatch.setitem(here, "PLOTS", {"x": ()})
    monkeypatch.setitem(here, "pictures_of", lambda _: [(picture, b"<svg/>")])
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(sys, "argv", ["refresh.py"])
    assert refresh["main"]() == 0
    assert capsys.readouterr().out.split() == ["images/x.svg", "page.md"]
    assert picture.read_bytes() == b"<svg/>"
    cases = "sync/short/n=1\nsync/short/n=8\n"
    wanted = f"a\n\n```console\n{command}\n{cases}```\n\nb\n\n{hidden}{cases}```\n"
    assert page.read_text() == wanted
    assert refresh["main"]() == 0
    assert capsys.readouterr().out == ""


def test_make_figures_without_a_result(tmp_path: Path) -> None:
    clone = clone_with_pages(tmp_path)
    done = make_figures(clone)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no results/reference/default.json: results/README.md")


def clone_with_pages(folder: Path) -> Path:
    """A checkout with all that `make figures` needs but the results."""
    clone = make_checkout(folder / "clone", "Makefile", "requirements.lock", "README.md")
    install_python(clone)
    # The picture of the rooms is drawn from a table in tests/support.
    for name in ("docs", "tests/support"):
        shutil.copytree(ROOT / name, clone / name)
    (clone / "tests" / "__init__.py").touch()
    return clone


def make_figures(clone: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-s", "figures", *words],
        cwd=clone,
        env=environment_of_make(),
        capture_output=True,
        text=True,
        check=False,
    )
