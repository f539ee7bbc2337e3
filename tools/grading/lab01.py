# Lab 01: what the CPU was told by LGDT, LTR and LIDT, the way into ring 3, and the ways back. Called by work.py.
# One mistake is to cost one check: where a state is wrong it is told, and then mended, so that what comes after it is
# judged by itself. All is seen in one run; lab01_traps.py and lab01_frames.py have what happens once a program runs.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from . import ring0, scene
from .lab01_frames import Frames
from .lab01_traps import Traps
from .ring0 import execute_aside
from .target import Ended, Target
from .verdicts import Cause
from .way import moment
from .work import Bench, Program

RSP0, IOMAP_BASE, TSS_SIZE = 4, 102, 104
TSS_BUSY = 11
P_FLAG = 1 << 15                    # of a descriptor, as the monitor shows it: present
CODE, WRITABLE, LONG_MODE = 8, 2, 1 << 53
FRAME_BYTES = 8 * len(scene.FRAME)
FRAME_RIP = 8 * scene.FRAME.index("rip")
RETURN_STEPS = 100


def run(bench: Bench) -> None:
    program = bench.program("probe")
    target = bench.boot(program)
    with target:
        try:
            Start(bench, target, program).judge()
        finally:
            bench.count(target)


def descriptor(target: Target, selector: int) -> int:
    """The entry of the GDT; 0 where there is none."""
    table, offset = target.tables()["GDT"], selector & ~7
    try:
        return target.read(table.base + offset) if offset and offset + 7 <= table.limit + 1 else 0
    except LookupError:
        return 0


def kind(entry: int) -> str:
    """What a segment descriptor is for, as the CPU reads it in 64-bit mode."""
    if not entry >> 47 & 1:
        return "nothing"
    if not entry >> 44 & 1:
        return "a system descriptor"
    ring = f" of ring {entry >> 45 & 3}"
    if entry >> 40 & CODE:
        return ("64-bit code" if entry & LONG_MODE else "32-bit code") + ring
    return ("data" if entry >> 40 & WRITABLE else "data that is read-only") + ring


