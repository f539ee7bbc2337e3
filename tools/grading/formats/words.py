# What a student reads of one verdict, in the same words in every format, and free of what a terminal or a reader of XML
# would take for a command: a compiler's message quotes the student's own bytes. SPDX-License-Identifier: MIT
from __future__ import annotations

import re

from ..verdicts import Cause, Grade, Status, Verdict

ESCAPES = re.compile("\x1b\\[[0-9;?]*[A-Za-z]|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?")


def clean(text: str) -> str:
    """Without escape sequences and with no control character but the end of a line; other such are written out."""
    text = ESCAPES.sub("", text.replace("\r\n", "\n").replace("\t", "    "))
    return "".join(letter if letter == "\n" or letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def details(verdict: Verdict) -> list[tuple[str, str]]:
    """What is said of a check that has not passed: what was seen, where, why it matters, and what helps."""
    check = verdict.check
    lines = [("seen", verdict.seen), ("where", verdict.where)]
    if verdict.status is Status.FAILED:
        cause = verdict.cause.value if verdict.cause and verdict.cause is not Cause.WRONG else ""
        lines = [("cause", cause), *lines, ("why", check.why), ("hint", check.hint), ("page", check.page)]
    return [(name, clean(text)) for name, text in lines if text]


def paragraph(verdict: Verdict) -> str:
    return "\n".join(f"{name}: {text}" for name, text in details(verdict))


def outcome(grade: Grade) -> str:
    """How the submission as a whole fared, if there is more to say than its points."""
    if not grade.cause:
        return ""
    return clean(f"{grade.cause.value}: {grade.message}" if grade.message else grade.cause.value)
