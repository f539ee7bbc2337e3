# The sweep of NMIs: a debugger stops a path at every instruction, lets an NMI strike there, and looks whether the
# kernel counted it in its own PCR and all is as it was: every register, both bases of GS, the memory below RSP.
# Used by tools/sweep and by tests/sweeps.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from os import PathLike
from typing import Iterable, Union

from elftools.elf.elffile import ELFFile

from machine.listing import Listing
from machine.run import MachineError

from .machines import Session, Setup, SweepError, layer, stopped

STUB_SIZE, VECTOR_DB, VECTOR_NMI = 16, 1, 2
# Where the way of an NMI ends: its IRETQ, from ring 0 and from ring 3; or the kernel does.
WAYS_OUT = ("paranoid_entry.step6", "interrupt_return.step3")
GIVEN_UP = "panic_begin"
BELOW = 32              # words of memory below RSP
MOST = 3000             # instructions of a path


@dataclass(frozen=True)
class Path:
    """Where to begin, with which programs (the base of GS goes in between), and where the end is, if not in ring 3."""

    begin: str                                  # a label of hostile.c, or a stub of the kernel's
    programs: tuple[str, ...] = ("hostile {}",)
    end: str = ""
    only: str = ""                              # the emulator that can go there


PATHS = {
    "syscall": Path("at_syscall"),
    "user-copy-fault": Path("at_user_copy_fault"),
    "interrupt": Path("at_interrupt"),
    "debug": Path("at_debug"),
    "debug-in-kernel": Path("debug_in_kernel", end="behind_debug_in_kernel"),
    "step-into-entry": Path("at_step_into_entry"),
    "switch": Path("at_switch", ("hostile {}", "hostile {}")),
    "watch-into-entry": Path("at_watched", ("hostile {} watch",)),
    # QEMU takes no CPU's breakpoint while it is stepped.
    "break-at-entry": Path("debug_stub", ("hostile {} debug",), "syscall_entry", only="bochs"),
}


@dataclass
class Place:
    """The moment before an instruction, and whose GS it was."""

    rip: int
    name: str
    text: str           # the instruction; of a program, empty
    ring: int
    users_gs: bool      # in ring 0: GS base is not the PCR


@dataclass
class Swept:
    """What came of one path."""

    path: str
    emulator: str
    gs: str                                             # what the program has put there
    places: list[Place] = field(default_factory=list)   # where an NMI struck, in order
    held: dict[int, str] = field(default_factory=dict)  # where the CPU takes none, by the number of the place, and why
    faults: dict[int, str] = field(default_factory=dict)    # what went wrong

    @property
    def boundaries(self) -> int:
        """Those at which an NMI struck."""
        return len(self.places) - len(self.held)

    @property
    def with_users_gs(self) -> int:
        return sum(place.users_gs for place in self.places)

    def by_routine(self) -> Counter:
        return Counter(place.name.split(".")[0].split("+")[0] for place in self.places)


@dataclass
class State:
    """What must not change."""

    registers: dict[str, int]
    below: list[int]

    def differences(self, after: "State") -> str:
        changed = [f"{name} was {value:#x} and is {after.registers[name]:#x}"
                   for name, value in self.registers.items() if after.registers[name] != value]
        changed += ["the memory below RSP has changed"] * (self.below != after.below)
        return ", ".join(changed)


