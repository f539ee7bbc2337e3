# What the checks of several labs do: a program with values of the grader's own in its registers, and what of them the
# kernel must keep. Every value is drawn per run, so none can be known beforehand.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

from .target import Target
from .work import Bench, Program

RING_3 = 3
IF, DF, NT, AC, TF, IOPL, ID, STATUS = 0x200, 0x400, 0x4000, 0x40000, 0x100, 0x3000, 0x200000, 0x8d5
GENERAL = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15")
USER_CODE, USER_DATA = 0x2b, 0x23
KERNEL_HALF = 1 << 47
MASK = (1 << 64) - 1
STACK_SLOT = 0x4000         # of one kernel stack, with the guard page at its low end
STACK_BYTES = 0x3000        # of it that can be used
FRAME = ("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi",
         "vector", "error", "rip", "cs", "rflags", "rsp", "ss")     # struct trap_frame, from its lowest address on


def begin(target: Target, program: Program) -> None:
    """Runs to the program's first instruction."""
    target.run_to(program["_start"])
    target.new_budget()


@contextmanager
def standing(bench: Bench, name: str) -> Iterator[tuple[Target, Program]]:
    """A machine that stands in a program in ring 3: that of the part before, if nothing was wrong there, for it takes
    most of the time to start one."""
    program = bench.program(name)
    target, bench.kept = bench.kept, None
    if not target:
        target = bench.boot(program)
    failures = bench.failures()
    try:
        if not target.spent:
            begin(target, program)
        target.new_budget()
        yield target, program
    except BaseException:
        target.close()
        raise
    bench.count(target)
    if bench.failures() == failures:
        bench.kept = target
    else:
        target.close()


def fill(bench: Bench, target: Target, program: Program, label: str, flags: int = 0, **fixed: int) -> dict[str, int]:
    """Puts a program in ring 3 before the instruction at a label, with values of ours in all registers; gives them. Its
    stack pointer is anywhere in its stack."""
    values = {name: bench.random.getrandbits(64) for name in GENERAL}
    top = target["rsp"] & ~0xfff
    values.update(rip=program[label], rsp=top - bench.random.randrange(8, 0x1000),
                  rflags=2 | IF | bench.random.getrandbits(12) & STATUS | flags,
                  cs=USER_CODE, ss=USER_DATA, gs_base=bench.random.getrandbits(46) & ~7, **fixed)
    target.set(**values)
    return values


def pcr_of(target: Target) -> int:
    """The PCR of the CPU that is looked at: it holds the TSS that TR names."""
    return target.tables()["TR"].base - target.code.member("pcr", "tss.reserved0")


def read_frame(target: Target, address: int) -> dict[str, int]:
    """A struct trap_frame in memory."""
    data = target.bytes(address, 8 * len(FRAME))
    return {name: int.from_bytes(data[8 * at:8 * at + 8], "little") for at, name in enumerate(FRAME)}


def write_frame(target: Target, address: int, values: dict[str, int]) -> None:
    for at, name in enumerate(FRAME):
        if name in values:
            target.write(address + 8 * at, values[name])


def differences(seen: dict[str, int], wanted: dict[str, int], most: int = 3) -> str:
    """'rsi is 0x5 and not 0x7, ...'; empty where all is as wanted."""
    wrong = [f"{name} is {seen[name]:#x} and not {value:#x}" for name, value in wanted.items() if seen[name] != value]
    more = f", and {len(wrong) - most} more" if len(wrong) > most else ""
    return ", ".join(wrong[:most]) + more
