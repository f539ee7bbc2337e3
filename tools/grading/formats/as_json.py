# JSON with everything in it: docs/formats/grade.schema.json describes it. The other way round as well, since a campaign
# keeps its results so. SPDX-License-Identifier: MIT
from __future__ import annotations

import json
from typing import Any

from ..lab import Lab
from ..verdicts import Cause, Grade, Status, Verdict

VERSION = "ringstep/grade/v1"


def render(grades: list[Grade]) -> str:
    """One submission is an object, several are a list."""
    data = [to_dict(grade) for grade in grades]
    return json.dumps(data[0] if len(data) == 1 else data, indent=1, ensure_ascii=False) + "\n"


def to_dict(grade: Grade) -> dict[str, Any]:
    return {"schema": VERSION, "submission": grade.submission, "lab": grade.lab, "title": grade.title,
            "seed": grade.seed, "points": grade.points, "max_points": grade.max_points,
            "cause": grade.cause.value if grade.cause else None, "message": grade.message, "notes": grade.notes,
            "seconds": round(grade.seconds, 3), "instructions": grade.instructions,
            "verdicts": [verdict_to_dict(verdict) for verdict in grade.verdicts]}


def verdict_to_dict(verdict: Verdict) -> dict[str, Any]:
    check = verdict.check
    return {"check": check.id, "title": check.title, "status": verdict.status.value,
            "cause": verdict.cause.value if verdict.cause else None, "points": verdict.points,
            "max_points": check.points, "seen": verdict.seen, "where": verdict.where, "emulator": verdict.emulator,
            "why": check.why, "hint": check.hint, "page": check.page, "needs": list(check.needs),
            "challenge": check.challenge}


def from_dict(data: dict[str, Any], lab: Lab) -> Grade:
    verdicts = [Verdict(lab.check(each["check"]), Status(each["status"]),
                        Cause(each["cause"]) if each["cause"] else None, each["seen"], each["where"], each["emulator"])
                for each in data["verdicts"]]
    return Grade(data["submission"], data["lab"], data["title"], data["seed"], verdicts,
                 Cause(data["cause"]) if data["cause"] else None, data["message"], data["notes"], data["seconds"],
                 data["instructions"])
