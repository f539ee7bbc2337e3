# What a program of lab 04 must find when it is in ring 3 again, or for the first time. Used by turns.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from . import scene
from .switches import STUBS, Switches
from .tasks import FPU, KEPT, MARKS, PAGE_FRAME, Task, fill_program

TO_RING_3 = 200         # instructions from user_return() to a program's first
SPIN = 6                # rounds of a program's loop, of two instructions
MOST_ROUNDS = 3
MOST_OF_A_TURN = 12     # instructions of a program


class Programs(Switches):
    """Programs in ring 3."""

    rsp0 = 0                # where tss.rsp0 lies

    def begin_program(self) -> None:
        """From user_return() to the first instruction, whichever way the student has chosen."""
        for _ in range(TO_RING_3):
            registers = self.target.step()
            if registers["cs"] & 3 == 3:
                self.run_program(registers)
                return
            if self.stubs <= registers["pc"] < self.stubs + STUBS:
                self.fail("first-program", f"on the way to the first instruction of {self.running.name}, exception "
                                           f"{(registers['pc'] - self.stubs) // 16} came")
                return

    def run_program(self, registers: dict[str, int]) -> None:
        """A program is about to run: a look at it, and then a few of its instructions, so that it gets on even if a
        tick is waiting."""
        if registers["cs"] & 3 != 3:
            return
        self.awaited = False
        self.in_ring_3(registers)
        for _ in range(self.bench.random.randrange(1, MOST_OF_A_TURN)):
            if self.target.step()["cs"] & 3 != 3:
                break

    def in_ring_3(self, registers: dict[str, int]) -> None:
        """The first instruction of a program since it was switched to."""
        task = self.running
        if registers["cr3"] & PAGE_FRAME != task.cr3 & PAGE_FRAME:
            self.fail("address-space", f"{task.name} runs in ring 3 with another CR3 than its own")
            self.target.set(cr3=task.cr3)
        if registers["kernel_gs_base"] != self.pcr:
            self.fail("resume" if task.ran else "first-program",
                      f"{task.name} runs in ring 3, and the PCR's address does not wait in IA32_KERNEL_GS_BASE")
            self.target.set(kernel_gs_base=self.pcr, gs_base=task.bases["gs_base"])
            registers["gs_base"] = task.bases["gs_base"]
        self.look_at_rsp0(task)
        self.look_at_user_state(task, registers)
        (self.program_goes_on if task.ran else self.program_begins)(task, registers)

    def program_begins(self, task: Task, registers: dict[str, int]) -> None:
        self.look("first-program")
        task.ran = True
        wanted = {name: value for name, value in task.start.items() if name not in ("vector", "error")}
        wrong = scene.differences(registers, wanted)
        missing = [name for name, done in (("switch_end()", task.unlocked), ("user_return(frame)", task.checked))
                   if not done]
        if wrong:
            self.fail("first-program", f"at the first instruction of {task.name}, {wrong}")
        if missing:
            self.fail("first-program", f"{task.name} has begun, and {' and '.join(missing)} has not been called")
        self.target.set(rflags=wanted["rflags"])
        random = self.bench.random
        fill_program(self.bench, self.target, task, random.randrange(1, SPIN), random.randrange(2, MOST_ROUNDS + 1))

    def program_goes_on(self, task: Task, registers: dict[str, int]) -> None:
        self.look("ring-3")
        seen = {**registers, "rflags": registers["rflags"] & MARKS}
        wrong = scene.differences(seen, task.user)
        if wrong:
            self.fail("resume", f"{task.name} runs in ring 3 again, and {wrong}")
            self.target.set(**{name: task.user[name] for name in KEPT}, rsp=task.user["rsp"],
                            rflags=registers["rflags"] & ~MARKS | task.user["rflags"])

    def look_at_rsp0(self, task: Task) -> None:
        self.look("rsp0")
        rsp0 = self.target.read(self.rsp0)
        if rsp0 != task.top:
            whose = next((f"the top of the stack of {one.name}" for one in self.tasks.values() if one.top == rsp0),
                         f"{rsp0:#x}")
            self.fail("rsp0", f"{task.name} runs in ring 3, and tss.rsp0 is {whose}")
            self.target.write(self.rsp0, task.top)

    def look_at_user_state(self, task: Task, registers: dict[str, int]) -> None:
        self.look("fpu")
        wrong = [name for name in FPU if registers[name] != task.fpu[name]]
        if wrong:
            when, than = ("again", "it had") if task.ran else ("for the first time", "a clean FPU has")
            self.fail("fpu", f"{task.name} runs {when}, and finds other values in {', '.join(wrong[:6])} than {than}")
            self.target.set(**{name: task.fpu[name] for name in wrong})
        self.look("segment-bases")
        wrong = [name for name, value in task.bases.items() if registers[name] != value]
        if wrong:
            self.fail("segment-bases", f"{task.name} runs in ring 3 with another {' and '.join(wrong)} than it had")
            self.target.set(**{name: task.bases[name] for name in wrong})
