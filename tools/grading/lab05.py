# Lab 05: the start of the other CPUs, each CPU's own state, and every return to ring 3. Called by work.py.
# One mistake is to cost one check: each part has a machine of its own, and where a state is wrong the parts that stand
# on it are not reached.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from . import lab05_bochs, lab05_returns
from .lab05_start import fast_start, page_cleared, start_up
from .scene import IF
from .several import budget_is_over, gather, run_others
from .target import Ended, Target
from .work import Bench, Program

MSRS = {"STAR": 0xc0000081, "LSTAR": 0xc0000082, "CSTAR": 0xc0000083, "SFMASK": 0xc0000084}
SCE = 1
UD = 6
RSP0 = 4                        # its offset in the TSS
KERNEL_HALF = 1 << 63
NO_SYSCALL = 0x7fff             # a number that no system call has
LATE = 260                      # million instructions until the kernel must have given up a CPU
AFTERWARDS = 30                 # million instructions, in which that CPU must do no harm
TURNS = 4                       # of programs that begin, one of which that CPU could take
CPU_ONLINE = 1


def run(bench: Bench) -> None:
    bench.sections(start_up, states, gaps, late, lab05_returns.in_qemu, lab05_bochs.in_bochs)


# Each CPU in ring 3.

class Seen:
    """What is one CPU's own, when it is in ring 3 for the first time."""

    def __init__(self, target: Target):
        self.registers = target.registers()
        tables = target.tables()
        self.gdt, self.idt, self.tr = tables["GDT"], tables["IDT"], tables["TR"]
        self.pcr = self.registers["kernel_gs_base"]
        self.rsp0 = target.read(self.tr.base + RSP0) if target.is_mapped(self.tr.base) else 0
        self.lapic = target.monitor(f"info lapic {target.apic_ids[target.cpu]}")


def arrive(bench: Bench, target: Target, program: Program, check: str, apic_ids: list[int]) -> dict[int, Seen]:
    """Runs until every CPU is at the first instruction of a program, and holds it there."""
    target.apic_ids = apic_ids
    seen: dict[int, Seen] = {}
    leaves = None
    try:
        while len(seen) < target.cpus:
            # One of them goes on in its program, or a machine whose other CPUs halt would wait for ever.
            held = set(list(seen)[1:])
            leaves = run_others(target, held, [program["_start"]], leaves)
            seen.setdefault(leaves, Seen(target))
            # Without a tick it stays there: else another CPU could take over a program that has begun already.
            target.set(rip=program["loop"], rflags=target["rflags"] & ~IF)
        bench.passed(check)
    except Ended as ended:
        missing = [apic_ids[cpu] for cpu in range(target.cpus) if cpu not in seen]
        words = ("never ran a program" if budget_is_over(ended) else
                 f"had not run a program when the run ended: {ended.text}")
        bench.failed(check, f"of the CPUs with APIC ids {', '.join(map(str, apic_ids))}, "
                            f"{', '.join(map(str, missing))} {words}", cause=ended.cause)
        if not budget_is_over(ended):
            raise
    return seen


def states(bench: Bench) -> None:
    cpus = bench.random.randrange(2, 5)
    program = bench.program("probe")
    with bench.boot(*[program] * (cpus + 2), cpus=cpus) as target:
        target.budget = bench.lab.budget // 2
        seen = arrive(bench, target, program, "all-cpus", list(range(cpus)))
        if len(seen) == cpus:
            judge_own(bench, seen)
            judge_registers(bench, seen)
            judge_ticks(bench, seen)
            judge_syscalls(bench, target, program)
        if "no-init-delay" in bench.challenges:
            fast_start(bench)
        if "clean-page" in bench.challenges:
            page_cleared(bench)
        bench.count(target)


def twice(values: dict[int, int]) -> tuple[int, int] | None:
    """Two CPUs that have the same value."""
    known: dict[int, int] = {}
    for cpu, value in sorted(values.items()):
        if value in known:
            return known[value], cpu
        known[value] = cpu
    return None


def judge_own(bench: Bench, seen: dict[int, Seen]) -> None:
    for what, values in (("PCR behind GS", {cpu: one.pcr for cpu, one in seen.items()}),
                         ("TSS", {cpu: one.tr.base for cpu, one in seen.items()}),
                         ("GDT", {cpu: one.gdt.base for cpu, one in seen.items()}),
                         ("kernel stack in the TSS", {cpu: one.rsp0 for cpu, one in seen.items()})):
        pair = twice(values)
        if pair:
            bench.failed("own-state", f"CPUs {pair[0]} and {pair[1]} have the same {what}, {values[pair[0]]:#x}")
        for cpu, value in values.items():
            if not value & KERNEL_HALF:
                bench.failed("own-state", f"CPU {cpu} has no {what} in the kernel's half: it is at {value:#x}")
    bench.passed("own-state")


