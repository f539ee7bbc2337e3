# What is known of a fault, and where it is read: QEMU's log of exceptions (-d int), its monitor's registers, Bochs'
# log, and the kernel's own panic report. The formats are those of QEMU 7.2 and Bochs 2.7.
# Used by tools/machine/crash.py and tools/machine/hang.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Callable, Union

# Source: SDM 3A, "Exception and Interrupt Reference".
NAMES = {
    0: ("#DE", "divide error"), 1: ("#DB", "debug"), 2: ("NMI", "non-maskable interrupt"), 3: ("#BP", "breakpoint"),
    4: ("#OF", "overflow"), 5: ("#BR", "bound range"), 6: ("#UD", "invalid opcode"), 7: ("#NM", "no FPU"),
    8: ("#DF", "double fault"), 10: ("#TS", "invalid TSS"), 11: ("#NP", "segment not present"),
    12: ("#SS", "stack segment fault"), 13: ("#GP", "general protection"), 14: ("#PF", "page fault"),
    16: ("#MF", "x87 error"), 17: ("#AC", "alignment check"), 18: ("#MC", "machine check"), 19: ("#XM", "SIMD error"),
}
VECTORS = {name: vector for vector, (name, _) in NAMES.items()}
WITH_ERROR_CODE = (8, 10, 11, 12, 13, 14, 17)
WITH_SELECTOR = (10, 11, 12, 13)
UNKNOWN = -1            # a vector that nobody has noted
Registers = dict[str, int]
# Reads a number of so many bytes at a linear address, or raises LookupError.
Memory = Callable[[int, int], int]


