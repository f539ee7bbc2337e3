# Every bug gives its symptom in each emulator, exactly as its bug.toml says, and the sound kernel in the same scenario
# does not. An emulator that is said to show nothing shows nothing.
# Each half proves the other: the sound run is the bug's run without the mistake, and the bug's that of the sound kernel
# with it. Seen to fail: with a bug's patch emptied, with `seen` a line that every run prints, with a bug that Bochs
# shows called not observable there.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import subprocess
from functools import lru_cache

import pytest
from harness import ROOT
from machine.bug_run import boot_command, judge_sound_walk, judge_walk, what_runs
from machine.bugs import EMULATORS, Bug, judge, judge_sound, load_bugs

pytestmark = pytest.mark.needs("qemu", "grub")
BUGS = load_bugs()
# The mistakes to which the stages lead.
CORE = ("global-scratch", "df-through-the-switch", "ac-through-the-switch", "sysret-unchecked")
every_bug = pytest.mark.parametrize("bug", [
    pytest.param(bug, id=bug.name, marks=() if bug.name in CORE else pytest.mark.heavy) for bug in BUGS])
both_emulators = pytest.mark.parametrize("emulator", EMULATORS)


@pytest.fixture(autouse=True)
def by_gcc(monkeypatch):
    """Where a mistake makes the kernel run wild, what it meets depends on the compiler: the symptoms are those of gcc."""
    monkeypatch.setenv("CC", "gcc")


@lru_cache(maxsize=None)
def output(command: tuple[str, ...], timeout: float) -> tuple[int, str]:
    """Scenarios of several bugs are the same one, for the sound kernel."""
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=timeout + 300)
    text = done.stdout.decode(errors="replace")
    assert done.returncode != 2, text
    return done.returncode, text


def boot(bug: Bug, emulator: str, sound: bool = False) -> tuple[int, str]:
    """A run of the scenario. The time-out may be short because the bug hangs; the sound kernel must be given time."""
    longer = ["--timeout", str(max(bug.scenario.timeout, 120))] if sound else []
    return output((*boot_command(bug, emulator, sound), *longer, *what_runs(bug)), bug.scenario.timeout)


@both_emulators
@every_bug
def test_a_bug_gives_its_symptom(bug, emulator):
    if bug.symptoms[emulator].walk:
        assert judge_walk(bug, emulator) == []
        return
    code, text = boot(bug, emulator)
    assert judge(bug, emulator, code, text) == [], text


@both_emulators
@every_bug
def test_the_sound_kernel_does_not(bug, emulator):
    if bug.symptoms[emulator].walk:
        assert judge_sound_walk(bug, emulator) == []
        return
    code, text = boot(bug, emulator, sound=True)
    assert judge_sound(bug, emulator, code, text) == [], text
