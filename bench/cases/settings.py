"""What a profile holds, declared once: of each field its type, its default, and its option.

The rules of dimensions follow from their declarations in `Case`; settings, which are the same for
all cases, are declared here. Fields are flat: ``child.kind`` is ``kind`` in the table [child]. What
is checked over several fields is in `rules`; `config` reads, overrides and stores.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from bench.cases.case import DEFAULTS, DIMENSIONS, ONE_LINE
from bench.cases.dimension import Dimension, OptionGroup
from bench.cases.names import NO_FAULT

MAX_SEED: Final = 2**63 - 1
MAX_DATA: Final = 1 << 30
MAX_BUDGET: Final = 1 << 40

_PATH_CHARS: Final = 4096
_LINE: Final = rf"\A{ONE_LINE}\Z"


@dataclass(frozen=True, slots=True)
class Option:
    """The option of a setting. It annotates the setting's type, as does ``Meta``, whose description
    is what an error says was expected."""

    metavar: str = ""
    help: str = ""
    """Empty: there is no option."""
    group: OptionGroup = OptionGroup.EXPERT


_OfReads = partial(Option, group=OptionGroup.EXPERIMENT)


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
    group: OptionGroup = OptionGroup.EXPERT
    default: Any = msgspec.NODEFAULT
    """Without one the field has to be given."""
    is_list: bool = False
    noun: str = ""
    names: tuple[str, ...] = ()
    check: Callable[[str], object] | None = None
    """For text with a notation of its own: raises ValueError or BuildError."""
    normal: Callable[[str], str] | None = None
    """Instead of ``check`` where one thing can be written in several ways: the one that is kept."""
    separator: str = ","
    """What an option's text is split into items by, a regular expression."""


def profile_field(name: str) -> str:
    """The flat field of a profile that a dimension is asked for by, as ``child.kind``."""
    return DIMENSIONS[name].profile_field or name


class ChildConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The redo process: which programs, how much CPU each burns on top of its own work, and how it
    misbehaves (PROTOCOL.md lists the faults)."""

    kind: tuple[str, ...] = ("c",)
    cost: str = "none"
    fault: str = NO_FAULT


class ReadPathConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What comes before a redo in the cases that have a read path, which are those with an
    admission other than none. A budget of 0 is no limit."""

    data_bytes: Annotated[
        int,
        Meta(ge=0, le=MAX_DATA, description=f"whole bytes, from 0 to {MAX_DATA}"),
        _OfReads("B", "that a read collects for its redo, with an admission"),
    ] = 262_144
    download_ms: Annotated[
        float,
        Meta(ge=0, le=60_000, description="milliseconds, from 0 to 60000"),
        _OfReads("MS", "that a read waits for some of them"),
    ] = 5.0
    download_share: Annotated[
        float,
        Meta(ge=0, le=1, description="a share, from 0 to 1"),
        _OfReads("SHARE", "of the reads that wait, from 0 to 1"),
    ] = 0.25
    budget_bytes: Annotated[
        int,
        Meta(ge=0, le=MAX_BUDGET, description=f"whole bytes, from 0 (no limit) to {MAX_BUDGET}"),
        _OfReads("B", "that all reads may hold; a run that needs more ends; 0: no limit"),
    ] = 0


class AlsoChildConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The table [also.child]; None: as in the main matrix."""

    kind: tuple[str, ...] | None = None
    cost: str | None = None
    fault: str | None = None


AlsoConfig: Final = msgspec.defstruct(
    "AlsoConfig",
    [
        *(
            (name, tuple[Any, ...] | None, None)
            for name in DIMENSIONS
            if profile_field(name) == name
        ),
        ("child", AlsoChildConfig, AlsoChildConfig()),
    ],
    frozen=True,
    kw_only=True,
    omit_defaults=True,
)
"""A table [[also]]: the dimensions of a further matrix; None: as in the main matrix."""


class _Named(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    """The profile it came from: the stem of the profile's file."""
    title: Annotated[
        str,
        Meta(max_length=120, pattern=_LINE, description="one line of at most 120 characters"),
    ] = ""


if TYPE_CHECKING:

    class _Dimensions(_Named, frozen=True, kw_only=True):
        """A tuple of the values that are asked for, under the name of each dimension."""

        def __getattr__(self, name: str) -> tuple[Any, ...]: ...

else:
    # `Case` declares the dimensions. Those of the table [child] are in `ChildConfig`.
    _Dimensions = msgspec.defstruct(
        "_Dimensions",
        [
            (name, tuple, (DEFAULTS[name],)) if name in DEFAULTS else (name, tuple)
            for name in DIMENSIONS
            if profile_field(name) == name
        ],
        bases=(_Named,),
        frozen=True,
        kw_only=True,
    )

_Count = Annotated[int, Meta(ge=1, le=10_000, description="a whole number from 1 to 10000")]
_Seconds = Annotated[
    float, Meta(gt=0, le=86_400, description="seconds, more than 0, at most 86400")
]


