# The machine code of a kernel, with names: its routines, each instruction as text in which addresses are names, and
# its source line. The same text comes out wherever the linker has put the routine. Used by tools/ablation/scope.py.
# Needs capstone and pyelftools. SPDX-License-Identifier: MIT
from __future__ import annotations

import bisect
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator, Union

import capstone
from elftools.construct import Field
from elftools.elf.elffile import ELFFile

from machine.listing import source
from machine.run import line_finder

MODES = {bits: mode for bits, mode in ((16, capstone.CS_MODE_16), (32, capstone.CS_MODE_32), (64, capstone.CS_MODE_64))}
NUMBER = re.compile(r"(?<![\w.])(-?)0x([0-9a-f]+)")
KERNEL_BASE = 0xffffffff80000000
FIRST = 0x100000        # the kernel lies above
STEP = re.compile(r"\.step\d+$")


Frame = tuple[str, str, int]        # function, file, line


@dataclass(frozen=True)
class Decoded:
    """One instruction as it lies in the file."""

    address: int
    bytes: bytes
    mnemonic: str
    operands: str
    target: Union[int, None] = None     # of a direct jump or call

    @property
    def end(self) -> int:
        return self.address + len(self.bytes)


@dataclass(frozen=True)
class Routine:
    """The code between one name and the next; the labels of steps are inside."""

    name: str
    start: int
    end: int
    part: str           # the folder that it comes from: kernel, proof or test
    assembly: bool      # written by hand


class Code:
    """One kernel's ELF file."""

    def __init__(self, elf: Path):
        self.elf = elf
        self.engines = {bits: capstone.Cs(capstone.CS_ARCH_X86, mode) for bits, mode in MODES.items()}
        with open(elf, "rb") as file:
            parsed = ELFFile(file)
            self.sections = [(one["sh_addr"], one["sh_addr"] + one["sh_size"], one["sh_offset"], one.name)
                             for one in parsed.iter_sections() if one["sh_flags"] & 2]
            self.rows, ends = line_rows(parsed)
            table = parsed.get_section_by_name(".symtab")
            self.symbols = sorted((one["st_value"], one.name) for one in table.iter_symbols()
                                  if one.name and isinstance(one["st_shndx"], int) and one["st_info"]["type"] in
                                  ("STT_FUNC", "STT_NOTYPE", "STT_OBJECT"))
            self.functions = {one["st_value"]: (one.name, one["st_size"]) for one in table.iter_symbols()
                              if one["st_info"]["type"] == "STT_FUNC"}
        self.names = {address: name for address, name in reversed(self.symbols)}
        self.borders = sorted({address for address, name in self.symbols if not STEP.search(name)} |
                              {end for _, end, _, _ in self.sections} | ends)
        self.data = elf.read_bytes()

    def offset(self, address: int) -> int:
        """Where in the file an address lies."""
        return next(offset + address - start for start, end, offset, _ in self.sections if start <= address < end)

    def address_of(self, name: str) -> int:
        return next(address for address, one in self.symbols if one == name)

    def routine(self, name: str) -> Routine:
        start = self.address_of(name)
        size = self.functions[start][1]
        end = start + size if size else self.borders[bisect.bisect_right(self.borders, start)]
        path = self.rows.get(start, "")
        return Routine(name, start, end, Path(path).parent.name, path.endswith(".S"))

    def routines(self) -> list[Routine]:
        """All that have source lines, by their place."""
        return [self.routine(self.functions[start][0]) for start in sorted(self.functions) if start in self.rows]

    def decode(self, start: int, end: int, bits: int) -> Iterator[Decoded]:
        """The instructions in a range. A far jump changes the mode as it does in the CPU: real, protected, long."""
        while start < end:
            at = self.offset(start)
            one = next(self.engines[bits].disasm(self.data[at:at + min(15, end - start)], start, 1), None)
            if one is None:
                raise ValueError(f"{self.elf}: no instruction at {start:#x} in {bits}-bit mode")
            yield decoded(one)
            start += one.size
            if one.mnemonic == "ljmp":
                bits *= 2

    def text(self, one: Decoded, inside: Routine) -> str:
        """The instruction with names for addresses."""
        operands = one.operands
        if "rip" in operands:
            operands = re.sub(r"rip ([+-]) (0x[0-9a-f]+|\d+)", lambda match: self.name(
                one.end + int(match[1] + match[2], 0), inside), operands)
        return f"{one.mnemonic} {NUMBER.sub(lambda match: self.number(match, inside), operands)}".strip()

    def number(self, match: re.Match, inside: Routine) -> str:
        value = int(match[2], 16)
        address = -value & 0xffffffffffffffff if match[1] and value < 1 << 31 else value
        for candidate in (address, address | 0xffffffff00000000):
            if any(start <= candidate < end for start, end, _, _ in self.sections):
                return self.name(candidate, inside)
        high = self.names.get(address + KERNEL_BASE)    # where the kernel lies in memory before it has its own tables
        return f"{high} - KERNEL_BASE" if high and address >= FIRST else match.group()

    def frames(self, addresses: Iterable[int]) -> dict[int, list[Frame]]:
        """Where each comes from: the line that says it, and those of the functions that it is inlined into."""
        command = [line_finder(), "-i", "-f", "-a", "-e", str(self.elf)]
        asked = "".join(f"{address:#x}\n" for address in addresses)
        answer = subprocess.run(command, input=asked, stdout=subprocess.PIPE, text=True, check=True).stdout
        found = {}
        for lines in (part.splitlines() for part in re.split(r"^0x", answer, flags=re.MULTILINE)[1:]):
            places = [(name, source(place)) for name, place in zip(lines[1::2], lines[2::2])]
            found[int(lines[0], 16)] = [(name, *place) for name, place in places if place]
        return found

    def name(self, address: int, inside: Routine) -> str:
        """An address as a name: exact symbol, or place in this routine, or else its section."""
        if inside.start <= address < inside.end:
            return f".+{address - inside.start:#x}"
        if address in self.names:
            return self.names[address]
        return next((name for start, end, _, name in self.sections if start <= address < end), f"{address:#x}")


def decoded(one: capstone.CsInsn) -> Decoded:
    jumps = one.mnemonic == "call" or one.mnemonic.startswith("j")
    target = int(one.op_str, 16) if jumps and one.op_str.startswith("0x") else None
    return Decoded(one.address, bytes(one.bytes), one.mnemonic, one.op_str, target)


def line_rows(parsed: ELFFile) -> tuple[dict[int, str], set[int]]:
    """The addresses at which a source line begins, with the path of the compiled file as the build names it; and those
    at which the code of a file ends."""
    dwarf = parsed.get_dwarf_info()
    rows, ends = {}, set()
    for unit in dwarf.iter_CUs():
        unit.structs.Dwarf_dw_form.setdefault("DW_FORM_data16", Field("", 16))    # clang's; this pyelftools has it not
        path = unit.get_top_DIE().attributes["DW_AT_name"].value.decode()
        for entry in dwarf.line_program_for_CU(unit).get_entries():
            if entry.state is not None and entry.state.end_sequence:
                ends.add(entry.state.address)
            elif entry.state is not None:
                rows[entry.state.address] = path
    return rows, ends
