# Drives the debugger of Bochs: starts a machine that stands still at its first instruction, sends commands, reads
# registers and memory. The debugger wants a terminal, so it gets one of its own.
# Used by tools/step and by the tests of the walks. Needs pexpect and pyelftools. What it says of Bochs holds for 2.7.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Callable, Iterator, Union

from elftools.elf.elffile import ELFFile
from pexpect import EOF, TIMEOUT
from pexpect.fdpexpect import fdspawn

from . import bochs, display, run
from .run import End, MachineError, NotInTime, Request, disassembler, stop, with_pc

PROMPT = re.compile(rb"<bochs:\d+> ")
LINE = re.compile(rb"[^\n]*\r\n")
PATIENCE = 60           # seconds until a machine that does not reach a place is taken for stuck
PAUSE = 0.05            # seconds of silence after which COM1 is looked at
# Longer than any command: the debugger's line editor scrolls what is longer than a line.
TERMINAL_SIZE = struct.pack("HHHH", 24, 1000, 0, 0)
# The registers as `show "cpu0.RAX"` wants them, and as we and QEMU name them.
GENERAL = "RAX RBX RCX RDX RSI RDI RBP RSP R8 R9 R10 R11 R12 R13 R14 R15 RIP CR0 CR2 CR3 CR4".split()
SEGMENTS = "CS SS DS ES FS GS".split()
REGISTERS = {
    **{name: name.lower() for name in GENERAL}, **{f"{name}.selector": name.lower() for name in SEGMENTS},
    "EFLAGS": "rflags", "FS.base": "fs_base", "GS.base": "gs_base", "MSR.kernelgsbase": "kernel_gs_base",
}
USER_TOP = 1 << 47
MOST_BREAKPOINTS = 16
MARGIN = 100            # instructions before a place, within which the way there is looked at step by step
MOST_STEPS = 10000000    # of a CPU that runs alone
GOES_ELSEWHERE = re.compile(r"jmp|ret|iret|sysret|ud2|int3|hlt|\(bad\)|nop|xchg\s+ax,ax|cs nop|data16")
WORDS = re.compile(r"^0x[0-9a-f]+ <.*?>:((?:\t0x[0-9a-f]+)*)", re.MULTILINE)
UNITS = {1: "b", 2: "h", 4: "w", 8: "g"}


class DebuggerError(MachineError):
    """The machine is stuck, or the debugger did not do as it was told."""


class NotStopped(DebuggerError, NotInTime):
    """The machine runs on."""


class Ended(DebuggerError):
    """Bochs has ended; the message says why, if there is anything to say."""

    def __init__(self, end: End, reason: str):
        super().__init__(reason)
        self.end = end


class Missed(DebuggerError):
    """Bochs ran past a breakpoint and stopped one instruction late, when the CPU had executed so many."""

    def __init__(self, address: int, executed: int):
        super().__init__(f"Bochs ran past {address:#x}")
        self.executed = executed


@lru_cache
def code_of(elf: Path) -> list[tuple[int, str]]:
    """The kernel's instructions: address and text."""
    command = [disassembler(), "-d", "-M", "intel", "--no-show-raw-insn", str(elf)]
    listing = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [(int(at, 16), text) for at, text in re.findall(r"^\s*([0-9a-f]+): *\t(.*)$", listing, re.MULTILINE)]


def instruction_after(elf: Path, address: int) -> int:
    """The address of the instruction below the one at an address of the kernel; the same if there is none."""
    code = code_of(elf)
    return next((below for (at, _), (below, _) in zip(code, code[1:]) if at == address), address)


def approaches_to(elf: Path, address: int) -> tuple[int, ...]:
    """The instructions of the kernel after which the CPU may come to an address: the one above it, if that goes on
    there, and those that jump to it or call it. Empty if these may not be all: nothing leads there, or too much."""
    code = code_of(elf)
    above = [at for (at, text), (below, _) in zip(code, code[1:])
             if below == address and not GOES_ELSEWHERE.match(text)]
    jumps = [at for at, text in code if re.match(rf"(?:j\w+|call)\s+(?:0x)?{address:x}\b", text)]
    found = (*above, *jumps)
    return found if len(found) < MOST_BREAKPOINTS else ()


def symbols_of(elf: Path) -> str:
    """The kernel's symbols as the debugger reads them. It takes the last one below an address for its name, however
    far away, so a program's addresses would bear the name of the last thing in the kernel's low part."""
    with open(elf, "rb") as file:
        ends = [segment["p_vaddr"] + segment["p_memsz"] for segment in ELFFile(file).iter_segments("PT_LOAD")]
    end = max(end for end in ends if end < USER_TOP)
    return elf.with_suffix(".sym").read_text() + f"{end:x} not_in_the_kernel\n"


