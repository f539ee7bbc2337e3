# The table of CPUs that stage 05 prints at the end of a run. Used by the tests of tests/matrix and tests/claims.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from dataclasses import dataclass

ROW = re.compile(rb"^ *(\d+) +(\d+)  0x([0-9a-f]{16}) +(\d+) +(\d+) +(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Cpu:
    """One line of the table."""

    number: int
    apic_id: int
    pcr: int
    ticks: int
    switches: int
    syscalls: int


def cpu_table(log: bytes) -> list[Cpu]:
    """All lines of the table; none if it is not there."""
    table = log[log.index(b"cpu  apic id  pcr"):] if b"cpu  apic id  pcr" in log else b""
    return [Cpu(*(int(word, 16 if place == 2 else 10) for place, word in enumerate(row))) for row in ROW.findall(table)]
