# JUnit's XML, which GitLab, Jenkins and CodeGrade read. A check that was not reached has failed there, since a skipped
# test counts as good; one that cannot be observed here is skipped. Points are properties. SPDX-License-Identifier: MIT
from __future__ import annotations

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from ..verdicts import Cause, Grade, Status, Verdict
from .words import clean, outcome, paragraph


def render(grades: list[Grade]) -> str:
    document = JUnitXml()
    for grade in grades:
        document.add_testsuite(suite_of(grade))
    document.update_statistics()
    return document.tostring().decode() + "\n"


def suite_of(grade: Grade) -> TestSuite:
    suite = TestSuite(clean(grade.submission))
    for name in ("lab", "title", "seed", "points", "max_points", "instructions"):
        suite.add_property(name, str(getattr(grade, name)))
    for verdict in grade.verdicts:
        suite.add_property(f"points.{verdict.check.id}", f"{verdict.points}/{verdict.check.points}")
        suite.add_testcase(case_of(verdict, grade))
    if grade.cause or not grade.verdicts:
        whole = TestCase("the submission as a whole", f"lab{grade.lab}", round(grade.seconds, 3))
        if grade.cause:
            kind = Error if grade.cause is Cause.GRADER else Failure
            whole.result = [with_text(kind(grade.cause.value, grade.cause.value), outcome(grade))]
        suite.add_testcase(whole)
    suite.update_statistics()
    suite.time = round(grade.seconds, 3)
    return suite


def with_text(result, text: str):
    result.text = text
    return result


def case_of(verdict: Verdict, grade: Grade) -> TestCase:
    case = TestCase(f"{verdict.check.id}: {verdict.check.title}", f"lab{grade.lab}", 0)
    if verdict.status is Status.NOT_OBSERVABLE:
        case.result = [with_text(Skipped(verdict.status.value), paragraph(verdict))]
    elif verdict.status is not Status.PASSED:
        case.result = [with_text(Failure(clean(verdict.seen) or verdict.status.value, verdict.status.value),
                                 paragraph(verdict))]
    return case
