# The instruction at an address of the kernel, and what its operands come to: the address that it touches, the value
# that it moves. Only the part of the ELF file that is asked for is disassembled, so it takes no time worth naming.
# Used by tools/machine/crash.py and tools/machine/hang.py. Needs objdump, or LLVM's.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from .records import Registers
from .run import disassembler

LINE = re.compile(r"^\s*([0-9a-f]+): *\t(.*)$", re.MULTILINE)
MEMORY = re.compile(r"(?:\b([cdefgs]s):)?(?:\[([^\]]+)\]|(?<=[cdefgs]s:)(0x[0-9a-f]+))")
TERM = re.compile(r"([+-]?)(0x[0-9a-f]+|\d+|[a-z]\w*)(?:\*(\d))?")
PREFIXES = ("rep", "repz", "repe", "repnz", "lock", "cs", "ds", "data16", "notrack", "rex.w")
PUSHES = ("push", "pushf", "pushfq", "call", "int", "int3", "enter")
POPS = ("pop", "popf", "popfq", "ret", "iretq", "retfq", "lretq", "leave")
# The instructions that raise a vector on purpose. These are traps: RIP is behind them.
TRAPS = {1: ("int1", "icebp", "int 0x1"), 3: ("int3", "int 0x3")}
LONGEST = 15            # bytes of an instruction
MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Instruction:
    """One instruction: where it is, and its text in Intel syntax; empty where the ELF file has no code."""

    address: int
    text: str
    target: Union[int, None] = None     # what the disassembler says of an address relative to RIP

    @property
    def words(self) -> list[str]:
        """The mnemonic behind its prefixes, and what follows."""
        words = self.text.split()
        while len(words) > 1 and words[0] in PREFIXES:
            words = words[1:]
        return words or [""]

    @property
    def mnemonic(self) -> str:
        return self.words[0]

    @property
    def operands(self) -> list[str]:
        return [one.strip() for one in " ".join(self.words[1:]).split(",")]

    @property
    def segment(self) -> str:
        found = MEMORY.search(self.text)
        return (found[1] or "") if found else ""

    @property
    def operand(self) -> str:
        """The operand in memory as it is written."""
        found = MEMORY.search(self.text)
        return found[0] if found else ""

    def offset(self, registers: Registers) -> Union[int, None]:
        """The address of the operand in memory within its segment; None if it has none."""
        found = MEMORY.search(self.text)
        if not found or self.mnemonic == "lea":
            return None
        if found[3]:
            return int(found[3], 16)
        if "rip" in found[2] and self.target is not None:
            return self.target
        total = 0
        for sign, term, scale in TERM.findall(found[2]):
            value = int(term, 0) if term[0].isdigit() else registers.get(term, 0)
            total += (-1 if sign == "-" else 1) * value * int(scale or 1)
        return total & MASK

    def linear(self, registers: Registers) -> Union[int, None]:
        """The linear address of that operand."""
        offset = self.offset(registers)
        base = registers.get(f"{self.segment}_base", 0) if self.segment in ("fs", "gs") else 0
        return None if offset is None else (offset + base) & MASK

    def uses_stack(self) -> bool:
        return self.mnemonic in PUSHES + POPS

    def stack_address(self, registers: Registers) -> int:
        return (registers["rsp"] - (8 if self.mnemonic in PUSHES else 0)) & MASK

    def value(self, operand: str, registers: Registers) -> Union[int, None]:
        """A register by any of its names of 16, 32 and 64 bits."""
        names = (operand, 64), (re.sub(r"^e", "r", operand), 32), (f"r{operand}", 16), (operand.rstrip("wd"), 32)
        for name, width in names:
            if name in registers:
                return registers[name] & ((1 << width) - 1)
        return None


class Code:
    """The code of one kernel."""

    def __init__(self, elf: Path):
        self.elf = elf

    def between(self, start: int, end: int) -> list[Instruction]:
        """The instructions from an address on that is the first byte of one."""
        command = [disassembler(), "-d", "-M", "intel", "--no-show-raw-insn", f"--start-address={start:#x}",
                   f"--stop-address={end:#x}", str(self.elf)]
        text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        return [make(int(address, 16), line) for address, line in LINE.findall(text)]

    def at(self, address: int) -> Instruction:
        found = self.between(address, address + LONGEST)
        return found[0] if found and found[0].address == address else Instruction(address, "")

    def before(self, address: int, start: int) -> Instruction:
        """The instruction above the one at an address, in a function that starts there."""
        found = [one for one in self.between(start, address) if one.address < address]
        return found[-1] if found else Instruction(address, "")


def make(address: int, line: str) -> Instruction:
    text, _, note = line.partition("#")
    target = re.match(r"\s*(?:0x)?([0-9a-f]+)", note)
    return Instruction(address, " ".join(text.split()), int(target[1], 16) if target else None)
