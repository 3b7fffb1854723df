"""Profiles: TOML in, a frozen and checked ``Config`` out; options of the command line on top.

What belongs here: what a configuration holds, where it is read from, how two of them compare. What
does not: what a field may be (`settings`, `rules`), names of values (`names`), reading the command
line (`bench.cli.options`), which cases a configuration asks for (`matrix`).

The same code checks every Config, whether it comes from a profile, from options or from a result
file. Only the name that an error gives to a value differs. A Config is never changed.
"""

import importlib.resources
import json
import math
import tomllib
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bench.cases.case import DIMENSIONS
from bench.cases.names import unknown
from bench.cases.rules import ConfigError as ConfigError
from bench.cases.rules import Source, check_together, checked, flat, shown
from bench.cases.settings import RULES, Rule, Settings, profile_field
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
        checked(fields, source)
        check_together(fields, source)

    @property
    def slice_s(self) -> float:
        """How long one slice measures, before the stretching that slow cases need."""
        return self.seconds / self.slices

    def without_paths(self) -> "Config":
        """The same without a place on this machine, for a result file."""
        own = [name for name in DIMENSIONS if profile_field(name) == name]
        child = msgspec.structs.replace(self.child, kind=self.labels("child"))
        return msgspec.structs.replace(
            self, peer="", child=child, **{name: self.labels(name) for name in own}
        )

    def values(self, dimension: str) -> tuple[Any, ...]:
        """The values that are asked for of a dimension. A value may be or hold a path."""
        value = _field(self, profile_field(dimension))
        return value if isinstance(value, tuple) else (value,)

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

    Values may be text as typed: ``clients="1,128"`` means ``clients=[1, 128]``. ``budget_s=inf``
    lifts the limit. Raises ConfigError, which then names the option, as ``--clients``.
    """
    for option in options:
        if option not in OPTIONS:
            raise TypeError(unknown("option", option, OPTIONS))
    given = {_FIELD_OF_OPTION[k]: value for k, value in options.items() if value is not None}
    spelling = {name: option_name(RULES[name].option) for name in given}
    source = Source(f"profile {config.name}", spelling)
    return _made(config.name, {**_fields(config), **given}, source)


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


_FREE_TO_DIFFER: Final = frozenset({"title", "rounds", "budget_s"})


def differences(a: Config, b: Config) -> list[str]:
    """Why rounds of ``a`` and of ``b`` must not share a result file: empty when they may.

    One line for each field, as ``clients: [1, 8] and [1, 128]``. What a run is called and how long
    it goes on (name, title, rounds, budget_s) may differ: one resumes a run in order to do more. So
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


def _fields(config: Config) -> dict[str, object]:
    """The flat fields, in the order of the rules."""
    return {name: _field(config, name) for name in RULES}


def _field(config: Config, name: str) -> Any:
    outer, _, inner = name.partition(".")
    return getattr(getattr(config, outer), inner) if inner else getattr(config, outer)


def _made(name: str, fields: Mapping[str, object], source: Source) -> Config:
    """Every Config comes from here. A field that is absent gets its default."""
    values = {name: rule.default for name, rule in RULES.items()} | checked(fields, source)
    if values["budget_s"] == math.inf:
        values["budget_s"] = None  # a single way to say "no limit", and one that JSON has
    check_together(values, source)

    def table(prefix: str) -> dict[str, Any]:
        return {n.removeprefix(prefix): values.pop(n) for n in RULES if n.startswith(prefix)}

    child, read_path = ChildConfig(**table("child.")), ReadPathConfig(**table("read_path."))
    return Config(name=name, child=child, read_path=read_path, **values)
