"""What commands print of the kept results: standard terms, and nothing that breaks a line."""

from __future__ import annotations

import re
from typing import Final

import pytest

from bench.cli.main import main
from bench.places import ROOT
from tests.support.words import check_plain

REFERENCE: Final = ROOT / "results/reference"
NO_RESULTS: Final = {
    "neon_bench_walredo.json",
    "neon_shared_memory.json",
    "selftest.json",
    "selftest-same.json",
    "selftest-files.json",
}
KEPT: Final = sorted(path.name for path in REFERENCE.glob("*.json") if path.name not in NO_RESULTS)

BANNED: Final = {
    "runs tell": "significantly better",
    "undecided": "not significant",
    "beyond chance": "significantly",
    "overtakes": "faster from N = 2 on",
    r"from N = \d+ on \(interval": "95 % CI",
    r"95 % intervals?": "95 % CI",
    r"\bshows\b": "MDE",
    "shows no": "one round has no CI",
    "as far as": "",
    r"\bnone \(": "no N",
    r"l(ay|aid) beside": "compared with",
    "not to be had": "cannot be read",
    "nobody": "unknown",
    "half of the spread": "half the interquartile range",
    "distance of the quartiles": "interquartile range",
    r"\bof \d+ 1 \w": "",
    r"\b1 (run|round|case|percentile|time|redo|client|thread)s\b": "the singular",
    r"\(s\)": "a plural",
}
"""Phrases that output must not have besides those of `words` -> what to write instead."""


def said_by(command: str, capsys: pytest.CaptureFixture[str], *, status: int = 0) -> str:
    assert main(command.split()) == status
    return capsys.readouterr().out


def check(printed: str) -> None:
    check_plain(printed)
    text = " ".join(printed.split())
    for phrase, instead in BANNED.items():
        found = re.search(phrase, text)
        around = found and text[max(0, found.start() - 60) : found.end() + 60]
        assert not found, f"{phrase!r} in {around!r}: write {instead!r}"
    assert not [line for line in printed.splitlines() if line.endswith(" ")]
    assert "…" not in printed
    assert "\x1b" not in printed


@pytest.fixture(autouse=True)
def in_a_pipe_of_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("name", KEPT)
def test_show(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = REFERENCE / name
    printed = said_by(f"show {path} --legend", capsys)
    check(printed)
    # A pipe has no window that would wrap a sentence.
    answers = [line for line in printed.splitlines() if line.startswith("- For ")]
    assert all(line.endswith(".") for line in answers)


@pytest.mark.parametrize("name", ["default.json", "tails.json"])
def test_tails(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    check(said_by(f"show {REFERENCE / name} --tails --legend", capsys))


@pytest.mark.parametrize("name", ["default.json", "peer.json"])
def test_scaling(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    check(said_by(f"show {REFERENCE / name} --only scaling --legend", capsys))


def test_against(capsys: pytest.CaptureFixture[str]) -> None:
    check(said_by(f"show {REFERENCE / 'peer.json'} --against peer:async", capsys))


@pytest.mark.parametrize("pair", ["slower", "tutorial"])
@pytest.mark.parametrize("form", ["", " --markdown"])
def test_compare(pair: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    sides = " ".join(str(REFERENCE / f"{pair}-{side}.json") for side in ("base", "changed"))
    check(said_by(f"compare {sides}{form}", capsys))


@pytest.mark.parametrize("options", ["", "--case async/short/n=8 --legend"])
def test_history(options: str, capsys: pytest.CaptureFixture[str]) -> None:
    check(said_by(f"history {REFERENCE} --ab {options}", capsys))


def test_the_verdict_of_the_default_profile_fits_one_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 100 x 50, with room for the names of the pictures that `make bench` prints after it."""
    monkeypatch.setenv("COLUMNS", "100")
    printed = said_by(f"show {REFERENCE / 'default.json'} --only verdict", capsys)
    assert len(printed.splitlines()) <= 30
    assert max(map(len, printed.splitlines())) <= 100
