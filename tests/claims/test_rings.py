# What stages 01 to 03 claim about the border between the rings: faults, descriptors, GS, the system call. Each claim is
# tried on the stage as it is, and again on one that lacks the line which the claim is about: then it must fail. What
# needs no broken twin is in tests/differential.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import subprocess

import pytest
from claims.changes import PROGRAMS, attempt, on_top, variant
from differential.runs import Boot, good_boot
from harness import ROOT

both_emulators = pytest.mark.parametrize("emulator", ["qemu", "bochs"])
sound_and_broken = pytest.mark.parametrize("broken", [False, True], ids=["sound", "broken"])


def ends(result: Boot) -> dict[str, tuple[str, int]]:
    return {task.command: (task.killed_by, task.status) for task in result.tasks}


@pytest.mark.parametrize("stage, emulator", [("01", "qemu"), ("02", "qemu"), ("03", "qemu"), ("04", "qemu"),
                                             ("05", "qemu"), ("01", "bochs"), ("05", "bochs")])
def test_stack_overflow_is_reported(stage, emulator):
    """(Seen to fail with the double fault no longer told from others in trap_panic().)"""
    result = attempt(stage, ["hello"], "--append", "overflow", "--emulator", emulator, "--cpus", "2")
    assert result.code == 1
    assert result.log.count(b"panic: ") == 1
    assert b"panic: CPU 0: kernel stack overflow: #DF (double fault) in ring 0\n" in result.log
    assert result.log.count(b" <recurse+") > 10     # the backtrace follows the calls
    assert "panicked" in result.errors


@pytest.mark.parametrize("stage", ["01", "05"])
def test_overflow_of_a_tasks_stack_is_reported(stage):
    """The same on the stack of a system call, one of many with an unmapped page below it. (Seen to fail with
    is_stack_guard() knowing of the boot stack alone.)"""
    deep = variant(f"deep-{stage}", stage, "kernel/syscall.c", (
        "task_exit(frame->rdi & 0xff);", '__asm__ volatile("1: push 0; jmp 1b"); __builtin_unreachable();'))
    result = attempt(stage, ["hello"], "--cpus", "2", *on_top(deep))
    assert result.code == 1
    assert re.search(rb"\npanic: CPU \d: kernel stack overflow: #DF \(double fault\) in ring 0\n", result.log)


@both_emulators
def test_stack_overflow_needs_the_ist(emulator):
    """Without a stack of its own #DF has none, and the machine resets."""
    no_ist = variant("no-ist", "01", "kernel/idt.c", ("    idt[VECTOR_DF][0] |= GATE_IST(IST_DF);\n", ""))
    result = attempt("01", ["hello"], "--append", "overflow", "--emulator", emulator, *on_top(no_ist))
    assert result.code == 1
    assert b"panic: " not in result.log and "triple fault" in result.errors


@sound_and_broken
@both_emulators
def test_ring_3_has_no_ports(emulator, broken):
    """An I/O map within the TSS would be read as permissions, of which most say yes."""
    changed = variant("io-map-0", "01", "kernel/gdt.c", (".iomap_base = sizeof(*tss)", ".iomap_base = 0"))
    result = good_boot("01", ["fault port"], "--emulator", emulator, *on_top(changed if broken else ""))
    assert (ends(result) == {"fault port": ("#GP", 139)}) is not broken
    assert (b"fault: still alive" in result.log) is broken


@sound_and_broken
def test_ring_3_cannot_forge_a_page_fault(broken):
    """`int 14` pushes no error code: the frame that the stub expects would be one word off."""
    changed = variant("open-pf-gate", "01", "kernel/idt.c", (
        "idt_allow_user(VECTOR_BP);", "idt_allow_user(VECTOR_BP);\n    idt_allow_user(VECTOR_PF);"))
    result = attempt("01", ["fault int14", "hello"], *on_top(changed if broken else ""))
    right = result.code == 0 and ends(result) == {"fault int14": ("#GP", 139), "hello": ("", 0)}
    assert right is not broken


