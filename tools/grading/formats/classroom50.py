# Classroom 50's result.json. What it says of the classroom and the commit is in the environment of its runner.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import datetime
import json
import os
from typing import Any

from ..verdicts import Grade, Status

NAMES = {"classroom": "CLASSROOM", "assignment": "ASSIGNMENT", "submission": "SUBMISSION_TAG", "commit": "COMMIT_URL",
         "release": "RELEASE_URL", "review": "REVIEW_URL"}


def render(grades: list[Grade]) -> str:
    return json.dumps(to_dict(grades[0]), indent=1) + "\n"


def to_dict(grade: Grade) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    # A score above the best one is not foreseen there: a challenge can make up for what a check has lost.
    return {"schema": "classroom50/result/v1", **{name: os.environ.get(word, "") for name, word in NAMES.items()},
            "datetime": now, "score": min(grade.points, grade.max_points), "max-score": grade.max_points,
            "tests": [{"test-name": f"lab{grade.lab}.{verdict.check.id}", "passed": verdict.status is Status.PASSED,
                       "score": verdict.points, "max-score": verdict.check.points} for verdict in grade.verdicts]}
