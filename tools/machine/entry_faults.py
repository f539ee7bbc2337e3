# Why an interrupt or exception of ring 3 found no way into the kernel: the TSS, where the CPU looks for the stack. The
# frame of ring 3 is in order then, and so is its RSP. Used by tools/machine/crash.py.
# SPDX-License-Identifier: MIT
#
# Sources: SDM 3A, "Stack Switching in IA-32e Mode" and "Task Management in 64-bit Mode".
from __future__ import annotations

from typing import Union

from .address_map import kind_of_stack
from .descriptors import IN_IDT, IN_LDT
from .records import Fault
from .scene import Scene

DOUBLE_FAULT, INVALID_TSS, PAGE_FAULT = 8, 10, 14
WRITE, USER = 2, 4
RSP0, WHOLE = 4, 0x67       # where rsp0 lies in the TSS; the least limit that holds all of the TSS


def entry_fault(scene: Scene) -> str:
    """The cause in one sentence; empty if it was not on the way from ring 3 to ring 0, or the TSS is not to blame."""
    if scene.fault.ring != 3:
        return ""
    return next(filter(None, (rule(scene) for rule in (no_task_register, short_tss, bad_rsp0, bad_table))), "")


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


def no_task_register(scene: Scene) -> str:
    """After a reset TR is 0, and so is its base. Bochs does not show it, but where the CPU read tells as much. A kernel
    that could report a #DF has a TSS."""
    if scene.fault.vector == DOUBLE_FAULT:
        return ""
    address, error = struck_at(scene.fault)
    if scene.registers.get("tr") or address is None or not RSP0 <= address <= WHOLE or (error or 0) & WRITE:
        return ""
    return (f"to find its stack (at {address:#x}) the CPU read in a TSS at address 0: TR was never loaded on this CPU, "
            "an `ltr` is missing")


def short_tss(scene: Scene) -> str:
    """In 64-bit mode #TS with TR's selector says that the TSS's limit cuts off the stack that the CPU wants."""
    fault, limit = scene.fault, scene.registers.get("tr_limit")
    raised = [(fault.vector, fault.error), *fault.nested]
    error = next((error or 0 for vector, error in raised if vector == INVALID_TSS), 0)
    if not error & ~7 or error & (IN_IDT | IN_LDT) or scene.registers.get("tr", error & ~7) != error & ~7:
        return ""
    if limit is not None and limit >= WHOLE:
        return ""
    seen = f"is {limit:#x}" if limit is not None else "is too small"
    return ("the TSS ends before rsp0 (its bytes 4 to 11) or an IST stack (from 0x24 on): the limit in its descriptor, "
            f"selector {error & ~7:#x}, {seen} and must be {WHOLE:#x} at least")


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


def bad_table(scene: Scene) -> str:
    """What the CPU reads between the interrupt and the handler's first instruction are tables of the kernel's."""
    address, error = struck_at(scene.fault)
    if address is None or error is None or error & WRITE:
        return ""
    return (f"the CPU itself read at {address:#x} on the way to the handler, where no page is: the base of the TSS (rsp0 "
            "is at its byte 4), of the GDT or of the IDT is wrong")
