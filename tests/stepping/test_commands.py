# Our own commands in both debuggers: what they say is compared with what the walks' expressions find there.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pytest

from layers import stage_folders
from machine.commands import COMMANDS, execute, next_labels
from machine.expression import View, evaluate
from machine.owners import SLOT_SIZE, STACK_BASE, Owners, slot_of
from machine.walk import Kernel, follow, load_walk, walk_files
from machines import EMULATORS, stopped

pytestmark = pytest.mark.needs("qemu", "grub")
BOTH = pytest.mark.parametrize("emulator", EMULATORS)


class Scene:
    """A machine that stands at a point of a walk."""

    def __init__(self, debugger, kernel: Kernel, view: View):
        self.debugger = debugger
        self.kernel = kernel
        self.view = view

    def say(self, line: str) -> str:
        """What a command of ours says; every stretch of blanks is one."""
        return re.sub(r"[ ]+", " ", execute(line, self.kernel, self.debugger))

    def value(self, expression: str) -> int:
        return evaluate(expression, self.view)


@contextmanager
def at(emulator: str, stage: str, walk: str, number: int, folder: Path) -> Iterator[Scene]:
    """At a point of a walk of that stage, counted as the emulator goes it."""
    file = load_walk(walk_files(stage)[walk])
    with stopped(emulator, stage, folder, file.run) as (debugger, kernel):
        for reached, (_, view) in enumerate(follow(file, kernel, debugger), 1):
            if reached == number:
                break
        yield Scene(debugger, kernel, view)


@BOTH
def test_a_system_call(emulator, tmp_path):
    """At syscall_entry.step5. Seen to fail: with rsp0 read where rsp1 is, with the upper half of the TSS' base left
    out, and with the frame's members in another order."""
    with at(emulator, "03", "syscall-round-trip", 5, tmp_path) as scene:
        pcr, rsp0 = scene.value("gs_base"), scene.value("pcr(gs_base).tss.rsp0")
        here = scene.say("here")
        assert "CPU 0, ring 0, 64-bit mode\n" in here and "IF=0 DF=0 AC=0\n" in here
        file = "stages/03-syscall-swapgs/kernel/syscall_entry.S"
        assert f"RIP {scene.value('rip'):#x} syscall_entry.step5 {file}:" in here
        assert "STEP(syscall_entry, 5) mov rdi, rsp\n" in here
        assert f"RSP {scene.value('rsp'):#x} kernel stack of task 1 (hello by syscall)\n" in here
        assert f"GS base {pcr:#x} PCR of CPU 0\n" in here and "KERNEL_GS_BASE 0 nobody's" in here
        shown = scene.say("pcr")
        assert shown.startswith(f"PCR of CPU 0 at {pcr:#x}, where GS base points\n self {pcr:#x} itself\n")
        assert f"user_rsp {scene.value('pcr(gs_base).user_rsp'):#x} " in shown
        assert f"current {scene.value('pcr(gs_base).current'):#x} task 1 (hello by syscall)\n" in shown
        tss = scene.say("tss")
        assert f"TSS of CPU 0 at {pcr + 84:#x} (tss in the PCR of CPU 0), TR 0x30, limit 0x67\n" in tss
        assert f"rsp0 {rsp0:#x} kernel stack of task 1 (hello by syscall), for what comes from ring 3\n" in tss
        for number, vector in ((1, "#DF"), (2, "NMI"), (3, "#DB"), (4, "#MC")):
            top = scene.value(f"pcr(gs_base).tss.ist[{number - 1}]")
            assert f"ist[{number - 1}] {top:#x} IST stack {number} of CPU 0, for {vector}\n" in tss
        gdt = scene.say("gdt")
        assert f"GDT of CPU 0 at {pcr + 16:#x}, 8 slots, in the PCR of CPU 0\n" in gdt
        assert "0x08 00af9b000000ffff code, 64-bit, DPL 0 <- CS\n" in gdt
        assert "0x20 00cff3000000ffff data, writable, DPL 3, its selector is 0x23\n" in gdt
        assert f"TSS, 64-bit, busy, DPL 0, base {pcr + 84:#x} (tss in the PCR of CPU 0), limit 0x67 <- TR\n" in gdt
        frame = scene.say("trapframe")
        assert f"trap frame at {scene.value('rsp'):#x} (kernel stack of task 1 (hello by syscall))\n" in frame
        assert "vector 0x100: a system call" in frame and f"+ {rsp0:#x}, which is tss.rsp0\n" in frame
        assert f"| rip | {scene.value('rcx'):#x} | flush of the program stages/01-gdt-tss/user/ulib.c:" in frame
        assert "| cs | 0x2b | ring 3\n" in frame and "| rsp | 0x7ffff" in frame and "| the program's stack\n" in frame
        for name in ("rax", "rbx", "rsi", "r15"):
            assert f"{name} {scene.value(name):#x}" in frame
        assert scene.say("trapframe rsp + 0") == scene.say(f"trapframe {scene.value('rsp'):#x}") == frame
        assert "no register, flag or symbol 'rxp'" in scene.say("trapframe rxp")
        assert "There is no trap frame at " in scene.say("trapframe rsp - 64")


