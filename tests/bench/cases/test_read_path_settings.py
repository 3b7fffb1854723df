"""The settings of the read path: where they count, what is refused, and what must agree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cases.case import Case, ChildVariant
from bench.cases.config import (
    Config,
    ConfigError,
    ReadPathConfig,
    differences,
    load_profile,
    override,
)
from bench.cases.matrix import cases_of
from bench.cases.names import THIS_PYTHON
from bench.results.summary import Summary, load_summary
from bench.running.equipment.equipment import Equipment
from bench.running.equipment.interpreters import find_interpreters
from bench.running.equipment.workloads import Traffic
from bench.running.run import worker_spec
from bench.statistics.comparison import differences as result_differences
from bench.worker.protocol import WorkerSpec
from tests.support.made_up_runs import RUN, Bench
from tests.support.synthetic import ENVIRONMENT, save, steady_record


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--admission before:0", "--admission: 'before:0': expected none, unlimited, before:K"),
        ("--admission both:4", "--admission: 'both:4'"),
        ("--admission before:1 --data-bytes -1", '--data-bytes = "-1": expected whole bytes'),
        ("--admission before:1 --data-bytes 1.5", "--data-bytes"),
        ("--admission before:1 --data-bytes 9999999999", "--data-bytes"),
        ("--admission before:1 --download-ms -1", '--download-ms = "-1": expected milliseconds'),
        ("--admission before:1 --download-share 1.1", "--download-share"),
        ("--admission before:1 --download-share nan", "--download-share"),
        ("--admission before:1 --budget-bytes -1", "--budget-bytes"),
        ("--admission before:1 --budget-bytes 9", "room for the data of one read at least"),
        ("--data-bytes 4096", "--data-bytes = 4096: expected an --admission other than none"),
        ("--admission before:1 --topology per-tenant", "--topology"),
    ],
)
def test_what_makes_no_sense_is_one_line(options: str, says: str, bench: Bench) -> None:
    line = bench.refuses(f"{RUN} {options} -o o.json")
    assert says in line


def test_a_suite_is_not_resumed_with_another_read_path(bench: Bench) -> None:
    status, _, err = bench(f"{RUN} --admission before:2 --rounds 1 -o o.json")
    assert status == 0, err
    bench.ran.clear()
    line = bench.refuses("run --resume o.json --data-bytes 4096")
    assert "read_path.data_bytes: 262144 and 4096" in line


def with_admissions() -> Config:
    return override(
        load_profile("quick"), admission="none,unlimited,both:4,2", data_bytes=4096, clients="8"
    )


def test_a_name_tells_whether_there_is_a_read_path() -> None:
    cases = [case for case in cases_of(with_admissions()) if case.workload == "short"]
    assert {case.name for case in cases if case.manager == "async"} == {
        "async/short/n=8",
        "async/short/n=8/admission=unlimited",
        "async/short/n=8/admission=both:4,2",
    }
    # The floor has no clients that could read.
    assert [case.name for case in cases if case.manager == "floor"] == ["floor/short/n=8"]


def test_settings_are_part_of_what_must_agree() -> None:
    config = with_admissions()
    assert differences(config, override(config, download_share="0.5")) == [
        "read_path.download_share: 0.25 and 0.5"
    ]


def spec_of(admission: str) -> WorkerSpec:
    equipment = Equipment(
        traffic={"short": Traffic(Path("requests"), Path("pages"))},
        child_commands={ChildVariant(): ("child",)},
        floor_program=None,
        build_facts={},
        interpreters=find_interpreters([THIS_PYTHON]),
        warnings=(),
        peer=None,
    )
    return worker_spec(
        Case("async", "short", 8, admission=admission), 1, with_admissions(), equipment
    )


def test_a_worker_is_told_of_the_read_path_where_there_is_one() -> None:
    spec = spec_of("unlimited")
    assert (spec.data_bytes, spec.download_ms, spec.download_share) == (4096, 5.0, 0.25)
    message = spec.to_message()
    assert message["protocol"] == 2
    assert WorkerSpec.from_message(message) == spec
    # Any other case can still be measured by an older worker.
    assert spec_of("none").to_message()["protocol"] == 1


def result(folder: Path, name: str, admission: str, **settings: float) -> Summary:
    config = json.loads(with_admissions().to_json())
    config["read_path"] |= settings
    environment = replace(ENVIRONMENT, config_json=json.dumps(config))
    case = Case("sync", "short", 2, admission=admission)
    path = save(folder / name, [steady_record(case)], environment=environment)
    return load_summary(path)


def test_results_with_other_read_paths_do_not_compare(tmp_path: Path) -> None:
    base = result(tmp_path, "a.json", "after:1")
    other = result(tmp_path, "b.json", "after:1", data_bytes=1)
    assert result_differences(base, other) == ("read_path.data_bytes: 4096 | 1",)
    assert result_differences(base, base) == ()


def test_where_there_is_no_read_path_its_settings_are_free_to_differ(tmp_path: Path) -> None:
    base = result(tmp_path, "a.json", "none")
    assert result_differences(base, result(tmp_path, "b.json", "none", data_bytes=1)) == ()
    assert result_differences(base, result(tmp_path, "c.json", "after:1", data_bytes=1)) == ()


def test_a_config_made_by_hand_is_checked() -> None:
    with pytest.raises(ConfigError, match=r"read_path\.download_share = 2"):
        Config(
            name="x",
            manager=("sync",),
            workload=("short",),
            clients=(1,),
            read_path=ReadPathConfig(download_share=2),
        )
