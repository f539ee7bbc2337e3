# The sweep of NMIs: a debugger stops a path at every instruction, lets an NMI strike there, and looks whether the kernel
# counted it in its own PCR and all is as it was: every register, both bases of GS, the memory below RSP.
# Used by tools/sweep and by tests/sweeps.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Union

from elftools.elf.elffile import ELFFile

from machine.bochs_debugger import BochsDebugger
from machine.listing import Listing
from machine.run import MachineError

from .machines import Session, Setup, SweepError, layer, stopped

STUB_SIZE, VECTOR_NMI = 16, 2
# Where the way of an NMI ends: its IRETQ, from ring 0 and from ring 3; or the kernel does.
WAYS_OUT = ("paranoid_entry.step6", "interrupt_return.step3")
GIVEN_UP = "panic_begin"
BELOW = 32              # words of memory below RSP
MOST = 3000             # instructions of a path
# What a path begins with: the label of hostile.c at the instruction that enters the kernel.
PATHS = ("syscall", "user_copy_fault", "interrupt", "debug")


@dataclass
class Place:
    """The moment before an instruction, and whose GS it was."""

    rip: int
    name: str
    ring: int
    users_gs: bool      # in ring 0: GS base is not the PCR


@dataclass
class Swept:
    """What came of one path."""

    path: str
    emulator: str
    gs: str                                             # what the program has put there
    places: list[Place] = field(default_factory=list)   # where an NMI struck, in order
    faults: dict[int, str] = field(default_factory=dict)    # what went wrong, by the number of the place

    @property
    def boundaries(self) -> int:
        return len(self.places)

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
        self.listing = Listing(setup.elf)
        self.labels = labels_of(setup)
        symbols = self.kernel.addresses
        self.pcr = symbols["boot_pcr"]
        self.nmis = self.pcr + self.kernel.structures.member("pcr", "nmis")[0]
        self.stub = symbols["interrupt_stubs"] + STUB_SIZE * VECTOR_NMI
        self.ways_out = [symbols[name] for name in WAYS_OUT]
        self.given_up = symbols[GIVEN_UP]

    def watch(self) -> None:
        """Breakpoints for strike(), once a path has begun."""
        for address in (*self.ways_out, self.given_up):
            self.debugger.break_at(address)

    def state(self) -> State:
        registers = self.debugger.registers()
        return State(registers, self.debugger.memory(registers["rsp"] - 8 * BELOW, BELOW))

    def counted(self) -> int:
        return self.debugger.memory(self.nmis, 1)[0]

    def place(self, registers: dict[str, int]) -> Place:
        rip, ring = registers["pc"], registers["cs"] & 3
        name = self.listing.symbol(rip) if ring == 0 else "a program"
        return Place(rip, name, ring, ring == 0 and registers["gs_base"] != self.pcr)

    def strike(self, before: State) -> str:
        """An NMI at the present instruction, until its handler is through; gives what was wrong. Behind a fault the
        machine is of no more use."""
        counted = self.counted()
        self.debugger.nmi()
        self.debugger.step()
        if not self.stub <= self.debugger.registers()["pc"] < self.stub + STUB_SIZE:
            return f"the NMI did not come, but {self.where()}"
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
            if self.debugger.registers()["pc"] == self.given_up:
                return "the kernel panicked"
            self.debugger.step()
        except MachineError as error:
            return f"the machine did not come back: {error}"
        return "" if self.debugger.registers()["pc"] == target else f"the handler's IRETQ did not lead back: {self.where()}"

    def where(self) -> str:
        registers = self.debugger.registers()
        return f"the CPU is at {self.listing.symbol(registers['pc'])} in ring {registers['cs'] & 3}"


def labels_of(setup: Setup) -> dict[str, int]:
    """The places of the program at which paths begin."""
    with open(setup.folder / "user/hostile", "rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return {one.name: one["st_value"] for one in table.iter_symbols() if one.name.startswith("at_")}


def setup_of(gs: str, how: str = "", more_layers: tuple[str, ...] = ()) -> Setup:
    program = f"hostile {gs} {how}".strip()
    return Setup((layer("hostile"), *more_layers), (program,))


def sweep(emulator: str, gs: str, paths: tuple[str, ...] = PATHS, how: str = "",
          more_layers: tuple[str, ...] = ()) -> list[Swept]:
    """Several paths with one base of GS."""
    found = []
    for path in paths:
        swept = Swept(path, emulator, gs)
        while not go_through(swept, setup_of(gs, how, more_layers)):
            pass        # the machine was lost to a fault; the next one passes over the place
        found.append(swept)
    return found


def go_through(swept: Swept, setup: Setup) -> bool:
    """Once along a path, with an NMI at each place but those that are known to be faulty. True if it came to the end."""
    with stopped(swept.emulator, setup) as session:
        sweeper = Sweeper(session, setup)
        begin(sweeper, swept.path)
        sweeper.watch()
        places: list[Place] = []
        while len(places) < MOST:
            before = sweeper.state()
            places.append(sweeper.place(before.registers))
            number = len(places) - 1
            said = "" if number in swept.faults else sweeper.strike(before)
            if said:
                swept.faults[number] = f"{places[-1].name}: {said}"
                return False
            if number and is_end(places, swept.path):
                swept.places = places
                return True
            session.debugger.step()
    raise SweepError(f"the path {swept.path} does not end within {MOST} instructions")


def begin(sweeper: Sweeper, path: str) -> None:
    """To the instruction of the program that enters the kernel, a few rounds after it has begun."""
    sweeper.debugger.run_to(sweeper.labels[f"at_{path}"])


def is_end(places: list[Place], path: str) -> bool:
    """Back in the program."""
    return places[-1].ring == 3 and any(place.ring == 0 for place in places)
