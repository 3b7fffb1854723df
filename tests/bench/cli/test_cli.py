"""The command line: its texts, its exit statuses, and that a wrong word costs nothing.

Most tests call ``main`` in this process, in an empty folder, with runs that are made up; those of
closed and full outputs run the program.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import pytest

from bench.cases import placement
from bench.cases.case import Case
from bench.cases.config import OPTIONS, Config, load_profile, option_name
from bench.cases.dimension import OptionGroup
from bench.cases.matrix import cases_of
from bench.cli import measuring, run
from bench.cli.main import COMMANDS, main, parse
from bench.cli.options import config_of
from bench.places import ROOT
from bench.results.record import FailedRun
from bench.results.result_file import ResultFile
from bench.results.summary import Summary, load_summary
from bench.running.equipment.workloads import WORKLOADS, make_requests
from bench.running.processes import RunFailedError
from bench.show.exports import bencher, github_action
from tests.support.checkouts import commit_all, git
from tests.support.children import LIMIT_S
from tests.support.made_up_runs import RUN, Bench
from tests.support.synthetic import modelled_records, save, steady_record

PROFILE = 'manager = ["sync"]\nworkload = ["short"]\nclients = [1]\n[child]\nkind = ["python"]\n'


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """A result of two managers and three rounds."""
    return save(
        tmp_path / "r.json", modelled_records(["sync", "async", "floor"], ["short"], [1, 8], 3)
    )


# --- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("", f"no command: choose one of {', '.join(COMMANDS)}"),
        ("rnu", 'unknown command "rnu": did you mean "run"?'),
        ("-v", "no command"),
        ("run --manger sync", 'unknown option "--manger": did you mean "--manager"?'),
        ("run --client 1", 'unknown option "--client": did you mean "--clients"?'),
        ("run --manger=sync", 'unknown option "--manger": did you mean "--manager"?'),
        ("run -z", 'unknown option "-z"'),
        ("run more", "unexpected argument 'more' (see walredo-bench run --help)"),
        ("show", "required: FILE|latest"),
        ("plot a.json b.json", "unexpected argument 'b.json'"),
        ("show a.json b.json", "a.json: no such file"),
        ("run --rounds", "--rounds: expected one argument"),
        ("run --manager asnc", '--manager: unknown manager "asnc": did you mean "async"?'),
        ("run --workload shrt", '--workload: unknown workload "shrt": did you mean "short"?'),
        ("run --child rust", '--child: unknown child "rust"'),
        ("run --cost pg15", '--cost: unknown cost "pg15": did you mean "pg14"?'),
        ("run --profile quik", 'unknown profile "quik": did you mean "quick"?'),
        ("run --profile no.toml", "profile no.toml: No such file"),
        ("run --clients 0", "--clients"),
        ("run --clients 4097", "--clients"),
        ("run --clients 1,x", "--clients"),
        ("run --clients 1,1", "--clients: 1 is listed twice"),
        ("run --clients=", "--clients"),
        ("run --rounds 0", "--rounds"),
        ("run --rounds 1.5", "--rounds"),
        ("run --seconds -1", "--seconds"),
        ("run --seconds nan", "--seconds"),
        ("run --seconds 0.001 --slices 5", "--s"),
        ("run --run-timeout-s 0.1", "--run-timeout-s"),
        ("run --budget-s 0", "--budget-s"),
        ("run --load open:0", "--load: 'open:0': expected closed, open:RATE"),
        ("run --load closed,open:0%", "--load: 'open:0%': expected closed, open:RATE"),
        ("run --load open:1e3", "--load: 'open:1e3': expected closed, open:RATE"),
        ("run --load open:80%", '--load = ["open:80%"]: expected closed as well'),
        ("run --load open:1", "more redos per second than open:1"),
        ("run --load closed,open:9 --executor 4", "--executor"),
        ("ab HEAD --load closed,open:80%", "--load open:80%: `ab` has no round"),
        ("run --seed -1", "--seed"),
        ("list --manager asnc", '--manager: unknown manager "asnc"'),
        ("list --profile quik", 'unknown profile "quik"'),
        ("dump-request shrt", 'unknown workload "shrt": did you mean "short"?'),
        ("dump-request short --index 64", "--index 64: expected 0 to 63"),
        ("dump-request short --index -1", "--index -1: expected 0 to 63"),
        ("dump-request short --index x", "--index"),
        ("dump-request short --seed x", "--seed"),
        ("show latest", "no result file in"),
        ("show no.json", "no.json: no such file"),
        ("show .", "Is a directory"),
        ("show r.json --format csv", '--format: unknown format "csv": (github-action, bencher)'),
        ("show r.json --format json", "--format json: say --json"),
        ("show r.json --format table", '--format: unknown format "table": (github-action, '),
        ("plot r.json --tails", "--tails: say --only tails"),
        ("show r.json --json --format bencher", "not allowed with"),
        ("show r.json --only verdct", '--only: unknown part "verdct": did you mean "verdict"?'),
        ("show r.json --only cases --json", "--only chooses among the usual tables"),
        ("show r.json --only cases --tails", "--only chooses among the usual tables"),
        ("plot no.json", "no.json: no such file"),
        ("report no.json", "no.json: no such file"),
        ("run --resume no.json", "no.json: no such file"),
    ],
)
def test_a_wrong_word_is_one_line(command: str, says: str, bench: Bench) -> None:
    assert says in bench.refuses(command)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("round = 3\n" + PROFILE, 'unknown field "round": did you mean "rounds"?'),
        (PROFILE + 'sort = "c"\n', 'unknown field "child.sort"'),
        ("rounds = 0\n" + PROFILE, "rounds = 0: expected a whole number from 1 to 10000"),
        ('rounds = "3"\n' + PROFILE, "rounds"),
        ("rounds = \n", "not valid TOML"),
        ("rounds = 3\n", '"manager" is missing'),
    ],
)
def test_a_wrong_profile_is_one_line(text: str, says: str, bench: Bench) -> None:
    (bench.folder / "my.toml").write_text(text)
    for command in ("run", "list"):
        line = bench.refuses(f"{command} --profile my.toml")
        assert line.startswith("walredo-bench: profile my.toml: ")
        assert says in line


def bad_results(good: bytes) -> Mapping[str, tuple[bytes, str]]:
    """File names with their contents and what is said of them."""
    newer = json.loads(good)
    newer["metadata"]["redo_schema_version"] = 99
    return {
        "empty.json": (b"", "empty.json"),
        "cut.json": (good[: len(good) // 2], "cut short"),
        "cut.json.gz": (gzip.compress(good)[:-200], "cut short"),
        "foreign.json": (b'{"results": [{"command": "sleep 1"}]}', "not in pyperf's format"),
        "text.json": (b"name,mean,stddev\nsync,0.1,0.2\n", "not JSON"),
        "binary.json": (b"\x89PNG\r\n\xff\xfe\x00", "not JSON"),
        "newer.json": (json.dumps(newer).encode(), "newer walredo-bench"),
    }


@pytest.mark.parametrize("command", ["show", "show --json", "plot", "report", "run --resume"])
@pytest.mark.parametrize(
    "name",
    [
        "empty.json",
        "cut.json",
        "cut.json.gz",
        "foreign.json",
        "text.json",
        "binary.json",
        "newer.json",
    ],
)
def test_a_bad_result_file_is_one_line(name: str, command: str, bench: Bench, result: Path) -> None:
    content, says = bad_results(result.read_bytes())[name]
    (bench.folder / name).write_bytes(content)
    line = bench.refuses(f"{command} {name}")
    assert line.startswith(f"walredo-bench: {name}: ")
    assert says in line


def test_another_suites_pyperf_file_is_refused(bench: Bench, result: Path) -> None:
    foreign = json.loads(result.read_bytes())
    for one in (foreign, *foreign["benchmarks"]):
        for key in [key for key in one.get("metadata", {}) if key.startswith("redo_")]:
            del one["metadata"][key]
    (bench.folder / "other.json").write_text(json.dumps(foreign))
    assert "other.json: " in bench.refuses("show other.json")


@pytest.mark.parametrize("existing", [b"", b"precious"])
def test_an_output_that_is_there_is_kept(existing: bytes, bench: Bench) -> None:
    (bench.folder / "o.json").write_bytes(existing)
    line = bench.refuses(f"{RUN} -o o.json")
    assert "o.json: is there already" in line
    assert "--force" in line


@pytest.mark.parametrize("output", ["file/o.json", "file/deeper/o.json"])
@pytest.mark.parametrize("force", ["", " --force"])
def test_a_place_that_cannot_be_written(output: str, force: str, bench: Bench) -> None:
    (bench.folder / "file").write_bytes(b"no folder")
    assert output in bench.refuses(f"{RUN} -o {output}{force}")


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_only_a_file_is_overwritten(kind: str, bench: Bench) -> None:
    place = bench.folder / "place.json"
    place.mkdir() if kind == "folder" else os.mkfifo(place)
    says = "is a folder" if kind == "folder" else "is there and is not a file"
    assert re.search(f"place.json:? {says}", bench.refuses(f"{RUN} -o place.json --force"))
    assert place.is_dir() if kind == "folder" else place.is_fifo()


def test_pictures_that_are_there_are_noticed_before_the_first_run(bench: Bench) -> None:
    picture = "o-latency-child-python.svg"
    (bench.folder / picture).write_text("precious")
    line = bench.refuses(f"{RUN} --rounds 1 -o o.json --plot")
    assert f"{picture}: is there already" in line


def test_a_page_that_is_there_is_noticed_before_the_first_run(bench: Bench) -> None:
    (bench.folder / "o.html").write_text("precious")
    line = bench.refuses(f"{RUN} --rounds 1 -o o.json --report")
    assert "o.html: is there already" in line


def test_a_page_never_takes_the_place_of_its_result(bench: Bench, result: Path) -> None:
    renamed = result.rename(result.with_suffix(".html"))
    for option in ("", " --force", " --force -o r.html"):
        assert "is the result itself" in bench.refuses(f"report {renamed.name}{option}")
    (bench.folder / "d.html").mkdir()
    assert "is a folder" in bench.refuses(f"{RUN} -o d.json --report --force")


def begun(bench: Bench, rounds: int = 1) -> Path:
    """A result file of this machine and commit."""
    status, _, err = bench(f"{RUN} --rounds {rounds} -o o.json")
    assert status == 0, err
    bench.ran.clear()
    return bench.folder / "o.json"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--clients 2", "clients: [1] and [2]"),
        ("--manager async", 'manager: ["sync"] and ["async"]'),
        ("--workload medium", "workload"),
        ("--child c", "child.kind"),
        ("--cost pg14", "child.cost"),
        ("--seconds 0.5", "seconds"),
        ("--slices 2", "slices"),
        ("--warmup-s 0.1", "warmup_s"),
        ("--timeout-s 5", "timeout_s"),
        ("--seed 9", "seed: 1 and 9"),
        ("--profile quick", "leave out --profile"),
        ("--output p.json", "leave out --output"),
    ],
)
def test_a_suite_is_not_resumed_with_other_settings(options: str, says: str, bench: Bench) -> None:
    begun(bench)
    assert says in bench.refuses(f"run --resume o.json {options}")


def test_a_suite_that_dropped_cases_goes_on_with_the_others(bench: Bench) -> None:
    two = RUN.replace("--clients 1", "--clients 1,8")
    assert bench(f"{two} --rounds 1 -o o.json --repeat-disturbed 0")[0] == 0
    path = bench.folder / "o.json"
    kept, dropped = sorted(row.case for row in load_summary(path).rows)
    result = ResultFile.load(path)
    result.drop_cases([dropped])
    result.save()
    bench.ran.clear()
    status, out, err = bench("run --resume o.json --rounds 2 --repeat-disturbed 1")
    assert status == 0
    assert bench.ran == [(2, kept)]
    assert "1 case, 2 rounds, 1 done before" in err
    assert f"too short for all rounds of all cases: {dropped.name}" in " ".join(out.split())


def test_a_suite_of_another_commit_is_not_resumed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(bench)
    monkeypatch.setattr(measuring, "ROOT", bench.folder)  # no checkout at all
    assert "git_commit" in bench.refuses("run --resume o.json --rounds 2")


def test_a_suite_is_not_resumed_on_other_cpus(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(bench)
    before = placement.cpus_allowed()
    monkeypatch.setattr(placement, "cpus_allowed", lambda: "5,7")
    line = bench.refuses("run --resume o.json --rounds 2")
    assert f"another cpus_allowed ({before}, now 5,7; taskset -c LIST sets it): " in line
    assert line.endswith("go back to that, or start a new file\n")


@pytest.mark.parametrize(
    "edited", ["bench/a.py", "walredo/new.py"], ids=["a file of the commit", "a new file"]
)
def test_a_tree_that_was_edited_since_is_not_resumed(
    edited: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = bench.folder / "own"
    for name in ("bench", "walredo"):
        (checkout / name).mkdir(parents=True)
        (checkout / name / "a.py").write_text("1")
    git(checkout, "init", "--quiet")
    commit_all(checkout)
    (checkout / "bench" / "a.py").write_text("2")
    monkeypatch.setattr(measuring, "ROOT", checkout)
    begun(bench)
    (checkout / "docs.md").write_text("not measured")
    assert bench("run --resume o.json --rounds 2")[0] == 0
    bench.ran.clear()
    (checkout / edited).write_text("3")
    line = bench.refuses("run --resume o.json --rounds 3")
    assert "another git_diff_sha256 (the tree was edited since): " in line
    (checkout / "walredo" / "new.py").unlink(missing_ok=True)
    (checkout / "bench" / "a.py").write_text("2")
    assert bench("run --resume o.json --rounds 3")[0] == 0


@pytest.mark.parametrize("option", ["--format pdf", "--format svg,gif", "--format="])
def test_a_picture_format_that_there_is_not(option: str, bench: Bench, result: Path) -> None:
    assert "picture format" in bench.refuses(f"plot {result.name} {option}")


def test_a_picture_that_is_there_is_kept(bench: Bench, result: Path) -> None:
    (bench.folder / "r-throughput.png").write_bytes(b"precious")
    assert "r-throughput.png: is there already" in bench.refuses("plot r.json")


def test_a_place_for_pictures_that_cannot_be_written(bench: Bench, result: Path) -> None:
    assert "r.json" in bench.refuses("plot r.json -o r.json/x")


@pytest.mark.parametrize("command", COMMANDS)
def test_control_characters_do_not_break_the_line(command: str, bench: Bench) -> None:
    assert "Traceback" not in bench.refuses([command, "--no\nsuch", "a\nb"])


def test_nor_do_those_in_the_name_of_a_result(bench: Bench) -> None:
    assert r"a\nb\r: neither a result file" in bench.refuses(["show", "a\nb\r"])


# --- Help and lists -------------------------------------------------------------------------------

EVERY_OPTION = {
    "run": [
        "--profile",
        "--output",
        "-o",
        "--force",
        "--resume",
        "--plot",
        "--report",
        "--save-as",
    ],
    "list": ["--profiles", "--profile", "--saved"],
    "show": [
        "--json",
        "--format",
        "--only",
        "github-action",
        "bencher",
        "FILE|latest",
        "--combine",
    ],
    "compare": [
        *("--json", "--csv", "--markdown", "--plot", "-o", "--fail-on", "--margin", "--force"),
        *("--case", "--measure", "--baseline", "--combine", "BASE", "CHANGED"),
    ],
    "ab": ["--minutes", "-o", "--json", "--csv", "--markdown", "--fail-on", "BASE", "CHANGED"],
    "selftest": ["--minutes", "--only", "--markdown", "--json"],
    "history": ["FOLDER", "--case", "--measure", "--ab", "--json", "--plot", "-o", "--force"],
    "check": ["--json"],
    "report": ["--output", "-o", "--force", "--combine", "FILE|latest"],
    "plot": [
        *("--output", "-o", "--format", "--only", "--measure", "--force", "--combine"),
        *("FILE|latest", "svg,png"),
    ],
    "workload": ["check", "write", "from-wal"],
    "dump-request": ["--seed", "--index", "WORKLOAD", *WORKLOADS],
}


def test_every_command_is_tested_for_help() -> None:
    assert set(EVERY_OPTION) == set(COMMANDS)


MAX_HELP_LINES = 45
WITH_LONGER_HELP = ("run", "list", "ab", "compare")
NOT_FOR_AB = ("--rounds", "--budget-s", "--repeat-disturbed", "--peer")


@pytest.fixture
def help_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """What a command prints of itself, on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def told(*words: str) -> str:
        with pytest.raises(SystemExit) as left:
            main(words)
        out, err = capsys.readouterr()
        assert (left.value.code, err) == (0, "")
        return out

    return told


