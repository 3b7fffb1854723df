"""Each fault does on both children what PROTOCOL.md says, when it says, and no more."""

from __future__ import annotations

import fcntl
import os
import random
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from fake_redo_child import build
from fake_redo_child.child import python_child
from fake_redo_child.faults.faults import ALL_FAULTS, FAULTS, FaultError, parse_fault
from tests.support import page_model as model
from tests.support.children import KINDS, LIMIT_S, RunningChild, command_of, run, sandbox_allowed
from tests.support.page_model import Tag

HERE = Path(build.__file__).parent
ZERO_PAGE = bytes(model.PAGE)
MIB = 1024 * 1024

each_kind = pytest.mark.parametrize("kind", KINDS)


def tag_of(block: int) -> Tag:
    return (0, 1663, 5, 16384, block)


def redo(block: int) -> bytes:
    return model.redo(tag_of(block), None, [(block + 1, f"record {block}".encode())])


def page(block: int) -> bytes:
    return model.page(tag_of(block), None, [(block + 1, f"record {block}".encode())])


def faulty(kind: str, fault: str, *options: str) -> tuple[str, ...]:
    return command_of(kind, "--fault", fault, *options)


def unread(child: RunningChild) -> int:
    """Bytes that were sent and that the child has not read."""
    count = fcntl.ioctl(child.stdin.fileno(), termios.FIONREAD, bytes(4))
    return int.from_bytes(count, sys.byteorder)


def is_silent(child: RunningChild, seconds: float = 0.2) -> bool:
    """Nothing on its output, not even its end, for a while. Slowness can only make it so."""
    return not select.select([child.stdout], [], [], seconds)[0]


def descriptors(child: RunningChild) -> list[str]:
    return sorted(fd.name for fd in Path(f"/proc/{child.process.pid}/fd").iterdir())


def assert_stays_until_a_signal(child: RunningChild) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        child.process.wait(0.2)
    child.process.terminate()
    assert child.process.wait(LIMIT_S) == -signal.SIGTERM


# ---- faults at a redo ----


