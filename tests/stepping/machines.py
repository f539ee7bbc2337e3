# A stage in a debugger, for the tests of the walks: Bochs' own, or QEMU's gdbstub.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Union

from harness import ROOT, started
from machine.bochs_debugger import BochsDebugger
from machine.gdbstub import Gdbstub
from machine.prepare import prepare, variant_of
from machine.walk import Kernel, Run

EMULATORS = ("bochs", "qemu")


@contextmanager
def stopped(emulator: str, stage: str, folder: Path,
            run: Run = Run()) -> Iterator[tuple[Union[BochsDebugger, Gdbstub], Kernel]]:
    """A machine that stands at its first instruction, and the kernel that it will boot."""
    with (in_bochs if emulator == "bochs" else in_qemu)(stage, folder, run) as found:
        yield found


@contextmanager
def in_bochs(stage: str, folder: Path, run: Run = Run()) -> Iterator[tuple[BochsDebugger, Kernel]]:
    request, elf = prepare(variant_of(stage), folder, run)
    debugger = BochsDebugger(request, elf)
    try:
        yield debugger, Kernel(elf)
    finally:
        debugger.close()


@contextmanager
def in_qemu(stage: str, folder: Path, run: Run = Run()) -> Iterator[tuple[Gdbstub, Kernel]]:
    socket = str(folder / "gdb")
    modules = [word for program in run.programs for word in ("--module", program)]
    options = ["--append", " ".join(run.words), "--cpus", str(run.cpus), "--gdb", socket, "--timeout", "60"]
    with started("--stage", stage, *modules, *options, stdout=subprocess.DEVNULL):
        debugger = Gdbstub(socket)
        try:
            yield debugger, Kernel(ROOT / "build" / variant_of(stage).name / "kernel.elf")
        finally:
            debugger.close()
