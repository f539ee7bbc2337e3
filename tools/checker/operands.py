# Operands of an instruction in an abstract state: what is read from a register or from memory, what is written, and
# the rules on addresses: GS, the stacks, and what lies below RSP. Used by execute.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import dataclass

from capstone import CsInsn, x86
from capstone.x86 import X86Op

from .image import Image
from .state import ANCHORS, FRAME_SIZE, LOST, State, Value, Violation

MASK = (1 << 64) - 1
CR0_WP, CR0_NW, CR0_CD = 1 << 16, 1 << 29, 1 << 30
SEGMENT_BASES = {x86.X86_REG_FS: "fs", x86.X86_REG_GS: "gs"}


def sub_registers() -> dict[str, str]:
    """The full register of each name of a part of it."""
    table = {}
    for letter in "abcd":
        table.update({f"{prefix}{letter}{end}": f"r{letter}x" for prefix, end in
                      (("r", "x"), ("e", "x"), ("", "x"), ("", "l"), ("", "h"))})
    for name in ("si", "di", "bp", "sp"):
        table.update({f"r{name}": f"r{name}", f"e{name}": f"r{name}", name: f"r{name}", f"{name}l": f"r{name}"})
    for number in range(8, 16):
        table.update({f"r{number}{end}": f"r{number}" for end in ("", "d", "w", "b")})
    return table


FULL = sub_registers()


@dataclass(frozen=True)
class Layout:
    """Offsets and numbers that assembly and C share, as the debugging information has C's."""

    frame: tuple[tuple[str, int], ...]      # members of struct trap_frame
    user_rsp: int                           # members of struct pcr
    rsp0: int
    user_code: int                          # selectors
    user_data: int
    ap_page: int


