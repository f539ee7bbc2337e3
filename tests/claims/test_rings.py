# What stages 01 to 03 claim about the border between the rings, as far as it is not the claim that a bug breaks: those
# are in stages/*/bugs, and tests/bugs tries each of them with and without the line that it is about. What needs no
# broken twin is in tests/differential.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import subprocess

import pytest
from claims.changes import attempt, on_top, sound_and_broken, variant
from differential.runs import good_boot
from harness import ROOT

both_emulators = pytest.mark.parametrize("emulator", ["qemu", "bochs"])


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
def test_system_call_swaps_gs(emulator):
    """The line about the first system call agrees with the symbols and with what the program says of itself. (Seen to
    fail with the two bases exchanged in it.)"""
    log = good_boot("03", ["gs"], "--emulator", emulator).log
    bases = re.search(rb"IA32_GS_BASE = 0x(\w+) \(the PCR\), IA32_KERNEL_GS_BASE = 0x(\w+) ", log)
    mine = re.search(rb"gs: my GS base is 0x(\w+); gs:\[0\] was wrong 0 times", log)
    assert int(bases[1], 16) == address_of("03", "boot_pcr")
    assert int(bases[2], 16) == int(mine[1], 16)
