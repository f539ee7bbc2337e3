# Moves, arithmetic and comparisons, in an abstract state: the instructions that change registers and stacks, and what
# is known of ZF. The base of execute.py's class.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from capstone import CsInsn, x86

from .image import Image
from .operands import FULL, MASK, Layout, Operands
from .rules import Rules
from .state import LOST, State, Value, Violation

RFLAGS_TF = 1 << 8


class Moves:
    """What needs no rule but those of operands.py."""

    def __init__(self, image: Image, layout: Layout, rules: Rules):
        self.image = image
        self.layout = layout
        self.rules = rules
        self.operands = Operands(image, layout)
        self.smap = image.address.get("smap")

    def do_mov(self, state: State, insn: CsInsn) -> None:
        to, source = insn.operands
        self.operands.write(state, insn, to, self.operands.read(state, insn, source))

    do_movabs = do_mov

    def do_lea(self, state: State, insn: CsInsn) -> None:
        to, source = insn.operands
        base = insn.reg_name(source.mem.base) if source.mem.base else ""
        known = state.registers.get(FULL.get(base, ""), LOST)
        value = ("sp", known[1], known[2] + source.mem.disp) if known[0] == "sp" and not source.mem.index else LOST
        self.operands.write(state, insn, to, value)

    def do_push(self, state: State, insn: CsInsn) -> None:
        self.push(state, self.operands.read(state, insn, insn.operands[0]))

    def push(self, state: State, value: Value) -> None:
        rsp = self.rules.require_stack(state)
        state.registers["rsp"] = ("sp", rsp[1], rsp[2] - 8)
        if rsp[2] % 8:
            raise Violation("stack", "RSP is no multiple of 8")
        state.memory[rsp[1], rsp[2] - 8] = value

    def pop(self, state: State) -> Value:
        rsp = self.rules.require_stack(state)
        value = self.operands.load(state, rsp, 8)
        state.registers["rsp"] = ("sp", rsp[1], rsp[2] + 8)
        return value

    def do_pop(self, state: State, insn: CsInsn) -> None:
        self.operands.write(state, insn, insn.operands[0], self.pop(state))

    def arithmetic(self, state: State, insn: CsInsn) -> None:
        """add, sub, and, or: of numbers, and of an address on a stack with a number."""
        to, by = insn.operands
        old, value = self.operands.read(state, insn, to), self.operands.read(state, insn, by)
        new = LOST
        if value[0] == "const" and insn.mnemonic in ("add", "sub"):
            signed = (value[1] ^ 1 << 63) - (1 << 63)
            signed = signed if insn.mnemonic == "add" else -signed
            if old[0] == "sp":
                new = ("sp", old[1], old[2] + signed)
            elif old[0] == "const":
                new = ("const", old[1] + signed & MASK)
        self.operands.write(state, insn, to, new)
        state.zero = ()

    do_add = do_sub = do_and = do_or = arithmetic

    def do_xor(self, state: State, insn: CsInsn) -> None:
        to, by = insn.operands
        old, value = self.operands.read(state, insn, to), self.operands.read(state, insn, by)
        new = ("const", 0) if to.type == by.type == x86.X86_OP_REG and to.reg == by.reg else LOST
        if old[0] == value[0] == "flags" and old != value:
            new = ("difference",)
        self.operands.write(state, insn, to, new)
        state.zero = ()

    # Comparisons: they set what ZF would say.

    def do_test(self, state: State, insn: CsInsn) -> None:
        left, right = insn.operands
        value, mask = self.operands.read(state, insn, left), self.operands.read(state, insn, right)
        state.zero = ()
        if left.type == right.type == x86.X86_OP_REG and left.reg == right.reg:
            state.zero = ("null", FULL[insn.reg_name(left.reg)])
        elif mask[0] == "const" and value[0] == "difference":
            state.zero = ("same-flags", mask[1])
        elif value in (("frame", "rflags"), ("low-flags",)) and mask == ("const", RFLAGS_TF):
            state.zero = ("no-tf",)
        elif mask == ("const", 3) and value[0] in ("cs", "const"):
            state.zero = ("ring", value[1] & 3 == 0)

    def do_cmp(self, state: State, insn: CsInsn) -> None:
        left, right = insn.operands
        value, other = self.operands.read(state, insn, left), self.operands.read(state, insn, right)
        state.zero = ()
        if left.type == x86.X86_OP_MEM and left.mem.disp & MASK == self.smap and not left.mem.base:
            state.zero = ("no-smap",) if other == ("const", 0) else ()
        elif value[0] == "rip-at" and other[0] == "const":
            state.zero = ("ring", value[1] == other[1])
        elif value == ("in", "rip") and other == ("const", self.image.address.get("interrupt_return.step3")):
            state.zero = ("ring", False)

    def do_lock_cmpxchg(self, state: State, insn: CsInsn) -> None:
        at = self.operands.address(state, insn, insn.operands[0])
        held = state.registers.get("rax", LOST)
        state.registers["rax"] = ("pcr-list",)
        claimed = at == ("const", self.operands.list_head) and held == ("pcr-some",)
        state.zero = ("claimed",) if claimed else ()
