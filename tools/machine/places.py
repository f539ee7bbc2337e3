# What the addresses of a recorded walk are: the instruction with its symbol and source line, in the kernel or in a
# program; and the regions that a value may point into, such as a stack or a CPU's PCR.
# Used by tools/machine/recorder.py, while the machine stands still.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Union

from layers import ROOT

from .listing import Listing
from .stepper import State, Stepper
from .walk import Kernel

# From kernel/memory.h, kernel/program.c and kernel/smp.h; a test compares them.
USER_TOP = 0x0000800000000000
STACK_BASE = 0xffffc00000000000
STACK_END = 0xffffd00000000000
STACK_SLOT_SIZE = 0x4000
KERNEL_STACK_SIZE = 0x3000
USER_STACK_TOP = 0x00007fffffff0000
USER_STACK_SIZE = 0x20000
AP_PAGE = 0x8000
PAGE_SIZE = 0x1000

NEAR = 6                # instructions around one, so that a reader sees it among its like
LINES = 10              # and lines of source
INTERRUPT_STACKS = 7    # places in a TSS
# Of these the trace says where each member lies.
STRUCTURES = ("trap_frame", "pcr", "tss")


class Places:
    """Collects what a trace says of addresses."""

    def __init__(self, kernel: Kernel, programs: list[tuple[Path, list[str]]]):
        self.kernel = kernel
        self.kernel_listing = Listing(kernel.symbols.elf)
        self.programs = [Listing(path, path.name) for path in dict.fromkeys(path for path, _ in programs)]
        self.owners: dict[tuple[int, int], Union[Listing, None]] = {}      # by address space and page
        self.entries: dict[tuple[str, int, str], int] = {}
        self.codes: list[dict[str, Any]] = []
        self.regions: dict[str, dict[str, Any]] = {}
        self.add_fixed_regions()

    # The code

    def code(self, stepper: Stepper, cpu: int, state: State) -> int:
        """The number of an instruction in the trace's table."""
        listing = self.listing_of(stepper, cpu, state)
        text = state.text
        # objdump takes all code for 64-bit code; Bochs knows better, but no names.
        if listing and state.long:
            text = listing.instructions.get(state.address, text)
        return self.entry(listing, state.address, text)

    def entry(self, listing: Union[Listing, None], address: int, text: str) -> int:
        key = (listing.name if listing else "?", address, text)
        if key not in self.entries:
            self.entries[key] = len(self.codes)
            found: dict[str, Any] = {"address": f"{address:#x}", "text": text}
            symbol = listing.symbol(self.home(address)) if listing else ""
            if symbol:
                found["symbol"] = symbol
            if listing and listing.name:
                found["program"] = listing.name
            self.codes.append(found)
        return self.entries[key]

    def text(self, code: Union[int, None]) -> str:
        return "" if code is None else self.codes[code]["text"]

    def home(self, address: int) -> int:
        """Where in the kernel's file an instruction lies that is executed from the copy for the start of a CPU."""
        start, end = (self.kernel.addresses.get(name, 0) for name in ("ap_trampoline", "ap_trampoline_end"))
        return start + address - AP_PAGE if AP_PAGE <= address < AP_PAGE + end - start else address

    def listing_of(self, stepper: Stepper, cpu: int, state: State) -> Union[Listing, None]:
        address = self.home(state.address)
        if address != state.address or self.kernel_listing.holds_code(address) and not state.registers["cpl"]:
            return self.kernel_listing
        if address >= USER_TOP:
            return None
        key = (state.registers["cr3"], address // PAGE_SIZE)
        if key not in self.owners:
            stepper.choose(cpu)
            self.owners[key] = self.program_with(stepper, address)
        return self.owners[key]

    def program_with(self, stepper: Stepper, address: int) -> Union[Listing, None]:
        """The program whose code lies in a page: the one whose file has the same there."""
        start = address // PAGE_SIZE * PAGE_SIZE
        memory = b"".join(word.to_bytes(8, "little") for word in stepper.words(start, PAGE_SIZE // 8))
        for listing in self.programs:
            for first, _, _, data in listing.segments:
                low, high = max(first, start), min(first + len(data), start + PAGE_SIZE)
                if low <= address < high and data[low - first:high - first] == memory[low - start:high - start]:
                    return listing
        return None

    def tables(self) -> dict[str, Any]:
        """The instructions with their source, those around them too, and what else the trace says of addresses."""
        listings = {listing.name: listing for listing in (self.kernel_listing, *self.programs)}
        for (name, address, _), _ in list(self.entries.items()):
            listing = listings.get(name)
            for near in listing.neighbours(address, NEAR) if listing else ():
                if not self.has(name, near):
                    self.entry(listing, near, listing.instructions[near])
        files: dict[str, set[int]] = {}
        for name, listing in listings.items():
            self.add_sources(name, listing, files)
        self.add_trampoline(files)
        names = sorted(files)
        for code in self.codes:
            if "file" in code:
                code["file"] = names.index(code["file"])
        return {"regions": sorted(self.regions.values(), key=lambda one: (int(one["start"], 16), one["name"])),
                "structures": self.structures(), "files": [source_lines(name, files[name]) for name in names],
                "code": self.codes}

    def add_trampoline(self, files: dict[str, set[int]]) -> None:
        """The source of the code that another CPU starts with. It lies in .rodata, for which the assembler notes no
        lines; but it is executed from its first instruction to its last, so they can be counted, from the end."""
        codes = sorted((code for code in self.codes if code.get("symbol", "").startswith("ap_trampoline")),
                       key=lambda code: int(code["address"], 16))
        place = self.kernel_listing.lines([self.kernel.addresses.get("ap_start", 0)]).values() if codes else ()
        for file, _ in place:
            lines = instruction_lines((ROOT / file).read_text(), "ap_trampoline")
            for code, line in zip(reversed(codes), reversed(lines)):
                code.update(file=file, line=line)
                files.setdefault(file, set()).add(line)

    def has(self, name: str, address: int) -> bool:
        return any(key[:2] == (name, address) for key in self.entries)

    def add_sources(self, name: str, listing: Listing, files: dict[str, set[int]]) -> None:
        places = {number: key[1] for key, number in self.entries.items() if key[0] == name}
        found = listing.lines(sorted(set(places.values())))
        for number, address in places.items():
            if address in found:
                file, line = found[address]
                self.codes[number].update(file=file, line=line)
                files.setdefault(file, set()).add(line)

    def structures(self) -> dict[str, Any]:
        known = self.kernel.structures
        return {name: {"size": known.size(name),
                       "members": [[member, offset, size] for member, (offset, size) in known.members(name).items()]}
                for name in STRUCTURES if name in known.known}

    # The regions

    def add_region(self, name: str, start: int, end: int, structure: str = "") -> None:
        self.regions.setdefault(name, {"name": name, "start": f"{start:#x}", "end": f"{end:#x}",
                                       **({"structure": structure} if structure else {})})

    def add_stack(self, name: str, inside: int) -> None:
        """A stack by an address in it, or its top: it lies at the end of a slot."""
        if STACK_BASE < inside < STACK_END:
            end = STACK_BASE + ((inside - 1 - STACK_BASE) // STACK_SLOT_SIZE + 1) * STACK_SLOT_SIZE
            self.add_region(name, end - KERNEL_STACK_SIZE, end)

    def add_fixed_regions(self) -> None:
        addresses = self.kernel.addresses
        self.add_region("user stack", USER_STACK_TOP - USER_STACK_SIZE, USER_STACK_TOP)
        if "boot_stack_top" in addresses:
            self.add_region("boot stack", addresses["boot_stack_guard"] + PAGE_SIZE, addresses["boot_stack_top"])
        if "cpu_tss" in addresses:
            start = addresses["cpu_tss"]
            self.add_region("TSS", start, start + self.kernel.structures.size("tss"), "tss")

    def observe(self, stepper: Stepper, cpu: int, state: State) -> None:
        """Looks for PCRs, stacks and tasks that were not known yet. From stage 05 on the PCRs form a list."""
        if not state.long:
            return
        stepper.choose(cpu)
        rsp = state.registers["rsp"]
        if "pcr" in self.kernel.structures.known:
            for base in (state.registers["gs_base"], state.registers["kernel_gs_base"]):
                seen: set[int] = set()
                while base >= USER_TOP and base not in seen and self.read(stepper, "pcr", base, "self") == base:
                    seen.add(base)
                    self.observe_pcr(stepper, base)
                    base = self.read(stepper, "pcr", base, "next")
        elif "cpu_tss" in self.kernel.addresses:
            tss = self.kernel.addresses["cpu_tss"]
            tops = [self.read(stepper, "tss", tss, f"ist[{number}]") for number in range(INTERRUPT_STACKS)]
            self.add_interrupt_stacks(tops, "")
            task = stepper.value(self.kernel.addresses["current_task"], 8)
            self.observe_task(stepper, task, self.read(stepper, "tss", tss, "rsp0"))
        if not any(int(one["start"], 16) <= rsp <= int(one["end"], 16) for one in self.regions.values()):
            self.add_stack(f"kernel stack {(rsp - 1 - STACK_BASE) // STACK_SLOT_SIZE}", rsp)

    def observe_pcr(self, stepper: Stepper, base: int) -> None:
        number = self.read(stepper, "pcr", base, "cpu")
        self.add_region(f"PCR of CPU {number}", base, base + self.kernel.structures.size("pcr"), "pcr")
        tops = [self.read(stepper, "pcr", base, f"tss.ist[{place}]") for place in range(INTERRUPT_STACKS)]
        self.add_interrupt_stacks(tops, f" of CPU {number}")
        task = self.read(stepper, "pcr", base, "current")
        self.observe_task(stepper, task, self.read(stepper, "pcr", base, "tss.rsp0"))

    def add_interrupt_stacks(self, tops: list[int], whose: str) -> None:
        for number, top in enumerate(tops, 1):
            self.add_stack(f"IST stack {number}{whose}", top)

    def observe_task(self, stepper: Stepper, task: Union[int, None], rsp0: int) -> None:
        if not task:
            return
        number = self.read(stepper, "task", task, "id")
        top = self.read(stepper, "task", task, "kernel_stack_top") or rsp0
        self.add_stack(f"kernel stack of task {number}", top)

    def read(self, stepper: Stepper, structure: str, address: int, member: str) -> int:
        """A member of a structure; 0 if there is none, or no memory."""
        if not address:
            return 0
        try:
            offset, size = self.kernel.structures.member(structure, member)
        except LookupError:
            return 0
        return stepper.value(address + offset, size) or 0


def instruction_lines(text: str, name: str) -> list[int]:
    """The numbers of the lines of an assembly file that hold the instructions of a routine, up to its data."""
    lines = text.splitlines()
    begin = next((number for number, line in enumerate(lines) if line.startswith(f"FUNCTION({name})")), len(lines))
    found = []
    for number, line in enumerate(lines[begin + 1:], begin + 2):
        words = re.sub(r"/\*.*?(\*/|$)|^\w+:", "", line).split()
        if words and words[0] == ".org":
            break
        if words and not words[0].startswith("."):
            found.append(number)
    return found


def source_lines(name: str, lines: set[int]) -> dict[str, Any]:
    """A file of the checkout, with the text of some lines and of those around them."""
    text = (ROOT / name).read_text(errors="replace").splitlines()
    wanted = sorted({near for line in lines for near in range(line - LINES, line + LINES + 1) if 0 < near <= len(text)})
    return {"name": name, "lines": {str(line): text[line - 1] for line in wanted}}
