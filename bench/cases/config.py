"""Profiles: TOML in, a frozen and checked ``Config`` out; options of the command line on top.

What belongs here: what a configuration holds, where it is read from, how two of them compare. What
does not: what a field may be (`settings`, `rules`), names of values (`names`), reading the command
line (`bench.cli.options`), which cases a configuration asks for (`matrix`).

The same code checks every Config, whether it comes from a profile, from options or from a result
file. Only the name that an error gives to a value differs. A Config is never changed.
"""

import importlib.resources
import itertools
import json
import math
import tomllib
from collections.abc import Collection, Mapping
from functools import lru_cache
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bench.cases.case import DIMENSIONS
from bench.cases.dimension import OptionGroup as OptionGroup
from bench.cases.names import unknown
from bench.cases.rules import ConfigError as ConfigError
from bench.cases.rules import (
    Source,
    check_matrices,
    check_together,
    checked,
    flat,
    further_matrices,
    shown,
)
from bench.cases.settings import (
    ALSO,
    ALSO_RULES,
    RULES,
    AlsoChildConfig,
    AlsoConfig,
    Rule,
    Settings,
    profile_field,
)
from bench.cases.settings import ChildConfig as ChildConfig
from bench.cases.settings import ReadPathConfig as ReadPathConfig


class Config(Settings, frozen=True, kw_only=True):
    """All that decides what one ``run`` measures; bench/profiles/default.toml explains every field.

    Of each dimension it has the values that are asked for, as a tuple under the dimension's name.
    Raises ConfigError when made of anything that is not valid. Durations are in seconds.
    """

    if TYPE_CHECKING:

        def __init__(self, *, name: str, **fields: Any) -> None: ...

    def __post_init__(self) -> None:
        # A Config from a file or from options was checked before: that error names the place.
        source = Source(f"configuration {self.name}")
        fields = _fields(self)
        del fields[ALSO]  # checked as matrices
        checked(fields, source)
        check_together(fields, source)
        check_matrices([_fields(matrix) for matrix in self.matrices()], source)

    @property
    def slice_s(self) -> float:
        """How long one slice measures, before the stretching that slow cases need."""
        return self.seconds / self.slices

    def without_paths(self) -> "Config":
        """The same without a place on this machine, for a result file."""
        return renamed(
            msgspec.structs.replace(self, peer=""),
            {
                name: dict(zip(self.values(name), self.labels(name), strict=True))
                for name, dimension in DIMENSIONS.items()
                if dimension.label and dimension.label_hides_path
            },
        )

    def matrices(self) -> "tuple[Config, ...]":
        """The main matrix and the further ones, each as a configuration without further ones."""
        return _matrices(self)

    def values(self, dimension: str) -> tuple[Any, ...]:
        """The values that any matrix asks for of a dimension. A value may be or hold a path."""
        found = [_field(matrix, profile_field(dimension)) for matrix in self.matrices()]
        each = (value if isinstance(value, tuple) else (value,) for value in found)
        return tuple(dict.fromkeys(itertools.chain.from_iterable(each)))

    def labels(self, dimension: str) -> tuple[Any, ...]:
        """The same as cases call them."""
        label, values = DIMENSIONS[dimension].label, self.values(dimension)
        return values if label is None else tuple(map(label, values))

    def to_json(self) -> str:
        """One line of JSON, from which ``from_json`` makes an equal Config."""
        return msgspec.json.encode(self).decode()


_FIELD_OF_OPTION: Final = {rule.option: name for name, rule in RULES.items() if rule.option}
OPTIONS: Final[Mapping[str, Rule]] = {
    option: RULES[name] for option, name in _FIELD_OF_OPTION.items()
}
"""What ``override`` takes, and the rule of each."""


def option_name(option: str) -> str:
    """An option of ``override`` as the command line spells it: ``--warmup-s`` for warmup_s."""
    return "--" + option.replace("_", "-")


def profiles() -> list[tuple[str, str]]:
    """(name, title) of each built-in profile, in the order of the names."""
    return [(name, load_profile(name).title) for name in sorted(_built_in())]


def load_profile(name_or_path: str) -> Config:
    """The built-in profile of that name, or the one in that file.

    A path is what has a ``/`` or ends in ``.toml``: a stray file ``quick`` never hides a profile.
    Raises ConfigError when there is none and when anything in it is wrong.
    """
    built_in = _built_in()
    file: Path | Traversable
    if name_or_path in built_in:
        name, file, where = name_or_path, built_in[name_or_path], f"profile {name_or_path}.toml"
    elif "/" in name_or_path or name_or_path.endswith(".toml"):
        file, where = Path(name_or_path), f"profile {name_or_path}"
        name = file.stem
    else:
        problem = unknown("profile", name_or_path, sorted(built_in))
        raise ConfigError(f"{problem}; a file of your own is given by its path, ending in .toml")
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{where}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: not UTF-8 text: {error.reason}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not valid TOML: {error}") from error
    source = Source(where)
    return _made(name, flat(table, source), source)


def override(config: Config, **options: object) -> Config:
    """A Config with every option (see ``OPTIONS``) that is not None put in its field's place.

    An option for a dimension that an [[also]] sets drops that [[also]]: nothing but the value that
    the option asks for is measured. One for the number of rounds drops the further ones.
    Values may be text as typed: ``clients="1,128"`` means ``clients=[1, 128]``. ``budget_s=inf``
    lifts the limit. Raises ConfigError, which then names the option, as ``--clients``.
    """
    for option in options:
        if option not in OPTIONS:
            raise TypeError(unknown("option", option, OPTIONS))
    given = {_FIELD_OF_OPTION[k]: value for k, value in options.items() if value is not None}
    spelling = {name: option_name(RULES[name].option) for name in given}
    source = Source(f"profile {config.name}", spelling)
    fields = _fields(config)
    fields[ALSO] = [table for table in fields[ALSO] if not given.keys() & table.keys()]
    if "rounds" in given:  # who asks for so many wants no more
        fields["further_rounds"] = 0
    return _made(config.name, {**fields, **given}, source)


