# The words that accompany a walk: where one is, what to look at there, with which command of the Bochs debugger, and
# what must hold. Used by tools/step.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import textwrap
from typing import Union

from .expression import FLAGS, ExpressionError, Place, View, evaluate, location, parse
from .walk import Finding, Kernel, Point, Walk, findings

WIDTH = 100
# The debugger's commands for what is no general register.
COMMANDS = {"fs_base": 'show "FS.base"', "gs_base": 'show "GS.base"', "kernel_gs_base": 'show "MSR.kernelgsbase"',
            **dict.fromkeys(("cpl", "cs", "ss", "ds", "es", "fs", "gs"), "sreg"),
            **dict.fromkeys(("cr0", "cr2", "cr3", "cr4"), "creg")}
LETTERS = {1: "b", 2: "h", 4: "w", 8: "g"}
USUAL = "s    one instruction      r    registers      u /5    the next instructions      q    quit"
ALSO = 'lb "idt_init"    stop there too (the quotes belong to it)      Ctrl-C stops a machine that runs'


def paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), WIDTH, initial_indent="    ", subsequent_indent="    ")


def where(kernel: Kernel, view: View) -> str:
    """Symbol and source line of the present instruction, as far as it is the kernel's, and the ring."""
    rip = view.registers["pc"]
    ring = f"ring {view.named('cpl')}"
    if not kernel.has_code_at(rip):
        return f"{rip:#x}, not in the kernel, {ring}"
    return f"{kernel.symbols.describe(rip, rip).replace('+0x0 ', ' ')}, {ring}"


def point_text(walk: Walk, number: int, place: str, kernel: Kernel, view: View, cpus: int = 1) -> str:
    """Everything about a point at which the machine stands; `place` is what where() says of it."""
    point = walk.points[number]
    lines = [f"=== {walk.title}, point {number + 1} of {len(walk.points)}: {name_of(point, kernel)}",
             f"    {place}", "", paragraph(point.why)]
    if point.look:
        lines += ["", "    Look at:", *[line for text in point.look for line in value_lines(text, kernel, view)]]
    if point.expect:
        lines += ["", "    Here this holds:", *[finding_line(finding) for finding in findings(point, view)]]
    return "\n".join([*lines, "", "    Type next:", *going_on(walk, number, kernel, cpus),
                      f"      {USUAL}", f"      {ALSO}"])


def going_on(walk: Walk, number: int, kernel: Kernel, cpus: int) -> list[str]:
    """The command that leads to the next point: the debugger's own where one is enough, else ours, which gives some."""
    following = walk.points[(number + 1) % len(walk.points)]
    name = next_name(walk, number, kernel)
    if cpus == 1 and not following.nmi and not following.when:
        return [f"      c    on to {name}"]
    whose = f" of CPU {following.cpu}" if following.cpu is not None and cpus > 1 else ""
    return [f"      go   on to {name}{whose}", f"           {what_go_does(walk, number, cpus)}"]


def what_go_does(walk: Walk, number: int, cpus: int) -> str:
    following = walk.points[(number + 1) % len(walk.points)]
    last = number + 1 == len(walk.points)
    one = "this CPU" if following.cpu is None else f"CPU {following.cpu}"
    steps = ["an NMI strikes here (take nmi)"] if following.nmi else []
    steps += [f"{one} goes alone, the others stand still (s CPU N, with a breakpoint)"
              if cpus > 1 and following.run == "alone" and not last else "all run (c, with a breakpoint)"]
    return "; ".join(steps + ([f"until {following.when}"] if following.when else []))


def name_of(point: Point, kernel: Kernel) -> str:
    named = point.at.split(" + ")[0] in kernel.addresses
    return point.at if named else f"where {point.at} pointed"


def finding_line(finding: Finding) -> str:
    return f"      {finding.expected}" + ("" if finding.holds else f"      NOT SO: {finding.seen}")


def next_name(walk: Walk, number: int, kernel: Kernel) -> str:
    if number + 1 == len(walk.points):
        return f"point 1, {name_of(walk.points[0], kernel)}, when it is reached again; the walk ends here"
    return f"point {number + 2}, {name_of(walk.points[number + 1], kernel)}"


def value_lines(text: str, kernel: Kernel, view: View) -> list[str]:
    """A value and the debugger's command for it; of a structure, all members."""
    try:
        value = evaluate(text, view)
        if isinstance(value, Place):
            words = kernel.structures.size(value.structure) // 8
            cells = [f"{name} = {content:#x}" for name, content in view.members(value).items()]
            return [table_line(text, "", f"x /{words}gx {value.address:#x}"), *columns(cells)]
    except (ExpressionError, LookupError) as error:
        return [f"      {error}"]
    shown = f"{value:#x}" if value > 9 else f"{value:d}"
    if value in kernel.names:
        shown += f" ({kernel.names[value]})"
    return [table_line(text, shown, command_for(text, view))]


def table_line(name: str, value: str, command: str) -> str:
    return f"      {name:<24} {value:<32} {command}"


def command_for(text: str, view: View) -> str:
    """The debugger's command that shows a value."""
    memory: Union[tuple[int, int], None] = location(parse(text), view)
    if memory:
        return f"x /1{LETTERS[memory[1]]}x {memory[0]:#x}"
    return COMMANDS.get(text, "r     (a flag in capitals is 1)" if text in FLAGS else "r")


def columns(cells: list[str]) -> list[str]:
    """Three cells on a line."""
    width = max(map(len, cells)) + 3
    rows = [cells[start:start + 3] for start in range(0, len(cells), 3)]
    return ["        " + "".join(f"{cell:<{width}}" for cell in row).rstrip() for row in rows]
