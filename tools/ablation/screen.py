# What the VGA text screen shows when the machine comes to an instruction: the console does not tell it. QEMU's gdbstub
# reads it. Used by tools/ablation/trial.py. SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Union

from machine.gdbstub import GdbError, Gdbstub

from .code import Code
from .probes import Symptom

VGA_TEXT = 0xb8000
WHITE_ON_BLACK = 0x0f


def address_of(code: Code, routine: str, text: str, bits: int) -> int:
    """The first instruction of a routine with a text."""
    whole = code.routine(routine)
    return next(one.address for one in code.decode(whole.start, whole.end, bits) if code.text(one, whole) == text)


def shown(socket: str, stop: int, length: int) -> str:
    """The first characters of the screen at that instruction; another colour than white on black shows as a '?'."""
    stub = Gdbstub(socket)
    try:
        stub.run_to(stop)
        cells = stub.read(VGA_TEXT, 2 * length).to_bytes(2 * length, "little")
    finally:
        stub.close()
    return "".join(chr(cells[at]) if cells[at + 1] == WHITE_ON_BLACK else "?" for at in range(0, 2 * length, 2))


def look(socket: str, stop: int, wanted: str) -> Union[Symptom, None]:
    """What is wrong with the screen."""
    try:
        found = shown(socket, stop, len(wanted))
    except GdbError as error:
        return Symptom("time-out", f"it does not get to the place where the screen is read: {error}")
    return None if found == wanted else Symptom("output", f"the screen shows '{found.strip()}'")
