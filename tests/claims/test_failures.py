# How the kernel fails: memory that runs out is somebody's error and nobody's end, and a fault of its own is reported.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import tempfile

import pytest
from claims.changes import PROGRAMS, attempt, change, layer, on_top, sound_and_broken, variant
from differential.runs import good_boot


@pytest.mark.parametrize("emulator, cpus", [("qemu", 2), pytest.param("bochs", 1, marks=pytest.mark.heavy)])
def test_more_programs_than_memory(emulator, cpus):
    """As many start as there is memory for, a line says so of each other one, and those that started end well.
    (Seen to fail with user_map()'s answer ignored.)"""
    result = good_boot("05", ["hello first", "hello copies=400 many", "hello last"], "--memory", "32",
                       "--cpus", str(cpus), "--emulator", emulator, timeout=120)
    reasons = re.findall(rb"^module \d+ \(.*\): not loaded: (.*)$", result.log, re.MULTILINE)
    assert reasons and set(reasons) == {b"not enough memory"}
    commands = [task.command for task in result.tasks]
    assert 50 < commands.count("hello many") < 400 and commands.count("hello first") == 1
    assert len(commands) + len(reasons) == 402
    assert all(task.status == 0 for task in result.tasks)


def pages(log: bytes) -> list[int]:
    return [int(count) for count in re.findall(rb"^greedy: task \d+ got (\d+) pages$", log, re.MULTILINE)]


@sound_and_broken
@pytest.mark.parametrize("stage", ["03", "05"])
def test_memory_is_given_back(stage, broken):
    """One program after another takes all that there is, until ENOMEM. The second must get no less than the first: in
    stage 03 it starts when that one has ended, in stage 05 it sleeps meanwhile."""
    changed = variant(f"leak-{stage}", stage, "kernel/task.c", (
        "address_space_destroy(&task->space);\n    " + ("frame" if stage == "03" else "if (task->kernel"),
        "(void)task;\n    " + ("frame" if stage == "03" else "if (task->kernel")))
    second = "greedy" if stage == "03" else "greedy 3000"
    result = good_boot(stage, ["greedy", second], *PROGRAMS, "--memory", "32", *on_top(changed if broken else ""))
    got = pages(result.log)
    assert got[0] * 4096 > 16 << 20
    assert (len(got) == 2 and got[1] >= got[0]) is not broken


@sound_and_broken
def test_page_tables_are_given_back(broken):
    """More pieces of 2 MiB come and go than there are frames for tables."""
    changed = variant("tables-stay", "05", "kernel/address_space.c", ("return used == 512;", "return false;"))
    result = good_boot("05", ["recycle 6000"], *PROGRAMS, "--memory", "24", *on_top(changed if broken else ""))
    assert ([task.status for task in result.tasks] == [0]) is not broken


@sound_and_broken
def test_writev_stops_where_a_part_is_cut(broken):
    """What follows would seem to be written at another place than it was."""
    changed = variant("goes-on", "05", "kernel/syscall.c", ("        if (done < (long)part[1])\n            break;\n", ""))
    log = good_boot("05", ["cut"], *PROGRAMS, *on_top(changed if broken else "")).log
    assert (b"\nabc\ncut: writev gives 4\n" in log and b"second" not in log) is not broken


@sound_and_broken
def test_fault_on_the_kernels_side_of_a_copy_is_reported(broken):
    """Only a program's address may be wrong: a wrong one of the kernel's own is no error of the program."""
    files = [change("05", "kernel/syscall.c", ("copy_to_user(frame->rdi, &cpu,", "copy_to_user(frame->rdi, (void *)STACK_BASE,")),
             change("05", "kernel/user_copy.c", *[(" || read_cr2() >= USER_TOP)", ")")] * broken)]
    result = attempt("05", ["spread"], *on_top(layer("bad-source" + "-hidden" * broken, *files)))
    assert (b"panic: CPU 0: #PF (page fault) in ring 0" in result.log) is not broken


@sound_and_broken
def test_boot_information_in_memory_that_no_map_names(broken):
    """The map leaves out what lies below 17 MiB, where GRUB puts its information and the modules."""
    files = [change("05", "kernel/multiboot2.c", ("    if (memory->base > DIRECT_SIZE",
             "    if (memory->base == 0x100000) {\n        memory->base += 16 << 20;\n        memory->length -= 16 << 20;\n"
             "    }\n    if (memory->base > DIRECT_SIZE")),
             change("05", "kernel/paging.c", *[("map_physical(virt_to_phys(info), info->total_size,", "map_physical(0, 0x1000,")]
                    * broken)]
    result = attempt("05", ["hello"], *on_top(layer("map-with-a-gap" + "-unmapped" * broken, *files)))
    assert ([task.status for task in result.tasks] == [0]) is not broken


def test_memory_for_few_cpus():
    """What a large module leaves is not enough for 64 CPUs: as many start as it is for, and the kernel goes on to the
    programs. (Seen to fail with FRAMES_PER_CPU 0.)"""
    with tempfile.NamedTemporaryFile(prefix="large-") as large:
        large.truncate(29000000)
        result = good_boot("05", ["hello", large.name], "--memory", "32", "--cpus", "64")
    assert 0 < result.log.count(b" does not answer; it is left out\n") < 63
    assert result.log.endswith(b"all programs have ended\n")


