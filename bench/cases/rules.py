"""How fields of a configuration are checked, and the one line that refuses anything else.

What a field may be is declared in `settings`. This module knows no files and no ``Config``.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from bench.cases.case import DEFAULTS, DIMENSIONS
from bench.cases.names import NO_FAULT, unknown
from bench.cases.notations import CLOSED, MIN_ARRIVALS, NO_ADMISSION, REDO, Load, min_slice_s
from bench.cases.own import is_own_child
from bench.cases.placement import SPLIT
from bench.cases.settings import ALSO, ALSO_RULES, RULES, TABLES, Rule, profile_field
from bench.errors import BenchError
from fake_redo_child.build import BuildError

MIN_SLICE_S: Final = 0.001
"""A slice shorter than this measures the barrier, not the redos."""

_SHOWN_CHARS: Final = 60
_EXCLUSIVE: Final = {
    name: DEFAULTS[name] for name, dimension in DIMENSIONS.items() if dimension.changes_calls
}


class ConfigError(BenchError):
    """A profile, an option or a stored configuration is not valid; the message says why."""


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


def flat(
    table: Mapping[str, object], source: Source, rules: Mapping[str, Rule] = RULES
) -> dict[str, object]:
    """The fields in what a file holds. Raises ConfigError at one that does not exist."""
    fields: dict[str, object] = {}
    for key, value in table.items():
        if key not in TABLES or not any(name.startswith(f"{key}.") for name in rules):
            fields[key] = value
        elif isinstance(value, Mapping):
            fields.update({f"{key}.{inner}": inner_value for inner, inner_value in value.items()})
        else:
            inside = [name.partition(".")[2] for name in rules if name.startswith(f"{key}.")]
            raise source.wrong_value(key, value, f"a table [{key}] with {' and '.join(inside)}")
    for name in fields:
        if name not in rules and (name != ALSO or rules is not RULES):
            raise source.error(name, unknown("field", name, rules))
    return fields


def further_matrices(
    tables: object, main: Mapping[str, Any], source: Source
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Of each table [[also]] the checked fields, and with the rest as in ``main``.

    Raises ConfigError, which names the table.
    """
    expected = "tables [[also]] with dimensions"
    if not isinstance(tables, list | tuple):
        raise source.wrong_value(ALSO, tables, expected)
    found = []
    for number, table in enumerate(tables, 1):
        if not isinstance(table, Mapping):
            raise source.wrong_value(ALSO, table, expected)
        place = Source(f"{source.where}: [[also]] {number}")
        own = flat(table, place, ALSO_RULES)
        if not own:
            raise place.error(ALSO, "at least one dimension is needed")
        whole = checked({**main, **own}, place)
        # An option may set what the table leaves to the main matrix.
        check_together(whole, Source(place.where, source.options))
        found.append(({name: whole[name] for name in own}, whole))
    return found


def check_matrices(matrices: Sequence[Mapping[str, Any]], source: Source) -> None:
    """The rules over all matrices: they share the equipment, so that a label must mean the same
    choice in each of them, and the settings of the read path."""
    if all(set(matrix["admission"]) == {NO_ADMISSION} for matrix in matrices):
        for name in source.options:
            if name.startswith("read_path."):
                expected = "an --admission other than none, too: nothing else has a read path"
                raise source.wrong_value(name, matrices[0][name], expected)
    for dimension, declared in DIMENSIONS.items():
        name = profile_field(dimension)
        values = list(dict.fromkeys(value for matrix in matrices for value in matrix[name]))
        if declared.label and len(set(map(declared.label, values))) < len(values):
            expected = f"names that differ: call one of them {declared.label_notation}"
            raise source.wrong_value(name, values, expected)


def checked(fields: Mapping[str, object], source: Source) -> dict[str, Any]:
    """The fields with their values checked, lists as tuples. Raises ConfigError."""
    for name, rule in RULES.items():
        if name not in fields and rule.default is msgspec.NODEFAULT:
            expected = f"expected a list, {rule.expected}"
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
    for names, expected in _problems(fields):
        blamed = next((name for name in names if name in source.options), names[0])
        raise source.wrong_value(blamed, fields[blamed], expected)


def _problems(fields: Mapping[str, Any]) -> Iterator[tuple[Sequence[str], str]]:
    """The fields that do not go together, and what was expected of the first."""
    slice_s = fields["seconds"] / fields["slices"]
    if slice_s < MIN_SLICE_S:
        expected = f"slices (seconds / slices) of at least {MIN_SLICE_S:g} s, got {slice_s:g} s"
        yield ("slices", "seconds"), expected
    has_fault, is_split = fields["child.fault"] != NO_FAULT, SPLIT in fields["placement"]
    if is_split and has_fault:
        expected = "any or same-cpu with a fault: a child that replaces another is not split off"
        yield ("placement", "child.fault"), expected
    if any(map(is_own_child, fields["child.kind"])):
        for name in ("child.cost", "child.fault"):
            if fields[name] != "none":
                expected = "none with a child of your own, which takes no options of ours"
                yield (name, "child.kind"), expected
    if set(fields["scenario"]) - {REDO}:
        if has_fault:
            expected = "redo with a fault: in the other scenarios children end as these need it"
            yield ("scenario", "child.fault"), expected
        if is_split:
            expected = "redo with split: a child that replaces another is not split off"
            yield ("scenario", "placement"), expected
    changed = [name for name, usual in _EXCLUSIVE.items() if set(fields[name]) - {usual}]
    if len(changed) > 1:
        yield changed, f"{_EXCLUSIVE[changed[0]]} with another {changed[1]}"
    loads = {text: Load.parse(text) for text in fields["load"]}
    if any(load.percent for load in loads.values()) and CLOSED not in loads:
        yield ["load"], "closed as well, whose throughput is what the percentage is of"
    data, budget = fields["read_path.data_bytes"], fields["read_path.budget_bytes"]
    if 0 < budget < data:
        expected = f"room for the data of one read at least ({data} bytes)"
        yield ("read_path.budget_bytes", "read_path.data_bytes"), expected
    for text, load in loads.items():
        open_s = (fields["slices"] + 1) * min_slice_s(load.rate_per_s) if load.rate_per_s else 0.0
        if open_s >= fields["run_timeout_s"]:
            expected = (
                f"more redos per second than {text}: a run of {fields['slices']} slices with"
                f" {MIN_ARRIVALS} each would take {open_s:g} s, more than run_timeout_s"
            )
            yield ("load", "slices", "run_timeout_s"), expected
    run_s = fields["warmup_s"] + fields["seconds"]
    if fields["run_timeout_s"] <= run_s:
        limit = f"run_timeout_s ({fields['run_timeout_s']:g})"
        expected = f"{limit} above warmup_s + seconds ({run_s:g}), or no run can end in time"
        yield ("run_timeout_s", "seconds", "warmup_s"), expected


def shown(value: object) -> str:
    """A value much as one would type it, on one line and not too long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."
