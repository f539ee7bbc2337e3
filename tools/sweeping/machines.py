# A kernel with layers of the sweeps, in a debugger that stands at the machine's first instruction, and what the kernel
# prints meanwhile. Used by the modules of tools/sweeping.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import sys
import tempfile
import threading
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Union

from layers import ROOT
from machine import bochs, qemu
from machine.bochs_debugger import BochsDebugger
from machine.gdbstub import Gdbstub
from machine.prepare import prepare, variant_of
from machine.run import End, Machine, stop
from machine.walk import Kernel, Run

STAGE = "05"
LAYERS = ROOT / "tests/sweeps/layers"
TIMEOUT = 120           # seconds of a run without a debugger
PATIENCE = 60           # seconds until a machine has ended that ends by itself


class SweepError(Exception):
    """A sweep could not be made, which is not a finding; the message says why."""


@dataclass(frozen=True)
class Setup:
    """What runs: layers on the last stage, programs, words for the kernel."""

    layers: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    icount: bool = False

    @property
    def folder(self) -> Path:
        return ROOT / "build" / variant_of(STAGE, layers=self.layers).name

    @property
    def elf(self) -> Path:
        return self.folder / "kernel.elf"


def layer(name: str) -> str:
    """One of tests/sweeps/layers."""
    return str(LAYERS / name)


@dataclass
class Session:
    """A machine in a debugger."""

    debugger: Union[Gdbstub, BochsDebugger]
    kernel: Kernel
    machine: Union[Machine, None] = None        # QEMU's
    console: Union["Console", None] = None

    def ended(self) -> tuple[End, str]:
        """How QEMU ended, which it must have."""
        return self.machine.judge(self.machine.process.wait(PATIENCE))


class Console:
    """Reads a machine's COM1 all the time, so that the machine never waits for a reader."""

    def __init__(self, descriptor: int):
        self.text = b""
        self.thread = threading.Thread(target=self.read, args=(os.dup(descriptor),), daemon=True)
        self.thread.start()

    def read(self, descriptor: int) -> None:
        with open(descriptor, "rb", buffering=0) as console:
            while data := console.read(65536):
                self.text += data

    def end(self, patience: float) -> str:
        """All of it, when the machine has ended; it must do so in time."""
        self.thread.join(patience)
        if self.thread.is_alive():
            raise SweepError(f"the machine did not end within {patience:g} seconds")
        return self.text.decode(errors="replace")


@contextmanager
def stopped(emulator: str, setup: Setup) -> Iterator[Session]:
    """A machine that stands at its first instruction; it is gone afterwards, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="ringstep-sweep-") as folder:
        run = Run(programs=setup.programs)
        starter = in_bochs if emulator == "bochs" else in_qemu
        with starter(setup, Path(folder), run) as session:
            yield session


@contextmanager
def in_bochs(setup: Setup, folder: Path, run: Run) -> Iterator[Session]:
    request, elf = prepare(variant_of(STAGE, layers=setup.layers), folder, run)
    bochs.check(request)
    debugger = BochsDebugger(request, elf)
    try:
        yield Session(debugger, Kernel(elf))
    finally:
        debugger.close()


@contextmanager
def in_qemu(setup: Setup, folder: Path, run: Run) -> Iterator[Session]:
    socket = str(folder / "gdb")
    request, elf = prepare(variant_of(STAGE, layers=setup.layers), folder, run, gdb=socket, icount=setup.icount)
    qemu.check(request)
    machine = qemu.run(request)
    console = Console(machine.console)
    try:
        debugger = Gdbstub(socket)
        try:
            yield Session(debugger, Kernel(elf), machine, console)
        finally:
            debugger.close()
    finally:
        stop(machine.process)


def boot(emulator: str, setup: Setup, patience: float = TIMEOUT) -> tuple[int, str]:
    """A run of tools/boot: its exit code, and what the kernel printed."""
    words = [sys.executable, str(ROOT / "tools/boot"), "--quiet", "--stage", STAGE, "--emulator", emulator,
             "--timeout", str(patience)]
    words += ["--icount"] if setup.icount and emulator == "qemu" else []
    words += [word for one in setup.layers for word in ("--layer", one)]
    words += [word for one in setup.programs for word in ("--module", one)]
    process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, errors="replace")
    try:
        output, errors = process.communicate()
    except BaseException:       # Ctrl-C: tools/boot is asked to end, so that it clears away what it has made
        process.terminate()
        process.wait()
        raise
    if process.returncode == 2:
        raise SweepError(f"{' '.join(words)}:\n{errors}")
    return process.returncode, output

