# Lab 03: the system call's way in and out, exceptions, and NMIs in between. Called by work.py.
# One mistake is to cost one check: where a state is wrong it is told, and then mended, so that what comes after it is
# judged by itself.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Callable

from . import lab03_challenges, scene
from .findings import Entry, gs_name
from .scene import AC, DF, IF, IOPL, NT, TF
from .target import Ended, Target
from .verdicts import Cause
from .way import Moment, follow, moment, through_nmi
from .work import Bench, Program

MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK = 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084
STAR_KERNEL, STAR_USER = 0x08, 0x1b
MASKED = {"IF": IF, "TF": TF, "DF": DF, "NT": NT, "AC": AC, "IOPL": IOPL}
GETPID = 39
ROUNDS = (0, DF | AC, NT | scene.ID)    # flags that a program has set
VECTOR_SYSCALL = 256
INT3 = b"\xcc"
FROM_RING_3 = "interrupt-from-ring-3"


def run(bench: Bench) -> None:
    bench.sections(system_calls, exceptions, nmis, *lab03_challenges.sections(bench))


# System calls.

def system_calls(bench: Bench) -> None:
    with scene.standing(bench, "probe") as (target, program):
        for number, flags in enumerate(ROUNDS):
            Call(bench, target, program, flags).judge(look_at_msrs if number == 0 else lambda *_: None)
        for name in ("entry-gs", "entry-scratch", "entry-stack", "entry-frame", "window", "exit-result",
                     "exit-registers", "exit-gs"):
            bench.passed(name)


def look_at_msrs(bench: Bench, target: Target) -> None:
    """In ring 0, where SYSCALL has led."""
    star = target.rdmsr(MSR_STAR)
    if (star >> 32 & 0xffff, star >> 48) != (STAR_KERNEL, STAR_USER):
        bench.failed("star", f"STAR[47:32] is {star >> 32 & 0xffff:#x} and STAR[63:48] {star >> 48:#x}; with this GDT, "
                             f"SYSCALL wants {STAR_KERNEL:#x} and SYSRET {STAR_USER:#x}")
    bench.passed("star")
    for name, number in (("LSTAR", MSR_LSTAR), ("CSTAR", MSR_CSTAR)):
        address = target.rdmsr(number)
        if not (address >> 63 and bench.code.is_text(address)):
            bench.failed("entry-address", f"{name} is {address:#x}, where the kernel has no code")
    bench.passed("entry-address")
    mask = target.rdmsr(MSR_SFMASK)
    stay = [name for name, bits in MASKED.items() if mask & bits != bits]
    if stay:
        bench.failed("sfmask", f"SFMASK is {mask:#x}: {', '.join(stay)} would stay as the program had it")
    bench.passed("sfmask")


