# Drives the debugger of Bochs: starts a machine that stands still at its first instruction, sends commands, reads
# registers and memory. The debugger wants a terminal, so it gets one of its own.
# Used by tools/step and by the tests of the walks. Needs pexpect. What is said of Bochs here holds for 2.7.
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
from pathlib import Path
from typing import Callable, Iterator

from pexpect import EOF, TIMEOUT
from pexpect.fdpexpect import fdspawn

from . import bochs
from .run import MachineError, Request, require, start, stop

PROMPT = re.compile(rb"<bochs:\d+> ")
LINE = re.compile(rb"[^\n]*\r\n")
PATIENCE = 60           # seconds until a machine that does not reach a place is taken for stuck
PAUSE = 0.05            # seconds of silence after which COM1 is looked at
# Longer than any command: the debugger's line editor scrolls what is longer than a line.
TERMINAL_SIZE = struct.pack("HHHH", 24, 1000, 0, 0)
# Where `show "cpu0"` has the registers. Each is named as in QEMU, where the names differ.
GENERAL = ("RAX RBX RCX RDX RSI RDI RBP RSP R8 R9 R10 R11 R12 R13 R14 R15 RIP CR0 CR2 CR3 CR4").split()
REGISTERS = {name: name.lower() for name in GENERAL}
REGISTERS.update({
    "EFLAGS": "rflags", "CS.selector": "cs", "SS.selector": "ss", "DS.selector": "ds", "ES.selector": "es",
    "FS.selector": "fs", "GS.selector": "gs", "FS.base": "fs_base", "GS.base": "gs_base",
    "MSR.kernelgsbase": "kernel_gs_base",
})


class DebuggerError(MachineError):
    """The machine ended or is stuck, or the debugger did not do as it was told."""


def parse_tree(lines: Iterator[str]) -> dict[str, str]:
    """The output of `show "cpu0"`: values by names such as 'GS.base'."""
    path: list[str] = []
    values = {}
    for line in lines:
        name, equals, value = line.strip().partition(" = ")
        if value == "{":
            path.append(name)
        elif name == "}" and path:
            path.pop()
        elif equals:
            values[".".join([*path, name])] = value
    return values


def instruction_after(elf: Path, address: int) -> int:
    """The address of the instruction behind the one at an address."""
    command = [require("objdump", "binutils"), "-d", f"--start-address={address:#x}",
               f"--stop-address={address + 32:#x}", str(elf)]
    listing = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    following = re.findall(r"^\s*([0-9a-f]+):\t", listing, re.MULTILINE)[1:2]
    return int(following[0], 16) if following else 0


class BochsDebugger:
    """One machine in Bochs' debugger."""

    def __init__(self, request: Request, elf: Path):
        self.cpus = request.cpus
        self.elf = elf
        self.cpu = 0                    # the CPU that the debugger's commands are about
        self.on_console: Callable[[bytes], None] = lambda data: None
        self.running = False
        self.log = request.folder / "bochs.log"
        (request.folder / "com1").unlink(missing_ok=True)
        self.console = bochs.open_console(request.folder / "com1")
        os.set_blocking(self.console, False)
        configuration = bochs.configuration(request) + f'debug_symbols: file="{elf.with_suffix(".sym")}"\n'
        (request.folder / "bochsrc").write_text(configuration)
        self.start(request.folder)
        self.command("")                # what Bochs says of itself before its first prompt

    def start(self, folder: Path) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, TERMINAL_SIZE)
        # On a dumb terminal the debugger's line editor sends no escape sequences. The machine's own screen is on
        # another terminal, which Bochs opens for itself.
        self.process = start([bochs.program(), "-q", "-f", "bochsrc"], cwd=folder, stdin=theirs, stdout=theirs,
                             stderr=theirs, start_new_session=True, env={**os.environ, "TERM": "dumb"})
        os.close(theirs)
        self.terminal = fdspawn(ours)

    def close(self) -> None:
        stop(self.process)
        self.terminal.close()
        os.close(self.console)
