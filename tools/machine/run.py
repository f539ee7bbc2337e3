# What QEMU and Bochs have in common: the request for a run, the process, and why it ended.
# Used by tools/machine/qemu.py, tools/machine/bochs.py and tools/boot.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import ctypes
import enum
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from .witness import Witness

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class MachineError(Exception):
    """The machine cannot be started as asked; the message says why, for a person."""


class NotInTime(MachineError):
    """The machine did not come where it was awaited, which on a busy host says nothing of the kernel."""


class End(enum.Enum):
    """How a run ended, and what tools/boot exits with for it."""

    WELL = 0
    FAILED = 1
    NOT_STARTED = 2


@dataclass
class Request:
    """One run of one image."""

    iso: Path
    folder: Path                # temporary, of this run alone: configuration, logs and sockets
    cpus: int = 1
    topology: str = ""          # of the CPUs, as QEMU writes it
    memory: int = 128           # MiB
    cpu_model: str = ""         # empty: the emulator's default of ours
    icount: bool = False
    gdb: str = ""               # a Unix socket on which to wait for a debugger
    firmware: str = "bios"
    interactive: bool = False   # the terminal's input goes to COM1
    screen: str = ""            # Bochs' display, for a person who wants to see the VGA screen
    explain: bool = False       # watch it so closely that a bad end can be explained (witness.py)


@dataclass
class Machine:
    """A running emulator: its process, where COM1 can be read, and how its end is to be read."""

    process: subprocess.Popen
    console: int
    judge: Callable[[int | None], tuple[End, str]]     # with the exit code; none: it has stopped, and is still there
    files: list[str] = field(default_factory=list)
    witness: Witness | None = None

    def stopped(self) -> bool:
        """Has the machine come to an end by itself? QEMU may still be there, so that the machine can be looked at."""
        return self.process.poll() is not None or bool(self.witness and self.witness.stopped())


def require(program: str, package: str) -> str:
    """The full path of a program, or an error that says what to install."""
    path = shutil.which(program)
    if not path:
        raise MachineError(f"{program} is not installed. Debian and Ubuntu have it in the package {package}: "
                           f"sudo apt-get install {package}")
    return path


def start(command: list[str], **options) -> subprocess.Popen:
    """Starts an emulator that cannot outlive us: the Linux kernel kills it when we die, however we die."""
    parent = os.getpid()

    def die_with_parent() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:      # we died before the call above
            os._exit(1)

    return subprocess.Popen(command, preexec_fn=die_with_parent, **options)


def stop(process: subprocess.Popen) -> None:
    """Ends an emulator that still runs. It holds nothing that must be saved, so there is no asking first."""
    if process.poll() is None:
        process.kill()
    process.wait()


def say(text: str) -> None:
    print(f"tools/boot: {text}", file=sys.stderr, flush=True)


def reader_gone() -> int:
    """What a tool ends with when nobody reads its output any more, as behind `| head`; Python is kept from complaining
    when it writes out the rest."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 128 + signal.SIGPIPE


def disassembler() -> str:
    """objdump, or LLVM's, where there is no other."""
    return shutil.which("objdump") or shutil.which("llvm-objdump") or require("objdump", "binutils")


def line_finder() -> str:
    """The same for what finds source lines."""
    return shutil.which("addr2line") or shutil.which("llvm-addr2line") or require("addr2line", "binutils")


def with_pc(registers: dict[str, int]) -> dict[str, int]:
    """Adds pc, the linear address of the next instruction: RIP, or in real mode, which has PE in CR0 clear, IP in the
    segment CS."""
    real_mode = not registers["cr0"] & 1
    return {**registers, "pc": registers["rip"] + (registers["cs"] << 4 if real_mode else 0)}
