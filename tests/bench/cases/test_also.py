"""[[also]]: further, smaller matrices of a profile, whose cases are in the same rounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cases.case import ChildVariant
from bench.cases.config import (
    Config,
    ConfigError,
    differences,
    from_json,
    load_profile,
    named_again,
    override,
    with_managers,
)
from bench.cases.matrix import cases_of
from bench.cases.names import THIS_PYTHON
from bench.cli.run import RUN_OVERHEAD_S
from bench.running.equipment.equipment import prepare, usable_managers
from bench.running.equipment.interpreters import find_interpreters
from bench.running.run import worker_spec

MAIN = """
manager = ["sync", "floor"]
workload = ["short"]
clients = [1, 8]
[child]
kind = ["python"]
"""
ALSO = """
[[also]]
manager = ["sync"]
clients = [8]
[also.child]
cost = "pg14"
[[also]]
wait = ["spin:20"]
manager = ["async"]
"""


def profile(folder: Path, text: str = MAIN + ALSO) -> Config:
    file = folder / "mine.toml"
    file.write_text(text)
    return load_profile(str(file))


def names(config: Config) -> list[str]:
    return [case.name.replace("/child=python", "") for case in cases_of(config)]


def test_its_cases_follow_those_of_the_main_matrix(tmp_path: Path) -> None:
    assert names(profile(tmp_path)) == [
        "sync/short/n=1",
        "sync/short/n=8",
        "floor/short/n=1",
        "floor/short/n=8",
        "sync/short/n=8/cost=pg14",
        "async/short/n=1/wait=spin:20",
        "async/short/n=8/wait=spin:20",
    ]


def test_a_case_of_two_matrices_is_measured_once(tmp_path: Path) -> None:
    config = profile(tmp_path, MAIN + "[[also]]\nclients = [8, 16]\n")
    assert names(config).count("sync/short/n=8") == 1
    assert "sync/short/n=16" in names(config)


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ("[[also]]\nclients = [0]", "[[also]] 1: clients = 0: expected whole numbers from 1"),
        ("[[also]]\ncleints = [1]", '[[also]] 1: unknown field "cleints": did you mean "clients"'),
        ("[[also]]\nrounds = 3", '[[also]] 1: unknown field "rounds"'),
        ("[[also]]\nchild = 3", "[[also]] 1: child = 3: expected a table [child] with kind and"),
        ("[[also]]\nread_path = {}", '[[also]] 1: unknown field "read_path"'),
        ("[[also]]", "[[also]] 1: at least one dimension is needed"),
        ("[[also]]\nclients=[1]\n[[also]]\nwait=['x']", "[[also]] 2: "),
        ("[also]\nclients = [1]", 'also = {"clients": [1]}: expected tables [[also]]'),
        (
            "[[also]]\ntopology = ['per-tenant']\nload = ['open:10']",
            "[[also]] 1: topology = ",
        ),
        (
            "[[also]]\nworkload = ['file:a=x']\n[[also]]\nworkload = ['file:a=y']",
            "names that differ",
        ),
    ],
)
def test_an_error_is_one_line_that_names_the_table(table: str, error: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        profile(tmp_path, f"{MAIN}\n{table}\n")
    assert error in str(caught.value)
    assert "mine.toml: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_option_drops_the_tables_that_set_its_dimension(tmp_path: Path) -> None:
    config = profile(tmp_path)
    assert names(override(config, rounds=3)) == names(config)
    assert "async/short/n=1/wait=spin:20" in names(override(config, clients="1"))
    assert "sync/short/n=8/cost=pg14" not in names(override(config, clients="1"))
    assert not override(config, manager="sync").also
    # What a table leaves to the main matrix follows the option.
    assert names(override(config, workload="medium"))[-1] == "async/medium/n=8/wait=spin:20"


def test_a_read_path_of_a_table_takes_the_options_for_it(tmp_path: Path) -> None:
    config = profile(tmp_path, MAIN + "[[also]]\nmanager = ['sync']\nadmission = ['after:1']\n")
    assert override(config, data_bytes=1024).matrices()[1].read_path.data_bytes == 1024
    with pytest.raises(ConfigError, match="--data-bytes = 1024: expected an --admission"):
        override(profile(tmp_path), data_bytes=1024)


def test_it_is_stored_and_goes_on_with_the_same(tmp_path: Path) -> None:
    config = profile(tmp_path, f"{MAIN}[[also]]\nworkload = ['file:own=some/path', 'short']\n")
    stored = from_json(config.without_paths().to_json())
    assert [case.name for case in cases_of(stored)] == [case.name for case in cases_of(config)]
    assert "some/path" not in stored.to_json()
    again = named_again(stored, workload="short,file:own=other/path", clients="1,8")
    assert again.values("workload") == ("short", "file:own=other/path")
    assert differences(stored, again) == []
    assert hash(again) != hash(stored)


def test_another_table_is_another_configuration(tmp_path: Path) -> None:
    changed = profile(tmp_path, MAIN)
    (line,) = differences(profile(tmp_path), changed)
    assert line.startswith("also: ")


def test_managers_that_cannot_run_are_left_out_of_every_matrix(tmp_path: Path) -> None:
    config = with_managers(profile(tmp_path), ["sync"])
    assert names(config) == ["sync/short/n=1", "sync/short/n=8", "sync/short/n=8/cost=pg14"]
    usable, _ = usable_managers(
        profile(tmp_path), find_interpreters((THIS_PYTHON,)), asked_for=False
    )
    assert {"sync", "async"} <= set(usable)


def test_each_case_gets_the_child_of_its_cost(tmp_path: Path) -> None:
    config = with_managers(profile(tmp_path), ["sync", "async"])  # the floor needs a compiler
    made = prepare(config, tmp_path, find_interpreters((THIS_PYTHON,)))
    free, heavy = ChildVariant("python"), ChildVariant("python", "pg14")
    assert made.child_commands[heavy] == (*made.child_commands[free], "--cost", "pg14")
    for case in cases_of(config):
        command = worker_spec(case, 1, config, made).child_command
        assert ("pg14" in command) == (case.cost == "pg14"), case.name


def test_the_default_profile_has_a_heavy_child_and_fits_its_budget() -> None:
    config = load_profile("default")
    heavy = [case for case in cases_of(config) if case.cost == "pg14"]
    assert {case.clients for case in heavy} == {1, 16, 128}
    assert {case.manager for case in heavy} == {"sync", "async"}
    assert {case.workload for case in heavy} == {"short", "medium"}
    run_s = config.warmup_s + config.seconds + RUN_OVERHEAD_S
    estimate_s = len(cases_of(config)) * config.rounds * run_s
    assert config.budget_s is not None
    # The rest is for slices that are stretched: those of medium at N = 128.
    assert estimate_s <= 0.8 * config.budget_s
    assert config.budget_s <= 285
