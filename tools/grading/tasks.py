# The tasks of a kernel as the checks of lab 04 know them: by their kernel stacks, and by what struct task says, which
# no student's file defines. And the values of the grader's own that mark what belongs to whom.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import dataclass, field

from . import scene
from .scene import AC, DF, ID
from .target import Target
from .work import Bench

CALLEE_SAVED = ("rbx", "rbp", "r12", "r13", "r14", "r15")
MARKS = DF | AC | ID                    # flags that a task can carry through a switch
KEPT = ("rbx", "rdx", "rbp", "r8", "r9", "r10", "r12", "r13", "r14", "r15")     # programs/turns.S changes the others
FPU = tuple(f"xmm{n}" for n in range(16)) + tuple(f"st{n}" for n in range(8)) + ("fctrl", "mxcsr")
FPU_CLEAN = {name: 0 for name in FPU} | {"fctrl": 0x37f, "mxcsr": 0x1f80}
STACK_BYTES = 0x3000                    # of a kernel stack: KERNEL_STACK_SIZE
PAGE_FRAME = 0x000ffffffffff000
FRAME_BYTES = 8 * len(scene.FRAME)
MOST_OF_A_STACK = 0x800                 # bytes above RSP that are compared


@dataclass
class Task:
    """One task, from its start to its end."""

    name: str
    address: int                        # of its struct task
    top: int                            # of its kernel stack; 0: the idle task's, which is the boot stack
    cr3: int                            # 0: it has no address space
    start: dict[str, int] = field(default_factory=dict)     # a program's first registers
    function: int = 0                   # a thread's
    # While it does not run: where it goes on, and what it had.
    back: int = 0
    rsp: int = 0
    callee_saved: dict[str, int] = field(default_factory=dict)
    marked: dict[str, int] = field(default_factory=dict)
    flags: int = 0
    marks: int = 0
    above: bytes = b""
    # What has been seen of it.
    began: bool = False                 # it has been switched to
    unlocked: bool = False              # it has called switch_end() for the first time
    checked: bool = False               # and user_return()
    ran: bool = False                   # its first instruction, or its function, was reached
    ended: bool = False                 # it has called task_end()
    left: bool = False                  # and another task runs
    buried: bool = False
    # What a program has in ring 3.
    user: dict[str, int] = field(default_factory=dict)
    fpu: dict[str, int] = field(default_factory=lambda: dict(FPU_CLEAN))
    bases: dict[str, int] = field(default_factory=lambda: {"fs_base": 0, "gs_base": 0})

    @property
    def is_thread(self) -> bool:
        return bool(self.top) and not self.cr3

    @property
    def new(self) -> str:
        """The check that its first run is judged by."""
        return "first-thread" if self.is_thread else "first-program"

    def owns(self, rsp: int) -> bool:
        return self.top - STACK_BYTES <= rsp <= self.top


def read_task(target: Target, address: int, name: str) -> Task:
    def member(path: str) -> int:
        return target.read(address + target.code.member("task", path))

    task = Task(name, address, member("kernel_stack_top"), member("space.cr3"))
    if task.cr3:
        task.start = scene.read_frame(target, address + target.code.member("task", "start.r15"))
    return task


def mark(bench: Bench, target: Target, task: Task, registers: dict[str, int]) -> None:
    """Notes what a task has that calls switch_stacks, and puts values of ours in the registers that must survive."""
    task.back, task.rsp = target.read(registers["rsp"]), registers["rsp"] + 8
    task.callee_saved = {name: registers[name] for name in CALLEE_SAVED}
    task.flags = registers["rflags"]
    task.marked = {name: bench.random.getrandbits(64) for name in CALLEE_SAVED}
    task.marks = bench.random.choice((DF, AC, ID, DF | AC, DF | ID, AC | ID, MARKS, 0, 0, 0, 0, 0))
    size = min(task.top - task.rsp, MOST_OF_A_STACK) if task.top else 64
    task.above = target.bytes(task.rsp, size) if size > 0 else b""
    target.set(rflags=registers["rflags"] & ~MARKS & ~scene.IF | task.marks, **task.marked)


def fill_program(bench: Bench, target: Target, task: Task, spin: int, rounds: int) -> None:
    """At a program's first instruction: values of ours in all that it has, for as long as it runs."""
    random = bench.random
    task.user = {name: random.getrandbits(64) for name in KEPT}
    task.fpu = {name: random.getrandbits(128) if name.startswith("xmm") else random.getrandbits(80) for name in FPU}
    task.fpu["fctrl"] = 0x37f & ~0xc00 | random.randrange(4) << 10      # the rounding: all exceptions stay masked
    task.fpu["mxcsr"] = 0x1f80 | random.randrange(4) << 13
    task.bases = {name: random.getrandbits(46) & ~7 for name in ("fs_base", "gs_base")}
    registers = target.registers()
    marks = random.choice((DF, AC, ID, DF | ID, AC | ID, MARKS))
    task.user["rsp"] = registers["rsp"]
    target.set(rflags=registers["rflags"] & ~MARKS | marks, **task.user, **task.fpu, **task.bases)
    task.marks = marks
    task.user["rflags"] = marks
    program = bench.program("turns")
    target.write(program["spin"], spin)
    target.write(program["rounds"], rounds)
