"""The fields of a configuration: what each may be, and the one line that refuses anything else.

Fields are flat here: ``child.kind`` is ``kind`` in the table [child]. This module knows no files
and no ``Config``; `bench.config` reads, overrides and stores.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from bench.cases.cost import NOTATION, cost_name
from bench.cases.dimensions import (
    BACKGROUND_MOST,
    CALLERS,
    CLOSED,
    EXECUTOR_MOST,
    HEARTBEATS,
    LEAST_ARRIVALS,
    NCPUS,
    NO_ADMISSION,
    OWN,
    PAUSES,
    PER_CLIENT,
    REDO,
    SCENARIOS,
    SHARED,
    TOPOLOGIES,
    Admission,
    Load,
    executor_threads,
    least_s,
)
from bench.cases.names import (
    CHILDREN,
    CLIENTS_MAX,
    MANAGERS,
    NO_FAULT,
    SPIN_MOST_US,
    WORKLOADS,
    check_manager,
    python_label,
    spin_us,
    unknown,
)
from bench.cases.own import child_label, is_own_child, workload_label
from bench.cases.placement import PLACEMENTS, SPLIT
from bench.errors import BenchError
from fake_redo_child.build import FAULTS, BuildError, check_fault

SEED_MAX: Final = 2**63 - 1
DATA_MOST: Final = 1 << 30
BUDGET_MOST: Final = 1 << 40
SLICE_MIN_S: Final = 0.001
"""A slice shorter than this measures the barrier, not the redos."""

_SHOWN_CHARS = 60


class ConfigError(BenchError):
    """A profile, an option or a stored configuration is not valid; the message says why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a field may be. msgspec checks ``type``; ``expected`` tells the user the same.

    Of a list, type, expected and names describe an item; a list has at least one, and none twice.
    """

    type: Any
    expected: str
    is_list: bool = False
    noun: str = ""
    names: tuple[str, ...] = ()
    check: Callable[[str], object] | None = None
    """For text with a notation of its own: raises ValueError or BuildError."""
    normal: Callable[[str], str] | None = None
    """Instead of ``check`` where one thing can be written in several ways: the one that is kept."""
    separator: str = ","
    """What an option's text is split into items by, a regular expression."""


def _some_of(noun: str, names: tuple[str, ...]) -> Rule:
    return Rule(str, f"any of {', '.join(names)}", is_list=True, noun=noun, names=names)


def _check_fault(text: str) -> None:
    name = text.partition(":")[0]
    if name not in (NO_FAULT, *FAULTS):
        raise ValueError(unknown("fault", name, (NO_FAULT, *FAULTS)))
    if text != NO_FAULT:
        check_fault(text)


_COUNT = Rule(Annotated[int, Meta(ge=1, le=10_000)], "a whole number from 1 to 10000")
_SECONDS = Rule(Annotated[float, Meta(gt=0, le=86_400)], "seconds, more than 0, at most 86400")

