# Selectors that a program was not given: each of the first 256, in every way that it can be used, and the LDT that
# there is not. Linux is no oracle here, its GDT is another one; so what must happen is computed from ours (gdt.h).
# SPDX-License-Identifier: MIT
#
# Seen to fail: with LDTR not loaded, as it was once (look, ldt: ring 0 by a call gate of the program's own), with DPL 3
# in the descriptor of the kernel's code, with 32-bit code of ring 3 in slot 3.
from __future__ import annotations

import pytest
from differential.runs import good_boot, module

SURVIVED = 99
USER_DATA, USER_CODE = 0x20, 0x28
RING_3 = 3
# In QEMU a far return in ring 3 reads its stack as the kernel would, which SMAP forbids: a model without SMAP.
WITHOUT_SMAP = ("--cpu-model", "Haswell")
DATA = ("ds", "es", "fs", "gs")
BACK = ("lretq", "iretq")
FORTH = ("call", "jump")


def allowed(way: str, selector: int) -> bool:
    """What the manuals' checks say of our GDT. A return must come to ring 3 by the selector's own ring bits; a jump or
    call may name a lower ring, and stays in ring 3."""
    segment, ring = selector & ~3, selector & 3
    if way in DATA:
        return segment in (0, USER_DATA, USER_CODE)
    if way == "ss":
        return segment == USER_DATA and ring == RING_3
    return segment == USER_CODE and (way in FORTH or ring == RING_3)


def check(way: str, *options: str) -> None:
    """256 copies, of which each takes the low byte of its number."""
    tasks = good_boot("05", [module("selector", way, "pid", copies=256)], *options, timeout=240).tasks
    assert {task.number & 255 for task in tasks} == set(range(256))
    ends = {task.number & 255: (task.killed_by, task.status) for task in tasks}
    # QEMU pushes the return address of a far call where the low half of RSP points.
    good = ("#PF", 139) if way == "call" and "bochs" not in options else ("", SURVIVED)
    wanted = {n: good if allowed(way, n) else ("#GP", 139) for n in range(256)}
    assert {hex(n): end for n, end in ends.items() if end != wanted[n]} == {}


HEAVY = ("ds", "es", "fs", "lretq", "jump")


@pytest.mark.parametrize("way", [pytest.param(way, marks=pytest.mark.heavy) if way in HEAVY else way
                                 for way in (*DATA, "ss", *BACK, *FORTH)])
def test_each_selector(way):
    check(way, *WITHOUT_SMAP, "--cpus", "2")


@pytest.mark.heavy
@pytest.mark.needs("bochs")
@pytest.mark.parametrize("way", ["gs", "ss", "iretq", "call"])
def test_each_selector_in_bochs(way):
    check(way, "--emulator", "bochs")


@pytest.mark.parametrize("model", ["qemu64", "Haswell", "max,la57=off"])
def test_what_a_program_can_look_at(model):
    """Two segments, with any ring bits; none of the kernel's, and no table that is not there."""
    result = good_boot("05", [module("selector", "look")], "--cpu-model", model)
    seen = [line for line in result.log.decode().splitlines() if line.startswith("0x")]
    assert seen == [f"0x{USER_DATA + ring:016x} read write lar lsl" for ring in range(4)] + [
        f"0x{USER_CODE + ring:016x} read lar lsl" for ring in range(4)]
    assert [task.status for task in result.tasks] == [0]


@pytest.mark.parametrize("emulator, model", [
    ("qemu", "qemu64"), ("qemu", "Haswell"), ("qemu", "max,la57=off"),
    pytest.param("bochs", "corei7_sandy_bridge_2600k"), pytest.param("bochs", "corei7_skylake_x")])
def test_no_way_by_an_ldt(emulator, model):
    """On every CPU: after a reset, and on the others after INIT, LDTR is as if it were loaded, with base 0."""
    result = good_boot("05", [module("selector", "ldt", copies=4)], "--cpus", "2", "--emulator", emulator,
                       "--cpu-model", model)
    assert [(task.killed_by, task.status) for task in result.tasks] == [("#GP", 139)] * 4
    assert b"in ring 0" not in result.log
