# tools/bugs as a person uses it: the list, one bug, a run with a word before and after, and what it says when the promise
# is not kept. And how a run is judged, on runs that are made up.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from harness import ROOT, alive, children, wait_for_text, wait_until
from layers import bug_folders
from machine.bugs import Bug, Scenario, Symptom, judge, judge_sound

with_emulators = pytest.mark.needs("qemu", "grub")
QUICK = "io-map-in-the-tss"     # a bug that takes no time
BOCHS_ONLY = "sfmask-without-df"
BY_WALK = "sfmask-without-ac"


def bugs(*arguments: str, root: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(root / "tools/bugs"), *arguments], cwd=root, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=300)


def make(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["make", *arguments], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=300)


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_list_has_every_bug():
    """(Seen to fail with the bugs of one stage alone.)"""
    done = make("-s", "bugs")
    assert done.returncode == 0
    listed = re.findall(r"^(?:stage \d\d)? +([a-z0-9-]+)  +(?:yes|-) +(?:yes|-) +\S", done.stdout, re.MULTILINE)
    assert sorted(listed) == sorted(bug_folders())
    assert re.search(rf"{BOCHS_ONLY} +- +yes ", done.stdout)


def test_all_about_one():
    done = make("-s", "bugs", f"BUG={BOCHS_ONLY}")
    text = words(done.stdout)
    for part in ("mistake DF stays set", "made by Redox", "breaks invariant 3, Flags (docs/invariants.md)",
                 "in QEMU not to be observed: QEMU 7.2 clears DF", "in Bochs REP MOVSB has gone down",
                 f"make bochs BUG={BOCHS_ONLY}"):
        assert part in text
    assert "make step" not in text and f"make step BUG={BY_WALK}" in bugs(BY_WALK).stdout


@pytest.mark.parametrize("arguments, complaint", [
    (["no-such-bug"], "there is no bug 'no-such-bug'.*make bugs lists all"),
    (["--run"], "which bug"), ([QUICK, "--sound"], "add --run"), ([QUICK, "--cpus", "2"], "add --run"),
    ([QUICK, "--run", "--emulator", "vbox"], "invalid choice"), ([QUICK, "--run", "--stage", "77"], "there is no stage '77'"),
    ([QUICK, "--run", "--stage", "00"], "above stage 00"),
    ([QUICK, "--run", "--cpus", "0"], "--cpus 0: a machine has at least one"),
    ([QUICK, "--run", "--cpus", "many"], "invalid int"),
])
def test_bad_arguments(arguments, complaint):
    done = bugs(*arguments)
    assert done.returncode == 2 and re.search(complaint, done.stdout + done.stderr), done.stdout + done.stderr


def test_help():
    done = bugs("--help")
    examples = re.findall(r"^  tools/bugs ([a-z-]+) ", done.stdout, re.MULTILINE)
    assert examples and set(examples) <= set(bug_folders())
    assert done.returncode == 0 and "exit codes:" in done.stdout and "tools/bugs NAME" not in done.stderr


@with_emulators
def test_make_run_says_what_to_look_for_and_what_happened():
    """(Seen to fail with the two texts exchanged, and with the run of the sound kernel.)"""
    done = make("-s", "run", f"BUG={QUICK}")
    assert done.returncode == 0, done.stderr
    before, console, after = re.split(r"^-----.*$", done.stdout, flags=re.MULTILINE)
    assert "LOOK FOR A program reads I/O port 0x60" in words(before)
    assert "\nfault: still alive" in console and "interactive" not in console
    assert "HAPPENED The program has read the keyboard's port" in words(after)
    assert "stage 01 in QEMU, 1 CPU ---" in done.stdout and "exit code 0 (it ended well)" in done.stdout


@with_emulators
def test_the_kernel_without_the_mistake():
    done = make("-s", "run", f"BUG={QUICK}", "SOUND=1")
    assert done.returncode == 0
    assert "NOW the kernel without the mistake" in words(done.stdout)
    assert "killed by #GP" in done.stdout and "HAPPENED Nothing of the kind: the kernel is right." in words(done.stdout)


@with_emulators
def test_what_cannot_be_observed_is_said_before():
    """With the emulator that shows it."""
    done = make("-s", "run", f"BUG={BOCHS_ONLY}")
    text = words(done.stdout)
    assert done.returncode == 0 and "NOTE QEMU does not show this bug: QEMU 7.2 clears DF" in text
    assert f"Bochs does: make bochs BUG={BOCHS_ONLY}" in text
    assert "HAPPENED As with the kernel that is right" in text


@with_emulators
def test_other_programs_than_the_bugs_own():
    """Nothing is promised for them. (Seen to fail with the bug's programs run as well.)"""
    done = make("-s", "run", f"BUG={QUICK}", "PROGRAMS=hello one; fault ud", "STAGE=02")
    text = words(done.stdout)
    assert done.returncode == 0 and "stage 02 in QEMU" in text and "task 1 (hello one): exit 0" in text
    assert "\nfault: still alive" not in done.stdout
    assert "Not what was to be seen, which need not be: this is not the scenario in bug.toml: nothing matches" in text


