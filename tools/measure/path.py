# The instructions of one way through the kernel, from an interrupt or a system call of a program until a program goes
# on: executed one by one in Bochs' debugger, and told by routine. So a number of instructions that QEMU has counted can
# be compared with a list of them.
# Used by the groups of tools/measure and by their tests. Needs bochs and pexpect.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from layers import stage_folders

from .figures import CannotMeasure
from .guest import build_programs, folders_of

# What Bochs prints behind a step: the CPU, where it is now, in which routine, and the instruction there.
NEXT = re.compile(r"^\(0\) \[0x[0-9a-f]+\] ([0-9a-f]{4}):[0-9a-f]{16} \(\s*(\S+)\): (.*?)\s*; [0-9a-f]+\s*$",
                  re.MULTILINE)
DISASSEMBLED = re.compile(r"^[0-9a-f]+: \(\s*(\S+)\): (.*?)\s*; [0-9a-f]+\s*$", re.MULTILINE)
USER_CODE = 0x2b        # the selector of ring 3's code
STUBS, STUB_SIZE = "interrupt_stubs", 16        # trap_entry.S
MOST = 5000             # instructions of a way
MOST_UNWANTED = 100     # interrupts and system calls before the one that is wanted: while programs start, and print


@dataclass(frozen=True)
class Instruction:
    """One that was executed."""

    routine: str        # in which it lies
    text: str

    @property
    def kind(self) -> str:
        """Saving and loading registers is told apart from what else a routine does."""
        verb = self.text.split()[0]
        return verb if verb in ("push", "pop") else ""


def record(module: str, vector: int, layer: str = "", passed: int = 0) -> list[Instruction]:
    """What the kernel executes when a program of bench/programs, given with its arguments, is interrupted; after so
    many interrupts that are let pass."""
    return record_from(STUBS, vector * STUB_SIZE, from_ring_3, [module], layer, passed)


def record_call(modules: list[str], number: int, passed: int = 0) -> list[Instruction]:
    """What it executes for the system call of that number; with several programs, until one of them goes on."""
    return record_from("syscall_entry", 0, lambda debugger: debugger.registers()["rax"] == number, modules, "", passed)


def record_from(name: str, offset: int, wanted: Callable[[Any], bool], modules: list[str], layer: str,
                passed: int) -> list[Instruction]:
    """The way that begins at a place, the first time that it is the one that is wanted, but for so many times."""
    try:
        from machine import bochs, prepare
        from machine.bochs_debugger import instruction_after, start_at
        from machine.run import MachineError, Request
        from machine.walk import Kernel, Run
    except ImportError as error:
        raise CannotMeasure(f"Python's {error.name} is not installed; `make doctor` names its package") from None
    programs = tuple(f"{build_programs()}/{module}" for module in modules)
    with tempfile.TemporaryDirectory(prefix="ringstep-bench-") as folder_name:
        folder = Path(folder_name)
        try:
            bochs.check(Request(iso=folder, folder=folder))
            variant = prepare.variant_of(max(stage_folders()), layers=map(str, folders_of(layer)))
            request, elf = prepare.prepare(variant, folder, Run(programs=programs))
            entry = Kernel(elf).addresses[name] + offset
            # With an interrupt Bochs executes the handler's first instruction, and stops behind it.
            second = instruction_after(elf, entry)
            debugger = start_at(request, elf, second, lambda printed: None)
        except MachineError as error:
            raise CannotMeasure(f"Bochs: {error}") from None
        try:
            for number in range(passed + 1):
                if number:
                    debugger.run_to(second)
                come_to(debugger, second, wanted)
            return [*instructions_at(debugger, entry, second), *follow(debugger)]
        except MachineError as error:
            raise CannotMeasure(f"Bochs: {error}") from None
        finally:
            debugger.close()


def from_ring_3(debugger: Any) -> bool:
    """Behind a stub's first instruction, which has pushed one word: was it a program that was interrupted? Above that
    word are RIP and CS, or an error code, RIP and CS."""
    rsp = debugger.registers()["rsp"]
    return any(debugger.read(rsp + 8 * word, 8) == USER_CODE for word in (2, 3))


def come_to(debugger: Any, second: int, wanted: Callable[[Any], bool]) -> None:
    """Goes on to the second instruction of a way until it is one that is wanted."""
    for _ in range(MOST_UNWANTED):
        if wanted(debugger):
            return
        debugger.run_to(second)
    raise CannotMeasure(f"what was waited for did not come to {second:#x}")


def instructions_at(debugger: Any, *addresses: int) -> list[Instruction]:
    text = "".join("".join(debugger.command(f"u /1 {address:#x}")) for address in addresses)
    found = DISASSEMBLED.findall(text)
    if len(found) != len(addresses):
        raise CannotMeasure(f"the debugger does not disassemble, but says {text!r}")
    return [Instruction(routine(place), instruction) for place, instruction in found]


def follow(debugger: Any) -> list[Instruction]:
    """Executes one instruction after the other until the program goes on, and gives those behind the present one."""
    way: list[Instruction] = []
    while len(way) < MOST:
        found = NEXT.search("".join(debugger.command("s")))
        if not found:
            break
        if int(found[1], 16) & 3:
            return way
        way.append(Instruction(routine(found[2]), found[3]))
    raise CannotMeasure(f"the debugger lost the way behind {len(way)} instructions")


def routine(place: str) -> str:
    """'interrupt_entry.step2+1' lies in interrupt_entry."""
    return re.split(r"[.+]", place, maxsplit=1)[0]


def parts(way: list[Instruction]) -> str:
    """The way as a list of its routines with the number of their instructions, in the order in which they come first:
    'interrupt_stubs 3 (2 × push), ...'."""
    kinds: dict[str, list[str]] = {}
    for one in way:
        kinds.setdefault(one.routine, []).append(one.kind)
    words = []
    for name, executed in kinds.items():
        told = ", ".join(f"{executed.count(kind)} × {kind}" for kind in ("push", "pop") if kind in executed)
        words.append(f"{name} {len(executed)}" + (f" ({told})" if told else ""))
    return ", ".join(words)
