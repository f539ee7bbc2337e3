# A submission's kernel in Bochs' debugger, inside the sandbox, for the checks that can fail there alone: what Intel's
# CPUs do where QEMU is kinder (docs/maintaining/emulators.md). One CPU, so that the debugger misses no breakpoint and
# the devices' time goes on with every instruction. As target.py, it counts time in the guest's instructions.
# Used by work.py and by the checks.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import termios
import time
from pathlib import Path

from machine import bochs
from machine.bochs_debugger import PATIENCE, TERMINAL_SIZE, BochsDebugger, NotStopped
from machine.bochs_debugger import Ended as BochsEnded
from machine.records import bochs_fault
from machine.run import End, Request, stop
from pexpect.fdpexpect import fdspawn

from .target import ENOUGH, Ended, Table, TooSlow
from .verdicts import Cause

INSIDE = Path(__file__).resolve().parent / "bochs_inside.py"
PYTHON = "/usr/bin/python3"
LOOK_AFTER = 8              # seconds
TICKS = re.compile(r"ptime: (\d+)")
GATE_LONG = 16


class SandboxedDebugger(BochsDebugger):
    """Bochs' debugger, with Bochs in the sandbox."""

    def __init__(self, sandbox, request: Request, elf: Path):
        self.sandbox, self.folder = sandbox, request.folder
        super().__init__(request, elf)

    def open(self, request: Request) -> None:
        shutil.copy(INSIDE, request.folder / INSIDE.name)
        os.chmod(request.folder / "com1", 0o666)        # whoever runs Bochs in there writes to it
        command = [PYTHON, "-I", INSIDE.name, bochs.program(), "-q", "-f", "bochsrc"]
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, TERMINAL_SIZE)
        self.process = self.sandbox.start(command, request.folder, cwd=request.folder, stdin=theirs, stdout=theirs,
                                          stderr=theirs, env={"TERM": "dumb", "SDL_VIDEODRIVER": "dummy"})
        os.close(theirs)
        self.terminal = fdspawn(ours)
        try:
            list(self.lines(PATIENCE))
        except BaseException:
            self.close()
            raise

    def interrupt(self) -> None:
        """A signal would reach the sandbox and not Bochs; bochs_inside.py looks for this file."""
        (self.folder / "interrupt").touch()

    def close(self) -> None:
        stop(self.process)
        self.terminal.close()
        os.close(self.console)