def options_in(text: str) -> set[str]:
    """The options that begin a line of the help."""
    return set(re.findall(r"^  (?:-\w[^,]*, )?(--[a-z-]+)", text, re.MULTILINE))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_every_option(command: str, help_of: Callable[..., str]) -> None:
    longer = command in WITH_LONGER_HELP
    out = help_of(command, "--help-all" if longer else "--help")
    for option in EVERY_OPTION[command]:
        assert re.search(rf"(^|[\s\[,]){re.escape(option)}\b", out, re.MULTILINE), option
    assert max(map(len, out.splitlines())) <= 100
    if command in {"run", "list", "ab"}:
        expected = {option_name(option) for option in OPTIONS}
        assert expected - options_in(out) == (set(NOT_FOR_AB) if command == "ab" else set())
        short = options_in(help_of(command, "--help"))
        hidden = {
            option_name(option)
            for option, rule in OPTIONS.items()
            if rule.group in (OptionGroup.EXPERIMENT, OptionGroup.EXPERT)
        }
        assert {"--heartbeat", "--admission", "--data-bytes", "--scenario", "--slices"} <= hidden
        assert not hidden & short
        assert {"--profile", "--manager", "--clients", "--seconds", "--child"} <= short


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_short_and_ends_with_examples(command: str, help_of: Callable[..., str]) -> None:
    lines = help_of(command, "--help").splitlines()
    assert len(lines) <= MAX_HELP_LINES
    assert len(lines[0]) < 80
    begin = lines.index("Examples:") + 1
    examples = lines[begin : lines.index("", begin)]
    assert len(examples) == 3
    for line in examples:
        program = "python -m bench "
        assert line.startswith(f"  {program}{command}")
        words = shlex.split(re.split(r" (?:\||>|&&) ", line.strip())[0].removeprefix(program))
        args = parse(words)
        if command in {"run", "list", "ab"}:
            config_of(args)