class Call:
    """One system call, from the program's SYSCALL to its next instruction."""

    def __init__(self, bench: Bench, target: Target, program: Program, flags: int):
        self.bench, self.target, self.program = bench, target, program
        self.pcr = scene.pcr_of(target)
        self.user = scene.fill(bench, target, program, "call", flags, rax=GETPID)
        target.set(kernel_gs_base=self.pcr)
        self.entry = Entry(bench, target, self.pcr, self.user, checks=("entry-gs", "entry-stack"))
        self.result: int | None = None
        self.wanted: dict[str, int] = {}
        self.returned_by_frame = False

    def judge(self, in_ring_0: Callable[[Bench, Target], None]) -> None:
        self.entry.lower_rsp0()
        self.target.step()
        first = moment(self.target)
        if first.ring == scene.RING_3 or first.address == self.program["called"]:
            self.bench.failed("entry-address", "SYSCALL did not lead into ring 0")
            return
        in_ring_0(self.bench, self.target)
        if not self.target.code.is_text(first.address):
            raise Ended(Cause.WRONG, "SYSCALL leads where the kernel has no code")
        self.mend_flags(first)
        for now in follow(self.target, lambda one: one.ring == scene.RING_3, self.in_c):
            self.entry.watch(now)
            if now.returned:
                self.came_back(now)
        self.outside(now)

    def mend_flags(self, first: Moment) -> None:
        """What SFMASK left is its own check's affair."""
        bits = IF | TF | DF | NT | AC
        if first["rflags"] & bits:
            self.target.set(rflags=first["rflags"] & ~bits)

    def in_c(self, now: Moment) -> None:
        """Assembly has called C."""
        self.function = self.target.code.names.describe(now.address, now.address).split("+")[0]
        self.entry.at_c(now)
        if self.function == "syscall_dispatch":
            frame = {name: value for name, value in self.user.items()
                     if name in scene.FRAME and name not in ("rcx", "r11")}
            frame.update(rip=self.program["called"], cs=scene.USER_CODE, ss=scene.USER_DATA, vector=VECTOR_SYSCALL)
            self.entry.check_frame(frame, "entry-frame")
        elif self.function == "user_return":
            self.returned_by_frame = True
            self.frame = self.target["rdi"]
            if now["rflags"] & IF:
                self.bench.failed("window", "user_return() was called with IF=1: what it decides can be overtaken by "
                                            "an interrupt before the program runs", now.address)

    def came_back(self, now: Moment) -> None:
        if self.function == "syscall_dispatch":
            self.result = now["rax"]
        elif self.function == "user_return":
            frame = scene.read_frame(self.target, self.frame)
            # The kernel may change the frame, and the program must get what it says.
            news = {name: self.bench.random.getrandbits(64) for name in ("rdx", "r12", "r8", "rbx")}
            news.update(rip=self.program["loop"], rflags=frame["rflags"] ^ scene.ID)
            scene.write_frame(self.target, self.frame, news)
            self.wanted = {**frame, **news}

    def outside(self, now: Moment) -> None:
        """In ring 3 again."""
        if self.result is None:
            self.bench.failed("exit-result", "syscall_dispatch() was never called, or did not return")
        elif now["rax"] != self.result & scene.MASK:
            self.bench.failed("exit-result", f"syscall_dispatch() returned {self.result:#x}, and the program found "
                                             f"{now['rax']:#x} in RAX")
        if not self.returned_by_frame:
            self.bench.failed("exit-registers", "user_return() was not called: nobody has looked at the frame before "
                                                "the program went on")
        else:
            self.registers(now)
        self.entry.outside(now, "exit-gs")

    def registers(self, now: Moment) -> None:
        names = [name for name in scene.GENERAL if name not in ("rax", "rcx", "r11")]
        names += ["rip", "rsp", "rflags"] + ([] if self.bench.has_failed("star") else ["cs", "ss"])
        wrong = scene.differences(now.registers, {name: self.wanted[name] for name in names})
        if wrong:
            self.bench.failed("exit-registers", f"in ring 3 {wrong}, as the frame says")
        for name in ("rcx", "r11"):
            allowed = {self.wanted["rip"], self.wanted["rflags"], self.wanted[name], self.user[name]}
            if now[name] not in allowed:
                self.bench.failed("exit-registers", f"{name} came back as {now[name]:#x}, which is a value of the "
                                                    "kernel's own; SYSRET leaves RIP and RFLAGS there")


# Exceptions.

def exceptions(bench: Bench) -> None:
    with scene.standing(bench, "probe") as (target, program):
        pcr = scene.pcr_of(target)
        now = moment(target)
        if now["kernel_gs_base"] != pcr:
            bench.failed(FROM_RING_3, f"at a program's first instruction IA32_KERNEL_GS_BASE is "
                         f"{gs_name(now['kernel_gs_base'], pcr)}: the way out by IRETQ has not swapped")
        target.set(kernel_gs_base=pcr)
        for flags in (0, AC | DF | NT):
            exception(bench, target, program, pcr, flags)
        bench.passed(FROM_RING_3)
        bench.passed("interrupt-from-ring-0")


