# Lab 04: the switch, first runs, and what belongs to a task. Called by work.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from . import idle
from .target import Ended
from .turns import Turns
from .verdicts import Cause
from .work import Bench

PROGRAMS = 3
# What each check must have had to look at, and how often, before it can be passed.
EVIDENCE = {
    "first-thread": {"first-thread": 2},
    "first-program": {"first-program": PROGRAMS},
    "resume": {"resume": 8, "ring-3": 6},
    "callee-saved": {"callee-saved": 8},
    "flags": {"flags": 12},
    "interrupts-off": {"interrupts-off": 8},
    "first-flags": {"first-flags": PROGRAMS + 2},
    "interrupts-back": {"interrupts-back-on": 2, "interrupts-back-off": 2},
    "rsp0": {"rsp0": 8},
    "address-space": {"address-space": 12},
    "fpu": {"fpu": 8},
    "segment-bases": {"segment-bases": 8},
    "the-dead": {"the-dead": PROGRAMS + 2},
    "flags-for-less": {"flags-for-less": 3},
}


def run(bench: Bench) -> None:
    bench.sections(take_turns, *([idle.look] if "tickless-idle" in bench.challenges else []))


def take_turns(bench: Bench) -> None:
    """Three programs and the two threads that always run, from the first switch to the last."""
    program = bench.program("turns")
    with bench.boot(*[program] * PROGRAMS) as target:
        turns = Turns(bench, target, PROGRAMS)
        try:
            turns.run()
        except LookupError as error:
            raise Ended(Cause.WRONG, f"the kernel is where nothing can be looked at: {error}") from None
        except Ended as ended:
            bench.count(target)
            if ended.cause is not Cause.ENDED or not turns.all_ended():
                raise
        finally:
            conclude(bench, turns)


def conclude(bench: Bench, turns: Turns) -> None:
    """What was seen often enough and never wrong holds."""
    for check, wanted in EVIDENCE.items():
        if all(turns.seen.get(name, 0) >= times for name, times in wanted.items()):
            bench.passed(check)
