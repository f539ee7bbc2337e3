# The abstract state of a CPU in the entry code: whose GS base, whose stack and what lies on it, IF, DF and AC, and of
# each register what is known. Used by execute.py, which changes it, and rules.py, which judges it.
# SPDX-License-Identifier: MIT
#
# A value is a tuple; its first word says what is known:
#   const N         the number N
#   in NAME         what the interrupted code (or the caller) has in that register
#   frame NAME      what C has left in that place of the trap frame
#   sp STACK N      an address on a stack, N bytes above its anchor (see ANCHORS)
#   cs RING         a saved CS of that ring
#   rip-at N        a saved RIP that is this address, and `in rip` one that is not the IRETQ's
#   half PART X     one half of a GS base: of the PCR's address, or of that which was found ('gs:user')
#   flags WHOSE     an image of RFLAGS: this task's, the next one's
#   result NAME     what a C function has returned
#   pcr             a PCR's address that is this CPU's alone;  pcr-list: the first of the list, may be NULL or taken
#   pcr-some        as pcr-list, and not NULL
#   lost            nothing
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Optional, Tuple

Value = Tuple
LOST: Value = ("lost",)
REGISTERS = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16)))
GENERAL = tuple(name for name in REGISTERS if name != "rsp")
LOOKED_AT = "user_return"       # the C function that has the last look at a frame
WITHOUT_TF = "user_return, and TF is 0 in the frame"
CALLEE_SAVED = ("rbx", "rbp", "r12", "r13", "r14", "r15")
HARDWARE = ("rip", "cs", "rflags", "rsp", "ss")         # a frame's last words, as the CPU pushes them
FRAME_SIZE = 22 * 8

# Each stack is counted from a fixed place of it, which for all but the last two is 16-byte aligned:
#   task    its top, where tss.rsp0 points          ist     tss.ist[n], where the PCR's address lies
#   kernel  where the interrupt in ring 0 began to push (the CPU aligns)
#   caller  where a routine's return address lies   next    the same, of the task that is switched to
ANCHORS = {"task": 0, "ist": 0, "kernel": 0, "boot": 0, "caller": 8, "next": 8}


@dataclass(frozen=True)
class Scenario:
    """One way in, and what must be true at the way out."""

    name: str
    ring: int = 0                   # that was interrupted
    exits: Tuple[str, ...] = ()     # 'ring3', 'ring0', 'ret', 'halt'; a C function that does not return always may
    found: Tuple[str, str] = ("none", "none")   # GS base and KERNEL_GS_BASE, where the way in leaves them as they are
    leaves: Tuple[str, str] = ("none", "none")  # what they must be at the way out
    saved: str = ""                 # the frame's source: 'interrupt', 'syscall' or 'c'; '' where there is none
    error: bool = False             # the CPU has pushed an error code
    c_returns: bool = True          # False where C ends the task or panics, whatever the vector


@dataclass
class State:
    """The CPU before one instruction."""

    scenario: Scenario
    pc: int
    bits: int = 64
    registers: Dict[str, Value] = field(default_factory=dict)
    memory: Dict[Tuple[str, int], Value] = field(default_factory=dict)     # of the stacks, in words of 8 bytes
    gs: str = "none"                # whose base: user, pcr, or none (there is no PCR yet)
    kernel_gs: str = "none"         # what SWAPGS would exchange it for
    interrupts: int = 0             # IF
    df: str = "0"                   # 0, 1, or whose it is: in (the interrupted code's), this, next
    ac: str = "0"
    rest: str = "0"                 # the other flags that a switch must carry: this, next
    fence: bool = False             # a jump has asked whose GS it is, and no LFENCE came yet
    zero: Tuple = ()                # what ZF would say; () where nobody knows
    smap: Optional[bool] = None     # whether the CPU has SMAP, once the path has asked
    scratch: Value = LOST           # pcr.user_rsp
    called: str = ""                # the last C function; WITHOUT_TF if the frame has been looked at since
    previous: Optional["State"] = None

    def copy(self) -> "State":
        """The next state begins as a copy, and remembers where it came from."""
        return State(self.scenario, self.pc, self.bits, dict(self.registers), dict(self.memory), self.gs,
                     self.kernel_gs, self.interrupts, self.df, self.ac, self.rest, self.fence, self.zero, self.smap,
                     self.scratch, self.called, self)

    def key(self) -> Tuple:
        """Two states with the same key have the same future."""
        return (self.scenario, self.pc, self.bits, tuple(sorted(self.registers.items())),
                tuple(sorted(self.memory.items())), self.gs, self.kernel_gs, self.interrupts, self.df, self.ac,
                self.rest, self.fence, self.zero, self.smap, self.scratch, self.called)

    @property
    def stack(self) -> str:
        """Whose stack RSP points to: one of ANCHORS, 'user', or 'none' where it is not known to be any."""
        value = self.registers.get("rsp", LOST)
        if value[0] == "sp":
            return value[1]
        return "user" if value in (("in", "rsp"), ("frame", "rsp")) and self.scenario.ring == 3 else "none"

    def describe(self) -> str:
        where = self.stack
        if where in ANCHORS:
            where += f"{self.registers['rsp'][2]:+d}"
        return (f"GS={self.gs:4} stack={where:9} IF={self.interrupts} DF={self.df} AC={self.ac}"
                + (" no LFENCE yet" if self.fence else "") + ("" if self.smap is None else f" SMAP={int(self.smap)}"))


class Violation(Exception):
    """A rule is broken in a state; rule is its short name, the text says how."""

    def __init__(self, rule: str, text: str):
        super().__init__(text)
        self.rule = rule
