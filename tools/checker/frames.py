# What C does with its stack: nothing below RSP is used, through RBP either, RSP is where it was when a function ends,
# and no jump leads where nobody can say. An interrupt in ring 0 pushes right below RSP.
# Used by tools/check-entry.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Iterator, Optional

from capstone import CsInsn, x86

from .image import Image
from .sweep import Misplaced

Depth = tuple[int, Optional[int]]       # RSP, and RBP if it points to this frame, counted from the return address
MASK = (1 << 64) - 1


def check_frames(image: Image) -> Iterator[Misplaced]:
    for name, start, size in image.c_functions:
        try:
            walk(image, start, start + size)
        except Misplaced as found:
            yield Misplaced(found.rule, f"{name}: {found}", found.address)


def walk(image: Image, start: int, end: int) -> None:
    """Every path through a function."""
    work: list[tuple[int, Depth]] = [(start, (0, None))]
    seen: dict[int, Depth] = {}
    while work:
        address, depth = work.pop()
        if seen.get(address) == depth:
            continue
        if address in seen and seen[address][0] != depth[0]:
            raise Misplaced("stack", "two paths meet with RSP in different places", address)
        seen[address] = depth
        insn = image.instruction(address)
        check_access(insn, depth)
        following = insn.address + insn.size
        depth = step(insn, depth)
        if insn.mnemonic in ("ret", "jmp") or insn.group(x86.X86_GRP_JUMP):
            target = insn.operands[0].imm & MASK if insn.operands and insn.operands[0].type == x86.X86_OP_IMM else None
            inside = target is not None and start <= target < end
            if inside:
                work.append((target, depth))
            elif depth[0]:
                raise Misplaced("stack", "a function is left with RSP not where it was, or by a jump whose target "
                                "nobody can know", address)
            if insn.mnemonic in ("ret", "jmp"):
                continue
        if following < end and insn.mnemonic not in ("ud2", "int3"):
            work.append((following, depth))


def check_access(insn: CsInsn, depth: Depth) -> None:
    if insn.mnemonic in ("lea", "nop"):
        return
    for op in insn.operands:
        if op.type == x86.X86_OP_MEM and op.mem.base and not op.mem.index:  # of an array's element only C knows where
            base = {"rsp": depth[0], "rbp": depth[1]}.get(insn.reg_name(op.mem.base))
            if base is not None and base + op.mem.disp < depth[0]:
                raise Misplaced("below-rsp", f"'{insn.mnemonic} {insn.op_str}' uses memory below RSP: an interrupt "
                                "would overwrite it (is -mno-red-zone missing?)", insn.address)


def step(insn: CsInsn, depth: Depth) -> Depth:
    """RSP and RBP behind an instruction."""
    rsp, rbp = depth
    text = f"{insn.mnemonic} {insn.op_str}"
    number = insn.operands[-1].imm if insn.operands and insn.operands[-1].type == x86.X86_OP_IMM else 0
    to = insn.reg_name(insn.operands[0].reg) if insn.operands and insn.operands[0].type == x86.X86_OP_REG else ""
    if insn.mnemonic in ("push", "pushfq"):
        return rsp - 8, rbp
    if insn.mnemonic in ("pop", "popfq"):
        return rsp + 8, None if to == "rbp" else rbp
    if insn.mnemonic == "retfq":        # gdt_load(): it has pushed CS and the next instruction's address
        return rsp + 16, rbp
    if insn.mnemonic == "leave" and rbp is not None:
        return rbp + 8, None
    if text == "mov rbp, rsp":
        return rsp, rsp
    if text == "mov rsp, rbp" and rbp is not None:
        return rbp, rbp
    if insn.mnemonic in ("sub", "add") and to == "rsp" and insn.operands[1].type == x86.X86_OP_IMM:
        return rsp + (number if insn.mnemonic == "add" else -number), rbp
    if insn.mnemonic == "lea" and to == "rsp":
        base = {"rsp": rsp, "rbp": rbp}.get(insn.reg_name(insn.operands[1].mem.base or 0))
        if base is not None and not insn.operands[1].mem.index:
            return base + insn.operands[1].mem.disp, rbp
    if to == "rsp" and insn.mnemonic not in ("cmp", "test"):
        raise Misplaced("stack", f"'{text}' loads RSP with what this checker does not understand", insn.address)
    if to == "rbp" and insn.mnemonic not in ("cmp", "test"):
        return rsp, None
    return rsp, rbp
