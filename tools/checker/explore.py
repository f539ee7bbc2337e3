# Walks through the entry code from every way in, along every path, and strikes with an NMI, #DB, #DF and #MC at every
# instruction that it came by. Used by tools/check-entry.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from layers import Variant

from .entries import IST_VECTORS, Entries, layout_of
from .execute import Execution
from .image import Image
from .rules import Rules
from .sweep import Misplaced
from .state import FRAME_SIZE, LOST, State, Violation

PADDING = {"nop", "int3", "xchg"}               # between routines: xchg is gas' two-byte nop
PROOF_ROUTINES = {"switch_stacks_with_flags"}   # of proof/
TOO_MANY = 200_000      # states: a stack that only grows, in a loop


@dataclass
class Finding:
    """A rule that is broken, and the way there."""

    rule: str
    text: str
    state: State

    def path(self) -> list[State]:
        states = [self.state]
        while states[-1].previous:
            states.append(states[-1].previous)
        return states[::-1]


@dataclass
class Explorer:
    """One kernel's entry code, walked through."""

    image: Image
    variant: Variant
    findings: list[Finding] = field(default_factory=list)
    seen: dict = field(default_factory=dict)
    reported: set = field(default_factory=set)
    ways_in: int = 0
    strikes: int = 0

    def __post_init__(self) -> None:
        stage = self.variant.stage
        layout = layout_of(self.image, self.variant)
        self.execution = Execution(self.image, layout, Rules(self.image, layout, stage))
        self.entries = Entries(self.image, layout, stage)
        self.vector_slot = dict(layout.frame).get("vector", 0) - FRAME_SIZE

    def run(self) -> list[Finding]:
        for state in self.entries.all():
            self.ways_in += 1
            self.walk(state)
        if self.variant.stage >= "01":
            for vector, state in self.entries.interrupts():
                self.enter(vector, state)
        if self.variant.stage >= "03":
            self.strike_everywhere()
        return self.findings

    def enter(self, vector: int, state: State) -> None:
        """One stub. They differ in the vector alone, which is looked at here, so that they meet behind it."""
        self.ways_in += 1
        stub = range(state.pc, state.pc + 16)
        last = state
        while state.pc in stub and self.image.function(state.pc) == "interrupt_stubs":  # the last one is shorter
            last = state
            self.seen[state.key()] = state
            try:
                (state,) = self.execution.successors(state)
            except Violation as broken:
                self.report(broken.rule, f"vector {vector}: {broken}", state)
                return
        stack = state.registers["rsp"][1]
        found = state.memory.get((stack, self.vector_slot), LOST)
        if found != ("const", vector):
            self.report("frame", f"the stub of vector {vector} leaves {found[-1]} in frame.vector", last)
            return
        state.memory[stack, self.vector_slot] = ("vector",)
        self.walk(state)

    def walk(self, start: State) -> None:
        """Every path from a state, until all that comes is known."""
        work = deque([start])
        while work:
            state = work.popleft()
            key = state.key()
            if key in self.seen:
                continue
            self.seen[key] = state
            if len(self.seen) > TOO_MANY:
                self.report("unknown", "more states than this code can have: does a loop change a stack?", state)
                return
            try:
                work.extend(self.execution.successors(state))
            except Violation as broken:
                self.report(broken.rule, str(broken), state)

    def report(self, rule: str, text: str, state: State) -> None:
        """Once for each instruction and rule: the first way there is the shortest."""
        if (rule, state.pc) not in self.reported:
            self.reported.add((rule, state.pc))
            self.findings.append(Finding(rule, text, state))

    def strike_everywhere(self) -> None:
        """An NMI, #DB, #DF or #MC at each instruction passed, in whatever state: to their entries all that differs is
        whose the two GS bases are. Their own instructions are struck as well: another of the four may come there."""
        done: set[tuple[str, str]] = set()
        while True:
            pairs = {(state.gs, state.kernel_gs) for state in self.seen.values() if state.gs != "none"} - done
            if not pairs:
                break
            for gs in sorted(pairs):
                done.add(gs)
                for vector in sorted(IST_VECTORS):
                    self.enter(vector, self.entries.interrupt(vector, 0, gs))
        self.strikes = len({(state.pc, state.gs, state.kernel_gs) for state in self.seen.values()
                            if state.gs != "none"})

    def instructions(self) -> int:
        return len({state.pc for state in self.seen.values()})

    def unreached(self) -> list[Misplaced]:
        """Assembly that no path leads to has not been checked."""
        passed = {state.pc for state in self.seen.values()}
        # Behind a broken rule nothing was walked: what is there is not unreachable.
        broken = {self.image.function(found.state.pc) for found in self.findings}
        found: dict[str, Misplaced] = {}
        for insn in self.image.text():
            routine = self.image.function(insn.address)
            if routine in self.image.assembly - PROOF_ROUTINES and insn.address not in passed and not broken \
                    and insn.mnemonic not in PADDING:
                found.setdefault(routine, Misplaced("unreached", f"no way in leads to '{insn.mnemonic} {insn.op_str}' "
                                 f"of {routine}, so it has not been checked", insn.address))
        return list(found.values())


