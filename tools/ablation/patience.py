# How long to wait for a run that may hang: by the CPU time that its emulator has used, so that a busy host does not
# matter, or until the emulator sleeps and nothing wakes it. Used by tools/ablation/trial.py. Reads /proc.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
POLL = 0.1          # seconds
ASLEEP = 6.0        # seconds in which no thread of the emulator was seen awake: nothing will wake it


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        return [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]
    except OSError:
        return []


def threads(pid: int) -> list[Path]:
    """What Linux says of each thread of a process; nothing of one that ends meanwhile."""
    try:
        return list(Path(f"/proc/{pid}/task").glob("*/stat"))
    except OSError:
        return []


def used(pid: int) -> tuple[float, bool]:
    """The CPU time of a process's children, and whether one of their threads is awake."""
    seconds, awake = 0.0, False
    for path in (path for child in children(pid) for path in threads(child)):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:     # it has ended meanwhile
            continue
        seconds += (int(words[11]) + int(words[12])) / TICK
        awake = awake or words[0] in "RD"
    return seconds, awake


class Watch:
    """Waits for the end of tools/boot."""

    def __init__(self, process: subprocess.Popen, limit: float):
        self.process = process
        self.limit = limit      # CPU seconds of the emulator
        self.seconds = 0.0
        self.hangs = False

    def communicate(self) -> tuple[str, str]:
        """What it has written. One that hangs is ended."""
        last_awake, before = time.monotonic(), -1.0
        while True:
            try:
                return self.process.communicate(timeout=POLL)
            except subprocess.TimeoutExpired:
                seconds, awake = used(self.process.pid)
                self.seconds = max(self.seconds, seconds)
                if awake or seconds > before + 2 / TICK or not seconds:
                    last_awake, before = time.monotonic(), seconds
                if self.seconds > self.limit or time.monotonic() > last_awake + ASLEEP:
                    self.hangs = True
                    self.process.terminate()    # it clears its emulator away
