# Why an interrupt or exception of ring 3 found no way into the kernel: the TSS, where the CPU looks for the stack. The
# frame of ring 3 is in order then, and so is its RSP. Used by tools/machine/crash.py.
# SPDX-License-Identifier: MIT
#
# Sources: SDM 3A, "Stack Switching in IA-32e Mode" and "Task Management in 64-bit Mode".
from __future__ import annotations

from typing import Union

from .address_map import kind_of_stack
from .records import Fault
from .scene import Scene

DOUBLE_FAULT, PAGE_FAULT = 8, 14
WRITE, USER = 2, 4
RSP0 = 4                # where it lies in the TSS


def entry_fault(scene: Scene) -> str:
    """The cause in one sentence; empty if it was not on the way from ring 3 to ring 0, or the TSS is not to blame."""
    if scene.fault.ring != 3:
        return ""
    return next(filter(None, (rule(scene) for rule in (bad_rsp0,))), "")


def struck_at(fault: Fault) -> tuple[Union[int, None], Union[int, None]]:
    """The address of the #PF that the CPU's own access met, and its error code where it is known. In ring 3 an access
    with the rights of ring 0 is the CPU's, to a table or to the stack for the frame."""
    if fault.struck is not None:
        return fault.struck, next((error for vector, error in fault.nested if vector == PAGE_FAULT), None)
    if fault.vector == DOUBLE_FAULT:
        return fault.registers.get("cr2"), None
    if fault.vector == PAGE_FAULT and not (fault.error or 0) & USER:
        return fault.registers.get("cr2"), fault.error
    return None, None


def bad_rsp0(scene: Scene) -> str:
    """The frame's first word goes 8 below tss.rsp0, which the CPU rounds down to 16."""
    address, error = struck_at(scene.fault)
    if address is None or address % 16 != 8 or error is not None and not error & WRITE:
        return ""
    read = scene.read(scene.registers["tr_base"] + RSP0) if scene.registers.get("tr_base") else None
    rsp0 = address + 8 & (1 << 64) - 1 if read is None else read
    if (rsp0 & ~15) - 8 & (1 << 64) - 1 != address:
        return ""
    if rsp0 == 0:
        return (f"tss.rsp0 is 0, and an entry from ring 3 pushes its frame there (at {address:#x}): nobody has written "
                "it, or TR names the TSS of another CPU")
    return (f"tss.rsp0 is {rsp0:#x}, {kind_of_stack(rsp0, scene.symbols)}, and an entry from ring 3 pushes its frame "
            "there: no memory is mapped below it")
