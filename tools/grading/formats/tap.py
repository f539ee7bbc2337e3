# The Test Anything Protocol, version 13. SPDX-License-Identifier: MIT
from __future__ import annotations

import json

from ..verdicts import Grade, Status, Verdict
from .words import clean, details, outcome


def render(grades: list[Grade]) -> str:
    lines = ["TAP version 13", f"1..{sum(len(grade.verdicts) or 1 for grade in grades)}"]
    number = 0
    for grade in grades:
        lines += [f"# {line}" for line in head_of(grade)]
        for verdict in grade.verdicts:
            number += 1
            lines += lines_of(verdict, number)
        if not grade.verdicts:
            number += 1
            lines.append(f"not ok {number} - {one_line(outcome(grade)) or 'nothing was graded'}")
        lines.append(f"# score {grade.points}/{grade.max_points}")
    return "\n".join(lines) + "\n"


def head_of(grade: Grade) -> list[str]:
    return [f"{clean(grade.submission)}, lab {grade.lab}, seed {grade.seed}", *(clean(text) for text in grade.notes),
            *outcome(grade).splitlines()]


def one_line(text: str) -> str:
    return " ".join(text.replace("#", "").split())


def lines_of(verdict: Verdict, number: int) -> list[str]:
    good = verdict.status in (Status.PASSED, Status.NOT_OBSERVABLE)     # TAP has no skipped test that is not ok
    line = f"{'ok' if good else 'not ok'} {number} - {verdict.check.id}: {one_line(verdict.check.title)}"
    if verdict.status is Status.NOT_OBSERVABLE:
        line += f" # SKIP {verdict.status.value}"
    # A text of JSON is one of YAML too.
    data = {"points": verdict.points, "max_points": verdict.check.points, "status": verdict.status.value,
            **dict(details(verdict) if verdict.status is not Status.PASSED else [])}
    return [line, "  ---", *(f"  {name}: {json.dumps(value)}" for name, value in data.items()), "  ..."]
