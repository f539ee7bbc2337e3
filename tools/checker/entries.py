# The ways into the kernel's assembly, each as the state in which the CPU, or C, begins it. What a stage does not have
# is not listed for it: docs/invariants.md says what each claims. Used by explore.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from typing import Iterator

from layers import Variant, merge
from machine.structures import Structures

from .image import CheckError, Image
from .operands import SWITCH_ORDER, Layout
from .state import FRAME_SIZE, GENERAL, HARDWARE, LOST, REGISTERS, Scenario, State

# Vectors with an error code: SDM 3A, "Exception and Interrupt Reference". Those with a stack of their own: idt.c.
ERROR_CODES = {8, 10, 11, 12, 13, 14, 17, 21, 29, 30}
IST_VECTORS = {1, 2, 8, 18}
RETURNS_TO_RING_3 = ("ring3",)


def read_number(variant: Variant, file: str, name: str) -> int:
    """A #define of one of the kernel's headers."""
    text = merge(variant)[file].source.read_text() if file in merge(variant) else ""
    found = re.search(rf"^#define\s+{name}\s+(0x[0-9a-fA-F]+|\d+)", text, re.MULTILINE)
    if text and not found:
        raise CheckError(f"{file} does not define {name} as a number")
    return int(found[1], 0) if found else 0


def layout_of(image: Image, variant: Variant) -> Layout:
    structures = Structures(image.elf)
    frame = structures.members("trap_frame") if variant.stage >= "01" else {}
    if frame and structures.size("trap_frame") != FRAME_SIZE:
        raise CheckError(f"struct trap_frame has {structures.size('trap_frame')} bytes; the checks want {FRAME_SIZE}")
    pcr = structures.members("pcr") if variant.stage >= "02" else {}
    return Layout(
        frame=tuple((name, offset) for name, (offset, _) in frame.items()),
        user_rsp=pcr.get("user_rsp", (-1, 0))[0], rsp0=pcr.get("tss.rsp0", (-1, 0))[0],
        user_code=read_number(variant, "kernel/gdt.h", "SEL_USER_CODE"),
        user_data=read_number(variant, "kernel/gdt.h", "SEL_USER_DATA"),
        ap_page=read_number(variant, "kernel/smp.h", "AP_PAGE"))


