# A recorded trace: written to a file and read from it, played to any position, and told as plain text.
# docs/formats/trace.schema.json describes the file. Used by tools/trace and tools/machine/replay.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator, Union

import jsonschema

from layers import ROOT

from .expression import FLAGS

SCHEMA = ROOT / "docs/formats/trace.schema.json"
FORMAT, VERSION = "ringstep-trace", 1
ROWS = ("points", "start", "memory", "regions", "files", "code", "frames", "steps")   # one item a line in the file
USER_TOP = 1 << 47
KEPT = 64               # positions between two that a player keeps, so that going back is quick


class TraceError(Exception):
    """A file is no trace that can be read; the message says why."""


def write(trace: dict[str, Any]) -> str:
    """The file's text. Each step has a line, so that a person can read it and `diff` can compare two."""
    parts = [f'"{name}":[\n' + ",\n".join(map(compact, value)) + "\n]" if name in ROWS and value
             else f'"{name}":{compact(value)}' for name, value in trace.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def read(path: Path) -> dict[str, Any]:
    """A trace from its file."""
    try:
        trace = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise TraceError(f"{path} is no JSON: {error}") from None
    if not isinstance(trace, dict) or trace.get("format") != FORMAT:
        raise TraceError(f"{path} is no trace of ringstep: it has no \"format\": \"{FORMAT}\"")
    if trace.get("version") != VERSION:
        raise TraceError(f"{path} has version {trace.get('version')} of the format; this program reads {VERSION}")
    error = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text())).iter_errors(trace)
    for found in error:
        raise TraceError(f"{path}: {place_of(found.absolute_path)}{found.message[:200]}")
    for complaint in contradictions(trace):
        raise TraceError(f"{path}: {complaint}")
    return trace


def place_of(path) -> str:
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return f"{place.lstrip('.')}: " if place else ""


def contradictions(trace: dict[str, Any]) -> Iterator[str]:
    """What a schema cannot say: the numbers that point into tables must point at something."""
    if [one["cpu"] for one in trace["start"]] != list(range(trace["cpus"])):
        yield f"start: it does not have the CPUs 0 to {trace['cpus'] - 1}"
    for name in ("points", "frames", "steps"):
        for number, one in enumerate(trace[name]):
            if one["cpu"] >= trace["cpus"]:
                yield f"{name}[{number}].cpu: there is no CPU {one['cpu']}"
    for number, step in enumerate(trace["steps"]):
        if step.get("code", 0) >= len(trace["code"]) and "code" in step:
            yield f"steps[{number}].code: there is no code[{step['code']}]"
    for number, code in enumerate(trace["code"]):
        if "file" in code and code["file"] >= len(trace["files"]):
            yield f"code[{number}].file: there is no files[{code['file']}]"
    for number, point in enumerate(trace["points"]):
        if point["step"] > len(trace["steps"]):
            yield f"points[{number}].step: there are only {len(trace['steps'])} steps"
    for number, region in enumerate(trace["regions"]):
        if "structure" in region and region["structure"] not in trace["structures"]:
            yield f"regions[{number}].structure: there is no structure {region['structure']}"


@dataclass
class Moment:
    """The machine at a position."""

    registers: dict[int, dict[str, int]]
    memory: dict[tuple[int, int], int] = field(default_factory=dict)    # bytes by address space and address

    def space(self, cpu: int, address: int) -> int:
        return self.registers[cpu]["cr3"] if address < USER_TOP else 0

    def store(self, cpu: int, access: list) -> None:
        address, size, value = int(access[0], 16), access[1], int(access[2], 16)
        space = int(access[3], 16) if len(access) > 3 else self.space(cpu, address)
        for number in range(size):
            self.memory[space, address + number] = value >> 8 * number & 0xff

    def word(self, cpu: int, address: int) -> Union[int, None]:
        """Eight bytes of memory, if all of them are known."""
        space = self.space(cpu, address)
        found = [self.memory.get((space, address + number)) for number in range(8)]
        return None if None in found else sum(byte << 8 * number for number, byte in enumerate(found))


