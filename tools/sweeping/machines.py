# A kernel with layers of the sweeps, in a debugger that stands at the machine's first instruction, and what the kernel
# prints meanwhile. Used by the modules of tools/sweeping.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Iterator, Union

from layers import ROOT
from machine import bochs, qemu
from machine.bochs_debugger import BochsDebugger
from machine.gdbstub import Gdbstub
from machine.prepare import prepare, variant_of
from machine.run import End, Machine, Request, stop
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


@lru_cache(maxsize=None)
def image(setup: Setup) -> tuple[Request, Path]:
    """The kernel and its image, made once: a sweep may start hundreds of machines. They go when we end."""
    folder = tempfile.TemporaryDirectory(prefix="ringstep-sweep-")
    atexit.register(folder.cleanup)
    return prepare(variant_of(STAGE, layers=setup.layers), Path(folder.name), Run(programs=setup.programs))


@contextmanager
def stopped(emulator: str, setup: Setup) -> Iterator[Session]:
    """A machine that stands at its first instruction; it is gone afterwards, whatever happens."""
    request, elf = image(setup)
    with tempfile.TemporaryDirectory(prefix="ringstep-sweep-") as folder:
        starter = in_bochs if emulator == "bochs" else in_qemu
        with starter(replace(request, folder=Path(folder)), elf, setup) as session:
            yield session


@contextmanager
def in_bochs(request: Request, elf: Path, setup: Setup) -> Iterator[Session]:
    bochs.check(request)
    debugger = BochsDebugger(request, elf)
    try:
        yield Session(debugger, kernel_of(elf))
    finally:
        debugger.close()


@contextmanager
def in_qemu(request: Request, elf: Path, setup: Setup) -> Iterator[Session]:
    request = replace(request, gdb=str(request.folder / "gdb"), icount=setup.icount)
    qemu.check(request)
    machine = qemu.run(request)
    console = Console(machine.console)
    try:
        debugger = Gdbstub(request.gdb)
        try:
            yield Session(debugger, kernel_of(elf), machine, console)
        finally:
            debugger.close()
    finally:
        stop(machine.process)


@lru_cache(maxsize=None)
def kernel_of(elf: Path) -> Kernel:
    """What is known of a kernel; to read its debugging information takes a second."""
    return Kernel(elf)


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

