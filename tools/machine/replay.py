# A window in the terminal that plays a recorded trace, forwards and backwards: source, machine code, registers, stack.
# What a step has changed is marked by an asterisk as well as by its colour, for terminals without.
# Used by tools/trace. Needs urwid.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import curses
import os
import re
from typing import Any, Callable, Union

import urwid

from .trace import Player, flag_names, source_of

GENERAL = "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15".split()
PALETTE = [("title", "white", "dark blue", "standout"), ("why", "brown", "", ""), ("plain", "", "", ""),
           ("changed", "yellow,bold", "", "bold"), ("here", "light cyan,bold", "", "bold"),
           ("head", "light green", "", "underline")]
RIGHT = 41              # columns of the registers and the stack
WIDE = 110              # columns from which on there is room for more names
WHY_LINES = 4           # of a point's text where the window is low
FAST = 10
KEYS = " right/space/j on  left/k back  PgDn/PgUp 10  n/p point  Home/End  w why  q quit"
Line = Union[str, list]


class Window(urwid.Widget):
    """The whole window. It lays itself out anew for each position and each size."""

    _sizing = frozenset([urwid.BOX])
    _selectable = True

    def __init__(self, trace: dict[str, Any]):
        super().__init__()
        self.trace = trace
        self.player = Player(trace)
        self.whole_why = False
        self.listing: dict[str, list[dict[str, Any]]] = {}
        for code in sorted(trace["code"], key=lambda one: int(one["address"], 16)):
            self.listing.setdefault(code.get("program", ""), []).append(code)

    # Keys

    def keypress(self, size, key: str) -> Union[str, None]:
        position, points = self.player.position, [point["step"] for point in self.trace["points"]]
        moves: dict[str, Callable[[], int]] = {
            "right": lambda: position + 1, "left": lambda: position - 1,
            "page down": lambda: position + FAST, "page up": lambda: position - FAST,
            "n": lambda: min((step for step in points if step > position), default=position),
            "p": lambda: max((step for step in points if step < position), default=position),
            "home": lambda: 0, "end": lambda: len(self.trace["steps"]),
        }
        for other, key_meant in ((" ", "right"), ("j", "right"), ("down", "right"), ("k", "left"), ("up", "left"),
                                 ("backspace", "left"), ("g", "home"), ("G", "end")):
            moves[other] = moves[key_meant]
        if key in ("q", "Q", "esc"):
            raise urwid.ExitMainLoop()
        if key == "w":
            self.whole_why = not self.whole_why
        elif key in moves:
            self.player.go(moves[key]())
        else:
            return key
        self._invalidate()
        return None

    # Layout

    def render(self, size, focus: bool = False):
        columns, rows = size
        lines = [self.title(), *self.why(columns, rows)]
        below = [*self.lanes(), *wrapped(self.sentence(), columns, 2)]
        body = max(0, rows - len(lines) - len(below) - 1)
        right = self.right(body, columns)
        left = wrapped(self.why_text(), columns - RIGHT - 1, body) if self.whole_why else self.left(body, columns)
        wide = max(10, columns - (RIGHT if columns < WIDE else columns // 2) - 1)
        middle = [urwid.Columns([("fixed", wide, clipped(pair[0])), clipped(pair[1])], dividechars=1)
                  for pair in zip(padded(left, body), padded(right, body))]
        parts = [*map(clipped, lines), *middle, *map(clipped, below)][:rows - 1]
        parts.append(clipped([("title", KEYS.ljust(columns))]))
        pile = urwid.Pile([("pack", part) for part in parts])
        return urwid.Filler(pile, "top").render(size, focus)

    def registers(self) -> dict[str, int]:
        return self.player.moment.registers[self.player.cpu]

    def title(self) -> Line:
        total = len(self.trace["steps"])
        ring = self.registers()["cpl"]
        text = f" step {self.player.position} of {total}   CPU {self.player.cpu}   ring {ring}   {self.trace['title']}"
        return [("title", text.ljust(500))]

    def why_text(self) -> str:
        number, point = self.player.point()
        return f"Point {number} of {len(self.trace['points'])}, {point['at']}: {point['why']}"

    def why(self, columns: int, rows: int) -> list[Line]:
        """At a point its text; behind it one line, so that there is room for the rest."""
        number, point = self.player.point()
        since = self.player.position - point["step"]
        if since:
            return [[("why", f"{since} behind point {number} of {len(self.trace['points'])}, {point['at']}")]]
        most = WHY_LINES if rows < 32 else rows // 4
        return [[("why", line)] for line in wrapped(self.why_text(), columns, most)]

    def lanes(self) -> list[Line]:
        """Where each CPU stands, when there are several."""
        if self.trace["cpus"] == 1:
            return []
        lanes = []
        for cpu, registers in self.player.moment.registers.items():
            mark = ">" if cpu == self.player.cpu else " "
            place = self.player.name(registers["rip"]) or f"{registers['rip']:#x}"
            lanes.append([("here" if mark == ">" else "plain", f"{mark} CPU {cpu}  ring {registers['cpl']}  {place}")])
        return lanes

    def sentence(self) -> str:
        last = self.player.last
        if not last:
            return "This is where the recording begins."
        text = self.player.code(last).get("text", "")
        return f"Step {self.player.position}: {f'{text}. ' if text else ''}{last['says']}"

    # Source and machine code

    def left(self, body: int, columns: int) -> list[Line]:
        here = self.player.here()
        above = body // 2
        source = self.source(here, above - 1, columns >= WIDE)
        return [*padded(source, above - 1), "", *self.machine_code(here, body - above)]

    def source(self, here: dict[str, Any], rows: int, wide: bool) -> list[Line]:
        """The lines around the present one. Where there is little room, their columns are pushed together."""
        if "file" not in here:
            return [[("head", "no source is known here")]]
        lines = self.trace["files"][here["file"]]["lines"]
        first = here["line"] - (rows - 1) // 2
        place = source_of(self.trace, here)
        shown: list[Line] = [[("head", place if wide else "/".join(place.split("/")[-2:]))]]
        for number in range(first, first + rows - 1):
            text = lines.get(str(number), "").expandtabs(4)
            text = text if wide else re.sub(r"(?<=\S) {2,}", " ", re.sub(r"^ {3,}", "  ", text))
            mark = ">" if number == here["line"] else " "
            shown.append([("here" if mark == ">" else "plain", f"{mark}{number:4} {text}")])
        return shown

    def machine_code(self, here: dict[str, Any], rows: int) -> list[Line]:
        """The instructions around the next one, as far as the trace has them."""
        if not here:
            return [[("head", "the next instruction was not recorded")]]
        listing = [code for code in self.listing[here.get("program", "")] if routine(code) == routine(here)]
        place = listing.index(here)
        owner = f"{here['program']}: " if "program" in here else ""
        shown: list[Line] = [[("head", f"{owner}{here.get('symbol', '')}")]]
        for code in listing[max(0, place - (rows - 2) // 2):][:rows - 1]:
            mark = ">" if code is here else " "
            text = f"{mark}{code['address'][-6:].replace('0x', ''):>6} {code['text']}"
            shown.append([("here" if code is here else "plain", text)])
        return shown

    # Registers and stack

    def right(self, body: int, columns: int) -> list[Line]:
        named = columns >= WIDE
        rows = self.general(named and body >= 34)
        registers = self.registers()
        rows.append([*self.cell("rip"), *self.cell("cs", 3, " CS"), *self.cell("ss", 3, " SS")])
        mark = "*" if "rflags" in self.player.last.get("changes", {}) else " "
        rows.append([("changed" if mark == "*" else "plain", f"FL{mark}{flag_names(registers['rflags'])}")])
        for name, label in (("gs_base", "GS base "), ("kernel_gs_base", "KERNEL_GS")):
            rows.append([*self.cell(name, 16, f"{label:<9}"), f" {self.player.name(registers[name])}"])
        rows.append([*self.cell("cr3", 9), *self.cell("cr2", 16, " CR2")])
        return rows + self.stack(body - len(rows))

    def general(self, named: bool) -> list[Line]:
        """The general registers: one a line with the name of what is in it, or two a line."""
        if named:
            return [[*self.cell(name), f"  {self.player.name(self.registers()[name])}"] for name in GENERAL]
        half = len(GENERAL) // 2
        return [[*self.cell(left), " ", *self.cell(right)] for left, right in zip(GENERAL[:half], GENERAL[half:])]

    def cell(self, name: str, digits: int = 16, label: str = "") -> list:
        changed = name in self.player.last.get("changes", {})
        text = f"{label or name.upper():<3}{'*' if changed else ' '}{self.registers()[name]:0{digits}x}"
        return [("changed" if changed else "plain", text)]

    def stack(self, rows: int) -> list[Line]:
        """The words from RSP on. Words just written are marked, wherever RSP points."""
        if rows < 2:
            return []
        rsp = self.registers()["rsp"]
        written = {address for access in self.player.last.get("writes", ())
                   for address in range(int(access[0], 16) & ~7, int(access[0], 16) + access[1], 8)}
        shown: list[Line] = [[("head", f"stack: {self.player.name(rsp) or 'not known'}")]]
        end = min([end for start, end, _ in self.player.regions if start <= rsp <= end], default=rsp + 8 * rows)
        for address in range(rsp & ~7, min(end, (rsp & ~7) + 8 * (rows - 1)), 8):
            word = self.player.moment.word(self.player.cpu, address)
            value = "." * 16 if word is None else f"{word:016x}"
            name = self.player.field(address) or (self.player.name(word) if word else "")
            mark = "*" if address in written else " "
            text = f"{mark}{address & 0xffff:04x} {value} {name}"
            shown.append([("changed" if mark == "*" else "plain", text)])
        return shown


def routine(code: dict[str, Any]) -> str:
    """The function that an instruction belongs to; the labels of steps are within one."""
    return code.get("symbol", "").split("+")[0].split(".step")[0]


def clipped(line: Line) -> urwid.Text:
    return urwid.Text(line or "", wrap="clip")


def padded(lines: list[Line], rows: int) -> list[Line]:
    return (lines + [""] * rows)[:max(0, rows)]


def wrapped(text: str, columns: int, most: int) -> list[str]:
    """Lines of a text; an ellipsis where there is no room for all of it."""
    lines: list[str] = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > columns:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    if len(lines) > most > 0:
        lines[most - 1] = lines[most - 1][:max(0, columns - 4)] + " ..."
    return lines[:most]


def colours() -> int:
    """How many colours to use: none where the terminal has none, or where the user wants none (NO_COLOR)."""
    if os.environ.get("NO_COLOR"):
        return 1
    try:
        curses.setupterm()
        return 16 if curses.tigetnum("colors") >= 8 else 1
    except curses.error:
        return 1


def show(trace: dict[str, Any]) -> None:
    """Runs until the user quits."""
    screen = urwid.raw_display.Screen()
    screen.set_terminal_properties(colors=colours(), bright_is_bold=True, has_underline=True)
    urwid.MainLoop(Window(trace), PALETTE, screen=screen, handle_mouse=False).run()
