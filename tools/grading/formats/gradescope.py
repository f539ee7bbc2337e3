# Gradescope's results.json. A challenge is worth nothing there unless it is done: its points are on top.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import math
from typing import Any

from ..verdicts import Grade, Status, Verdict
from .words import clean, outcome, paragraph


def render(grades: list[Grade]) -> str:
    return json.dumps(to_dict(grades[0]), indent=1) + "\n"


def to_dict(grade: Grade) -> dict[str, Any]:
    lines = [outcome(grade), *(f"note: {clean(text)}" for text in grade.notes), f"seed {grade.seed}"]
    return {"score": grade.points, "execution_time": math.ceil(grade.seconds), "visibility": "visible",
            "stdout_visibility": "hidden", "output": "\n".join(line for line in lines if line), "output_format": "text",
            "test_output_format": "text", "test_name_format": "text",
            "extra_data": {"seed": grade.seed, "cause": grade.cause.value if grade.cause else None},
            "tests": [test_of(verdict, number, grade) for number, verdict in enumerate(grade.verdicts, 1)]}


def test_of(verdict: Verdict, number: int, grade: Grade) -> dict[str, Any]:
    passed = verdict.status is Status.PASSED
    untold = verdict.status in (Status.NOT_REACHED, Status.NOT_OBSERVABLE)
    return {"name": verdict.check.title + (f" ({verdict.status.value})" if untold else ""),
            "number": f"{int(grade.lab)}.{number}", "score": verdict.points,
            "max_score": 0 if verdict.check.challenge else verdict.check.points,
            "status": "passed" if passed else "failed", "output": "" if passed else paragraph(verdict),
            "tags": [verdict.check.challenge] if verdict.check.challenge else [], "visibility": "visible",
            "extra_data": {"check": verdict.check.id, "status": verdict.status.value}}
