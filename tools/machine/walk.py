# A walk: the places at which to stop in a stage, what to look at there, what one should see, and why.
# Here it is read from stages/NN/steps/NAME.toml and checked, and followed in a debugger, whichever that is.
# Used by tools/step and by the tests of the walks. docs/formats/walk.schema.json describes the file.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import ast
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Iterator, Protocol, Union

import jsonschema

try:
    import tomllib
except ImportError:         # before Python 3.11
    import tomli as tomllib

from layers import ROOT, stage_folders

from .expression import ExpressionError, View, evaluate, operands, parse
from .structures import Structures
from .symbols import Symbols

SCHEMA = ROOT / "docs/formats/walk.schema.json"
BUG_WALK = "walk.toml"  # the one beside a bug.toml, which has the bug's name
MOST_PASSES = 1000      # of a place, until its condition holds


class WalkError(Exception):
    """A walk cannot be read or followed; the message says where and why."""


@dataclass(frozen=True)
class Point:
    """One stop of a walk."""

    at: str                         # a label, or where the address is to be found at the point before
    why: str
    look: tuple[str, ...] = ()
    expect: tuple[str, ...] = ()
    cpu: Union[int, None] = None    # the CPU that comes here; None: that of the point before
    run: str = "alone"              # from the point before: that CPU alone, or "all" of them
    when: str = ""                  # a comparison: it is not this point until it holds
    nmi: bool = False               # on the way here, an NMI strikes at the point before
    only: str = ""                  # the emulator that comes here, where they differ


@dataclass(frozen=True)
class Run:
    """The machine of a walk: programs in place of the stage's own, words for the kernel, the number of CPUs."""

    programs: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    cpus: int = 1


@dataclass(frozen=True)
class Walk:
    """A whole walk."""

    name: str
    title: str
    points: tuple[Point, ...]
    run: Run = Run()

    def seen_in(self, emulator: str) -> "Walk":
        """The walk as this emulator goes it."""
        return replace(self, points=tuple(point for point in self.points if point.only in ("", emulator)))


@dataclass(frozen=True)
class Finding:
    """What came of one expectation; `seen` shows the values that it is about."""

    expected: str
    holds: bool
    seen: str


class Debugger(Protocol):
    """What a walk needs of a debugger."""

    emulator: str
    cpus: int
    cpu: int                        # the one that registers() and read() are about

    def choose(self, cpu: int) -> None: ...

    def run_to(self, address: int) -> None: ...

    def run_alone_to(self, address: int) -> None: ...

    def nmi(self) -> None: ...

    def registers(self) -> dict[str, int]: ...

    def read(self, address: int, size: int) -> int: ...


def walk_files(stage: str) -> dict[str, Path]:
    """The walks of a stage by name, in order."""
    return {path.stem: path for path in sorted((stage_folders()[stage] / "steps").glob("*.toml"))}


def load_walk(path: Path) -> Walk:
    """Reads a walk and refuses one that is not of the format."""
    try:
        with open(path, "rb") as file:
            data = tomllib.load(file)
        jsonschema.validate(data, json.loads(SCHEMA.read_text()))
        for point in data["point"]:
            for text in point.get("look", []):
                parse(text)
            for text in [*point.get("expect", []), *([point["when"]] if "when" in point else [])]:
                check_comparison(text)
            parse(point["at"])
    except tomllib.TOMLDecodeError as error:
        raise WalkError(f"{path}: {error}") from None
    except jsonschema.ValidationError as error:
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
        raise WalkError(f"{path}{place and ': ' + place.lstrip('.')}: {error.message}") from None
    except ExpressionError as error:
        raise WalkError(f"{path}: {error}") from None
    points = [Point(**{key: tuple(value) if isinstance(value, list) else value for key, value in point.items()})
              for point in data["point"]]
    run = data.get("run", {})
    name = path.parent.name if path.name == BUG_WALK else path.stem
    return Walk(name, data["title"], tuple(points),
                Run(tuple(run.get("programs", ())), tuple(run.get("words", ())), run.get("cpus", 1)))


def check_comparison(text: str) -> None:
    """An expectation that is only a number would hold whenever the number is not 0, which nobody means."""
    if not isinstance(parse(text), ast.Compare):
        raise ExpressionError(f"'{text}' is no comparison")


class Kernel:
    """What is known of a kernel before it runs."""

    def __init__(self, elf: Path):
        self.symbols = Symbols(elf, ROOT)
        self.structures = Structures(elf)
        self.addresses = dict(zip(self.symbols.names, self.symbols.addresses))
        self.names = {address: name for name, address in self.addresses.items()}

    def has_code_at(self, address: int) -> bool:
        return any(address in part for part in self.symbols.text)

    def view(self, debugger: Debugger) -> View:
        """What the debugger shows now."""
        return View(debugger.registers(), debugger.read, self.addresses, self.structures)

    def address_of(self, point: Point, before: View | None) -> int:
        """Where a point is, as far as it can be known; registers and memory are those of the point before."""
        if point.at in self.addresses:
            return self.addresses[point.at]
        if not before:
            raise WalkError(f"the kernel has no symbol '{point.at}'")
        try:
            return evaluate(point.at, before)
        except ExpressionError as error:
            raise WalkError(f"a point is not to be found: {error}") from None


def follow(walk: Walk, kernel: Kernel, debugger: Debugger) -> Iterator[tuple[Point, View]]:
    """Runs from point to point and gives what there is to see at each."""
    view = None
    for point in walk.seen_in(debugger.emulator).points:
        view = come_to(point, view, kernel, debugger)
        yield point, view


def come_to(point: Point, before: Union[View, None], kernel: Kernel, debugger: Debugger) -> View:
    """Runs on to a point; `before` is what was to be seen at the one before it, None for the first."""
    address = kernel.address_of(point, before)
    alone = before is not None and debugger.cpus > 1 and point.run == "alone"
    if point.nmi:
        debugger.nmi()
    moved = point.cpu is not None and point.cpu != debugger.cpu
    if alone and moved:
        debugger.choose(point.cpu)
        if debugger.registers()["pc"] == address:   # it has stood there all the time
            return kernel.view(debugger)
    for _ in range(MOST_PASSES):
        (debugger.run_alone_to if alone else debugger.run_to)(address)
        view = kernel.view(debugger)
        if arrived(point, view, debugger.cpu):
            return view
    raise WalkError(f"{point.at} was passed {MOST_PASSES} times, and never on CPU {point.cpu} with {point.when}")


def arrived(point: Point, view: View, cpu: int) -> bool:
    """Is it this point, at whose address a CPU stands?"""
    return point.cpu in (None, cpu) and (not point.when or finding(point.when, view).holds)


def findings(point: Point, view: View) -> list[Finding]:
    """Compares what a point expects with what is there."""
    return [finding(text, view) for text in point.expect]


def finding(comparison: str, view: View) -> Finding:
    """What cannot be had, such as a member of a structure where no memory is, does not hold."""
    try:
        seen = ", ".join(f"{side} = {evaluate(side, view):#x}" for side in operands(comparison))
        return Finding(comparison, evaluate(comparison, view), seen)
    except ExpressionError as error:
        return Finding(comparison, False, str(error))