class BochsDebugger:
    """One machine in Bochs' debugger."""

    emulator = "bochs"

    def __init__(self, request: Request, elf: Path):
        self.cpus = request.cpus
        self.elf = elf
        self.cpu = 0                # the one that the debugger's commands are about
        self.patience: Union[float, None] = PATIENCE    # None: a person waits, who can press Ctrl-C
        self.log = request.folder / "bochs.log"
        self.console = bochs.open_console(request.folder / "com1")
        os.set_blocking(self.console, False)
        self.printed = b""          # on COM1, and not yet asked for
        (request.folder / "symbols").write_text(symbols_of(elf))
        configuration = bochs.configuration(request) + "debug_symbols: file=symbols\n"
        (request.folder / "bochsrc").write_text(configuration)
        self.open(request)

    def open(self, request: Request) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, TERMINAL_SIZE)
        # On a dumb terminal the debugger's line editor sends no escape sequences. The machine's own screen does not
        # come here: Bochs opens another terminal for it.
        self.process = run.start(
            [bochs.program(), "-q", "-f", "bochsrc"], cwd=request.folder, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True, env={**display.environment(request), "TERM": "dumb"},
        )
        os.close(theirs)
        display.attend(request, self.process.pid)
        self.terminal = fdspawn(ours)
        try:
            list(self.lines(PATIENCE))      # what Bochs says of itself before its first prompt
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        stop(self.process)
        self.terminal.close()
        os.close(self.console)
        (self.log.parent / "com1").unlink()

    def heard(self) -> bytes:
        """What the kernel has printed on COM1 since it was last asked."""
        try:
            while data := os.read(self.console, 65536):
                self.printed += data
        except BlockingIOError:
            pass
        printed, self.printed = self.printed, b""
        return printed

    def send(self, command: str) -> None:
        """Gives the debugger a line; lines() has its answer, of which the first line is the command itself."""
        self.terminal.sendline(command)
        chosen = re.fullmatch(r"\s*set\s+\$cpu\s*=\s*(\d+)\s*", command)
        if chosen and int(chosen[1]) < self.cpus:
            self.cpu = int(chosen[1])

    def lines(self, patience: Union[float, None] = None) -> Iterator[str]:
        """What the debugger prints until its next prompt, line by line; an empty one when nothing has come for a
        moment. COM1 is emptied meanwhile, because Bochs stands still when it is full."""
        deadline = None if patience is None else time.monotonic() + patience
        while True:
            found = self.terminal.expect([PROMPT, LINE, EOF, TIMEOUT], timeout=PAUSE)
            self.printed = self.heard()
            if found in (0, 2) and self.terminal.before:
                yield self.terminal.before.decode(errors="replace")
            if found == 0:
                return
            if found == 2:
                self.process.wait()
                self.printed = self.heard()
                raise Ended(*bochs.judge(self.process.returncode, self.log.parent))
            if deadline and time.monotonic() > deadline:
                raise NotStopped(f"the machine did not stop within {patience:g} seconds")
            yield self.terminal.after.decode(errors="replace").replace("\r\n", "\n") if found == 1 else ""

    def command(self, command: str) -> list[str]:
        """Gives the debugger a command and waits for its whole answer."""
        self.send(command)
        return [line for line in self.lines(self.patience) if line][1:]

    def interrupt(self) -> None:
        """Makes a running machine stop and the debugger prompt."""
        self.process.send_signal(signal.SIGINT)

    def registers(self) -> dict[str, int]:
        shows = [f'show "cpu{self.cpu}.{name}"' for name in REGISTERS]
        half = len(shows) // 2      # the debugger takes 512 characters
        answer = self.command(";".join(shows[:half])) + self.command(";".join(shows[half:]))
        values = re.findall(r" = (0x[0-9a-f]+)$", "".join(answer), re.MULTILINE)
        return with_pc({name: int(value, 16) for name, value in zip(REGISTERS.values(), values)})

    def read(self, address: int, size: int) -> int:
        """A number in memory, at a linear address of the present CPU."""
        answer = "".join(self.command(f"x /1{UNITS[size]}x {address:#x}"))
        found = re.search(r":\s*0x([0-9a-f]+)\s*$", answer)
        if not found:
            raise LookupError(f"there is no memory at {address:#x}")
        return int(found[1], 16)

    def break_at(self, address: int) -> None:
        """Sets a breakpoint, if there is none yet."""
        if address not in self.breakpoints().values():
            refusal = self.command(f"lb {address:#x}")
            if refusal:
                raise DebuggerError(f"no breakpoint at {address:#x}: {' '.join(refusal).strip()}")

    def break_behind(self, address: int) -> int:
        """Sets a second breakpoint at the instruction behind, and gives its address. With several CPUs Bochs runs each
        for five instructions at a time and does not look for breakpoints after the fifth. One place is left free."""
        behind = instruction_after(self.elf, address)
        if self.cpus == 1 or behind == address or len(self.breakpoints()) >= MOST_BREAKPOINTS - 1:
            return 0
        self.break_at(behind)
        return behind

    def breakpoints(self) -> dict[str, int]:
        """Their addresses, by number."""
        lines = re.findall(r"^\s*(\d+) lbreakpoint .*(0x[0-9a-f]+)", "".join(self.command("blist")), re.MULTILINE)
        return {number: int(address, 16) for number, address in lines}

    def remove_breakpoints(self, *addresses: int) -> None:
        for number, address in self.breakpoints().items():
            if address in addresses:
                self.command(f"d {number}")

    def follow(self, answer: list[str]) -> None:
        """Chooses the CPU that has stopped at a breakpoint, which is not what Bochs does."""
        stopped = re.search(r"^\((\d+)\) (?:Breakpoint|Magic|Caught)", "".join(answer), re.MULTILINE)
        if stopped:
            self.choose(int(stopped[1]))

    def choose(self, cpu: int) -> None:
        if cpu != self.cpu:
            self.command(f"set $cpu={cpu}")

    def step(self) -> None:
        """The CPU executes one instruction, the others stand still."""
        self.command(f"s {self.cpu} 1" if self.cpus > 1 else "s")

    def pc(self) -> int:
        """RIP of the present CPU, sooner than by registers(); in 64-bit mode that is where it is."""
        return int("".join(self.command(f'show "cpu{self.cpu}.RIP"')).split()[-1], 16)

    def go_on(self) -> None:
        """Runs until a breakpoint."""
        self.follow(self.command("c"))

    def memory(self, address: int, words: int) -> list[int]:
        """Words of 8 bytes; none where there is no memory."""
        answer = "".join(self.command(f"x /{words}gx {address:#x}"))
        return [int(word, 16) for line in WORDS.findall(answer) for word in line.split()]

    def nmi(self) -> None:
        """An NMI, which strikes before the next instruction. Only the first CPU can be given one."""
        if self.cpu:
            raise DebuggerError(f"Bochs gives an NMI to CPU 0 only, and this is CPU {self.cpu}")
        self.command("take nmi")

    def run_alone_to(self, address: int) -> None:
        """Only the present CPU runs, until it is about to execute the instruction at an address. Time stands still."""
        self.run_alone_to_one_of([address])
        self.check_place(address)

    def run_alone_to_one_of(self, addresses: list[int]) -> None:
        """The same for several places. A CPU that has no other beside it runs as usual, and time goes on."""
        with self.breaking_at(*addresses):
            self.command("c" if self.cpus == 1 else f"s {self.cpu} {MOST_STEPS}")

    @contextmanager
    def breaking_at(self, *addresses: int) -> Iterator[None]:
        """With breakpoints there for the time being. Those that a person has set stay."""
        mine = set(addresses) - set(self.breakpoints().values())
        for address in mine:
            self.break_at(address)
        yield
        self.remove_breakpoints(*mine)      # behind an exception the machine may still run, and does not answer

    def check_place(self, address: int) -> None:
        seen = self.registers()["pc"]
        if seen != address:
            raise DebuggerError(f"the machine stopped at {seen:#x} instead of {address:#x}")

    def run_to(self, address: int) -> None:
        """Runs until a CPU is about to execute the instruction at an address. With several CPUs Bochs sees one of two
        breakpoints that follow each other: so it stops there or at the instruction before."""
        approaches = approaches_to(self.elf, address) if self.cpus > 1 else ()
        if not approaches:
            self.run_past(address)
            return
        with self.breaking_at(address, *approaches):
            while True:
                self.follow(self.command("c"))
                if self.registers()["pc"] in approaches:
                    self.step()
                if self.registers()["pc"] not in approaches:
                    break
        self.check_place(address)

    def run_past(self, address: int) -> None:
        """The same for a place of which it is not known what comes before it."""
        behind = instruction_after(self.elf, address) if self.cpus > 1 else address
        with self.breaking_at(address, behind):
            self.follow(self.command("c"))
        if behind != address and self.registers()["pc"] == behind:
            raise Missed(address, self.executed())
        self.check_place(address)

    def executed(self) -> int:
        """How many instructions the CPU has executed since the machine started."""
        return int("".join(self.command(f'show "cpu{self.cpu}.icount"')).split()[-1])

    def creep_to(self, address: int, executed: int) -> None:
        """Comes to an address that run_to() has missed. Step by step from the start would take too long, but the same
        machine executes the same instructions again, so it can be left to itself until shortly before."""
        with open(self.elf, "rb") as file:
            entry = ELFFile(file).header.e_entry
        try:
            self.run_past(entry)    # what lies above it is the header, and no code
        except Missed:
            pass                # a little further is as good
        self.command(f"s all {executed - self.executed() - MARGIN}")
        for _ in range(2 * MARGIN):
            if self.registers()["pc"] == address:
                return
            self.command("s")
        raise Missed(address, executed)


def start(request: Request, elf: Path, show: Callable[[bytes], None], way: Callable[[BochsDebugger], None]):
    """A machine that has gone some way. If it cannot, what the kernel printed is the best explanation."""
    debugger = BochsDebugger(request, elf)
    try:
        way(debugger)
        return debugger
    except Missed:
        debugger.close()
        raise
    except BaseException:
        show(debugger.heard())
        debugger.close()
        raise


def start_at(request: Request, elf: Path, address: int, show: Callable[[bytes], None]) -> BochsDebugger:
    """A machine that stands at an address of the kernel for the first time."""
    try:
        return start(request, elf, show, lambda debugger: debugger.run_to(address))
    except Missed as missed:
        executed = missed.executed
    return start(request, elf, show, lambda debugger: debugger.creep_to(address, executed))