def exception(bench: Bench, target: Target, program: Program, pcr: int, flags: int) -> None:
    """INT3 in ring 3, and another one in ring 0 when C is reached. The handlers in C are passed over: they would end
    the program."""
    user = scene.fill(bench, target, program, "trap", flags)
    entry = Entry(bench, target, pcr, user, checks=(FROM_RING_3, FROM_RING_3))
    entry.lower_rsp0()
    target.step()

    def in_c(now: Moment) -> bool:
        entry.at_c(now)
        if now["rflags"] & (AC | DF):
            bench.failed(FROM_RING_3, f"C runs with {set_of(now)} set, as the program had it: the gate does not "
                                      "clear it", now.address)
        wanted = {name: value for name, value in user.items() if name in scene.FRAME}
        entry.check_frame({**wanted, "rip": program["trapped"], "vector": 3}, FROM_RING_3)
        in_ring_0(bench, target, pcr)
        return True

    for now in follow(target, lambda one: one.ring == scene.RING_3, in_c):
        entry.watch(now, FROM_RING_3)
    wrong = scene.differences(now.registers, {**user, "rip": program["trapped"], "cs": scene.USER_CODE,
                                              "ss": scene.USER_DATA, "gs_base": now["gs_base"]})
    if wrong:
        bench.failed(FROM_RING_3, f"back in ring 3, {wrong}")
    entry.outside(now, FROM_RING_3)


def set_of(now: Moment) -> str:
    return " and ".join(name for name, bit in (("AC", AC), ("DF", DF)) if now["rflags"] & bit)


def in_ring_0(bench: Bench, target: Target, pcr: int) -> None:
    """An INT3 of the kernel's own: any byte CCh in its code will do."""
    before = target.registers()
    place = bench.code.find(INT3)
    target.set(rip=place)
    target.step()

    def in_c(now: Moment) -> bool:
        if now["gs_base"] != pcr:
            bench.failed("interrupt-from-ring-0", f"C runs with GS base {gs_name(now['gs_base'], pcr)}: it was the PCR "
                                                  "when the exception struck in ring 0", now.address)
        target.set(gs_base=pcr, kernel_gs_base=before["kernel_gs_base"])
        return True

    for now in follow(target, lambda one: one.address == place + 1, in_c):
        pass
    wrong = scene.differences(now.registers, {**before, "rip": place + 1, "pc": place + 1})
    if wrong:
        bench.failed("interrupt-from-ring-0", f"back in ring 0, {wrong}")
    target.set(**{name: before[name] for name in (*scene.GENERAL, "rip", "rsp", "rflags", "gs_base", "kernel_gs_base")})


# NMIs.

def nmis(bench: Bench) -> None:
    """An NMI before each instruction of assembly, on the way in and on the way out."""
    with scene.standing(bench, "probe") as (target, program):
        pcr = scene.pcr_of(target)
        target.set(kernel_gs_base=pcr)
        for label in ("call", "trap"):
            if label == "trap" or not bench.has_failed("entry-address"):
                strike_all_along(bench, target, program, label, pcr)
        if not bench.has_failed(FROM_RING_3):   # the way back from there is that of every exception
            strike(bench, target, pcr)
        bench.passed("nmi-anywhere")


def strike_all_along(bench: Bench, target: Target, program: Program, label: str, pcr: int) -> None:
    flags = AC | DF if label == "trap" else 0       # a gate leaves them alone, and SYSCALL clears them
    user = scene.fill(bench, target, program, label, flags, rax=GETPID)
    entry = Entry(bench, target, pcr, user, silent=True)
    target.step()

    def in_c(now: Moment) -> bool:
        entry.at_c(now)
        return label == "trap"      # its handler would end the program

    for now in follow(target, lambda one: one.ring == scene.RING_3, in_c):
        entry.watch(now)
        if not now.in_c and now.ring != scene.RING_3:
            strike(bench, target, pcr)
    entry.outside(now)


def strike(bench: Bench, target: Target, pcr: int) -> None:
    """One NMI here, and whether all is as before when it is over."""
    struck = moment(target)

    def in_c(now: Moment) -> None:
        if now["gs_base"] != pcr:
            bench.failed("nmi-anywhere", f"an NMI struck with GS base {gs_name(struck['gs_base'], pcr)}, and its "
                         f"handler in C runs with {gs_name(now['gs_base'], pcr)}", struck.address)
        if now["rflags"] & (AC | DF):
            bench.failed("nmi-anywhere", f"an NMI struck, and its handler in C runs with {set_of(now)} set, as the "
                                         "program had it", struck.address)

    before, after = through_nmi(target, in_c)
    wrong = scene.differences(after.registers, before.registers)
    if wrong:
        bench.failed("nmi-anywhere", f"after an NMI here, {wrong}", before.address)
        target.set(**{name: before[name] for name in (*scene.GENERAL, "rflags", "gs_base", "kernel_gs_base")})
