"""Programs are compiled once, anew when something changes, and what is missing is named."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from fake_redo_child import build
from tests.support.managers import eventually

HELLO = '#include "answer.h"\nint main(void) { return ANSWER; }\n'
ROOT = Path(build.__file__).resolve().parent.parent


@pytest.fixture
def compiler() -> build.Compiler:
    try:
        return build.find_compiler()
    except build.CompilerMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def source(tmp_path: Path, compiler: build.Compiler) -> Path:
    path = tmp_path / "source" / "hello.c"
    path.parent.mkdir()
    path.write_text(HELLO)
    (path.parent / "answer.h").write_text("#define ANSWER 42\n")
    return path


@pytest.fixture
def counting_compiler(
    tmp_path: Path, compiler: build.Compiler, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A compiler in $CC that notes each compilation in the file that is returned."""
    calls = tmp_path / "calls"
    calls.touch()
    program = tmp_path / "counting-cc"
    program.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *--version*) ;; *) echo compiled >>{calls} ;; esac\n'
        f'exec {" ".join(compiler.command)} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("CC", str(program))
    return calls


def compilations(calls: Path) -> int:
    return len(calls.read_text().splitlines())


def status_of(program: Path) -> int:
    return subprocess.run([program], check=False).returncode


def test_second_build_compiles_nothing(
    source: Path, tmp_path: Path, counting_compiler: Path
) -> None:
    first = build.build_program([source], folder=tmp_path / "out")
    assert compilations(counting_compiler) == 1
    assert status_of(first.path) == 42
    assert build.build_program([source], folder=tmp_path / "out") == first
    assert compilations(counting_compiler) == 1


def test_what_changes_the_program(source: Path, tmp_path: Path, counting_compiler: Path) -> None:
    out = tmp_path / "out"
    builds = [build.build_program([source], folder=out)]
    builds.append(build.build_program([source], ["-DOTHER"], folder=out))
    source.write_text(HELLO + "\n")
    builds.append(build.build_program([source], folder=out))
    (source.parent / "answer.h").write_text("#define ANSWER 43\n")
    builds.append(build.build_program([source], folder=out))
    assert compilations(counting_compiler) == 4
    assert len({b.key for b in builds}) == 4
    assert [status_of(b.path) for b in builds] == [42, 42, 42, 43]
    assert builds[1].flags == (*builds[0].flags, "-DOTHER")


