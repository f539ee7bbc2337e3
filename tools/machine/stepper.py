# Executes instructions in Bochs one at a time and says of each what it did: the registers behind it, the memory that it
# read and wrote, the interrupt that it took. It knows nothing of walks.
# Used by tools/machine/recorder.py. What it says of Bochs holds for 2.7.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Union

from .bochs_debugger import BochsDebugger, DebuggerError

GENERAL = re.compile(r"^(r[a-z0-9]{1,2}) ?: ([0-9a-f]{8})_([0-9a-f]{8})", re.MULTILINE)
FLAGS = re.compile(r"^eflags 0x([0-9a-f]+)", re.MULTILINE)
SELECTOR = re.compile(r"^(es|cs|ss|ds|fs|gs):0x([0-9a-f]{4})", re.MULTILINE)
CODE_SIZE = re.compile(r"^cs:.*\n.*, (16|32|64)-bit", re.MULTILINE)
CONTROL = re.compile(r"^(CR0|CR2|CR3|CR4|EFER)=(?:page fault laddr=)?0x([0-9a-f]+)", re.MULTILINE)
IDT = re.compile(r"^idtr:base=0x([0-9a-f]+)", re.MULTILINE)
SHOWN = re.compile(r"^\s*(?:base|kernelgsbase) = 0x([0-9a-f]+)", re.MULTILINE)
ACCESS = re.compile(r"^\[CPU(\d+) (RD|WR|RW)\]: (?:LIN 0x([0-9a-f]+) )?PHY (\S+) \(len=(\d+)[^)]*\): "
                    r"((?:0x[0-9A-Fa-f]+ ?)+)", re.MULTILINE)
NEXT = re.compile(r"^\((\d+)\) \[0x[0-9a-f]+\] \S+ \(.*?\): (.*?)\s*; [0-9a-f]+$", re.MULTILINE)
DISASSEMBLED = re.compile(r"^[0-9a-f]+: \(.*?\): (.*?)\s*; [0-9a-f]+$", re.MULTILINE)
WORDS = re.compile(r"^0x[0-9a-f]+ <.*?>:((?:\t0x[0-9a-f]+)*)", re.MULTILINE)
SHOWS = ("CS.base", "FS.base", "GS.base", "MSR.kernelgsbase")
REGISTERS = ("rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags cs ss ds es fs gs "
             "fs_base gs_base kernel_gs_base cr0 cr2 cr3 cr4 efer cpl").split()
PROTECTED = 1           # CR0.PE
GATES = 0x1000          # bytes of an IDT
PUSHED = 5              # words that every interrupt pushes in 64-bit mode: SS, RSP, RFLAGS, CS, RIP


@dataclass
class State:
    """A CPU between two instructions."""

    registers: dict[str, int]
    address: int            # of the next instruction: RIP, and in real mode what CS adds
    long: bool              # 64-bit code
    idt: int
    text: str = ""          # the next instruction as Bochs disassembles it


@dataclass
class Access:
    """One access to memory by its linear address."""

    write: bool
    address: int
    size: int
    value: int


@dataclass
class Happening:
    """What became of one instruction, or of an interrupt between two."""

    cpu: int
    before: State
    after: State
    accesses: list[Access] = field(default_factory=list)
    vectors: list[int] = field(default_factory=list)    # of the IDT's gates that were taken; the last one counts
    between: bool = False                               # no instruction: an interrupt came before the next one


