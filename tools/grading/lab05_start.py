# Lab 05, the start of the other CPUs: what is sent to them, and who gets what when they come side by side; and the two
# challenges, which are about the start as well. Called by lab05.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from .claims import DIRECT_BASE, in_lockstep
from .several import HLT, INIT, SHORTHAND, STARTUP, Messages, gather, run_others
from .target import Target
from .work import Bench, Program

MILLISECOND = 1000000           # ns
LOCKSTEP_CPUS = 6               # one that shows the way, and two pairs
KERNEL_HALF = 1 << 63
PAGE = 0x1000


def start_up(bench: Bench) -> None:
    program = bench.program("probe")
    fast = "no-init-delay" in bench.challenges
    with bench.boot(program, cpus=LOCKSTEP_CPUS, cpu_model="max,la57=off,family=5" if fast else "") as target:
        others = set(range(1, LOCKSTEP_CPUS))
        messages, come = gather(target, others, program["_start"])
        if come:
            judge_claims(bench, target, sorted(come))
        try:
            follow_messages(target, messages, program)
        finally:
            judge_messages(bench, messages, others)
            bench.count(target)


def judge_claims(bench: Bench, target: Target, cpus: list[int]) -> None:
    """They stand at their first instruction, and are led from there one by one."""
    bench.random.shuffle(cpus)
    arrivals, lost, culprit = in_lockstep(target, cpus)
    last = cpus[-1]             # if there is one PCR too few, it is the last one that gets none: not the claim's fault
    if len(cpus) < 3 or not arrivals:
        return
    if culprit:
        bench.failed("claim", f"{culprit}, and two CPUs have the same PCR")
    elif lost and lost[0] != last:
        bench.failed("claim", f"{len(lost)} of {len(cpus)} CPUs got no PCR, though there was one for each")
    bench.passed("claim")
    known: dict[int, int] = {}
    for one in arrivals:
        if one.pcr in known:
            continue
        near = [rsp for rsp in known.values() if abs(rsp - one.rsp) < 0x1000]
        if near or not one.rsp & KERNEL_HALF:
            bench.failed("own-stack", "two CPUs start with the same stack" if near else
                         "a CPU comes to C with its stack in the lower half of the addresses")
        known[one.pcr] = one.rsp
    bench.passed("own-stack")


def follow_messages(target: Target, messages: Messages, program: Program) -> None:
    """What is sent until the first program runs."""
    cpu = None
    while True:
        cpu = run_others(target, set(), [messages.place, program["_start"]], cpu)
        if target["pc"] == program["_start"]:
            return
        messages.note(cpu)


def judge_messages(bench: Bench, messages: Messages, others: set[int]) -> None:
    name = "start-sequence"
    inits, starts = messages.of(INIT), messages.of(STARTUP)
    for _, to, command in inits + starts:
        if command & SHORTHAND or to == 255:
            bench.failed(name, "an INIT or a start-up IPI went to all CPUs at once, not to those of the table")
        elif to not in others:
            bench.failed(name, f"an INIT or a start-up IPI went to APIC id {to}, which is "
                               f"{'the boot CPU' if not to else 'nobody'}")
    for cpu in sorted(others):
        reset = [time for time, to, _ in inits if to == cpu]
        begun = [time for time, to, _ in starts if to == cpu]
        if not reset or not begun:
            bench.failed(name, f"the CPU with APIC id {cpu} got {len(reset)} INIT and {len(begun)} start-up IPIs")
        elif max(reset) > min(begun):
            bench.failed(name, f"the CPU with APIC id {cpu} got an INIT when it had got its start-up IPI already")
        elif min(begun) - max(reset) < 10 * MILLISECOND * 0.98:
            gap = (min(begun) - max(reset)) / MILLISECOND
            bench.failed(name, f"the start-up IPI came {gap:.2f} ms after the INIT; the manual wants 10")
    bench.passed(name)


# Challenges.

def page_cleared(bench: Bench) -> None:
    """What lies where the start-up IPI has led, when the first program runs. Padding and HLT, and jumps back to it."""
    program = bench.program("probe")
    with bench.boot(program, cpus=2) as target:
        messages, come = gather(target, {1}, program["_start"])
        if not come:
            return
        page = messages.page()
        target.choose(0)
        run_others(target, set(), [program["_start"]])
        left = {byte for at in range(0, PAGE, PAGE // 8) for byte in target.bytes(DIRECT_BASE + page + at, PAGE // 8)}
        if HLT not in left or len(left) > 4:
            bench.failed("page-cleared", f"the page at {page:#x} still holds {len(left)} different bytes" +
                         ("" if HLT in left else ", and none of them is a HLT"))
        bench.passed("page-cleared")


def fast_start(bench: Bench) -> None:
    program = bench.program("probe")
    with bench.boot(program, cpus=3) as target:
        messages, come = gather(target, {1, 2}, program["_start"])
        times = [one[0] for one in messages.of(INIT)[:1] + messages.of(STARTUP)[:1]]
        took = times[-1] - times[0] if times else 0
        if len(come) < 2 or took > MILLISECOND:
            bench.failed("fast-start", f"{len(come)} of 2 CPUs came; the first start-up IPI was sent "
                                       f"{took / MILLISECOND:.1f} ms after the first INIT")
        bench.passed("fast-start")
