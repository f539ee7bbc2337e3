# One switch, from the first instruction of switch_stacks to where the next task goes on: followed instruction by
# instruction, whatever the routine looks like, with values of ours in all that must survive it. What is wrong is told,
# and then mended, so that what comes after it is judged by itself. Used by turns.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from . import scene
from .scene import IF
from .target import Target
from .tasks import CALLEE_SAVED, FRAME_BYTES, MARKS, PAGE_FRAME, Task, mark
from .verdicts import Status
from .work import Bench

MOST_STEPS = 600                # of one switch
LOADS_FLAGS = ("popf", "iret")
FIRST_STACK = 0x200             # bytes below the top of a new task's stack that are its frame and its first stack
STUBS = 16 * 32                 # bytes: the gates of the exceptions


def describe_flags(flags: int) -> str:
    names = [name for name, bit in (("DF", scene.DF), ("AC", scene.AC), ("ID", scene.ID)) if flags & bit]
    return " and ".join(names) or "none of them"


class Switches:
    """What is known of the tasks, and what a switch between two of them must do."""

    def __init__(self, bench: Bench, target: Target):
        self.bench, self.target = bench, target
        self.tasks: dict[int, Task] = {}        # by the address of struct task
        self.idle = self.pcr = self.kernel_cr3 = 0
        self.running: Task | None = None
        self.switches = 0
        self.lost = ""                          # why a switch came nowhere
        self.loaded = False                     # a switch has executed one of LOADS_FLAGS
        self.awaited = False                    # the running program has not been in ring 3 since it was switched to
        self.seen: dict[str, int] = {}          # how often each check has had something to look at
        symbol = target.code.symbol
        self.stubs = symbol("interrupt_stubs")
        self.panic = symbol("panic_begin")
        self.begins = (symbol("task_begin"), symbol("thread_begin"))

    # What is told.

    def fail(self, check: str, seen: str, where: int | str = "") -> None:
        self.bench.failed(check, seen, where)

    def has_failed(self, check: str) -> bool:
        return check in self.bench.verdicts and self.bench.verdicts[check].status is Status.FAILED

    def look(self, check: str) -> None:
        """Notes that the check has had something to look at."""
        self.seen[check] = self.seen.get(check, 0) + 1

    def owner(self, rsp: int) -> Task | None:
        """Whose kernel stack that is; the idle task's if nobody else's."""
        return next((task for task in self.tasks.values() if task.top and task.owns(rsp)), self.tasks.get(self.idle))

    def current(self) -> int:
        return self.target.read(self.pcr + self.target.code.member("pcr", "current"))

    # A switch.

    def switch(self, registers: dict[str, int]) -> None:
        """At the first instruction of switch_stacks."""
        previous = self.owner(registers["rsp"])
        coming = self.next_of(previous, registers["rsi"])
        self.unburied()
        if registers["rflags"] & IF:
            self.fail("interrupts-off", "switch_stacks was called with IF=1")
        mark(self.bench, self.target, previous, registers)
        previous.left = previous.ended
        for task in self.tasks.values():
            if task.top and not task.began:
                task.rsp = task.top - FIRST_STACK
                task.above = self.target.bytes(task.rsp, FIRST_STACK)
        arrived, on = self.follow()
        coming = coming or self.owner(arrived["rsp"])
        self.arrive(previous, coming, arrived, on)
        self.switched(coming)

    def switched(self, task: Task) -> None:
        """A task goes on; for those who want to know."""

    def next_of(self, previous: Task, load_rsp: int) -> Task | None:
        """Who is to go on: current(), or if that has not been changed, whose kept RSP it is."""
        current = self.current()
        if current != previous.address and current in self.tasks:
            return self.tasks[current]
        at = self.target.code.member("task", "rsp")
        others = [task for task in self.tasks.values() if task is not previous and not task.left]
        return next((task for task in others if self.target.read(task.address + at) == load_rsp), None)

    def unburied(self) -> None:
        for task in self.tasks.values():
            if task.left and not task.buried:
                self.fail("the-dead", f"{task.name} has ended, another task has run since and switches, and nobody has "
                                      "buried it")

    def follow(self) -> tuple[dict[str, int], int]:
        """Steps until some task goes on; gives the registers, and where IF was 1 on the way, or 0. The registers hold
        no 'pc' if it came nowhere."""
        places = {task.back for task in self.tasks.values() if task.back} | set(self.begins)
        on, at, self.loaded = 0, self.target["pc"], False
        for _ in range(MOST_STEPS):
            before, registers = at, self.target.step()
            at = registers["pc"]
            self.loaded |= self.bench.code.assembly(before).startswith(LOADS_FLAGS)
            if registers["rflags"] & IF and not on:
                on = before
            if at in places:
                return registers, on
            if at == self.panic:
                self.target.run_to(*self.handlers, moved=True)
            if self.stubs <= at < self.stubs + STUBS:
                self.lost = f"exception {(at - self.stubs) // 16} came"
                return {**registers, "pc": 0}, on
        self.lost = f"it was still at {self.bench.code.describe(at)} after {MOST_STEPS} instructions"
        return {**registers, "pc": 0}, on

    def arrive(self, previous: Task, task: Task, registers: dict[str, int], on: int) -> None:
        """A task goes on, or begins."""
        self.switches += 1
        self.running, self.awaited = task, bool(task.cr3)
        place = self.begins[task.is_thread] if not task.began else task.back
        rsp = task.rsp if task.began else task.top - (0 if task.is_thread else FRAME_BYTES)
        right = registers["pc"] == place and (registers["rsp"] == rsp or not task.began and task.is_thread
                                              and task.owns(registers["rsp"]))
        check = "resume" if task.began else task.new
        if not registers["pc"]:
            self.fail(check, f"the switch from {previous.name} to {task.name} came nowhere: {self.lost}")
        elif not right:
            self.fail(check, f"the switch from {previous.name} to {task.name} came to "
                             f"{self.bench.code.describe(registers['pc'])} with RSP={registers['rsp']:#x}, and not to "
                             f"{self.bench.code.describe(place)} with RSP={rsp:#x}")
        if on and right:
            self.fail("interrupts-off" if task.began else "first-flags",
                      f"IF was 1 during the switch to {task.name}", on)
        if right:
            self.registers_of(previous, task, registers)
            self.mend(task, {})
        else:
            self.mend(task, {"rip": place, "rsp": rsp})
            for one in self.tasks.values():     # it may have pushed on anybody's stack
                if one.above and not one.left:
                    self.target.call(self.target.gdb.write, one.rsp, one.above)
        self.surroundings(task, registers)
        task.began = True

    def registers_of(self, previous: Task, task: Task, registers: dict[str, int]) -> None:
        """Those that the switch has brought."""
        self.look("first-flags" if not task.began else "interrupts-off")
        self.look("flags")
        marks = registers["rflags"] & MARKS
        wanted = task.marks if task.began else 0
        if marks != wanted:
            whose = (f"left with {describe_flags(wanted)} of DF, AC and ID set" if task.began else
                     f"had never run, and {previous.name} left with {describe_flags(previous.marks)} set")
            self.fail("flags", f"{task.name} {whose}; it has {describe_flags(marks)} set now", registers["pc"])
        if wanted == previous.marks:
            self.look("flags-for-less")
            if self.loaded:
                self.fail("flags-for-less", f"the switch from {previous.name} to {task.name}, which have the same "
                                            "flags, has executed POPFQ or IRETQ")
        if not task.began:
            if task.is_thread and registers["rbx"] != task.function:
                self.fail("first-thread", "rbx does not hold the thread's function", registers["pc"])
                self.target.set(rbx=task.function)
            return
        self.look("resume")
        self.look("callee-saved")
        wrong = [name for name in CALLEE_SAVED if registers[name] != task.marked[name]]
        if wrong:
            self.fail("callee-saved", f"{task.name} came back with other values in {', '.join(wrong)} than it had "
                                      "when it called", registers["pc"])
        if self.target.bytes(task.rsp, len(task.above)) != task.above:
            self.fail("resume", f"what {task.name} had on its stack above RSP at its call has changed meanwhile")
            self.target.call(self.target.gdb.write, task.rsp, task.above)

    def mend(self, task: Task, more: dict[str, int]) -> None:
        """Makes the registers those with which the task must go on."""
        flags = 2 if more else self.target["rflags"] & ~(MARKS | IF)    # whatever was popped in its place is gone
        if task.began:
            self.target.set(rflags=flags | task.flags & MARKS, **task.callee_saved, **more)
        else:
            self.target.set(rflags=flags, **({"rbx": task.function} if more and task.is_thread else {}), **more)

    def surroundings(self, task: Task, registers: dict[str, int]) -> None:
        """What C has loaded for it."""
        cr3 = task.cr3 or self.kernel_cr3
        self.look("address-space")
        if registers["cr3"] & PAGE_FRAME != cr3 & PAGE_FRAME:
            loaded = registers["cr3"] & PAGE_FRAME
            whose = next((f"that of {one.name}" for one in self.tasks.values()
                          if one.cr3 and one.cr3 & PAGE_FRAME == loaded), "none of the programs'")
            self.fail("address-space", f"{task.name} goes on, and CR3 is {whose}; it must be "
                                       + ("its own" if task.cr3 else "the kernel's own"))
            self.target.set(cr3=cr3)
        if self.current() != task.address:
            self.fail("resume", f"{task.name} goes on, and current() is another task")
            self.target.write(self.pcr + self.target.code.member("pcr", "current"), task.address)