@sound_and_broken
def test_what_the_loader_left_does_not_matter(broken):
    """A loader that leaves the FPU emulated and lazy (EM, TS), the counter closed to programs (TSD), FSGSBASE open and
    AMD's virtual machines on (SVME): the self-tests look at all of it. (Seen to fail with one bit of EFER set beside
    what was there.)"""
    left = ("    mov     eax, cr0\n    or      eax, 0xc\n    mov     cr0, eax\n"
            "    mov     eax, cr4\n    or      eax, 0x10004\n    mov     cr4, eax\n"
            "    mov     ecx, 0xc0000080\n    rdmsr\n    or      eax, 0x1000\n    wrmsr\n")
    lines = [("    cld\n    mov     edi, ebx", f"{left}    cld\n    mov     edi, ebx")]
    lines += [("    mov     eax, CR0_PG |", "    mov     eax, cr0\n    or      eax, CR0_PG |")] * broken
    changed = variant(f"loader-left{'-inherited' * broken}", "05", "kernel/boot.S", *lines)
    assert (attempt("05", [], "--append", "selftest", *on_top(changed)).code == 0) is not broken


@sound_and_broken
def test_kernel_clears_df(broken):
    """A program faults with DF set; the kernel then copies the next program with string instructions."""
    text = "cld                                 /* invariant 3"
    changed = variant("no-cld", "01", "kernel/trap_entry.S", (text, text.replace("cld", "   ")))
    result = attempt("01", ["backwards", "hello"], *PROGRAMS, *on_top(changed if broken else ""))
    right = result.code == 0 and ends(result) == {"backwards": ("#UD", 132), "hello": ("", 0)}
    assert right is not broken


def address_of(stage: str, symbol: str) -> int:
    kernel = ROOT / f"build/{stage}/kernel.elf"
    lines = subprocess.run(["nm", kernel], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return next(int(line.split()[0], 16) for line in lines if line.split()[2] == symbol)


@both_emulators
def test_pcr_is_read_through_gs(emulator):
    """The base is the PCR's address, and so is the field `self` that is read through it. (Seen to fail with `self`
    left at 0.)"""
    log = good_boot("02", ["hello"], "--emulator", emulator).log
    base, self, code, rsp0 = (int(re.search(rb"^pcr: .*%s += 0x([0-9a-f]+)$" % name, log, re.MULTILINE)[1], 16)
                              for name in (rb"IA32_GS_BASE", rb"self", rb"gdt\[1\]", rb"tss\.rsp0"))
    assert base == self == address_of("02", "boot_pcr")
    assert code >> 40 & 0xff in (0x9a, 0x9b) and code >> 53 & 1     # 64-bit code of ring 0
    assert rsp0 % 16 == 0


@both_emulators
def test_pcr_needs_its_base_last(emulator):
    """Loading the selector GS overwrites the base that was set before."""
    lines = ("    gdt_load(pcr->gdt);\n", "    wrmsr(MSR_GS_BASE, (uint64_t)pcr);\n")
    swapped = variant("gs-base-first", "02", "kernel/cpu.c", ("".join(lines), "".join(reversed(lines))))
    result = attempt("02", ["hello"], "--emulator", emulator, *on_top(swapped))
    assert result.code != 0 and b"hello from ring 3" not in result.log


@both_emulators
def test_system_call_swaps_gs(emulator):
    """The line about the first system call agrees with the symbols and with what the program says of itself. (Seen to
    fail with the two bases exchanged in it.)"""
    log = good_boot("03", ["gs"], "--emulator", emulator).log
    bases = re.search(rb"IA32_GS_BASE = 0x(\w+) \(the PCR\), IA32_KERNEL_GS_BASE = 0x(\w+) ", log)
    mine = re.search(rb"gs: my GS base is 0x(\w+); gs:\[0\] was wrong 0 times", log)
    assert int(bases[1], 16) == address_of("03", "boot_pcr")
    assert int(bases[2], 16) == int(mine[1], 16)


@both_emulators
@pytest.mark.parametrize("name, comment", [("entry", "/* 1."), ("exit", "/* 8.")], ids=["entry", "exit"])
def test_system_call_needs_both_swaps(name, comment, emulator):
    text = f"    swapgs                              {comment}"
    changed = variant(f"no-swapgs-{name}", "03", "kernel/syscall_entry.S", (text, text.replace("swapgs", "      ")))
    result = attempt("03", ["hello", "gs"], "--emulator", emulator, *on_top(changed))
    assert result.code != 0 or set(ends(result).values()) != {("", 0)}


@sound_and_broken
def test_interrupts_swap_gs_only_from_ring_3(broken):
    """The timer strikes in ring 0 as well, here while nobody can run."""
    text = "    jz      1f\n    swapgs\n1:  lfence"
    changed = variant("always-swapgs", "04", "kernel/entry_macros.h", (text, "    swapgs\n    lfence"))
    result = attempt("04", ["nap 30"], *on_top(changed if broken else ""))
    assert (result.code == 0 and ends(result) == {"nap 30": ("", 0)}) is not broken
