# A small client of QEMU's machine protocol (QMP): whether the machine has come to its end, and looking into a machine
# that stands still. Its socket is handed to QEMU when that starts, so it has no name that could be too long or taken.
# Used by tools/machine/qemu.py. The protocol: QEMU's documentation, "QEMU Machine Protocol Specification".
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import re
import socket
import time
from typing import Any, Union

PATIENCE = 10           # seconds until a QEMU that does not answer is given up


class QmpError(Exception):
    """QEMU has ended or does not answer."""


class Qmp:
    """The connection. `theirs` goes to QEMU, and is closed here once QEMU has it."""

    def __init__(self) -> None:
        self.socket, self.theirs = socket.socketpair()
        self.received = b""
        self.reason = ""            # why the machine stopped, as QEMU names it, once it has
        self.answers: list[dict[str, Any]] = []
        self.send("qmp_capabilities")       # before it nothing is said of events

    def started(self) -> None:
        self.theirs.close()
        self.socket.setblocking(False)

    def options(self) -> list[str]:
        return ["-chardev", f"socket,id=qmp,fd={self.theirs.fileno()}", "-mon", "chardev=qmp,mode=control"]

    def send(self, command: str, **arguments: Any) -> None:
        words: dict[str, Any] = {"execute": command}
        if arguments:
            words["arguments"] = {name.replace("_", "-"): value for name, value in arguments.items()}
        self.socket.sendall(json.dumps(words).encode() + b"\n")

    def listen(self) -> None:
        """Takes what QEMU has said."""
        try:
            while data := self.socket.recv(65536):
                self.received += data
        except (BlockingIOError, ConnectionError):
            pass
        *lines, self.received = self.received.split(b"\n")
        for line in lines:
            said = json.loads(line)
            if said.get("event") == "SHUTDOWN" and said["data"]["guest"]:   # and not a person at the keyboard
                self.reason = said["data"]["reason"]
            elif "return" in said or "error" in said:
                self.answers.append(said)

    def stopped(self) -> bool:
        """Has the machine come to an end by itself? Then it stands still, and can be looked at."""
        self.listen()
        return bool(self.reason)

    def command(self, command: str, **arguments: Any) -> Any:
        """Gives a command and waits for its answer."""
        self.listen()
        self.answers.clear()
        try:
            self.send(command, **arguments)
        except OSError as error:
            raise QmpError(f"QEMU has ended: {error}") from None
        deadline = time.monotonic() + PATIENCE
        while not self.answers:
            if time.monotonic() > deadline:
                raise QmpError(f"QEMU did not answer '{command}' within {PATIENCE} seconds")
            time.sleep(0.001)
            self.listen()
        answer = self.answers.pop()
        if "error" in answer:
            raise QmpError(answer["error"]["desc"])
        return answer["return"]

    def monitor(self, line: str, cpu: Union[int, None] = None) -> str:
        """A command of the monitor that people use, on a CPU."""
        options = {} if cpu is None else {"cpu_index": cpu}
        return self.command("human-monitor-command", command_line=line, **options).replace("\r\n", "\n")

    def read(self, cpu: int, address: int, size: int) -> int:
        """A number in memory, at a linear address of a CPU."""
        return self.number("x", address, size, cpu)

    def read_physical(self, address: int, size: int) -> int:
        return self.number("xp", address, size)

    def number(self, command: str, address: int, size: int, cpu: Union[int, None] = None) -> int:
        letter = {1: "b", 2: "h", 4: "w", 8: "g"}[size]
        found = re.search(r":\s*0x([0-9a-f]+)\s*$", self.monitor(f"{command} /1{letter}x {address:#x}", cpu))
        if not found:
            raise LookupError(f"there is no memory at {address:#x}")
        return int(found[1], 16)
