# For a person at a terminal, in the style of MIT's graders. SPDX-License-Identifier: MIT
from __future__ import annotations

import textwrap

from ..verdicts import Grade, Status, Verdict
from .words import clean, details, outcome

WIDTH = 116
WORDS = {Status.PASSED: "OK", Status.FAILED: "FAIL", Status.NOT_REACHED: "not reached",
         Status.NOT_OBSERVABLE: "not observable here"}


def render(grades: list[Grade]) -> str:
    return "\n\n".join(render_one(grade) for grade in grades) + "\n"


def render_one(grade: Grade) -> str:
    lines = [f"== Lab {grade.lab}: {grade.title} ==", f"{clean(grade.submission)}, seed {grade.seed}"]
    lines += [f"note: {clean(text)}" for text in grade.notes]
    if grade.cause:
        lines += ["", *outcome(grade).splitlines()]
    part = ""
    for verdict in grade.verdicts:
        if verdict.check.challenge != part:
            part = verdict.check.challenge
            lines += ["", f"== Challenge {part} =="]
        lines += render_verdict(verdict)
    figures = f" ({grade.seconds:.1f} s, {grade.instructions / 1e6:.0f} million guest instructions)"
    return "\n".join([*lines, f"Score: {grade.points}/{grade.max_points}{figures if grade.seconds else ''}"])


def render_verdict(verdict: Verdict) -> list[str]:
    lines = [f"{verdict.check.title}: {WORDS[verdict.status]} ({verdict.points}/{verdict.check.points})"]
    for name, text in details(verdict) if verdict.status is not Status.PASSED else []:
        lines += textwrap.wrap(text, WIDTH, initial_indent=f"    {name + ':':7}", subsequent_indent=" " * 11,
                               break_long_words=False, break_on_hyphens=False)
    return lines
