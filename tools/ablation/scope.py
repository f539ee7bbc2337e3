# Which instructions must earn their place: all of the hand-written assembly, and what C says by inline assembly because
# it has no word for it: privileged and system instructions, wherever the compiler has put them.
# Used by tools/ablate and its tests. SPDX-License-Identifier: MIT
from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from layers import ROOT
from machine.places import instruction_lines

from .code import Code, Decoded, Frame, Routine

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


HEADER = "stages/00-boot/kernel/x86.h"      # one inline function for each: who calls it is what matters


@dataclass(frozen=True)
class Instruction:
    """One that is taken away: in assembly at one place, in C wherever the compiler has put a copy of the line."""

    stage: str
    routine: str        # the function that says it, which may be inlined into others
    label: str
    text: str
    number: int         # among those of the same text in this routine
    file: str
    line: int
    routine_hash: str
    places: tuple[tuple[int, bytes], ...]

    @property
    def place(self) -> tuple[str, str, str, int]:
        """What stays the same when another compiler, or a change elsewhere in the routine, moves it."""
        return self.stage, self.routine, self.text, self.number


def is_system(one: Decoded) -> bool:
    if SYSTEM.match(one.mnemonic):
        return True
    return one.mnemonic == "mov" and bool(SYSTEM_REGISTER.search(one.operands))


def hand_written(code: Code, routine: Routine) -> list[Decoded]:
    """The instructions of a routine in an assembly file, without the padding and the data behind them. Execution
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
    """The one of a shape that is tried: an exception that programs raise, or one that the self-tests do."""
    return next((vector for vector in (6, 14, 144) if vector in vectors), vectors[0])


def in_stubs(code: Code) -> list[Decoded]:
    chosen = sorted(representative(vectors) for vectors in shapes(code).values())
    return [one for vector in chosen for one in stub_shape(code, vector)[1]]


def routine_hash(code: Code, routine: Routine) -> str:
    """The same for the same code, wherever it lies and whatever lies beside it."""
    if routine.name == STUBS:
        text = "\n".join(" ".join(stub_shape(code, vector)[0]) for vector in range(VECTORS))
    else:
        found = hand_written(code, routine) if routine.assembly else code.decode(routine.start, routine.end, 64)
        text = "\n".join(code.text(one, routine) for one in found)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def lines_of(code: Code, routine: Routine, found: list[Decoded]) -> dict[int, tuple[str, int]]:
    """The source lines of a routine in assembly. For the trampoline, which lies among the constants, the assembler
    notes none."""
    if routine.name != "ap_trampoline":
        return {address: frames[0][1:] for address, frames in code.frames(one.address for one in found).items()}
    near = code.address_of("ap_start")
    file = code.frames([near])[near][0][1]
    numbers = instruction_lines((ROOT / file).read_text(), routine.name)
    return {one.address: (file, number) for one, number in zip(found, numbers)}


def in_assembly(code: Code, stage: str, routine: Routine) -> Iterator[Instruction]:
    """Each instruction of a routine in an assembly file."""
    found = in_stubs(code) if routine.name == STUBS else hand_written(code, routine)
    lines = lines_of(code, routine, found)
    digest = routine_hash(code, routine)
    seen: Counter = Counter()
    for one in found:
        text = code.text(one, routine)
        label = f"{routine.name}+{one.address - routine.start:#x}"
        yield Instruction(stage, routine.name, label, text, seen[text], *lines[one.address], digest,
                          ((one.address, one.bytes),))
        seen[text] += 1


# What C says by inline assembly

def plain_text(one: Decoded) -> str:
    """Without the registers that the compiler chooses."""
    register = SYSTEM_REGISTER.search(one.operands)
    if one.mnemonic != "mov" or not register:
        return one.mnemonic
    return f"mov {register[1]}, ..." if one.operands.startswith(register[1]) else f"mov ..., {register[1]}"


def asm_statements(code: Code, routine: Routine) -> Iterator[tuple[Decoded, list[Frame]]]:
    """The system instructions of a function with the lines that they come from; and what stands between two of the same
    statement, where it does not come from one of the header's functions."""
    found = list(code.decode(routine.start, routine.end, 64))
    frames = code.frames(one.address for one in found)
    system = [number for number, one in enumerate(found) if is_system(one)]
    wanted = set(system)
    for first, last in zip(system, system[1:]):
        between = [frames[one.address][:1] for one in found[first:last + 1]]
        if all(frame == between[0] and frame and frame[0][1] != HEADER for frame in between):
            wanted.update(range(first, last))
    for number in sorted(wanted):
        yield found[number], frames[found[number].address]