def test_names_are_not_broken_in_help(help_of: Callable[..., str]) -> None:
    words = help_of("run", "--help").replace(",", " ").split()
    assert {"noop-sync", "noop-async", "async-uvloop"} <= set(words)


def test_help_lists_the_commands_and_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    out = " ".join(capsys.readouterr().out.split())
    for name, summary in COMMANDS.items():
        assert name in out
        assert summary in out
    for status in ("0 success", "1 a failed run or check", "2 bad usage", "130 interrupted"):
        assert status in out


def test_list_names_every_case(bench: Bench) -> None:
    status, out, err = bench("list --profile quick")
    assert (status, err) == (0, "")
    assert out.splitlines() == [case.name for case in cases_of(load_profile("quick"))]


def test_list_takes_the_options_of_run(bench: Bench) -> None:
    status, out, _ = bench("list --manager sync --workload ping --clients 1,4 --child c,python")
    assert status == 0
    assert out.split() == [
        "sync/ping/n=1",
        "sync/ping/n=4",
        "sync/ping/n=1/child=python",
        "sync/ping/n=4/child=python",
    ]


def test_list_profiles(bench: Bench) -> None:
    status, out, err = bench("list --profiles")
    assert (status, err) == (0, "")
    lines = dict(line.split(None, 1) for line in out.splitlines())
    assert {"quick", "default", "full"} <= set(lines)
    for name, title in lines.items():
        assert title == load_profile(name).title


