"""`make` sets up .venv and uses it, whatever settings there are for pip and Python.

No test needs a network: what is installed is a package of one line, from a folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.places import ROOT
from tests.support.checkouts import environment_of_make, install_python

NAME, VERSION = "tiny_dependency", "1.0"
STAMP = ".venv/.runtime-installed"

WORDS = "import sys; print(*sys.argv[1:], sep='|')"
"""A command line that says what it is asked."""

BENCH = """
import sys
import tiny_dependency
print(tiny_dependency.__file__, *sys.argv[1:], sep="|")
"""
"""A command line that needs what is installed, and says where that is and what it is asked."""

LIMIT_S = 110.0


@dataclass(frozen=True)
class Checkout:
    """The Makefile, with a command line and a child that are made up."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, bench: str) -> Checkout:
        modules = (("bench", "__main__", bench), ("fake_redo_child", "build", ""))
        for package, module, text in modules:
            (folder / package).mkdir(parents=True)
            (folder / package / f"{module}.py").write_text(text)
        shutil.copy(ROOT / "Makefile", folder)
        (folder / "requirements.lock").touch()
        return cls(folder)

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs make, which succeeds."""
        done = self.attempt(*words, **variables)
        assert done.returncode == 0, done.stderr
        return done

    def attempt(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*words, **variables)
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        environment: Mapping[str, str] = {
            name: text
            for name, text in environment_of_make().items()
            if not name.startswith(("PIP_", "PYTHON"))
        }
        return subprocess.Popen(
            ["make", f"PYTHON={sys.executable}", *words],
            cwd=self.folder,
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


# --- With a .venv that is there -------------------------------------------------------------------


@pytest.fixture
def ready(tmp_path: Path) -> Checkout:
    """A checkout that is set up."""
    checkout = Checkout.make(tmp_path / "checkout", WORDS)
    install_python(checkout.folder)
    return checkout


@pytest.mark.parametrize("name", ["PYTHONSAFEPATH", "PYTHONHOME", "PYTHONINSPECT"])
def test_variables_of_python_do_not_keep_it_from_its_checkout(name: str, ready: Checkout) -> None:
    assert ready.run("bench-quick", **{name: "/nowhere"}).stdout.startswith("run|--profile|quick|")


def test_a_folder_that_others_packages_lie_in_comes_later(ready: Checkout) -> None:
    other = ready.folder / "other"
    (other / "bench").mkdir(parents=True)
    (other / "bench" / "__main__.py").write_text("print('another')")
    assert "another" not in ready.run("bench-quick", PYTHONPATH=str(other)).stdout


@pytest.mark.parametrize("target", ["plot", "report"])
@pytest.mark.parametrize("name", ["a b.json", "it's.json", 'a "b" `c`.json', "*.json", "ä;b.json"])
def test_a_name_of_any_characters(target: str, name: str, ready: Checkout) -> None:
    (ready.folder / name).touch()
    (ready.folder / "other.json").touch()
    for said in (ready.run(target, f"RESULT={name}"), ready.run(target, RESULT=name)):
        assert said.stdout == f"{target}|{name}|--force\n"


def test_a_page_of_several_results(ready: Checkout) -> None:
    assert ready.run("report", "RESULT=a.json b.json").stdout == "report|a.json|b.json|--force\n"
    assert ready.run("report").stdout == "report|latest|--force\n"


# --- Setting it up --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package."""
    folder = tmp_path_factory.mktemp("wheels")
    info = f"{NAME}-{VERSION}.dist-info"
    with zipfile.ZipFile(folder / f"{NAME}-{VERSION}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{NAME}/__init__.py", "")
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n"
        )
        tag = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tag)
        wheel.writestr(f"{info}/RECORD", f"{NAME}/__init__.py,,\n{info}/RECORD,,\n")
    return folder


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .venv in which nothing is installed: making one takes longer than copying it."""
    folder = tmp_path_factory.mktemp("bare") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=LIMIT_S)
    return folder


@pytest.fixture
def fresh(tmp_path: Path, wheels: Path, bare: Path) -> Checkout:
    """A checkout whose .venv has nothing in it, and that needs the package."""
    checkout = Checkout.make(tmp_path / "check out", BENCH)
    (wheel,) = wheels.iterdir()
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock = f"{NAME.replace('_', '-')}=={VERSION} \\\n    --hash=sha256:{sha256}\n"
    (checkout.folder / "requirements.lock").write_text(lock)
    shutil.copytree(bare, checkout.folder / ".venv", symlinks=True)
    return checkout


def settings(wheels: Path, **more: str) -> dict[str, str]:
    """Variables that have pip find the package, and no file of the machine's settings."""
    found = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull}
    return found | more


