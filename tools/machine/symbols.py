# Adds symbols and source lines to the addresses of a kernel's panic report.
# The kernel prints plain addresses: its own tables would make it bigger, and the ELF file is at hand here.
# Called by tools/boot for each line that follows a panic.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import bisect
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

# The linker script names the borders of its sections; at the same address, a function says more.
BORDER = re.compile(r"(image|header|boot|text|rodata|data|bss)_(start|end)")
ADDRESS = re.compile(r"0x([0-9a-f]{16})|(?<=rip )([0-9a-f]{16})")
PT_LOAD, PF_X = 1, 1


def text_ranges(elf: Path) -> list[range]:
    """The addresses that hold code: the executable segments of an ELF64 file."""
    data = elf.read_bytes()
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    ranges = []
    for number in range(count):
        kind, flags, _, address, _, _, length = struct.unpack_from("<IIQQQQQ", data, table + number * size)
        if kind == PT_LOAD and flags & PF_X:
            ranges.append(range(address, address + length))
    return ranges


class Symbols:
    """The symbols of one kernel, and the tool that knows its source lines."""

    def __init__(self, elf: Path, root: Path):
        self.elf = elf
        self.root = root
        self.text = text_ranges(elf)
        pairs = [line.split() for line in elf.with_suffix(".sym").read_text().splitlines()]
        table = sorted((int(address, 16), name) for address, name in pairs if not BORDER.fullmatch(name))
        self.addresses = [address for address, _ in table]
        self.names = [name for _, name in table]
        self.faults: set[int] = set()
        self.tool = shutil.which("addr2line") or shutil.which("llvm-addr2line")

    def annotate(self, line: str, calls: bool) -> str:
        """Adds ' <symbol+0xoff file:line>' behind each address of kernel code. In a backtrace the addresses are
        those behind a call, except the RIP of a fault; it is the call that a reader looks for."""
        def describe(match: re.Match) -> str:
            address = int(match[1] or match[2], 16)
            if match[2]:
                self.faults.add(address)
            if not any(address in one for one in self.text):
                return match.group()
            behind_call = calls and address not in self.faults
            return f"{match.group()} <{self.describe(address, address - behind_call)}>"
        return ADDRESS.sub(describe, line)

    def describe(self, address: int, looked_up: int) -> str:
        place = bisect.bisect_right(self.addresses, looked_up) - 1
        symbol = f"{self.names[place]}+{address - self.addresses[place]:#x}" if place >= 0 else "?"
        begins = place >= 0 and self.addresses[place] == address == looked_up
        return " ".join(filter(None, [symbol, self.source_line(looked_up, begins)]))

    def source_line(self, address: int, outermost: bool = False) -> str:
        """'stages/NN-name/kernel/file.c:12', by way of the link in build/NN/src. Where code of another function is
        inlined it is that one's line, or, outermost, the line of the function around."""
        if not self.tool:
            return ""
        done = subprocess.run([self.tool, "-i", "-e", str(self.elf), hex(address)], stdout=subprocess.PIPE, text=True)
        lines = done.stdout.strip().splitlines() or [""]
        path, _, line = lines[-1 if outermost else 0].split(" (")[0].rpartition(":")
        if not path or path == "??":
            return ""
        return f"{os.path.relpath(os.path.realpath(self.root / path), self.root)}:{line}"
