# Every combination of the flags that ring 3 can set, over system calls, ticks and exceptions: the program finds its own
# again, or its end says what they were, and the kernel lives.
# SPDX-License-Identifier: MIT
#
# Seen to fail: with DF dropped from the flags that ring 3 gets back (calls, ticks), with IOPL 3 among them (calls).
from __future__ import annotations

import re

import pytest
from differential.runs import good_boot, module, run_on_host
from hostile.hard import HARD

# As in tests/programs/flags.c: CF TF DF OF NT AC ID.
FAULTING = (0, 8, 10, 11, 14, 18, 21)
ALWAYS_SET = 0x202
STATUS = {"ud": ("#UD", 132), "bp": ("#BP", 133), "de": ("#DE", 136), "pf": ("#PF", 139), "gp": ("#GP", 139)}
RF = 1 << 16     # a CPU sets it in the frame of a fault, Bochs too, QEMU does not
REPORT = re.compile(rb"^task (\d+) \(.*\): killed by (\S+) at rip=\S+\n  rip \S+  rsp \S+  rflags (\w+) ", re.MULTILINE)
ALL_KEPT = b"flags: 0 of 1024 combinations came back changed\n"


def combination(number: int) -> int:
    return ALWAYS_SET | sum((number >> place & 1) << bit for place, bit in enumerate(FAULTING))


def test_host_agrees():
    """Each way once, with no flag and with all. Linux ends them by the same signals."""
    for way in ("syscall", "timer"):
        host = run_on_host("flags", way)
        assert (host.output, host.status) == (ALL_KEPT, 0)
    for way, (_, status) in STATUS.items():
        assert [run_on_host("flags", way, number).status for number in ("0", "127")] == [status] * 2


@pytest.mark.parametrize("emulator", ["qemu", "bochs"])
def test_over_system_calls(emulator):
    """Bochs gives the kernel the DF that SFMASK lets through; in QEMU it never arrives."""
    (task,) = good_boot("05", [module("flags", "syscall")], "--emulator", emulator).tasks
    assert task.before.endswith(ALL_KEPT) and task.status == 0


@pytest.mark.parametrize("emulator, microseconds", [
    ("qemu", 3000), pytest.param("bochs", 2500, marks=pytest.mark.heavy)])
def test_over_ticks(emulator, microseconds):
    """Each combination for longer than two ticks, and somebody else waits, so that most ticks are switches."""
    modules = [module("flags", "timer", str(microseconds)), module("flags", "timer", str(microseconds))]
    result = good_boot("05", modules, *HARD, "--emulator", emulator, timeout=240)
    assert [task.status for task in result.tasks] == [0, 0]
    assert result.log.count(ALL_KEPT) == 2
    ticks = int(re.search(rb"(\d+) ticks$", result.log, re.MULTILINE)[1])
    assert ticks > 2 * 1024, "too few to have met them all"


@pytest.mark.parametrize("emulator, way", [
    ("qemu", "ud"), *[pytest.param("qemu", way, marks=pytest.mark.heavy) for way in ("bp", "de", "pf", "gp")],
    *[pytest.param("bochs", way, marks=pytest.mark.heavy) for way in STATUS]])
def test_over_exceptions(emulator, way):
    """128 copies, of which each takes the combination of its number; the report of its end has the flags."""
    log = good_boot("05", [module("flags", way, "pid", copies=128)], "--emulator", emulator, timeout=240).log
    ends = {int(number) % 128: (reason.decode(), int(flags, 16)) for number, reason, flags in REPORT.findall(log)}
    assert set(ends) == set(range(128))
    # The way there does arithmetic, but behind POPFQ there is nothing: each flag is as it was set.
    wrong = {number: (reason, hex(flags)) for number, (reason, flags) in ends.items()
             if (reason, flags & ~RF) != (STATUS[way][0], combination(number))}
    assert wrong == {}
