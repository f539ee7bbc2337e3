# The programs of the lessons: what each claims about its stage must be so, and what Linux can run is compared.
# SPDX-License-Identifier: MIT
#
# Seen to fail: with `swapgs` on every interrupt, whatever ring it came from (stage 03), and with the switch left out
# of the way back to ring 3 (count).
from __future__ import annotations

import re

import pytest
from runs import boot, good_boot

FAULTS = {"pf": ("#PF", 139), "de": ("#DE", 136), "bp": ("#BP", 133), "ud": ("#UD", 132), "gp": ("#GP", 139),
          "port": ("#GP", 139), "kernel": ("#PF", 139), "int14": ("#GP", 139)}


@pytest.mark.parametrize("stage", ["01", "02", "03", "04", "05"])
def test_a_fault_ends_its_program_alone(stage):
    modules = ["hello first", *(f"fault {name}" for name in FAULTS), "hello last"]
    result = good_boot(stage, modules)
    ends = {task.command: (task.killed_by, task.status) for task in result.tasks}
    assert ends == {"hello first": ("", 0), "hello last": ("", 0),
                    **{f"fault {name}": end for name, end in FAULTS.items()}}
    assert b"still alive" not in result.log
    assert result.log.count(b"hello from ring 3: cs=0x2b") == 2


@pytest.mark.parametrize("stage", ["01", "02", "03", "04", "05"])
def test_the_stages_own_programs(stage):
    """What `make run` shows: every program of the list ends, those that are not there to fault with status 0."""
    result = good_boot(stage, [], "--cpus", "2" if stage == "05" else "1")
    assert result.tasks
    bad = [task for task in result.tasks if task.status and not task.command.startswith(("fault", "edge"))]
    assert bad == []


def test_registers_in_stage_03():
    """The three programs about the registers find nothing wrong, and say so with status 0."""
    result = good_boot("03", ["gs", "registers", "flags", "wreck-gs"])
    assert [(task.command, task.status) for task in result.tasks] == [
        ("gs", 0), ("registers", 0), ("flags", 0), ("wreck-gs", 0)]
    assert b"gs:[0] was wrong 0 times in 1000 system calls" in result.log
    assert b"flags: 0 of 1024 combinations came back changed" in result.log


@pytest.mark.parametrize("emulator", ["qemu", "bochs"])
def test_wreck_gs_ends_stage_02(emulator):
    """The gap that stage 02 leaves open: a named panic, not a silent end."""
    result = boot("02", ["wreck-gs"], "--emulator", emulator)
    assert result.code == 1
    assert result.log.count(b"panic: ") == 1
    assert b"GS" in result.log[result.log.index(b"panic: "):]
    assert b"the kernel answered" not in result.log


def test_int_0x80_is_gone_after_stage_02():
    """A program of stage 01 asks by `int 0x80`: from stage 03 on that is #GP."""
    good_boot("01", ["hello"])
    result = good_boot("03", ["build/01/user/hello"])
    assert [(task.killed_by, task.status) for task in result.tasks] == [("#GP", 139)]


def test_count_is_preempted():
    """Copies that never yield take turns: neither has counted to the end before the other began."""
    result = good_boot("04", ["count copies=2 8"])
    turns = re.findall(rb"^count: task (\d+) counts \d+$", result.log, re.MULTILINE)
    assert len(turns) == 16 and len(set(turns)) == 2
    changes = sum(a != b for a, b in zip(turns, turns[1:]))
    assert changes > 1


def test_yield_takes_turns():
    """On one CPU two copies alternate, line by line, except that a tick of the timer may add a turn."""
    result = good_boot("04", ["yield copies=2"])
    turns = re.findall(rb"^yield: task (\d+), round \d$", result.log, re.MULTILINE)
    assert len(turns) == 8
    assert sum(a != b for a, b in zip(turns, turns[1:])) >= 5


def test_nap_sleeps_long_enough():
    result = good_boot("04", ["nap 30", "count 3"])
    assert sorted((task.command, task.status) for task in result.tasks) == [("count 3", 0), ("nap 30", 0)]
    slept = [int(ms) for ms in re.findall(rb"nap: asked for 30 ms, slept (\d+) ms", result.log)]
    assert len(slept) == 3 and min(slept) >= 30


def test_spread_uses_all_cpus():
    result = good_boot("05", ["spread copies=8"], "--cpus", "4")
    seen = re.findall(rb"^spread: task \d+ ran on CPU((?: \d+)+)$", result.log, re.MULTILINE)
    assert len(seen) == 8
    assert {int(cpu) for line in seen for cpu in line.split()} == {0, 1, 2, 3}


@pytest.mark.parametrize("emulator", ["qemu", "bochs"])
def test_the_edge_of_user_space(emulator):
    """The program goes, with a line that says so, and the kernel lives, in Bochs too, where a `sysretq` to such an
    address faults in ring 0."""
    result = good_boot("05", ["edge syscall", "edge run", "hello after"], "--emulator", emulator)
    ends = {task.command: task for task in result.tasks}
    assert ends["hello after"].status == 0
    for command in ("edge syscall", "edge run"):
        assert (ends[command].status, ends[command].rip) == (139, 0x800000000000)
    # The system call's own return is refused by the kernel, not tried and caught by the CPU.
    assert ends["edge syscall"].killed_by == "return address outside user space"
    # The other one gets #GP in ring 3, unless an interrupt comes right there. The line says why.
    assert ends["edge run"].killed_by in ("leaving user space", "return address outside user space")
