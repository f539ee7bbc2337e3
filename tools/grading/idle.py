# The challenge of lab 04 that lets an idle CPU sleep: two programs nap while nothing else runs, and then compute.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from .target import Ended
from .verdicts import Cause
from .work import Bench

VECTOR_TIMER = 0x40
MILLISECOND = 1000000           # ns; with -icount the time-stamp counter counts them too
NAPS = (100, 112)               # ms, more or less
MOST_TICKS = 4                  # while all sleep: two must wake
LATE = 25                       # ms
ENOUGH = 20000000               # guest instructions
TURNS = 4                       # switches between programs that compute


def look(bench: Bench) -> None:
    program = bench.program("naps")
    with bench.boot(program, program) as target:
        lengths = [nap * MILLISECOND + bench.random.randrange(MILLISECOND) for nap in NAPS]
        for length in lengths:
            target.run_to(program["_start"], moved=True)
            target.write(program["nap"] + 8, length)
        target.new_budget()
        timer = target.gate(VECTOR_TIMER)["address"]
        ticks = 0
        while target.run_to(timer, program["awake"], moved=True) == timer:
            ticks += 1
            if ticks > 10 * MOST_TICKS:
                raise Ended(Cause.OUT_OF_BUDGET, "the programs that sleep do not wake")
        registers = target.registers()
        judge(bench, ticks, registers["r15"] - registers["r14"], lengths[0])
        target.budget = ENOUGH
        target.new_budget()
        try:
            target.run_to(program["awake"], moved=True)
        except Ended as ended:
            if ended.cause is not Cause.OUT_OF_BUDGET:
                raise
            bench.failed("tickless-idle-preempts", "one program computes, and the other one that has slept never runs")
            return
        preempted(bench, target)
        bench.count(target)


def judge(bench: Bench, ticks: int, slept: int, length: int) -> None:
    """Of the one that wakes first. Time passes whenever the machine is stopped, so the second one is always late."""
    if ticks > MOST_TICKS:
        bench.failed("tickless-idle-quiet", f"the timer has interrupted {ticks} times until the first of two programs "
                                            f"woke that slept for a tenth of a second; {MOST_TICKS} times would do")
    bench.passed("tickless-idle-quiet")
    if not length <= slept <= length + LATE * MILLISECOND:
        bench.failed("tickless-idle-in-time", f"a program that asked for {length // MILLISECOND} ms has slept "
                                              f"{slept // MILLISECOND} ms")
    bench.passed("tickless-idle-in-time")


def preempted(bench: Bench, target) -> None:
    """Both programs compute now, and neither gives way."""
    target.new_budget()
    try:
        for _ in range(TURNS):
            target.run_to(bench.code.symbol("switch_stacks"), moved=True)
    except Ended as ended:
        if ended.cause is not Cause.OUT_OF_BUDGET:
            raise
        bench.failed("tickless-idle-preempts", "two programs compute, and the one that runs is not preempted")
    bench.passed("tickless-idle-preempts")
