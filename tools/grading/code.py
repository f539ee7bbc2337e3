# The code of a submission's kernel: which address is of C and which of assembly, and how a place is named for a person.
# The file has been made from what a student has written, so nothing in it is relied on but for such names.
# Used by target.py, way.py and the checks.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from pathlib import Path

from capstone import CS_ARCH_X86, CS_MODE_64, Cs
from elftools.elf.elffile import ELFFile
from machine.structures import Structures
from machine.symbols import Symbols

C_LANGUAGES = (0x01, 0x02, 0x0c, 0x1d, 0x8e65)    # C89, C, C99, C11; the last never: 8001h is assembly
PF_X = 1


class Code:
    """One kernel's ELF file."""

    def __init__(self, elf: Path, tree: Path):
        self.elf = elf
        self.tree = tree
        self.structures = Structures(elf)
        self.names = Symbols(elf, tree)
        self.disassembler = Cs(CS_ARCH_X86, CS_MODE_64)
        self.disassembler.detail = True

    def symbol(self, name: str) -> int:
        """Of those alone that lab.toml says must stay, or that belong to files which no student writes."""
        for address, known in zip(self.names.addresses, self.names.names):
            if known == name:
                return address
        raise LookupError(f"the kernel has no symbol '{name}'")

    def member(self, structure: str, path: str) -> int:
        """The offset of a structure's member."""
        return self.structures.member(structure, path)[0]

    @cached_property
    def units(self) -> tuple[list[int], list[tuple[int, str]]]:
        """Where the code of each C file begins and ends, in order."""
        found = []
        dwarf = ELFFile(self.elf.open("rb")).get_dwarf_info()
        for unit in dwarf.iter_CUs():
            top = unit.get_top_DIE()
            language = top.attributes.get("DW_AT_language")
            if not language or language.value not in C_LANGUAGES:
                continue
            name = top.attributes["DW_AT_name"].value.decode(errors="replace")
            for child in top.iter_children():
                low, high = child.attributes.get("DW_AT_low_pc"), child.attributes.get("DW_AT_high_pc")
                if child.tag == "DW_TAG_subprogram" and low and high:
                    end = high.value if high.form == "DW_FORM_addr" else low.value + high.value
                    found.append((low.value, end, name))
        found.sort()
        return [low for low, _, _ in found], [(end, name) for _, end, name in found]

    def is_c(self, address: int) -> bool:
        begins, rest = self.units
        at = bisect_right(begins, address) - 1
        return at >= 0 and address < rest[at][0]

    @cached_property
    def text(self) -> list[tuple[int, bytes]]:
        """The executable segments."""
        file = ELFFile(self.elf.open("rb"))
        return [(segment["p_vaddr"], segment.data()) for segment in file.iter_segments()
                if segment["p_type"] == "PT_LOAD" and segment["p_flags"] & PF_X]

    def find(self, pattern: bytes) -> int:
        """Where some code has these bytes, at an address of the kernel's half."""
        for address, data in self.text:
            at = data.find(pattern)
            if at >= 0 and address >> 63:
                return address + at
        raise LookupError(f"the kernel has no code {pattern.hex()}")

    def is_text(self, address: int) -> bool:
        return any(start <= address < start + len(data) for start, data in self.text)

    def instruction(self, address: int):
        """As capstone decodes it; None where there is none."""
        for start, data in self.text:
            if start <= address < start + len(data):
                at = address - start
                return next(self.disassembler.disasm(data[at:at + 15], address, 1), None)
        return None

    def assembly(self, address: int) -> str:
        found = self.instruction(address)
        return f"{found.mnemonic} {found.op_str}".strip() if found else "?"

    def describe(self, address: int) -> str:
        """'syscall_entry+0x9 stages/03-…/kernel/syscall_entry.S:31 (swapgs)'."""
        if not self.is_text(address):
            return f"{address:#x}" + (" (ring 3's half)" if address < 1 << 47 else "")
        place = self.names.describe(address, address)
        return f"{place} ({self.assembly(address)})"