RULES: Final[Mapping[str, Rule]] = {
    "title": Rule(
        Annotated[str, Meta(max_length=120, pattern=r"\A[^\r\n]*\Z")],
        "one line of at most 120 characters",
    ),
    "manager": Rule(
        str,
        f"any of {', '.join(MANAGERS)}, peer:KIND, or package.module:factory",
        is_list=True,
        noun="manager",
        check=check_manager,
    ),
    "workload": Rule(
        Annotated[str, Meta(max_length=4096, pattern=r"\A[^\0\r\n,]*\Z")],
        f"any of {', '.join(WORKLOADS)}, or file:PATH without a comma",
        is_list=True,
        noun="workload",
        check=workload_label,
    ),
    "clients": Rule(
        Annotated[int, Meta(ge=1, le=CLIENTS_MAX)],
        f"whole numbers from 1 to {CLIENTS_MAX}",
        is_list=True,
    ),
    "wait": Rule(
        str,
        f"park, or spin:US with 1 to {SPIN_MOST_US} us",
        is_list=True,
        noun="wait",
        check=spin_us,
    ),
    "placement": _some_of("placement", PLACEMENTS),
    "python": Rule(
        Annotated[str, Meta(max_length=4096, pattern=r"\A[^\0\r\n,]*\Z")],
        "this, or an interpreter as NAME, PATH or LABEL=PATH",
        is_list=True,
        noun="interpreter",
        check=python_label,
    ),
    "topology": _some_of("topology", TOPOLOGIES),
    "executor": Rule(
        str,
        f"{PER_CLIENT}, {NCPUS}, or a number of threads from 1 to {EXECUTOR_MOST}, as text",
        is_list=True,
        noun="executor",
        check=executor_threads,
    ),
    "load": Rule(
        str,
        "closed, open:RATE or open:PERCENT%",
        is_list=True,
        noun="load",
        check=Load.parse,
    ),
    "admission": Rule(
        str,
        "none, unlimited, before:K, after:K or both:D,K",
        is_list=True,
        noun="admission",
        check=Admission.parse,
        separator=r",(?=\s*[a-z])",  # not the comma of both:D,K
    ),
    "pause": _some_of("pause", PAUSES),
    "caller": _some_of("caller", CALLERS),
    "heartbeat": _some_of("heartbeat", HEARTBEATS),
    "background_load": Rule(
        Annotated[int, Meta(ge=0, le=BACKGROUND_MOST)],
        f"whole numbers from 0 to {BACKGROUND_MOST}",
        is_list=True,
    ),
    "scenario": _some_of("scenario", SCENARIOS),
    "rounds": _COUNT,
    "slices": _COUNT,
    "seconds": _SECONDS,
    "warmup_s": Rule(Annotated[float, Meta(ge=0, le=86_400)], "seconds, from 0 to 86400"),
    "timeout_s": _SECONDS,
    "run_timeout_s": _SECONDS,
    "budget_s": Rule(Annotated[float, Meta(gt=0)] | None, "seconds, more than 0 (inf: no limit)"),
    "peer": Rule(
        Annotated[str, Meta(max_length=4096, pattern=r"\A[^\0\r\n]*\Z")],
        "the path of a program",
    ),
    "seed": Rule(Annotated[int, Meta(ge=0, le=SEED_MAX)], f"a whole number from 0 to {SEED_MAX}"),
    "child.kind": Rule(
        Annotated[str, Meta(max_length=4096, pattern=r"\A[^\0\r\n]*\Z")],
        f"any of {', '.join(CHILDREN)}, or cmd:COMMAND",
        is_list=True,
        noun="child",
        check=child_label,
        # Not the commas of a command.
        separator=rf",(?=\s*(?:cmd:|(?:{'|'.join(CHILDREN)})\s*(?:,|$)))",
    ),
    "child.cost": Rule(str, NOTATION, normal=cost_name),
    "child.fault": Rule(
        str,
        "none, or a fault as NAME:KEY=VALUE",
        check=_check_fault,
    ),
    "read_path.data_bytes": Rule(
        Annotated[int, Meta(ge=0, le=DATA_MOST)], f"whole bytes, from 0 to {DATA_MOST}"
    ),
    "read_path.download_ms": Rule(
        Annotated[float, Meta(ge=0, le=60_000)], "milliseconds, from 0 to 60000"
    ),
    "read_path.download_share": Rule(Annotated[float, Meta(ge=0, le=1)], "a share, from 0 to 1"),
    "read_path.budget_bytes": Rule(
        Annotated[int, Meta(ge=0, le=BUDGET_MOST)],
        f"whole bytes, from 0 (no limit) to {BUDGET_MOST}",
    ),
}
EXCLUSIVE: Final = {
    "topology": SHARED,
    "executor": PER_CLIENT,
    "load": CLOSED,
    "admission": NO_ADMISSION,
    "caller": OWN,
    "scenario": REDO,
}
"""Dimensions that change how clients call, and their usual value: one of them at a time."""

_LABELLED: Final[Mapping[str, tuple[Callable[[str], str], str]]] = {
    "python": (python_label, "LABEL=PATH"),
    "workload": (workload_label, "file:LABEL=PATH"),
    "child.kind": (child_label, "cmd:LABEL=COMMAND"),
}
"""Fields whose items cases call by a label, and how one is given."""

REQUIRED: Final = ("manager", "workload", "clients")
TABLES: Final = ("child", "read_path")


@dataclass(frozen=True, slots=True)
class Source:
    """How messages call a field: by the option it was given with, else by the file it stands in."""

    where: str
    options: Mapping[str, str] = field(default_factory=dict)  # field -> option, as "--clients"

    def error(self, name: str, problem: str) -> ConfigError:
        """``--manager: problem``, or ``profile quick.toml: problem`` (which names the field)."""
        return ConfigError(f"{self.options.get(name, self.where)}: {problem}")

    def wrong_value(self, name: str, value: object, expected: str) -> ConfigError:
        """``profile quick.toml: rounds = 0: expected a whole number from 1 to 10000``."""
        return ConfigError(f"{self.called(name)} = {shown(value)}: expected {expected}")

    def called(self, name: str) -> str:
        """``--rounds`` or ``profile quick.toml: rounds``."""
        return self.options.get(name, f"{self.where}: {name}")


def flat(table: Mapping[str, object], source: Source) -> dict[str, object]:
    """The fields in what a file holds. Raises ConfigError at one that does not exist."""
    fields: dict[str, object] = {}
    for key, value in table.items():
        if key not in TABLES:
            fields[key] = value
        elif isinstance(value, Mapping):
            fields.update({f"{key}.{inner}": inner_value for inner, inner_value in value.items()})
        else:
            inside = [name.partition(".")[2] for name in RULES if name.startswith(f"{key}.")]
            raise source.wrong_value(key, value, f"a table [{key}] with {' and '.join(inside)}")
    for name in fields:
        if name not in RULES:
            raise source.error(name, unknown("field", name, RULES))
    return fields


def checked(fields: Mapping[str, object], source: Source) -> dict[str, Any]:
    """The fields with their values checked, lists as tuples. Raises ConfigError."""
    for name in REQUIRED:
        if name not in fields:
            expected = f"expected a list, {RULES[name].expected}"
            raise source.error(name, f'field "{name}" is missing: {expected}')
    return {name: _value(name, value, source) for name, value in fields.items()}


