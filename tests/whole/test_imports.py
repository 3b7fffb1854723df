"""Which module may import which, held over the real source files.

bench imports walredo and fake_redo_child, never the other way round. Inside bench each room imports
what `tests.support.rooms` allows it, and only through doors. Inside walredo the managers point down
to the errors; the protocol core touches no clock and no descriptor. A worker loads the standard
library only. New files fall under every rule whose names they match.
"""

import ast
import fnmatch
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.places import ROOT
from tests.support.rooms import COMMON, ROOMS, may_import, room_of

PACKAGES = ("walredo", "fake_redo_child", "bench")

# From the bottom up. A module that no line names (status, config, counters, ...) may stand anywhere
# as long as no lower module reaches a higher one through it.
LAYERS = (
    ("walredo.errors",),
    ("walredo.wire", "walredo.request"),
    ("walredo.child", "walredo.pipeline"),
    ("walredo.transport*",),
    ("walredo.lifecycle",),
    ("walredo.*manager*",),
    ("walredo",),
)
SANS_IO = ("walredo.pipeline", "walredo.wire", "walredo.request", "walredo.errors")
IO_OR_CLOCK = frozenset(
    {
        "_thread",
        "asyncio",
        "concurrent",
        "fcntl",
        "multiprocessing",
        "os",
        "pathlib",
        "queue",
        "select",
        "selectors",
        "signal",
        "socket",
        "subprocess",
        "threading",
        "time",
    }
)
# Who may print and exit in bench: the command line. What is run by itself may exit as well, under
# `if __name__ == "__main__"`, which an import never reaches.
SPEAKERS = ("bench.__main__", "bench.cli.main*")


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module. ``lazy``: inside a function. ``typing``: only for the type checker."""

    target: str
    line: int
    lazy: bool = False
    typing: bool = False

    @property
    def top(self) -> str:
        return self.target.partition(".")[0]


class Reader(ast.NodeVisitor):
    """Collects the imports of one module, and the calls by which a program speaks or ends."""

    def __init__(self, module: str, is_package: bool, known: Iterable[str]) -> None:
        self.package = module if is_package else module.rpartition(".")[0]
        self.known = frozenset(known)
        self.imports: list[Import] = []
        self.speech: list[str] = []
        self._lazy = self._typing = self._main = False

    def _add(self, node: ast.stmt, target: str) -> None:
        self.imports.append(Import(target, node.lineno, self._lazy, self._typing))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            above = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
            base = ".".join([*above, *filter(None, [base])])
        for alias in node.names:
            inside = f"{base}.{alias.name}"
            self._add(node, inside if inside in self.known else base)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        before, self._lazy = self._lazy, True
        self.generic_visit(node)
        self._lazy = before

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_If(self, node: ast.If) -> None:
        test = ast.unparse(node.test)
        before = self._typing, self._main
        self._typing |= test in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        self._main |= test == "__name__ == '__main__'"
        for statement in node.body:
            self.visit(statement)
        self._typing, self._main = before
        for node_ in (node.test, *node.orelse):
            self.visit(node_)

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func)
        ends = called in ("sys.exit", "exit", "quit", "os._exit")
        if called == "print" or (ends and not self._main):
            self.speech.append(f"line {node.lineno}: {called}")
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        # Raised, with or without a call. Catching it counts too: only the command line may need to.
        if node.id == "SystemExit" and not self._main:
            self.speech.append(f"line {node.lineno}: {node.id}")


def read(source: str, module: str, known: Iterable[str] = (), is_package: bool = False) -> Reader:
    reader = Reader(module, is_package, known)
    reader.visit(ast.parse(source))
    return reader


def _sources() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _read_all() -> dict[str, Reader]:
    sources = dict(_sources())
    return {
        module: read(path.read_text(encoding="utf-8"), module, sources, path.stem == "__init__")
        for module, path in sources.items()
    }


MODULES = _read_all()


def matches(module: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(module, pattern) for pattern in patterns)


def project_graph(modules: Mapping[str, Reader], *, typing: bool) -> dict[str, set[str]]:
    """module -> the modules of the project that it imports, also lazily."""
    return {
        module: {
            i.target for i in reader.imports if i.target in modules and (typing or not i.typing)
        }
        for module, reader in modules.items()
    }


def reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """All modules that ``start`` leads to; itself only if it is on a cycle."""
    found: set[str] = set()
    todo = list(graph[start])
    while todo:
        module = todo.pop()
        if module not in found:
            found.add(module)
            todo.extend(graph[module])
    return found


def layer_of(module: str) -> int | None:
    # A file that is named outright stands where it is named, whatever wider pattern it matches too.
    for level, names in enumerate(LAYERS):
        if module in names:
            return level
    return next((level for level, names in enumerate(LAYERS) if matches(module, names)), None)


def loaded_with(modules: Mapping[str, Reader], start: str) -> set[str]:
    """What importing ``start`` may execute: what it leads to, and the packages these are in."""
    found: set[str] = set()
    todo = [start]
    while todo:
        module = todo.pop()
        if module in modules and module not in found:
            found.add(module)
            todo.append(module.rpartition(".")[0])
            todo.extend(i.target for i in modules[module].imports if not i.typing)
    return found


# --- the rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "module",
    ["walredo.pipeline", "walredo.lifecycle", "bench.cases.config", "bench.worker.__main__"],
)
def test_the_modules_that_rules_are_about_exist(module: str) -> None:
    """A rule about a file that was renamed would hold for ever."""
    assert module in MODULES


@pytest.mark.parametrize("module", MODULES)
def test_packages_point_one_way(module: str) -> None:
    package = module.partition(".")[0]
    forbidden = {"bench": set[str]()}.get(package, set(PACKAGES) - {package})
    wrong = [f"{i.target} (line {i.line})" for i in MODULES[module].imports if i.top in forbidden]
    assert not wrong, f"{module} imports {wrong}"


def test_no_cycles() -> None:
    """Imports for the type checker alone do not count: they never run."""
    graph = project_graph(MODULES, typing=False)
    on_cycles = sorted(module for module in graph if module in reachable(graph, module))
    assert not on_cycles


@pytest.mark.parametrize("module", [m for m in MODULES if layer_of(m) is not None])
def test_walredo_points_down(module: str) -> None:
    graph = project_graph(MODULES, typing=True)
    level = layer_of(module)
    assert level is not None
    higher = sorted(m for m in reachable(graph, module) if (layer_of(m) or 0) > level)
    assert not higher, f"{module} reaches up to {higher}"


@pytest.mark.parametrize("module", SANS_IO)
def test_the_protocol_core_does_no_io_and_knows_no_clock(module: str) -> None:
    graph = project_graph(MODULES, typing=False)
    wrong = [
        f"{part} imports {i.target} (line {i.line})"
        for part in {module, *reachable(graph, module)}
        for i in MODULES[part].imports
        if i.top in IO_OR_CLOCK and not i.typing
    ]
    assert not wrong


@pytest.mark.parametrize("module", [m for m in MODULES if not m.startswith("bench")])
def test_walredo_and_the_child_need_the_standard_library_only(module: str) -> None:
    assert not third_party(MODULES[module])


WORKER = [m for m in MODULES if m.startswith("bench.worker")]


@pytest.mark.parametrize("module", sorted(set().union(*(loaded_with(MODULES, m) for m in WORKER))))
def test_a_worker_loads_the_standard_library_only(module: str) -> None:
    """Whatever it runs: subjects are imported by name, so all modules of its room count."""
    assert not third_party(MODULES[module])


# --- rooms ----------------------------------------------------------------------------------------

IN_ROOMS = [module for module in MODULES if room_of(module) is not None]


@pytest.mark.parametrize("module", IN_ROOMS)
def test_a_room_imports_what_it_may_and_through_doors(module: str) -> None:
    wrong = [
        f"{target} (line {i.line})"
        for i in MODULES[module].imports
        for target in [i.target]
        if target in MODULES and not may_import(module, target)
    ]
    assert not wrong, f"{module} imports {wrong}: see tests/support/rooms.py"


def test_every_module_of_bench_is_in_a_room() -> None:
    front = {m for m in MODULES if m.startswith("bench") and room_of(m) is None}
    assert front == {"bench", "bench.__main__", *COMMON}


def test_no_room_imports_one_that_stands_below_it_in_the_table() -> None:
    """So there is no circle of rooms. What a room may import in part counts as well."""
    names = list(ROOMS)
    for at, room in enumerate(ROOMS.values()):
        others = {allowed.partition(".")[0] for allowed in room.may}
        assert others <= set(names[:at])


def test_every_door_leads_somewhere_and_is_used() -> None:
    used = {
        i.target
        for module in MODULES
        for i in MODULES[module].imports
        if i.target in MODULES and room_of(module) != room_of(i.target)
    }
    for name, room in ROOMS.items():
        for door in room.doors:
            pattern = f"bench.{name}.{door}"
            assert fnmatch.filter(used, pattern), f"nobody uses {pattern}"


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_says_what_it_is_for_and_imports_nothing_at_its_door(name: str) -> None:
    path = ROOT / "bench" / name / "__init__.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstring = ast.get_docstring(tree)
    assert docstring is not None
    assert len(docstring) > len("A room of the suite.")
    assert len(tree.body) == 1, "a package file that runs nothing"


def third_party(reader: Reader) -> list[str]:
    """Imports from outside the project and the standard library; uvloop may be imported lazily."""
    return [
        f"{i.target} (line {i.line})"
        for i in reader.imports
        if i.top not in PACKAGES
        and i.top not in sys.stdlib_module_names
        and not i.typing
        and not (i.top == "uvloop" and i.lazy)
    ]


@pytest.mark.parametrize(
    "module",
    [m for m in MODULES if m.startswith(("bench", "walredo")) and not matches(m, SPEAKERS)],
)
def test_only_the_command_line_prints_and_exits(module: str) -> None:
    assert not MODULES[module].speech


# --- the reader itself ----------------------------------------------------------------------------


def test_reader_resolves_every_way_to_import() -> None:
    source = """
