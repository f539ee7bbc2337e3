# Watches a kernel of stage 04 from its first task to its last: every switch, every first run, every return to ring 3,
# every burial. It stops at functions that lab.toml lists and at those of files that no student writes.
# One mistake is to cost one check: what is wrong is told, and then mended. Used by lab04.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from . import scene
from .scene import IF
from .ring3 import Programs
from .switches import STUBS
from .target import Ended, Target
from .tasks import FRAME_BYTES, MARKS, PAGE_FRAME, Task, read_task
from .verdicts import Cause
from .work import Bench

THREADS = 2             # that proof/flags.c starts
# The instructions by which a program goes on, in files that no student writes. An interrupt may wait there for the
# program's first instruction (with -icount, QEMU lets time pass at every stop), so they are stepped over.
WAYS_OUT = ("interrupt_return.step3", "syscall_entry.step9")
MOST_STOPS = 1500       # of the machine; the solution has some 250
MOST_IDLE = 20          # ticks in a row in which nobody wakes up; the programs sleep for one at most
VECTOR_TIMER = 0x40
TO_TASK_END = 50        # instructions from a thread's function to there


class Finished(Exception):
    """All has been seen that there is to see."""


@dataclass
class Call:
    """Of a function that is watched: who comes back, where to, and with what."""

    task: Task
    back: int
    rsp: int
    interrupts: int = 0         # IF at the call
    of: str = "schedule"        # or 'user_return', a new program's; 'thread', a thread's function


