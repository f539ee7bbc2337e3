# Random bytes executed as code, random system calls, and programs whose files are spoilt at random: whatever they do,
# they end alone. The kernel lives, a program beside them notices nothing, and all memory comes back. All follows from a
# seed (hard.py), which the messages name; never on the host, where a system call may do anything.
# SPDX-License-Identifier: MIT
#
# Seen to fail: with each fourth task's frame or kernel stack kept (code); without the range check of copies, and
# without their fix-up (calls); without the checks of a segment's address or of its place in the file (programs).
from __future__ import annotations

import random
import shlex
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from differential.runs import Boot, good_boot, module
from hostile.hard import HARD, KILLED_OFTEN, LOT, SEED, check_account
from harness import ROOT

EXCEPTIONS = {"#DE": 136, "#DB": 133, "#BP": 133, "#UD": 132, "#NP": 135, "#SS": 135, "#GP": 139, "#PF": 139,
              "#MF": 136, "#XM": 136, "#AC": 135, "leaving user space": 139, "return address outside user space": 139}
WITNESS = ("soak", "1500")


def check_ends(result: Boot, name: str) -> Counter:
    """How those of that name have ended: by an exception with its status, by lot, or by themselves."""
    ends = Counter()
    for task in result.tasks:
        if not task.command.startswith(name):
            continue
        wanted = {"": task.status, LOT: 137, **EXCEPTIONS}.get(task.killed_by)
        assert task.status == wanted, f"seed {SEED}: {task}"
        ends[task.killed_by] += 1
    return ends


def check_witness(result: Boot) -> None:
    (witness,) = [task for task in result.tasks if task.command == " ".join(WITNESS)]
    assert (witness.status, witness.killed_by) in ((0, ""), (137, LOT)), f"seed {SEED}: {witness}"
    assert b" should be " not in result.log, f"seed {SEED}"


@pytest.mark.parametrize("emulator, cpus, copies", [
    ("qemu", 2, 96), pytest.param("qemu", 4, 400, marks=pytest.mark.heavy),
    pytest.param("bochs", 1, 96, marks=pytest.mark.heavy), pytest.param("bochs", 2, 96, marks=pytest.mark.heavy)])
def test_random_code(emulator, cpus, copies):
    """Some run for ever; the layer sees to it that they do not."""
    print(f"seed {SEED}")
    modules = [module(*WITNESS), module("random_code", str(SEED), copies=copies)]
    result = good_boot("05", modules, *HARD, *KILLED_OFTEN, "--cpus", str(cpus), "--emulator", emulator, timeout=240)
    ends = check_ends(result, "random_code")
    assert ends.total() == copies
    assert len(ends) >= 4 and ends["#GP"] and ends["#UD"] and ends["#PF"], f"seed {SEED}: too tame: {ends}"
    check_witness(result)
    check_account(result.log)


@pytest.mark.parametrize("emulator, cpus, rounds", [
    ("qemu", 2, 2000), pytest.param("qemu", 4, 20000, marks=pytest.mark.heavy),
    pytest.param("bochs", 2, 1000, marks=pytest.mark.heavy)])
def test_random_calls(emulator, cpus, rounds):
    """None of them harms its program: each comes to its end, with every register kept."""
    print(f"seed {SEED}")
    modules = [module(*WITNESS), module("random_calls", str(SEED), str(rounds), copies=8)]
    result = good_boot("05", modules, *HARD, "--cpus", str(cpus), "--emulator", emulator, timeout=240)
    assert check_ends(result, "random_calls") == {"": 8}
    assert [task for task in result.tasks if task.status] == [], f"seed {SEED}"
    check_witness(result)
    check_account(result.log)


def spoilt(good: bytes, numbers: random.Random) -> bytes:
    """A copy with a few bytes or words of its headers changed, or cut short."""
    copy = bytearray(good)
    for _ in range(numbers.randint(1, 4)):
        place = numbers.randrange(0x40 + 56 * 6)
        if numbers.random() < 0.5:
            copy[place] = numbers.choice((0, 1, 0x7f, 0x80, 0xff, numbers.randrange(256)))
        else:
            word = numbers.choice((0, 1, 1 << 31, 1 << 47, (1 << 47) - 1, 1 << 63, numbers.getrandbits(64)))
            copy[place & ~7:(place & ~7) + 8] = word.to_bytes(8, "little")
    return bytes(copy[:numbers.randrange(len(copy))] if numbers.random() < 0.1 else copy)


def test_random_programs(tmp_path: Path):
    """Each is refused with a line that names it, or runs, well or not."""
    subprocess.run(["make", "--silent", "STAGE=05"], cwd=ROOT, stdin=subprocess.DEVNULL, check=True)
    good, numbers = (ROOT / "build/05/user/hello").read_bytes(), random.Random(SEED)
    names = [f"spoilt-{SEED}-{number:03}" for number in range(120)]
    for name in names:
        (tmp_path / name).write_bytes(spoilt(good, numbers))
    modules = [module(*WITNESS), *(shlex.join([str(tmp_path / name)]) for name in names)]
    result = good_boot("05", modules, *HARD, *KILLED_OFTEN, timeout=120)
    ends = check_ends(result, "spoilt")
    refused = sum(f"({name}): not loaded: ".encode() in result.log for name in names)
    assert ends.total() + refused == len(names) and refused > 10 and ends.total() > 10, f"seed {SEED}"
    check_witness(result)
    check_account(result.log)
