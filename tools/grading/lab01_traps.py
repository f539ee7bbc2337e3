# Lab 01, once a program runs: the gates, what ring 3 may and may not, and the interrupt stacks. Each is provoked,
# looked at where the CPU has come to, and taken back by an IRETQ of the grader's own.
# Used by lab01.py and lab01_frames.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from . import ring0
from .target import Target
from .work import Bench, Program

RSP0, IST = 4, 36
DB, NMI, BP, DOUBLE_FAULT, GP, PF, MC, INT80 = 1, 2, 3, 8, 13, 14, 18, 0x80
NAMES = {DB: "#DB", NMI: "NMI", DOUBLE_FAULT: "#DF", MC: "#MC"}
INTERRUPT_GATE, TRAP_GATE = 14, 15
PORTS = (0x20, 0x40, 0x60, 0x64, 0x70, 0x80, 0x3f8, 0xcf8, 0xffff)
FREE_PORT = 0x80            # of the challenge
IN_AL_DX, IN_AX_DX, OUT_DX_AL = b"\xec", b"\x66\xed", b"\xee"


def decode_gate(low: int, high: int) -> dict[str, int]:
    """Where it leads, its IST stack, its type and the ring that may call it."""
    return {"address": low & 0xffff | low >> 32 & 0xffff0000 | (high & 0xffffffff) << 32,
            "selector": low >> 16 & 0xffff, "ist": low >> 32 & 7, "type": low >> 40 & 0xf, "dpl": low >> 45 & 3,
            "present": low >> 47 & 1}