# --- What reads results ---------------------------------------------------------------------------


def test_show(bench: Bench, result: Path) -> None:
    status, out, err = bench("show r.json")
    assert (status, err) == (0, "")
    assert re.search(r"^ *1 +sync ", out, re.MULTILINE)
    assert re.search(r"^ *8 +sync ", out, re.MULTILINE)
    assert "async" in out
    assert max(map(len, out.splitlines())) <= 100
    assert "\x1b" not in out
    cases = bench("show r.json --only cases")[1]
    assert max(map(len, cases.splitlines())) <= 80


@pytest.mark.parametrize("columns", [50, 60, 80, 200])
def test_a_narrow_window_takes_no_column_away(
    columns: int, bench: Bench, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    status, out, _ = bench("show r.json")
    assert status == 0
    rows = out.partition("Medians")[0]
    for word in ("sync", "async", "floor", "/floor"):
        assert word in rows


def test_the_verdict_comes_first(bench: Bench, result: Path) -> None:
    _, out, _ = bench("show r.json")
    verdict, _, rest = out.partition("t/redo")
    assert "async" in verdict and "For short requests" in verdict
    assert "For short requests" not in rest


def test_in_a_terminal_the_verdict_comes_last(
    bench: Bench, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    for command in ("show r.json", "run --manager sync,async --clients 1,8 --rounds 2"):
        lines = bench(command)[1].splitlines()
        at = next(number for number, line in enumerate(lines) if "For " in line)
        assert any("t/redo" in line for line in lines[:at])
        assert len(lines) - at < 12
        assert bench(f"{command} --plain")[1].index("For ") < 400


def test_a_legend_on_request(bench: Bench, result: Path) -> None:
    for command in ("show r.json", "show r.json --tails", "history . --case *"):
        out = bench(command)[1]
        explained = bench(f"{command} --legend")[1]
        assert "--legend explains every column" in " ".join(out.split())
        assert "--legend" not in explained
        assert len(explained) > len(out) + 200


def test_a_pipe_gets_plain_text(
    bench: Bench, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    for command in ("show r.json", "show r.json --tails --legend", "compare r.json r.json"):
        out = bench(command)[1]
        assert not [line for line in out.splitlines() if line.endswith(" ")]
        assert "▁" not in out
        assert out == bench(f"{command} --plain")[1]
    (answer,) = (line for line in bench("show r.json")[1].splitlines() if line.startswith("- "))
    assert answer.endswith(".")


def test_show_only_a_part(bench: Bench, result: Path) -> None:
    _, verdict, _ = bench("show r.json --only verdict")
    assert "For short requests" in verdict
    assert "t/redo" not in verdict
    _, cases, _ = bench("show r.json --only cases")
    assert "For short requests" not in cases
    assert "t/redo" in cases
    assert "r.json: has no experiments; it has verdict, cases" in bench.refuses(
        "show r.json --only experiments"
    )
    save(
        bench.folder / "t.json",
        [
            steady_record(Case("sync", "short", n, topology=topology), number)
            for n in (1, 8)
            for topology in ("shared", "per-tenant")
            for number in range(3)
        ],
    )
    _, experiments, _ = bench("show t.json --only experiments --legend")
    assert "N tenants" in experiments
    assert "t/redo: time per redo" not in experiments  # how to read the ordinary tables


def test_show_as_json(bench: Bench, result: Path) -> None:
    status, out, err = bench("show --json r.json")
    assert (status, err) == (0, "")
    data = json.loads(out)
    assert len(data["cases"]) == 6
    assert data["rounds"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("form", "export"), [("github-action", github_action), ("bencher", bencher)]
)
def test_show_for_another_tool(
    form: str, export: Callable[[Summary], object], bench: Bench, result: Path
) -> None:
    status, out, err = bench(f"show r.json --format {form}")
    assert (status, err) == (0, "")
    assert json.loads(out) == export(load_summary(result))


@pytest.mark.parametrize("command", ["show --json", "show"])
def test_a_result_with_a_failed_run_is_shown(command: str, bench: Bench) -> None:
    case = Case("sync", "short", 1)
    failures = [FailedRun(case, 1, "wrong page: client 0, request 3 [red]")]
    save(bench.folder / "f.json", [steady_record(case, 0)], failures)
    status, out, err = bench(f"{command} f.json")
    assert (status, err) == (0, "")
    assert "wrong page" in out


def test_latest_is_the_newest(bench: Bench) -> None:
    folder = bench.folder / "results"
    folder.mkdir()
    for at, name in enumerate(["b.json", "c.json", "a.json"]):
        save(folder / name, [steady_record(Case("sync", "short", at + 1), 0)])
        os.utime(folder / name, (at, at))
    _, out, _ = bench("show --json latest")
    assert [case["clients"] for case in json.loads(out)["cases"]] == [3]


@pytest.mark.parametrize(
    "options",
    ["--json", "--format github-action", "--format bencher", "--tails --json"],
)
def test_an_export_is_never_the_latest(options: str, bench: Bench) -> None:
    folder = bench.folder / "results"
    folder.mkdir()
    save(folder / "r.json", [steady_record(Case("sync", "short", 2), 0)])
    os.utime(folder / "r.json", (1, 1))
    _, out, _ = bench("show --json latest")
    (folder / "exported.json").write_text(bench(f"show {options} latest")[1])
    (folder / "exported.json").with_name("other.json").write_text(bench("history --json")[1])
    assert bench("show --json latest") == (0, out, "")


def test_what_belongs_to_a_packed_result_has_its_name(bench: Bench) -> None:
    status, out, _ = bench(f"{RUN} --rounds 1 -o o.json.gz --plot --report")
    assert status == 0
    named = out.split()[-6:]
    assert (named[0], named[-1]) == ("o.json.gz", "o.html")
    assert all(name.startswith(("o-latency-", "o-throughput-")) for name in named[1:-1])


def test_code_of_no_commit_is_one_warning(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "ROOT", bench.folder)
    status, _, err = bench(f"{RUN} --rounds 1 -o o.json")
    assert status == 0
    (line,) = [line for line in err.splitlines() if line.startswith("warning: ")]
    assert line.startswith(
        "warning: the result will not say which commit was measured: not a git repository"
    )
    # What is installed has no commit.
    monkeypatch.setattr(measuring, "IS_CHECKOUT", False)
    assert "warning: " not in bench(f"{RUN} --rounds 1 -o p.json")[2]


def test_plot_draws_beside_the_result(bench: Bench, result: Path) -> None:
    status, out, err = bench("plot r.json")
    assert (status, err) == (0, "")
    names = {f"r-{what}.{kind}" for what in ("latency", "throughput") for kind in ("svg", "png")}
    assert set(out.split()) == names
    assert names <= set(bench.files())


@pytest.mark.parametrize(
    ("output", "expected"),
    [("pictures", "pictures/latency.svg"), ("fig/a", "fig/a-latency.svg"), ("x", "x-latency.svg")],
)
def test_plot_where_it_is_told(output: str, expected: str, bench: Bench, result: Path) -> None:
    for folder in ("pictures", "fig"):
        (bench.folder / folder).mkdir()
    status, out, _ = bench(f"plot r.json --format svg -o {output}")
    assert status == 0
    assert expected in out.split()
    assert len(out.split()) == 2
    assert "<svg" in (bench.folder / expected).read_text()


def test_plot_overwrites_when_told(bench: Bench, result: Path) -> None:
    (bench.folder / "r-latency.svg").write_text("old")
    assert bench("plot r.json --force --format svg")[0] == 0
    assert "<svg" in (bench.folder / "r-latency.svg").read_text()


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize(("seed", "index"), [(1, 0), (7, 63)])
def test_dump_request(
    name: str, seed: int, index: int, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert main(["dump-request", name, "--seed", str(seed), "--index", str(index)]) == 0
    signal.signal(signal.SIGTERM, before)
    out, err = capsysbinary.readouterr()
    requests = make_requests(name, seed)
    assert out == (requests[index].serialise() if requests else b"H\0\0\0\x04")
    assert err == b""


def test_dump_request_has_the_defaults_of_run(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    main(["dump-request", "short"])
    signal.signal(signal.SIGTERM, before)
    seed = load_profile("default").seed
    assert capsysbinary.readouterr().out == make_requests("short", seed)[0].serialise()


# --- run, with runs that are made up --------------------------------------------------------------


def test_run_ends_with_the_table_and_the_file(bench: Bench) -> None:
    status, out, err = bench(f"{RUN} --rounds 2 -o o.json")
    assert status == 0
    assert re.search(r"^ *1 +sync ", out, re.MULTILINE)
    assert out.splitlines()[-1] == "o.json"
    assert "round 2 of 2 saved" in err
    assert [number for number, _ in bench.ran] == [1, 2]


def test_the_default_place_is_in_results(bench: Bench) -> None:
    status, out, _ = bench(f"{RUN} --rounds 1")
    assert status == 0
    (made,) = (bench.folder / "results").iterdir()
    assert re.fullmatch(r"\d{8}T\d{6}Z-([0-9a-f]{7}|nocommit)(-dirty)?\.json", made.name)
    assert out.splitlines()[-1] == str(made)
    assert bench("show latest")[0] == 0


def test_run_draws_when_told(bench: Bench) -> None:
    status, out, _ = bench(f"{RUN} --rounds 1 -o o.json --plot")
    assert status == 0
    pictures = {
        f"o-{what}-child-python.{kind}"
        for what in ("latency", "throughput")
        for kind in ("svg", "png")
    }
    assert set(out.split()[-4:]) == pictures
    assert set(bench.files()) == pictures | {"o.json"}


def test_run_leaves_a_page_when_told(bench: Bench) -> None:
    status, out, _ = bench(f"{RUN} --rounds 1 -o o.json --report")
    assert (status, out.split()[-2:]) == (0, ["o.json", "o.html"])
    assert "<html" in (bench.folder / "o.html").read_text()
    assert bench("run --resume o.json --rounds 2 --report")[0] == 0


def test_force_overwrites(bench: Bench) -> None:
    (bench.folder / "o.json").write_text("old")
    assert bench(f"{RUN} --rounds 1 -o o.json --force")[0] == 0
    assert bench("show o.json")[0] == 0


def test_rounds_on_the_command_line_lift_the_budget(bench: Bench) -> None:
    begun(bench, rounds=2)
    config = json.loads(ResultFile.load(bench.folder / "o.json").environment.config_json)
    assert (config["rounds"], config["budget_s"]) == (2, None)
    bench(f"{RUN} -o p.json")
    config = json.loads(ResultFile.load(bench.folder / "p.json").environment.config_json)
    assert config["budget_s"] == load_profile("quick").budget_s


def test_a_failed_run_is_status_1(bench: Bench) -> None:
    bench.error = {1: RunFailedError("wrong page: client 0, request 3")}
    status, out, err = bench(f"{RUN} --rounds 2 -o o.json")
    assert status == 1
    assert "wrong page: client 0, request 3" in err
    assert "wrong page: client 0, request 3" in " ".join(out.split())
    assert len(bench.ran) == 2


def test_all_runs_fail(bench: Bench) -> None:
    bench.error = {1: RunFailedError("no child"), 2: RunFailedError("no child")}
    status, _, err = bench(f"{RUN} --rounds 2 -o o.json")
    assert status == 1
    assert "no run gave a result; the first, sync/short/n=1/child=python: no child" in err
    assert not (bench.folder / "o.json").exists()


def test_an_interrupt_says_how_to_go_on(bench: Bench) -> None:
    bench.error = {2: KeyboardInterrupt()}
    status, _, err = bench(f"{RUN} --rounds 3 -o o.json")
    assert status == 130
    assert err.splitlines()[-1] == (
        "walredo-bench: interrupted; to do the missing rounds: python -m bench run --resume o.json"
    )
    bench.error = {}
    bench.ran.clear()
    assert bench("run --resume o.json")[0] == 0
    assert [number for number, _ in bench.ran] == [2, 3]
    assert ResultFile.load(bench.folder / "o.json").rounds() == (1, 2, 3)


def test_the_way_to_go_on_can_be_pasted(bench: Bench) -> None:
    bench.error = {2: KeyboardInterrupt()}
    _, _, err = bench([*RUN.split(), "--rounds", "3", "-o", "my file.json"])
    assert err.splitlines()[-1].endswith("python -m bench run --resume 'my file.json'")


def test_an_interrupt_in_the_first_round(bench: Bench) -> None:
    bench.error = {1: KeyboardInterrupt()}
    status, _, err = bench(f"{RUN} --rounds 3 -o o.json")
    assert status == 130
    assert err.splitlines()[-1] == (
        "walredo-bench: interrupted before the first round was finished: nothing was saved"
    )
    assert bench.files() == {}


@pytest.mark.parametrize("where", ["prepare", "usable_managers", "print_summary"])
def test_an_interrupt_outside_the_rounds_says_so(
    where: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, where, interrupt)
    status, _, err = bench(f"{RUN} --rounds 1 -o o.json")
    assert status == 130
    assert err.splitlines()[-1] == "walredo-bench: interrupted"


def test_an_interrupt_before_an_older_file_is_overwritten(bench: Bench) -> None:
    (bench.folder / "o.json").write_text("another suite's")
    bench.error = {1: KeyboardInterrupt()}
    status, _, err = bench(f"{RUN} --rounds 3 -o o.json --force")
    assert status == 130
    assert "before the first round was finished: nothing was saved" in err.splitlines()[-1]
    assert "--resume" not in err


def test_a_resumed_suite_may_be_longer(bench: Bench) -> None:
    begun(bench)
    assert bench("run --resume o.json --rounds 3")[0] == 0
    assert [number for number, _ in bench.ran] == [2, 3]


def test_an_interrupted_longer_suite_goes_on_to_its_new_end(bench: Bench) -> None:
    begun(bench)
    bench.error = {2: KeyboardInterrupt()}
    _, _, err = bench("run --resume o.json --rounds 4")
    command = err.splitlines()[-1].partition("python -m bench ")[2]
    bench.error = {}
    assert bench(command)[0] == 0
    assert ResultFile.load(bench.folder / "o.json").rounds() == (1, 2, 3, 4)


def test_a_suite_can_be_resumed_where_its_file_is_in_the_checkout(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The file itself is new in the tree: that must not count as another tree.
    git = shutil.which("git")
    if git is None:
        pytest.skip("no git")
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], [*identity, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([git, *words], cwd=bench.folder, check=True)
    monkeypatch.setattr(measuring, "ROOT", bench.folder)
    begun(bench)
    status, _, err = bench("run --resume o.json --rounds 2")
    assert (status, "git_dirty" in err) == (0, False), err


def test_a_manager_that_is_gone_does_not_leave_a_resumed_suite_unseen(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def usable(config: Config, *_: object, asked_for: bool) -> tuple[tuple[str, ...], list[str]]:
        return config.manager, []

    monkeypatch.setattr(run, "usable_managers", usable)
    both = RUN.replace("--manager sync", "--manager sync,async-uvloop")
    assert bench(f"{both} --rounds 1 -o o.json")[0] == 0
    bench.ran.clear()
    monkeypatch.setattr(run, "usable_managers", lambda *_, asked_for: (("sync",), ["gone"]))
    before = (bench.folder / "o.json").read_bytes()
    status, _, _ = bench("run --resume o.json --rounds 2")
    assert status == 2, "the later rounds would lack a manager that the earlier ones have"
    assert (bench.folder / "o.json").read_bytes() == before


# --- The program itself: outputs that are closed or full ------------------------------------------


def program(command: str, stdout: IO[bytes] | int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *command.split()],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=LIMIT_S,
        check=False,
    )


READERS = ["list --profile full", "show {}", "show --json {}", "dump-request medium"]


@pytest.mark.parametrize("command", [*READERS, "--help"])
def test_a_reader_that_is_gone_is_no_error(command: str, result: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = program(command.format(result), stdout=writer)
    finally:
        os.close(writer)
    assert done.stderr == b""
    assert done.returncode in {0, 141}


@pytest.mark.parametrize(
    ("content", "backend"),
    [(b"text.usetex: True\nnonsense\n", "agg"), (b"# caf\xe9\n", "agg"), (b"", "nonsense")],
)
def test_settings_for_matplotlib_are_not_read(
    content: bytes,
    backend: str,
    bench: Bench,
    result: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = tmp_path / "settings"
    settings.write_bytes(content)
    monkeypatch.setenv("MATPLOTLIBRC", str(settings))
    monkeypatch.setenv("MPLBACKEND", backend)
    monkeypatch.setenv("MPLCONFIGDIR", str(settings / "below-a-file"))
    done = program(f"plot {result.resolve()} --only latency", stdout=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("kind", ["text", "undecodable", "fifo", "folder"])
def test_nor_are_those_in_the_current_folder(
    kind: str, bench: Bench, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Path("matplotlibrc")
    if kind == "fifo":
        os.mkfifo(settings)  # to read it would wait for ever, as for a user who may not
    elif kind == "folder":
        settings.mkdir()
    else:
        content = b"text.usetex: True\nnonsense\n" if kind == "text" else b"# caf\xe9\n"
        settings.write_bytes(content)
    before = bench.files()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = (sys.executable, "-m", "bench", "plot", "r.json", "--only", "latency")
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    made = bench.files().keys() - before
    assert set(done.stdout.decode().split()) == made
    assert {Path(name).suffix for name in made} == {".svg", ".png"}


@pytest.mark.parametrize("size", ["0", "-1", "x", "\N{SUPERSCRIPT TWO}", "0" * 5000, "9" * 5000])
def test_a_window_of_no_size_is_none(
    size: str, bench: Bench, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    commands = ("show r.json", "show r.json --json", "compare r.json r.json", "show nothing")
    usual = [bench(command) for command in commands]
    monkeypatch.setenv("COLUMNS", size)
    monkeypatch.setenv("LINES", size)
    assert [bench(command) for command in commands] == usual
    monkeypatch.setenv("FORCE_COLOR", "1")
    on_terminal = bench("show r.json")[1]
    monkeypatch.delenv("COLUMNS")
    monkeypatch.delenv("LINES")
    assert bench("show r.json")[1] == on_terminal


CODECS = [
    "ascii",
    *(pytest.param(codec, marks=pytest.mark.exhaustive) for codec in ("utf-8", "latin-1")),
]


@pytest.mark.parametrize("codec", CODECS)
def test_a_path_of_any_bytes_is_said_as_it_is(
    codec: str, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", codec)
    path = result.with_name("caf\udce9 \N{SNOWMAN}.json").resolve()
    path.write_bytes(result.read_bytes())
    commands = [["plot", str(path)], ["show", str(path), "--plain"], ["show", f"{path}x"]]
    for command in [*commands, ["report", str(path)], ["compare", str(path), str(path)]]:
        done = subprocess.run(
            [sys.executable, "-m", "bench", *command], cwd=ROOT, capture_output=True, check=False
        )
        assert b"Traceback" not in done.stderr, done.stderr.decode(errors="replace")
        assert b"caf\xe9 " in done.stdout + done.stderr
        assert done.returncode == (2 if command is commands[2] else 0)


@pytest.mark.parametrize("command", READERS)
def test_a_full_disk_is_one_line(command: str, result: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = program(command.format(result), stdout=full)
    assert done.returncode != 0
    assert b"Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr.decode()


@pytest.mark.parametrize(("command", "status"), [("show no.json", 2), (f"{RUN} -o {{}}/o.json", 1)])
def test_an_error_that_cannot_be_said_has_its_status(
    command: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # what is buffered fails at exit
    shell = f'exec "{sys.executable}" -m bench {command.format(tmp_path)} 2>/dev/full'
    done = subprocess.run(
        ["sh", "-c", shell], cwd=ROOT, capture_output=True, timeout=LIMIT_S, check=False
    )
    assert (done.returncode, done.stdout) == (status, b"")
    assert list(tmp_path.iterdir()) == []


WITHOUT_PROCESSES = """
import errno, os, sys
from bench.cli import run
from bench.cli.main import main

def refuse(*_):
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

run.prepare = refuse
sys.exit(main(sys.argv[1:]))
"""


def test_a_limit_of_processes_is_no_fault_of_the_output(tmp_path: Path) -> None:
    words = (*RUN.split(), "--rounds", "1", "-o", str(tmp_path / "o.json"))
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PROCESSES, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "walredo-bench: no process can be started: Resource temporarily unavailable:"
        " see ulimit -u and pids.max, the limits of processes and threads"
    )


@pytest.mark.parametrize("command", ["list", "dump-request short", "show {}"])
def test_a_stdout_that_is_closed_is_no_traceback(command: str, result: Path) -> None:
    shell = f'exec "{sys.executable}" -m bench {command.format(result)} >&-'
    done = subprocess.run(
        ["sh", "-c", shell], cwd=ROOT, capture_output=True, timeout=LIMIT_S, check=False
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()


def test_an_error_of_the_program_is_one_line_and_status_2() -> None:
    done = program("show no.json", stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.count(b"\n") == 1
    assert b"no.json: no such file" in done.stderr


@pytest.mark.parametrize("command", ["run", "report r.json", "workload write short"])
def test_a_file_is_no_folder(command: str, bench: Bench, result: Path) -> None:
    assert "new/ is a folder: name a file in it" in bench.refuses(f"{command} -o new/")
    assert not Path("new").exists()


@pytest.mark.parametrize("command", ["plot r.json", "compare r.json r.json --plot"])
def test_a_folder_of_pictures_must_be_there(command: str, bench: Bench, result: Path) -> None:
    assert "there is no folder new/" in bench.refuses(f"{command} -o new/")


def test_a_result_beside_itself_is_said_to_be_that(bench: Bench, result: Path) -> None:
    status, out, err = bench("compare r.json r.json")
    assert (status, err) == (0, "walredo-bench: both are r.json: nothing can differ\n")
    assert "1.00 (" in out


@pytest.mark.parametrize(
    ("command", "name"), [("report r.json", "other.html"), ("workload write short", "other.jsonl")]
)
def test_nothing_but_run_overwrites_a_result(
    command: str, name: str, bench: Bench, result: Path
) -> None:
    other = bench.folder / name
    other.write_bytes(result.read_bytes())
    says = bench.refuses(f"{command} -o {name} --force")
    assert f"{name}: is a result, which nothing but run overwrites" in says
    assert other.read_bytes() == result.read_bytes()


FILES = {
    RUN: "o.json",
    "report r.json": "o.html",
    "workload write short": "o.jsonl",
    "workload from-wal no": "o.jsonl",
}
"""What writes one file, and what that may be called."""

PLACES = (
    "plot r.json",
    "compare r.json r.json --plot",
    "history . --case * --plot",
    "ab HEAD",
)
"""What writes files whose names begin alike."""


@pytest.mark.parametrize("command", [*FILES, *PLACES])
def test_no_command_makes_a_folder(command: str, bench: Bench, result: Path) -> None:
    name = FILES.get(command, "o")
    line = bench.refuses(f"{command} -o new/deeper/{name}")
    assert f"new/deeper/{name}: there is no folder new/deeper: make it first" in line


@pytest.mark.parametrize("command", [RUN, "report r.json", "ab HEAD"])
def test_no_command_makes_the_folder_of_a_link(command: str, bench: Bench, result: Path) -> None:
    name = FILES.get(command, "o-base.json")
    Path(name).symlink_to(f"new/{name}")
    output = FILES.get(command, "o")
    assert f"{name}: cannot be written (No such file or" in bench.refuses(f"{command} -o {output}")


@pytest.mark.parametrize("command", FILES)
@pytest.mark.parametrize("name", ["o", "o.txt", "o.json.bak", ".gz", "json"])
def test_the_name_of_a_file_says_what_it_is(
    name: str, command: str, bench: Bench, result: Path
) -> None:
    suffix = FILES[command].removeprefix("o")
    assert f"{name}: its name must end in {suffix}" in bench.refuses(f"{command} -o {name}")


@pytest.mark.parametrize("command", PLACES)
@pytest.mark.parametrize("suffix", [".svg", ".png", ".json", ".json.gz", ".html"])
def test_how_names_begin_has_no_suffix(
    suffix: str, command: str, bench: Bench, result: Path
) -> None:
    line = bench.refuses(f"{command} -o o{suffix}")
    assert f"o{suffix} is how names begin: leave out {suffix}" in line


def test_a_peer_that_no_manager_is(bench: Bench) -> None:
    assert "--peer /x: no manager is this program" in bench.refuses(f"{RUN} --peer /x")
