"""Redo children of the user's: chosen, refused, measured with their pages unknown."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.cases.config import ConfigError, differences, load_profile, override
from bench.cases.matrix import cases_of
from bench.cases.own import child_label, child_words
from bench.errors import BenchError
from bench.places import ROOT
from bench.results.suite_file import read_suite
from bench.results.summary import load_summary
from bench.running.equipment import own
from bench.running.equipment.equipment import Equipment, prepare, usable_managers
from bench.running.equipment.interpreters import find_interpreters
from bench.running.equipment.own import find_child
from bench.show.notes import notes
from bench.worker.subjects.subject import AnyPage
from tests.support.children import command_of
from tests.support.suite_server import SuiteServer
from walredo import PAGE_SIZE

EXAMPLE = ROOT / "examples" / "redo_child.py"


@pytest.mark.parametrize(
    ("choice", "label", "words"),
    [
        ("cmd:/opt/redo.v2 --flag=3", "cmd:redo", ["/opt/redo.v2", "--flag=3"]),
        ("cmd:redo", "cmd:redo", ["redo"]),
        ("cmd:mine=python3 'a b.py' -x", "cmd:mine", ["python3", "a b.py", "-x"]),
    ],
)
def test_a_child_has_a_label(choice: str, label: str, words: list[str]) -> None:
    assert child_label(choice) == child_label(label) == label
    assert child_words(choice) == words


@pytest.mark.parametrize("choice", ["cmd:", "cmd: ", "cmd:x=", "cmd:x='", "cmd:''", "cmd:/.x", "d"])
def test_what_is_no_choice_of_a_child(choice: str) -> None:
    with pytest.raises(ConfigError, match="--child"):
        override(load_profile("quick"), child=choice)


def test_a_command_may_have_commas() -> None:
    config = override(load_profile("quick"), child="c,cmd:a=x --list 1,2,cmd:b=y c,d, python")
    assert config.child.kind == ("c", "cmd:a=x --list 1,2", "cmd:b=y c,d", "python")
    assert {case.child for case in cases_of(config)} == {"c", "cmd:a", "cmd:b", "python"}
    assert config.without_paths().child.kind == ("c", "cmd:a", "cmd:b", "python")
    assert differences(config, config.without_paths()) == []


@pytest.mark.parametrize("options", [{"cost": "pg14"}, {"fault": "hang"}])
def test_options_of_ours_are_not_for_it(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="expected none with a child of your own"):
        override(load_profile("quick"), child="cmd:x", **options)


def test_two_children_need_two_labels() -> None:
    with pytest.raises(ConfigError, match="cmd:LABEL=COMMAND"):
        override(load_profile("quick"), child="cmd:/a/redo,cmd:/b/redo")


def test_it_is_found_and_known_by_its_content(tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text("1")
    one = find_child(f"cmd:{sys.executable} {script} -x")
    assert one.command == (sys.executable, str(script), "-x")
    assert find_child(f"cmd:{sys.executable} {script} -y").sha256 != one.sha256
    script.write_text("2")
    assert find_child(f"cmd:{sys.executable} {script} -x").sha256 != one.sha256
    with pytest.raises(BenchError, match=r"there is no program none: .* as cmd:none=COMMAND"):
        find_child("cmd:none")


def test_the_floor_is_left_out() -> None:
    config = override(load_profile("quick"), manager="sync,floor", child="python,cmd:x")
    managers, said = usable_managers(config, find_interpreters([]), asked_for=False)
    assert managers == ("sync",)
    assert said[0].startswith("floor is left out: it checks every byte")
    with pytest.raises(BenchError, match="floor: it checks"):
        usable_managers(config, find_interpreters([]), asked_for=True)


def equipment_over_shm(child: str, folder: Path, **options: str) -> Equipment:
    config = override(load_profile("quick"), manager="sync", workload="short", child=child)
    config = override(config, transport="shm", **options)
    return prepare(config, folder, find_interpreters([]))


def test_one_without_shared_memory_is_refused_before_anything_is_measured(
    tmp_path: Path, server: SuiteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = tmp_path / "r.json"
    words = f"run --profile quick --manager sync --transport shm -o {result} --child"
    ended = server.run(tmp_path, *words.split(), f"cmd:mine={sys.executable} -c pass")
    assert (ended.status, ended.out, result.exists()) == (2, "", False)
    (line,) = ended.err.splitlines()
    assert f"--child cmd:mine={sys.executable} -c pass: does not answer with --shared-mem" in line
    assert line.endswith("leave out --transport shm, or that child")
    # One that takes no notice of the option waits for ever.
    monkeypatch.setattr(own, "_PING_S", 0.5)
    with pytest.raises(BenchError, match=r"cmd:mine=.*redo_child.py: does not answer"):
        equipment_over_shm(f"cmd:mine={sys.executable} {EXAMPLE}", tmp_path)
    # Where it is asked over pipes only, nothing is tried.
    equipment_over_shm(f"cmd:mine={sys.executable} {EXAMPLE}", tmp_path, scenario="reap")


def test_one_with_shared_memory_is_measured_over_it(tmp_path: Path) -> None:
    command = " ".join(map(str, command_of("python")))
    equipment = equipment_over_shm(f"cmd:mine={command}", tmp_path)
    assert set(equipment.own_children) == {"cmd:mine"}


def test_a_page_that_is_not_known_has_a_length() -> None:
    page, expected = bytes(PAGE_SIZE), AnyPage(b"x" * PAGE_SIZE)
    assert (page != expected) is False  # as the loops that are measured ask
    assert page == expected
    assert page[:-1] != expected


def test_its_runs_say_how_pages_were_checked(tmp_path: Path, server: SuiteServer) -> None:
    result = tmp_path / "r.json"
    words = "run --profile quick --manager sync,async --workload short+image,ping --clients 2"
    words += f" --rounds 1 --seconds 0.02 --slices 1 -o {result}"
    child = ("--child", f"cmd:mine={sys.executable} {EXAMPLE}")
    ended = server.run(tmp_path, *words.split(), *child)
    assert ended.status == 0, ended.err
    assert str(EXAMPLE) not in result.read_text()
    checks = {
        one.get_name(): one.get_runs()[0].get_metadata()["redo_worker_page_check"]
        for one in read_suite(result)
    }
    assert checks == {
        f"{manager}/{workload}/n=2/child=cmd:mine": check
        for manager in ("sync", "async")
        for workload, check in (("short+image", "length"), ("ping", "content"))
    }
    (note,) = [one for one in notes(load_summary(result)) if one.kind == "page-check"]
    assert note.text.startswith("child=cmd:mine: only length and LSN of its pages were checked")
    again = ("run", "--resume", str(result), "--rounds", "2")
    assert server.run(tmp_path, *again).last_line == (
        f"walredo-bench: {result}: does not hold where what is yours is:"
        " say --child cmd:mine=COMMAND"
    )
    assert server.run(tmp_path, *again, *child).status == 0
    other = server.run(tmp_path, *again[:-1], "3", "--child", f"{child[1]} --more")
    assert (other.status, "another own_children" in other.err) == (2, True)


def test_one_whose_pages_begin_otherwise_fails_its_runs(
    tmp_path: Path, server: SuiteServer
) -> None:
    script = tmp_path / "child.py"
    script.write_text(EXAMPLE.read_text().replace("lsn >> 32", "1 + (lsn >> 32)"))
    words = f"run --profile quick --manager sync --clients 1 --rounds 1 -o {tmp_path}/r.json"
    child = f"cmd:mine={sys.executable} {script}"
    ended = server.run(tmp_path, *words.split(), "--workload", "short", "--child", child)
    assert ended.status == 1
    assert "a page that does not begin as that of redo" in ended.err
