# The challenges of lab 03: any GS base for programs, a canary behind GS, a map without the direct window for ring 3.
# Called by lab03.py for those that a submission has taken on.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from functools import partial

from . import scene
from .findings import Entry, gs_name
from .target import Target
from .way import Moment, follow, moment, through_nmi
from .work import Bench, Program

GETPID, WRITE = 39, 1
CR4_FSGSBASE = 1 << 16
CANARY = 192            # where the challenge's flags say that it is, in the PCR
# sub, xor or cmp reg, gs:[192]: what a function does with its copy before it returns.
LAST_LOOK = re.compile(rb"\x65[\x48\x4c][\x2b\x33\x3b][\x04\x0c\x14\x1c\x24\x2c\x34\x3c]\x25\xc0\x00\x00\x00")
KERNEL = 0xffff800000000000


def sections(bench: Bench) -> list:
    """The parts to run, for the challenges that are taken on."""
    known = {"fsgsbase": fsgsbase, "stack-protector": stack_protector, "narrow-map": narrow_map}
    return [part for name, part in known.items() if name in bench.challenges]


def strike(bench: Bench, target: Target, pcr: int, check: str) -> None:
    """One NMI here; what is wrong in C or afterwards is told, and mended."""
    struck = moment(target)

    def in_c(now: Moment) -> None:
        if now["gs_base"] != pcr:
            bench.failed(check, f"an NMI struck with GS base {gs_name(struck['gs_base'], pcr)}, and its handler in C "
                                f"runs with {gs_name(now['gs_base'], pcr)}", struck.address)
            target.set(gs_base=pcr)

    before, after = through_nmi(target, in_c)
    for name in ("gs_base", "kernel_gs_base"):
        if after[name] != before[name]:
            bench.failed(check, f"after an NMI here, {name} is not what it was", before.address)
            target.set(**{name: before[name]})


# fsgsbase

def fsgsbase(bench: Bench) -> None:
    with scene.standing(bench, "probe") as (target, program):
        if target["cr4"] & CR4_FSGSBASE:
            bench.passed("fsgsbase-on")
        else:
            bench.failed("fsgsbase-on", "CR4.FSGSBASE is clear while a program runs, on a CPU that has it")
        pcr = scene.pcr_of(target)
        target.set(kernel_gs_base=pcr)
        for base in (KERNEL | bench.random.getrandbits(46) & ~7, pcr + 0x1000):
            any_base(bench, target, program, pcr, base)
        bench.passed("fsgsbase-nmi")
    with bench.boot(bench.program("probe"), cpu_model="qemu64") as target:
        scene.begin(target, bench.program("probe"))
        if target["cr4"] & CR4_FSGSBASE:
            bench.failed("fsgsbase-without", "CR4.FSGSBASE is set on a CPU that does not have it")
        pcr = scene.pcr_of(target)
        target.set(kernel_gs_base=pcr)
        any_base(bench, target, bench.program("probe"), pcr, bench.random.getrandbits(46) & ~7, "fsgsbase-without")
        bench.passed("fsgsbase-without")
        bench.count(target)


def any_base(bench: Bench, target: Target, program: Program, pcr: int, base: int, check: str = "fsgsbase-nmi") -> None:
    """A system call of a program with this GS base, and an NMI before each instruction of it."""
    user = scene.fill(bench, target, program, "call", rax=GETPID)
    user["gs_base"] = base
    target.set(gs_base=base)
    entry = Entry(bench, target, pcr, user, silent=True)
    target.step()
    for now in follow(target, lambda one: one.ring == scene.RING_3, entry.at_c):
        entry.watch(now)
        if not now.in_c and now.ring != scene.RING_3:
            strike(bench, target, pcr, check)
    if now["gs_base"] != base:
        bench.failed(check, "back in ring 3, GS base is not what the program had set")
    entry.outside(now)


# stack-protector

