# Records a walk in Bochs, instruction by instruction, as docs/formats/trace.schema.json describes it.
# The walk is gone twice. The first time tells how many instructions lie between two points, so that of a long stretch
# the beginning and the end can be recorded and the middle left out. The machine repeats itself exactly.
# Called by tools/trace.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Union

from .annotate import Annotator, annotate
from .bochs_debugger import BochsDebugger, DebuggerError, start_at
from .expression import View
from .places import Places
from .run import Request
from .stepper import REGISTERS, Access, Happening, State, Stepper, version_of_bochs
from .trace import FORMAT, VERSION
from .walk import Kernel, Point, Walk, WalkError, arrived, come_to

MOST = 240              # instructions of a stretch that are recorded
TAIL = 3                # one in so many of them at its end
STACK_WORDS = 24        # of each stack, as it is when the recording begins
USER_TOP = 1 << 47


@dataclass
class Stretch:
    """The way from one point to the next."""

    point: Point
    cpu: int                        # which comes to the point
    counts: dict[int, int]          # instructions that each CPU executed on it
    address: int                    # where it is


@dataclass
class Recording:
    """What has been recorded so far."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    points: list[dict[str, Any]] = field(default_factory=list)
    start: list[dict[str, Any]] = field(default_factory=list)
    memory: list[list] = field(default_factory=list)


class Machine:
    """The machine of a walk, at its first point, and the way from point to point."""

    def __init__(self, debugger: BochsDebugger, kernel: Kernel):
        self.debugger = debugger
        self.stepper = Stepper(debugger)
        self.kernel = kernel

    def view(self) -> View:
        return self.kernel.view(self.debugger)

    def counts(self) -> dict[int, int]:
        return {cpu: self.stepper.executed(cpu) for cpu in range(self.debugger.cpus)}

    def go_to(self, point: Point, before: Union[View, None]) -> View:
        """Goes on to a point without looking at the way; `before` is what was to be seen at the one before it."""
        return come_to(point, before, self.kernel, self.debugger)


class Recorder:
    """Records one walk."""

    def __init__(self, walk: Walk, kernel: Kernel, request: Request, programs: list[tuple[Path, list[str]]],
                 show: Callable[[bytes], None], most: int = MOST):
        self.walk = walk
        self.points = walk.seen_in("bochs").points
        self.kernel = kernel
        self.request = request
        self.programs = programs
        self.show = show
        self.most = most
        self.places = Places(kernel, programs)
        self.recording = Recording()
        self.known: dict[tuple[int, int], int] = {}     # words of memory by address space and address
        self.anchor = self.recording.memory             # where a word belongs that turns out to have been there before

    def start(self) -> Machine:
        first = self.kernel.address_of(self.points[0], None)
        machine = Machine(start_at(self.request, self.kernel.symbols.elf, first, self.show), self.kernel)
        try:
            if not arrived(self.points[0], machine.view(), machine.debugger.cpu):
                machine.go_to(self.points[0], None)
            return machine
        except BaseException:
            self.show(machine.debugger.heard())     # it may explain why
            machine.debugger.close()
            raise

    def record(self, stage: str) -> dict[str, Any]:
        """The whole walk, as the format has it."""
        stretches = self.measure()
        machine = self.start()
        try:
            self.machine, self.stepper = machine, machine.stepper
            self.begin()
            for stretch in stretches:
                self.record_stretch(stretch)
            emulator = version_of_bochs(machine.debugger)
        finally:
            machine.debugger.close()
        return self.finish(stage, emulator)

    def measure(self) -> list[Stretch]:
        """Goes the walk without looking at the way."""
        machine = self.start()
        try:
            stretches, view, before = [], machine.view(), machine.counts()
            for point in self.points[1:]:
                view = machine.go_to(point, view)
                cpu, after = machine.debugger.cpu, machine.counts()
                counts = {one: after[one] - before[one] for one in after}
                stretches.append(Stretch(point, cpu, counts, view.registers["pc"]))
                before = after
            return stretches
        except LookupError as error:
            raise WalkError(str(error)) from None
        finally:
            machine.debugger.close()

    def begin(self) -> None:
        """What there is at the first point."""
        cpu = self.machine.debugger.cpu
        for one in range(self.machine.debugger.cpus):
            state = self.stepper.look(one)
            self.recording.start.append({"cpu": one, "registers": words_of(state.registers)})
            self.read_stack(state)
        self.stepper.choose(cpu)
        self.observe(self.points[0], cpu)

    def observe(self, point: Point, cpu: int) -> None:
        """A point is reached."""
        self.recording.points.append({"at": point.at, "why": " ".join(point.why.split()), "cpu": cpu,
                                      "step": len(self.recording.steps)})
        for one, state in self.stepper.states.items():
            self.places.observe(self.stepper, one, state)
        self.places.code(self.stepper, cpu, self.stepper.states[cpu])   # also behind the last step there is a next one
        self.stepper.choose(cpu)

    def record_stretch(self, stretch: Stretch) -> None:
        others = [cpu for cpu, count in stretch.counts.items() if count and cpu != stretch.cpu]
        if stretch.point.run == "all" and self.request.cpus > 1:
            self.machine.go_to(stretch.point, self.machine.view())
            for cpu in [*others, stretch.cpu]:
                self.leave_out(cpu, stretch.counts[cpu], everybody=True)
        else:
            self.record_alone(stretch)
        seen = self.stepper.states[stretch.cpu].address
        if seen != stretch.address:
            raise DebuggerError(f"the machine did not repeat itself: to {stretch.point.at} it came by {seen:#x}")
        self.observe(stretch.point, stretch.cpu)

    def record_alone(self, stretch: Stretch) -> None:
        """One CPU's way; of a long one the beginning and the end."""
        count = stretch.counts[stretch.cpu]
        known = self.stepper.states[stretch.cpu]
        if self.stepper.look(stretch.cpu).registers != known.registers:     # another CPU has reset or started it
            self.stepper.states[stretch.cpu] = known
            self.leave_out(stretch.cpu, 0)
        if stretch.point.nmi:
            self.machine.debugger.nmi()
        tail = self.most // TAIL if count > self.most else 0
        head = self.most - tail if tail else count
        self.record_steps(stretch.cpu, head)
        if tail:
            self.stepper.skip(stretch.cpu, count - head - tail)
            self.leave_out(stretch.cpu, count - head - tail)
            self.record_steps(stretch.cpu, tail)

    def record_steps(self, cpu: int, count: int) -> None:
        for _ in range(count):
            for happening in self.stepper.step(cpu):
                self.add(happening)

    def add(self, happening: Happening) -> None:
        step: dict[str, Any] = {"cpu": happening.cpu}
        if not happening.between:
            step["code"] = self.places.code(self.stepper, happening.cpu, happening.before)
        if happening.vectors:
            step["interrupt"] = interrupt_of(happening, self.places.text(step.get("code")))
        step["changes"] = changes(happening.before, happening.after)
        space = happening.before.registers["cr3"]
        for access in happening.accesses:
            self.note(space, access)
        for name, write in (("reads", False), ("writes", True)):
            found = [[f"{access.address:#x}", access.size, f"{access.value:#x}"] for access in happening.accesses
                     if access.write is write]
            if found:
                step[name] = found
        self.recording.steps.append(step)

    def note(self, space: int, access: Access) -> None:
        """Keeps in mind what is in memory. What is read for the first time was there before."""
        start = access.address & ~7
        for word in range(start, access.address + access.size, 8):
            key = (space if word < USER_TOP else 0, word)
            if not access.write and key not in self.known:
                self.anchor.append(memory_entry(space, access.address, access.size, access.value))
            if access.write or key not in self.known:
                self.known[key] = access.value if access.size == 8 and access.address == word else -1

    def read_stack(self, state: State) -> None:
        """The top of a CPU's stack, as it was before anybody looked."""
        start, space = state.registers["rsp"] & ~7, state.registers["cr3"]
        if start == 0:
            return
        for number, word in enumerate(self.stepper.words(start, STACK_WORDS)):
            self.note(space, Access(False, start + 8 * number, 8, word))

    def leave_out(self, cpu: int, count: int, everybody: bool = False) -> None:
        """A stretch that nobody saw: the registers behind it, and what it changed of the memory that is known."""
        before = self.stepper.states.get(cpu) or self.stepper.look(cpu)
        after = self.stepper.look(cpu)
        step: dict[str, Any] = {"cpu": cpu, "skipped": count, "changes": changes(before, after), "writes": []}
        if everybody:
            step["together"] = True
        self.anchor = step["writes"]
        space = after.registers["cr3"]
        for start, count_of_words in runs(self.known, space):
            for number, word in enumerate(self.stepper.words(start, count_of_words)):
                address = start + 8 * number
                key = (space if address < USER_TOP else 0, address)
                if self.known[key] != word:
                    self.known[key] = word
                    step["writes"].append(memory_entry(space, address, 8, word))
        self.recording.steps.append(step)

    def finish(self, stage: str, emulator: str) -> dict[str, Any]:
        listing = self.places.kernel_listing
        trace = {
            "format": FORMAT, "version": VERSION, "stage": stage, "walk": self.walk.name, "title": self.walk.title,
            "versions": {"compiler": listing.compiler, "emulator": emulator},
            "cpus": self.request.cpus, "limit": self.most, "words": list(self.walk.run.words),
            "programs": [" ".join(words) for _, words in self.programs],
            "points": self.recording.points, "start": self.recording.start, "memory": self.recording.memory,
            **self.places.tables(), "steps": self.recording.steps,
        }
        annotate(Annotator(trace, self.places))
        return trace


