# The sweep of interrupts: the local APIC's timer strikes a path once in each round, one instruction later each time.
# Here it is run, and what it says is compared with a recording of the path: every boundary at which interrupts are on
# must have been struck, in order, and no other one.
# Used by tools/sweep and by tests/sweeps.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from typing import Union

from .machines import TIMEOUT, Setup, boot, layer
from .recording import Boundary, record

# The programs of a run, and the paths that they go through, in this order.
RUNS = {
    "calls": (("swept", "swept other"),
              ("syscall", "switch", "user-copy", "user-copy-fault", "interrupt", "page-fault")),
    "idle": (("swept idle",), ("idle",)),
    "first-run": (("swept first", "begun"), ("first-run",)),
}
STRUCK = re.compile(r"^sweep: struck (\d+) (\d+) 0x([0-9a-f]+) ring (\d)\r?$", re.MULTILINE)
ROUNDS = re.compile(r"^sweep: rounds (\d+) wrong-cr2 (\d+) wrong-state (\d+) lost-wake-ups (\d+)\r?$", re.MULTILINE)
SEEN = ("page faults had a wrong CR2", "interrupts found DF, AC, GS base or the stack not as C wants it",
        "wake-ups were lost")
DAMAGE = re.compile(r"^swept: round (\d+): (.*?)\r?$", re.MULTILINE)
PATH = re.compile(r"^sweep: path (\S+)\r?$", re.MULTILINE)


@dataclass(frozen=True)
class Strikes:
    """Rounds that follow each other and were struck at the same place."""

    first: int
    last: int
    rip: int
    ring: int


@dataclass
class Swept:
    """What came of one path in one emulator."""

    path: str
    emulator: str
    rounds: int = 0
    open: int = 0                       # boundaries at which interrupts are on, and places: a loop has one
    places: int = 0
    masked: Counter = field(default_factory=Counter)        # those at which they are off, by routine
    exposed: Counter = field(default_factory=Counter)       # those at which they are on
    verbs: set[tuple[str, str]] = field(default_factory=set)        # what lies behind them: routine and instruction
    faults: list[str] = field(default_factory=list)         # what is not as it should be

    @property
    def boundaries(self) -> int:
        return self.open + sum(self.masked.values())


def setup_of(run: str, more_layers: tuple[str, ...] = ()) -> Setup:
    return Setup((layer("interrupts"), *more_layers), RUNS[run][0], icount=True)


def sweep(run: str, emulators: tuple[str, ...] = ("qemu", "bochs"), more_layers: tuple[str, ...] = (),
          patience: float = TIMEOUT) -> list[Swept]:
    """One run in each emulator. The recording is QEMU's: the instructions of a path are the same in both."""
    setup = setup_of(run, more_layers)
    recorded = record(setup, len(RUNS[run][1]))
    return [swept for emulator in emulators
            for swept in judge(run, emulator, recorded, *boot(emulator, setup, patience))]


def judge(run: str, emulator: str, recorded: list[list[Boundary]], code: int, text: str) -> list[Swept]:
    """Compares what the kernel printed with the recordings."""
    programs, paths = RUNS[run]
    pieces = dict(zip(PATH.findall(text), PATH.split(text)[2::2]))
    recorded = recorded + [[] for _ in paths[len(recorded):]]
    found = [judge_path(path, emulator, *both) for path, *both in
             zip(paths, recorded, (pieces.get(path, "") for path in paths))]
    if code or text.count(": exit 0") != len(programs):
        ends = [line for line in text.splitlines()
                if line.startswith(("panic", "task ")) and not line.endswith("exit 0")]
        last = [swept for swept in found if swept.rounds][-1:] or found
        last[0].faults.append(f"the run ended with code {code}: {'; '.join(ends[:4]) or 'it says nothing'}")
    return found


