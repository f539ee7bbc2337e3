# A submission's kernel in QEMU, inside the sandbox, as the checks see it: a machine that stands still, and that shows
# its registers, its memory and its descriptor tables. Time is counted in guest instructions, so a slow host changes
# no verdict. Used by work.py and by the checks of every lab.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from machine import qemu
from machine.gdbstub import STEP_UNDISTURBED, GdbError, Gdbstub, GdbSilent
from machine.qmp import Qmp, QmpError
from machine.run import Request

from .verdicts import Cause

LOOK_EVERY = 0.02           # seconds between two looks at a machine that runs
ENOUGH = 300                # seconds of this host for one stretch: then it is too slow, and nobody's fault but its own
NS_PER_INSTRUCTION = 16     # -icount shift=4
MOST_STEPS = 5000           # single steps of one stretch
TABLE = re.compile(r"^(GDT|IDT)=\s+([0-9a-f]+) ([0-9a-f]+)$", re.MULTILINE)
SYSTEM = re.compile(r"^(LDT|TR )=([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+)", re.MULTILINE)
LOOKS_UNTIL_STILL = 100
HLT, IF, RESET = 0xf4, 0x200, 0xfff0
RDMSR = b"\x0f\x32"


class Ended(Exception):
    """The run is over before the check was reached; the cause says how, as a verdict."""

    def __init__(self, cause: Cause, text: str):
        super().__init__(text)
        self.cause = cause
        self.text = text


class TooSlow(Exception):
    """This host did not execute in time what a check needs. Not a verdict on the submission."""


@dataclass(frozen=True)
class Table:
    """A descriptor table or a system segment, as its register has it."""

    base: int
    limit: int
    selector: int = 0
    flags: int = 0