@BOTH
def test_an_nmi_on_its_ist_stack(emulator, tmp_path):
    """Before a frame is whole, the CPU's five words are shown; neither base of GS is what it seems. Seen to fail: with
    the stacks of the TSS named by the addresses above them."""
    with at(emulator, "03", "when-an-nmi-strikes", 2, tmp_path) as scene:
        here = scene.say("here")
        assert " ist_entry stages/03" in here and "IST stack 2 of CPU 0, for NMI\n" in here
        assert "the program's" in here and "PCR of CPU 0" in here.splitlines()[-1]
        assert "where KERNEL_GS_BASE points\n" in scene.say("pcr")
        frame = scene.say("trapframe")
        assert "at RSP + 16 are the CPU's five words:\n" in frame
        assert f"| rip | {scene.kernel.addresses['syscall_entry']:#x} | syscall_entry " in frame
        assert "| cs | 0x8 | ring 0\n" in frame and "which is tss.ist[1]\n" in frame


@BOTH
def test_a_stack_that_has_overflowed(emulator, tmp_path):
    """Seen to fail: with the guard page counted to the stack."""
    with at(emulator, "01", "overflow-on-an-ist-stack", 2, tmp_path) as scene:
        assert "RSP " in scene.say("here") and "IST stack 1 of CPU 0, for #DF\n" in scene.say("here")
        assert "GS base 0 not used before stage 02\n" in scene.say("here")
        assert "| the guard page below the boot stack: it has overflowed\n" in scene.say("trapframe")
        assert "Stages 00 and 01 have no PCR" in scene.say("pcr")
        base = scene.kernel.addresses["cpu_tss"]
        assert f"TSS of CPU 0 at {base:#x} (cpu_tss), TR 0x30" in scene.say("tss")
        assert f"base {base:#x} (cpu_tss), limit 0x67 <- TR\n" in scene.say("gdt")


@BOTH
def test_before_there_is_anything(emulator, tmp_path):
    with at(emulator, "00", "from-grub-to-c", 1, tmp_path) as scene:
        assert "no stack of ours" in scene.say("here") and "64-bit mode" in scene.say("here")
        assert "Stages 00 and 01 have no PCR" in scene.say("pcr")
        assert "Stage 00 has no TSS" in scene.say("tss") and "Stage 00 has no trap frame" in scene.say("trapframe")
        assert "2 slots, boot_gdt\n" in scene.say("gdt") and "code, 64-bit, DPL 0 <- CS" in scene.say("gdt")
        assert "no step labels" in scene.say("label")


@BOTH
def test_the_wrecked_gs_base(emulator, tmp_path):
    """TR still says whose PCR it is. Seen to fail: with the CPU found by GS base."""
    with at(emulator, "02", "gs-base-set-and-wrecked", 6, tmp_path) as scene:
        pcr = scene.kernel.addresses["boot_pcr"]
        shown = scene.say("pcr")
        assert f"PCR of CPU 0 at {pcr:#x}; neither base of GS points there, but TR still shows which it is" in shown
        assert "kernel stack of task 1 (wreck-gs)\n" in scene.say("here")


@BOTH
def test_two_cpus(emulator, tmp_path):
    """Each with its own. Seen to fail: with CPU 0's tables for both, and with the list of PCRs not followed."""
    with at(emulator, "05", "two-cpus-in-the-syscall-entry", 3, tmp_path) as scene:
        first, second = scene.value("u64[smp_first]"), scene.value("kernel_gs_base")
        assert scene.value(f"pcr({first}).next") == second
        assert f"PCR of CPU 1 at {second:#x}, where KERNEL_GS_BASE points\n" in scene.say("pcr")
        assert scene.say("pcr 0").startswith(f"PCR of CPU 0 at {first:#x}\n")
        assert f"next {second:#x} PCR of CPU 1\n" in scene.say("pcr 0")
        assert "next 0 the last\n" in scene.say("pcr 1") and "There are those of 0, 1." in scene.say("pcr 2")
        for cpu, pcr in ((1, second), (0, first)):
            assert f"CPU {cpu}, ring 0" in scene.say(f"cpu {cpu}")
            assert scene.debugger.cpu == cpu
            task = re.search(r"current \w+ (task .*)", scene.say("pcr"))[1]
            assert f"rsp0 {scene.value(f'pcr({pcr}).tss.rsp0'):#x} kernel stack of {task}, " in scene.say("tss")
            assert f"base {pcr + 84:#x} (tss in the PCR of CPU {cpu})" in scene.say("gdt")
            assert f"IST stack 4 of CPU {cpu}, for #MC" in scene.say("tss")
            assert "RSP 0x7ff" in scene.say("here") and "the program's stack\n" in scene.say("here")
        assert "cpu wants a number from 0 to 1" in scene.say("cpu 2")