import a.b as c
from p.q import r
from p import q
from . import q as sibling
from .q import r
def f():
    import uvloop
if TYPE_CHECKING:
    import numpy
else:
    import json
"""
    known = {"p", "p.q", "p.r"}
    assert [(i.target, i.lazy, i.typing) for i in read(source, "p.r", known).imports] == [
        ("a.b", False, False),
        ("p.q", False, False),
        ("p.q", False, False),
        ("p.q", False, False),
        ("p.q", False, False),
        ("uvloop", True, False),
        ("numpy", False, True),
        ("json", False, False),
    ]
    in_package = read("from . import q", "p", known, is_package=True)
    assert [i.target for i in in_package.imports] == ["p.q"]
    from_below = read("from .. import q\nfrom ..q import x", "p.s.t", known)
    assert [i.target for i in from_below.imports] == ["p.q", "p.q"]


def test_reader_hears_who_prints_or_exits() -> None:
    assert (
        len(read("print(1)\nsys.exit(2)\nraise SystemExit(3)\nraise SystemExit", "m").speech) >= 4
    )
    assert not read("console.print(1)\nfile.exit()", "m").speech
    assert not read('if __name__ == "__main__":\n    sys.exit(main())', "m").speech
    assert read('if __name__ == "__main__":\n    print(main())', "m").speech


def test_rules_see_a_wrong_arrow() -> None:
    known = (
        "walredo.wire",
        "walredo.status",
        "walredo.sync_manager",
        "bench",
        "bench.worker",
    )
    modules = {
        "walredo.wire": read("import walredo.status", "walredo.wire", known),
        "walredo.status": read("import walredo.sync_manager", "walredo.status", known),
        "walredo.sync_manager": read("import walredo.wire", "walredo.sync_manager", known),
        "bench": read("import numpy", "bench", known, is_package=True),
        "bench.worker": read("def f():\n    import uvloop, rich", "bench.worker", known),
    }
    graph = project_graph(modules, typing=True)
    assert "walredo.sync_manager" in reachable(graph, "walredo.wire")
    assert "walredo.wire" in reachable(graph, "walredo.wire")
    assert loaded_with(modules, "bench.worker") == {"bench", "bench.worker"}
    assert third_party(modules["bench"]) == ["numpy (line 1)"]
    assert third_party(modules["bench.worker"]) == ["rich (line 2)"]
    assert (layer_of("walredo.wire"), layer_of("walredo.sync_manager")) == (1, 5)
    assert layer_of("walredo.status") is None


def test_rules_see_a_closed_door_and_a_forbidden_room() -> None:
    assert may_import("bench.show.summary", "bench.statistics.effects")
    assert may_import("bench.results.measures.stall", "bench.worker.protocol")
    assert not may_import("bench.results.summary", "bench.worker.meters")
    assert not may_import("bench.running.run", "bench.worker.background_load")  # a closed door
    assert not may_import("bench.statistics.effects", "bench.show.units")
    assert not may_import("bench.show.view", "bench.experiments.registry")
    assert not may_import("bench.cases.case", "walredo.request")
