# All sweeps there are, as jobs, and what comes of them as rows of a report.
# Used by tools/sweep.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Callable, Iterable

from tabulate import tabulate

from . import interrupts, machine_checks, nested, nmis

EMULATORS = ("qemu", "bochs")
GS = ("zero", "fake", "kernel")     # what a program puts there: 0, a page like a PCR, the kernel's own PCR
HEAD = ("what strikes", "path", "emulator", "GS", "tried", "boundaries", "not taken", "user's GS", "faults")
EXPLANATION = """\
tried: how often something struck, or could have: each round of an interrupt sweep, each NMI, each machine check.
boundaries: moments between two instructions of the path. At each that is open something struck, and at no other; else
it is a fault. An interrupt that becomes due at a closed one strikes at the next that is open, so a path has more rounds
than open boundaries; and up to the write that starts the timer (arm, lapic_write), which is closed, nothing is due.
not taken: the closed ones: interrupts are off (IF=0) or in the shadow of an STI, or an NMI is held back.
user's GS: those in ring 0 at which GS base is the program's.
"""


@dataclass
class Row:
    """One path."""

    group: str
    path: str
    emulator: str
    gs: str
    tried: int
    boundaries: int
    not_taken: dict[str, int]
    users_gs: int
    faults: list[str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """Some paths that are swept in one go."""

    group: str
    name: str
    run: Callable[[], list[Row]]


GROUPS = {
    "interrupts": "the timer's interrupt, n instructions after it was asked for, for each n",
    "nmis": "an NMI at each instruction, with three hostile bases of GS",
    "nested": "an NMI at each instruction of the handler of another",
    "machine-checks": "a machine check at each instruction of a system call and of an NMI's handler (QEMU)",
}


def jobs(groups: Iterable[str], emulators: Iterable[str], layers: tuple[str, ...]) -> list[Job]:
    """What is to be done, the shortest first."""
    chosen, made = tuple(emulators), []
    if "interrupts" in groups:
        made += [Job("interrupts", run, partial(sweep_interrupts, run, chosen, layers)) for run in interrupts.RUNS]
    for emulator in chosen:
        if "nmis" in groups:
            made += [Job("nmis", f"{emulator} {gs}", partial(sweep_nmis, emulator, gs, layers)) for gs in GS]
        if "nested" in groups:
            made.append(Job("nested", emulator, partial(sweep_nested, emulator, layers)))
        if "machine-checks" in groups and emulator == "qemu":
            made += [Job("machine-checks", path, partial(sweep_machine_checks, path, layers))
                     for path in machine_checks.PATHS]
    return made


def sweep_interrupts(run: str, emulators: tuple[str, ...], layers: tuple[str, ...]) -> list[Row]:
    return [Row("interrupt", one.path, one.emulator, "own", one.rounds, one.boundaries, dict(one.masked), 0, one.faults,
                (f"interrupts are on in {counted(one.exposed)}",))
            for one in interrupts.sweep(run, emulators, layers)]


def sweep_nmis(emulator: str, gs: str, layers: tuple[str, ...]) -> list[Row]:
    return [row("NMI", one) for one in nmis.sweep(emulator, gs, nmis.PATHS, layers)]


def sweep_nested(emulator: str, layers: tuple[str, ...]) -> list[Row]:
    return [row("NMI in NMI", one) for one in nested.sweep(emulator, "fake", more_layers=layers)]


def sweep_machine_checks(path: str, layers: tuple[str, ...]) -> list[Row]:
    return [row("#MC", machine_checks.sweep(path, more_layers=layers))]


def row(group: str, swept: nmis.Swept) -> Row:
    return Row(group, swept.path, swept.emulator, swept.gs, len(swept.places) - len(swept.held), len(swept.places),
               dict(Counter(swept.held.values())), swept.with_users_gs, list(swept.faults.values()))


def counted(places: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in places.items())


def report(rows: list[Row]) -> str:
    """A table, and below it what the CPU did not take, and what was wrong."""
    lines = [(one.group, one.path, one.emulator, one.gs, one.tried, one.boundaries, sum(one.not_taken.values()),
              one.users_gs, len(one.faults)) for one in rows]
    sums = ("all", "", "", "", *(sum(line[place] for line in lines) for place in range(4, 9)))
    text = [tabulate([*lines, sums], HEAD, tablefmt="github"), "", EXPLANATION]
    for one in rows:
        name = f"{one.group}, {one.path}, {one.emulator}" + f", GS {one.gs}" * (one.group == "NMI")
        text += [f"{name}: not taken: {counted(one.not_taken)}"] * bool(one.not_taken)
        text += [f"{name}: {note}" for note in one.notes]
        text += [f"{name}: FAULT: {fault}" for fault in one.faults]
    return "\n".join(text) + "\n"