def with_managers(config: Config, managers: Collection[str]) -> Config:
    """The Config with only those of its managers, of which the main matrix must have one.

    An [[also]] that sets managers and has none of these is dropped.
    """
    fields = _fields(config)
    tables = [fields, *fields[ALSO]]
    for table in tables:
        if "manager" in table:
            table["manager"] = [name for name in table["manager"] if name in managers]
    fields[ALSO] = [table for table in fields[ALSO] if table.get("manager", managers)]
    return _made(config.name, fields, Source(f"profile {config.name}"))


def named_again(config: Config, **options: object) -> Config:
    """As `override`, for a Config that was stored without paths (`Config.without_paths`).

    An option that lists the same values, perhaps with their paths, changes nothing else.
    """
    given = override(msgspec.structs.replace(config, also=()), **options)
    bare, begun = given.without_paths(), config.without_paths()
    paths = {}
    for name, dimension in DIMENSIONS.items():
        values = bare.values(name)
        if options.get(name) is not None and set(values) == set(begun.values(name)):
            del options[name]
            if dimension.label:
                paths[name] = dict(zip(values, given.values(name), strict=True))
    return renamed(override(config, **options), paths)


def renamed(config: Config, names: Mapping[str, Mapping[Any, Any]]) -> Config:
    """The Config with other names for values of dimensions, as dimension -> value -> new value."""
    fields = _fields(config)
    for dimension, new in names.items():
        name = profile_field(dimension)
        for table in (fields, *fields[ALSO]):
            if name in table:
                table[name] = [new.get(value, value) for value in table[name]]
    return _made(config.name, fields, Source(f"configuration {config.name}"))


def from_json(text: str, where: str = "stored configuration") -> Config:
    """The Config that ``to_json`` wrote, checked like a profile. Errors begin with ``where``."""
    try:
        table = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{where}: not valid JSON: {error}") from error
    name = table.pop("name", None) if isinstance(table, dict) else None
    if not isinstance(name, str):
        raise ConfigError(f"{where}: expected an object with a name, got {shown(table)}")
    source = Source(where)
    return _made(name, flat(table, source), source)


_FREE_TO_DIFFER: Final = frozenset(
    {"title", "rounds", "budget_s", "further_rounds", "repeat_disturbed"}
)


def differences(a: Config, b: Config) -> list[str]:
    """Why rounds of ``a`` and of ``b`` must not share a result file: empty when they may.

    One line for each field, as ``clients: [1, 8] and [1, 128]``. What a run is called and how long
    it goes on (name and `_FREE_TO_DIFFER`) may differ: one resumes a run in order to do more. So
    may the place of a peer, an interpreter, a file or a child: that it is the same shows in the
    environment.
    """
    of_b = _fields(b.without_paths())
    return [
        f"{name}: {shown(value)} and {shown(of_b[name])}"
        for name, value in _fields(a.without_paths()).items()
        if value != of_b[name] and name not in _FREE_TO_DIFFER
    ]


def _built_in() -> dict[str, Traversable]:
    files = (importlib.resources.files("bench") / "profiles").iterdir()
    return {f.name.removesuffix(".toml"): f for f in files if f.name.endswith(".toml")}


def _fields(config: Config) -> dict[str, Any]:
    """The flat fields, in the order of the rules, and the tables [[also]]."""
    fields: dict[str, Any] = {name: _field(config, name) for name in RULES}
    given = ({name: _field(table, name) for name in ALSO_RULES} for table in config.also)
    fields[ALSO] = [{k: v for k, v in table.items() if v is not None} for table in given]
    return fields


def _field(config: Config, name: str) -> Any:
    outer, _, inner = name.partition(".")
    return getattr(getattr(config, outer), inner) if inner else getattr(config, outer)


def _made(name: str, fields: Mapping[str, object], source: Source) -> Config:
    """Every Config comes from here. A field that is absent gets its default."""
    own = {key: value for key, value in fields.items() if key != ALSO}
    values = {key: rule.default for key, rule in RULES.items()} | checked(own, source)
    if values["budget_s"] == math.inf:
        values["budget_s"] = None  # a single way to say "no limit", and one that JSON has
    check_together(values, source)
    further = further_matrices(fields.get(ALSO, ()), values, source)
    check_matrices([values, *(whole for _, whole in further)], source)

    def table(values: dict[str, Any], prefix: str) -> dict[str, Any]:
        found = [key for key in values if key.startswith(prefix)]
        return {key.removeprefix(prefix): values.pop(key) for key in found}

    return Config(
        name=name,
        child=ChildConfig(**table(values, "child.")),
        read_path=ReadPathConfig(**table(values, "read_path.")),
        also=tuple(
            AlsoConfig(child=AlsoChildConfig(**table(given, "child.")), **given)
            for given, _ in further
        ),
        **values,
    )


@lru_cache(maxsize=64)
def _matrices(config: Config) -> tuple[Config, ...]:
    if not config.also:
        return (config,)
    main = msgspec.structs.replace(config, also=())
    return (main, *(_with(main, table) for table in _fields(config)[ALSO]))


def _with(main: Config, fields: Mapping[str, Any]) -> Config:
    """The main matrix with some of its dimensions replaced."""
    inner = {k.removeprefix("child."): v for k, v in fields.items() if k.startswith("child.")}
    outer = {k: v for k, v in fields.items() if "." not in k}
    child = msgspec.structs.replace(main.child, **inner)
    return msgspec.structs.replace(main, child=child, **outer)
