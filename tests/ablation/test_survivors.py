# What guards the instructions whose loss no emulator shows (tools/ablation/survivors.toml): they stand where they must,
# in the machine code of the last stage. Seen to fail with each of them overwritten by NOPs in a copy of the kernel.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Union

import pytest

from ablation import scope, table, trial
from ablation.code import Code
from ablation.probes import Probe
from ablation.scope import Instruction


def texts(code: Code, name: str) -> list[str]:
    """A routine of the assembly, instruction by instruction."""
    routine = code.routine(name)
    return [code.text(one, routine) for one in scope.hand_written(code, routine)]


@cache
def kernel() -> Code:
    return Code(trial.build("05"))


def follow(found: list[str], *wanted: str) -> bool:
    """Whether these stand side by side, each beginning as given."""
    return any(all(one.startswith(begin) for one, begin in zip(found[at:], wanted)) and at + len(wanted) <= len(found)
               for at in range(len(found)))


def leaf_is_asked_for(code: Code) -> bool:
    return follow(texts(code, "boot_entry"), "mov eax, 0x80000000", "cpuid", "cmp eax, 0x80000001", "jb boot_fail",
                  "mov eax, 0x80000001", "cpuid")


def line_is_set(code: Code) -> bool:
    return follow(texts(code, "boot_fail"), "mov dx, 0x3fb", "mov al, 3", "out dx, al")


def dead_ends_halt(code: Code) -> bool:
    return all(follow(texts(code, name)[-2:], "hlt", "jmp .+") for name in ("boot_fail", "ap_start"))


def fences_stand(code: Code) -> bool:
    """Behind the place where both ways of the branch meet again."""
    return follow(texts(code, "interrupt_entry"), "swapgs", "lfence") and \
        follow(texts(code, "ist_entry"), "swapgs", "lfence") and \
        jumps_to(code, "interrupt_entry", "jne", "lfence")


def jumps_to(code: Code, name: str, jump: str, target: str) -> bool:
    routine = code.routine(name)
    found = {one.address: one for one in scope.hand_written(code, routine)}
    return any(one.mnemonic == jump and one.target in found and found[one.target].mnemonic == target
               for one in found.values())


def backtrace_ends(code: Code) -> bool:
    return all("xor ebp, ebp" in texts(code, name) for name in ("kernel_start", "ap_start"))


def compat_stub_refuses(code: Code) -> bool:
    return texts(code, "syscall32_entry") == ["mov eax, 0xffffffda", "sysret"]


def first_run_is_checked(code: Code) -> bool:
    return follow(texts(code, "task_begin"), "call switch_end", "mov rdi, rsp", "call user_return",
                  "jmp interrupt_return")


def each_smap_is_asked_for(code: Code) -> bool:
    found = texts(code, "user_copy_bytes")
    return all(follow(found, "cmp byte ptr [smap], 0", "je .+", one) for one in ("stac", "clac"))


CHECKS = {
    each_smap_is_asked_for: ["cmp byte ptr [smap], 0"],
    leaf_is_asked_for: ["cmp eax, 0x80000001", "jb boot_fail"],
    line_is_set: ["mov al, 3"],
    dead_ends_halt: ["hlt", "jmp .+"],
    fences_stand: ["lfence"],
    backtrace_ends: ["xor ebp, ebp"],
    compat_stub_refuses: ["mov eax, 0xffffffda", "sysret"],
    first_run_is_checked: ["call user_return"],
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_stands(check):
    assert check(kernel())


def without(one: Instruction, folder: Path) -> Code:
    """A kernel in which an instruction is gone."""
    data = bytearray(kernel().data)
    for address, code in one.places:
        at = kernel().offset(address)
        data[at:at + len(code)] = trial.NOP * len(code)
    (folder / "kernel.elf").write_bytes(data)
    return Code(folder / "kernel.elf")


@pytest.mark.heavy
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_is_seen_to_fail(check, tmp_path):
    reasons = [reason for reason in table.load_survivors() if reason["guard"].endswith(f"::{check.__name__}")]
    assert reasons, "it guards nothing"
    routines = tuple({name for reason in reasons for name in reason["where"]})
    gone = [one for one in scope.assembly(kernel(), "05", routines) if table.is_one_of(one.text, CHECKS[check])
            and any(table.covers(reason, {**vars(one)}) for reason in reasons)]
    assert gone
    for one in gone:
        assert not check(without(one, tmp_path)), one.label


# What C says

@cache
def said() -> tuple[Instruction, ...]:
    return tuple(scope.in_c(kernel(), "05"))


def survivors_of(name: str) -> list[tuple[str, str]]:
    return [(where, text) for reason in table.load_survivors() if reason["guard"].endswith(f"::{name}")
            for where in reason["where"] for text in reason["text"]]


def test_c_says_it():
    """Each stands in the function that must say it; which, a row of survivors.toml tells. (Seen to fail with `pause();`
    taken out of lock.h: `lock_acquire` was missing.)"""
    there = {(one.routine, one.text) for one in said()}
    wanted = [(where.removeprefix("03:"), text) for where, text in survivors_of("test_c_says_it")]
    assert wanted and [pair for pair in wanted if pair not in there] == []


def random_bytes(folder: Path, gone: Union[Instruction, None] = None) -> set[str]:
    """The random bytes of a program in two runs. The clock of a machine that counts instructions would be the same."""
    probe = Probe("random", "a program's random bytes", (), icount=False, modules=("random",), ends={"random": 0})
    image = trial.Image(probe, trial.build("05"), folder)
    lines = set()
    for _ in range(2):
        wrong, log = image.run(gone)
        assert not wrong, log
        lines.update(re.findall(r"^random: \w+$", log, re.MULTILINE))
    return lines


@pytest.mark.needs("qemu", "grub")
def test_random_bytes_differ_from_run_to_run(tmp_path):
    assert len(random_bytes(tmp_path / "whole")) == 2


@pytest.mark.heavy
@pytest.mark.needs("qemu", "grub")
def test_random_bytes_without_the_clock_are_the_same(tmp_path):
    """So the test above can fail."""
    rdtsc = next(one for one in said() if (one.routine, one.text) == ("fill_stack", "rdtsc"))
    assert len(random_bytes(tmp_path / "without", rdtsc)) == 1
