# Runs ordinary static Linux programs on this host and in the kernel: same output, byte for byte, same status.
# SPDX-License-Identifier: MIT
#
# Seen to fail: with one errno of mmap changed, without AT_RANDOM, with an FPU image of zeros at the start (entry), with
# rsp rounded on the way out (stack), with half the sleep (clock); the programs side by side without the switch's
# fxsave or fxrstor or FS or GS base, or with DF dropped from the flags that ring 3 gets back.
from __future__ import annotations

from collections import Counter

import pytest
from runs import Host, Task, ended_line, good_boot, module, output_of, run_on_host

QUOTING = ["two words", "quo\"te", "back\\slash", "apo'strophe", "$dollar", "copies=2", "semi;colon", "#", "{a}"]

PROGRAMS = [
    ("hello",),
    ("hello", *QUOTING),
    ("sort",),
    ("tls",),
    ("memory",),
    ("auxv",),
    ("entry",),
    ("errnos",),
    ("errnos", "wide"),
    ("writev",),
    ("float",),
    ("stack",),
    ("stack", "redzone"),
    ("soak", "500"),
]
NEED_A_CLOCK = [("clock",), ("errnos", "clock")]
# What stage 04 runs of them: what its switch could break, and what it adds.
STAGE_04 = [("memory",), ("float",), ("soak", "500"), *NEED_A_CLOCK]

# A faulting access ends each of these, silently.
SILENT = [("memory", fault) for fault in ("after_unmap", "none", "read_only", "no_exec")]


def compare(task: Task, host: Host) -> None:
    assert output_of(task, host.output) == ended_line(host.output)
    assert task.status == host.status


def name_of(command: tuple[str, ...]) -> str:
    return " ".join(command) if len(command) < 3 else f"{command[0]} and {len(command) - 1} arguments"


@pytest.mark.parametrize("command", PROGRAMS + NEED_A_CLOCK, ids=name_of)
def test_as_on_linux(command):
    """Alone on one CPU, so that the whole log between start and end is this program's."""
    (task,) = good_boot("05", [module(*command)]).tasks
    assert task.command == " ".join(command)
    compare(task, run_on_host(*command))


@pytest.mark.parametrize("command", STAGE_04, ids=name_of)
def test_as_on_linux_in_stage_04(command):
    (task,) = good_boot("04", [module(*command)]).tasks
    compare(task, run_on_host(*command))


def test_as_on_linux_in_stage_03():
    """Stage 03 runs one program after the other, so that one boot serves for all."""
    commands = PROGRAMS + SILENT
    tasks = good_boot("03", [module(*command) for command in commands]).tasks
    assert [task.command for task in tasks] == [" ".join(command) for command in commands]
    for task, command in zip(tasks, commands):
        compare(task, run_on_host(*command))


def test_no_clock_in_stage_03():
    """nanosleep and clock_gettime come with the timer, in stage 04."""
    (task,) = good_boot("03", [module("errnos", "clock")]).tasks
    calls = [line.rpartition(b":")[0] for line in run_on_host("errnos", "clock").output.splitlines()]
    answers = [line.rpartition(b":") for line in task.before.splitlines() if line.startswith(b"SYS_")]
    assert [(call, answer) for call, _, answer in answers] == [(call, b" ENOSYS") for call in calls]


def test_silent_faults():
    tasks = good_boot("05", [module(*command) for command in SILENT]).tasks
    found = {task.command: (task.status, task.killed_by) for task in tasks}
    assert found == {" ".join(command): (run_on_host(*command).status, "#PF") for command in SILENT}


@pytest.mark.parametrize("cpus", [1, 2])
def test_side_by_side(cpus):
    """Many at once. Each prints whole lines, which may come in any order; none may be lost, torn or doubled."""
    commands = [("hello", "a"), ("hello", "b", "c"), ("tls",), ("auxv",), ("soak", "1500")]
    copies = 3
    boot = good_boot("05", [module(*command, copies=copies) for command in commands], "--cpus", str(cpus))
    hosts = {command: run_on_host(*command) for command in commands}
    expected = Counter(line for host in hosts.values() for line in host.output.splitlines() * copies)
    printed = Counter(line for line in boot.log.splitlines() if line in expected)
    assert printed == expected
    assert (Counter((task.command, task.status) for task in boot.tasks) ==
            Counter({(" ".join(command), host.status): copies for command, host in hosts.items()}))


def test_out_of_memory():
    """Several programs take all there is: each gets ENOMEM, and a program beside them does not notice."""
    modules = [module("hog", "4096", copies=3), module("soak", "1000")]
    boot = good_boot("05", modules, "--memory", "64", "--cpus", "2")
    assert Counter(task.status for task in boot.tasks) == {0: 4}
    assert boot.log.count(b"hog: mmap answers ENOMEM\n") == 3
    assert boot.log.count(b"soak: every register was kept\n") == 1
