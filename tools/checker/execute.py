# What each instruction of the entry code does to the abstract state. An instruction that is not here is an error: what
# is not understood is not passed over. Used by explore.py; moves and arithmetic are in moves.py, the
# rules at calls and ways out in rules.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from capstone import CsInsn, x86

from .contracts import CONTRACTS
from .moves import Moves
from .operands import FULL, MASK
from .state import LOOKED_AT, LOST, WITHOUT_TF, State, Violation

RFLAGS_DF, RFLAGS_AC, RFLAGS_STATUS = 1 << 10, 1 << 18, 0x8d5
DEFINED_FLAGS = 0x3f7fd5        # all but the bits that are always 0 or 1
MSR_GS_BASE, MSR_EFER = 0xc0000101, 0xc0000080
HARMLESS = {"nop", "pause", "cpuid", "in", "out", "lodsb", "stosw", "rep outsb", "lgdt", "hlt"}
# Where one routine goes on into the next one below it.
RUNS_ON = {("interrupt_entry", "interrupt_return")}
STRINGS = {"lodsb", "stosw", "rep outsb", "rep movsb"}


class Execution(Moves):
    """One kernel's instructions."""

    def successors(self, state: State) -> list[State]:
        """The states behind an instruction; none where the path ends. Raises Violation."""
        insn = self.image.instruction(state.pc, state.bits)
        self.rules.check_before(state, insn)
        after = state.copy()
        after.pc = insn.address + insn.size
        name = insn.mnemonic.replace(" ", "_")
        if insn.mnemonic in STRINGS and after.df != "0":
            raise Violation("df", "a string instruction while DF may be set: it would run downwards")
        if insn.mnemonic in HARMLESS:
            found = [self.forget(after, insn)]
        elif insn.group(x86.X86_GRP_JUMP) and insn.mnemonic not in ("jmp", "ljmp"):
            found = self.branch(after, insn)
        else:
            handler = getattr(self, f"do_{name}", None)
            if handler is None:
                raise Violation("unknown", f"'{insn.mnemonic}' is not one of the instructions that this checker knows "
                                "(tools/checker/execute.py)")
            found = handler(after, insn)
            found = [after] if found is None else found
        for one in found:
            self.check_flow(insn, one)
            if one.interrupts:
                one.scratch = LOST      # another task may make a system call on this CPU meanwhile
        return found

    def check_flow(self, insn: CsInsn, after: State) -> None:
        """Runs on into another routine only where that is meant, and never jumps into C."""
        here, there = self.image.function(insn.address), self.image.function(after.pc)
        if here == there:
            return
        if after.pc == insn.address + insn.size and (here, there) not in RUNS_ON and insn.mnemonic != "jmp":
            raise Violation("jump", f"{here} runs on into {there}")
        if there not in self.image.assembly:
            raise Violation("jump", f"a jump into {there}, which is no assembly: C is called, and in a listed way")

    def forget(self, state: State, insn: CsInsn) -> State:
        """For what changes nothing that matters: its registers are lost."""
        written = insn.regs_access()[1]
        for register in written:
            name = insn.reg_name(register)
            if name in FULL:
                state.registers[FULL[name]] = LOST
            elif name in ("rflags", "eflags"):
                state.zero = ()
        return state

    def branch(self, state: State, insn: CsInsn) -> list[State]:
        """A conditional jump: both ways, or the one that is known; each with what it has learnt."""
        taken = state.copy()
        taken.previous = state.previous
        taken.pc = insn.operands[0].imm & MASK
        if insn.mnemonic not in ("je", "jne"):
            state.zero = taken.zero = ()
            return [state, taken]
        equal, different = (taken, state) if insn.mnemonic == "je" else (state, taken)
        kind, *known = state.zero or ("",)
        state.zero = taken.zero = ()
        if kind == "ring":
            one = equal if known[0] else different
            one.fence = True
            return [one]
        if kind == "no-smap" and state.smap is not None:
            return [different if state.smap else equal]
        if kind == "no-smap":
            equal.smap, different.smap = False, True
        if kind == "null":
            old = state.registers[known[0]]
            equal.registers[known[0]] = ("const", 0)
            different.registers[known[0]] = ("pcr-some",) if old == ("pcr-list",) else old
        if kind == "no-tf" and state.called == LOOKED_AT:
            equal.called = WITHOUT_TF
        if kind == "claimed":
            equal.registers["rax"] = ("pcr",)
        if kind == "same-flags":
            self.take_over_flags(equal, known[0])
        return [state, taken]

    @staticmethod
    def take_over_flags(state: State, mask: int) -> None:
        """The two images of RFLAGS are the same where the mask looks, so this task's flags are the next one's."""
        state.df = "next" if mask & RFLAGS_DF else state.df
        state.ac = "next" if mask & RFLAGS_AC else state.ac
        others = DEFINED_FLAGS & ~RFLAGS_STATUS & ~RFLAGS_DF & ~RFLAGS_AC
        state.rest = "next" if mask & others == others else state.rest

    # Flags.

    def do_cld(self, state: State, insn: CsInsn) -> None:
        state.df = "0"

    def do_std(self, state: State, insn: CsInsn) -> None:
        state.df = "1"

    def do_clac(self, state: State, insn: CsInsn) -> None:
        self.require_smap(state)
        state.ac = "0"

    def do_stac(self, state: State, insn: CsInsn) -> None:
        self.require_smap(state)
        state.ac = "1"

    @staticmethod
    def require_smap(state: State) -> None:
        if not state.smap:
            raise Violation("smap", "STAC or CLAC where the CPU may have no SMAP: it would be #UD there")

    def do_cli(self, state: State, insn: CsInsn) -> None:
        state.interrupts = 0

    def do_sti(self, state: State, insn: CsInsn) -> None:
        state.interrupts = 1

    def do_pushfq(self, state: State, insn: CsInsn) -> None:
        self.push(state, ("flags", state.df if state.df in ("this", "next") else "now"))

    def do_popfq(self, state: State, insn: CsInsn) -> None:
        value = self.pop(state)
        if value != ("flags", "next"):
            raise Violation("popfq", "POPFQ loads what is not the RFLAGS that the next task has left")
        state.df = state.ac = state.rest = "next"
        state.zero = ()

    # GS.

    def do_swapgs(self, state: State, insn: CsInsn) -> None:
        if "user" not in (state.gs, state.kernel_gs):
            raise Violation("gs-owner", "SWAPGS where neither base is the user's")
        state.gs, state.kernel_gs = state.kernel_gs, state.gs

    def do_lfence(self, state: State, insn: CsInsn) -> None:
        state.fence = False

    def do_rdmsr(self, state: State, insn: CsInsn) -> None:
        gs_base = state.registers.get("rcx") == ("const", MSR_GS_BASE)
        for name, half in (("rax", "low"), ("rdx", "high")):
            state.registers[name] = ("half", half, f"gs:{state.gs}") if gs_base else LOST

    def do_wrmsr(self, state: State, insn: CsInsn) -> None:
        msr = state.registers.get("rcx", LOST)
        if msr == ("const", MSR_EFER):
            return
        if msr != ("const", MSR_GS_BASE):
            raise Violation("wrmsr", "WRMSR to a register that is not known here")
        low, high = state.registers.get("rax", LOST), state.registers.get("rdx", LOST)
        if low[:2] != ("half", "low") or high != ("half", "high", low[2]):
            raise Violation("wrmsr", "the GS base is loaded with what is neither the PCR's address nor the base found")
        state.gs = low[2].split(":")[-1]
        state.fence = False         # nothing behind it runs before it is done

    # Control flow.

    def do_jmp(self, state: State, insn: CsInsn) -> None:
        target = self.operands.read(state, insn, insn.operands[0])
        if target[0] != "const":
            raise Violation("jump", "a jump whose target this checker cannot know")
        state.pc = target[1]

    def do_ljmp(self, state: State, insn: CsInsn) -> None:
        offset = insn.operands[-1].imm & 0xffffffff
        if 0 <= offset - self.layout.ap_page < 0x1000:      # the page that holds a copy of the trampoline
            offset += self.image.need("ap_trampoline") - self.layout.ap_page
        state.pc, state.bits = offset, {16: 32, 32: 64}[state.bits]

    def do_call(self, state: State, insn: CsInsn) -> list[State]:
        target = self.operands.read(state, insn, insn.operands[0])
        name = "thread" if target == ("thread",) else ""
        if target[0] == "const":
            name = next((name for address, name in self.image.functions if address == target[1]), "")
        if name not in CONTRACTS:
            raise Violation("jump", f"a call of {name or 'what this checker cannot know'}, which is not in the list "
                            "of C functions (tools/checker/contracts.py)")
        self.rules.check_call(state, name)
        if not CONTRACTS[name].returns or not state.scenario.c_returns:
            return []
        self.rules.after_call(state, name)
        return [state]

    def do_ret(self, state: State, insn: CsInsn) -> list[State]:
        value = self.pop(state)
        self.rules.check_return(state, value)
        return []

    def do_iretq(self, state: State, insn: CsInsn) -> list[State]:
        self.rules.check_iretq(state)
        return []

    def do_sysret(self, state: State, insn: CsInsn) -> list[State]:
        self.rules.check_sysret(state, self.image.function(insn.address))
        return []

    def do_rep_movsb(self, state: State, insn: CsInsn) -> None:
        for name in ("rcx", "rsi", "rdi"):
            state.registers[name] = LOST