def judge_path(path: str, emulator: str, boundaries: list[Boundary], text: str) -> Swept:
    swept = Swept(path, emulator)
    strikes = [Strikes(int(first), int(last), int(rip, 16), int(ring))
               for first, last, rip, ring in STRUCK.findall(text)]
    ended = ROUNDS.search(text)
    swept.rounds = int(ended[1]) if ended else 0
    swept.masked = Counter(routine(one) for one in boundaries if not one.open)
    swept.open = sum(one.open for one in boundaries)
    swept.places = len(expected(boundaries))
    swept.exposed = Counter(routine(one) for one in boundaries if one.open)
    swept.verbs = {(routine(one), one.text.split()[0]) for one in boundaries if one.open and one.text}
    if not boundaries:
        swept.faults.append("the path could not be recorded: the machine ended before it")
    if not ended:
        swept.faults.append("the sweep did not come to its end")
    swept.faults += damages(boundaries, strikes, text)
    swept.faults += [f"{count} {what}" for count, what in zip(ended.groups()[1:] if ended else (), SEEN) if int(count)]
    swept.faults += faults(emulator, boundaries, strikes) if boundaries and ended else []
    return swept


def damages(boundaries: list[Boundary], strikes: list[Strikes], text: str) -> list[str]:
    """What the program found changed, by the place that was struck in that round."""
    names = {one.rip: one.place for one in boundaries}
    found: dict[str, list[int]] = {}
    for number, what in DAMAGE.findall(text):
        struck = next((one.rip for one in strikes if one.first <= int(number) <= one.last), 0)
        found.setdefault(f"struck at {names.get(struck, hex(struck))}, {what}", []).append(int(number))
    return [f"{what} (round{'s' * (len(rounds) > 1)} {rounds[0]}{f' to {rounds[-1]}' * (len(rounds) > 1)})"
            for what, rounds in found.items()]


def routine(boundary: Boundary) -> str:
    return re.split(r"[.+]", boundary.place, maxsplit=1)[0]


def expected(boundaries: list[Boundary], emulator: str = "qemu") -> list[tuple[Boundary, int]]:
    """The places that must be struck, in order, with how often at least: once for each boundary there, such as those of
    a repeated string instruction, of which QEMU has one more, behind the last repetition."""
    shown = [one for one in boundaries if one.open]
    groups = [list(group) for _, group in groupby(shown, key=lambda one: one.rip)]
    return [(group[0], len(group) - (emulator == "bochs" and group[0].text.startswith("rep "))) for group in groups]


def faults(emulator: str, boundaries: list[Boundary], found: list[Strikes]) -> list[str]:
    """What was not struck, and what was and should not have been."""
    wanted = expected(boundaries, emulator)
    said = [f"{one.place} ({one.text or 'ring 3'}) at {one.rip:#x} was not struck" for one, _ in wanted
            if one.rip not in {strike.rip for strike in found}]
    places = {one.rip: one for one in boundaries}
    said += [unexpected(strike, places.get(strike.rip)) for strike in found
             if strike.rip not in {one.rip for one, _ in wanted}]
    if not said and [one.rip for one, _ in wanted] != [strike.rip for strike in found]:
        said.append("the places were struck in another order than the path has them")
    if not said:
        said += [f"{one.place} at {one.rip:#x} has {count} boundaries, and was struck {strike.last - strike.first + 1} "
                 "times" for (one, count), strike in zip(wanted, found) if strike.last - strike.first + 1 < count]
    said += gaps(found)
    return said


def unexpected(strike: Strikes, known: Union[Boundary, None]) -> str:
    if known:
        return f"{known.place} ({known.text}) at {strike.rip:#x} was struck, and interrupts should be off there"
    return f"{strike.rip:#x} in ring {strike.ring} was struck, which is not on the path"


def gaps(strikes: list[Strikes]) -> list[str]:
    """Rounds in which nothing struck, between others in which something did."""
    return [f"nothing struck in the rounds {before.last + 1} to {after.first - 1}"
            for before, after in zip(strikes, strikes[1:]) if after.first != before.last + 1]