class Operands:
    """Reads and writes operands. `owners` is whether this stage lets GS change hands at the border."""

    def __init__(self, image: Image, layout: Layout):
        self.image = image
        self.layout = layout
        self.list_head = image.address.get("ap_unclaimed")
        self.boot_stack = image.need("boot_stack_top")

    def read(self, state: State, insn: CsInsn, op: X86Op) -> Value:
        if op.type == x86.X86_OP_IMM:
            return ("const", op.imm & MASK)
        if op.type == x86.X86_OP_MEM:
            return self.load(state, self.address(state, insn, op), op.size)
        name = insn.reg_name(op.reg)
        if name not in FULL:
            return LOST         # a control or segment register: what it holds decides nothing here
        value = state.registers.get(FULL[name], LOST)
        if op.size == 8 or value[0] in ("half", "flags"):
            return value
        return ("const", value[1] & ((1 << 8 * op.size) - 1)) if value[0] == "const" else LOST

    def write(self, state: State, insn: CsInsn, op: X86Op, value: Value) -> None:
        if op.type == x86.X86_OP_MEM:
            self.store(state, self.address(state, insn, op), op.size, value)
            return
        name = insn.reg_name(op.reg)
        if name == "cr0" and state.bits != 16:
            self.check_cr0(value)
        if name not in FULL:
            return              # sweep.py asks whether it may
        if op.size == 4 and value[0] == "const":
            value = ("const", value[1] & 0xffffffff)
        elif op.size < 8 and value[0] not in ("half", "const") or op.size < 4:
            value = LOST
        if FULL[name] == "rsp":
            if value == ("const", self.boot_stack):
                value = ("sp", "boot", 0)
            self.set_stack(state, value)
        state.registers[FULL[name]] = value

    @staticmethod
    def check_cr0(value: Value) -> None:
        """No emulator shows it when the caches stay off, as INIT leaves them."""
        if value[0] != "const" or value[1] & (CR0_CD | CR0_NW) or not value[1] & CR0_WP:
            raise Violation("cr0", "CR0 is not loaded with a number that has CD and NW clear and WP set")

    def set_stack(self, state: State, value: Value) -> None:
        """RSP may come to point to a stack that is known, and to the user's only when nothing more will be pushed."""
        user = value in (("in", "rsp"), ("frame", "rsp")) and state.scenario.ring == 3
        if not user and (value[0] != "sp" or value[1] not in ANCHORS):
            raise Violation("stack", "RSP is loaded with an address that is no stack this checker knows")
        if value[0] == "sp" and value[1] == "next" and state.called != "saved":
            raise Violation("switch", "RSP goes to the next task before this task's RSP has been kept")
        if user and state.interrupts:
            raise Violation("user-stack", "RSP becomes the user's while interrupts are on")

    def address(self, state: State, insn: CsInsn, op: X86Op) -> Value:
        """The address of a memory operand: on a stack, in the PCR, or a constant."""
        segment = SEGMENT_BASES.get(op.mem.segment)
        if segment == "fs":
            raise Violation("fs", "the kernel uses fs:, whose base is the program's")
        if segment == "gs":
            self.require_own_gs(state)
            return ("pcr-at", op.mem.disp) if not op.mem.base and not op.mem.index else LOST
        if not op.mem.base and not op.mem.index:
            return ("const", op.mem.disp & MASK)
        name = insn.reg_name(op.mem.base) if op.mem.base else ""
        if name == "rip":
            return ("const", (insn.address + insn.size + op.mem.disp) & MASK)
        base = state.registers.get(FULL.get(name, ""), LOST)
        if name in ("rsp", "esp", "sp") and base[0] != "sp":
            whose = "the user's stack" if state.stack == "user" else "a stack that is not known"
            raise Violation("user-stack", f"memory is reached through RSP, which points to {whose}")
        if op.mem.index:
            return LOST
        if base[0] == "sp":
            return ("sp", base[1], base[2] + op.mem.disp)
        if base[0] in ("pcr", "pcr-some"):
            return ("pcr-at", op.mem.disp) if base[0] == "pcr" else LOST
        if base[0] == "pcr-list":
            raise Violation("claim", "the first PCR of the list is looked into and may be NULL")
        return ("wild", base)

    def require_own_gs(self, state: State) -> None:
        if state.gs != "pcr":
            whose = {"user": "the user's base", "none": "no base set yet"}.get(state.gs, state.gs)
            raise Violation("gs-owner", f"gs: is used with {whose}")
        if state.fence:
            raise Violation("fence", "gs: is used behind the test of whose GS it is, with no LFENCE in between: the "
                            "CPU may have guessed that jump wrong (CVE-2019-1125)")

    def check_stack_access(self, state: State, address: Value) -> None:
        """A stack is used from RSP up to its anchor. What an interrupt would overwrite must not be used, nor what
        belongs to whoever was there before."""
        _, stack, offset = address
        current = state.registers.get("rsp", LOST)
        if current[0] == "sp" and current[1] == stack:
            if offset < current[2]:
                raise Violation("below-rsp", f"memory {current[2] - offset} bytes below RSP is used")
        elif stack != "ist" or state.interrupts or state.called:
            raise Violation("stack", f"the {stack} stack is used, which RSP has left")
        top = {"ist": 16, "caller": 8, "next": 8}.get(stack, 0)
        if offset >= top:
            raise Violation("stack", f"memory above the top of the {stack} stack is used")

    def load(self, state: State, address: Value, size: int) -> Value:
        if address[0] == "sp":
            self.check_stack_access(state, address)
            return self.part(state.memory.get((address[1], address[2] & ~7), LOST), address[2] & 7, size)
        if address[0] == "pcr-at" and size == 8:
            if address[1] == self.layout.rsp0:
                return ("sp", "task", 0)
            return state.scratch if address[1] == self.layout.user_rsp else LOST
        return ("pcr-list",) if address == ("const", self.list_head) else LOST

    @staticmethod
    def part(value: Value, at: int, size: int) -> Value:
        """Some bytes of a word."""
        if size == 8 and at == 0:
            return value
        if value[0] == "const":
            return ("const", value[1] >> 8 * at & ((1 << 8 * size) - 1))
        if value[0] == "pcr" and size == 4:
            return ("half", "low" if at == 0 else "high", "pcr")
        if value == ("frame", "rflags") and at == 0 and size >= 2:
            return ("low-flags",)       # with TF among them
        return value if value[0] == "cs" and at == 0 else LOST

    def store(self, state: State, address: Value, size: int, value: Value) -> None:
        if address[0] == "sp":
            self.check_stack_access(state, address)
            state.memory[address[1], address[2] & ~7] = value if size == 8 and address[2] % 8 == 0 else LOST
        elif address == ("pcr-at", self.layout.user_rsp):
            state.scratch = value
        elif address == ("pcr-at", self.layout.rsp0):
            raise Violation("rsp0", "tss.rsp0 is written; that is set_kernel_stack()'s (invariant 4)")
        elif value[0] == "sp":
            keep_rsp(state, address, value)

    def frame_slot(self, name: str) -> int:
        """Where a word of the trap frame lies, from the anchor of its stack."""
        return dict(self.layout.frame)[name] - FRAME_SIZE


# What switch_stacks() leaves on the stack, from the word below the return address down.
SWITCH_ORDER = ("rbx", "rbp", "r12", "r13", "r14", "r15", "flags")


def keep_rsp(state: State, address: Value, value: Value) -> None:
    """`mov [rdi], rsp`: from now on another CPU could take this task, if the queue were not locked. So all of it must
    lie on its stack, in the order in which the next one's is taken off."""
    if address != ("wild", ("in", "rdi")) or value != state.registers["rsp"]:
        raise Violation("switch", "an address on a stack is stored where nobody is known to look for it")
    for number, name in enumerate(SWITCH_ORDER, 1):
        expected = ("flags", "this") if name == "flags" else ("in", name)
        if state.memory.get(("caller", -8 * number), LOST) != expected:
            raise Violation("switch", f"RSP is kept, but {name} is not where the switch to this task looks for it")
    if value[2] != -8 * len(SWITCH_ORDER):
        raise Violation("switch", "RSP is kept, and points beside what was saved")
    state.called = "saved"
