# Looks at every instruction of the kernel, C's as well: those that change what the entry code relies on may stand only
# in the places of contracts.py, some must stand there, and some nowhere. Used by tools/check-entry.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from collections import Counter
from typing import Iterable, Iterator

from capstone import CsInsn, x86

from .contracts import PLACES, PROOFS, REQUIRED, WRAPPERS
from .image import Image

SEGMENT_REGISTERS = {"cs", "ds", "es", "fs", "gs", "ss"}
# Registers that the kernel leaves to programs: it is built without them, and keeps them only by FXSAVE and FXRSTOR.
PROGRAMS_REGISTERS = re.compile(r"(?:[xyz]?mm\d+|st\(?\d*\)?|k\d|bnd\d)$")
# Privileged, and harmless wherever they stand: they read, or tell the TLB.
READERS = {"rdmsr", "invlpg", "in", "out", "insb", "outsb", "rdtsc"}
# Not privileged to capstone, and nothing for this kernel, wherever it stands.
NOWHERE = {"int", "into", "int1", "syscall", "sysenter", "sysexit", "iretd", "iret", "retf", "lcall", "lmsw",
           "wrgsbase", "wrfsbase", "rdgsbase", "xsetbv", "ldmxcsr", "emms", "vzeroupper", "sysretl"}

BELOW = "!below-rsp: memory below RSP is used: an interrupt would overwrite it (is -mno-red-zone missing?)"


class Misplaced(Exception):
    """An instruction that stands where it may not, or does not stand where it must."""

    def __init__(self, rule: str, text: str, address: int = 0):
        super().__init__(text)
        self.rule = rule
        self.address = address


def kinds(insn: CsInsn) -> Iterator[str]:
    """Under which names the lists know an instruction; one that begins with '!' is always wrong."""
    name = insn.mnemonic.split()[-1]
    registers = [insn.reg_name(op.reg) for op in insn.operands if op.type == x86.X86_OP_REG]
    written = registers[0] if registers and insn.operands[0].type == x86.X86_OP_REG else ""
    if name in PLACES:
        yield name
    elif name == "mov" and re.match(r"[cd]r\d", written):
        yield f"write {written}"
    elif name in ("mov", "pop", "lss", "lfs", "lgs") and written in SEGMENT_REGISTERS:
        yield "write segment"
    elif name in NOWHERE:
        yield f"!{name}: nothing that this kernel executes"
    elif insn.group(x86.X86_GRP_PRIVILEGE) and name not in READERS and not re.search(r"\b[cd]r\d", insn.op_str):
        yield f"!{name}: privileged, and in no list"
    if any(PROGRAMS_REGISTERS.match(one) for one in registers) or (name[0] == "f" and name not in PLACES):
        yield "!sse: a register of the program's: only FXSAVE and FXRSTOR may touch those"
    yield from memory_kinds(insn, name)


def memory_kinds(insn: CsInsn, name: str) -> Iterator[str]:
    for op in insn.operands:
        if op.type != x86.X86_OP_MEM:
            continue
        if op.mem.segment == x86.X86_REG_FS:
            yield "!fs: an access through FS, whose base is the program's"
        if insn.reg_name(op.mem.base or 0) == "rsp" and op.mem.disp < 0:
            yield "address below rsp" if name == "lea" else BELOW


def place_of(image: Image, address: int) -> str:
    """The function that an instruction belongs to in the source, also where that is inlined elsewhere."""
    names = [name for name, _ in image.chain(address)]
    return next((name for name in names if name not in WRAPPERS), names[-1])


def sweep(image: Image, walked: Iterable[CsInsn], stage: str) -> Iterator[Misplaced]:
    """All of .text; and of the other sections, where data lies between, what the explorer came by."""
    counts: Counter = Counter()
    text = image.text()
    inside = {insn.address for insn in text}
    outside = {one.address: one for one in walked if one.address not in inside}
    for insn in [*text, *outside.values()]:
        for kind in kinds(insn):
            words = f"{insn.mnemonic} {insn.op_str}".strip()
            if kind[0] == "!":
                rule, _, why = kind[1:].partition(": ")
                rule = rule if rule in ("sse", "fs", "below-rsp") else "unlisted"
                yield Misplaced(rule, f"'{words}': {why}", insn.address)
                continue
            place = place_of(image, insn.address)
            counts[kind, place] += 1
            allowed = {**PLACES[kind], **PROOFS.get(kind, {})}
            if place not in allowed or allowed[place] and counts[kind, place] > allowed[place]:
                limit = f"which may hold {allowed[place]}" if place in allowed else "where none may be"
                yield Misplaced("unlisted", f"'{words}' in {place}, {limit} (tools/checker/contracts.py)", insn.address)
    yield from missing(image, text, stage)


def missing(image: Image, text: list[CsInsn], stage: str) -> Iterator[Misplaced]:
    """What no emulator would miss: PAUSE in each loop that waits, HLT where nothing is left to do, and STI directly
    before the HLT of the idle loop."""
    found = {(insn.mnemonic, place_of(image, insn.address)) for insn in text if insn.mnemonic in REQUIRED}
    for mnemonic, places in REQUIRED.items():
        for place, (first, last) in places.items():
            if first <= stage <= last and (mnemonic, place) not in found:
                yield Misplaced("missing", f"{place} has no {mnemonic.upper()}")
    for insn, following in zip(text, text[1:]):
        if insn.mnemonic == "sti" and following.mnemonic != "hlt" and \
                [name for name, _ in image.chain(insn.address)][0] == "sched_idle":
            yield Misplaced("idle", "between STI and HLT of the idle loop stands another instruction: an interrupt "
                            "that comes there would not wake it", insn.address)