def check_installed(checkout: Checkout, done: subprocess.CompletedProcess[str]) -> None:
    """The package is in .venv, and nothing anywhere else."""
    assert (checkout.folder / STAMP).exists()
    place = checkout.run("bench-quick").stdout.partition("|")[0]
    assert Path(place).is_relative_to(checkout.folder.resolve() / ".venv"), place
    beside = {path.name for path in checkout.folder.parent.iterdir()}
    assert beside <= {checkout.folder.name, "pip.conf", "path", "list"}


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "variable",
    [
        *("PIP_USER=1", "PIP_TARGET={}/x", "PIP_PREFIX={}/x", "PIP_ROOT={}/x", "PIP_DRY_RUN=1"),
        *("PIP_PYTHON={}/no-python", "PIP_CONSTRAINT={}/no-file", "PIP_REQUIREMENT={}/no-file"),
        *("PIP_EDITABLE={}/x", "PIP_PLATFORM=win32", "PIP_PYTHON_VERSION=2.7", "PIP_ABI=none"),
        *("PIP_IMPLEMENTATION=jy", "PIP_REQUIRE_VIRTUALENV=1", "PYTHONHOME=/nowhere"),
        *("PYTHONUSERBASE={}/x", "PYTHONNOUSERSITE=1", "VIRTUAL_ENV={}/x", "CONDA_PREFIX={}/x"),
    ],
)
def test_variables_do_not_say_where_it_is_installed(
    variable: str, fresh: Checkout, wheels: Path
) -> None:
    name, _, value = variable.format(fresh.folder.parent).partition("=")
    check_installed(fresh, fresh.run(STAMP, **settings(wheels, **{name: value})))


@pytest.mark.exhaustive
@pytest.mark.parametrize("section", ["global", "install"])
@pytest.mark.parametrize(
    "setting",
    [
        *("user = true", "no-user = true", "target = {}/x", "prefix = {}/x", "root = {}/x"),
        *("constraint = {}/list", "build-constraint = {}/list", "requirement = {}/list"),
        *("editable = {}/x", "requirements-from-script = {}/list"),
        *("python = {}/no-python", "dry-run = true"),
    ],
)
def test_configuration_does_not_say_what_is_installed_or_where(
    setting: str, section: str, fresh: Checkout, wheels: Path
) -> None:
    beside = fresh.folder.parent
    (beside / "list").write_text(f"{NAME}==2.0\n")
    file = beside / "pip.conf"
    file.write_text(f"[{section}]\n{setting.format(beside)}\n")
    check_installed(fresh, fresh.run(STAMP, **settings(wheels, PIP_CONFIG_FILE=str(file))))


@pytest.mark.exhaustive
def test_configuration_says_where_packages_come_from(fresh: Checkout, wheels: Path) -> None:
    file = fresh.folder.parent / "pip.conf"
    file.write_text(f"[global]\nno-index = true\nfind-links =\n    /nowhere\n    {wheels}\n")
    check_installed(fresh, fresh.run(STAMP, PIP_CONFIG_FILE=str(file)))


@pytest.mark.exhaustive
def test_what_lies_on_the_path_is_not_installed(fresh: Checkout, wheels: Path) -> None:
    """Such a package is gone as soon as the variable is."""
    (wheel,) = wheels.iterdir()
    path = fresh.folder.parent / "path"
    with zipfile.ZipFile(wheel) as file:
        file.extractall(path)
    check_installed(fresh, fresh.run(STAMP, **settings(wheels, PYTHONPATH=str(path))))


@pytest.mark.exhaustive
def test_it_counts_as_set_up_once_it_can_be_loaded(fresh: Checkout, wheels: Path) -> None:
    bench = fresh.folder / "bench" / "__main__.py"
    bench.write_text("import something_else")
    failed = fresh.attempt(STAMP, **settings(wheels))
    assert failed.returncode == 2
    assert "error: what was installed in .venv cannot be loaded" in failed.stderr
    assert not (fresh.folder / STAMP).exists()
    bench.write_text(BENCH)
    check_installed(fresh, fresh.run(STAMP, **settings(wheels)))


@pytest.mark.exhaustive
@pytest.mark.parametrize("beginning", ["empty", "dead"])
def test_one_make_at_a_time_sets_it_up(beginning: str, fresh: Checkout, wheels: Path) -> None:
    if shutil.which("flock") is None:
        pytest.skip("no flock")
    venv = fresh.folder / ".venv"
    if beginning == "dead":
        (fresh.folder / STAMP).touch()
        for name in ("python", "python3"):
            (venv / "bin" / name).unlink()
    folder = os.open(venv, os.O_RDONLY)
    makes = []
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        for _ in range(2):
            makes.append(fresh.start(STAMP, **settings(wheels)))
            assert makes[-1].stdout
            said = makes[-1].stdout.readline()
            assert said == "waiting for another make that sets up .venv ...\n"
        os.close(folder)
        ended = [make.communicate(timeout=LIMIT_S) for make in makes]
    finally:
        for make in makes:
            make.kill()
    assert [make.returncode for make in makes] == [0, 0]
    # The other found it done.
    assert sorted(ended) == [("", ""), ("setting up .venv ...\n", "")]
    check_installed(fresh, fresh.run(STAMP, **settings(wheels)))


@pytest.mark.exhaustive
@pytest.mark.parametrize("death", ["dangling", "gone", "another version", "no program"])
def test_a_venv_that_died_is_made_anew(death: str, fresh: Checkout, wheels: Path) -> None:
    """As after an upgrade of the system's Python."""
    variables = settings(wheels)
    fresh.run(STAMP, **variables)
    programs = fresh.folder / ".venv" / "bin"
    for name in ("python", "python3"):
        if death != "another version":
            (programs / name).unlink()
    if death == "dangling":
        (programs / "python3").symlink_to("/nowhere/python3")
        (programs / "python").symlink_to("python3")
    elif death == "another version":  # which looks for libraries elsewhere
        (library,) = (fresh.folder / ".venv" / "lib").iterdir()
        library.rename(library.with_name("python3.2"))
    elif death == "no program":
        (programs / "python").write_text("no program")
        (programs / "python").chmod(0o755)
    check_installed(fresh, fresh.run("bench-quick", **variables))
    again = fresh.run("bench-quick", **variables)
    assert "setting up" not in again.stdout
