# How costs grow with the work: more tasks on a CPU, more CPUs, more pages, larger programs. What should be flat is
# shown to be flat. In instructions, and the wake-up of another CPU in time as well.
# A group of tools/measure.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import subprocess
from pathlib import Path

from layers import ROOT

from . import guest
from .figures import CannotMeasure, Figures, Group, Plot, Row, count

TASKS = (2, 16, 256)
TURNS = 1024                    # in a batch, of all tasks together: short enough for most batches to have no tick
LOOP = 3                        # instructions of the programs' loop besides the system call
CPUS = (1, 2, 4, 8, 16, 32, 64)
PAGES = (1, 10, 100, 1000, 10000)
KIB = 1024
SIZES = {1: "1 KiB", 64: "64 KiB", 1024: "1 MiB", 16 * 1024: "16 MiB"}     # by KiB
MANY = ("--memory", "512")      # MiB, for many tasks or large programs
MICROSECONDS = 1000             # in a millisecond
PROGRAM = "calls getpid"        # any, where a layer measures: without one, those of the stage would run
COPIES = "QEMU counts each repetition of a string instruction, so a byte that is zeroed or copied is one instruction"
# Nothing but its data; it ends at once.
LOADED = """
.intel_syntax noprefix
.globl _start
_start:
    mov eax, 231    # exit_group
    xor edi, edi
    syscall
.data
.fill {size}, 1, 1
.section .note.GNU-stack, "", @progbits
"""


def per_switch(tasks: int) -> float:
    """Instructions from one task's yield to the next task's, all of them in ring 0 but for the system call."""
    turns = TURNS // tasks
    modules = [f"turns {turns} measure", f"turns copies={tasks - 1} {turns}"]
    batch = guest.run(modules, options=MANY)["turns"][0]
    return batch.instructions / tasks - LOOP


def add_tasks(figures: Figures) -> None:
    points = [(tasks, round(per_switch(tasks), 1)) for tasks in TASKS]
    figures.rows += [Row(f"scaling.yield-{tasks}", f"sched_yield among {tasks} tasks on one CPU",
                         "instructions, per switch", value, exact=True) for tasks, value in points]
    figures.plots.append(Plot("scaling-tasks", "A switch costs the same among any number of tasks",
                              "tasks on one CPU", "instructions per switch", {"ringstep": points}))


def add_queues(figures: Figures) -> None:
    results = guest.run([PROGRAM], cpus=CPUS[-1], layer="queues")
    points = [(cpus, round(results[f"queues-{cpus}"][0].instructions, 1)) for cpus in CPUS]
    what = "two threads of the kernel take turns on each of"
    figures.rows += [Row(f"scaling.queues-{cpus}", f"{what} {count(cpus, 'CPU')}", "instructions, per switch", value)
                     for cpus, value in points]
    figures.plots.append(Plot("scaling-queues", "A switch costs the same on any number of CPUs, as counted", "CPUs",
                              "instructions per switch, all CPUs together", {"schedule()": points},
                              note="threads of the kernel, which have no registers of ring 3 to switch"))


def add_wake(figures: Figures) -> None:
    counted = guest.run([PROGRAM], cpus=2, layer="wake")["wake-1"][0]
    what = "a task made ready on another CPU, which is halted, until its first instruction"
    figures.rows.append(Row("scaling.wake", what, "instructions, both CPUs together", counted.instructions))
    try:
        rate = guest.ticks_per_millisecond()
    except CannotMeasure as error:
        figures.notes.append(str(error))
        return
    timed = guest.run([PROGRAM], cpus=2, layer="wake", icount=False)["wake-1"][0]
    figures.rows.append(Row(
        "scaling.wake-time", what, "µs", round(timed.median * MICROSECONDS / rate, 1),
        note=f"from {timed.least * MICROSECONDS / rate:.1f} to {timed.most * MICROSECONDS / rate:.0f} µs; "
             "nearly all of it the emulator's, whose thread has to wake"))


def add_memory(figures: Figures) -> None:
    results = guest.run(["map"])
    lines: dict[str, list[tuple[float, float]]] = {}
    for name in ("mmap", "touch", "munmap"):
        for pages, sample in zip(PAGES, results[name]):
            lines.setdefault(name, []).append((pages, round(sample.instructions, 1)))
    for at, pages in enumerate(PAGES):
        figures.rows.append(Row(f"scaling.mmap-{pages}", f"mmap of {count(pages, 'page')}, touch each, munmap",
                                "instructions, per page", round(sum(line[at][1] for line in lines.values()), 1),
                                note=", ".join(f"{name} {line[at][1]:g}" for name, line in lines.items())))
    figures.plots.append(Plot("scaling-memory", "Memory by mmap", "pages", "instructions per page", lines,
                              note=f"{COPIES}: 4096 for each page"))


def build_loaded(kib: int) -> Path:
    """A program with so much data."""
    path = ROOT / f"build/bench/loaded-{kib}"
    command = ["gcc", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-x", "assembler", "-o", str(path), "-"]
    done = subprocess.run(command, input=LOADED.format(size=kib * KIB), capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotMeasure(f"{path.name} cannot be built:\n{done.stderr}")
    return path


def add_load(figures: Figures) -> None:
    guest.build_programs()      # and with them the folder
    modules = [build_loaded(kib).name for kib in SIZES]
    # The first program of all is the only one that needs a new kernel stack: it comes once more.
    results = guest.run([modules[0], *modules], layer="load", options=MANY)
    loads = {kib: results[f"load-{number}"][0].instructions for number, kib in enumerate(SIZES, 2)}
    figures.rows += [Row(f"scaling.load-{kib}", f"load a program of {SIZES[kib]}", "instructions", round(loads[kib]),
                         note=f"{loads[kib] / kib:.0f} per KiB") for kib in SIZES]
    lines = {"load": [(kib, round(loads[kib])) for kib in SIZES]}
    figures.plots.append(Plot("scaling-load", "Loading a program", "KiB", "instructions", lines, steep=True,
                              note=f"{COPIES}, two for each byte of the file. The stack's 32 pages come on top"))


GROUP = Group("scaling", "how costs grow with tasks, CPUs, pages, and the size of programs", [
    ("tasks on a CPU", add_tasks), ("CPUs", add_queues), ("waking another CPU", add_wake), ("mmap", add_memory),
    ("loading programs", add_load)])
