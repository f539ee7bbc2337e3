# What a grader says: of each check a verdict, of each submission a grade. Made by the checks, read by every format.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import enum
from dataclasses import dataclass, field

from .lab import Check


class Status(str, enum.Enum):
    """What became of one check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_REACHED = "not reached"                 # a check that it stands on has failed, or the run ended before it
    NOT_OBSERVABLE = "not observable here"      # the emulator in which it can fail is not there: no point, no blame


class Cause(str, enum.Enum):
    """Why a check failed, or why a submission could not be graded at all."""

    WRONG = "wrong"                     # the machine's state is not what it must be
    REFUSED = "refused"                 # the submission is no folder or archive with the lab's files in it
    NO_BUILD = "did not build"
    PANIC = "panic"
    TRIPLE_FAULT = "triple fault"
    OUT_OF_BUDGET = "ran out of budget"
    ENDED = "ended too early"           # the machine was switched off before the check
    GRADER = "the grader failed"        # not the student's fault, and said so


@dataclass
class Verdict:
    """Of one check."""

    check: Check
    status: Status
    cause: Cause | None = None
    seen: str = ""          # in sentences: what was seen, and what had to be
    where: str = ""         # symbol, source line, step: 'syscall_entry+0x9 stages/03-…/kernel/syscall_entry.S:31'
    emulator: str = ""      # in which it was looked at

    @property
    def points(self) -> int:
        return self.check.points if self.status is Status.PASSED else 0


@dataclass
class Grade:
    """Of one submission."""

    submission: str                     # its name: that of the folder or archive, without the ending
    lab: str                            # '03'
    title: str
    seed: int
    verdicts: list[Verdict] = field(default_factory=list)
    cause: Cause | None = None          # set if it was not graded, or not to the end
    message: str = ""                   # the compiler's message, the panic's text, why it was refused
    notes: list[str] = field(default_factory=list)     # such as files that were ignored
    seconds: float = 0.0
    instructions: int = 0               # executed by the guest, in all runs together

    @property
    def points(self) -> int:
        return sum(verdict.points for verdict in self.verdicts)

    @property
    def max_points(self) -> int:
        """Of all checks that count: challenges are on top."""
        return sum(verdict.check.points for verdict in self.verdicts if not verdict.check.challenge)