class BochsTarget:
    """One machine with one kernel. It stands before its first instruction, and runs when it is told to."""

    emulator = "bochs"
    cpus = 1

    def __init__(self, sandbox, folder: Path, image: Path, budget: int, code, cpu_model: str = ""):
        self.folder, self.budget, self.code = folder, budget, code
        self.spent = 0
        self.printed = b""
        request = Request(iso=image, folder=folder, cpus=1, cpu_model=cpu_model)
        self.debugger = None
        self.debugger = self.call(SandboxedDebugger, sandbox, request, code.elf)
        self.debugger.patience = ENOUGH
        self.call(self.debugger.command, "set u off")

    def __enter__(self) -> BochsTarget:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        if self.debugger:
            self.debugger.close()

    # What the machine is.

    def command(self, text: str) -> str:
        return "".join(self.call(self.debugger.command, text))

    def registers(self) -> dict[str, int]:
        """By the manuals' names; cs & 3 is the ring."""
        return self.call(self.debugger.registers)

    def __getitem__(self, name: str) -> int:
        return self.registers()[name]

    def shown(self, name: str) -> int:
        """What Bochs keeps under a name: 'MSR.lstar', 'TR.base', 'activity_state'."""
        return int(self.command(f'show "cpu0.{name}"').split()[-1], 0)

    def read(self, address: int, size: int = 8) -> int:
        """A number in memory; LookupError where there is none."""
        return self.call(self.debugger.read, address, size)

    def is_mapped(self, address: int) -> bool:
        try:
            self.read(address, 1)
            return True
        except LookupError:
            return False

    def table(self, name: str) -> Table:
        """'GDTR' or 'IDTR'."""
        return Table(self.shown(f"{name}.base"), self.shown(f"{name}.limit"))

    def gate(self, vector: int) -> int:
        """Where a gate of the IDT leads."""
        base = self.shown("IDTR.base") + GATE_LONG * vector
        low, high = self.read(base), self.read(base + 8)
        return low & 0xffff | low >> 32 & 0xffff0000 | (high & 0xffffffff) << 32

    def executed(self) -> int:
        """Guest instructions since the machine was switched on."""
        return int(self.command('show "cpu0.icount"').split()[-1], 0)

    def said(self) -> str:
        """What the kernel has printed: to be shown, and never to be believed."""
        if self.debugger:
            self.printed += self.debugger.heard()
        return self.printed.decode(errors="replace")

    def last_line(self) -> str:
        lines = self.said().strip().splitlines()
        return next((line for line in reversed(lines) if line.startswith("panic:")), lines[-1] if lines else "")[:200]

    # How it goes on.

    def step(self) -> dict[str, int]:
        """The CPU executes one instruction, or takes an interrupt and executes the first one of its handler."""
        self.command("s")
        return self.registers()

    def nmi(self) -> dict[str, int]:
        """An NMI comes before the next instruction. Bochs delivers it and executes the handler's first instruction."""
        self.command("take nmi")
        return self.step()

    def run_to(self, *addresses: int, moved: bool = False) -> int:
        """Runs until the CPU is about to execute the instruction at one of the addresses; gives which. `moved`: it
        stands at one and is to leave it first."""
        if moved or self["pc"] in addresses:
            self.command("s")
        if self["pc"] in addresses:
            return self["pc"]
        self.call(self.run_within, addresses)
        pc = self["pc"]
        if pc not in addresses and self.ticks() < self.spent + self.budget:
            raise Ended(Cause.ENDED, f"the kernel switched the machine off; it printed last: {self.last_line()}")
        if pc not in addresses:
            raise Ended(Cause.OUT_OF_BUDGET, f"{self.budget // 1000000} million instructions were executed, and "
                        f"{self.code.describe(pc)} is where it was stopped")
        return pc

    def run_within(self, addresses: tuple[int, ...]) -> None:
        """As far as the budget goes. A CPU that halts executes nothing, but its time goes on: so time is bounded. Only
        a CPU that nothing can wake does not notice that it is over: from time to time we look ourselves."""
        end = self.spent + self.budget
        if self.ticks() >= end:
            return
        with self.debugger.breaking_at(*addresses):
            self.debugger.command(f"sb {end - self.ticks()}")
            deadline = time.monotonic() + ENOUGH
            while not self.stretch():
                if self.ticks() >= end:
                    return
                if time.monotonic() > deadline:
                    raise TooSlow(f"this host did not execute {self.budget} instructions within {ENOUGH} seconds")

    def stretch(self) -> bool:
        """Lets the machine run; False if it had to be interrupted."""
        self.debugger.send("c")
        try:
            list(self.debugger.lines(LOOK_AFTER))
            return True
        except NotStopped:
            self.debugger.interrupt()
            list(self.debugger.lines(ENOUGH))
            return False

    def ticks(self) -> int:
        """Guest time: one for each instruction, and for each that a halted CPU could have executed."""
        return int(TICKS.search(self.command("ptime"))[1])

    def new_budget(self) -> None:
        """What comes now is counted anew."""
        self.spent = self.ticks()

    def call(self, function, *arguments):
        """Asks Bochs, and says how the machine ended if it is gone."""
        try:
            return function(*arguments)
        except NotStopped as error:
            raise TooSlow(str(error)) from None
        except BochsEnded as error:
            raise self.ending(error) from None

    def ending(self, error: BochsEnded) -> Exception:
        """What the end of Bochs says of the kernel."""
        log = self.folder / "bochs.log"
        fault = bochs_fault(log.read_text(errors="replace")) if log.exists() else None
        if fault:
            return Ended(Cause.TRIPLE_FAULT, "an exception could not be delivered, nor the double fault after it, at "
                         f"{self.code.describe(fault.registers['rip'])}")
        if error.end is End.FAILED and "panicked" in str(error):
            return Ended(Cause.PANIC, f"the kernel printed: {self.last_line()}")
        if error.end is End.WELL:
            return Ended(Cause.ENDED, f"the kernel switched the machine off; it printed last: {self.last_line()}")
        return TooSlow(f"Bochs ended: {str(error)[:300]}")