def test_another_compiler_is_another_program(
    source: Path, tmp_path: Path, counting_compiler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = build.build_program([source], folder=tmp_path / "out")
    monkeypatch.setenv("CC", f"{os.environ['CC']} -g")
    two = build.build_program([source], folder=tmp_path / "out")
    assert one.path != two.path
    assert two.compiler.command == (*one.compiler.command, "-g")


def test_nothing_else_is_left_in_the_folder(source: Path, tmp_path: Path) -> None:
    made = build.build_program([source], folder=tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == [made.path]


def test_builds_at_once(source: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        futures = [
            pool.submit(build.build_program, [source], (), tmp_path / "out") for _ in range(8)
        ]
        builds = {future.result() for future in futures}
    (made,) = builds
    assert status_of(made.path) == 42
    assert list((tmp_path / "out").iterdir()) == [made.path]


def test_half_a_program_is_nobody_elses(
    source: Path, tmp_path: Path, compiler: build.Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first compiler stops with half of its output written, and the second one does not."""
    program, half, release = tmp_path / "slow-cc", tmp_path / "half", tmp_path / "release"
    os.mkfifo(release)
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in *--version*) exec echo slow ;; esac\n'
        f'if mkdir "{half}.begun" 2>/dev/null; then\n'
        '    for word; do [ "$last" = -o ] && out=$word; last=$word; done\n'
        '    printf "#!/bin/sh\\nexit 1" >"$out"; chmod +x "$out"\n'
        f"    touch {half}; read _ <{release}\n"
        "fi\n"
        f'exec {" ".join(compiler.command)} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("CC", str(program))
    out = tmp_path / "out"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(build.build_program, [source], (), out)
        try:
            assert eventually(half.exists)
            second = build.build_program([source], (), out)
            assert status_of(second.path) == 42
        finally:
            release.write_text("go on\n")
        assert first.result() == second
    assert status_of(second.path) == 42
    assert list(out.iterdir()) == [second.path]


def test_a_disk_that_is_full_is_named(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(build.BuildError, match=r"hello-\w+: cannot be built \(No space left"):
        build.build_program([source], folder=tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_compile_failure(source: Path, tmp_path: Path) -> None:
    source.write_text("int main(void) { return undeclared; }\n")
    with pytest.raises(build.CompileFailed, match="undeclared") as failed:
        build.build_program([source], folder=tmp_path / "out")
    assert failed.value.status != 0
    assert "undeclared" in failed.value.stderr
    assert str(source) in failed.value.command
    assert list((tmp_path / "out").iterdir()) == []


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(build.CompilerMissing) as missing:
        build.child_program()
    text = str(missing.value)
    assert "\n" not in text
    for part in ("cc, gcc, clang", "apt-get install gcc", "--child python"):
        assert part in text
    assert missing.value.looked_for == ("cc", "gcc", "clang")
    assert build.child_command("python")[0] == sys.executable  # needs none


def test_chosen_compiler_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that was asked for is not replaced in silence by another."""
    monkeypatch.setenv("CC", "no-such-compiler -m64")
    with pytest.raises(build.CompilerMissing, match=r"no-such-compiler \(\$CC\)"):
        build.find_compiler()


def test_folder_that_cannot_be_written(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(build.BuildError, match="no folder for programs is writable"):
        build.build_program([source], folder=tmp_path / "file" / "out")


def test_users_own_folder_where_programs_of_the_package_are_not_executed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statvfs, asked = os.statvfs, []

    def without_exec(folder: Path) -> os.statvfs_result:
        asked.append(folder)
        real = statvfs(folder)
        flags = real.f_flag | os.ST_NOEXEC if folder == tmp_path / "package/build" else real.f_flag
        return os.statvfs_result((*real[:8], flags, *real[9:]))

    monkeypatch.setattr(os, "statvfs", without_exec)
    monkeypatch.setattr(build, "_HERE", tmp_path / "package")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = build.build_program([source])
    assert made.path.parent == tmp_path / "cache" / "walredo-bench"
    assert status_of(made.path) == 42
    assert asked == [tmp_path / "package/build", tmp_path / "cache/walredo-bench"]


def test_users_own_folder_where_the_package_is_read_only(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "package").touch()  # a file: nothing can be made in it, not even by root
    monkeypatch.setattr(build, "_HERE", tmp_path / "package")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = build.build_program([source])
    assert made.path.parent == tmp_path / "cache" / "walredo-bench"
    assert build.build_program([source]) == made


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files, where nothing can be written into the package."""
    (tmp_path / "package").touch()
    monkeypatch.setattr(build, "_HERE", tmp_path / "package")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def no_such_user(uid: int) -> NoReturn:
    raise KeyError(uid)


def test_a_user_without_a_home(
    source: Path, read_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an id has that a container is told to run under, and nobody else knows."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_such_user)
    made = build.build_program([source])
    folder = made.path.parent
    assert folder == read_only / f"walredo-bench-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert build.build_program([source]) == made
    # Programs that others could have put there are not run.
    folder.chmod(0o777)
    with pytest.raises(build.BuildError, match="others can write to it"):
        build.build_program([source])
    folder.rename(read_only / "else")
    folder.symlink_to(read_only / "else")
    with pytest.raises(build.BuildError, match="others can write to it"):
        build.build_program([source])


def test_a_home_that_cannot_be_used(
    source: Path, read_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(read_only / "package" / "nowhere"))
    made = build.build_program([source])
    assert made.path.parent == read_only / f"walredo-bench-{os.getuid()}"


def test_a_cache_folder_must_be_absolute(
    source: Path, read_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(read_only)
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setenv("HOME", str(read_only / "home"))
    made = build.build_program([source])
    assert made.path.parent == read_only / "home" / ".cache" / "walredo-bench"


@pytest.mark.parametrize("make", [build.build_child, build.build_floor])
def test_record_of_a_build(make: Callable[[], build.Build], compiler: build.Compiler) -> None:
    made = make()
    assert made.path.is_absolute()
    assert made.key in made.path.name
    assert made.compiler == compiler
    assert "-O2" in made.flags


@pytest.mark.parametrize("sources", [build._CHILD_SOURCES, build._FLOOR_SOURCES])
@pytest.mark.parametrize("level", ["-O0", "-O2", "-O3"])
def test_sources_have_no_warnings(
    sources: tuple[str, ...], level: str, compiler: build.Compiler, tmp_path: Path
) -> None:
    paths = [ROOT / "fake_redo_child" / name for name in sources]
    build.build_program(paths, ["-Wpedantic", "-Werror", level], folder=tmp_path)


def test_command_of_each_child(compiler: build.Compiler) -> None:
    assert build.child_command("c") == (str(build.child_program()),)
    assert build.child_command("python")[:3] == (sys.executable, "-I", "-S")
    other = Path("/elsewhere/child")
    assert build.child_command("c", program=other) == (str(other),)


def test_options_of_a_command() -> None:
    command = build.child_command(
        "python", sandbox=False, cost="pg14", cost_per_request_us=1e-3, cost_per_record_us=20
    )
    assert command[4:] == (
        "--no-sandbox",
        *("--cost", "pg14"),
        *("--cost-per-request-us", "0.001"),
        *("--cost-per-record-us", "20"),
    )
    done = subprocess.run(command, input=b"", capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("value", [0.0, 10.0, 0.5, 1_000_000.0])
def test_numbers_reach_the_child_whole(value: float) -> None:
    command = build.child_command("python", cost_per_record_us=value)
    assert float(command[-1]) == value
    assert set(command[-1]) <= set("0123456789.")


def test_unknown_names() -> None:
    with pytest.raises(build.UnknownChild, match="no child 'rust': there are c, python"):
        build.child_command("rust")
    with pytest.raises(build.UnknownChild, match="no cost 'pg99': there are none, pg14"):
        build.child_command("python", cost="pg99")


def test_as_a_program(compiler: build.Compiler) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fake_redo_child.build"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [Path(line) for line in done.stdout.split()] == [
        build.child_program(),
        build.floor_program(),
    ]


def test_as_a_program_that_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "child_program", interrupt)
    assert build.main() == 130


def test_as_a_program_without_compiler(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fake_redo_child.build"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("no C compiler")
    assert done.stderr.count("\n") == 1
