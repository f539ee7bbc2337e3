# An NMI while the handler of another one runs, at each of its instructions: the CPU holds it back until the IRETQ, and
# then the handler must begin anew from where it began before.
# Used by tools/sweep and by tests/sweeps.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from .machines import Setup, layer, stopped
from .nmis import MOST, State, Swept, Sweeper, SweepError

PATHS = ("nmi-in-ring-3", "nmi-in-syscall-entry")      # where the first one strikes


def sweep(emulator: str, gs: str, paths: tuple[str, ...] = PATHS, more_layers: tuple[str, ...] = ()) -> list[Swept]:
    return [sweep_path(emulator, gs, path, more_layers) for path in paths]


def sweep_path(emulator: str, gs: str, path: str, more_layers: tuple[str, ...]) -> Swept:
    """The same NMI again and again, with the second one an instruction later each time. A fault ends it: nothing is as
    it was behind one."""
    swept = Swept(path, emulator, gs)
    setup = Setup((layer("hostile"), *more_layers), (f"hostile {gs}",))
    with stopped(emulator, setup) as session:
        sweeper = Sweeper(session, setup)
        sweeper.debugger.run_to(sweeper.labels["at_syscall"])
        if path == "nmi-in-syscall-entry":
            sweeper.debugger.step()
        for address in sweeper.stops():
            sweeper.debugger.break_at(address)
        before = sweeper.state()
        while not swept.faults and strike_twice(swept, sweeper, before):
            pass
    return swept


def strike_twice(swept: Swept, sweeper: Sweeper, before: State) -> bool:
    """An NMI, so many instructions of its handler, and another. True if there is an instruction more to try."""
    counted, number = sweeper.counted(), len(swept.places)
    said = "" if sweeper.raise_nmi() else "the first NMI did not come"
    for _ in range(number):
        sweeper.debugger.step()
    swept.places.append(sweeper.place(sweeper.debugger.registers()))
    last = sweeper.debugger.pc() in sweeper.ways_out
    said = said or second(sweeper, before, last)
    if not said and sweeper.counted() != counted + 2:
        said = f"the PCR counted {sweeper.counted() - counted} NMIs instead of 2"
    said = said or before.differences(sweeper.state())
    if said:
        swept.faults[number] = f"{swept.places[-1].name}: {said}"
    if number == MOST:
        raise SweepError(f"the handler does not end within {MOST} instructions")
    return not last


def second(sweeper: Sweeper, before: State, last: bool) -> str:
    """The second NMI, from where it is raised to its end."""
    target = before.registers["pc"]
    sweeper.debugger.nmi()
    if not last:
        sweeper.debugger.go_on()
    if sweeper.debugger.pc() not in sweeper.ways_out:
        return f"the first handler did not come to its end, but {sweeper.where()}"
    sweeper.debugger.step()
    if sweeper.debugger.pc() == target:         # QEMU stops here once more
        sweeper.debugger.step()
    if not sweeper.came():
        return f"the second NMI was lost: {sweeper.where()}"
    return sweeper.run_out(target)
