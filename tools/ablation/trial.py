# Runs a kernel in which one instruction is overwritten by NOPs. A probe's image is made once; the kernel's file lies in
# it in one piece, so that each trial is a copy of the image with a few bytes changed. Used by tools/ablate and tests.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Union

from layers import ROOT, Variant
from machine import iso
from machine.prepare import boot, variant_of
from machine.run import MachineError

from . import debugger
from .code import Code
from .patience import Watch
from .probes import TIMED_OUT, Probe, Symptom, symptom
from .scope import BEGIN, Instruction, scope

# What lies on top of a stage: behind/ is code into which a routine without its end falls; layer/ is for the probes.
LAYERS = {"05": ("behind", "layer"), "04": ("behind",)}
PROGRAMS = ROOT / "tests/programs"      # of these some are modules of probes
NOP = b"\x90"                           # one byte, in each of the CPU's modes
ENTRY = 24                              # e_entry in an ELF64 header
LEAST = 0.5                             # CPU seconds that any run takes, however few were seen
TIMES = 3                               # the time-out, in normal runs
GOES_WELL = 60.0                        # CPU seconds: the time-out of the run that measures a normal one
FOR_EVER = "600"                        # seconds: whatever happens


def kernel_variant(stage: str) -> Variant:
    """The kernel that is tried: with its self-tests and the layers."""
    base = variant_of(stage, layers=[str(ROOT / "tests/ablation" / name) for name in LAYERS.get(stage, ())])
    return Variant(base.stage, base.bug, base.layers, True, base.compiler)


def build(stage: str) -> Path:
    """Builds that kernel and gives its ELF file."""
    return boot.build(kernel_variant(stage)) / "kernel.elf"


def build_programs(probes: list[Probe]) -> None:
    names = sorted({words.split()[0] for probe in probes for words in probe.modules if words.startswith("build/")})
    if not names:
        return
    done = subprocess.run(["make", "--silent", *names], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, text=True)
    if done.returncode:
        raise MachineError(f"the build of {', '.join(names)} failed:\n{done.stdout.rstrip()}")


class Image:
    """The image of one probe."""

    def __init__(self, probe: Probe, elf: Path, folder: Path):
        self.probe = probe
        self.code = Code(elf)
        words = [*probe.append.split(), "poweroff"]
        asked = argparse.Namespace(module=[self.module(one) for one in probe.modules], programs="")
        modules = [] if not probe.modules else boot.find_modules(asked, elf.parent)
        folder.mkdir(parents=True)
        self.bytes = iso.make_run(elf, words, modules, folder).read_bytes()
        self.start = self.bytes.find(self.code.data)
        if self.start < 0:
            raise MachineError(f"probe {probe.name}: the kernel does not lie in its image in one piece")
        if probe.entry:
            entry = self.code.address_of(probe.entry).to_bytes(8, "little")
            self.bytes = replaced(self.bytes, self.start + ENTRY, entry)
        if probe.stop:
            routine, text = probe.stop
            self.stop = debugger.address_of(self.code, routine, text, BEGIN.get(routine, 64))
        self.hits: Union[Counter, None] = None
        self.counted = {address: one.label for one in (scope(elf, probe.kernel) if probe.counts else ())
                        if one.label in probe.counts for address, _ in one.places}
        self.limit = GOES_WELL
        self.seconds = 0.0
        self.whole = ""

    @staticmethod
    def module(words: str) -> str:
        return str(ROOT / words) if words.startswith("build/") else words

    def without(self, one: Union[Instruction, None]) -> bytes:
        """The image with one instruction gone."""
        if one is None:
            return self.bytes
        image = bytearray(self.bytes)
        for address, code in one.places:
            place = self.start + self.code.offset(address)
            if image[place:place + len(code)] != code:
                raise MachineError(f"{one.label}: the kernel's file has other bytes there")
            image[place:place + len(code)] = NOP * len(code)
        return bytes(image)

    def debug(self, socket: str) -> Union[Symptom, None]:
        """What is done by a debugger, where the probe wants it."""
        if self.probe.screen:
            return debugger.look(socket, self.stop, self.probe.screen)
        if self.probe.stop:
            return debugger.meet(socket, self.stop, self.code.address_of(self.probe.behind))
        if self.probe.counts:
            return self.count(debugger.hits(socket, set(self.counted)))
        return None

    def count(self, found: Counter) -> Union[Symptom, None]:
        """Whether something is executed more often than in the whole kernel."""
        if self.hits is None:
            self.hits = found
        for address, label in self.counted.items():
            if found[address] > self.hits[address]:
                return Symptom("output", f"{label} is executed {found[address]} times, not {self.hits[address]}")
        return None

    def run(self, one: Union[Instruction, None], stop=None) -> tuple[Union[Symptom, None], str]:
        """Boots it. Gives what was wrong, and the log. A run that somebody else has ended, or that has said nothing at
        all, is believed the second time."""
        wrong, log, doubtful = self.run_once(one, stop)
        return self.run_once(one, stop)[:2] if doubtful else (wrong, log)

    def run_once(self, one: Union[Instruction, None], stop) -> tuple[Union[Symptom, None], str, bool]:
        with tempfile.TemporaryDirectory(prefix="ringstep-ablate-") as folder:
            process, socket = self.launch(one, Path(folder))
            try:
                if stop is not None:
                    stop.add(process)
                wrong = self.debug(socket)
                if wrong or self.probe.screen:
                    return wrong, "", False
                watch = Watch(process, self.limit)
                log, errors = watch.communicate()
                self.seconds = watch.seconds
            finally:
                process.terminate()     # it clears its emulator away
                process.wait()
                if stop is not None:
                    stop.discard(process)
        if process.returncode == 2 and "ended with code" not in errors:     # what the kernel gave the emulator
            raise MachineError(f"probe {self.probe.name}: {errors.strip()}")
        code = TIMED_OUT if watch.hangs else process.returncode
        doubtful = not log or "killed by signal" in errors or process.returncode < 0
        return symptom(self.probe, code, log, errors, self.whole), log, doubtful

    def launch(self, one: Union[Instruction, None], folder: Path) -> tuple[subprocess.Popen, str]:
        """Starts tools/boot, and gives the socket for a debugger as well."""
        image, socket = folder / "boot.iso", f"{folder}/gdb"
        image.write_bytes(self.without(one))
        command = [sys.executable, str(ROOT / "tools/boot"), "--iso", str(image), "--quiet", "--timeout", FOR_EVER,
                   *self.probe.options(), *(["--gdb", socket] if self.probe.debugged else [])]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                   stderr=subprocess.PIPE, errors="replace", start_new_session=True)
        return process, socket

    def measure(self) -> None:
        """Runs the kernel as it is, which must go well, and sets the time-out by how long that takes."""
        wrong, log = self.run(None)
        if wrong:
            raise MachineError(f"probe {self.probe.name}: the whole kernel fails: {wrong.kind}: {wrong.says}\n{log}")
        self.whole = log or "nothing"
        self.limit = TIMES * max(self.seconds, LEAST)


def replaced(data: bytes, place: int, by: bytes) -> bytes:
    return data[:place] + by + data[place + len(by):]


def copy(elf: Path, folder: Path) -> Path:
    """A copy of a kernel and of the programs that were built with it."""
    (folder / "user").mkdir(parents=True)
    for path in (elf.parent / "user").iterdir():
        if path.is_file() and not path.suffix:
            shutil.copy(path, folder / "user")
    return Path(shutil.copy(elf, folder))


def plain(stage: str) -> Path:
    """The kernel as a reader has it, without tests and layers."""
    return boot.build(variant_of(stage)) / "kernel.elf"
