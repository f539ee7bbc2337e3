# The end of an emulator's log: it is written into a pipe, and only the last part is kept, however long the run.
# Used by tools/machine/qemu.py and tools/machine/bochs.py for runs whose end is to be explained.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import threading

MOST = 1 << 18          # bytes that are kept: about 200 of QEMU's records


class Tail:
    """Reads a pipe until its writer ends. The emulator gets `path` for its log, and `writer` as an open file."""

    def __init__(self, most: int = MOST):
        self.most = most
        self.kept = b""
        self.reader, self.writer = os.pipe()
        self.path = f"/dev/fd/{self.writer}"
        self.thread = threading.Thread(target=self.drain, daemon=True)

    def started(self) -> None:
        """The emulator runs and holds the writing end; ours would keep the pipe open behind its end."""
        os.close(self.writer)
        self.thread.start()

    def drain(self) -> None:
        while data := os.read(self.reader, 1 << 16):
            kept = self.kept + data
            self.kept = kept if len(kept) < 2 * self.most else kept[-self.most:]
        os.close(self.reader)

    def text(self) -> str:
        """What was kept. Of an emulator that has ended, all of its last words."""
        self.thread.join(1)
        return self.kept.decode(errors="replace")
