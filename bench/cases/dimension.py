"""What there is to say of one dimension of the matrix.

A dimension is declared once, as the field of a `Case` (bench/cases/case.py). Names of cases, keys
of result files, fields of a profile and their checks, options of the command line with their help,
and the matrix all follow from that declaration. Standard library only, because the worker imports
it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bench.cases.case import Case

METADATA: Final = "dimension"
"""The key of a field's metadata under which its `Dimension` is."""


class OptionGroup(Enum):
    """The groups, by their titles, in which help lists the options of dimensions and settings."""

    COMMON = "common (lists with commas)"
    VARIES = "what varies besides"
    EXPERIMENT = "what single experiments vary (the comments of their profiles explain it)"
    EXPERT = "for experts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One dimension. Its values are names, whole numbers, or text with a notation of its own."""

    meaning: str
    """For the table of keys in docs/measures.md."""
    help: str
    """For the option, after its metavar."""
    group: OptionGroup = OptionGroup.VARIES
    """Of the option."""
    names: tuple[str, ...] = ()
    """The values, where they are names to choose from."""
    bounds: tuple[int, int] | None = None
    """The least and the greatest value, where values are whole numbers."""
    notation: str = ""
    """How a value is written, where it is neither: what an error says was expected."""
    check: Callable[[str], object] | None = None
    """Raises ValueError (or BuildError) for text that is no value."""
    normal: Callable[[str], str] | None = None
    """Makes equal values equal text, where a value can be written in several ways."""
    label: Callable[[str], str] | None = None
    """What a case calls a choice. Raises ValueError for what is no choice."""
    label_notation: str = ""
    """How a choice is given a label, for an error."""
    label_hides_path: bool = True
    """Whether the label stands for a place on this machine: then a result file has nothing else."""
    pattern: str = ""
    """What the text of a choice must match whole, if any text will do as far as that."""
    noun: str = ""
    """What an error calls a value; empty: the name of the dimension."""
    separator: str = ","
    """A regular expression: what an option's text is split into values by."""
    is_list: bool = True
    """Whether a profile asks for several values."""
    metavar: str = "LIST"
    profile_field: str = ""
    """Where it stands in a profile, as ``child.kind``; empty: under its name."""
    nesting: int = 80
    """Its place in the order of the cases: a dimension with a greater number changes faster."""
    changes_calls: bool = False
    """Whether it changes how clients call: no two such dimensions can differ from their default."""
    protocol: int = 1
    """The version of the worker protocol that brought it (bench/worker/protocol.py)."""
    means_something: Callable[[Case], bool] | None = None
    """Whether it makes a difference to that case; None: it does to every case."""

    def field(self, default: Any = MISSING) -> Any:
        """The field of a case. Without a default every name begins with it; with one, a name
        mentions it only where it differs."""
        return field(default=default, metadata={METADATA: self})