class OwnQmp(Qmp):
    """QMP on a socket that has a name, since QEMU is started inside of the sandbox."""

    def __init__(self, path: Path):
        self.path = path
        self.received, self.reason, self.answers = b"", "", []

    def connect(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + ENOUGH
        while True:
            try:
                self.socket.connect(str(self.path))
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise QmpError("QEMU does not listen") from None
                time.sleep(0.01)
        self.socket.setblocking(False)
        self.command("qmp_capabilities")    # waits, or its answer would be taken for that of the next command


class Target:
    """One machine with one kernel. It stands before its first instruction, and runs when it is told to."""

    emulator = "qemu"

    def __init__(self, sandbox, folder: Path, image: Path, cpus: int, budget: int, code, cpu_model: str = "",
                 topology: str = ""):
        self.folder, self.budget, self.code = folder, budget, code
        self.spent = self.counted = 0
        self.process = None
        request = Request(iso=image, folder=folder, cpus=cpus, icount=True, gdb=str(folder / "gdb"),
                          cpu_model=cpu_model, topology=topology)
        command = qemu.command(request)
        at = command.index("-serial")
        command[at + 1] = f"file:{folder / 'com1'}"
        command += ["-qmp", f"unix:{folder / 'qmp'},server=on,wait=off", "-no-shutdown"]
        self.words = open(folder / "words", "wb")
        self.process = sandbox.start(command, folder, stdin=subprocess.DEVNULL, stdout=self.words,
                                     stderr=subprocess.STDOUT)
        try:
            self.gdb = Gdbstub(str(folder / "gdb"), ENOUGH)
            self.gdb.request(STEP_UNDISTURBED)
            self.qmp = OwnQmp(folder / "qmp")
            self.qmp.connect()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        for one in (getattr(self, "gdb", None), getattr(getattr(self, "qmp", None), "socket", None), self.words):
            if one:
                one.close()
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()

    # What the machine is.

    def registers(self) -> dict[str, int]:
        """Of the CPU that is looked at, by the manuals' names; cs & 3 is the ring."""
        return self.call(self.gdb.registers)

    def __getitem__(self, name: str) -> int:
        return self.registers()[name]

    def set(self, **values: int) -> None:
        """Changes registers."""
        for name, value in values.items():
            self.call(self.gdb.set_register, name, value)

    def read(self, address: int, size: int = 8) -> int:
        """A number in memory; LookupError where there is none."""
        return self.call(self.gdb.read, address, size)

    def bytes(self, address: int, size: int) -> bytes:
        return self.read(address, size).to_bytes(size, "little")

    def write(self, address: int, value: int, size: int = 8) -> None:
        self.call(self.gdb.write, address, value.to_bytes(size, "little"))

    def is_mapped(self, address: int) -> bool:
        try:
            self.read(address, 1)
            return True
        except LookupError:
            return False

    def monitor(self, command: str) -> str:
        """A command of QEMU's monitor, on the CPU that is looked at."""
        return self.call(self.qmp.monitor, command, self.gdb.cpu)

    def tables(self) -> dict[str, Table]:
        """GDT, IDT, LDT and TR."""
        text = self.monitor("info registers")
        found = {name: Table(int(base, 16), int(limit, 16)) for name, base, limit in TABLE.findall(text)}
        for name, selector, base, limit, flags in SYSTEM.findall(text):
            found[name.strip()] = Table(int(base, 16), int(limit, 16), int(selector, 16), int(flags, 16))
        return found

    def tss(self, offset: int, size: int = 8) -> int:
        """A field of the TSS that TR names."""
        return self.read(self.tables()["TR"].base + offset, size)

    def gate(self, vector: int) -> dict[str, int]:
        """A gate of the IDT: where it leads, its IST stack, its type and the ring that may call it."""
        base = self.tables()["IDT"].base + 16 * vector
        low, high = self.read(base), self.read(base + 8)
        return {"address": low & 0xffff | low >> 32 & 0xffff0000 | (high & 0xffffffff) << 32,
                "selector": low >> 16 & 0xffff, "ist": low >> 32 & 7, "type": low >> 40 & 0xf, "dpl": low >> 45 & 3,
                "present": low >> 47 & 1}

    def rdmsr(self, number: int) -> int:
        """A model-specific register, in ring 0: the CPU is made to execute an RDMSR that the kernel has somewhere."""
        before = self.registers()
        self.set(rip=self.code.find(RDMSR), rcx=number)
        self.gdb_step()
        after = self.registers()
        self.set(rip=before["rip"], rcx=before["rcx"], rax=before["rax"], rdx=before["rdx"])
        return after["rax"] & 0xffffffff | (after["rdx"] & 0xffffffff) << 32

    def executed(self) -> int:
        """Guest instructions since the machine was switched on."""
        return self.call(self.qmp.command, "query-replay")["icount"]

    def said(self) -> str:
        """What the kernel has printed: to be shown, and never to be believed."""
        path = self.folder / "com1"
        return path.read_text(errors="replace") if path.exists() else ""

    # How it goes on.

    def choose(self, cpu: int) -> None:
        """Looks at that CPU from now on."""
        self.call(self.gdb.choose, cpu)

    @property
    def cpu(self) -> int:
        return self.gdb.cpu

    @property
    def cpus(self) -> int:
        return self.gdb.cpus

    def step(self) -> dict[str, int]:
        """The CPU executes one instruction; no interrupt comes in between. Gives the registers behind it."""
        self.gdb_step()
        return self.registers()

    def gdb_step(self) -> None:
        self.go(f"vCont;s:{self.gdb.threads[self.gdb.cpu]}")

    def run_to(self, *addresses: int, alone: bool = False, moved: bool = False) -> int:
        """Runs until a CPU is about to execute the instruction at one of the addresses; gives which. `alone`: no other
        CPU runs. `moved`: it stands at one and is to leave it first."""
        if moved or self["pc"] in addresses:
            self.gdb_step()
        if self["pc"] not in addresses:
            for address in addresses:
                self.call(self.gdb.break_at, address)
            self.go(f"vCont;c:{self.gdb.threads[self.gdb.cpu]}" if alone else "c")
            self.call(self.gdb.remove_breakpoints, *addresses)
        pc = self["pc"]
        if pc not in addresses:
            self.over()
            raise GdbError(f"the machine stopped at {pc:#x}, where nobody wanted it to")
        return pc

    def nmi(self) -> None:
        """An NMI, which strikes at the next instruction. Steps are undisturbed, so it takes a step as usual."""
        self.call(self.gdb.nmi)
        self.call(self.gdb.request, "Qqemu.sstep=0x1")
        self.gdb_step()
        self.call(self.gdb.request, STEP_UNDISTURBED)

    def go(self, how: str) -> None:
        """Gives the gdbstub a command that makes the machine run, and waits for it to stop, within the budget."""
        self.call(self.gdb.send, how)
        deadline, executed, still = time.monotonic() + ENOUGH, -1, 0
        while not self.call(self.gdb.answered, LOOK_EVERY):
            if self.process.poll() is not None:
                self.over()
            before, executed = executed, self.executed()
            still = still + 1 if executed == before else 0
            if still == LOOKS_UNTIL_STILL:
                still = 0
                self.end_if_halted(how)
            if executed - self.spent > self.budget:
                self.gdb.interrupt()
                self.call(self.gdb.answer)
                raise Ended(Cause.OUT_OF_BUDGET, f"{self.budget // 1000000} million instructions were executed, and "
                            f"{self.code.describe(self.registers()['pc'])} is where it was stopped")
            if time.monotonic() > deadline:
                raise TooSlow(f"this host did not execute {self.budget} instructions within {ENOUGH} seconds")
        self.call(self.gdb.stopped, self.call(self.gdb.answer))
        self.qmp.listen()
        if self.qmp.reason:
            self.over()

    def end_if_halted(self, how: str) -> None:
        """Nothing has been executed for a while. On a busy host that may be; a CPU behind a HLT with interrupts off
        never goes on, nor does one that nobody has started."""
        self.gdb.interrupt()
        self.call(self.gdb.stopped, self.call(self.gdb.answer))
        here = self.gdb.cpu
        for cpu in range(self.cpus):
            self.choose(cpu)
            registers = self.registers()
            behind_hlt = self.is_mapped(registers["pc"] - 1) and self.read(registers["pc"] - 1, 1) == HLT
            if registers["rflags"] & IF or not (behind_hlt or registers["pc"] & 0xffff == RESET):
                break
        else:
            raise Ended(Cause.ENDED, "the CPU has halted with interrupts off")
        self.choose(here)
        self.call(self.gdb.send, how)

    def new_budget(self) -> None:
        """What comes now is counted anew."""
        self.spent = self.executed()

    @contextmanager
    def limited(self, budget: int) -> Iterator[None]:
        """A smaller budget for what comes now."""
        usual, self.budget = self.budget, budget
        self.new_budget()
        yield
        self.budget = usual
        self.new_budget()

    def call(self, function, *arguments):
        """Asks QEMU, and says how the machine ended if it is gone."""
        try:
            return function(*arguments)
        except GdbSilent as error:
            raise TooSlow(str(error)) from None
        except (GdbError, QmpError, OSError) as error:
            self.over(str(error))
            if isinstance(error, QmpError):     # QEMU is there, and says nothing in time
                raise TooSlow(str(error)) from None
            raise

    def over(self, otherwise: str = "") -> None:
        """Raises what says how the machine ended, if it has."""
        try:
            self.qmp.listen()
        except (OSError, AttributeError):
            pass
        code = None
        if not getattr(self.qmp, "reason", ""):
            try:
                code = self.process.wait(timeout=5 if otherwise else 0.5)
            except subprocess.TimeoutExpired:
                return
        lines = self.said().strip().splitlines()
        last = next((line for line in reversed(lines) if line.startswith("panic:")), lines[-1] if lines else "")
        if code is None:
            raise Ended(Cause.TRIPLE_FAULT, "an exception could not be delivered, nor the double fault after it, and "
                        "the CPU gave up")
        if code == qemu.FAILED:
            raise Ended(Cause.PANIC, f"the kernel printed: {last[:200]}")
        if code == qemu.ENDED_WELL:
            raise Ended(Cause.ENDED, f"the kernel switched the machine off; it printed last: {last[:200]}")
        text = (self.folder / "words").read_text(errors="replace").strip()
        raise TooSlow(f"QEMU ended with code {code}: {text[:300]}")