def _value(name: str, value: object, source: Source) -> object:
    rule = RULES[name]
    # Only an option's value may be text for a number or a list: a file has types of its own.
    is_text = name in source.options and isinstance(value, str)
    if not rule.is_list:
        return _item(name, value, source, is_text)
    if is_text:
        value = [part.strip() for part in re.split(rule.separator, str(value))] if value else []
    if not isinstance(value, list | tuple):
        raise source.wrong_value(name, value, f"a list, {rule.expected}")
    if not value:
        raise source.wrong_value(name, value, f"at least one, {rule.expected}")
    items: list[object] = []
    for given in value:
        item = _item(name, given, source, is_text)
        if item in items:
            raise ConfigError(f"{source.called(name)}: {shown(item)} is listed twice")
        items.append(item)
    return tuple(items)


def _item(name: str, value: object, source: Source, is_text: bool) -> object:
    rule = RULES[name]
    try:
        item: object = msgspec.convert(value, rule.type, strict=not is_text)
    except msgspec.ValidationError as error:
        raise source.wrong_value(name, value, rule.expected) from error
    if rule.names and item not in rule.names:
        raise source.error(name, unknown(rule.noun, str(item), rule.names))
    try:
        if rule.check is not None:
            rule.check(str(item))
        if rule.normal is not None:
            return rule.normal(str(item))
    except (BuildError, ValueError) as error:
        raise source.error(name, str(error)) from error
    return item


def check_together(fields: Mapping[str, Any], source: Source) -> None:
    """The rules over several fields, all of them given. Blames one that is an option, if any is."""

    def blame(*names: str, expected: str) -> ConfigError:
        blamed = next((name for name in names if name in source.options), names[0])
        return source.wrong_value(blamed, fields[blamed], expected)

    slice_s = fields["seconds"] / fields["slices"]
    if slice_s < SLICE_MIN_S:
        expected = f"slices (seconds / slices) of at least {SLICE_MIN_S:g} s, got {slice_s:g} s"
        raise blame("slices", "seconds", expected=expected)
    if SPLIT in fields["placement"] and fields["child.fault"] != NO_FAULT:
        expected = "any or same-cpu with a fault: a child that replaces another is not split off"
        raise blame("placement", "child.fault", expected=expected)
    if any(map(is_own_child, fields["child.kind"])):
        for name in ("child.cost", "child.fault"):
            if fields[name] != "none":
                expected = "none with a child of your own, which takes no options of ours"
                raise blame(name, "child.kind", expected=expected)
    if set(fields["scenario"]) - {REDO}:
        if fields["child.fault"] != NO_FAULT:
            expected = "redo with a fault: in the other scenarios children end as these need it"
            raise blame("scenario", "child.fault", expected=expected)
        if SPLIT in fields["placement"]:
            expected = "redo with split: a child that replaces another is not split off"
            raise blame("scenario", "placement", expected=expected)
    changed = [name for name, usual in EXCLUSIVE.items() if set(fields[name]) - {usual}]
    if len(changed) > 1:
        raise blame(*changed, expected=f"{EXCLUSIVE[changed[0]]} with another {changed[1]}")
    if any(Load.parse(one).percent for one in fields["load"]) and CLOSED not in fields["load"]:
        raise blame(
            "load", expected="closed as well, whose throughput is what the percentage is of"
        )
    if set(fields["admission"]) == {NO_ADMISSION}:
        for name in source.options:
            if name.startswith("read_path."):
                expected = "an --admission other than none, too: nothing else has a read path"
                raise blame(name, expected=expected)
    data, budget = fields["read_path.data_bytes"], fields["read_path.budget_bytes"]
    if 0 < budget < data:
        expected = f"room for the data of one read at least ({data} bytes)"
        raise blame("read_path.budget_bytes", "read_path.data_bytes", expected=expected)
    for load in fields["load"]:
        rate_per_s = Load.parse(load).rate_per_s
        open_s = 0.0 if rate_per_s is None else (fields["slices"] + 1) * least_s(rate_per_s)
        if open_s >= fields["run_timeout_s"]:
            expected = (
                f"more redos per second than {load}: a run of {fields['slices']} slices with"
                f" {LEAST_ARRIVALS} each would take {open_s:g} s, more than run_timeout_s"
            )
            raise blame("load", "slices", "run_timeout_s", expected=expected)
    for name, (label_of, remedy) in _LABELLED.items():
        labels = [label_of(choice) for choice in fields[name]]
        if len(set(labels)) < len(labels):
            raise blame(name, expected=f"names that differ: call one of them {remedy}")
    run_s = fields["warmup_s"] + fields["seconds"]
    if fields["run_timeout_s"] <= run_s:
        limit = f"run_timeout_s ({fields['run_timeout_s']:g})"
        expected = f"{limit} above warmup_s + seconds ({run_s:g}), or no run can end in time"
        raise blame("run_timeout_s", "seconds", "warmup_s", expected=expected)


def shown(value: object) -> str:
    """A value much as one would type it, on one line and not too long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."