class Settings(_Dimensions, frozen=True, kw_only=True):
    """The fields of a `Config`. Durations are in seconds."""

    rounds: Annotated[
        _Count,
        Option("K", "runs of each case; lifts the profile's time budget", OptionGroup.COMMON),
    ] = 7
    slices: Annotated[_Count, Option("K", "slices of a run")] = 5
    seconds: Annotated[
        _Seconds, Option("S", "measured in a run, over all its slices", OptionGroup.COMMON)
    ] = 0.1
    warmup_s: Annotated[
        float,
        Meta(ge=0, le=86_400, description="seconds, from 0 to 86400"),
        Option("S", "before the first slice"),
    ] = 0.05
    timeout_s: Annotated[_Seconds, Option("S", "deadline of a redo")] = 60.0
    run_timeout_s: Annotated[_Seconds, Option("S", "a run that takes longer has failed")] = 90.0
    budget_s: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="seconds, more than 0 (inf: no limit)"),
        Option("S", "no round starts that would end later; inf: no limit"),
    ] = None
    further_rounds: Annotated[
        int,
        Meta(ge=0, le=10_000, description="a whole number from 0 to 10000"),
        Option("K", "more rounds at the end, as many as the budget allows"),
    ] = 0
    repeat_disturbed: Annotated[
        Annotated[int, Meta(ge=0, le=10_000)] | None,
        Meta(description="a whole number from 0 to 10000"),
        Option("K", "disturbed rounds that may be measured again (default: if the budget allows)"),
    ] = None
    peer: Annotated[
        str,
        Meta(max_length=_PATH_CHARS, pattern=_LINE, description="the path of a program"),
        Option(
            "PATH",
            "program that the managers peer:KIND are (docs/peer.md)",
            OptionGroup.EXPERIMENT,
        ),
    ] = ""
    seed: Annotated[
        int,
        Meta(ge=0, le=MAX_SEED, description=f"a whole number from 0 to {MAX_SEED}"),
        Option("K", "of the order of cases and the contents of requests"),
    ] = 1
    child: ChildConfig = ChildConfig()
    read_path: ReadPathConfig = ReadPathConfig()
    also: tuple[Any, ...] = ()
    """Further matrices, each an `AlsoConfig`."""


def _of_dimension(name: str, dimension: Dimension) -> Rule:
    kind: Any = str
    expected = dimension.notation
    if dimension.names:
        expected = f"any of {', '.join(dimension.names)}"
    elif dimension.bounds is not None:
        least, most = dimension.bounds
        kind = Annotated[int, Meta(ge=least, le=most)]
        expected = f"whole numbers from {least} to {most}"
    elif dimension.pattern:
        kind = Annotated[str, Meta(max_length=_PATH_CHARS, pattern=rf"\A{dimension.pattern}\Z")]
    default = DEFAULTS.get(name, msgspec.NODEFAULT)
    return Rule(
        type=kind,
        expected=expected,
        option=name,
        metavar=dimension.metavar,
        help=dimension.help,
        group=dimension.group,
        default=(default,) if name in DEFAULTS and dimension.is_list else default,
        is_list=dimension.is_list,
        noun=dimension.noun or name,
        names=dimension.names,
        check=dimension.label or dimension.check,
        normal=dimension.normal,
        separator=dimension.separator,
    )


def _of_settings(kind: type[msgspec.Struct], prefix: str = "") -> dict[str, Rule]:
    """The rules of a struct's own fields, which are those with a description."""
    found = {}
    for item in msgspec.structs.fields(kind):
        notes = {type(note): note for note in getattr(item.type, "__metadata__", ())}
        if Meta in notes:
            option = notes.get(Option, Option())
            found[prefix + item.name] = Rule(
                type=item.type,
                expected=notes[Meta].description,
                option=item.name if option.help else "",
                metavar=option.metavar,
                help=option.help,
                group=option.group,
                default=item.default,
            )
    return found


_SETTINGS: Final = _of_settings(Settings)
_OF_DIMENSIONS: Final = {profile_field(n): _of_dimension(n, d) for n, d in DIMENSIONS.items()}

RULES: Final[Mapping[str, Rule]] = {
    "title": _SETTINGS.pop("title"),
    **{name: rule for name, rule in _OF_DIMENSIONS.items() if "." not in name},
    **_SETTINGS,
    **{name: rule for name, rule in _OF_DIMENSIONS.items() if "." in name},
    **_of_settings(ReadPathConfig, "read_path."),
}
"""The fields of a profile; those of a table as ``TABLE.FIELD``."""

TABLES: Final = ("child", "read_path")
ALSO: Final = "also"
ALSO_RULES: Final[Mapping[str, Rule]] = {
    name: rule for name, rule in RULES.items() if name in _OF_DIMENSIONS
}
"""The fields of a table [[also]]."""
