# A machine check (#MC) at the places of a path: the kernel must say so, with the place that was interrupted, and end. A
# machine has one only, so there is a machine for each place. QEMU alone can raise one.
# Used by tools/sweep and by tests/sweeps.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from typing import Iterable, Union

from machine.run import MachineError

from .machines import Session, Setup, layer, stopped
from .nmis import MOST, Place, Swept, Sweeper, is_end

# QEMU's monitor: an error in bank 1 of CPU 0 that could not be corrected; its registers are such that it counts.
RAISE = "mce 0 1 0xb200000000000005 0x5 0 0"
REPORT = re.compile(r"^panic: CPU 0: #MC \(machine check\) in ring (\d)\r?\n  rip ([0-9a-f]{16})  rsp ([0-9a-f]{16})",
                    re.MULTILINE)
PATIENCE = 60           # seconds until the machine has ended
FAILED = "the kernel panicked, or a self-test failed"
PATHS = ("syscall", "nmi")      # a system call; and the handler of an NMI that strikes its first instruction
SETUP = Setup((layer("hostile"),), ("hostile fake",))


def sweep(path: str, numbers: Union[Iterable[int], None] = None, more_layers: tuple[str, ...] = ()) -> Swept:
    """At these places of the path, or at all; -1 is the last one."""
    setup = Setup((*SETUP.layers, *more_layers), SETUP.programs)
    swept = Swept(path, "qemu", "fake")
    with stopped("qemu", setup) as session:
        places = walk(Sweeper(session, setup), path)
    for number in [one % len(places) for one in (range(len(places)) if numbers is None else numbers)]:
        swept.places.append(places[number])
        with stopped("qemu", setup) as session:
            sweeper = Sweeper(session, setup)
            walk(sweeper, path, number)
            said = strike(session, sweeper, places[number])
        if said:
            swept.faults[number] = f"{places[number].name}: {said}"
    return swept


def walk(sweeper: Sweeper, path: str, number: int = MOST) -> list[Place]:
    """Along a path to the place with that number, or to the path's end."""
    debugger = sweeper.debugger
    debugger.run_to(sweeper.labels["at_syscall"])
    if path == "nmi":
        debugger.step()
        sweeper.raise_nmi()
    places: list[Place] = []
    while True:
        places.append(sweeper.place(debugger.registers()))
        out = path == "nmi" and places[-1].rip in sweeper.ways_out
        if len(places) > number or out or is_end(places, None):
            return places
        debugger.step()


def strike(session: Session, sweeper: Sweeper, place: Place) -> str:
    """The machine check, and what comes of it: what was wrong with that."""
    rsp = sweeper.debugger.registers()["rsp"]
    try:
        sweeper.debugger.monitor(RAISE)     # without CR4.MCE the machine resets at once
        sweeper.debugger.resume("c")
        return f"the kernel did not end: {sweeper.where()}"
    except MachineError:
        pass            # QEMU has ended
    end, why = session.ended()
    found = REPORT.search(session.console.end(PATIENCE))
    if not found or why != FAILED:
        return f"no report of a machine check, but {why or end}"
    told = (int(found[1]), int(found[2], 16), int(found[3], 16))
    wanted = (place.ring, place.rip, rsp)
    return "" if told == wanted else f"the report tells ring, RIP and RSP as {told} instead of {wanted}"
