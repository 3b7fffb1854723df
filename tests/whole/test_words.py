"""What a user reads is short, and in plain technical English."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from bench.cli.main import COMMANDS, make_parser
from bench.places import ROOT
from tests.support.words import BANNED, Phrase, check_plain, stumbles

MAX_WORDS: Final[Mapping[str, int]] = {"README.md": 900, "docs": 15_000}
"""docs/ had 30,000. README counts with all that it quotes; docs/ without what commands print and
the table of keys, and without open-work.md, which is not for users."""


_PRINTED: Final = re.compile(
    r"^```console\n\$ python -m bench .*?^```$"
    r"|^<!-- python -m bench [^\n]* -->\n```text\n.*?^```$"
    r"|^<!-- keys: begin.*?<!-- keys: end -->$",
    re.DOTALL | re.MULTILINE,
)
"""What docs/refresh.py fills in."""

_FENCED: Final = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_MARKUP: Final = re.compile(r"\{[%#{].*?[%#}]\}|<[^>]*>", re.DOTALL)


def word_count(text: str) -> int:
    """Words with a letter or digit: the bars of a table are none."""
    return sum(bool(re.search(r"\w", word)) for word in text.split())


def messages(path: Path) -> str:
    """The text that a module may print: its strings of several words but the docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documenting = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node not in documenting and " " in node.value
    )
    return " | ".join(strings)


def pages() -> dict[str, str]:
    found = [ROOT / "README.md", ROOT / "results" / "README.md"]
    found += sorted((ROOT / "docs").glob("*.md"))
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in found}


PAGES: Final = pages()
TEMPLATES: Final = sorted((ROOT / "bench" / "show" / "page" / "templates").iterdir())
MODULES: Final = sorted((ROOT / "bench").rglob("*.py"))


def test_the_reader_finds_all_there_is() -> None:
    assert {"README.md", "docs/method.md", "docs/glossary.md"} <= PAGES.keys()
    assert {path.suffix for path in TEMPLATES} == {".j2", ".css", ".js"}
    assert len(MODULES) > 100
    assert word_count("| a | 95 % CI |\n|---|---|") == 3
    page = "a\n\n```console\n$ python -m bench list\nb\n```\n\nc\n"
    assert _PRINTED.sub("", page).split() == ["a", "c"]


@pytest.mark.parametrize("phrase", BANNED, ids=lambda one: str(one.example))
def test_a_banned_phrase_is_found_across_lines(phrase: Phrase) -> None:
    found = list(stumbles(phrase.example.replace(" ", "\n")))
    assert any(line.endswith(phrase.instead) for line in found)


def test_plain_words_are_left_alone() -> None:
    plain = "At least 5 runs. A fit by least squares. The table shows the p99. 5 of 10, at most."
    assert list(stumbles(plain)) == []


def test_messages_are_strings_without_docstrings(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('"""The least."""\nX = "name"\n"""The least X."""\nY = f"from {X} on"\n')
    assert messages(module) == "from  |  on"


def test_readme_is_short() -> None:
    assert word_count(PAGES["README.md"]) <= MAX_WORDS["README.md"]


def test_docs_are_short() -> None:
    counts = {
        name: word_count(_PRINTED.sub("", text))
        for name, text in PAGES.items()
        if name.startswith("docs/") and name != "docs/open-work.md"
    }
    assert sum(counts.values()) <= MAX_WORDS["docs"], counts


@pytest.mark.parametrize("page", PAGES)
def test_pages_speak_plainly(page: str) -> None:
    prose = _FENCED.sub("", _PRINTED.sub("", PAGES[page]))
    check_plain(prose)


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_speaks_plainly(command: str | None) -> None:
    parser, chosen = make_parser(command)
    check_plain((chosen or parser).format_help())


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.name))
def test_the_html_page_speaks_plainly(template: Path) -> None:
    check_plain(_MARKUP.sub(" ", template.read_text(encoding="utf-8")))


def test_messages_speak_plainly() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line}" for path in MODULES for line in stumbles(messages(path))
    ]
    assert not found, "\n".join(found)
