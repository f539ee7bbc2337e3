# Starting CPUs side by side, in the worst order: one is held before it writes what it shares with the others, another
# goes the whole way meanwhile. Used by the checks of lab 05.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import dataclass

from capstone import CS_AC_WRITE
from capstone.x86 import X86_OP_MEM, X86_REG_RBP, X86_REG_RIP, X86_REG_RSP

from .several import halts
from .target import Target

KERNEL_BASE = 0xffffffff80000000
KERNEL_HALF = 1 << 63
DIRECT_BASE = 0xffff800000000000
IMAGE = range(0x100000, 0x1000000)      # where the kernel's image lies, physically
MOST = 4000                             # instructions from a start-up IPI to the PCR
SPINS = 600                             # of one that waits for another one
STACK = (X86_REG_RSP, X86_REG_RBP)


@dataclass
class Arrival:
    """A CPU that has got what is its own."""

    cpu: int
    pcr: int                # or rather its GDT, which is in it: LGDT comes first
    rsp: int
    writes: list[int]       # instructions that wrote to what the CPUs share, each as it was executed first


def writes_shared(target: Target, registers: dict[str, int]) -> bool:
    """Is the next instruction one that writes into the kernel's own variables, past its stack?"""
    instruction = target.code.instruction(registers["pc"])
    if not instruction or instruction.mnemonic in ("push", "call"):
        return False
    for operand in instruction.operands:
        if operand.type == X86_OP_MEM and operand.access & CS_AC_WRITE and operand.mem.base not in STACK:
            return in_image(address_of(instruction, operand.mem, registers))
    return False


def address_of(instruction, memory, registers: dict[str, int]) -> int:
    def value(register: int) -> int:
        if register == X86_REG_RIP:
            return instruction.address + instruction.size
        return registers.get(instruction.reg_name(register), 0) if register else 0

    return (value(memory.base) + value(memory.index) * memory.scale + memory.disp) & (1 << 64) - 1


def in_image(address: int) -> bool:
    for base in (KERNEL_BASE, DIRECT_BASE, 0):
        if address >= base:
            return address - base in IMAGE
    return False


def arrived(target: Target, registers: dict[str, int]) -> bool:
    """The CPU is about to load TR, or has its GS base: by now it knows what is its own. A second CPU with the same TSS
    would fault at LTR, with nobody there to tell."""
    instruction = target.code.instruction(registers["pc"])
    return bool(registers["gs_base"] & KERNEL_HALF or instruction and instruction.mnemonic == "ltr")


def arrival(target: Target, cpu: int, rsp: int, writes: list[int]) -> Arrival:
    return Arrival(cpu, target.tables()["GDT"].base, rsp, writes)


def go(target: Target, cpu: int, stop_at: int = 0, most: int = MOST) -> Arrival | None:
    """Steps one CPU until it has its PCR, or it is about to execute the instruction at `stop_at`, or it halts,
    or it has taken so many steps. Gives the arrival, or None."""
    target.choose(cpu)
    writes: list[int] = []
    for _ in range(most):
        registers = target.registers()
        if arrived(target, registers):
            return arrival(target, cpu, registers["rsp"], writes)
        if halts(target) or stop_at and registers["pc"] == stop_at:
            return None
        if registers["pc"] not in writes and writes_shared(target, registers):
            writes.append(registers["pc"])
        target.step()
    return None


def in_lockstep(target: Target, cpus: list[int]) -> tuple[list[Arrival], list[int], str]:
    """Brings CPUs that stand at their first instruction to their PCRs: the first one alone, two of them side by side,
    two of which one overtakes the other, and the rest alone. Gives the arrivals, which CPUs got nothing, and, if two
    have the same PCR, the way in which they came."""
    first = go(target, cpus[0])
    if not first:
        return [], cpus[:1], ""
    arrivals, lost, culprit = [first], [], ""
    rest = cpus[1:]
    ways = [(side_by_side, "two CPUs executed the same instructions side by side")]
    if first.writes:
        place = target.code.describe(first.writes[-1])
        ways.append((overtaking, f"a CPU was held before {place}, and another one went the whole way meanwhile"))
    for way, words in ways[:len(rest) // 2]:
        pair, rest = rest[:2], rest[2:]
        found = way(target, pair, first.writes)
        lost += [cpu for cpu in pair if cpu not in {one.cpu for one in found}]
        arrivals += found
        if len({one.pcr for one in arrivals}) < len(arrivals) and not culprit:
            culprit = words
    for cpu in rest:
        found = go(target, cpu)
        arrivals += [found] if found else []
        lost += [] if found else [cpu]
    return arrivals, lost, culprit


def side_by_side(target: Target, pair: list[int], _: list[int]) -> list[Arrival]:
    """One instruction of the one, one of the other."""
    found: dict[int, Arrival] = {}
    given_up: set[int] = set()
    for _ in range(MOST):
        for cpu in pair:
            target.choose(cpu)
            if cpu in found or cpu in given_up:
                continue
            registers = target.registers()
            if arrived(target, registers):
                found[cpu] = arrival(target, cpu, registers["rsp"], [])
            elif halts(target):
                given_up.add(cpu)
            else:
                target.step()
        if len(found) + len(given_up) == len(pair):
            break
    return list(found.values())


def overtaking(target: Target, pair: list[int], writes: list[int]) -> list[Arrival]:
    """One is held before it writes what all share; the other one comes all the way, or waits for a lock."""
    held, other = pair
    early = go(target, held, stop_at=writes[-1])
    quick = go(target, other, most=SPINS)
    late = early or go(target, held)
    return [one for one in (quick or go(target, other), late) if one]