class Player:
    """A trace, and the machine at one position of it."""

    def __init__(self, trace: dict[str, Any]):
        self.trace = trace
        self.steps = trace["steps"]
        self.regions = [(int(one["start"], 16), int(one["end"], 16), one) for one in trace["regions"]]
        self.position = 0
        self.moment = Moment({one["cpu"]: numbers(one["registers"]) for one in trace["start"]})
        for access in trace["memory"]:
            self.moment.store(0, access)
        self.kept = {0: deepcopy(self.moment)}

    def go(self, position: int) -> None:
        """To a position, or to the end that lies in its direction."""
        position = max(0, min(position, len(self.steps)))
        if position < self.position:
            self.position = max(kept for kept in self.kept if kept <= position)
            self.moment = deepcopy(self.kept[self.position])
        while self.position < position:
            step = self.steps[self.position]
            # The memory is that of the address space before the step: MOV CR3 writes none.
            for access in step.get("writes", ()):
                self.moment.store(step["cpu"], access)
            self.moment.registers[step["cpu"]].update(numbers(step["changes"]))
            self.position += 1
            if self.position % KEPT == 0 and self.position not in self.kept:
                self.kept[self.position] = deepcopy(self.moment)

    @property
    def last(self) -> dict[str, Any]:
        """The step that has just happened; an empty one at the start."""
        return self.steps[self.position - 1] if self.position else {}

    @property
    def next(self) -> dict[str, Any]:
        return self.steps[self.position] if self.position < len(self.steps) else {}

    @property
    def cpu(self) -> int:
        """The CPU that one looks at: the one that has just done something."""
        return self.last.get("cpu", self.trace["points"][0]["cpu"])

    def code(self, step: dict[str, Any]) -> dict[str, Any]:
        return self.trace["code"][step["code"]] if "code" in step else {}

    def here(self) -> dict[str, Any]:
        """The instruction that the CPU is about to execute, if the trace has it."""
        if self.next.get("cpu") == self.cpu and "code" in self.next:
            return self.code(self.next)
        rip = self.moment.registers[self.cpu]["rip"]
        return next((one for one in self.trace["code"] if int(one["address"], 16) == rip), {})

    def point(self) -> Union[tuple[int, dict[str, Any]], None]:
        """The last point that has been reached, and its number from 1 on."""
        reached = [(number, one) for number, one in enumerate(self.trace["points"], 1) if one["step"] <= self.position]
        return reached[-1] if reached else None

    def name(self, value: int) -> str:
        """What a value is, if it is the address of something known."""
        found = [one for start, end, one in self.regions
                 if start <= value < end or value == end and "stack" in one["name"]]
        if not found:
            return self.trace["names"].get(f"{value:#x}", "")
        region = min(found, key=lambda one: int(one["end"], 16) - int(one["start"], 16))
        offset = value - int(region["start"], 16)
        if "structure" not in region or not offset:
            return region["name"]
        members = self.trace["structures"][region["structure"]]["members"]
        return next((f"{region['name']}: {name}" for name, start, size in members if start <= offset < start + size),
                    region["name"])

    def field(self, address: int) -> str:
        """What a word on a stack is called: a member of a trap frame that lies there now."""
        for frame in self.trace["frames"]:
            offset = address - int(frame["base"], 16)
            if frame["from"] < self.position <= frame.get("to", self.position):
                for name, start, size in self.trace["structures"]["trap_frame"]["members"]:
                    if start == offset:
                        return f"frame.{name}"
        return ""


def numbers(registers: dict[str, str]) -> dict[str, int]:
    return {name: int(value, 16) for name, value in registers.items()}


def flag_names(rflags: int) -> str:
    """The flags by name, those that are 1 in capitals, as the Bochs debugger has them."""
    return " ".join(name if rflags >> bit & 1 else name.lower() for name, bit in reversed(FLAGS.items()))


def source_of(trace: dict[str, Any], code: dict[str, Any]) -> str:
    return f"{trace['files'][code['file']]['name']}:{code['line']}" if "file" in code else ""


def text_lines(trace: dict[str, Any]) -> Iterator[str]:
    """A trace as plain lines: for pipes, and to be read aloud."""
    versions = trace["versions"]
    cpus = f"{trace['cpus']} CPU{'s' if trace['cpus'] > 1 else ''}"
    yield f"{trace['title']}: stage {trace['stage']}, walk {trace['walk']}, {cpus}"
    yield f"Recorded with {versions['emulator']}; the kernel is by {versions['compiler']}."
    yield f"{len(trace['points'])} points, {len(trace['steps'])} steps."
    player = Player(trace)
    for position in range(len(trace["steps"]) + 1):
        player.go(position)
        for number, point in enumerate(trace["points"], 1):
            if point["step"] == position:
                yield ""
                yield f"Point {number} of {len(trace['points'])}, {point['at']}: {point['why']}"
                yield ""
        if position < len(trace["steps"]):
            yield step_line(trace, position, player)


def step_line(trace: dict[str, Any], position: int, player: Player) -> str:
    step = trace["steps"][position]
    code = player.code(step)
    ring = player.moment.registers[step["cpu"]]["cpl"]
    place = f"{code.get('symbol') or code['address']}: {code['text']}. " if code else ""
    who = f"CPU {step['cpu']}, " if trace["cpus"] > 1 else ""
    source = source_of(trace, code)
    return f"{position + 1}. {who}ring {ring}. {place}{step['says']}{f' [{source}]' if source else ''}"
