# The peer's column: how Debian's Linux kernel is fetched, packed and booted, and how its results are read. Nothing of
# it needs a network: apt is played by scripts, the package is a small one of our own, and init runs on this machine.
# The last test boots the real kernel; it says itself what it does on a machine without it.
# Seen to fail: each, with the line that it is about changed in tools/measure/linux.py or bench/linux/init.c.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from harness import ROOT

sys.path.insert(0, str(ROOT / "tools"))

from measure import linux                                       # noqa: E402
from measure.figures import CannotMeasure, Figures, Row         # noqa: E402

NAME = "linux-image-9.8.0-7-amd64"
FILE = f"{NAME}_9.8.7-6_amd64.deb"
ENDED = "init: all have ended\r\n"


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """A PATH whose apt-cache and apt-get are scripts; gives the function that sets one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def script(name: str, text: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)

    script("apt-cache", f"echo 'linux-image-amd64'; echo '  Depends: {NAME}'")
    script("apt-get", "echo apt-get was called >&2; exit 100")
    return script


@pytest.fixture
def package(tmp_path) -> Path:
    """A package like the kernel's, with next to nothing in it."""
    root = tmp_path / "package"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "boot").mkdir()
    (root / "DEBIAN/control").write_text(f"Package: {NAME}\nVersion: 9.8.7-6\nArchitecture: amd64\n"
                                         "Maintainer: nobody <nobody@example.org>\nDescription: a test\n")
    (root / "boot/vmlinuz-9.8.0-7-amd64").write_bytes(os.urandom(100_000))
    (root / "boot/zzz").write_bytes(os.urandom(100_000))
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", str(root), str(tmp_path / FILE)], check=True,
                   stdout=subprocess.DEVNULL)
    return tmp_path / FILE


def content_of(package: Path) -> bytes:
    return (package.parent / "package/boot/vmlinuz-9.8.0-7-amd64").read_bytes()


# ---- the package

@pytest.mark.needs("dpkg")
def test_fetches_unpacks_and_keeps(tmp_path, apt, package):
    apt("apt-get", f'[ "$*" = "download {NAME}" ] && cp "{package}" .')
    kernel = linux.find_kernel(tmp_path / "kept")
    assert kernel.read_bytes() == content_of(package)
    assert linux.peer_name(kernel) == "Linux 9.8"
    assert sorted(path.name for path in kernel.parent.iterdir()) == sorted([FILE, kernel.name])
    apt("apt-get", "exit 100")
    kernel.unlink()
    assert linux.find_kernel(tmp_path / "kept").read_bytes() == content_of(package), "a copy is used without a network"


@pytest.mark.needs("dpkg")
@pytest.mark.parametrize("bytes_left", [0, 50_000, 150_000])
def test_keeps_no_part_of_a_download(tmp_path, apt, package, bytes_left):
    apt("apt-get", f'head -c {bytes_left} "{package}" >{FILE}')
    with pytest.raises(CannotMeasure, match="is broken"):
        linux.find_kernel(tmp_path / "kept")
    assert not list((tmp_path / "kept").iterdir())


@pytest.mark.needs("dpkg")
def test_refuses_a_broken_copy_and_leaves_it(tmp_path, apt, package):
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / FILE).write_bytes(package.read_bytes()[:150_000])
    with pytest.raises(CannotMeasure, match=f"{FILE} is broken; remove it"):
        linux.find_kernel(folder)
    assert [path.name for path in folder.iterdir()] == [FILE]


@pytest.mark.needs("dpkg")
def test_refuses_a_package_without_a_kernel(tmp_path, package):
    (package.parent / "package/boot/vmlinuz-9.8.0-7-amd64").unlink()
    subprocess.run(["dpkg-deb", "--build", str(package.parent / "package"), str(package)], check=True,
                   stdout=subprocess.DEVNULL)
    with pytest.raises(CannotMeasure, match="no boot/vmlinuz"):
        linux.unpack(package, tmp_path / "vmlinuz")
    assert not (tmp_path / "vmlinuz").exists()


@pytest.mark.needs("dpkg")
def test_takes_the_newest(tmp_path, apt, package):
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "linux-image-9.10.0-1-amd64_9.10.1-1_amd64.deb").write_bytes(package.read_bytes())
    old = folder / FILE
    old.write_bytes(b"")
    os.utime(old, (0, 0))
    assert linux.peer_name(linux.find_kernel(folder)) == "Linux 9.10"


@pytest.mark.parametrize("name, script, words", [
    ("apt-get", "echo 'E: Failed to fetch: could not resolve' >&2; exit 100", "could not resolve"),
    ("apt-cache", "echo 'E: No packages found' >&2; exit 100", "No packages found"),
    ("apt-cache", "echo linux-image-amd64", "another distribution"),
    ("apt-get", "exit 0", "has left no"),
])
def test_says_why_there_is_no_package(tmp_path, apt, name, script, words):
    apt(name, script)
    with pytest.raises(CannotMeasure, match=words) as error:
        linux.find_kernel(tmp_path / "kept")
    assert "cannot be fetched" in str(error.value)
    assert "build/bench/linux/" in str(error.value), "it says how to do without"
    assert not list((tmp_path / "kept").iterdir())