def stack_protector(bench: Bench) -> None:
    with scene.standing(bench, "probe") as (target, program):
        pcr = scene.pcr_of(target)
        canary = target.read(pcr + CANARY)
        pattern = canary.to_bytes(8, "little")
        if not canary >> 8:
            bench.failed("canary-drawn", "the word at gs:[192] is next to nothing")
        elif pattern in bench.code.elf.read_bytes():
            bench.failed("canary-drawn", "the word at gs:[192] stands in the kernel's file, for everybody to read")
        bench.passed("canary-drawn")
    with bench.boot(program) as target:     # of its own, since it does not survive
        scene.begin(target, program)
        smash(bench, target, program, pcr)
        bench.count(target)


def smash(bench: Bench, target: Target, program: Program, pcr: int) -> None:
    """The canary changes while a function with a buffer runs: as good as a buffer that ran over."""
    looks = [address + found.start() for address, data in bench.code.text for found in LAST_LOOK.finditer(data)]
    if not looks:
        bench.failed("canary-looked-at", "no function of the kernel compares anything with gs:[192]")
        return
    scene.fill(bench, target, program, "call", rax=WRITE, rdi=1, rsi=program["data"], rdx=8)
    target.set(kernel_gs_base=pcr)
    target.step()
    if target.run_to(*looks, program["called"]) == program["called"]:
        bench.failed("canary-looked-at", "a program's write() went by, and no function on its way looked at gs:[192]")
        return
    target.write(pcr + CANARY, target.read(pcr + CANARY) ^ (1 + bench.random.getrandbits(55) << 8))
    # A __stack_chk_fail() that returns goes on in whatever code follows, and may find its panic by some fault.
    panic, faults = bench.code.symbol("panic_begin"), [bench.code.symbol(name) for name in ("trap", "paranoid")]
    at = target.run_to(panic, *faults, program["called"])
    if at == panic:
        bench.passed("canary-looked-at")
    elif at in faults:
        bench.failed("canary-looked-at", "a canary was overwritten, and what followed was no panic but a fault")
    else:
        bench.failed("canary-looked-at", "a canary was overwritten while a function ran, and the kernel went on")


# narrow-map

def narrow_map(bench: Bench) -> None:
    with scene.standing(bench, "probe") as (target, program):
        pcr = scene.pcr_of(target)
        window = partial(target.is_mapped, KERNEL + bench.random.randrange(0x100000, 0x4000000, 0x1000))
        for label, check in (("call", "narrow-map-call"), ("trap", "narrow-map-interrupt")):
            around(bench, target, program, pcr, label, check, window)


def around(bench: Bench, target: Target, program: Program, pcr: int, label: str, check: str, window) -> None:
    """In ring 3 the direct window is not there, in C it is; and so for an NMI at each instruction between."""
    user = scene.fill(bench, target, program, label, rax=GETPID)
    target.set(kernel_gs_base=pcr)
    entry = Entry(bench, target, pcr, user, silent=True)
    if window():
        bench.failed("narrow-map-ring-3", "the direct window is mapped while a program runs")
    target.step()

    def in_c(now: Moment) -> bool:
        entry.at_c(now)
        if not window():
            bench.failed(check, "C was called without the direct window", now.address)
        return label == "trap"

    for now in follow(target, lambda one: one.ring == scene.RING_3, in_c):
        entry.watch(now)
        if not now.in_c and now.ring != scene.RING_3:
            strike_and_look(bench, target, pcr, window)
    if window():
        bench.failed("narrow-map-ring-3", "the direct window is mapped when the program goes on")
    entry.outside(now)
    for name in (check, "narrow-map-ring-3", "narrow-map-nmi"):
        bench.passed(name)


def strike_and_look(bench: Bench, target: Target, pcr: int, window) -> None:
    struck = target["pc"]

    def in_c(now: Moment) -> None:
        if not window():
            bench.failed("narrow-map-nmi", "the handler of an NMI that struck here had no window", struck)

    before, after = through_nmi(target, in_c)
    if after["cr3"] & ~0xfff != before["cr3"] & ~0xfff:
        bench.failed("narrow-map-nmi", "after an NMI here, CR3 is not what it was", before.address)
        target.set(cr3=before["cr3"])
