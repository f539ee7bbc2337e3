# The kernel's address map, as kernel/memory.h has it, and which stack an address lies in.
# Used by tools/machine/owners.py, by what explains a crash (causes.py, hang.py), and kept apart because it needs nothing.
# SPDX-License-Identifier: MIT
from __future__ import annotations

USER_TOP = 0x0000800000000000
DIRECT_BASE = 0xffff800000000000
STACK_BASE = 0xffffc00000000000
STACK_END = 0xffffffff80000000
KERNEL_BASE = 0xffffffff80000000
PAGE_SIZE = 0x1000
SLOT_SIZE = 4 * PAGE_SIZE
# Where a starting CPU begins (kernel/smp.h): a copy of ap_trampoline.
AP_PAGE = 0x8000


def canonical(address: int) -> bool:
    return address < USER_TOP or address >= DIRECT_BASE


def slot_of(rsp: int) -> int:
    """The slot of the kernel's stack whose RSP this is. Right at the top nothing has been pushed, and in numbers it is
    the next slot's first address."""
    return (rsp - 1 - STACK_BASE) // SLOT_SIZE


def is_stack(rsp: int) -> bool:
    return STACK_BASE < rsp <= STACK_END


def in_guard(address: int, symbols: dict[str, int]) -> bool:
    """Does it lie in the unmapped page below a kernel stack?"""
    boot = symbols.get("boot_stack_guard", 0)
    if boot and boot <= address < boot + PAGE_SIZE:
        return True
    return STACK_BASE <= address < STACK_END and (address - STACK_BASE) % SLOT_SIZE < PAGE_SIZE


def kind_of_stack(rsp: int, symbols: dict[str, int]) -> str:
    """What an RSP is, without asking the kernel's structures whose."""
    bottom, top = symbols.get("boot_stack_guard", 0), symbols.get("boot_stack_top", 0)
    if in_guard(rsp, symbols) and not is_top(rsp):
        return "the guard page below a kernel stack"
    if bottom < rsp <= top:
        return "the boot stack"
    if is_stack(rsp):
        return "a kernel stack"
    if rsp < USER_TOP:
        return "no kernel stack but an address of ring 3's"
    return "no kernel stack" if canonical(rsp) else "not canonical"


def is_top(rsp: int) -> bool:
    """The top of a stack has the number of the next slot's guard page."""
    return is_stack(rsp) and (rsp - STACK_BASE) % SLOT_SIZE == 0
