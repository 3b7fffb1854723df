"""The fields of a configuration: what each may be, and the one line that refuses anything else.

The rules of dimensions follow from their declarations in `Case`; those of the settings are here.
Fields are flat: ``child.kind`` is ``kind`` in the table [child]. This module knows no files and no
``Config``; `bench.cases.config` reads, overrides and stores.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from bench.cases.case import DEFAULTS, DIMENSIONS, ONE_LINE
from bench.cases.dimension import Dimension
from bench.cases.names import (
    NO_FAULT,
    unknown,
)
from bench.cases.notations import (
    CLOSED,
    LEAST_ARRIVALS,
    NO_ADMISSION,
    REDO,
    Load,
    least_s,
)
from bench.cases.own import is_own_child
from bench.cases.placement import SPLIT
from bench.errors import BenchError
from fake_redo_child.build import BuildError

SEED_MAX: Final = 2**63 - 1
DATA_MOST: Final = 1 << 30
BUDGET_MOST: Final = 1 << 40
SLICE_MIN_S: Final = 0.001
"""A slice shorter than this measures the barrier, not the redos."""

_SHOWN_CHARS = 60
_PATH_CHARS = 4096


class ConfigError(BenchError):
    """A profile, an option or a stored configuration is not valid; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a field may be, and the option that overrides it. msgspec checks ``type``; ``expected``
    tells the user the same.

    Of a list, type, expected and names describe an item; a list has at least one, and none twice.
    """

    type: Any
    expected: str
    option: str = ""
    """The name of its option, as ``warmup_s``; empty: there is none."""
    metavar: str = ""
    help: str = ""
    is_list: bool = False
    noun: str = ""
    names: tuple[str, ...] = ()
    check: Callable[[str], object] | None = None
    """For text with a notation of its own: raises ValueError or BuildError."""
    normal: Callable[[str], str] | None = None
    """Instead of ``check`` where one thing can be written in several ways: the one that is kept."""
    separator: str = ","
    """What an option's text is split into items by, a regular expression."""


def _of_dimension(name: str, dimension: Dimension) -> Rule:
    kind: Any = str
    expected = dimension.notation
    if dimension.names:
        expected = f"any of {', '.join(dimension.names)}"
    elif dimension.bounds is not None:
        least, most = dimension.bounds
        kind, expected = (
            Annotated[int, Meta(ge=least, le=most)],
            f"whole numbers from {least} to {most}",
        )
    elif dimension.pattern:
        kind = Annotated[str, Meta(max_length=_PATH_CHARS, pattern=rf"\A{dimension.pattern}\Z")]
    return Rule(
        type=kind,
        expected=expected,
        option=name,
        metavar=dimension.metavar,
        help=dimension.help,
        is_list=dimension.is_list,
        noun=dimension.noun or name,
        names=dimension.names,
        check=dimension.label or dimension.check,
        normal=dimension.normal,
        separator=dimension.separator,
    )


def profile_field(name: str) -> str:
    """The flat field of a profile that a dimension is asked for by, as ``child.kind``."""
    return DIMENSIONS[name].profile_field or name


def _setting(name: str, kind: Any, expected: str, metavar: str, help_text: str) -> Rule:
    """The rule of a field that is no dimension: one value, the same for all cases."""
    return Rule(type=kind, expected=expected, option=name, metavar=metavar, help=help_text)


_COUNT = Annotated[int, Meta(ge=1, le=10_000)], "a whole number from 1 to 10000"
_SECONDS = Annotated[float, Meta(gt=0, le=86_400)], "seconds, more than 0, at most 86400"
_SETTINGS = (
    _setting("rounds", *_COUNT, "K", "runs of each case; lifts the profile's time budget"),
    _setting("slices", *_COUNT, "K", "slices of a run"),
    _setting("seconds", *_SECONDS, "S", "measured in a run, over all its slices"),
    _setting(
        "warmup_s",
        Annotated[float, Meta(ge=0, le=86_400)],
        "seconds, from 0 to 86400",
        "S",
        "before the first slice",
    ),
    _setting("timeout_s", *_SECONDS, "S", "deadline of a redo"),
    _setting("run_timeout_s", *_SECONDS, "S", "a run that takes longer has failed"),
    _setting(
        "budget_s",
        Annotated[float, Meta(gt=0)] | None,
        "seconds, more than 0 (inf: no limit)",
        "S",
        "no round starts that would end later; inf: no limit",
    ),
    _setting(
        "peer",
        Annotated[str, Meta(max_length=_PATH_CHARS, pattern=rf"\A{ONE_LINE}\Z")],
        "the path of a program",
        "PATH",
        "program that the managers peer:KIND are (docs/peer.md)",
    ),
    _setting(
        "seed",
        Annotated[int, Meta(ge=0, le=SEED_MAX)],
        f"a whole number from 0 to {SEED_MAX}",
        "K",
        "of the order of cases and the contents of requests",
    ),
)
_READ_PATH = (
    _setting(
        "data_bytes",
        Annotated[int, Meta(ge=0, le=DATA_MOST)],
        f"whole bytes, from 0 to {DATA_MOST}",
        "B",
        "that a read collects for its redo, with an admission",
    ),
    _setting(
        "download_ms",
        Annotated[float, Meta(ge=0, le=60_000)],
        "milliseconds, from 0 to 60000",
        "MS",
        "that a read waits for some of them",
    ),
    _setting(
        "download_share",
        Annotated[float, Meta(ge=0, le=1)],
        "a share, from 0 to 1",
        "SHARE",
        "of the reads that wait, from 0 to 1",
    ),
    _setting(
        "budget_bytes",
        Annotated[int, Meta(ge=0, le=BUDGET_MOST)],
        f"whole bytes, from 0 (no limit) to {BUDGET_MOST}",
        "B",
        "that all reads may hold; a run that needs more ends; 0: no limit",
    ),
)
_TITLE = Rule(
    type=Annotated[str, Meta(max_length=120, pattern=rf"\A{ONE_LINE}\Z")],
    expected="one line of at most 120 characters",
)
_OF_DIMENSIONS = {profile_field(n): _of_dimension(n, d) for n, d in DIMENSIONS.items()}

RULES: Final[Mapping[str, Rule]] = {
    "title": _TITLE,
    **{name: rule for name, rule in _OF_DIMENSIONS.items() if "." not in name},
    **{rule.option: rule for rule in _SETTINGS},
    **{name: rule for name, rule in _OF_DIMENSIONS.items() if "." in name},
    **{f"read_path.{rule.option}": rule for rule in _READ_PATH},
}
"""The fields of a profile; those of a table as ``TABLE.FIELD``."""

_EXCLUSIVE: Final = {
    name: DEFAULTS[name] for name, dimension in DIMENSIONS.items() if dimension.changes_calls
}
_LABELLED: Final = {
    profile_field(name): dimension
    for name, dimension in DIMENSIONS.items()
    if dimension.label is not None
}

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
    changed = [name for name, usual in _EXCLUSIVE.items() if set(fields[name]) - {usual}]
    if len(changed) > 1:
        raise blame(*changed, expected=f"{_EXCLUSIVE[changed[0]]} with another {changed[1]}")
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
    for name, dimension in _LABELLED.items():
        assert dimension.label is not None
        labels = [dimension.label(choice) for choice in fields[name]]
        if len(set(labels)) < len(labels):
            remedy = dimension.label_notation
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
