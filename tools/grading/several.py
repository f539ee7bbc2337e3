# Several CPUs of one machine in QEMU, of which some stand still while others run, so that any order in which they could
# come somewhere can be made. Used by the checks of lab 05.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from machine.gdbstub import GdbError

from .target import NS_PER_INSTRUCTION, Ended, Target
from .verdicts import Cause

HLT = 0xf4
LAPIC_ICR_LOW, LAPIC_ICR_HIGH = 0x300, 0x310
INIT, STARTUP = 5, 6                    # delivery modes
SHORTHAND = 3 << 18


def run_others(target: Target, held: set[int], addresses: list[int], leaves: int | None = None) -> int:
    """Lets all CPUs run but those that are held, until one of them is about to execute an instruction at one of the
    addresses; gives the CPU, which is looked at from then on. `leaves` stands at such a place and was looked at."""
    free = [cpu for cpu in range(target.cpus) if cpu not in held]
    if leaves in free:
        target.choose(leaves)
        target.step()
    for cpu in free:            # the machine stops for one of them, and another one may have come at the same time
        target.choose(cpu)
        if target["pc"] in addresses:
            return cpu
    for address in addresses:
        target.call(target.gdb.break_at, address)
    try:
        target.go("vCont;" + ";".join(f"c:{target.gdb.threads[cpu]}" for cpu in free))
    finally:
        if target.process.poll() is None:
            target.call(target.gdb.remove_breakpoints, *addresses)
    if target["pc"] not in addresses:
        target.over()
        raise GdbError(f"the machine stopped at {target['pc']:#x}, where nobody wanted it to")
    return target.cpu


def halts(target: Target) -> bool:
    """The CPU that is looked at is about to halt: it must not be stepped, for nobody would wake it."""
    try:
        return target.read(target["pc"], 1) == HLT
    except LookupError:
        return False


class Messages:
    """What a CPU sends to others by its local APIC, in the order and at the time at which it does. lapic_write() is no
    student's: whoever sends comes by there."""

    def __init__(self, target: Target):
        self.target = target
        self.place = target.code.symbol("lapic_write")
        self.sent: list[tuple[int, int, int]] = []      # nanoseconds, APIC id, command
        self.high: dict[int, int] = {}

    def note(self, cpu: int) -> bool:
        """The CPU is at that place. True if it sends one."""
        registers = self.target.registers()
        where, value = registers["rdi"] & 0xffffffff, registers["rsi"] & 0xffffffff
        if where == LAPIC_ICR_HIGH:
            self.high[cpu] = value >> 24
        if where == LAPIC_ICR_LOW:
            now = self.target.executed() * NS_PER_INSTRUCTION
            self.sent.append((now, self.high.get(cpu, 0), value))
        return where == LAPIC_ICR_LOW

    def of(self, mode: int) -> list[tuple[int, int, int]]:
        return [one for one in self.sent if one[2] >> 8 & 7 == mode]

    def page(self) -> int:
        """Where the last start-up IPI lets a CPU begin; 0 if there was none."""
        found = self.of(STARTUP)
        return (found[-1][2] & 0xff) << 12 if found else 0


def gather(target: Target, wanted: set[int], end: int) -> tuple[Messages, set[int]]:
    """Runs until all the wanted CPUs stand at the first instruction that a start-up IPI lets them execute, or until a
    CPU comes to `end`. Gives what was sent meanwhile, and who has come."""
    messages, come, leaves = Messages(target), set(), None
    while come < wanted:
        places = [messages.place, end] + ([messages.page()] if messages.page() else [])
        cpu = run_others(target, come, places, leaves)
        leaves = cpu
        pc = target["pc"]
        if pc == end:
            break
        if pc == messages.place:
            messages.note(cpu)
        elif cpu in wanted:
            come.add(cpu)
    return messages, come


def budget_is_over(ended: Ended) -> bool:
    return ended.cause is Cause.OUT_OF_BUDGET