class Stepper:
    """One machine, of which one CPU at a time executes instructions."""

    def __init__(self, debugger: BochsDebugger):
        self.debugger = debugger
        self.states: dict[int, State] = {}
        self.traced: set[int] = set()           # CPUs whose accesses Bochs prints

    def choose(self, cpu: int, traced: bool = False) -> None:
        if self.debugger.cpu != cpu:
            self.debugger.command(f"set $cpu={cpu}")
        if traced != (cpu in self.traced):
            self.debugger.command(f"trace-mem {'on' if traced else 'off'}")
            self.traced ^= {cpu}

    def look(self, cpu: int) -> State:
        """The state of a CPU that has run unseen."""
        self.choose(cpu)
        state = read_state(self.ask(cpu))
        found = DISASSEMBLED.search("".join(self.debugger.command(f"u /1 {state.address:#x}")))
        state.text = found[1] if found else ""
        self.states[cpu] = state
        return state

    def ask(self, cpu: int, before: str = "") -> str:
        shows = ";".join(f'show "cpu{cpu}.{name}"' for name in SHOWS)
        return "".join(self.debugger.command(f"{before}r;sreg;creg;{shows}"))

    def step(self, cpu: int) -> list[Happening]:
        """Executes one instruction of one CPU; the others stand still. An interrupt from outside comes before it, and
        Bochs takes both in one go: that is two happenings."""
        self.choose(cpu, traced=True)
        before = self.states[cpu]
        text = self.ask(cpu, f"s {cpu} 1;")
        after = read_state(text)
        for number, instruction in NEXT.findall(text):
            if int(number) == cpu:
                after.text = instruction
        self.states[cpu] = after
        accesses = accesses_in(text, cpu)
        happening = Happening(cpu, before, after, accesses)
        vectors, target = gates_taken(before.idt, accesses)
        if target == after.address:
            happening.vectors = vectors
        elif vectors and target < after.address < target + 16:
            return self.split(happening, vectors, target)
        return [happening]

    def split(self, both: Happening, vectors: list[int], target: int) -> list[Happening]:
        """The delivery of an interrupt, and the handler's first instruction, which is a push: it changes no flag."""
        pushes = [number for number, access in enumerate(both.accesses) if access.write]
        cut = pushes[PUSHED - 1] + 1
        top = both.accesses[cut - 1].address
        registers = {**both.after.registers, "rip": target, "rsp": top}
        between = State(registers, target, both.after.long, both.after.idt)
        return [Happening(both.cpu, both.before, between, both.accesses[:cut], vectors, True),
                Happening(both.cpu, between, both.after, both.accesses[cut:])]

    def skip(self, cpu: int, count: int) -> None:
        """Executes so many instructions of one CPU unseen."""
        self.choose(cpu)
        self.debugger.command(f"s {cpu} {count}")

    def executed(self, cpu: int) -> int:
        """How many instructions a CPU has executed since the machine started."""
        return int("".join(self.debugger.command(f'show "cpu{cpu}.icount"')).split()[-1])

    def words(self, address: int, count: int) -> list[int]:
        """Words of 8 bytes in memory, as many of them as there are."""
        answer = "".join(self.debugger.command(f"x /{count}gx {address:#x}"))
        return [int(word, 16) for line in WORDS.findall(answer) for word in line.split()]

    def value(self, address: int, size: int) -> Union[int, None]:
        try:
            return self.debugger.read(address, size)
        except LookupError:
            return None


def accesses_in(text: str, cpu: int) -> list[Access]:
    """The accesses to memory in what the debugger printed. An instruction that changes memory in place (add, or, lock
    cmpxchg) reads, which is shown as RW, and writes to the same place, which is shown without the linear address."""
    found, changed = [], {}
    for number, kind, linear, physical, size, value in ACCESS.findall(text):
        if int(number) != cpu:
            continue
        address = int(linear, 16) if linear else changed.get(physical)
        if kind == "RW":
            changed[physical] = address
        if address is not None:
            found.append(Access(kind == "WR", address, int(size), int(value.replace("0x", "").replace(" ", ""), 16)))
    return found


def read_state(text: str) -> State:
    """The registers in what the debugger printed."""
    registers = {name: int(high + low, 16) for name, high, low in GENERAL.findall(text)}
    registers.update((name, int(value, 16)) for name, value in SELECTOR.findall(text))
    registers.update((name.lower(), int(value, 16)) for name, value in CONTROL.findall(text))
    registers["rflags"] = int(FLAGS.search(text)[1], 16)
    shown = [int(value, 16) for value in SHOWN.findall(text)]
    if len(shown) != len(SHOWS) or not registers.keys() >= {"rip", "cs", "cr0", "efer"}:
        raise DebuggerError(f"the debugger did not show the registers but: {' '.join(text.split())[:200]}")
    code_base, registers["fs_base"], registers["gs_base"], registers["kernel_gs_base"] = shown
    size = CODE_SIZE.search(text)
    long = size is not None and size[1] == "64"
    protected = registers["cr0"] & PROTECTED
    registers["cpl"] = registers["cs"] & 3 if protected else 0      # in real mode a selector is no more than a number
    address = registers["rip"] + (0 if long else code_base)
    return State({name: registers[name] for name in REGISTERS}, address, long, int(IDT.search(text)[1], 16))


def gates_taken(idt: int, accesses: list[Access]) -> tuple[list[int], int]:
    """The vectors of the gates that the CPU has read, and where the last one leads. A page fault on a stack that is not
    there makes the CPU read two: that of the fault, and that of the double fault."""
    low = [access for access in accesses if not access.write and access.size == 8
           and idt <= access.address < idt + GATES and (access.address - idt) % 16 == 0]
    if not low:
        return [], -1
    high = [access.value for access in accesses if access.address == low[-1].address + 8 and not access.write]
    if not high:
        return [], -1
    gate = low[-1].value
    target = gate & 0xffff | gate >> 48 << 16 | high[-1] << 32 & 0xffffffff00000000
    return [(access.address - idt) // 16 for access in low], target


def version_of_bochs(debugger: BochsDebugger) -> str:
    """Bochs says in its log which one it is."""
    found = re.search(r"Bochs x86 Emulator (\S+)", debugger.log.read_text(errors="replace"))
    return f"Bochs {found[1] if found else '(unknown version)'}"