@BOTH
def test_a_cpu_that_starts(emulator, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with at(emulator, "05", "ap-from-sipi-to-c", 4, tmp_path / "first") as scene:
        assert "CPU 1, ring 0, real mode\n RIP 0x8000 the copy of ap_trampoline" in scene.say("here")
        assert "In real mode there is no GDT in use" in scene.say("gdt")
        assert "this CPU has not executed LTR yet" in scene.say("tss")
        assert "this CPU has not got its own yet" in scene.say("pcr")
    with at(emulator, "05", "ap-from-sipi-to-c", 7, tmp_path / "second") as scene:
        assert "first stack of CPU 1\n" in scene.say("here")
        assert "No memory is mapped there any more" in scene.say("gdt"), "it is still the boot tables' GDT"


@BOTH
def test_a_switch(emulator, tmp_path):
    """Behind the change of RSP, and before it: both tasks' stacks are known. Seen to fail: with no
    stack known but that of the task in tss.rsp0."""
    with at(emulator, "04", "switch-carries-df", 3, tmp_path) as scene:
        before, here = scene.value("pcr(gs_base).queue.last"), scene.say("here")
        name = re.search(rf"queue.last +{before:#x} (.*)", scene.say("pcr"))[1]
        assert name == "task 1, a thread of the kernel" and f"kernel stack of {name}\n" in here
        assert "IF=0 DF=1 AC=1\n" in here
        assert "task 2, a thread of the kernel" in scene.say("tss").splitlines()[1]


@pytest.mark.needs("bochs")
def test_label_in_bochs(tmp_path):
    """From label to label, and at the routine's end to another one. (Of GDB: test_gdb.py.) Breakpoints that were set
    stay, and no other ones are left. Seen to fail: with the labels of other routines left out."""
    with at("bochs", "03", "syscall-round-trip", 1, tmp_path) as scene:
        scene.debugger.break_at(scene.kernel.addresses["machine_exit"])
        seen = []
        for _ in range(5):
            assert scene.say("label") == ""
            seen.append(scene.kernel.names[scene.debugger.registers()["rip"]])
        assert seen == [*(f"syscall_entry.step{number}" for number in range(2, 6)), "user_copy_bytes"]
        assert list(scene.debugger.breakpoints().values()) == [scene.kernel.addresses["machine_exit"]]
        while seen[-1] != "syscall_entry":
            scene.say("label")
            seen.append(scene.kernel.names[scene.debugger.registers()["rip"]])
        assert "syscall_entry.step9" not in seen, "from the copy it leads to the next entry, not back"


class Places:
    """Stands for a kernel with these labels."""

    addresses = {"one": 10, "one.step2": 12, "one.step3": 14, "plain": 20, "two": 30, "two.step2": 33}

    @staticmethod
    def has_code_at(address: int) -> bool:
        return address < 40


@pytest.mark.parametrize("pc,labels", [
    (10, [12, 14, 30]), (12, [10, 14, 30]), (13, [10, 14, 30]), (14, [10, 30]), (5, [10, 30]), (31, [10, 30, 33]),
    (400, [10, 30])])
def test_the_next_labels(pc, labels):
    assert next_labels(Places, pc) == labels


@pytest.mark.parametrize("stage", stage_folders())
def test_labels_are_no_more_than_bochs_has_breakpoints(stage):
    """Wherever one is. The labels are read from the sources of the stage and of those below it."""
    sources = [file.read_text() for number, folder in stage_folders().items() if number <= stage
               for file in folder.glob("kernel/*.S")]
    names = [found for text in sources for found in re.findall(r"^STEP\((\w+), (\d+)\)", text, re.MULTILINE)]
    routines = {name for name, _ in names}
    longest = max((sum(name == routine for name, _ in names) for routine in routines), default=0)
    assert longest + len(routines) <= 15


def test_lines_that_are_not_ours():
    for line in ("r", "info tss", "c", "", "  ", "gdtr", "x /2gx rsp", "go"):
        assert execute(line, None, None) is None
    listed = execute(" commands ", None, None)
    assert all(re.search(rf"^  {name}\b", listed, re.MULTILINE) for name in [*COMMANDS, "go"])


def test_the_top_of_a_stack_is_that_stacks():
    """There nothing has been pushed, and the address is the next slot's first."""
    top = STACK_BASE + SLOT_SIZE
    assert slot_of(top) == slot_of(top - 8) == slot_of(top - 0x3000) == 0 and slot_of(top + 8) == 1


@pytest.mark.parametrize("base,owner", [
    (0, "nobody's; a program that has set none has 0"), (0x403088, "the program's"),
    (1 << 47, "nobody's: it is not canonical"), (0xffffffff80100000, "an address of the kernel, but of no PCR"),
    (0xffff800000000000, "an address of the kernel, but of no PCR")])
def test_owners_of_bases(base, owner):
    owners = Owners.__new__(Owners)
    owners.cpus = []
    assert owners.base_owner(base).startswith(owner)
