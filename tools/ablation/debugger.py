# What only a debugger can see or bring about, by QEMU's gdbstub: the VGA text screen, two CPUs that meet between two
# instructions, how often one is executed. Used by tools/ablation/trial.py. SPDX-License-Identifier: MIT
from __future__ import annotations

from collections import Counter
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
    """The first characters of the screen at that instruction, and whether they are white on black."""
    stub = Gdbstub(socket)
    try:
        stub.run_to(stop)
        cells = stub.read(VGA_TEXT, 2 * length).to_bytes(2 * length, "little")
    finally:
        stub.close()
    text = "".join(chr(cell) if 32 <= cell < 127 else "?" for cell in cells[::2])
    return text if set(cells[1::2]) == {WHITE_ON_BLACK} else f"{text.strip()}, in another colour"


def look(socket: str, stop: int, wanted: str) -> Union[Symptom, None]:
    """What is wrong with the screen."""
    try:
        found = shown(socket, stop, len(wanted))
    except (GdbError, OSError) as error:
        return Symptom("time-out", f"it does not get to the place where the screen is read: {error}")
    return None if found == wanted else Symptom("output", f"the screen shows '{found.strip()}'")


def meet(socket: str, at: int, behind: int) -> Union[Symptom, None]:
    """The first of the other CPUs stops before an instruction; a second one passes it meanwhile, and comes to a place
    further on; then all go on by themselves. What is wrong, if it does not come to that."""
    stub = Gdbstub(socket)
    try:
        stub.run_to(at)
        second = next(cpu for cpu in range(1, stub.cpus) if cpu != stub.cpu)
        stub.request(f"Z1,{behind:x},1")
        stub.resume("vCont;" + ";".join(f"c:{stub.threads[cpu]}" for cpu in (0, second)))
        stub.request(f"z1,{behind:x},1")
        go_on(stub)
    except (GdbError, OSError) as error:
        return Symptom("time-out", f"the CPUs do not meet: {error}")
    finally:
        stub.close()
    return None


def go_on(stub: Gdbstub) -> None:
    """Lets the machine run without us. It may have ended before it answers."""
    try:
        stub.request("D")
    except (GdbError, OSError):
        pass


def hits(socket: str, addresses: set[int]) -> Counter:
    """How often each instruction is executed until the machine ends."""
    stub = Gdbstub(socket)
    found: Counter = Counter()
    try:
        for address in addresses:
            stub.request(f"Z1,{address:x},1")
        while True:
            stub.resume("c")
            found[stub.registers()["pc"]] += 1
            stub.step()
    except (GdbError, OSError):     # it has ended
        return found
    finally:
        stub.close()