def test_others_live_when_memory_is_used_up():
    """A program that has taken everything does not stop one that is already there. (Seen to fail with a panic where
    mmap has no memory.)"""
    result = good_boot("05", ["greedy", "nap 200", "count 2"], *PROGRAMS, "--memory", "32", "--cpus", "2")
    assert {task.command: task.status for task in result.tasks} == {"count 2": 0, "greedy": 0, "nap 200": 0}


REPORT = re.compile(
    r"panic: CPU 0: #PF \(page fault\) in ring 0\n"
    r"  rip ([0-9a-f]{16})(?: <sched_tick\+\S+ \S+>)?  rsp [0-9a-f]{16}  rflags \w+  cs 8  ss \w+  error 2\n"
    r"  rax [0-9a-f]{16}  rbx [0-9a-f]{16}  rcx [0-9a-f]{16}  rdx [0-9a-f]{16}\n"
    r"  rsi [0-9a-f]{16}  rdi [0-9a-f]{16}  rbp [0-9a-f]{16}  r8  [0-9a-f]{16}\n"
    r"  r9  [0-9a-f]{16}  r10 [0-9a-f]{16}  r11 [0-9a-f]{16}  r12 [0-9a-f]{16}\n"
    r"  r13 [0-9a-f]{16}  r14 [0-9a-f]{16}  r15 [0-9a-f]{16}  cr2 0000000000001238\n"
    r"  rbp [0-9a-f]{16}  rflags \w+  cr0 \w+  cr2 1238  cr3 \w+  cr4 \w+\n"
    r"  backtrace:\n((?:    0x[0-9a-f]{16}.*\n)+)")


@pytest.mark.parametrize("emulator", ["qemu", "bochs"])
@pytest.mark.parametrize("stage", ["04", "05"])
def test_fault_of_the_kernel_is_reported(stage, emulator):
    """A write through a bad pointer, in the tick: the report has the instruction's line, and the calls before it.
    (Seen to fail with the backtrace begun at RSP.)"""
    fault = "    if (this_cpu->ticks == 5)\n        *(volatile int *)0x1238 = 1;\n"
    tick = "    this_cpu->ticks++;\n"
    source, text = change("04", "kernel/sched.c", (tick, tick + fault))
    changed = layer("bad-pointer", (source, text))
    result = attempt(stage, ["count 20"], "--emulator", emulator, *on_top(changed))
    assert result.code == 1
    report = REPORT.search(result.log.decode())
    assert report, result.log.decode()
    calls = report[2].splitlines()
    line = text[:text.index("0x1238")].count("\n") + 1
    assert f"{report[1]} <sched_tick+" in calls[0] and calls[0].endswith(f"/kernel/sched.c:{line}>")
    names = [re.search(r"<([\w.]+)\+", call)[1] for call in calls[1:]]
    assert names[0] == "timer_interrupt" and "trap" in names
    assert any(name.startswith("interrupt_entry") for name in names)    # behind it, what the tick has interrupted


def test_memory_map_that_wraps():
    """The entry of the memory above 1 MiB has a length that no memory has. It counts for nothing, and then there is none.
    (Seen to fail: clipped as if it were only long, it made the kernel map 64 TiB, without a word.)"""
    wraps = variant("map-wraps", "05", "kernel/multiboot2.c", ("    if (memory->base > DIRECT_SIZE",
        "    if (memory->base == 0x100000)\n        memory->length = UINT64_MAX;\n    if (memory->base > DIRECT_SIZE"))
    result = attempt("05", ["hello"], *on_top(wraps))
    assert result.code == 1 and b"panic: CPU 0: the boot loader's memory map is missing, broken or empty" in result.log


@sound_and_broken
def test_a_wrong_gs_base_is_no_stack_overflow(broken):
    """A panic must find out which CPU it is on without GS, whose base may be what is wrong."""
    files = [change("05", "kernel/syscall.c", ("    uint32_t cpu = cpu_number(), node = 0;",
                                               "    wrmsr(MSR_GS_BASE, 0);\n    uint32_t cpu = cpu_number(), node = 0;")),
             change("05", "kernel/ipi.c", *[("me = own->cpu;", "me = this_cpu->cpu;")] * broken)]
    result = attempt("05", ["spread"], "--cpus", "2",
                     *on_top(layer("gs-base-lost" + "-and-asked" * broken, *files)))
    found = re.search(rb"^panic: CPU \d: #PF \(page fault\) in ring 0", result.log, re.MULTILINE)
    assert result.code == 1 and (found is not None) is not broken


def test_every_word_counts():
    """Forty unknown words give as many warnings, and poweroff behind them is heard. (Seen to fail with a buffer of 256
    characters.)"""
    result = good_boot("05", ["hello"], "--append", " ".join(f"word{number:03}" for number in range(40)))
    assert result.log.count(b"warning: unknown word 'word0") == 40
