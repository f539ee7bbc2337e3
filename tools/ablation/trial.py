# Runs a kernel in which one instruction is overwritten by NOPs. A probe's image is made once; the kernel's file lies in
# it in one piece, so that each trial is a copy of the image with a few bytes changed. Used by tools/ablate and its tests.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Union

from layers import ROOT, Variant
from machine import iso
from machine.prepare import boot, variant_of
from machine.run import MachineError

from . import screen
from .code import Code
from .probes import Probe, Symptom, symptom
from .scope import BEGIN, Instruction

LAYER = ROOT / "tests/ablation/layer"
PROGRAMS = ROOT / "tests/programs"      # of these some are modules of probes
NOP = b"\x90"                           # one byte, in each of the CPU's modes
ENTRY = 24                              # e_entry in an ELF64 header
LEAST = 4.0                             # seconds: a run is never stopped before
TIMES = 3                               # the time-out, in normal runs
GOES_WELL = 30.0                        # time-out of the run that measures a normal one


def kernel_variant(stage: str) -> Variant:
    """The kernel that is tried: with its self-tests, and stage 05's with the layer of probes."""
    base = variant_of(stage, layers=[str(LAYER)] if stage == "05" else [])
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
            self.stop = screen.address_of(self.code, routine, text, BEGIN.get(routine, 64))
        self.limit = GOES_WELL
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

    def run(self, one: Union[Instruction, None], limit: float = 0, stop=None) -> tuple[Union[Symptom, None], str]:
        """Boots it. Gives what was wrong, and the log."""
        with tempfile.TemporaryDirectory(prefix="ringstep-ablate-") as folder:
            image, socket = Path(folder) / "boot.iso", f"{folder}/gdb"
            image.write_bytes(self.without(one))
            command = [sys.executable, str(ROOT / "tools/boot"), "--iso", str(image), "--quiet", "--timeout",
                       str(limit or self.limit), *self.probe.options(), *(["--gdb", socket] if self.probe.stop else [])]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                       stderr=subprocess.PIPE, errors="replace", start_new_session=True)
            try:
                if stop is not None:
                    stop.add(process)
                if self.probe.stop:
                    return screen.look(socket, self.stop, self.probe.screen), ""
                log, errors = process.communicate()
            finally:
                process.terminate()     # it clears its emulator away
                process.wait()
                if stop is not None:
                    stop.discard(process)
        if process.returncode == 2 and "ended with code" not in errors:     # what the kernel gave the emulator
            raise MachineError(f"probe {self.probe.name}: {errors.strip()}")
        return symptom(self.probe, process.returncode, log, errors, self.whole), log

    def measure(self) -> float:
        """Runs the kernel as it is, which must go well, and sets the time-out by how long that takes."""
        begin = time.monotonic()
        wrong, log = self.run(None)
        if wrong:
            raise MachineError(f"probe {self.probe.name}: the whole kernel fails: {wrong.kind}: {wrong.says}\n{log}")
        normal = time.monotonic() - begin
        self.whole = log or "nothing"
        self.limit = max(LEAST, TIMES * normal)
        return normal


def replaced(data: bytes, place: int, by: bytes) -> bytes:
    return data[:place] + by + data[place + len(by):]


def plain(stage: str) -> Path:
    """The kernel as a reader has it, without tests and layers."""
    return boot.build(variant_of(stage)) / "kernel.elf"
