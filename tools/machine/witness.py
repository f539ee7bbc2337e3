# Watches a run, so that its bad end can be explained: QEMU logs every exception into a pipe of which the end is kept,
# and stands still instead of leaving after a triple fault; Bochs writes down where its CPUs stand when it is interrupted.
# Used by tools/machine/qemu.py, tools/machine/bochs.py and, for the explanation, tools/boot.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import re
import signal
import time
from subprocess import Popen
from typing import Callable

from .address_map import DIRECT_BASE, PAGE_SIZE
from .crash import Explainer, Kernel, cpu_of, find_record
from .hang import Hang, Standing
from .qmp import Qmp
from .records import Memory, Registers, bochs_fault, panic_fault, qemu_cpus, qemu_faults
from .run import Request, stop
from .tail import Tail

LOOKS = 3               # at a machine that hangs
BETWEEN = 0.03          # seconds in which it goes on between two looks


class Witness:
    """What tools/boot asks after a bad end. `report` is what the kernel wrote after `panic:`."""

    def stopped(self) -> bool:
        return False

    def explain_end(self, kernel: Kernel, report: str) -> list[str]:
        raise NotImplementedError

    def explain_hang(self, kernel: Kernel) -> list[str]:
        raise NotImplementedError


class QemuWitness(Witness):
    """A machine in QEMU."""

    def __init__(self, cpus: int):
        self.cpus = cpus
        self.tail = Tail()
        self.qmp = Qmp()

    def options(self) -> tuple[str, ...]:
        return ("-d", "int,cpu_reset", "-D", self.tail.path, "-action", "shutdown=pause", *self.qmp.options())

    def handed_over(self) -> tuple[int, ...]:
        return self.tail.writer, self.qmp.theirs.fileno()

    def started(self) -> None:
        self.tail.started()
        self.qmp.started()

    def stopped(self) -> bool:
        return self.qmp.stopped()

    def reason(self) -> str:
        if "Triple fault" in self.tail.text():
            return "the machine reset: a triple fault"
        return "the machine reset or was switched off, and not as the kernel does it"

    def registers(self) -> list[Registers]:
        return qemu_cpus(self.qmp.monitor("info registers -a"))

    def memory_of(self, cpu: int) -> Memory:
        return lambda address, size: self.qmp.read(cpu, address, size)

    def explain_end(self, kernel: Kernel, report: str) -> list[str]:
        faults = qemu_faults(self.tail.text())
        if report:
            reported = panic_fault(report)
            return Explainer(kernel).explain(find_record(faults, reported) or reported, False) if reported else []
        if not faults or not self.qmp.reason or "Triple fault" not in self.tail.text():
            return []
        fault = faults[-1]
        fault.cpu = cpu_of(fault, self.registers())
        cpu = fault.cpu or 0
        return Explainer(kernel, self.memory_of(cpu), self.qmp.read_physical).explain(fault, True)

    def explain_hang(self, kernel: Kernel) -> list[str]:
        looks: list[list[Registers]] = []
        for _ in range(LOOKS):
            if looks:
                self.qmp.command("cont")
                time.sleep(BETWEEN)
            self.qmp.command("stop")
            looks.append(self.registers())
        cpus = [Standing(number, [look[number] for look in looks], self.memory_of(number))
                for number in range(self.cpus)]
        return Hang(kernel, cpus).explain()


# What Bochs can show of each CPU, and how we name it.
SHOWN = {**{name.upper(): name for name in "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip".split()},
         "EFLAGS": "rflags", "CS.selector": "cs", "SS.selector": "ss", "CR0": "cr0", "CR2": "cr2", "CR3": "cr3",
         "CR4": "cr4", "GS.base": "gs_base", "activity_state": "halted"}
DIRECT_SHOWN = 0x400000     # bytes of the direct window that are looked at: PCRs and tasks of the start lie there
PATIENCE = 10               # seconds for Bochs to answer
LONGEST_REPEAT = 120        # seconds for the explaining run


class BochsWitness(Witness):
    """A machine in Bochs. It says nothing of a fault's vector when it gives up, but it repeats itself exactly: so it
    runs once more, and logs every exception."""

    def __init__(self, request: Request, process: Popen, again: Callable[[Request, str], Popen]):
        self.request = request
        self.process = process
        self.again = again

    def explain_end(self, kernel: Kernel, report: str) -> list[str]:
        if report:
            reported = panic_fault(report)
            return Explainer(kernel).explain(reported, False) if reported else []
        if not bochs_fault((self.request.folder / "bochs.log").read_text(errors="replace")):
            return []
        fault = bochs_fault(self.repeat())
        return Explainer(kernel).explain(fault, True) if fault else []

    def repeat(self) -> str:
        """The end of the explaining run's log."""
        tail = Tail()
        console = os.open(self.request.folder / "com1", os.O_RDWR | os.O_NONBLOCK)     # what it prints was printed
        process = self.again(self.request, tail.path)
        tail.started()
        deadline = time.monotonic() + LONGEST_REPEAT
        try:
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
                self.empty(console)
        finally:
            stop(process)
            os.close(console)
        return tail.text()

    def empty(self, console: int) -> None:
        try:
            while os.read(console, 65536):
                pass
        except BlockingIOError:
            pass

    def explain_hang(self, kernel: Kernel) -> list[str]:
        guard = kernel.symbols["boot_stack_guard"]      # a page that is not mapped, in the midst of the image
        parts = {"image": (kernel.symbols["text_start"], guard),
                 "boot": (guard + PAGE_SIZE, kernel.symbols["image_end"])}
        folder = self.request.folder
        questions = "".join(self.questions(number, parts) for number in range(self.request.cpus))
        (folder / "afterwards").write_text(questions)
        self.process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        text = (folder / "screen").read_text(errors="replace")
        cpus = []
        for number in range(self.request.cpus):
            registers = {name: int(value, 16) for shown, name in SHOWN.items()
                         for value in re.findall(rf"<cpu{number}\.{re.escape(shown)}>\s*\S+ = 0x([0-9a-f]+)", text)[-1:]}
            cpus.append(Standing(number, [registers], self.memory_of(number, registers, parts)))
        return Hang(kernel, cpus).explain()

    def questions(self, number: int, parts: dict[str, tuple[int, int]]) -> str:
        shows = "".join(f'show "cpu{number}.{name}"\n' for name in SHOWN)
        image = "".join(f'writemem "{name}.{number}" {start:#x} {end - start:#x}\n'
                        for name, (start, end) in parts.items())
        return (f'set $cpu={number}\n{shows}{image}writemem "direct.{number}" {DIRECT_BASE:#x} {DIRECT_SHOWN:#x}\n'
                f'writemem "stack.{number}" rsp 0x4000-(rsp&0x3fff)\n')

    def memory_of(self, number: int, registers: Registers, parts: dict[str, tuple[int, int]]) -> Memory:
        starts = {**{name: start for name, (start, _) in parts.items()}, "direct": DIRECT_BASE,
                  "stack": registers.get("rsp", 0)}
        folder = self.request.folder
        regions = [(start, (folder / f"{name}.{number}").read_bytes()) for name, start in starts.items()
                   if (folder / f"{name}.{number}").is_file()]

        def read(address: int, size: int) -> int:
            for start, data in regions:
                if start <= address <= start + len(data) - size:
                    return int.from_bytes(data[address - start:address - start + size], "little")
            raise LookupError(f"{address:#x} was not looked at")
        return read