class Sweeper:
    """One machine, which stands at the beginning of a path."""

    def __init__(self, session: Session, setup: Setup):
        self.debugger, self.kernel = session.debugger, session.kernel
        self.listing = listing_of(setup.elf)
        self.labels = {**labels_of(setup), **self.kernel.addresses}
        symbols = self.kernel.addresses
        self.pcr = symbols["boot_pcr"]
        self.nmis = self.pcr + self.kernel.structures.member("pcr", "nmis")[0]
        self.stub = symbols["interrupt_stubs"] + STUB_SIZE * VECTOR_NMI
        self.debug_stub = self.labels["debug_stub"] = symbols["interrupt_stubs"] + STUB_SIZE * VECTOR_DB
        self.ways_out = [symbols[name] for name in WAYS_OUT]
        self.given_up = symbols[GIVEN_UP]

    def stops(self) -> tuple[int, ...]:
        return (*self.ways_out, self.given_up)

    def state(self) -> State:
        registers = self.debugger.registers()
        return State(registers, self.debugger.memory(registers["rsp"] - 8 * BELOW, BELOW))

    def counted(self) -> int:
        return self.debugger.memory(self.nmis, 1)[0]

    def place(self, registers: dict[str, int]) -> Place:
        rip, ring = registers["pc"], registers["cs"] & 3
        name = self.listing.symbol(rip) if ring == 0 else "a program"
        text = self.listing.instructions.get(rip, "") if ring == 0 else ""
        return Place(rip, name, text, ring, ring == 0 and registers["gs_base"] != self.pcr)

    def came(self) -> bool:
        """Is the CPU at the gate of NMIs? Bochs has executed the first instruction there already."""
        return self.stub <= self.debugger.pc() < self.stub + STUB_SIZE

    def raise_nmi(self) -> bool:
        """An NMI at the present instruction; whether it comes at once."""
        self.debugger.nmi()
        self.debugger.step()
        return self.came()

    def check(self, before: State, counted: int) -> str:
        """From the gate to the end of the handler; gives what was wrong. Behind a fault the machine is no more use."""
        said = self.run_out(before.registers["pc"])
        if said:
            return said
        if self.counted() != counted + 1:
            return f"the PCR counted {self.counted() - counted} NMIs instead of 1"
        return before.differences(self.state())

    def run_out(self, target: int) -> str:
        """Out of the handler of an NMI, by its IRETQ."""
        try:
            self.debugger.go_on()
            if self.debugger.pc() == self.given_up:
                return "the kernel panicked"
            self.debugger.step()
            return "" if self.debugger.pc() == target else f"its IRETQ did not lead back, but {self.where()}"
        except MachineError as error:
            return f"the machine did not come back: {error}"

    def where(self) -> str:
        registers = self.debugger.registers()
        return f"the CPU is at {self.listing.symbol(registers['pc'])} in ring {registers['cs'] & 3}"


    def why_held(self, places: list[Place]) -> str:
        """Why an NMI that did not come at the last of these places comes later; empty if there is no reason."""
        before = places[-2] if len(places) > 1 else None
        if before and before.rip == self.labels["at_watched"]:
            return "in the shadow of MOV SS"
        if before and before.text == "sti":
            return "in the shadow of STI (in Bochs; other CPUs may)"
        if self.debug_stub <= self.debugger.pc() < self.debug_stub + STUB_SIZE:
            return "a #DB waits as well, and comes first"
        return ""


@lru_cache(maxsize=None)
def listing_of(elf: PathLike) -> Listing:
    return Listing(elf)


def labels_of(setup: Setup) -> dict[str, int]:
    """The places of the program at which paths begin."""
    with open(setup.folder / "user/hostile", "rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return {one.name: one["st_value"] for one in table.iter_symbols() if one.name.startswith("at_")}


def sweep(emulator: str, gs: str, paths: Iterable[str] = PATHS, more_layers: tuple[str, ...] = ()) -> list[Swept]:
    """Several paths with one base of GS."""
    found = [Swept(path, emulator, gs) for path in paths if PATHS[path].only in ("", emulator)]
    for programs, group in groupby(found, key=lambda swept: PATHS[swept.path].programs):
        setup = Setup((layer("hostile"), *more_layers), tuple(program.format(gs) for program in programs))
        left = list(group)
        while left:         # where a fault has cost the machine, the next one passes over the place
            with stopped(emulator, setup) as session:
                sweeper = Sweeper(session, setup)
                while left and go_through(left[0], sweeper):
                    del left[0]
    return found


def go_through(swept: Swept, sweeper: Sweeper) -> bool:
    """Once along a path, an NMI at each place but those that are known to be faulty. True if it came to the end."""
    path, debugger = PATHS[swept.path], sweeper.debugger
    swept.places, swept.held = [], {}
    debugger.run_to(sweeper.labels[path.begin])
    for address in sweeper.stops():
        debugger.break_at(address)
    while not is_end(swept.places, sweeper.labels.get(path.end)):
        if len(swept.places) == MOST:
            raise SweepError(f"the path {swept.path} does not end within {MOST} instructions")
        if swept.places:
            debugger.step()
        if not strike(swept, sweeper):
            return False
    debugger.remove_breakpoints(*sweeper.stops())
    return True


def strike(swept: Swept, sweeper: Sweeper) -> bool:
    """An NMI at the present place. False if the machine is lost by it."""
    before, counted = sweeper.state(), sweeper.counted()
    number, place = len(swept.places), sweeper.place(before.registers)
    swept.places.append(place)
    if number in swept.faults:
        return True
    came = sweeper.raise_nmi()
    while not came and (why := sweeper.why_held(swept.places)):
        swept.held[number] = f"{place.name}: {why}"
        before = sweeper.state()        # perhaps it comes here
        number, place = number + 1, sweeper.place(before.registers)
        swept.places.append(place)
        sweeper.debugger.step()
        came = sweeper.came()
    said = sweeper.check(before, counted) if came else f"the NMI did not come, but {sweeper.where()}"
    if said:
        swept.faults[number] = f"{place.name}: {said}"
    return not said


def is_end(places: list[Place], end: Union[int, None]) -> bool:
    """Back in the program, or at the address that is the end."""
    if not places:
        return False
    return places[-1].rip == end or places[-1].ring == 3 and any(place.ring == 0 for place in places)
