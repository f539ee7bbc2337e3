# Lab 05, what a program can do by itself at the end of user space, in Bochs, which faults in ring 0 as Intel's CPUs do.
# Called by lab05.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from .bochs_target import BochsTarget
from .target import Ended
from .verdicts import Cause
from .work import Bench, Program

USER_TOP = 1 << 47
LAST_BYTES, LAST_BYTE = USER_TOP - 2, USER_TOP - 1
GETPID = 39
GP = 13
KERNEL_MEMORY = 0xffff800000090000      # a page below 1 MiB, as the kernel sees it


def in_bochs(bench: Bench) -> None:
    if "bochs" not in bench.emulators:
        return
    bench.sections(both_attacks)
    if bench.verdicts.get("sysret-attack") is None:
        bench.sections(lambda it: with_bochs(it, sysret_attack))


def with_bochs(bench: Bench, *attacks) -> None:
    program = bench.program("brink")
    folder = bench.new_folder()
    image = bench.image(folder, [(program.elf, [f"module{number}"]) for number in range(3)])
    with BochsTarget(bench.sandbox, folder, image, bench.lab.budget, bench.code) as target:
        try:
            for attack in attacks:
                attack(bench, target, program)
        finally:
            try:
                bench.instructions += target.executed()
            except Exception:
                pass


def both_attacks(bench: Bench) -> None:
    with_bochs(bench, iretq_attack, sysret_attack)


def iretq_attack(bench: Bench, target: BochsTarget, program: Program) -> None:
    """A task executes its last byte, and before the next address is fetched, an NMI comes."""
    target.run_to(program["ready_run"])
    target.command(f"set rip={LAST_BYTE:#x}")
    after = target.step()
    if after["rip"] != USER_TOP:
        raise Ended(Cause.WRONG, f"a NOP in the last byte of user space led to {after['rip']:#x}")
    target.nmi()
    survive(bench, target, program, "iretq-attack", "an NMI came when a program had run off the end of user space")


def sysret_attack(bench: Bench, target: BochsTarget, program: Program) -> None:
    """A SYSCALL in the last two bytes, with RSP in the kernel's memory."""
    target.run_to(program["ready_syscall"])
    rsp = KERNEL_MEMORY + bench.random.randrange(0x200, 0xf00) * 8
    target.command(f"set rip={LAST_BYTES:#x}")
    target.command(f"set rax={GETPID}")
    target.command(f"set rsp={rsp:#x}")
    target.step()
    survive(bench, target, program, "sysret-attack", "a program made a system call in the last two bytes of user space")


def survive(bench: Bench, target: BochsTarget, program: Program, check: str, what: str) -> None:
    """The task may die, and the kernel must not: another task goes on. No fault of ring 0 may find a stack that the
    program has chosen."""
    gate, places = target.gate(GP), [program[label] for label in ("_start", "ready_run", "ready_syscall", "loop")]
    where: int | str = ""
    try:
        while target.run_to(gate, *places) == gate:
            rsp = target["rsp"]
            if target.read(rsp + 16) & 3 == 0:
                where = target.read(rsp + 8)
                if bench.code.assembly(where).startswith("sysret"):
                    bench.failed(check, f"{what}, and SYSRET faulted in ring 0, on the stack that the program had "
                                 "chosen", where, emulator="bochs")
                    raise Ended(Cause.WRONG, "SYSRET faulted in ring 0, on the program's stack")
    except Ended as ended:
        bench.failed(check, f"{what}; then {ended.text}", where, cause=ended.cause, emulator="bochs")
        raise
    bench.passed(check, emulator="bochs")
