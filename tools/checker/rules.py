# The rules that a state must keep: before each instruction, at a call of C, and at each way out of the entry code.
# Used by execute.py. docs/maintaining/static-checks.md has the list, with the mutant that shows each.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from capstone import CsInsn, x86

from .contracts import CONTRACTS
from .image import Image
from .operands import Layout
from .state import (ANCHORS, CALLEE_SAVED, FRAME_SIZE, GENERAL, HARDWARE, LOOKED_AT, LOST, WITHOUT_TF, State, Value,
                    Violation)


class Rules:
    """The rules of one stage."""

    def __init__(self, image: Image, layout: Layout, stage: str):
        self.image = image
        self.layout = layout
        self.frame = dict(layout.frame)
        self.swaps = stage >= "03"      # GS changes hands at the border, and SMAP may be on
        self.catches = stage >= "05"    # a fault of the IRETQ to ring 3 is survived
        self.fix_up = image.address.get("interrupt_return.step3")

    def check_before(self, state: State, insn: CsInsn) -> None:
        """What holds at every instruction. An NMI, #MC or #DB assumes nothing of it but a stack of its own and its
        PCR's address there (explore.py strikes with them); other interrupts and faults assume the most."""
        if state.interrupts:
            if self.swaps and state.gs != "pcr":
                raise Violation("interrupts", "interrupts are on while GS is not the PCR's: an interrupt in ring 0 "
                                "takes it for granted")
            if state.stack not in ("task", "kernel", "caller"):
                raise Violation("interrupts", f"interrupts are on while RSP is on stack '{state.stack}'")
        if self.swaps and state.gs == "user":
            self.check_no_fault(state, insn)

    def check_no_fault(self, state: State, insn: CsInsn) -> None:
        """With the user's GS no fault may come: it would be an entry from ring 0, which takes GS for the PCR's."""
        if insn.mnemonic == "iretq" and state.scenario.ring and self.catches and state.pc != self.fix_up:
            raise Violation("fault", "an IRETQ that may fault with the user's GS, and is not the one that the entry "
                            "knows (interrupt_return.step3)")
        for op in insn.operands:
            if op.type != x86.X86_OP_MEM or insn.mnemonic in ("lea", "nop") or op.mem.segment == x86.X86_REG_GS:
                continue
            base = insn.reg_name(op.mem.base) if op.mem.base else ""
            if base and base != "rip" and state.registers.get(base, LOST)[0] != "sp":
                raise Violation("fault", "memory that may not be there is used while GS is the user's")

    def require_stack(self, state: State) -> Value:
        if state.stack not in ANCHORS:
            whose = {"user": "the user's stack", "none": "no stack that is known"}[state.stack]
            raise Violation("user-stack", f"a push, pop or call on {whose}")
        return state.registers["rsp"]

    # Calls of C.

    def check_call(self, state: State, name: str) -> None:
        contract = CONTRACTS[name]
        rsp = self.require_stack(state)
        if (rsp[2] + ANCHORS[rsp[1]]) % 16:
            raise Violation("alignment", f"{name} is called with RSP no multiple of 16")
        if state.df != "0":
            raise Violation("df", f"{name} is called without CLD: DF may be whatever the interrupted code had")
        if self.swaps and state.ac != "0" and state.smap is not False:
            raise Violation("ac", f"{name} is called while AC may be set, and with it SMAP is off")
        if self.swaps and contract.gs == "pcr" and state.gs != "pcr":
            raise Violation("gs-owner", f"{name} is called with GS of owner '{state.gs}'")
        if state.fence:
            raise Violation("fence", f"{name} is called behind the test of whose GS it is, with no LFENCE in between")
        if state.interrupts not in contract.interrupts:
            raise Violation("interrupts", f"{name} is called with interrupts {'on' if state.interrupts else 'off'}")
        allowed = contract.stacks + (() if self.swaps or name != "trap" else ("ist",))
        if rsp[1] not in allowed:
            raise Violation("stack", f"{name} is called on stack '{rsp[1]}', not on {' or '.join(allowed)}")
        if contract.frame:
            self.check_frame(state, name)

    def check_frame(self, state: State, name: str) -> None:
        """RDI is a whole trap frame at the stack's top, each word of it what the interrupted code had."""
        rsp = state.registers["rsp"]
        if state.registers["rdi"] != rsp or rsp[2] != -FRAME_SIZE:
            raise Violation("frame", f"{name} is called, and RDI or RSP is not where the trap frame begins")
        for member, offset in self.frame.items():
            found = state.memory.get((rsp[1], offset - FRAME_SIZE), LOST)
            by_c = ("cs", state.scenario.ring) if member == "cs" else ("frame", member)
            allowed = [by_c] if state.called else [self.expected(state, member)]
            if member == "rax" and state.called and state.called == CONTRACTS[name].needs_result:
                allowed = [("result", state.called)]
            if found not in allowed:
                raise Violation("frame", f"{name} is called, and frame.{member} is {' '.join(map(str, found))}, "
                                f"not {' '.join(map(str, allowed[0]))}")

    def expected(self, state: State, member: str) -> Value:
        """What a word of the frame must be when C sees it first."""
        scenario = state.scenario
        if member == "cs" and scenario.saved != "syscall":
            return ("cs", scenario.ring)
        if scenario.saved == "c":
            return ("frame", member)
        if scenario.saved == "syscall":
            special = {"cs": ("const", self.layout.user_code), "ss": ("const", self.layout.user_data),
                       "vector": ("const", 256), "error": ("const", 0), "rip": ("in", "rcx"), "rflags": ("in", "r11")}
            return special.get(member, ("in", member))
        if member == "rip" and scenario.name.startswith("fault of the IRETQ"):
            return ("rip-at", self.fix_up)
        special = {"vector": ("vector",), "error": ("error",) if scenario.error else ("const", 0)}
        return special.get(member, ("in", member))

    def after_call(self, state: State, name: str) -> None:
        """What C leaves: its own registers lost, the frame as it likes, IF as its contract says. It returns with the
        GS, DF and AC with which it was called: sweep.py sees that no C holds what could change them."""
        contract = CONTRACTS[name]
        rsp = state.registers["rsp"]
        for register in GENERAL:
            if register not in CALLEE_SAVED:
                state.registers[register] = LOST
        state.registers["rax"] = ("result", name)
        state.memory = {at: value for at, value in state.memory.items() if at[0] == rsp[1] and at[1] >= rsp[2]
                        or at[0] == "ist" and at[1] >= 0}
        if contract.frame:
            for member, offset in self.frame.items():
                state.memory[rsp[1], offset - FRAME_SIZE] = (
                    ("cs", state.scenario.ring) if member == "cs" else ("frame", member))
        state.scratch, state.zero, state.called = LOST, (), name

    # The ways out.

    def check_out(self, state: State, kind: str) -> None:
        if kind not in state.scenario.exits:
            raise Violation("exit", f"a way out to {kind}, where this way in must not lead")
        if (state.gs, state.kernel_gs) != state.scenario.leaves:
            raise Violation("gs-exit", f"on the way out to {kind} the GS base is of owner '{state.gs}' and "
                            f"KERNEL_GS_BASE of '{state.kernel_gs}', not '{' and '.join(state.scenario.leaves)}'")

    def check_iretq(self, state: State) -> None:
        ring = state.scenario.ring
        self.check_out(state, f"ring{ring}")
        if ring and state.called not in ("trap", LOOKED_AT, WITHOUT_TF) and state.scenario.name != "trap_return":
            raise Violation("exit", "IRETQ to ring 3 without user_return(), which has to look at the frame, before it")
        rsp = self.require_stack(state)
        for number, member in enumerate(HARDWARE):
            expected = ("cs", ring) if member == "cs" else ("frame", member)
            if state.memory.get((rsp[1], rsp[2] + 8 * number), LOST) != expected:
                raise Violation("exit", f"IRETQ does not find frame.{member} where it looks for it")
        self.check_registers(state)

    def check_registers(self, state: State, *but: str) -> None:
        for register in GENERAL:
            if register not in but and state.registers.get(register, LOST) != ("frame", register):
                raise Violation("registers", f"{register} is not frame.{register} on the way out")

    def check_sysret(self, state: State, where: str) -> None:
        if state.interrupts:
            raise Violation("interrupts", "SYSRET with interrupts on: they would come on the user's stack")
        self.check_out(state, "ring3")
        if where == "syscall32_entry":
            self.check_untouched(state)
            return
        if state.called not in (LOOKED_AT, WITHOUT_TF):
            raise Violation("exit", "SYSRET without user_return(), which has to look at the frame, before it")
        if self.catches and state.called != WITHOUT_TF:
            raise Violation("exit", "SYSRET without a look at TF in the frame: with it set, it traps before the "
                            "program's next instruction, which then never runs")
        wanted = {"rcx": "rip", "r11": "rflags", "rsp": "rsp"}
        for register, member in wanted.items():
            if state.registers.get(register, LOST) != ("frame", member):
                raise Violation("registers", f"SYSRET with {register} not frame.{member}")
        self.check_registers(state, "rcx", "r11")

    @staticmethod
    def check_untouched(state: State) -> None:
        for register in (*GENERAL, "rsp"):
            if register != "rax" and state.registers.get(register, LOST) != ("in", register):
                raise Violation("registers", f"{register} is not the program's own on the way out")

    def check_return(self, state: State, address: Value) -> None:
        """A routine's `ret`: to its caller, with what C wants of a call."""
        self.check_out(state, "ret")
        whose = "next" if address == ("return", "next") else "this"
        if address[0] != "return":
            raise Violation("exit", "RET does not find the return address")
        for register in CALLEE_SAVED:
            expected = ("next", register) if whose == "next" else ("in", register)
            if state.registers.get(register, LOST) != expected:
                raise Violation("registers", f"{register} is not kept across the call")
        switched = whose == "next"
        flags = {"DF": state.df, "AC": state.ac, "the other flags": state.rest}
        for flag, value in flags.items():
            off = flag == "AC" and state.smap is False
            if value != ("next" if switched else "0") and not off:
                raise Violation("flags", f"{flag} on return is not " + ("the next task's" if switched else "clear"))