@dataclass
class Fault:
    """One exception or interrupt, and the CPU's registers when it struck. `nested` are those that its delivery raised
    in turn, as vector and, where it is known, error code."""

    vector: int
    error: Union[int, None]
    registers: Registers
    cpu: Union[int, None] = None
    nested: list[tuple[int, Union[int, None]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)      # what the emulator said of it
    backtrace: list[int] = field(default_factory=list)  # of the kernel's report: RIP, and then return addresses
    struck: Union[int, None] = None                     # the address of the first #PF among `nested`

    @property
    def name(self) -> str:
        return NAMES[self.vector][0] if self.vector in NAMES else f"interrupt {self.vector:#x}"

    @property
    def ring(self) -> int:
        return self.registers.get("cs", 0) & 3


def hexadecimal(pattern: str, text: str) -> Union[int, None]:
    found = re.search(pattern, text)
    return int(found[1], 16) if found else None


# QEMU

RECORD = re.compile(r"^ *\d+: v=([0-9a-f]+) e=([0-9a-f]+) .*?cpl=(\d)[^\n]*\n(.*?^EFER=[0-9a-f]+)",
                    re.MULTILINE | re.DOTALL)
RAISED = re.compile(r"^check_exception old: 0x([0-9a-f]+) new 0x([0-9a-f]+)$", re.MULTILINE)
FIRST = 0xffffffff
GENERAL = "RAX RBX RCX RDX RSI RDI RBP RSP R8 R9 R10 R11 R12 R13 R14 R15 RIP CR0 CR2 CR3 CR4 EFER".split()


def qemu_registers(text: str) -> Registers:
    """The registers of a dump, in the log or in the monitor. Without a line of general registers in 64 bits the CPU
    is in a mode of 32 or 16 bits."""
    found = {}
    for name in GENERAL:
        value = hexadecimal(rf"\b{name} *=([0-9a-f]+)", text)
        if value is None and name[0] == "R":
            value = hexadecimal(rf"\bE{name[1:]}=([0-9a-f]+)", text)
        if value is not None:
            found[name.lower()] = value
    found["rflags"] = hexadecimal(r"\b(?:RFL|EFL)=([0-9a-f]+)", text) or 0
    found["halted"] = hexadecimal(r"\bHLT=(\d)", text) or 0
    for name, selector, base in re.findall(r"^([CDEFGS]S|TR|LDT) *=([0-9a-f]+) ([0-9a-f]+)", text, re.MULTILINE):
        found[name.lower()] = int(selector, 16)
        found[f"{name.lower()}_base"] = int(base, 16)
    for name, base, limit in re.findall(r"^(GDT|IDT|TR) *=\w* +([0-9a-f]+) ([0-9a-f]+)", text, re.MULTILINE):
        found[f"{name.lower()}_base"], found[f"{name.lower()}_limit"] = int(base, 16), int(limit, 16)
    return found


def qemu_cpus(text: str) -> list[Registers]:
    """The registers of all CPUs, as `info registers -a` prints them."""
    return [qemu_registers(part) for part in re.split(r"^CPU#\d+$", text, flags=re.MULTILINE)[1:]]


def qemu_error(vector: int, error: int) -> Union[int, None]:
    """QEMU counts the IDT's entries in 16 bytes where an error code names one; CPUs, and we, count in 8."""
    if vector not in WITH_ERROR_CODE:
        return None
    return error & 1 | 2 | error >> 4 << 3 if vector in WITH_SELECTOR and error & 2 else error


def unmoved(before: Registers, after: Registers) -> bool:
    """Did the second exception strike while the first one was delivered? Then no instruction was executed between."""
    return all(before.get(name) == after.get(name) for name in before if name != "cr2")


def qemu_faults(log: str) -> list[Fault]:
    """The records of a log, the last one last. Records of a fault's delivery that fails belong to that fault."""
    found: list[Fault] = []
    position = 0
    for match in RECORD.finditer(log):
        raised = [(int(old, 16), int(new, 16)) for old, new in RAISED.findall(log, position, match.start())]
        position = match.end()
        vector = int(match[1], 16)
        error = qemu_error(vector, int(match[2], 16))
        fault = Fault(vector, error, qemu_registers(match[4]))
        if found and (raised and raised[-1][0] != FIRST or unmoved(found[-1].registers, fault.registers)):
            found[-1].nested.append((vector, error))
            if vector == VECTORS["#PF"] and found[-1].struck is None:
                found[-1].struck = fault.registers.get("cr2")
        else:
            found.append(fault)
    if found:
        found[-1].nested += [(int(new, 16), None) for old, new in RAISED.findall(log, position)
                             if int(old, 16) != FIRST]
    return found


# Bochs

BOCHS_FLAGS = {"if": 9, "df": 10, "nt": 14, "ac": 18, "tf": 8}


def bochs_registers(text: str) -> Registers:
    """The dump that Bochs writes when it gives up."""
    found = {}
    for name in GENERAL:
        value = hexadecimal(rf"\b{name} *= *(?:0x)?([0-9a-f]+)", text)
        if value is None and name[0] == "R":
            value = hexadecimal(rf"\bE{name[1:]}=([0-9a-f]+)", text)
        if value is not None:
            found[name.lower()] = value
    for name, selector in re.findall(r"([CDEFGS]S):([0-9a-f]{4})\(", text):
        found[name.lower()] = int(selector, 16)
    for name in ("FS", "GS"):
        found[f"{name.lower()}_base"] = hexadecimal(rf"MSR_{name}_BASE:([0-9a-f]+)", text) or 0
    flags = re.search(r"\| IOPL=.*", text)
    text = flags[0] + " " if flags else ""
    found["rflags"] = sum(1 << bit for name, bit in BOCHS_FLAGS.items() if f" {name.upper()} " in text)
    return found


def bochs_fault(log: str) -> Union[Fault, None]:
    """The fault that ended a run: all that its CPU has said at its last moment. Behind the panic Bochs dumps the
    registers of CPU 0, whichever CPU it was. The log of an explaining run (`debug: cpuN=report`) has the vector and the
    error code as well; without them, the vector is unknown."""
    ended = re.search(r"^(\d+)p\[CPU(\d+) *\] >>PANIC<< exception\(\): 3rd", log, re.MULTILINE)
    if not ended:
        return None
    said = re.findall(rf"^{ended[1]}([ied])\[CPU{ended[2]} *\] (.*)$", log[:ended.start()], re.MULTILINE)
    text = "\n".join(line for _, line in said)
    raised = list(re.finditer(r"^exception\(0x([0-9a-f]+)\): error_code=([0-9a-f]+)$", text, re.MULTILINE))
    chain = [(int(match[1], 16), int(match[2], 16)) for match in raised]
    registers = bochs_registers(text)
    walked = re.findall(r"page walk for address 0x([0-9a-f]+)", text[:raised[0].start()]) if raised else []
    if walked:      # CR2 is that of the last #PF, and this is where the first one struck
        registers["cr2"] = int(walked[-1], 16)
    words = list(dict.fromkeys(line for kind, line in said if kind == "e"))
    (vector, error), nested = (chain[0], chain[1:]) if chain else ((UNKNOWN, None), [])
    return Fault(vector, error if vector in WITH_ERROR_CODE else None, registers, int(ended[2]), nested, words)


# The kernel

REPORT = re.compile(r"^panic: CPU (\d+): (?:kernel stack overflow: )?(#?\w+) \([^)]*\) in ring \d\n(.*)",
                    re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"\b(rip|rsp|rflags|cs|ss|error|r[a-d]x|r[sd]i|rbp|r\d+|cr\d) +([0-9a-f]+)")


def panic_fault(report: str) -> Union[Fault, None]:
    """The fault of a panic report, if it was one: the frame that the CPU pushed, and what the entry saved. Of a
    register that is printed twice the first one is the frame's."""
    found = REPORT.search(report)
    if not found or found[2] not in VECTORS:
        return None
    registers: Registers = {}
    for name, value in PRINTED.findall(found[3]):
        registers.setdefault(name, int(value, 16))
    vector = VECTORS[found[2]]
    error = registers.pop("error", None)
    backtrace = [int(address, 16) for address in re.findall(r"^ +0x([0-9a-f]{16})", found[3], re.MULTILINE)]
    return Fault(vector, error if vector in WITH_ERROR_CODE else None, registers, int(found[1]), backtrace=backtrace)