@each_kind
@pytest.mark.parametrize(
    ("fault", "status", "written"),
    [
        ("exit-before-reply", 4, 0),
        ("exit-in-reply", 4, model.PAGE // 2),
        ("exit-after-reply", 4, model.PAGE),
        ("killed", -signal.SIGKILL, 0),
    ],
)
@pytest.mark.parametrize("options", [(), ("--no-sandbox",)], ids=["", "no-sandbox"])
def test_faults_that_end_the_child(
    kind: str, fault: str, status: int, written: int, options: tuple[str, ...]
) -> None:
    data = redo(1) + model.PING + redo(2) + redo(3)
    done = run(faulty(kind, f"{fault}:at=2", *options), data)
    assert (done.returncode, done.stderr) == (status, b"")
    assert done.stdout == page(1) + ZERO_PAGE + page(2)[:written]


@each_kind
@pytest.mark.parametrize(
    ("fault", "second"),
    [
        ("late:ms=1", page(2)),
        ("drip:us=0", page(2)),
        ("drip:us=5", page(2)),
        ("short-reply", page(2)[:-100]),
        ("short-reply:bytes=1", page(2)[:-1]),
        ("short-reply:bytes=8192", b""),
        ("extra-page", page(2) + page(2)),
    ],
)
def test_faults_after_which_the_child_goes_on(kind: str, fault: str, second: bytes) -> None:
    key = "," if ":" in fault else ":"
    data = redo(1) + redo(2) + model.PING + redo(3)
    done = run(faulty(kind, f"{fault}{key}at=2"), data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == page(1) + second + ZERO_PAGE + page(3)


@each_kind
@pytest.mark.parametrize("fault", ["late:ms=400", "start-slowly:ms=400"])
def test_delays(kind: str, fault: str) -> None:
    """Only that there is a delay. A loaded machine makes it longer; the rest is for a CPU that runs
    much faster than while the loop was calibrated."""
    start = time.monotonic()
    with RunningChild(faulty(kind, fault)) as child:
        child.send(redo(1))
        assert child.page() == page(1)
    assert time.monotonic() - start > 0.1


@each_kind
def test_drip_writes_byte_by_byte(kind: str) -> None:
    """A pipe in packet mode keeps writes apart, at most a memory page in each."""
    ours, childs = os.pipe2(os.O_DIRECT | os.O_CLOEXEC)
    process = subprocess.Popen(
        faulty(kind, "drip:us=0,at=2"), stdin=subprocess.PIPE, stdout=childs, env={}
    )
    try:
        os.close(childs)
        assert process.stdin is not None
        process.stdin.write(redo(1) + redo(2))
        process.stdin.close()
        packets = list(iter(lambda: os.read(ours, 65536), b""))
        assert process.wait(LIMIT_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"".join(packets) == page(1) + page(2)
    assert len(packets[0]) > 1
    assert {len(packet) for packet in packets[-model.PAGE :]} == {1}


@each_kind
def test_hang(kind: str) -> None:
    with RunningChild(faulty(kind, "hang:at=2")) as child:
        child.send(redo(1))
        assert child.page() == page(1)
        child.send_apart(redo(2))
        child.send(redo(3))
        assert is_silent(child)
        assert unread(child) == len(redo(3))
        child.stdin.close()
        assert is_silent(child)
        assert_stays_until_a_signal(child)


@each_kind
def test_close_stdout(kind: str) -> None:
    with RunningChild(faulty(kind, "close-stdout:at=2")) as child:
        child.send(redo(1) + redo(2))
        assert child.page() == page(1)
        assert child.page() == b""
        assert descriptors(child) == ["0", "2"]
        assert_stays_until_a_signal(child)
        assert child.stderr.read() == b""


@each_kind
def test_close_stdin(kind: str) -> None:
    with RunningChild(faulty(kind, "close-stdin:at=2")) as child:
        child.send(redo(1) + redo(2))
        assert child.page() + child.page() == page(1) + page(2)
        deadline = time.monotonic() + LIMIT_S
        while descriptors(child) != ["1", "2"]:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        with pytest.raises(BrokenPipeError):
            child.send(redo(3))
        assert is_silent(child)
        assert_stays_until_a_signal(child)


@each_kind
@pytest.mark.parametrize("fault", ["stderr-lines", "stderr-blob"])
def test_noise_on_standard_error(kind: str, fault: str) -> None:
    done = run(faulty(kind, f"{fault}:every=2"), b"".join(map(redo, range(5))))
    assert done.returncode == 0
    assert done.stdout == b"".join(map(page, range(5)))
    assert len(done.stderr) == 2 * MIB
    if fault == "stderr-lines":
        lines = done.stderr.splitlines(keepends=True)
        assert set(lines) == {b"WARNING: fault stderr-lines ".ljust(63, b"x") + b"\n"}
    else:
        assert b"\n" not in done.stderr


@each_kind
@pytest.mark.parametrize("fault", ["stderr-lines", "stderr-blob"])
def test_noise_comes_before_the_page(kind: str, fault: str) -> None:
    with RunningChild(faulty(kind, fault)) as child:
        child.send(redo(1))
        assert is_silent(child)  # it waits for somebody to read its errors
        got = 0
        while got < MIB:
            got += len(os.read(child.stderr.fileno(), MIB))
        assert got == MIB
        assert child.page() == page(1)


@each_kind
def test_noise_that_nobody_reads(kind: str) -> None:
    with RunningChild(faulty(kind, "stderr-blob")) as child:
        child.stderr.close()
        child.send(redo(1))
        assert child.page() == page(1)


# ---- faults of the start and the end ----


@each_kind
def test_fail_to_start(kind: str) -> None:
    """It has read nothing: all that lay in the pipe before its start still does."""
    childs, ours = os.pipe()
    try:
        os.write(ours, model.PING)
        done = subprocess.run(
            faulty(kind, "fail-to-start"),
            stdin=childs,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
            env={},
        )
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr == b"FATAL: fault fail-to-start\n"
        assert os.read(childs, 100) == model.PING
    finally:
        os.close(childs)
        os.close(ours)


@each_kind
@pytest.mark.parametrize("rest", [b"", redo(2)[:30]], ids=["between", "inside"])
def test_ignore_eof(kind: str, rest: bytes) -> None:
    with RunningChild(faulty(kind, "ignore-eof")) as child:
        child.send(redo(1) + rest)
        assert child.page() == page(1)
        child.stdin.close()
        assert is_silent(child)
        assert_stays_until_a_signal(child)
        assert child.stderr.read() == b""


SHORT_LIVED_MANAGER = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
print(child.pid, flush=True)
child.stdin.write(b"H\\0\\0\\0\\4")  # once it has answered, it knows its manager
left = 8192
while left:
    left -= len(child.stdout.read(left))
import os
os._exit(0)
"""


@each_kind
def test_a_child_that_stays_does_not_outlive_its_manager(kind: str) -> None:
    """The child holds the other end of the pipe that is read here until its end."""
    command = [sys.executable, "-c", SHORT_LIVED_MANAGER, *faulty(kind, "ignore-eof")]
    manager = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={})
    gone = False
    with manager:
        assert manager.stdout is not None
        assert manager.stderr is not None
        pid = int(manager.stdout.readline())
        try:
            assert manager.wait(LIMIT_S) == 0
            gone = bool(select.select([manager.stderr], [], [], LIMIT_S)[0])
        finally:
            manager.kill()
            if not gone:
                os.kill(pid, signal.SIGKILL)
        assert gone
        assert manager.stderr.read() == b""


# ---- sandbox ----


def test_a_file_cannot_be_opened_in_the_sandbox() -> None:
    command = faulty("c", "open-file")
    if not sandbox_allowed():
        pytest.skip("this machine forbids strict mode")
    done = run(command, model.PING + redo(1))
    assert done.returncode == -signal.SIGKILL  # by the kernel
    assert (done.stdout, done.stderr) == (ZERO_PAGE, b"")


@each_kind
def test_a_file_can_be_opened_without_sandbox(kind: str) -> None:
    done = run(faulty(kind, "open-file", "--no-sandbox"), redo(1) + redo(2))
    assert (done.returncode, done.stdout) == (0, page(1) + page(2))
    assert done.stderr == b"WARNING: fault open-file: it could be opened\n"


@pytest.mark.parametrize("name", [name for name in FAULTS if name != "fail-to-start"])
def test_which_faults_run_in_the_sandbox(name: str) -> None:
    command = faulty("c", name)
    if not sandbox_allowed():
        pytest.skip("this machine forbids strict mode")
    with RunningChild(command) as child:
        child.send(model.PING)
        assert child.page() == ZERO_PAGE
        assert (child.status_line("Seccomp") == "1") == FAULTS[name].sandboxed
    built = build.child_command("c", fault=name)
    assert ("--no-sandbox" in built) == (not FAULTS[name].sandboxed)


# ---- triggers ----


def draws(seed: int, count: int) -> list[int]:
    """splitmix64 from PROTOCOL.md, the state written as what it is: seed plus a multiple."""
    made = []
    for i in range(1, count + 1):
        z = (seed + i * 0x9E3779B97F4A7C15) % 2**64
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        made.append(z ^ (z >> 31))
    return made


def test_model_draws_splitmix64() -> None:
    """The values that its authors' implementation gives for this seed."""
    assert draws(1234567, 3) == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


def due_by_chance(p: float, seed: int, count: int) -> set[int]:
    return {i for i, z in enumerate(draws(seed, count), 1) if (z >> 11) / 2**53 < p}


REDOS = 120


@each_kind
@pytest.mark.parametrize(
    ("trigger", "due"),
    [
        ("", {1}),
        (":at=1", {1}),
        (":at=7", {7}),
        (":at=0007", {7}),
        (":at=1000000000", set()),
        (":every=1", set(range(1, REDOS + 1))),
        (":every=7", set(range(7, REDOS + 1, 7))),
        (":p=0", set()),
        (":p=1", set(range(1, REDOS + 1))),
        (":p=1.000", set(range(1, REDOS + 1))),
        (":p=0.25", due_by_chance(0.25, 0, REDOS)),
        (":p=.25,seed=7", due_by_chance(0.25, 7, REDOS)),
        (":seed=18446744073709551615,p=0.5", due_by_chance(0.5, 2**64 - 1, REDOS)),
    ],
)
def test_trigger(kind: str, trigger: str, due: set[int]) -> None:
    """Pings and zero pages in between, which are not counted and not touched."""
    data = expected = b""
    for i in range(1, REDOS + 1):
        between = [(model.PING, ZERO_PAGE), (model.get(tag_of(i)), ZERO_PAGE)] * (i % 3 == 0)
        for message, answer in [*between, (redo(i), page(i) * (2 if i in due else 1))]:
            data += message
            expected += answer
    done = run(faulty(kind, f"extra-page{trigger}"), data)
    assert done.returncode == 0
    assert done.stdout == expected


@each_kind
@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
def test_chance_to_the_last_bit(kind: str, seed: int) -> None:
    """A draw is below the next larger probability and not below itself, which is exact here."""
    drawn = draws(seed, 1)[0] >> 11
    for p, pages in [(drawn, 1), (drawn + 1, 2)]:
        decimal = f"0.{p * 5**53:053d}"  # p / 2^53
        done = run(faulty(kind, f"extra-page:p={decimal},seed={seed}"), redo(1))
        assert (done.returncode, done.stdout) == (0, page(1) * pages)


def test_chances_differ_by_seed() -> None:
    assert len({frozenset(due_by_chance(0.25, seed, REDOS)) for seed in range(10)}) == 10
    assert 10 < len(due_by_chance(0.25, 7, REDOS)) < 50


# ---- what is not a fault ----

WRONG = {
    "": f"unknown fault, not one of {', '.join(ALL_FAULTS)}: ",
    "lat": f"unknown fault, not one of {', '.join(ALL_FAULTS)}: lat",
    "Late": f"unknown fault, not one of {', '.join(ALL_FAULTS)}: Late",
    "late ": f"unknown fault, not one of {', '.join(ALL_FAULTS)}: late ",
    "none:at=1": f"unknown fault, not one of {', '.join(ALL_FAULTS)}: none",
    "x" * 200: f"unknown fault, not one of {', '.join(ALL_FAULTS)}: {'x' * 80}",
    "late:": "unknown key of fault late, not one of ms, at, every, p, seed: ",
    "late:us=3": "unknown key of fault late, not one of ms, at, every, p, seed: us",
    "late:ms=3,": "unknown key of fault late, not one of ms, at, every, p, seed: ",
    "late:ms=3,,at=1": "unknown key of fault late, not one of ms, at, every, p, seed: ",
    "hang:m=1": "unknown key of fault hang, not one of at, every, p, seed: m",
    "start-slowly:at=1": "unknown key of fault start-slowly, not one of ms: at",
    "fail-to-start:at=1": "fault fail-to-start takes no keys: at",
    "ignore-eof:": "fault ignore-eof takes no keys: ",
    "late:ms=3,ms=3": "key of fault late given twice: ms",
    "late:ms": "ms of fault late is not a whole number from 0 to 3600000: ",
    "late:ms=": "ms of fault late is not a whole number from 0 to 3600000: ",
    "late:ms=3=4": "ms of fault late is not a whole number from 0 to 3600000: 3=4",
    "late:ms=3600001": "ms of fault late is not a whole number from 0 to 3600000: 3600001",
    "drip:us=1000001": "us of fault drip is not a whole number from 0 to 1000000: 1000001",
    "short-reply:bytes=0": "bytes of fault short-reply is not a whole number from 1 to 8192: 0",
    "short-reply:bytes=8193": (
        "bytes of fault short-reply is not a whole number from 1 to 8192: 8193"
    ),
    "hang:at=0": "at of fault hang is not a whole number from 1 to 1000000000: 0",
    "hang:every=1000000001": (
        "every of fault hang is not a whole number from 1 to 1000000000: 1000000001"
    ),
    "hang:p=0.1,seed=18446744073709551616": (
        "seed of fault hang is not a whole number from 0 to 18446744073709551615:"
        " 18446744073709551616"
    ),
    "hang:at=1,every=2": "fault hang takes only one of at, every, p: hang:at=1,every=2",
    "hang:p=1,at=2": "fault hang takes only one of at, every, p: hang:p=1,at=2",
    "hang:seed=3": "seed of fault hang needs p: hang:seed=3",
    "hang:at=1,seed=3": "seed of fault hang needs p: hang:at=1,seed=3",
    **{
        f"hang:at={bad}": f"at of fault hang is not a whole number from 1 to 1000000000: {bad}"
        for bad in ("-1", "+1", " 1", "1 ", "1.5", "1e3", "0x1", "1_0", "\u0663", "9" * 80)
    },
    **{
        f"hang:p={bad}": f"p of fault hang is not a decimal from 0 to 1: {bad}"
        for bad in ("", ".", "-0", "1.01", "1e-3", "0x1", "nan", "inf", "0.1.2", " .5", "0_1", "2")
    },
}


@pytest.mark.parametrize("text", WRONG)
def test_bad_faults(text: str) -> None:
    with pytest.raises(FaultError) as refused:
        parse_fault(text)
    assert str(refused.value) == WRONG[text]
    with pytest.raises(build.UnknownFault) as unknown:
        build.check_fault(text)
    assert str(unknown.value).startswith(WRONG[text])


@each_kind
@pytest.mark.parametrize("text", WRONG)
def test_bad_faults_on_the_command_line(kind: str, text: str) -> None:
    done = run(command_of(kind, f"--fault={text}"), redo(1))
    assert (done.returncode, done.stdout) == (2, b"")
    said = done.stderr.decode()
    assert said.partition(": ")[2] == f"{WRONG[text]} (--help tells the options)\n"


@each_kind
def test_the_option_itself(kind: str) -> None:
    missing = run(command_of(kind, "--fault"), b"")
    assert missing.returncode == 2
    assert b"option needs a value: --fault" in missing.stderr
    last_wins = run(command_of(kind, "--fault", "hang", "--fault=extra-page"), redo(1))
    assert last_wins.stdout == page(1) * 2
    assert b"--fault NAME[:KEY=VALUE[,KEY=VALUE]...]" in run(command_of(kind, "--help"), b"").stdout


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("hangs", "hang"),
        ("exit-before-replay", "exit-before-reply"),
        ("shortreply:bytes=3", "short-reply"),
        ("late:msec=3", "ms"),
        ("drip:evry=3", "every"),
        ("late:ms=x", None),
        ("qqq", None),
    ],
)
def test_nearest_valid_name(text: str, nearest: str | None) -> None:
    with pytest.raises(build.UnknownFault) as unknown:
        build.check_fault(text)
    assert unknown.value.nearest == nearest
    assert (f"did you mean {nearest}?" in str(unknown.value)) == (nearest is not None)
    assert "\n" not in str(unknown.value)
    with pytest.raises(build.BuildError):
        build.child_command("python", fault=text)


def test_fault_in_a_command() -> None:
    text = "late:ms=20,every=100"
    assert build.check_fault(text) == text
    assert build.child_command("python", fault=text)[4:] == ("--fault", text)
    assert build.child_command("python", fault="hang:at=3")[4:] == (
        "--no-sandbox",
        *("--fault", "hang:at=3"),
    )
    assert build.child_command("python", sandbox=False, fault="hang").count("--no-sandbox") == 1


# ---- one table in two languages and a document ----


def test_both_children_have_the_same_numbers() -> None:
    """Names, keys and limits show in the errors above; usual values only here."""
    source = (HERE / "faults/fault.c").read_text()
    table = re.findall(
        r'\.name = "([a-z-]+)"(?:,\s*\.amount = \{"(\w+)", (\d+), (\d+), (\d+)\})?', source
    )
    amounts = [
        (name, *((a.key, str(a.usual), str(a.least), str(a.most)) if a else ("", "", "", "")))
        for name, a in ((name, kind.amount) for name, kind in ALL_FAULTS.items())
    ]
    assert table == amounts


@pytest.mark.parametrize("name", ALL_FAULTS)
def test_every_fault_is_documented(name: str) -> None:
    lines = (HERE / "PROTOCOL.md").read_text().splitlines()
    (row,) = [line for line in lines if line.startswith(f"| `{name}` |")]
    amount = ALL_FAULTS[name].amount
    if amount is not None:
        limits = f"`{amount.key}` ({amount.usual}; {amount.least} to {amount.most:,})"
        assert limits in row
    assert ("| no (2) |" in row) == (not ALL_FAULTS[name].sandboxed)
    assert ALL_FAULTS[name].description[-1] not in ".\n"


@pytest.mark.parametrize("name", sorted(FAULTS.keys() - {"fail-to-start", "ignore-eof"}))
@each_kind
def test_a_fault_that_is_not_due_changes_nothing(kind: str, name: str) -> None:
    """The two that are left out are always due."""
    fault = f"{name}:at=99" if FAULTS[name].at_redo else name
    source = random.Random(5)
    records = [(lsn, source.randbytes(67)) for lsn in range(1, 227)]
    done = run(faulty(kind, fault), redo(1) + model.redo(tag_of(2), ZERO_PAGE, records))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == page(1) + model.page(tag_of(2), ZERO_PAGE, records)


def test_a_lone_python_child_knows_no_faults(tmp_path: Path) -> None:
    copy = tmp_path / "child.py"
    copy.write_bytes(Path(python_child.__file__).read_bytes())
    command = [sys.executable, "-I", "-S", str(copy)]
    assert run(command, redo(1)).stdout == page(1)
    done = run([*command, "--fault", "hang"], redo(1))
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"--fault needs " in done.stderr
    assert done.stderr.count(b"\n") == 1


@each_kind
def test_cost_is_paid_with_a_fault_too(kind: str) -> None:
    done = run(faulty(kind, "extra-page:every=2", "--cost", "pg14"), redo(1) + redo(2))
    assert (done.returncode, done.stdout) == (0, page(1) + page(2) * 2)