@with_emulators
def test_a_walk_is_gone():
    done = make("-s", "run", f"BUG={BY_WALK}")
    assert done.returncode == 0
    assert "2. sys_getpid: " in done.stdout and "HAPPENED  C code ran in ring 0" in done.stdout
    assert re.search(r"^      AC == 1 +\(AC = 0x1\)$", done.stdout, re.MULTILINE)
    sound = make("-s", "run", f"BUG={BY_WALK}", "SOUND=1")
    assert sound.returncode == 0 and re.search(r"^      NOT SO: AC == 1 +\(AC = 0x0\)$", sound.stdout, re.MULTILINE)
    assert "HAPPENED  Nothing of the kind" in sound.stdout


@with_emulators
def test_to_name_the_bugs_own_machine_is_no_change():
    """(Seen to fail: it booted, and said of a run in which nothing happened what happens in the walk.)"""
    text = words(make("-s", "run", f"BUG={BY_WALK}", "STAGE=03", "CPUS=1").stdout)
    assert "2. sys_getpid: " in text and "HAPPENED C code ran in ring 0" in text
    text = words(make("-s", "run", f"BUG={BY_WALK}", "STAGE=04").stdout)
    assert f"HAPPENED What the run above shows. The bug's own scenario is a walk: make run BUG={BY_WALK}" in text


@with_emulators
@pytest.mark.needs("bochs")
def test_make_step_opens_the_bugs_walk():
    """With the bug's programs, and on its stage."""
    done = subprocess.run(["make", "-s", "step", f"BUG={BY_WALK}"], cwd=ROOT, input="go\nq\n", capture_output=True,
                          text=True, timeout=120)
    assert "Stage 03 in Bochs" in done.stdout and "A system call without SMAP, point 2 of 2: sys_getpid" in done.stdout


def test_make_diff_shows_the_mistake():
    """On the stage where the bug is shown, though it lies in another one."""
    done = make("-s", "diff", "BUG=user-code-before-user-data")
    assert done.returncode == 0 and "build/04+user-code-before-user-data/src/kernel/gdt.h" in done.stdout
    assert "-#define SEL_USER_DATA   0x23" in done.stdout


@pytest.fixture
def copy(tmp_path) -> Path:
    """A tree of stage 01 with one bug, in which a promise can be broken."""
    for name in ("tools", "docs/formats", "stages/00-boot", "stages/01-gdt-tss"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "bugs"))
    shutil.copy(ROOT / "tools/bugs", tmp_path / "tools")
    shutil.copy(ROOT / "docs/invariants.md", tmp_path / "docs")
    shutil.copytree(ROOT / "stages/01-gdt-tss/bugs" / QUICK, tmp_path / "stages/01-gdt-tss/bugs" / QUICK)
    return tmp_path


@with_emulators
@pytest.mark.parametrize("old, new, complaint", [
    ("exit = 0", "exit = 1", "exit code 0 (it ended well), not exit code 1"),
    ("still alive", "still here", "nothing matches '^fault: still here'"),
    ("killed by #GP", "exit 1", "is there, and should be missing"),
])
def test_a_promise_that_is_not_kept(old, new, complaint, copy):
    path = copy / "stages/01-gdt-tss/bugs" / QUICK / "bug.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    done = bugs(QUICK, "--run", root=copy)
    text = words(done.stdout)
    assert done.returncode == 1 and "HAPPENED Not what was to be seen:" in text and complaint in text


@with_emulators
def test_ctrl_c_leaves_nothing_behind(tmp_path):
    """A machine that hangs. (Seen to fail with terminate() taken out.)"""
    command = [sys.executable, str(ROOT / "tools/bugs"), QUICK, "--run", "--layer", str(ROOT / "tests/boot/layers/hang")]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True, env={"PATH": "/usr/bin:/bin",
                                                                                     "TMPDIR": str(tmp_path)})
    try:
        wait_for_text(process, b"about to hang")
        boot = children(process.pid)
        emulator = wait_until(lambda: children(boot[0]))
        assert emulator
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert wait_until(lambda: not any(map(alive, boot + emulator)))
        assert list(tmp_path.iterdir()) == []
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def made_up(**symptoms: Symptom) -> Bug:
    return Bug(Path("stages/02-x/bugs/made-up"), "T", "M.", ("W",), (1,), "L", Scenario("02"), symptoms)


SHOWS = made_up(qemu=Symptom("H", 1, ("^panic: ", "cr2 8$"), ("^well$",)), bochs=Symptom(not_observable="B"))


@pytest.mark.parametrize("emulator, code, text, sound, complaints", [
    ("qemu", 1, "panic: x\ncr2 8\n", False, 0),
    ("qemu", 0, "panic: x\ncr2 8\n", False, 1), ("qemu", 124, "panic: x\ncr2 8\n", False, 1),
    ("qemu", 1, "no panic: x\ncr2 8\n", False, 1), ("qemu", 1, "", False, 2),
    ("qemu", 1, "panic: x\nwell\ncr2 8\n", False, 1),
    ("qemu", 0, "well\n", True, 0), ("qemu", 0, "", True, 1), ("qemu", 1, "well\n", True, 1),
    ("qemu", 0, "well\ncr2 8\n", True, 1),
    ("bochs", 0, "well\n", False, 0), ("bochs", 0, "well\npanic: x\n", False, 1), ("bochs", 1, "well\n", False, 1),
    ("bochs", 0, "well\n", True, 0), ("bochs", 0, "", True, 1),
])
def test_how_a_run_is_judged(emulator, code, text, sound, complaints):
    """Where nothing can be observed, the other emulator's symptom must not be there either. (Seen to fail: with each
    line of the two functions taken out.)"""
    assert len((judge_sound if sound else judge)(SHOWS, emulator, code, text)) == complaints