@pytest.mark.parametrize("program, call", [
    ("apt-cache", lambda folder: linux.find_kernel(folder)),
    ("cpio", lambda folder: linux.pack([], folder / "initramfs")),
    ("dpkg-deb", lambda folder: linux.unpack(folder / FILE, folder / "vmlinuz")),
])
def test_names_the_program_that_is_missing(tmp_path, monkeypatch, program, call):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotMeasure, match=program):
        call(tmp_path)


# ---- the machine

@pytest.mark.needs("cpio")
def test_initramfs(tmp_path):
    files = [tmp_path / "init", tmp_path / "other/calls"]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text(file.name)
        file.chmod(0o755)
    target = tmp_path / "initramfs"
    linux.pack([*files, files[1]], target)
    assert target.read_bytes().startswith(b"070701"), "the format that the kernel reads"
    listing = subprocess.run(["cpio", "--list", "--verbose", "--numeric-uid-gid", "--quiet"], stdin=target.open("rb"),
                             capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    assert [(row[0], row[2], row[3], row[-1]) for row in rows] == [("-rwxr-xr-x", "0", "0", name) for name in
                                                                   ("calls", "init")]


def test_command_line():
    text = linux.kernel_words([("SCHED_FIFO", ["calls copies=2 yield"]), ("SCHED_OTHER", [])], "mitigations=off", True)
    assert text == 'console=ttyS0 quiet panic=-1 mitigations=off -- "SCHED_FIFO" "calls copies=2 yield" "SCHED_OTHER"'


@pytest.mark.parametrize("lines", [["calls"] * 31, ["calls " + "x" * 2048], ['calls "x"']])
def test_command_line_that_linux_would_cut(lines):
    with pytest.raises(ValueError):
        linux.kernel_words([("SCHED_OTHER", lines)], "", True)


def test_no_two_cpus_with_counted_instructions():
    with pytest.raises(CannotMeasure, match="two CPUs"):
        linux.run(["calls"], cpus=2)


@pytest.mark.parametrize("code, words", [
    ("echo oops >&2; exit 1", "failed: oops"),
    ("exec sleep 60", "not done in 1 s"),
])
def test_a_machine_that_fails(code, words):
    begin = time.monotonic()
    with pytest.raises(CannotMeasure, match=words):
        list(linux.watch(["sh", "-c", code], timeout=1))
    assert time.monotonic() - begin < 30


# ---- init, which is an ordinary program: it switches the machine off only where it is the first of all

@pytest.fixture(scope="module")
def init() -> Path:
    return linux.build_init()


def run_init(init: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run([init, *words], capture_output=True, text=True, timeout=60, cwd="/")
    return done.returncode, done.stdout


def test_init_runs_phases_one_after_another(init):
    code, text = run_init(init, "SCHED_OTHER", "/bin/echo  one two", "SCHED_OTHER", "/bin/echo copies=3 x copies=4")
    assert text.splitlines() == ["init: here", "init: SCHED_OTHER", "one two", "init: SCHED_OTHER",
                                 *["x copies=4"] * 3, "init: all have ended"]
    assert code == 0


def test_init_lets_programs_go_together(init, tmp_path):
    """All are there before the first one runs: so the first one sees as many processes as there will be."""
    script = tmp_path / "count-siblings"
    script.write_text("#!/bin/sh\ngrep -l \"^PPid:.$PPID$\" /proc/[0-9]*/status 2>/dev/null | wc -l\n")
    script.chmod(0o755)
    text = run_init(init, "SCHED_OTHER", str(script), "/bin/sleep copies=20 1")[1]
    assert text.splitlines()[2] == "21"


def test_init_waits_for_all_of_a_phase(init):
    begin = time.monotonic()
    run_init(init, "SCHED_OTHER", "/bin/sleep copies=20 0.4", "SCHED_OTHER", "/bin/sleep 0.4")
    assert 0.8 <= time.monotonic() - begin < 8.0


@pytest.mark.parametrize("words, complaint", [
    (["SCHED_OTHER", "/bin/nothing"], "/bin/nothing cannot be started: error 2"),
    (["SCHED_OTHER", "/bin/false"], "a program ended with status 256"),
    (["/bin/true"], "/bin/true is no scheduling class"),
])
def test_init_tells_what_fails(init, words, complaint):
    code, text = run_init(init, *words)
    assert complaint in text
    assert text.endswith("init: failed\n")
    assert code == 1


# ---- results

def test_results_are_told_by_phase_and_in_our_ticks():
    text = ("init: here\r\ninit: SCHED_OTHER\r\nmeasure getpid 1000 5 6 7\r\ninit: SCHED_FIFO\r\n"
            "measure getpid 10 1 2 3\r\nmeasure getpid 10 4 5 6\r\n" + ENDED)
    first, second = linux.parse(text)
    assert [(one.operations, one.least, one.median, one.most) for one in first["getpid"]] == [(1000, 80, 96, 112)]
    assert [one.median for one in second["getpid"]] == [32, 80]
    assert linux.parse(text, icount=False)[0]["getpid"][0].median == 6, "without -icount they are left as they are"


@pytest.mark.parametrize("text", ["", "init: failed\r\n", "Kernel panic - not syncing\r\n"])
def test_programs_that_have_not_ended_well(text):
    with pytest.raises(CannotMeasure, match="not ended well"):
        linux.parse("init: SCHED_OTHER\r\nmeasure getpid 1000 5 6 7\r\n" + text)


MESSAGES = [(1.0, "[    0.381790] smp: Bringing up secondary CPUs ..."),
            (1.1, "[    0.400000] x86: Booting SMP configuration:"),
            (1.25, "[    0.554422] smp: Brought up 1 node, 2 CPUs")]


def test_startup(monkeypatch):
    monkeypatch.setattr(linux, "boot", lambda *_args, **_options: (line for line in MESSAGES))
    took, stamped = linux.startup(2)
    assert (round(took, 3), round(stamped, 3)) == (250.0, 172.632)
    with pytest.raises(CannotMeasure, match="start-up of 3 CPUs"):
        linux.startup(3)


def results_of(name: str, ticks: int) -> linux.Results:
    lines = f"measure loop 1000 4004 4004 4004\nmeasure {name} 1000 1 {ticks} 9\n"
    return linux.parse(f"init: SCHED_OTHER\n{lines}{ENDED}")[0]


def test_rows_are_filled(monkeypatch):
    asked = []

    def run_phases(phases, words):
        asked.append((phases, words))
        return [results_of("getpid", 309_004), results_of("yield", 3_000_004), results_of("yield", 4_000_004)]

    monkeypatch.setattr(linux, "find_kernel", lambda: Path("linux-image-6.1.0-56-amd64_6.1.192-2_amd64.vmlinuz"))
    monkeypatch.setattr(linux, "run_phases", run_phases)
    figures = Figures([Row(key, "", "", 1.0, note="ours") for key in ("calls.getpid", "calls.switch", "calls.other")])
    figures.rows[0].note = ""
    linux.add_peers(figures)
    getpid, switch, other = figures.rows
    assert getpid.peers == {"Linux 6.1": 306, "Linux 6.1, mitigations=off": 306}
    assert switch.peers == {"Linux 6.1": 1497, "Linux 6.1, mitigations=off": 1497}
    assert switch.note == "ours; Linux 6.1, SCHED_OTHER: 1,997; Linux 6.1, mitigations=off, SCHED_OTHER: 1,997"
    assert (getpid.note, other.note, other.peers) == ("", "ours", {})
    assert [words for _, words in asked] == ["", "mitigations=off"]
    assert [phase[0] for phase in asked[0][0]] == ["SCHED_OTHER", "SCHED_FIFO", "SCHED_OTHER"]


def test_no_row_no_kernel(monkeypatch):
    monkeypatch.setattr(linux, "find_kernel", lambda: pytest.fail("nobody asked for Linux"))
    linux.add_peers(Figures([Row("startup.build-one", "", "s", 1.0)]))


# ---- the real kernel

@pytest.mark.needs("qemu", "cpio", "dpkg")
def test_the_real_kernel():
    """With CI=true the package is fetched if it is not here, and a machine that cannot fetch it has to say so in words.
    Elsewhere nobody's test run fetches 70 MB: the test is skipped where nobody has measured yet."""
    if not linux.packages(linux.FOLDER) and os.environ.get("CI") != "true":
        pytest.skip("needs the package of Debian's kernel in build/bench/linux/: make bench fetches it")
    try:
        calls, pair = linux.run_phases([(linux.OTHER, ["calls"]), (linux.FIFO, ["calls copies=2 yield"])])
    except CannotMeasure as reason:
        assert "cannot be fetched" in str(reason) and not linux.packages(linux.FOLDER), reason
        return
    loop = calls["loop"][0]
    assert loop.least == loop.median == loop.most == 4004 * 16, "four instructions a round, and four around it all"
    assert 100 < linux.guest.instructions(calls, "unknown") < linux.guest.instructions(calls, "getpid") < 1000
    assert linux.guest.instructions(calls, "getpid") == int(linux.guest.instructions(calls, "getpid"))
    assert len(pair["yield"]) == 2, "both copies have told theirs"
    assert linux.guest.instructions(pair, "yield") > 2 * linux.guest.instructions(calls, "unknown")
