# A built kernel for the checks: its symbols, its code as instructions, and where in the source each comes from.
# Used by all modules of this package. Needs capstone, pyelftools, and addr2line (binutils or LLVM).
# SPDX-License-Identifier: MIT
from __future__ import annotations

import bisect
import subprocess
from functools import lru_cache
from pathlib import Path

import capstone
from capstone import CsInsn
from elftools.elf.elffile import ELFFile

from machine.listing import source
from machine.run import line_finder

MODES = {16: capstone.CS_MODE_16, 32: capstone.CS_MODE_32, 64: capstone.CS_MODE_64}
EXECUTABLE = 0x4        # SHF_EXECINSTR


class CheckError(Exception):
    """The kernel cannot be checked; the message says why, for a person."""


class Image:
    """One kernel's ELF file."""

    def __init__(self, elf: Path):
        self.elf = elf
        with open(elf, "rb") as file:
            parsed = ELFFile(file)
            self.sections = [(one.name, one["sh_addr"], one.data(), bool(one["sh_flags"] & EXECUTABLE))
                             for one in parsed.iter_sections() if one["sh_addr"] and one["sh_type"] == "SHT_PROGBITS"]
            table = parsed.get_section_by_name(".symtab")
            if table is None:
                raise CheckError(f"{elf} has no symbols, so nothing in it can be found")
            symbols = [one for one in table.iter_symbols() if isinstance(one["st_shndx"], int) and one.name]
        self.address = {one.name: one["st_value"] for one in symbols}
        code = {(one["st_value"], one.name) for one in symbols
                if one["st_info"]["type"] == "STT_FUNC" or ".step" in one.name}
        self.labels = sorted(code)
        self.functions = [(address, name) for address, name in self.labels if ".step" not in name]
        # The FUNCTION() of asm.h gives no size, a compiler always does.
        self.assembly = {one.name for one in symbols if one["st_info"]["type"] == "STT_FUNC" and not one["st_size"]}
        self.c_functions = sorted({(one.name, one["st_value"], one["st_size"]) for one in symbols
                                   if one["st_info"]["type"] == "STT_FUNC" and one["st_size"]})
        self.decoders = {}
        for bits, mode in MODES.items():
            self.decoders[bits] = capstone.Cs(capstone.CS_ARCH_X86, mode)
            self.decoders[bits].detail = True

    def need(self, name: str) -> int:
        if name not in self.address:
            raise CheckError(f"{self.elf} has no symbol '{name}', where a check begins: has it been renamed? "
                             "(tools/checker/entries.py)")
        return self.address[name]

    def bytes_at(self, address: int, size: int) -> bytes:
        for _, start, data, _ in self.sections:
            if start <= address < start + len(data):
                return data[address - start:address - start + size]
        raise CheckError(f"{address:#x} lies in no section of {self.elf}")

    @lru_cache(maxsize=None)
    def instruction(self, address: int, bits: int = 64) -> CsInsn:
        found = next(self.decoders[bits].disasm(self.bytes_at(address, 15), address), None)
        if found is None:
            raise CheckError(f"{self.place(address)}: capstone knows no instruction there")
        return found

    @lru_cache(maxsize=None)
    def text(self) -> list[CsInsn]:
        """Every instruction of .text, one behind the other. Nothing may be passed over: after bytes that are no
        instruction the rest would go unseen."""
        start, data = next((start, data) for name, start, data, _ in self.sections if name == ".text")
        found, at = [], 0
        while at < len(data):
            before = at
            for one in self.decoders[64].disasm(data[at:], start + at):
                found.append(one)
                at += one.size
            if at == before:
                raise CheckError(f"{self.place(start + at)}: {data[at]:#x} begins no instruction that capstone knows")
        return found

    def function(self, address: int) -> str:
        """The routine that an address lies in."""
        place = bisect.bisect_right(self.functions, (address, "\x7f")) - 1
        return self.functions[place][1] if place >= 0 else "?"

    def place(self, address: int) -> str:
        """The name before an address, steps included, and the distance to it."""
        place = bisect.bisect_right(self.labels, (address, "\x7f")) - 1
        if place < 0:
            return f"{address:#x}"
        start, name = self.labels[place]
        return name + (f"+{address - start:#x}" if address > start else "")

    @lru_cache(maxsize=None)
    def chain(self, address: int) -> list[tuple[str, str]]:
        """The functions that an instruction belongs to, the innermost first: a function that is inlined keeps its
        name. Each with its source line, as 'stages/.../file.c:12'."""
        command = [line_finder(), "-f", "-i", "-e", str(self.elf), hex(address)]
        lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
        pairs = []
        for name, where in zip(lines[::2], lines[1::2]):
            found = source(where)
            outside = "" if where.startswith("??") else where.split(" (")[0]    # a layer may lie anywhere
            pairs.append((name, f"{found[0]}:{found[1]}" if found else outside))
        if len(pairs) <= 1 or pairs[0][0] == "??":
            pairs = [(self.function(address), pairs[0][1] if pairs else "")]
        return pairs

    def line(self, address: int) -> str:
        """The source line, or that of the code before it where this one has none."""
        return self.chain(address)[0][1]