class Turns(Programs):
    """One run."""

    def __init__(self, bench: Bench, target: Target, programs: int):
        super().__init__(bench, target)
        self.programs = programs
        self.functions: list[int] = []          # of threads that were made and not yet started
        self.calls: list[Call] = []
        symbol = target.code.symbol
        self.task_end_at = symbol("task_end")
        self.starts = (symbol("thread_create"), symbol("task_start"))
        self.timer = self.stubs + 16 * VECTOR_TIMER
        self.idled = 0                          # ticks since somebody else has run
        self.ways_out = {symbol(name) for name in WAYS_OUT}
        self.handlers: dict[int, Callable[[dict[str, int]], None]] = {symbol(name): handler for name, handler in (
            ("thread_create", self.thread_create), ("task_start", self.task_start), ("switch_stacks", self.switch),
            ("schedule", self.schedule), ("switch_end", self.switch_end), ("user_return", self.user_return),
            ("task_kill", self.task_kill), ("task_end", self.task_end), ("task_destroy", self.task_destroy))}

    # The run.

    def run(self) -> None:
        """Until the kernel switches the machine off, or something ends the run earlier."""
        try:
            self.look_on()
        except Finished:
            self.bench.count(self.target)

    def look_on(self) -> None:
        self.target.run_to(*self.handlers)
        for _ in range(MOST_STOPS):
            registers = self.target.registers()
            if self.tasks or registers["pc"] in self.starts:
                self.stopped(registers)
            self.target.run_to(*self.addresses(), moved=True)
        raise Ended(Cause.OUT_OF_BUDGET, f"after {self.switches} switches the tasks have not ended")

    def addresses(self) -> set[int]:
        more = {call.back for call in self.calls} | (self.ways_out if self.awaited else set())
        if self.awaited and not self.running.ran:       # a student's task_begin may have a way out of its own
            more.add(self.running.start["rip"])
        more |= {task.function for task in self.tasks.values() if task.function and not task.ran}
        return more | set(self.handlers) | ({self.timer} if self.running and not self.running.top else set())

    def stopped(self, registers: dict[str, int]) -> None:
        at = registers["pc"]
        if at in self.handlers:
            self.handlers[at](registers)
        elif at == self.timer:
            self.idle_tick()
        elif at in self.ways_out:
            self.run_program(self.target.step())
        elif registers["cs"] & 3 == 3:
            self.run_program(registers)
        elif any(at == task.function for task in self.tasks.values()):
            self.thread_function(registers)
        else:
            self.came_back(registers)

    # Tasks come and go.

    def thread_create(self, registers: dict[str, int]) -> None:
        self.functions.append(registers["rdi"])

    def task_start(self, registers: dict[str, int]) -> None:
        if not self.tasks:                      # the first one: all is still as the start of the kernel has left it
            self.pcr = scene.pcr_of(self.target)
            self.idle = self.current()
            self.rsp0 = self.target.tables()["TR"].base + 4
            self.kernel_cr3 = registers["cr3"] & PAGE_FRAME
            self.tasks[self.idle] = Task("the idle task", self.idle, 0, 0, began=True, ran=True)
            self.running = self.tasks[self.idle]
        number = len(self.tasks)
        task = read_task(self.target, registers["rsi"], "")
        task.name = f"kernel thread {number}" if task.is_thread else f"program {number}"
        if task.is_thread and self.functions:
            task.function = self.functions.pop(0)
        self.tasks[task.address] = task

    def task_kill(self, registers: dict[str, int]) -> None:
        task = self.owner(registers["rsp"])
        frame = scene.read_frame(self.target, registers["rdi"])
        why = f"{task.name} was killed by exception {frame['vector']} at rip={frame['rip']:#x}"
        self.fail("resume" if task.ran else task.new, f"{why}; it does nothing that faults" if task.ran else
                  f"{why}, before it had executed anything")

    def task_end(self, registers: dict[str, int]) -> None:
        task = self.owner(registers["rsp"])
        task.ended = True
        self.calls = [call for call in self.calls if call.task is not task]

    def task_destroy(self, registers: dict[str, int]) -> None:
        task = self.tasks.get(registers["rdi"])
        if not task:
            return
        if task.buried or not task.ended:
            self.fail("the-dead", f"{task.name} is buried " + ("a second time" if task.buried else "and has not ended"))
            back = self.target.read(registers["rsp"])
            self.target.set(rip=back, rsp=registers["rsp"] + 8)     # it does not happen
            return
        task.buried = True
        self.look("the-dead")
        if self.all_ended() and all(one.buried for one in self.tasks.values() if one.top):
            self.bench.count(self.target)       # the machine will switch itself off
        if task.owns(registers["rsp"]):
            self.fail("the-dead", f"{task.name} is buried while RSP is in its own kernel stack")

    def idle_tick(self) -> None:
        self.idled += 1
        if self.idled < MOST_IDLE:
            return
        if self.all_ended():
            self.fail("the-dead", "all tasks have ended, and not all of them are buried: the run does not end")
            raise Finished
        raise Ended(Cause.OUT_OF_BUDGET, f"the CPU has been idle for {MOST_IDLE} ticks, and there are tasks that have "
                                         "not ended and sleep for one at most")

    def switched(self, task: Task) -> None:
        self.idled = 0
        if self.all_ended() and self.has_failed("the-dead"):
            raise Finished      # the run would perhaps never end

    def all_ended(self) -> bool:
        tasks = [task for task in self.tasks.values() if task.top]
        return len(tasks) == self.programs + THREADS and all(task.ended for task in tasks)

    # The first run.

    def switch_end(self, registers: dict[str, int]) -> None:
        task = self.owner(registers["rsp"])
        if task.unlocked or not task.top or task is not self.running:
            return
        task.unlocked = True
        if registers["rflags"] & IF:
            self.fail("first-flags", f"{task.name} is new, and calls switch_end() with IF=1: the run queue is still "
                                     "locked", registers["pc"])
            if not task.is_thread:
                self.target.set(rflags=registers["rflags"] & ~IF)

    def user_return(self, registers: dict[str, int]) -> None:
        task = self.owner(registers["rsp"])
        if not task.ran and task.top and registers["rdi"] == task.top - FRAME_BYTES:
            task.checked = True
            self.calls.append(self.call(task, registers, "user_return"))

    def thread_function(self, registers: dict[str, int]) -> None:
        task = self.owner(registers["rsp"])
        if registers["pc"] != task.function or task.ran:
            return
        task.ran = True
        wrong = [text for text, bad in (
            ("IF is 0", not registers["rflags"] & IF), ("DF, AC or ID is set", registers["rflags"] & MARKS),
            ("RSP + 8 is no multiple of 16", registers["rsp"] % 16 != 8),
            ("switch_end() has not been called", not task.unlocked)) if bad]
        if wrong:
            self.fail("first-thread", f"when the thread's function is called, {' and '.join(wrong)}", registers["pc"])
            self.target.set(rflags=registers["rflags"] & ~MARKS | IF)
        self.calls.append(self.call(task, registers, "thread"))

    def call(self, task: Task, registers: dict[str, int], of: str) -> Call:
        """At a function's first instruction."""
        return Call(task, self.target.read(registers["rsp"]), registers["rsp"] + 8, registers["rflags"] & IF, of)

    def thread_returned(self, task: Task) -> None:
        """Behind a thread's function there is only its end."""
        for _ in range(TO_TASK_END):
            registers = self.target.registers()
            if registers["pc"] == self.task_end_at:
                self.look("first-thread")
                self.task_end(registers)
                return
            if self.stubs <= registers["pc"] < self.stubs + STUBS:
                break
            self.target.step()
        self.fail("first-thread", f"the function of {task.name} has returned, and task_end() is not called")
        self.target.set(rip=self.task_end_at, rsp=task.top - 8, rflags=self.target["rflags"] | IF)
        self.task_end(self.target.registers())

    # schedule().

    def schedule(self, registers: dict[str, int]) -> None:
        task = self.owner(registers["rsp"])
        if task and not task.ended:
            self.calls.append(self.call(task, registers, "schedule"))

    def came_back(self, registers: dict[str, int]) -> None:
        """To a place behind a call that is watched; perhaps by somebody else."""
        call = next((call for call in self.calls
                     if call.back == registers["pc"] and call.rsp == registers["rsp"]), None)
        if not call:
            return
        self.calls.remove(call)
        if call.of == "schedule":
            self.schedule_returned(call, registers)
        elif call.of == "thread":
            self.thread_returned(call.task)
        else:
            self.begin_program()

    def schedule_returned(self, call: Call, registers: dict[str, int]) -> None:
        self.look("interrupts-back-on" if call.interrupts else "interrupts-back-off")
        interrupts = registers["rflags"] & IF
        if interrupts != call.interrupts:
            self.fail("interrupts-back", f"schedule() was called with IF={call.interrupts >> 9} by {call.task.name}, "
                                         f"and has returned with IF={interrupts >> 9}", registers["pc"])
            self.target.set(rflags=registers["rflags"] & ~IF | call.interrupts)
            if not call.interrupts:     # a tick that came in there would have user_return() switch once more, for ever
                self.target.write(self.pcr + self.target.code.member("pcr", "need_switch"), 0, 1)