class Traps:
    """Stands in ring 3. `top`: of the kernel's stack, which tss.rsp0 names; `kernel_code`: CS in ring 0."""

    def __init__(self, bench: Bench, target: Target, program: Program, top: int, kernel_code: int):
        self.bench, self.target, self.program, self.top, self.kernel_code = bench, target, program, top, kernel_code
        tables = target.tables()
        self.tss, self.idt = tables["TR"].base, tables["IDT"]
        self.read_gates()
        self.at = program["call"]           # instructions of ours are put there

    def judge(self) -> None:
        self.gates()
        self.ist_stacks()
        self.ist_gates()
        self.rsp0()
        self.ports()
        self.rings()
        self.double_fault()
        self.challenges()

    def strike(self, code: bytes, **values: int) -> dict[str, int]:
        return ring0.strike(self.target, self.at, code, **values)

    def back(self, words: int = 5) -> None:
        """To ring 3, from the first instruction behind a gate; 6 words with an error code."""
        ring0.back(self.target, self.target["rsp"] + 8 * (words - 5))

    def read_gates(self) -> None:
        """All of them at once: 256 times is slow."""
        size = min(self.idt.limit + 1, 4096) // 16 * 16
        try:
            data = b"".join(self.target.bytes(self.idt.base + at, min(512, size - at)) for at in range(0, size, 512))
        except LookupError:         # nobody has loaded IDTR
            data, size = b"", 0
        data += bytes(4096 - size)
        self.words = [int.from_bytes(data[at:at + 8], "little") for at in range(0, 4096, 8)]

    def gate(self, vector: int) -> dict[str, int]:
        return decode_gate(self.words[2 * vector], self.words[2 * vector + 1])

    def gates(self) -> None:
        """As they are in memory."""
        table = self.idt
        if table.limit != 256 * 16 - 1:
            self.bench.failed("gates",
                f"IDTR's limit is {table.limit:#x}; the last byte of 256 gates is {256 * 16 - 1:#x}")
        self.broken = self.broken_gates()
        if self.broken:
            vector, problem = next(iter(self.broken.items()))
            more = f", and {len(self.broken) - 1} more are wrong" if len(self.broken) > 1 else ""
            self.bench.failed("gates", f"the gate of vector {vector} {problem}{more}")
            for vector in self.broken:
                self.mend_gate(vector)
            self.read_gates()
            self.broken = self.broken_gates()
        self.bench.passed("gates")

    def broken_gates(self) -> dict[int, str]:
        problems = {vector: self.gate_problem(self.gate(vector)) for vector in range(256)}
        return {vector: problem for vector, problem in problems.items() if problem}

    def mend_gate(self, vector: int) -> None:
        """All of it but the address, whose upper half is known."""
        low, at = self.words[2 * vector], self.idt.base + 16 * vector
        if not low & 0xffff or vector > self.idt.limit // 16:
            return
        self.target.write(at, low & ~(0xf << 40) & ~0xffff0000 | 0x8e << 40 | self.kernel_code << 16)
        self.target.write(at + 8, 0xffffffff, 4)

    def gate_problem(self, gate: dict[str, int]) -> str:
        if not gate["present"]:
            return "is not present"
        if gate["type"] == TRAP_GATE:
            return "is a trap gate: it leaves IF as it is"
        if gate["type"] != INTERRUPT_GATE:
            return f"is of type {gate['type']}"
        if not self.bench.code.is_text(gate["address"]):
            return f"leads to {gate['address']:#x}, where the kernel has no code"
        return "" if gate["selector"] == self.kernel_code else f"names the selector {gate['selector']:#x}"

    def ist_stacks(self) -> None:
        tops = {number: self.target.read(self.tss + IST + 8 * (number - 1)) for number in range(1, 8)}
        problems = {number: ring0.stack_problem(self.target, top) for number, top in tops.items()}
        for number in problems:
            shared = [one for one in tops if one < number and tops[one] == tops[number]]
            if not problems[number] and (shared or tops[number] == self.top):
                problems[number] = f"which is {f'IST {shared[0]}' if shared else 'rsp0'} as well"
        used = {self.gate(vector)["ist"] for vector in NAMES} - {0}
        wrong = [number for number in sorted(used) if problems[number]]
        good = [number for number, problem in problems.items() if not problem]
        if not wrong and len(good) < 4:
            wrong = [number for number in problems if problems[number]][:1]
        if wrong:
            number = wrong[0]
            self.bench.failed("ist-stacks",
                f"IST {number} (ist[{number - 1}] of the TSS) is {tops[number]:#x}, "
                f"{problems[number]}; {len(good)} of the seven are good stacks, and 4 are wanted")
        for number in used & set(number for number in problems if problems[number]):
            self.target.write(self.tss + IST + 8 * (number - 1), self.top - 0x800 - 0x200 * number)
        self.bench.passed("ist-stacks")

    def ist_gates(self) -> None:
        own = {vector: self.gate(vector)["ist"] for vector in NAMES}
        for vector in (NMI, DB, MC):
            others = [NAMES[one] for one in NAMES if one != vector and own[one] == own[vector]]
            if not own[vector]:
                self.bench.failed("ist-gates", f"the gate of {NAMES[vector]} asks for no interrupt stack")
            elif others:
                self.bench.failed("ist-gates", f"the gates of {NAMES[vector]} and {others[0]} ask for the same stack, "
                                               f"IST {own[vector]}")
        for vector in range(256):
            if vector not in NAMES and self.gate(vector)["ist"]:
                self.bench.failed("ist-gates",
                    f"the gate of vector {vector} asks for IST {self.gate(vector)['ist']}: "
                    "if it strikes again while it is handled, the second frame overwrites the first")
                self.set_ist(vector, 0)
        if own[NMI] and NMI not in self.broken:
            self.real_nmi(own[NMI])
        self.bench.passed("ist-gates")

    def set_ist(self, vector: int, number: int) -> None:
        self.target.write(self.idt.base + 16 * vector + 4, number, 1)
        self.read_gates()

    def real_nmi(self, number: int) -> None:
        wanted = self.target.read(self.tss + IST + 8 * (number - 1)) - 40
        self.target.set(rip=self.program["loop"])
        self.target.nmi()
        found = self.target.registers()
        if found["cs"] & 3 == 0:
            if found["rsp"] != wanted:
                self.bench.failed("ist-gates",
                    f"an NMI in ring 3 has pushed its frame at {found['rsp']:#x}, and not below "
                    f"the top of IST {number}", found["pc"])
            self.back()

    def rsp0(self) -> None:
        """By what the CPU does."""
        found = self.strike(b"\xcd\x80")
        words = 5 if found["pc"] == self.gate(INT80)["address"] else 6      # else it was a #GP
        if found["cs"] & 3:
            return          # nothing that leads out of ring 3: the gates' affair
        if found["rsp"] != self.top - 8 * words:
            self.bench.failed("rsp0",
                f"an interrupt from ring 3 has pushed its frame at {found['rsp']:#x}, and not below "
                f"{self.top:#x}", found["pc"])
        self.bench.passed("rsp0")
        self.back(words)

    def ports(self) -> None:
        free = [FREE_PORT] if "port" in self.bench.challenges else []
        ports = [port for port in PORTS if port not in free] + [self.bench.random.randrange(0x400, 0x10000)]
        for port in ports:
            if self.reaches(IN_AL_DX, port):
                self.bench.failed("io-map", f"ring 3 has read I/O port {port:#x}: the I/O map begins at "
                                            f"{self.target.read(self.tss + 102, 2):#x} of a TSS with the limit "
                                            f"{self.target.tables()['TR'].limit:#x}")
        self.bench.passed("io-map")

    def reaches(self, code: bytes, port: int) -> bool:
        """Does ring 3 execute an IN or OUT? Else it is in ring 0 by #GP, and comes back."""
        found = self.strike(code, rdx=port, rax=0)
        if found["cs"] & 3:
            return True
        self.back(6)
        return False

    def rings(self) -> None:
        for vector in range(256):
            ring = self.gate(vector)["dpl"]
            wanted = 3 if vector in (BP, INT80) else 0
            if ring != wanted and vector not in self.broken:
                self.bench.failed("gate-rings",
                    f"the gate of vector {vector} is for ring {ring}, and has to be for ring "
                    f"{wanted}")
        if not {GP, PF} & set(self.broken):
            found = self.strike(b"\xcd\x0e")
            if found["pc"] == self.gate(PF)["address"]:
                self.bench.failed("gate-rings", "a program has called the gate of #PF by int 14", found["pc"])
            if not found["cs"] & 3:
                self.back(6 if found["pc"] == self.gate(GP)["address"] else 5)
        self.bench.passed("gate-rings")

    def double_fault(self) -> None:
        """In ring 0, at the lower end of the stack that the program's interrupt has led to."""
        gate = self.gate(DOUBLE_FAULT)
        if not gate["ist"]:
            self.bench.failed("double-fault",
                "the gate of #DF asks for no interrupt stack: its frame would go where the one "
                "of #PF could not go, and the machine would reset")
            return
        if {DOUBLE_FAULT, PF, INT80} & set(self.broken):
            return
        entered = self.strike(b"\xcd\x80")
        if entered["cs"] & 3:
            return
        bottom = self.top - 0x1000
        while self.target.is_mapped(bottom - 0x1000):
            bottom -= 0x1000
        top = self.target.read(self.tss + IST + 8 * (gate["ist"] - 1))
        found = ring0.execute(self.target, ring0.PUSH_RAX, rsp=bottom)
        if found["pc"] != gate["address"] or found["rsp"] != top - 48:
            self.bench.failed("double-fault",
                f"with RSP at the end of the kernel stack a push has led to RSP "
                f"{found['rsp']:#x}, and not to #DF below the top of IST {gate['ist']}", found["pc"])
        self.bench.passed("double-fault")
        ring0.back(self.target, entered["rsp"])

    def challenges(self) -> None:
        if "port" in self.bench.challenges:
            self.one_port()
        if "read-only-gdt" in self.bench.challenges:
            self.read_only_gdt()

    def one_port(self) -> None:
        for code, name in ((IN_AL_DX, "IN"), (OUT_DX_AL, "OUT")):
            if not self.reaches(code, FREE_PORT):
                self.bench.failed("one-port", f"ring 3 gets #GP for {name} of one byte at port {FREE_PORT:#x}")
            for port in (FREE_PORT - 1, FREE_PORT + 1, FREE_PORT - 8, FREE_PORT + 8, 0, 0x60, 0xffff):
                if self.reaches(code, port):
                    self.bench.failed("one-port", f"ring 3 reaches port {port:#x} too")
        if self.reaches(IN_AX_DX, FREE_PORT):
            self.bench.failed("one-port",
                f"ring 3 reads two bytes at port {FREE_PORT:#x}, and so port {FREE_PORT + 1:#x}")
        self.bench.passed("one-port")

    def read_only_gdt(self) -> None:
        table = self.target.tables()["GDT"]
        at = ring0.physical(self.target, table.base)
        window = ring0.DIRECT_BASE + (at or 0)
        for name, address in (("its own address", table.base), ("the direct window", window)):
            if ring0.entry_of(self.target, address)[0] & ring0.WRITE:
                self.bench.failed("gdt-is-read-only", f"the page of the GDT can be written at {address:#x}, by {name}")
        for slot in range(1, (table.limit + 1) // 8):
            entry = self.target.read(table.base + 8 * slot)
            if entry >> 44 & 9 == 9 and not entry >> 40 & 1:        # a present segment
                self.bench.failed("gdt-is-read-only",
                    f"the descriptor of selector {8 * slot:#x} has its accessed bit clear: "
                    "the CPU would write to the table")
        self.bench.passed("gdt-is-read-only")
