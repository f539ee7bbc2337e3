# The words that accompany a walk: where one is, what to look at there, with which command of the debugger, and what
# must hold. Used by tools/step, and by tools/machine/gdb_commands.py, which has GDB's commands in place of Bochs'.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Callable

from .expression import FLAGS, ExpressionError, Place, View, evaluate, location, parse
from .walk import Finding, Kernel, Point, Walk, findings

WIDTH = 100
LETTERS = {1: "b", 2: "h", 4: "w", 8: "g"}      # the sizes of memory in the commands of both debuggers
# The commands of Bochs for what is no general register.
COMMANDS = {"fs_base": 'show "FS.base"', "gs_base": 'show "GS.base"', "kernel_gs_base": 'show "MSR.kernelgsbase"',
            **dict.fromkeys(("cpl", "cs", "ss", "ds", "es", "fs", "gs"), "sreg"),
            **dict.fromkeys(("cr0", "cr2", "cr3", "cr4"), "creg"), "pc": "r     (rip; in real mode CS counts)"}


@dataclass(frozen=True)
class Dialect:
    """How a debugger is told things."""

    value: Callable[[str, View], str]               # the command that shows the value of an expression
    structure: Callable[[Place, Kernel], str]       # and that of a structure
    nmi: str
    alone: str
    together: str
    on: str                                         # the command that is enough where nothing is special, or ""
    hints: tuple[str, ...]


def value_in_bochs(text: str, view: View) -> str:
    memory = location(parse(text), view)
    if memory:
        return f"x /1{LETTERS[memory[1]]}x {memory[0]:#x}"
    if text in view.symbols and text not in view.registers:
        return "(its address)"
    return COMMANDS.get(text, "r     (a flag in capitals is 1)" if text in FLAGS else "r")


def structure_in_bochs(place: Place, kernel: Kernel) -> str:
    own = {"pcr": "pcr", "trap_frame": f"trapframe {place.address:#x}"}
    return own.get(place.structure, f"x /{kernel.structures.size(place.structure) // 8}gx {place.address:#x}")


BOCHS = Dialect(
    value_in_bochs, structure_in_bochs, nmi="take nmi", alone="s CPU N, with a breakpoint",
    together="c, with a breakpoint", on="c",
    hints=("s    one instruction      r    registers      u /5    the next instructions      q    quit",
           'lb "printk"    stop there too (the quotes belong to it)      Ctrl-C stops a machine that runs',
           "here    where am I? and     pcr  trapframe  tss  gdt  bases  label     (commands  lists them)"))


def paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), WIDTH, initial_indent="    ", subsequent_indent="    ")


def where(kernel: Kernel, view: View) -> str:
    """Symbol and source line of the present instruction, as far as it is the kernel's, and the ring."""
    rip = view.registers["pc"]
    ring = f"ring {view.named('cpl')}"
    if not kernel.has_code_at(rip):
        return f"{rip:#x}, not in the kernel, {ring}"
    return f"{kernel.symbols.describe(rip, rip).replace('+0x0 ', ' ')}, {ring}"


def point_text(walk: Walk, number: int, place: str, kernel: Kernel, view: View, cpus: int = 1,
               dialect: Dialect = BOCHS) -> str:
    """Everything about a point at which the machine stands; `place` is what where() says of it."""
    point = walk.points[number]
    lines = [f"=== {walk.title}, point {number + 1} of {len(walk.points)}: {name_of(point, kernel)}",
             f"    {place}", "", paragraph(point.why)]
    if point.look:
        lines += ["", "    Look at:"]
        lines += [line for text in point.look for line in value_lines(text, kernel, view, dialect)]
    if point.expect:
        lines += ["", "    Here this holds:", *[finding_line(finding) for finding in findings(point, view)]]
    return "\n".join([*lines, "", "    Type next:", *going_on(walk, number, kernel, cpus, dialect),
                      *[f"      {hint}" for hint in dialect.hints]])


def going_on(walk: Walk, number: int, kernel: Kernel, cpus: int, dialect: Dialect) -> list[str]:
    """The command that leads to the next point: the debugger's own where one is enough, else ours, which gives some."""
    if number + 1 == len(walk.points):
        first = name_of(walk.points[0], kernel)
        return [f"      The walk ends here. c    runs on; go    leads to point 1, {first}, if that is reached again"]
    following = walk.points[number + 1]
    name = f"point {number + 2}, {name_of(following, kernel)}"
    if cpus == 1 and not following.nmi and not following.when:
        return [f"      {dialect.on or 'go'}{' ' * (4 - len(dialect.on or 'go'))} on to {name}"]
    whose = f", on CPU {following.cpu}" if following.cpu is not None and cpus > 1 else ""
    return [f"      go   on to {name}{whose}", f"           {what_go_does(following, cpus, dialect)}"]


def what_go_does(following: Point, cpus: int, dialect: Dialect) -> str:
    one = "this CPU" if following.cpu is None else f"CPU {following.cpu}"
    steps = [f"an NMI strikes here ({dialect.nmi})"] if following.nmi else []
    if cpus > 1:
        steps.append(f"{one} goes alone, the others stand still ({dialect.alone})"
                     if following.run == "alone" else f"all run ({dialect.together})")
    return "; ".join(steps + ([f"until {following.when}"] if following.when else []))


def name_of(point: Point, kernel: Kernel) -> str:
    named = point.at.split(" + ")[0] in kernel.addresses or point.at.startswith("0x")
    return point.at if named else f"where {point.at} pointed"


def finding_line(finding: Finding) -> str:
    return f"      {finding.expected}" + ("" if finding.holds else f"      NOT SO: {finding.seen}")


def value_lines(text: str, kernel: Kernel, view: View, dialect: Dialect) -> list[str]:
    """A value and the debugger's command for it; of a structure, all members."""
    try:
        value = evaluate(text, view)
        if isinstance(value, Place):
            cells = [f"{name} = {content:#x}" for name, content in view.members(value).items()]
            return [table_line(text, "", dialect.structure(value, kernel)), *columns(cells)]
    except (ExpressionError, LookupError) as error:
        return [f"      {error}"]
    shown = f"{value:#x}" if value > 9 else f"{value:d}"
    if value in kernel.names and text not in kernel.addresses:
        shown += f" ({kernel.names[value]})"
    return [table_line(text, shown, dialect.value(text, view))]


def table_line(name: str, value: str, command: str) -> str:
    return f"      {name:<24} {value:<32} {command}".rstrip()


def columns(cells: list[str]) -> list[str]:
    """Three cells on a line."""
    width = max(map(len, cells)) + 3
    rows = [cells[start:start + 3] for start in range(0, len(cells), 3)]
    return ["        " + "".join(f"{cell:<{width}}" for cell in row).rstrip() for row in rows]
