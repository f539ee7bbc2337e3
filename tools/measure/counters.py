# Why each CPU has a control region of its own: what it costs to count there, beside counting in one place for all, by
# an atomic instruction or under a lock. The kernel layer bench/layers/counters does the counting.
# A group of tools/measure; tests/bench looks at the instruction.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
from pathlib import Path

from . import guest
from .figures import CannotMeasure, Figures, Group, Plot, Row, count

LAYER = "counters"
PROGRAM = "calls getpid"    # any: without one, those of the stage would run
MOST_CPUS = 8
TOGETHER = (1, 2, 4, 8)
BOOTS = 5
WAYS = {"per-cpu": "in the CPU's own PCR", "atomic": "in one word, by lock add", "lock": "in one word, under a lock"}
NANOSECONDS = 1_000_000     # in a millisecond
# The emulator's threads share the CPUs of its host: more of them than those do not run at once.
NOTE = ("QEMU gives each CPU a thread, and {host} of them run at once here; beyond that they take turns, and who waits "
        "for a lock waits for threads that do not run. No emulator shows caches: on real CPUs the shared word's line "
        "travels, and the gap is wider")


def routine(elf: Path, name: str) -> list[str]:
    """The instructions of one of the kernel's functions."""
    tool = shutil.which("objdump") or shutil.which("llvm-objdump")
    if not tool:
        raise CannotMeasure("objdump is not installed; Debian has it in the package binutils")
    done = subprocess.run([tool, "-d", "-M", "intel", "--no-show-raw-insn", str(elf)], capture_output=True, text=True,
                          check=True)
    found = re.search(rf"^[0-9a-f]+ <{re.escape(name)}>:\n((?:.+\n)*)", done.stdout, re.MULTILINE)
    if not found:
        raise CannotMeasure(f"{elf} has no function {name}")
    return [" ".join(line.split("\t", 1)[-1].split()) for line in found[1].splitlines()]


def per_cpu_access(elf: Path) -> str:
    """The instruction of `this_cpu->field++`. There must be no more than one that goes through GS, and it must do all:
    read, add and write."""
    through_gs = [text for text in routine(elf, "count_per_cpu") if "gs:" in text]
    if len(through_gs) != 1 or not re.match(r"(?:inc|add) QWORD PTR gs:", through_gs[0]):
        raise CannotMeasure(f"`this_cpu->field++` is not one instruction, but: {'; '.join(through_gs) or 'none'}")
    return through_gs[0]


def per_increment(results: guest.Results, way: str, cpus: int) -> float:
    """Instructions of one increment, without those of the loop."""
    return results[f"{way}-{cpus}"][0].instructions - results[f"loop-{cpus}"][0].instructions


def add_instructions(figures: Figures) -> None:
    alone = guest.run([PROGRAM], layer=LAYER)
    instruction = per_cpu_access(guest.kernel_with(LAYER))
    for way, where in WAYS.items():
        figures.rows.append(Row(
            f"counters.{way}-instructions", f"counting {where}: one CPU", "instructions",
            round(per_increment(alone, way, 1), 2), most=1 if way == "per-cpu" else None, exact=True,
            note=instruction if way == "per-cpu" else ""))
    together = guest.run([PROGRAM], cpus=MOST_CPUS, layer=LAYER)
    figures.rows.append(Row(
        f"counters.lock-instructions-{MOST_CPUS}", f"counting {WAYS['lock']}: {MOST_CPUS} CPUs at once",
        "instructions", round(per_increment(together, "lock", MOST_CPUS), 1),
        note="of all CPUs together; with -icount they take turns, each as long as it does not wait"))


def add_times(figures: Figures) -> None:
    # Where QEMU's own code for a loop comes to lie differs from boot to boot, and with it its time.
    boots = [guest.run([PROGRAM], cpus=MOST_CPUS, layer=LAYER, icount=False) for _ in range(BOOTS)]
    per_millisecond = guest.ticks_per_millisecond()
    lines: dict[str, list[tuple[float, float]]] = {}
    for way, where in WAYS.items():
        for cpus in TOGETHER:
            samples = [results[f"{way}-{cpus}"][0] for results in boots]
            least, time, most = (ticks / samples[0].operations * NANOSECONDS / per_millisecond
                                 for ticks in (min(sample.least for sample in samples),
                                               statistics.median(sample.median for sample in samples),
                                               max(sample.most for sample in samples)))
            lines.setdefault(where, []).append((cpus, round(1000 / time, 3)))
            figures.rows.append(Row(f"counters.{way}-{cpus}", f"counting {where}: {count(cpus, 'CPU')} at once",
                                    "ns, all CPUs together", round(time, 2), note=f"from {least:.2f} to {most:.2f}"))
    note = NOTE.format(host=host_cpus())
    figures.plots.append(Plot("counters", "Why the PCR exists: counting on several CPUs at once", "CPUs",
                              "increments per µs, all CPUs together", lines, steep=True, note=note))


def host_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


GROUP = Group("counters", "counting on several CPUs at once: why each has a PCR",
              [("instructions", add_instructions), ("time", add_times)])