def words_of(registers: dict[str, int]) -> dict[str, str]:
    return {name: f"{registers[name]:#x}" for name in REGISTERS}


def changes(before: State, after: State) -> dict[str, str]:
    return {name: f"{after.registers[name]:#x}" for name in REGISTERS
            if after.registers[name] != before.registers[name]}


def memory_entry(space: int, address: int, size: int, value: int) -> list:
    """A program's memory is another one in each address space."""
    return [f"{address:#x}", size, f"{value:#x}", *([f"{space:#x}"] if address < USER_TOP else [])]


def interrupt_of(happening: Happening, text: str) -> dict[str, Any]:
    """Its vector, from the IDT's gate that the CPU has read, and what made it come."""
    vector = happening.vectors[-1]
    if not happening.between:
        cause = "instruction" if text.startswith("int") else "exception"
    else:
        cause = "nmi" if vector == 2 else "exception" if vector < 32 else "interrupt"
    found: dict[str, Any] = {"vector": vector, "cause": cause}
    if len(happening.vectors) > 1:
        found["first"] = happening.vectors[0]       # the exception that could not be delivered
    return found


def runs(known: dict[tuple[int, int], int], space: int) -> list[tuple[int, int]]:
    """The words that are known and can be read in an address space: where they begin, and how many."""
    addresses = sorted(address for owner, address in known if owner in (0, space))
    found: list[list[int]] = []
    for address in addresses:
        if found and found[-1][0] + 8 * found[-1][1] == address:
            found[-1][1] += 1
        else:
            found.append([address, 1])
    return [(start, count) for start, count in found]