class Start:
    """From the kernel's own start to the first instruction of a program."""

    def __init__(self, bench: Bench, target: Target, program: Program):
        self.bench, self.target, self.program = bench, target, program

    def judge(self) -> None:
        target, code = self.target, self.target.code
        target.run_to(code.symbol("gdt_fill"))
        self.tss = target["rsi"]
        target.run_to(code.symbol("gdt_load"))
        self.look_for_a_busy_tss(target["rdi"])
        target.run_to(code.symbol("idt_init"))
        self.gdt()
        self.segments()
        self.ldt()
        self.tss_descriptor()
        target.run_to(code.symbol("trap_return"))
        self.frame, kernel_code = target["rdi"], target["cs"]
        self.user_segments()
        self.rsp0()
        self.first_return()
        traps = Traps(self.bench, target, self.program, self.frame + FRAME_BYTES, kernel_code)
        traps.judge()
        Frames(traps).judge()

    def look_for_a_busy_tss(self, gdt: int) -> None:
        """LTR would be a #GP, and there is no IDT yet."""
        for slot in range(1, 8):
            entry = self.target.read(gdt + 8 * slot)
            if entry >> 40 & 0x9f == 0x80 | TSS_BUSY:
                self.bench.failed("tss-descriptor",
                    "before LTR the TSS descriptor is of type 11, busy; LTR takes one that "
                    "is available, and makes it busy itself")
                self.target.write(gdt + 8 * slot, entry & ~(2 << 40))

    def gdt(self) -> None:
        table, registers = self.target.tables()["GDT"], self.target.registers()
        if table.limit % 8 != 7:
            self.bench.failed("gdt",
                f"GDTR's limit is {table.limit:#x}: the last byte of a table of 8-byte entries has an "
                "offset that ends with 7 or f")
        elif not table.base >> 47 or not ring0.entry_of(self.target, table.base)[1]:
            self.bench.failed("gdt", f"GDTR's base is {table.base:#x}, no address of the kernel's")
        elif kind(descriptor(self.target, registers["cs"])) != "64-bit code of ring 0":
            self.bench.failed("gdt",
                f"GDTR names a table at {table.base:#x} in which the kernel's CS, {registers['cs']:#x}, "
                f"is {kind(descriptor(self.target, registers['cs']))}")
        self.bench.passed("gdt")

    def segments(self) -> None:
        """A selector that the new table does not know has come from the old one."""
        registers = self.target.registers()
        wrong = []
        for name in ("ss", "ds", "es", "fs", "gs"):
            selector = registers[name]
            found = kind(descriptor(self.target, selector))
            if selector & ~3 and (not found.startswith("data") or name == "ss" and found != "data of ring 0"):
                wrong.append(f"{name.upper()} is {selector:#x}, which is {found} in the new table")
        if wrong:
            self.bench.failed("segments", "; ".join(wrong))
            for code in (b"\x8e\xd0", b"\x8e\xd8", b"\x8e\xc0", b"\x8e\xe0", b"\x8e\xe8"):     # mov ss, eax and so on
                execute_aside(self.target, code, rax=0)
        self.bench.passed("segments")

    def ldt(self) -> None:
        table = self.target.tables()["LDT"]
        if table.selector & ~3 or table.flags & P_FLAG and table.limit >= 7:
            self.bench.failed("ldt", f"LDTR is usable: selector {table.selector:#x}, base {table.base:#x}, limit "
                                     f"{table.limit:#x}, as a reset leaves it")
        self.bench.passed("ldt")

    def tss_descriptor(self) -> None:
        tr = self.target.tables()["TR"]
        limit_ok = tr.limit == TSS_SIZE - 1 or tr.limit >= TSS_SIZE + 1 and self.iomap(self.tss) < tr.limit
        if not tr.selector & ~3:
            self.wrong_tss("TR is null: nobody has executed LTR")
        elif tr.base != self.tss:
            half = ", its lower half" if tr.base == self.tss & 0xffffffff else ""
            self.wrong_tss(f"TR's base is {tr.base:#x}{half}; the TSS is at {self.tss:#x}")
        elif not limit_ok:
            self.wrong_tss(f"TR's limit is {tr.limit:#x}; the offset of a TSS's last byte is {TSS_SIZE - 1:#x}")
        self.bench.passed("tss-descriptor")

    def iomap(self, tss: int) -> int:
        return self.target.read(tss + IOMAP_BASE, 2)

    def wrong_tss(self, seen: str) -> None:
        """Told, and mended: a right descriptor in its place, and LTR."""
        self.bench.failed("tss-descriptor", seen)
        selector = self.target.tables()["TR"].selector & ~7 or 0x30
        at, base = self.target.tables()["GDT"].base + selector, self.tss
        self.target.write(at, TSS_SIZE - 1 | (base & 0xffffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56)
        self.target.write(at + 8, base >> 32)
        execute_aside(self.target, ring0.LTR_AX, rax=selector)

    def user_segments(self) -> None:
        """Those of the first frame, and where the kernel's are."""
        frame = scene.read_frame(self.target, self.frame)
        kernel = self.target["cs"]
        places = {"CS of programs": (frame["cs"], "64-bit code of ring 3"),
                  "SS of programs": (frame["ss"], "data of ring 3"),
                  "the kernel's CS": (kernel, "64-bit code of ring 0"),
                  "the kernel's CS + 8": (kernel + 8, "data of ring 0")}
        for name, (selector, wanted) in places.items():
            found = kind(descriptor(self.target, selector))
            if found != wanted:
                self.bench.failed("selectors", f"{name}, {selector:#x}, is {found} in the GDT, and not {wanted}")
                self.mend_segment(selector, wanted)
        if frame["cs"] & ~3 != (frame["ss"] & ~3) + 8:
            self.bench.failed("selectors",
                f"programs have CS {frame['cs']:#x} and SS {frame['ss']:#x}; SYSRET takes the "
                "slot behind that of the data for the code")
        if kind(descriptor(self.target, (frame["ss"] & ~7) - 8)) == "32-bit code of ring 3":
            self.bench.failed("selectors",
                "the slot before the user's data is 32-bit code of ring 3: a program that goes "
                "there has other doors into the kernel")
        self.bench.passed("selectors")

    def mend_segment(self, selector: int, wanted: str) -> None:
        entry = 0x00af9b000000ffff if "code" in wanted else 0x00cf93000000ffff
        ring = 3 if wanted.endswith("3") else 0
        self.target.write(self.target.tables()["GDT"].base + (selector & ~7), entry | ring << 45)

    def rsp0(self) -> None:
        """task.c has just built a frame right below the top that it gave to set_kernel_stack()."""
        top, found = self.frame + FRAME_BYTES, self.target.read(self.tss + RSP0)
        if found != top:
            self.bench.failed("rsp0",
                f"before the first program tss.rsp0 is {found:#x}, "
                f"{ring0.stack_problem(self.target, found) or 'another stack'}; set_kernel_stack() was "
                f"called with {top:#x}")
            self.target.write(self.tss + RSP0, top)

    def gates(self) -> set[int]:
        """Where exceptions lead; nowhere, if nobody has loaded IDTR."""
        try:
            return {self.target.gate(vector)["address"] for vector in range(32)}
        except LookupError:
            return set()

    def first_return(self) -> None:
        """The frame that nobody has pushed, with values of ours in its registers."""
        target = self.target
        values = {name: self.bench.random.getrandbits(64) for name in scene.GENERAL}
        scene.write_frame(target, self.frame, values)
        frame = scene.read_frame(target, self.frame)
        gates = self.gates()
        now = moment(target)
        for _ in range(RETURN_STEPS):
            if now.ring == scene.RING_3 or now.address in gates or now.in_c:
                break
            try:
                target.step()
            except Ended as ended:
                if ended.cause is Cause.TRIPLE_FAULT:
                    self.bench.failed("return", "the frame of the first program has led to a reset", now.address)
                raise
            now = moment(target)
        if now.ring != scene.RING_3:
            self.bench.failed("return", "the frame of the first program did not lead into ring 3", now.address)
            ring0.execute(target, ring0.IRETQ, rsp=self.frame + FRAME_RIP)
            target.set(**{name: frame[name] for name in scene.GENERAL})
        else:
            wrong = scene.differences(now.registers, {name: frame[name] for name in (*scene.GENERAL, "rip", "cs", "ss",
                                                                                     "rsp", "rflags")})
            if wrong:
                self.bench.failed("return", f"at the first instruction of a program {wrong}, as its frame says")
