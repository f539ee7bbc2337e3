# What the grader makes a CPU do that stands in ring 0: execute an instruction of the grader's own, go back to the
# program by an IRETQ of the grader's own; and what it reads there: page tables, stacks. So a check can look at one
# event, and no student's code has a part in what comes before it or after it. Used by the checks of labs 01 and 02.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Union

from machine.address_map import DIRECT_BASE, PAGE_SIZE

from . import scene
from .target import Target

IRETQ = b"\x48\xcf"
LTR_AX, PUSH_RAX = b"\x0f\x00\xd8", b"\x50"
LONGEST_STACK = 8           # pages; the kernel's have 3
PRESENT, WRITE, LARGE = 1, 2, 0x80
ADDRESS = 0x000ffffffffff000
KEPT = (*scene.GENERAL, "rip", "rsp", "rflags")


def execute(target: Target, code: bytes, **values: int) -> dict[str, int]:
    """One instruction in ring 0, with these values in registers; gives the registers behind it. It is written where the
    kernel has begun, to where nobody comes back."""
    place = target.code.symbol("kernel_main")
    target.write(place, int.from_bytes(code, "little"), len(code))
    target.set(rip=place, **values)
    return target.step()


def execute_aside(target: Target, code: bytes, **values: int) -> dict[str, int]:
    """The same, and the registers are then as they were."""
    before = target.registers()
    after = execute(target, code, **values)
    target.set(**{name: before[name] for name in KEPT})
    return after


def back(target: Target, frame: int) -> dict[str, int]:
    """Leaves ring 0 by the five words at `frame`, whatever has become of the rest of the stack."""
    return execute(target, IRETQ, rsp=frame)


def strike(target: Target, program: int, code: bytes, **values: int) -> dict[str, int]:
    """Ring 3 executes an instruction, which is put into the program at an address; gives the registers behind it."""
    target.write(program, int.from_bytes(code, "little"), len(code))
    target.set(rip=program, **values)
    return target.step()


def entry_of(target: Target, address: int) -> tuple[int, int]:
    """What the page tables say of an address: the entry that maps it, and the size of what it maps; (0, 0) for nothing.
    The tables themselves are read through the direct window."""
    table = target["cr3"] & ADDRESS
    for level in (39, 30, 21, 12):
        try:
            entry = target.read(DIRECT_BASE + table + 8 * (address >> level & 511))
        except LookupError:
            return 0, 0
        if not entry & PRESENT:
            return 0, 0
        if level == 12 or entry & LARGE:
            return entry, 1 << level
        table = entry & ADDRESS
    return 0, 0


def physical(target: Target, address: int) -> Union[int, None]:
    entry, size = entry_of(target, address)
    return (entry & ADDRESS & -size) + address % size if size else None


def stack_problem(target: Target, top: int) -> str:
    """Why the number is no top of a kernel stack with a guard page below; empty if it is one."""
    if top >> 47 != 0x1ffff:
        return "which is no address of the kernel's half" if top else "which is no stack"
    if top % 16:
        return "which is no multiple of 16"
    if not entry_of(target, top - 8)[0] & WRITE:
        return "and below it no memory can be written"
    page = (top - 1) // PAGE_SIZE * PAGE_SIZE
    for _ in range(LONGEST_STACK):
        if not target.is_mapped(page):
            return ""
        page -= PAGE_SIZE
    return "and there is no unmapped page below, to stop what overflows"
