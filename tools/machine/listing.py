# What an ELF file says of an address: the instruction there, its symbol, the line of its source, and the symbols of a
# program. objdump and addr2line are asked once for many addresses: a process for each would take longer than the run.
# Used by tools/machine/recorder.py. Needs binutils and pyelftools.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import bisect
import os
import re
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Iterable, Union

from elftools.elf.elffile import ELFFile

from layers import ROOT

from .run import disassembler, line_finder

INSTRUCTION = re.compile(r"^\s*([0-9a-f]+): *\t(.*)$", re.MULTILINE)
EXECUTABLE = 1          # PF_X


class Listing:
    """One ELF file: the kernel, or a program."""

    def __init__(self, elf: Path, name: str = ""):
        self.elf = elf
        self.name = name            # of a program; empty for the kernel
        with open(elf, "rb") as file:
            parsed = ELFFile(file)
            self.segments = [(one["p_vaddr"], one["p_vaddr"] + one["p_memsz"], one["p_flags"], one.data())
                             for one in parsed.iter_segments("PT_LOAD")]
            table = parsed.get_section_by_name(".symtab")
            found = [] if table is None else table.iter_symbols()
            symbols = sorted((one["st_value"], one.name) for one in found
                             if one["st_info"]["type"] in ("STT_FUNC", "STT_NOTYPE", "STT_OBJECT")
                             and isinstance(one["st_shndx"], int) and one.name)
            comment = parsed.get_section_by_name(".comment")
            producers = comment.data() if comment else b""
        self.starts = [address for address, _ in symbols]
        self.names = [name for _, name in symbols]
        # What compiled it says so itself; a linker may add a line of its own.
        self.compiler = ", ".join(dict.fromkeys(part.decode() for part in producers.split(b"\0") if part))

    @cached_property
    def instructions(self) -> dict[int, str]:
        """The machine code in Intel syntax, by address."""
        command = [disassembler(), "-d", "-M", "intel", "--no-show-raw-insn", str(self.elf)]
        text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        return {int(address, 16): " ".join(rest.split("#")[0].split()) for address, rest in INSTRUCTION.findall(text)}

    @cached_property
    def order(self) -> list[int]:
        return sorted(self.instructions)

    def neighbours(self, address: int, distance: int) -> list[int]:
        """The instructions before and behind one, as far as they have the same symbol."""
        place = bisect.bisect_left(self.order, address)
        near = self.order[max(0, place - distance):place + distance + 1]
        return [one for one in near if self.function(one) == self.function(address)]

    def holds_code(self, address: int) -> bool:
        return any(start <= address < end and flags & EXECUTABLE for start, end, flags, _ in self.segments)

    def symbol(self, address: int) -> str:
        """The name before an address and the distance to it, as name+0x10."""
        place = bisect.bisect_right(self.starts, address) - 1
        if place < 0:
            return ""
        distance = address - self.starts[place]
        return self.names[place] + (f"+{distance:#x}" if distance else "")

    def function(self, address: int) -> str:
        """The symbol before an address; the labels of the steps belong to the routine."""
        return self.symbol(address).split("+")[0].split(".step")[0]

    def lines(self, addresses: Iterable[int]) -> dict[int, tuple[str, int]]:
        """File, as the checkout has it, and line of the addresses that have them."""
        wanted = list(addresses)
        command = [line_finder(), "-e", str(self.elf)]
        asked = "".join(f"{address:#x}\n" for address in wanted)
        answer = subprocess.run(command, input=asked, stdout=subprocess.PIPE, text=True, check=True).stdout
        found = {address: source(text) for address, text in zip(wanted, answer.splitlines())}
        return {address: place for address, place in found.items() if place}


def source(text: str) -> Union[tuple[str, int], None]:
    """'path:12 (discriminator 3)' as a path within the checkout and a number. The build names the links in
    build/NN/src. What lies outside, such as a C library, is not there for a reader."""
    path, _, line = text.split(" (")[0].rpartition(":")
    if not path or path == "??" or not line.isdigit() or line == "0":
        return None
    inside = os.path.relpath(os.path.realpath(ROOT / path), ROOT)
    return None if inside.startswith("..") or not (ROOT / inside).is_file() else (inside, int(line))
