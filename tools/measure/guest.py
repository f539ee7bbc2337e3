# Runs measuring programs on ringstep and reads what they say. Used by the groups of tools/measure.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

from layers import ROOT, Variant, stage_folders

from .figures import CannotMeasure

# What the time-stamp counter advances by for each instruction, with QEMU's -icount as tools/machine/qemu.py sets it.
TICKS_PER_INSTRUCTION = 16
LINE = re.compile(r"^measure (\S+) (\d+) (\d+) (\d+) (\d+)\r?$", re.MULTILINE)
LAYERS = ROOT / "bench/layers"
TIMEOUT = 300


@dataclass(frozen=True)
class Samples:
    """One result line: ticks of the time-stamp counter that a batch of operations took."""

    operations: int
    least: int
    median: int
    most: int

    @property
    def instructions(self) -> float:
        """Of one operation. The two that read the clock are not told from it, hence a few thousandths."""
        return self.median / TICKS_PER_INSTRUCTION / self.operations


Results = dict[str, list[Samples]]      # by the result's name; several programs may each tell one


def parse(text: str) -> Results:
    """The result lines of a console."""
    results: Results = {}
    for name, *numbers in LINE.findall(text):
        results.setdefault(name, []).append(Samples(*map(int, numbers)))
    return results


def build_programs() -> Path:
    """The folder with the measuring programs, built."""
    command = ["make", "--silent", "-f", "tools/build.mk", "measuring"]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotMeasure(f"the measuring programs cannot be built:\n{done.stderr}")
    return ROOT / "build/bench"


def folders_of(layer: str) -> list[Path]:
    """The folders to lay on the last stage for one of bench/layers: below it lies how all of them print results."""
    return [LAYERS / "results", LAYERS / layer] if layer else []


def kernel_with(layer: str) -> Path:
    """The ELF file of the kernel that boot() builds with this layer."""
    variant = Variant(max(stage_folders()), layers=tuple(folders_of(layer)))
    return ROOT / "build" / variant.name / "kernel.elf"


def boot(modules: Iterable[str], cpus: int = 1, icount: bool = True, layer: str = "", words: str = "",
         options: Iterable[str] = ()) -> str:
    """Boots the last stage with measuring programs as modules ('calls yield'), and gives what COM1 said."""
    folder = build_programs()
    command = [sys.executable, str(ROOT / "tools/boot"), "--quiet", "--no-explain", "--cpus", str(cpus),
               "--timeout", str(TIMEOUT),
               "--append", words, *options]
    command += ["--icount"] if icount else []
    for part in folders_of(layer):
        command += ["--layer", str(part)]
    for module in modules:
        command += ["--module", f"{folder}/{module}"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, errors="replace")
    try:
        output, errors = process.communicate()
    except BaseException:           # Ctrl-C: tools/boot is asked to end, so that it clears away what it has made
        process.terminate()
        process.wait()
        raise
    if process.returncode != 0:
        raise CannotMeasure(f"{' '.join(command)} ended with {process.returncode}:\n{output[-2000:]}{errors}")
    return output


def run(modules: Iterable[str], **options) -> Results:
    """The same, as results."""
    return parse(boot(modules, **options))


def ticks_per_millisecond() -> float:
    """Of the time-stamp counter without -icount: QEMU shows its machine the host's, and a program of ours that runs on
    the host compares it with the clock there. (The kernel's own clock is set in a hundredth of a second, in which a
    busy host may have done something else.)"""
    if platform.machine() not in ("x86_64", "AMD64") or platform.system() != "Linux":
        raise CannotMeasure("times in the emulator are measured on Linux on x86-64 only: there its counter is known")
    done = subprocess.run([build_programs() / "rate"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return parse(done.stdout)["ticks-of-a-millisecond"][0].median


def instructions(results: Results, name: str) -> float:
    """What one operation takes, if its loop was that of measure.h: the three instructions around it are taken off."""
    loop = results["loop"][0].instructions - 1
    return round(results[name][0].instructions - loop, 3)
