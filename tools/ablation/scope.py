# Which instructions must earn their place: all of the hand-written assembly, and what C says by inline assembly because
# it has no word for it: privileged and system instructions, wherever the compiler has put them.
# Used by tools/ablate and its tests. SPDX-License-Identifier: MIT
from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from layers import ROOT
from machine.places import instruction_lines

from .code import Code, Decoded, Routine

# Where execution does not go on behind the instruction.
ENDS = ("jmp", "ret", "iretq", "sysretq", "sysret")
# The routines that do not begin in 64-bit mode.
BEGIN = {"boot_entry": 32, "boot_fail": 32, "enter_long_mode": 32, "ap_trampoline": 16}
# 256 stubs of one macro: one of each shape is enough, since a test shows that the others are the same code.
STUBS, STUB_SIZE, VECTORS = "interrupt_stubs", 16, 256
# What a compiler does not write by itself, with these options.
SYSTEM = re.compile(r"(lgdt|lidt|lldt|ltr|str|sgdt|sidt|wrmsr|rdmsr|swapgs|stac|clac|sti|cli|hlt|invlpg|fxsave64|"
                    r"fxrstor64|cld|std|in|out|lfence|mfence|sfence|pause|retfq|iretq|sysretq|sysret|pushfq|popfq|"
                    r"cpuid|rdtsc|clts|wbinvd|rep movsb|rep stosb)$")
SYSTEM_REGISTER = re.compile(r"\b(cr\d|dr\d|[cdefgs]s)\b(?!:)")


@dataclass(frozen=True)
class Instruction:
    """One that is taken away."""

    stage: str
    routine: str
    offset: int
    address: int
    bytes: bytes
    text: str
    number: int         # among those of the same text in this routine
    file: str
    line: int
    routine_hash: str

    @property
    def label(self) -> str:
        return f"{self.routine}+{self.offset:#x}"

    @cached_property
    def place(self) -> tuple[str, str, str, int]:
        """What stays the same when another compiler, or a change elsewhere in the routine, moves it."""
        return self.stage, self.routine, self.text, self.number


def is_system(one: Decoded) -> bool:
    if SYSTEM.match(one.mnemonic):
        return True
    return one.mnemonic == "mov" and bool(SYSTEM_REGISTER.search(one.operands))


def hand_written(code: Code, routine: Routine) -> list[Decoded]:
    """The instructions of a routine in an assembly file, without the padding and the data behind the last one. Execution
    goes on where a source line begins, or where a jump leads."""
    found: list[Decoded] = []
    targets: set[int] = set()
    for one in code.decode(routine.start, routine.end, BEGIN.get(routine.name, 64)):
        found.append(one)
        targets.add(one.target or 0)
        if one.mnemonic in ENDS and one.end not in targets and one.end not in code.rows:
            break
    return found


def stub_shape(code: Code, vector: int) -> tuple[tuple[str, ...], list[Decoded]]:
    """What a stub does but for its vector, and its instructions."""
    start = code.address_of(STUBS) + vector * STUB_SIZE
    routine = code.routine(STUBS)
    found: list[Decoded] = []
    for one in code.decode(start, start + STUB_SIZE, 64):
        found.append(one)
        if one.mnemonic == "jmp":
            break
    texts = [code.text(one, routine) for one in found]
    pushed = re.fullmatch(r"push (0x[0-9a-f]+|\d+)", texts[-2])
    if not pushed or int(pushed[1], 0) != vector:
        raise ValueError(f"the stub of vector {vector} pushes something else: {texts}")
    texts[-2] = f"push vector ({len(found[-2].bytes)} bytes)"
    return tuple(texts), found


def shapes(code: Code) -> dict[tuple[str, ...], list[int]]:
    """The shapes of the stubs, each with its vectors."""
    found: dict[tuple[str, ...], list[int]] = {}
    for vector in range(VECTORS):
        found.setdefault(stub_shape(code, vector)[0], []).append(vector)
    return found


def representative(vectors: list[int]) -> int:
    """The one of a shape that is tried: an exception that programs raise, or the timer, where there is one."""
    return next((vector for vector in (6, 14, 64, 239) if vector in vectors), vectors[0])


def in_stubs(code: Code) -> list[Decoded]:
    chosen = sorted(representative(vectors) for vectors in shapes(code).values())
    return [one for vector in chosen for one in stub_shape(code, vector)[1]]


def of_routine(code: Code, routine: Routine) -> list[Decoded]:
    if routine.name == STUBS:
        return in_stubs(code)
    if routine.assembly:
        return hand_written(code, routine)
    return [one for one in code.decode(routine.start, routine.end, 64) if is_system(one)]


def routine_hash(code: Code, routine: Routine, bits: int) -> str:
    """The same for the same code, wherever it lies and whatever lies beside it."""
    end = max((one.end for one in hand_written(code, routine)), default=routine.end) if routine.assembly else routine.end
    if routine.name == STUBS:
        text = "\n".join(" ".join(stub_shape(code, vector)[0]) for vector in range(VECTORS))
    else:
        text = "\n".join(code.text(one, routine) for one in code.decode(routine.start, end, bits))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def lines_of(code: Code, routine: Routine, found: list[Decoded]) -> dict[int, tuple[str, int]]:
    """The source lines. For the trampoline, which lies among the constants, the assembler notes none."""
    if routine.name != "ap_trampoline":
        return code.lines(one.address for one in found)
    near = code.address_of("ap_start")
    file = code.lines([near])[near][0]
    numbers = instruction_lines((ROOT / file).read_text(), routine.name)
    return {one.address: (file, number) for one, number in zip(found, numbers)}


def instructions_of(code: Code, stage: str, routine: Routine) -> list[Instruction]:
    found = of_routine(code, routine)
    if not found:
        return []
    lines = lines_of(code, routine, found)
    digest = routine_hash(code, routine, BEGIN.get(routine.name, 64))
    seen: dict[str, int] = {}
    made = []
    for one in found:
        text = code.text(one, routine)
        number = seen[text] = seen.get(text, -1) + 1
        made.append(Instruction(stage, routine.name, one.address - routine.start, one.address, one.bytes, text, number,
                                *lines[one.address], digest))
    return made


def in_kernel(code: Code) -> list[Routine]:
    """The routines of the kernel itself. What lies in proof/ and test/ is not taken away."""
    trampoline = code.routine("ap_trampoline") if any(name == "ap_trampoline" for _, name in code.symbols) else None
    found = [routine for routine in code.routines() if routine.part == "kernel"]
    if trampoline:
        found.append(Routine(trampoline.name, trampoline.start, trampoline.end, "kernel", True))
    return found


def scope(elf: Path, stage: str, only: tuple[str, ...] = ()) -> list[Instruction]:
    """All instructions of a kernel that must earn their place, or those of some routines."""
    code = Code(elf)
    return [one for routine in in_kernel(code) if not only or routine.name in only
            for one in instructions_of(code, stage, routine)]