def said_by(frames: list[Frame]) -> Frame:
    """The function and line that say it: of the frames the first that is none of the header."""
    name, file, line = next((frame for frame in frames if frame[1] != HEADER), frames[0])
    return name.split(".")[0], file, line


def in_c(code: Code, stage: str) -> Iterator[Instruction]:
    """Each instruction that C says, with all its copies. Those in the tests go as well: what they try is their own copy
    of an inlined function."""
    copies: dict[tuple[str, str, int, str, int], list[tuple[int, bytes]]] = {}
    hashes: dict[tuple[str, str, int, str, int], set[str]] = {}
    inside: set[tuple[str, str, int, str, int]] = set()
    for routine in (one for one in code.routines() if not one.assembly):
        digest = routine_hash(code, routine)
        seen: Counter = Counter()
        for one, frames in asm_statements(code, routine):
            name, file, line = said_by(frames)
            text = plain_text(one) if frames[0][1] == HEADER else code.text(one, routine)
            number = seen[name, line, text] if frames[0][1] != HEADER else 0
            seen[name, line, text] += 1
            key = (name, file, line, text, number)
            copies.setdefault(key, []).append((one.address, one.bytes))
            hashes.setdefault(key, set()).update([digest] if routine.part == "kernel" else [])
            if routine.part == "kernel" and "/kernel/" in file:
                inside.add(key)
    numbers: Counter = Counter()
    for key in sorted(inside, key=lambda key: (key[1], key[2], copies[key][0][0])):
        name, file, line, text, _ = key
        digest = hashlib.sha256(" ".join(sorted(hashes[key])).encode()).hexdigest()[:16]
        number = numbers[name, text]
        numbers[name, text] += 1
        label = f"{name}:{text}" + (f"#{number}" if number else "")
        yield Instruction(stage, name, label, text, number, file, line, digest, tuple(sorted(copies[key])))


def is_own(code: Code, routine: Routine) -> bool:
    """Whether it is a stage's, and not of a layer on top."""
    frames = code.frames([routine.start])[routine.start]
    return bool(frames) and frames[0][1].startswith("stages/")


def in_kernel(code: Code) -> list[Routine]:
    """The kernel's routines in assembly. What lies in proof/ and test/ is not taken away."""
    found = [routine for routine in code.routines()
             if routine.assembly and routine.part == "kernel" and is_own(code, routine)]
    if any(name == "ap_trampoline" for _, name in code.symbols):
        trampoline = code.routine("ap_trampoline")
        found.append(Routine(trampoline.name, trampoline.start, trampoline.end, "kernel", True))
    return found


def assembly(code: Code, stage: str, only: tuple[str, ...] = ()) -> list[Instruction]:
    """The instructions of a kernel's assembly files, or of some routines."""
    return [one for routine in in_kernel(code) if not only or routine.name in only
            for one in in_assembly(code, stage, routine)]


def scope(elf: Path, stage: str, only: tuple[str, ...] = ()) -> list[Instruction]:
    """All instructions of a kernel that must earn their place, or those of some routines."""
    code = Code(elf)
    return assembly(code, stage, only) + [one for one in in_c(code, stage) if not only or one.routine in only]