def judge_registers(bench: Bench, seen: dict[int, Seen]) -> None:
    boot = seen[0]
    for cpu, one in sorted(seen.items()):
        for name in ("cr0", "cr4", "efer"):
            ours, theirs = (each.registers[name] & ~(SCE if name == "efer" else 0) for each in (boot, one))
            if ours != theirs:
                bench.failed("registers", f"{name.upper()} of CPU {cpu} is {theirs:#x}, and that of the boot CPU "
                                          f"{ours:#x}")
        if one.idt != boot.idt:
            bench.failed("registers", f"the IDT of CPU {cpu} is at {one.idt.base:#x} with the limit "
                                      f"{one.idt.limit:#x}, and that of the boot CPU at {boot.idt.base:#x} with "
                                      f"{boot.idt.limit:#x}")
    bench.passed("registers")


def judge_ticks(bench: Bench, seen: dict[int, Seen]) -> None:
    for cpu, one in sorted(seen.items()):
        timer = next((line for line in one.lapic.splitlines() if line.startswith("LVTT\t")), "")
        count = one.lapic.partition("initial_count = ")[2].split()[:1]
        if cpu and ("masked" in timer or count in ([], ["0"])):
            bench.failed("ticks", f"the timer of CPU {cpu} does not run: {' '.join(timer.split())}")
    bench.passed("ticks")


def judge_syscalls(bench: Bench, target: Target, program: Program) -> None:
    """Each CPU executes one SYSCALL; where it leads, in ring 0, its registers can be read."""
    wanted: dict[str, int] = {}
    for cpu in range(target.cpus):
        target.choose(cpu)
        fault = target.gate(UD)["address"]
        target.set(rip=program["call"], rax=NO_SYSCALL)
        after = target.step()
        if after["pc"] == fault or after["cs"] & 3:
            bench.failed("syscall-msrs", f"SYSCALL is an invalid instruction on CPU {cpu}: EFER is {after['efer']:#x}")
            continue
        for name, number in MSRS.items():
            value = target.rdmsr(number)
            if value != wanted.setdefault(name, value):
                bench.failed("syscall-msrs", f"{name} of CPU {cpu} is {value:#x}, and that of the boot CPU "
                                             f"{wanted[name]:#x}")
    bench.passed("syscall-msrs")


# Machines that are not as one expects.

def gaps(bench: Bench) -> None:
    """Two sockets with three cores each, of which four CPUs are there: ids 0, 1, 2 and 4, and two disabled entries."""
    program = bench.program("probe")
    with bench.boot(*[program] * 6, cpus=4, topology="sockets=2,cores=3,maxcpus=6") as target:
        target.budget = bench.lab.budget // 2
        arrive(bench, target, program, "apic-ids", [0, 1, 2, 4])
        bench.count(target)


def late(bench: Bench) -> None:
    """One CPU stands still at its first instruction until the kernel has given it up."""
    cpus, program = 3, bench.program("probe")
    with bench.boot(*[program] * (cpus + TURNS), cpus=cpus) as target:
        slow = bench.random.randrange(1, cpus)
        messages, come = gather(target, {slow}, program["_start"])
        if not come:
            return
        target.new_budget()
        target.budget = LATE * 1000000
        try:
            run_others(target, {slow}, [program["_start"]])
        except Ended as ended:
            bench.failed("late-cpu", "one CPU did not come, and the kernel started no program" if budget_is_over(ended)
                         else f"one CPU did not come, and the run ended: {ended.text}", cause=ended.cause)
            return
        joins(bench, target, slow)
        bench.passed("late-cpu")
        bench.count(target)


def joins(bench: Bench, target: Target, slow: int) -> None:
    """It comes now, and must take no part any more: it begins none of the programs that wait for a CPU."""
    cpu = target.cpu
    target.new_budget()
    target.budget = AFTERWARDS * 1000000
    try:
        for _ in range(TURNS):
            target.choose(cpu)
            target.set(rip=bench.program("probe")["loop"])
            cpu = run_others(target, set(), [bench.program("probe")["_start"]])
            if cpu == slow:
                bench.failed("late-cpu", "a CPU came after the kernel had given it up, and takes part all the same")
                return
    except Ended as ended:
        if not budget_is_over(ended):
            bench.failed("late-cpu", f"a CPU came when the others were at work, and the run ended: {ended.text}",
                         cause=ended.cause)
            return
    target.choose(slow)
    pcr = target["gs_base"]
    if pcr & KERNEL_HALF and target.read(pcr + target.code.member("pcr", "presence"), 4) == CPU_ONLINE:
        bench.failed("late-cpu", "a CPU came after the kernel had given it up, and says that it is online")
