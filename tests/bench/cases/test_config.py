"""Profiles, overrides and stored configurations: what is accepted, and how the rest is refused."""

import itertools
import json
from pathlib import Path

import msgspec
import pytest

from bench.cases.case import Case
from bench.cases.config import (
    OPTIONS,
    ChildConfig,
    Config,
    ConfigError,
    differences,
    from_json,
    load_profile,
    override,
    profiles,
)
from bench.cases.managers.registry import MANAGERS
from bench.cases.matrix import cases_of
from bench.cases.names import CHILDREN, WORKLOADS, nearest, unknown
from bench.errors import BenchError
from bench.running.equipment import workloads

MINIMAL = 'manager = ["sync"]\nworkload = ["short"]\nclients = [1]\n'
EXPERIMENTS = [
    "admission",
    "cpu",
    "executor",
    "fairness",
    "lifecycle",
    "open-loop",
    "published",
    "real-requests",
    "stall",
    "tails",
    "tenants",
    "transport",
]
BUILT_IN = sorted(["ab", "default", "full", "peer", "quick", *EXPERIMENTS])


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A valid ./mine.toml, to be spoilt by the test."""
    monkeypatch.chdir(tmp_path)
    path = Path("mine.toml")
    path.write_text(MINIMAL)
    return path


def refusal_of(profile: Path, text: str) -> str:
    profile.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_profile(str(profile))
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- built-in profiles ----------------------------------------------------------------------------


def test_built_in_profiles_are_listed_with_a_title() -> None:
    assert [name for name, _ in profiles()] == BUILT_IN
    assert all(title for _, title in profiles())


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_profile_loads(name: str) -> None:
    config = load_profile(name)
    assert config.name == name
    assert config.timeout_s <= 60
    slice_s = 0.02 if name in ("default", "quick") else 0.05
    assert config.slice_s == pytest.approx(slice_s) or name in EXPERIMENTS


def test_quick_is_three_managers_at_three_client_counts() -> None:
    config = load_profile("quick")
    assert set(config.manager) == {"sync", "async", "floor"}
    assert config.workload == ("short",)
    assert config.clients == (1, 8, 64)
    assert config.rounds >= 7
    assert config.budget_s is not None
    assert config.budget_s <= 27


def test_ab_has_what_two_states_of_the_code_are_compared_by() -> None:
    config = load_profile("ab")
    assert set(config.manager) == {"sync", "async", "floor"}
    assert config.workload == ("short", "medium")
    assert config.clients == (1, 8, 128)
    assert config.budget_s is None


def test_default_is_the_published_range_of_clients() -> None:
    config = load_profile("default")
    assert config.manager == ("floor", "sync", "async", "async-uvloop")
    assert config.clients == (1, 2, 4, 8, 16, 32, 64, 128)
    assert config.budget_s is not None
    assert config.budget_s <= 285


def test_full_has_everything() -> None:
    config = load_profile("full")
    assert set(config.manager) == set(MANAGERS) - {"streams", "noop-sync", "noop-async"}
    assert set(config.workload) == set(WORKLOADS)
    assert set(config.child.kind) == set(CHILDREN)
    assert config.clients == load_profile("default").clients
    assert config.budget_s is None


def test_default_toml_documents_every_field() -> None:
    """Each assignment there has a comment right above it, and no field is left out."""
    import bench

    lines = (Path(bench.__file__).parent / "profiles/default.toml").read_text().splitlines()
    fields = {}
    for above, line in itertools.pairwise(lines):
        name, equals, _ = line.partition(" =")
        if equals and not line.startswith("#"):
            fields[name] = above
    assert set(fields) == {*OPTIONS, "title", "kind"} - {"child"}
    assert all(above.startswith("#") for above in fields.values()), fields


# --- files of one's own ---------------------------------------------------------------------------


def test_what_a_file_leaves_out_has_its_default(profile: Path) -> None:
    assert load_profile("mine.toml") == Config(
        name="mine", manager=("sync",), workload=("short",), clients=(1,)
    )


def test_defaults_are_those_that_default_toml_shows(profile: Path) -> None:
    default = load_profile("default")
    left_out = load_profile("mine.toml")
    for name in ("rounds", "slices", "seconds", "warmup_s", "timeout_s", "run_timeout_s", "seed"):
        assert getattr(left_out, name) == getattr(default, name), name
    assert left_out.child == default.child
    assert (left_out.title, left_out.budget_s) == ("", None)


def test_a_path_needs_no_ending_when_it_has_a_slash(profile: Path) -> None:
    other = profile.rename("quick")
    assert load_profile(f"./{other}").clients == (1,)
    assert load_profile("quick").clients == (1, 8, 64)


def test_whole_numbers_are_accepted_as_seconds(profile: Path) -> None:
    profile.write_text(MINIMAL + "seconds = 2\n")
    assert load_profile("mine.toml").seconds == 2.0


def test_infinite_budget_is_no_limit(profile: Path) -> None:
    profile.write_text(MINIMAL + "budget_s = inf\n")
    assert load_profile("mine.toml").budget_s is None


def test_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        load_profile("quik")
    assert str(caught.value) == (
        'unknown profile "quik": did you mean "quick"?; '
        "a file of your own is given by its path, ending in .toml"
    )


def test_missing_file_and_directory() -> None:
    with pytest.raises(ConfigError, match=r"^profile no/such\.toml: No such file or directory$"):
        load_profile("no/such.toml")
    with pytest.raises(ConfigError, match=r"^profile \./: Is a directory$"):
        load_profile("./")


def test_not_toml(profile: Path) -> None:
    message = refusal_of(profile, "clients = [1\nrounds")
    assert message.startswith("profile mine.toml: not valid TOML: ")
    assert "line 2" in message
    profile.write_bytes(b'title = "\xff"')
    with pytest.raises(ConfigError, match=r"^profile mine\.toml: not UTF-8 text: "):
        load_profile("mine.toml")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("cilents = [1]", 'unknown field "cilents": did you mean "clients"?'),
        ("timeout = 3.0", 'unknown field "timeout": did you mean "timeout_s"?'),
        ("name = 'x'", 'unknown field "name": did you mean "manager"?'),
        ("[child]\nknd = ['c']", 'unknown field "child.knd": did you mean "child.kind"?'),
        ("child = 'c'", 'child = "c": expected a table [child] with kind and cost and fault'),
        ("title = 'a\\nb'", None),
        ('title = "a\\nb"', 'title = "a\\nb": expected one line of at most 120 characters'),
        ("rounds = 0", "rounds = 0: expected a whole number from 1 to 10000"),
        ("rounds = 2.0", "rounds = 2.0: expected a whole number from 1 to 10000"),
        ('rounds = "2"', 'rounds = "2": expected a whole number from 1 to 10000'),
        ("rounds = true", "rounds = true: expected a whole number from 1 to 10000"),
        ("slices = 0", "slices = 0: expected a whole number from 1 to 10000"),
        ("seconds = 0", "seconds = 0: expected seconds, more than 0, at most 86400"),
        ("seconds = inf", "seconds = Infinity: expected seconds, more than 0, at most 86400"),
        ("timeout_s = nan", "timeout_s = NaN: expected seconds, more than 0, at most 86400"),
        ("warmup_s = -1", "warmup_s = -1: expected seconds, from 0 to 86400"),
        ("budget_s = 0", "budget_s = 0: expected seconds, more than 0 (inf: no limit)"),
        ("seed = -1", "seed = -1: expected a whole number from 0 to 9223372036854775807"),
        (
            "run_timeout_s = 0.1",
            "run_timeout_s = 0.1: expected run_timeout_s (0.1) above warmup_s + seconds (0.15), "
            "or no run can end in time",
        ),
        (
            "slices = 1000",
            "slices = 1000: expected slices (seconds / slices) of at least 0.001 s, got 0.0001 s",
        ),
        (
            "[child]\nkind = ['rust']",
            'unknown child "rust": (c, python, cmd:COMMAND)',
        ),
        (
            "[child]\ncost = 'pg15'",
            'unknown cost "pg15": did you mean "pg14"? (none, pg14), or us:REQUEST+RECORD',
        ),
    ],
)
def test_refused_line(profile: Path, line: str, problem: str | None) -> None:
    text = line + "\n" + MINIMAL if "[child]" not in line else MINIMAL + line
    if problem is None:  # a backslash and an n in a literal string: one line after all
        profile.write_text(text)
        load_profile("mine.toml")
    else:
        assert refusal_of(profile, text) == f"profile mine.toml: {problem}"


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        (
            "manager",
            '["sync", "asyn"]',
            'unknown manager "asyn": did you mean "async"?'
            " (sync, async, async-uvloop, floor, streams, noop-sync, noop-async,"
            " [LABEL=]package.module:factory)",
        ),
        ("manager", '["sync", "sync"]', 'manager: "sync" is listed twice'),
        (
            "manager",
            "[]",
            "manager = []: expected at least one, any of sync, async, async-uvloop, floor, streams, noop-sync, noop-async, peer:KIND, or [LABEL=]package.module:factory",  # noqa: E501
        ),
        (
            "manager",
            '"sync"',
            'manager = "sync": expected a list, any of sync, async, async-uvloop, floor, streams, noop-sync, noop-async, peer:KIND, or [LABEL=]package.module:factory',  # noqa: E501
        ),
        (
            "manager",
            "[1]",
            "manager = 1: expected any of sync, async, async-uvloop, floor, streams, noop-sync, noop-async, peer:KIND, or [LABEL=]package.module:factory",  # noqa: E501
        ),
        (
            "workload",
            '["short+imag"]',
            'unknown workload "short+imag": did you mean "short+image"? '
            "(ping, short, medium, short+image, medium+image, pgbench, file:PATH)",
        ),
        ("clients", "[1, 0]", "clients = 0: expected whole numbers from 1 to 4096"),
        ("clients", "[4097]", "clients = 4097: expected whole numbers from 1 to 4096"),
        ("clients", '["8"]', 'clients = "8": expected whole numbers from 1 to 4096'),
        ("clients", "[true]", "clients = true: expected whole numbers from 1 to 4096"),
        ("clients", "8", "clients = 8: expected a list, whole numbers from 1 to 4096"),
        ("clients", "[8, 1, 8]", "clients: 8 is listed twice"),
    ],
)
def test_refused_list(profile: Path, field: str, value: str, problem: str) -> None:
    others = [line for line in MINIMAL.splitlines() if not line.startswith(field)]
    text = "\n".join([*others, f"{field} = {value}"])
    assert refusal_of(profile, text) == f"profile mine.toml: {problem}"


def test_missing_field(profile: Path) -> None:
    assert refusal_of(profile, MINIMAL.replace("clients = [1]", "")) == (
        'profile mine.toml: field "clients" is missing: '
        "expected a list, whole numbers from 1 to 4096"
    )


def test_a_long_value_is_shortened(profile: Path) -> None:
    message = refusal_of(profile, f"rounds = '{'x' * 500}'\n" + MINIMAL)
    assert len(message) < 160
    assert "xxx...: expected a whole number" in message


# --- options --------------------------------------------------------------------------------------


def test_an_option_wins_over_the_profile_and_nothing_else_changes() -> None:
    quick = load_profile("quick")
    changed = override(quick, clients=[2], child=["python"], seed=None)
    assert changed.clients == (2,)
    assert changed.child == ChildConfig(kind=("python",), cost=quick.child.cost)
    assert differences(quick, changed) == [
        "clients: [1, 8, 64] and [2]",
        'child.kind: ["c"] and ["python"]',
    ]
    assert quick == load_profile("quick")
    assert override(quick) == quick


def test_options_may_be_text_as_typed() -> None:
    typed = {
        "manager": ["async"],
        "workload": ["ping", "short"],
        "clients": [1, 128],
        "transport": ["pipe", "shm"],
        "wait": ["park", "spin:50"],
        "placement": ["any", "same-cpu"],
        "python": ["this", "ft=/opt/python"],
        "build": ["pure", "mypyc"],
        "topology": ["shared"],
        "executor": ["per-client"],
        "load": ["closed"],
        "admission": ["none", "unlimited", "both:4,2", "after:3"],
        "pause": ["yield", "none"],
        "caller": ["own"],
        "heartbeat": ["none", "thread"],
        "background_load": [0, 2],
        "scenario": ["redo"],
        "rounds": 3,
        "slices": 2,
        "seconds": 0.5,
        "warmup_s": 0.0,
        "timeout_s": 1.5,
        "run_timeout_s": 9.0,
        "budget_s": 20.0,
        "further_rounds": 4,
        "repeat_disturbed": 2,
        "peer": "path/to/a peer",
        "seed": 7,
        "child": ["c", "python"],
        "cost": "pg14",
        "fault": "late:ms=5",
        "data_bytes": 4096,
        "download_ms": 1.5,
        "download_share": 0.1,
        "budget_bytes": 8192,
    }
    assert set(typed) == set(OPTIONS)
    text = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in typed.items()
    }
    quick = load_profile("quick")
    assert override(quick, **text) == override(quick, **typed)


def test_the_budget_can_be_lifted() -> None:
    assert override(load_profile("quick"), budget_s="inf").budget_s is None


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("clients", "1,x", '--clients = "x": expected whole numbers from 1 to 4096'),
        ("clients", "1,,2", '--clients = "": expected whole numbers from 1 to 4096'),
        ("clients", "", "--clients = []: expected at least one, whole numbers from 1 to 4096"),
        ("clients", "1,1", "--clients: 1 is listed twice"),
        (
            "manager",
            "asyn",
            '--manager: unknown manager "asyn": did you mean "async"? '
            "(sync, async, async-uvloop, floor, streams, noop-sync, noop-async,"
            " [LABEL=]package.module:factory)",
        ),
        ("child", "rust", '--child: unknown child "rust": (c, python, cmd:COMMAND)'),
        ("cost", "free", '--cost: unknown cost "free": (none, pg14), or us:REQUEST+RECORD'),
        (
            "fault",
            "lat:ms=5",
            '--fault: unknown fault "lat": did you mean "late"?',
        ),
        (
            "wait",
            "spin",
            "--wait: 'spin': expected park, or spin:US with 1 to 1000000 microseconds",
        ),
        (
            "placement",
            "same",
            '--placement: unknown placement "same": did you mean "same-cpu"? '
            "(any, same-cpu, split)",
        ),
        ("rounds", "0", '--rounds = "0": expected a whole number from 1 to 10000'),
        ("warmup_s", "soon", '--warmup-s = "soon": expected seconds, from 0 to 86400'),
        (
            "seconds",
            "100",
            "--seconds = 100.0: expected run_timeout_s (10) above warmup_s + seconds (100.02), "
            "or no run can end in time",
        ),
        (
            "seconds",
            "0.001",
            "--seconds = 0.001: expected slices (seconds / slices) of at least 0.001 s, "
            "got 0.000166667 s",
        ),
    ],
)
def test_a_refused_option_is_named(option: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override(load_profile("quick"), **{option: value})
    assert str(caught.value) == message


def test_an_option_that_does_not_exist_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match='unknown option "cilents": did you mean "clients"'):
        override(load_profile("quick"), cilents=[1])


# --- the object -----------------------------------------------------------------------------------


def test_a_config_cannot_be_changed() -> None:
    config = load_profile("quick")
    for struct in (config, config.child):
        for name in struct.__struct_fields__:
            with pytest.raises(AttributeError):
                setattr(struct, name, None)
    assert hash(config) == hash(load_profile("quick"))


def test_a_config_made_by_hand_is_checked_too() -> None:
    with pytest.raises(
        ConfigError, match=r'^configuration x: unknown manager "asyn": did you mean'
    ):
        Config(name="x", manager=("asyn",), workload=("short",), clients=(1,))
    with pytest.raises(ConfigError, match=r"^configuration x: slices = 9999: expected slices"):
        Config(name="x", manager=("sync",), workload=("short",), clients=(1,), slices=9999)


def test_config_errors_are_errors_of_the_suite() -> None:
    assert issubclass(ConfigError, BenchError)


@pytest.mark.parametrize("name", BUILT_IN)
def test_json_there_and_back(name: str) -> None:
    config = load_profile(name)
    text = config.to_json()
    assert "\n" not in text
    assert json.loads(text)["child"] == {
        "kind": list(config.child.kind),
        "cost": config.child.cost,
        "fault": "none",
    }
    assert from_json(text) == config


def test_stored_configuration_is_checked() -> None:
    stored = json.loads(load_profile("quick").to_json())
    stored["rounds"] = 0
    with pytest.raises(ConfigError, match=r"^a\.json: rounds = 0: expected a whole number"):
        from_json(json.dumps(stored), "a.json")
    with pytest.raises(ConfigError, match=r"^a\.json: not valid JSON: "):
        from_json("{", "a.json")
    with pytest.raises(ConfigError, match=r"^a\.json: expected an object with a name, got \[\]$"):
        from_json("[]", "a.json")


def test_a_resumed_run_may_be_longer_but_not_another() -> None:
    quick = load_profile("quick")
    assert differences(quick, override(quick, rounds=9, budget_s=99)) == []
    renamed = msgspec.structs.replace(quick, name="other", title="")
    assert differences(quick, renamed) == []
    for option, value in {"seed": 2, "seconds": 1, "cost": "pg14", "timeout_s": 1}.items():
        assert len(differences(quick, override(quick, **{option: value}))) == 1, option


# --- cases and names ------------------------------------------------------------------------------


def test_cases_are_the_product_in_the_order_of_the_lists() -> None:
    config = override(
        load_profile("quick"),
        manager=["async", "sync"],
        workload=["short"],
        clients=[8, 1],
        child=["c", "python"],
    )
    assert [case.name for case in cases_of(config)] == [
        "async/short/n=8",
        "async/short/n=1",
        "sync/short/n=8",
        "sync/short/n=1",
        "async/short/n=8/child=python",
        "async/short/n=1/child=python",
        "sync/short/n=8/child=python",
        "sync/short/n=1/child=python",
    ]
    assert cases_of(config)[0] == Case(manager="async", workload="short", clients=8)


# Of an experiment's dimensions some mean nothing to some managers.
@pytest.mark.parametrize("name", [name for name in BUILT_IN if name not in EXPERIMENTS])
def test_each_case_of_a_profile_is_there_once(name: str) -> None:
    config = load_profile(name)
    cases = cases_of(config)
    lists: list[tuple[object, ...]] = [config.manager, config.workload, config.clients]
    lists += [config.child.kind, config.topology, config.admission, config.load]
    product = 1
    for values in lists:
        product *= len(values)
    assert len(set(cases)) == len(cases)
    points = {(case.manager, case.workload, case.clients, case.child) for case in cases}
    assert len(points) == product


def test_every_name_makes_a_valid_case() -> None:
    for manager in MANAGERS:
        for workload in WORKLOADS:
            for child in CHILDREN:
                case = Case(manager=manager, workload=workload, clients=1, child=child)
                assert Case.parse(case.name) == case


def test_names_are_those_that_are_implemented() -> None:
    assert set(WORKLOADS) == set(workloads.WORKLOADS)


def test_nearest_name() -> None:
    assert nearest("ASYNC", MANAGERS) == "async"
    assert nearest("uvloop", MANAGERS) == "async-uvloop"
    assert nearest("zzz", MANAGERS) is None
    assert unknown("manager", "zzz", MANAGERS) == (
        'unknown manager "zzz": (sync, async, async-uvloop, floor, streams, noop-sync, noop-async)'
    )