class Entries:
    """The ways in of one kernel."""

    def __init__(self, image: Image, layout: Layout, stage: str):
        self.image = image
        self.layout = layout
        self.stage = stage
        # Stage 01 has no PCR; stage 02 leaves it in GS while ring 3 runs; from 03 on GS changes hands.
        self.kernel = ("none", "none") if stage < "02" else ("pcr", "none" if stage == "02" else "user")
        self.user = self.kernel if stage < "03" else ("user", "pcr")

    def state(self, scenario: Scenario, at: str, gs: tuple[str, str], **known) -> State:
        registers = {name: ("in", name) for name in REGISTERS}
        registers.update(known.pop("registers", {}))
        state = State(scenario, self.image.need(at), registers=registers, gs=gs[0], kernel_gs=gs[1], **known)
        if self.stage < "03":
            state.smap = False
        return state

    def all(self) -> Iterator[State]:
        """Every way in but the interrupts."""
        yield self.bare("start of the boot CPU", "boot_entry", 32)
        if "trap_return" in self.image.address:
            yield self.first_return()
        if self.stage >= "03":
            yield self.syscall("syscall_entry")
            yield self.syscall("syscall32_entry")
            yield self.user_copy("user_copy_bytes")
            yield self.user_copy("user_copy_bytes.step2")
        if self.stage >= "04":
            yield self.task("task_begin")
            yield self.task("thread_begin")
            yield self.switch()
        if self.stage >= "05":
            yield self.bare("start of another CPU", "ap_trampoline", 16)

    def bare(self, name: str, at: str, bits: int) -> State:
        """A CPU that has nothing yet: no stack, no GS, and DF for the loader to have left."""
        scenario = Scenario(name, exits=("halt",))
        df = "in" if at == "boot_entry" else "0"
        state = self.state(scenario, at, ("none", "none"), bits=bits, df=df)
        state.registers = {name: LOST for name in REGISTERS}
        return state

    def interrupt(self, vector: int, ring: int, gs: tuple[str, str], name: str = "") -> State:
        """A gate of the IDT: the stack is the task's, the interrupted one, or one of the IST."""
        stack = "ist" if vector in IST_VECTORS else "task" if ring else "kernel"
        error = vector in ERROR_CODES
        kind = {1: "#DB or NMI", 2: "#DB or NMI", 8: "#DF", 18: "#MC"}.get(vector, "interrupt")
        name = name or f"{kind} from ring {ring}" + (" with an error code" if error else "")
        if not ring and gs != self.kernel:
            name += f", GS of '{gs[0]}' and '{gs[1]}'"
        # C panics for #DF and #MC (nobody handles them), and ends the task whose IRETQ has faulted.
        c_returns = not (vector in (8, 18) and ring and gs != self.kernel) and not name.startswith("fault of")
        scenario = Scenario(name, ring, (f"ring{ring}",), gs, gs, "interrupt", error, c_returns)
        state = self.state(scenario, "interrupt_stubs", gs, df="in", ac="in")
        state.pc += 16 * vector
        rip = ("rip-at", self.image.need("interrupt_return.step3")) if name.startswith("fault of") else ("in", "rip")
        words = {"rip": rip, "cs": ("cs", ring), **{one: ("in", one) for one in ("rflags", "rsp", "ss")}}
        for number, member in enumerate(reversed(HARDWARE), 1):
            state.memory[stack, -8 * number] = words[member]
        if error:
            state.memory[stack, -48] = ("error",)
        if stack == "ist":
            state.memory["ist", 0] = ("pcr",)       # put there by paranoid_set_stacks()
        state.registers["rsp"] = ("sp", stack, -48 if error else -40)
        return state

    def interrupts(self) -> Iterator[tuple[int, State]]:
        """Each vector from each ring, as if nothing had been in the way; and the fault of the IRETQ to ring 3."""
        for vector in range(256):
            yield vector, self.interrupt(vector, 3, self.user)
            yield vector, self.interrupt(vector, 0, self.kernel)
        if self.stage >= "05":
            for vector in (11, 12, 13):     # all that an IRETQ can raise there
                yield vector, self.interrupt(vector, 0, self.user, "fault of the IRETQ to ring 3")

    def syscall(self, at: str) -> State:
        """SYSCALL has cleared what SFMASK names (tests/static/asserts.c): IF, DF, AC and TF among it."""
        scenario = Scenario(at, 3, RETURNS_TO_RING_3, leaves=self.user, saved="syscall")
        return self.state(scenario, at, self.user)

    def frame_by_c(self) -> dict:
        """A trap frame that C has written, at the top of the task's stack."""
        memory = {("task", offset - FRAME_SIZE): ("frame", name) for name, offset in self.layout.frame}
        memory["task", dict(self.layout.frame)["cs"] - FRAME_SIZE] = ("cs", 3)
        return memory

    def first_return(self) -> State:
        """trap_return(frame), of stages 01 to 03."""
        scenario = Scenario("trap_return", 3, RETURNS_TO_RING_3, leaves=self.user, saved="c")
        registers = {"rdi": ("sp", "task", -FRAME_SIZE), "rsp": ("sp", "caller", 0)}
        return self.state(scenario, "trap_return", self.kernel, registers=registers, memory=self.frame_by_c())

    def task(self, at: str) -> State:
        """By the `ret` of switch_stacks(), with the flags of switch_first_stack(); a thread's stack is empty."""
        program = at == "task_begin"
        exits = RETURNS_TO_RING_3 if program else ()
        scenario = Scenario(at, 3 if program else 0, exits, leaves=self.user, saved="c" if program else "")
        rsp = ("sp", "task", -FRAME_SIZE if program else 0)
        registers = {**{name: LOST for name in GENERAL}, "rsp": rsp, "rbx": ("thread",)}
        memory = self.frame_by_c() if program else {}
        return self.state(scenario, at, self.kernel, registers=registers, memory=memory)

    def switch(self) -> State:
        scenario = Scenario("switch_stacks", exits=("ret",), leaves=self.kernel)
        registers = {"rsp": ("sp", "caller", 0), "rsi": ("sp", "next", -8 * len(SWITCH_ORDER))}
        memory = {("next", -8 * number): ("flags", "next") if name == "flags" else ("next", name)
                  for number, name in enumerate(SWITCH_ORDER, 1)}
        memory.update({("caller", 0): ("return", "this"), ("next", 0): ("return", "next")})
        return self.state(scenario, "switch_stacks", self.kernel, registers=registers, memory=memory,
                          df="this", ac="this", rest="this")

    def user_copy(self, at: str) -> State:
        """From its beginning, and from where the handler of #PF lets it go on: AC set if there is SMAP."""
        scenario = Scenario(at, exits=("ret",), leaves=self.kernel)
        state = self.state(scenario, at, self.kernel, registers={"rsp": ("sp", "caller", 0)},
                           memory={("caller", 0): ("return", "this")}, interrupts=1)
        if at.endswith("step2"):
            state.ac = "1"
        return state
