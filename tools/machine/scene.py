# A fault and what can be seen around it: what the rules for its cause look at.
# Made by tools/machine/crash.py; used by causes.py, page_faults.py and protection_faults.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Union

from .instruction import Instruction
from .records import Fault, Memory, Registers


@dataclass
class Scene:
    """A fault and what can be seen around it. The readers of memory raise LookupError where nothing can be read."""

    fault: Fault
    instruction: Instruction
    before: Instruction                 # the one above RIP
    symbols: dict[str, int]
    name_of: Callable[[int], str]       # 'function+0x10 file:line'; empty if it is no address of code
    memory: Memory
    physical: Memory
    framed: str = ""                    # the function whose frame RBP is of, as the kernel's backtrace tells

    @property
    def registers(self) -> Registers:
        return self.fault.registers

    def read(self, address: int, size: int = 8) -> Union[int, None]:
        try:
            return self.memory(address, size)
        except LookupError:
            return None

    def within(self, address: int, start: str, end: str) -> bool:
        return self.symbols.get(start, 0) <= address < self.symbols.get(end, 0)
