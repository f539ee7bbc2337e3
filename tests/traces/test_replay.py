# The window of tools/trace --replay, as a person sees it in a terminal.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import re
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pexpect
import pyte
import pytest

from harness import ROOT
from machine.trace import write
from small import small_trace

RIGHT, LEFT, HOME, END, PAGE_DOWN, PAGE_UP = "\x1b[C", "\x1b[D", "\x1b[H", "\x1b[F", "\x1b[6~", "\x1b[5~"
PATIENCE = 20           # seconds for a screen to show what it should


class Terminal:
    """A terminal with the viewer in it."""

    def __init__(self, file: Path, rows: int, columns: int, environment: dict[str, str]):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.process = pexpect.spawn(sys.executable, [str(ROOT / "tools/trace"), "--replay", str(file)],
                                     dimensions=(rows, columns), env={**os.environ, **environment})

    def text(self) -> str:
        return "\n".join(self.screen.display)

    def read(self) -> bool:
        """Takes what has come; False when the viewer has ended."""
        try:
            data = self.process.read_nonblocking(65536, 0.05)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self.stream.feed(data)
        return True

    def until(self, *parts: str) -> str:
        """Waits until all of this is on the screen."""
        deadline = time.monotonic() + PATIENCE
        while self.read() and time.monotonic() < deadline:
            if all(part in self.text() for part in parts):
                return self.text()
        missing = [part for part in parts if part not in self.text()]
        raise AssertionError(f"not there: {missing}\n{self.text()}")

    def press(self, key: str, *parts: str) -> str:
        self.process.send(key)
        return self.until(*parts)

    def end(self) -> int:
        deadline = time.monotonic() + PATIENCE
        while self.read() and time.monotonic() < deadline:
            pass
        self.process.close()
        return self.process.exitstatus


@contextmanager
def replaying(folder: Path, rows: int = 24, columns: int = 80, term: str = "xterm-256color",
              **environment: str) -> Iterator[Terminal]:
    file = folder / "trace.json"
    file.write_text(write(small_trace()))
    terminal = Terminal(file, rows, columns, {"TERM": term, "LANG": "C.UTF-8", **environment})
    try:
        yield terminal
    finally:
        terminal.process.close(force=True)


def test_forwards_and_backwards(tmp_path):
    """Every key does what the last line says of it. Seen to fail: with each key taken out, and with the marks of what
    has changed taken from the next step."""
    with replaying(tmp_path) as terminal:
        start = terminal.until("step 0 of 4", "q quit")
        for part in ("CPU 0   ring 0", "A trace by hand", "Point 1 of 3, entry: It begins.", "kernel/entry.S:14",
                     ">  14 line 14 of the source", ">100000 swapgs", "RAX 0000000000001234",
                     "GS base   0000000000005000", "KERNEL_GS 0000000000000000", "cf",
                     "stack: kernel stack of task 1", "PgDn/PgUp 10", "n/p point"):
            assert part in start, start
        seen = terminal.press(RIGHT, "step 1 of 4", "GS base  *ffff800000001000", "KERNEL_GS*0000000000005000")
        assert "Step 1: swapgs. Exchanges the two GS bases." in seen and "1 behind point 1 of 3, entry" in seen
        assert "RAX 0000000000001234" in seen and ">100003 push 0x23" in seen
        seen = terminal.press(" ", "step 2 of 4", "*3ff8 0000000000000023 frame.ss", "Point 2 of 3, entry.step2")
        assert "RSP*ffffc00000013ff8" in seen and "GS base   ffff800000001000" in seen and " ..." in seen
        terminal.press("j", "step 3 of 4", "1000 instructions of CPU 0 are left out", "RAX*0000000000000099")
        seen = terminal.press("j", "step 4 of 4", "CPU 1   ring 3", "> CPU 1  ring 3  0x401001", "PF")
        assert "  CPU 0  ring 0  entry" in seen and "f000 0000000000abcdef" in seen
        terminal.press("j", "step 4 of 4")
        terminal.press("k", "step 3 of 4")
        terminal.press(LEFT, "step 2 of 4")
        terminal.press("p", "step 0 of 4", "RAX 0000000000001234", "GS base   0000000000005000")
        terminal.press("n", "step 2 of 4")
        terminal.press("n", "step 4 of 4")
        terminal.press(HOME, "step 0 of 4")
        terminal.press(END, "step 4 of 4")
        terminal.press(PAGE_UP, "step 0 of 4")
        terminal.press(PAGE_DOWN, "step 4 of 4")
        terminal.process.send("q")
        assert terminal.end() == 0


def test_the_whole_text_of_a_point(tmp_path):
    with replaying(tmp_path) as terminal:
        terminal.until("step 0 of 4")
        terminal.press("n", "step 2 of 4", "kernel/entry.S")
        terminal.process.send("w")
        deadline = time.monotonic() + PATIENCE
        while "entry.S" in terminal.text() and time.monotonic() < deadline:
            terminal.read()
        assert terminal.text().count("long") > 8
        terminal.press("w", "kernel/entry.S")


@pytest.mark.parametrize("rows,columns", [(24, 80), (50, 160), (12, 60), (5, 30)])
def test_sizes(rows, columns, tmp_path):
    """It fits into any window, and follows when that changes. Seen to fail: with a body of fixed height."""
    with replaying(tmp_path, rows, columns) as terminal:
        terminal.until("step 0 of 4", " right/space/j")
        assert terminal.press(RIGHT, "step 1 of 4").splitlines()[-1].startswith(" right/space/j")
        terminal.screen.resize(30, 100)
        terminal.screen.reset()
        terminal.process.setwinsize(30, 100)
        seen = terminal.until("step 1 of 4", "q quit", "GS base  *ffff800000001000")
        assert len(seen.splitlines()) == 30 and "q quit" in seen.splitlines()[-1]
        terminal.process.send("q")
        assert terminal.end() == 0


def colours_in(raw: bytes) -> list[bytes]:
    """The escape sequences that choose a colour: 30 to 37, 40 to 47, 90 to 97, 38 and 48."""
    found = re.findall(rb"\x1b\[([0-9;]*)m", raw)
    return [one for one in found for number in one.split(b";") if re.fullmatch(rb"(3|4|9)[0-8]|10[0-7]", number)]


@pytest.mark.parametrize("term,variables,coloured", [
    ("xterm-256color", {}, True), ("vt100", {}, False), ("xterm-256color", {"NO_COLOR": "1"}, False)])
def test_colours_are_not_needed(term, variables, coloured, tmp_path):
    """Seen to fail: with colours always on."""
    with replaying(tmp_path, term=term, **variables) as terminal:
        terminal.until("step 0 of 4")
        terminal.press(RIGHT, "step 1 of 4", "GS base  *ffff800000001000")
        assert bool(colours_in(terminal.raw)) is coloured
        terminal.process.send("q")
        assert terminal.end() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_gives_the_terminal_back(number, tmp_path):
    """Seen to fail: with a viewer that is ended by os._exit()."""
    with replaying(tmp_path) as terminal:
        terminal.until("step 0 of 4")
        terminal.process.kill(number)
        assert terminal.end() == 128 + number
        assert re.search(rb"\x1b\[\?(47|1049)l", terminal.raw), "the window is still there"
        assert b"\x1b[?25h" in terminal.raw, "the cursor is hidden"
        assert b"Traceback" not in terminal.raw
