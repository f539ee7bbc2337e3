# The proof that the grader is right: the solution gets all points, the starter none, every wrong solution loses the
# points that it must lose and no others, right ones that look different lose nothing, and a kernel that only prints what
# a passing one prints gets nothing.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path

import pytest
from cases import LABS, Case, cases, files_of, grade, solution, told, with_status
from grading.lab import Lab
from grading.verdicts import Cause, Status

LEAST_WRONG, LEAST_RIGHT = 8, 2
each_lab = pytest.mark.parametrize("lab", LABS.values(), ids=LABS)


def each(kind: str):
    found = cases(kind)
    return pytest.mark.parametrize("case", found, ids=[case.name for case in found])


@each_lab
def test_the_solution_gets_all_points(lab: Lab, tmp_path: Path):
    result = grade(lab, "solution", {name: solution(lab, name) for name in lab.files}, tmp_path / "work")
    assert result.points == result.max_points, told(result)
    assert result.cause is None


@each_lab
def test_the_starter_gets_none_and_says_what_is_to_be_written(lab: Lab, tmp_path: Path):
    files = {name: lab.folder / "starter" / name for name in lab.files}
    result = grade(lab, "starter", files, tmp_path / "work")
    assert result.points == 0, told(result)
    assert result.cause is Cause.PANIC and f"lab {lab.number}: " in result.message, told(result)


@pytest.mark.heavy
@each("wrong")
def test_a_wrong_solution_loses_what_it_must(case: Case, tmp_path: Path):
    result = grade(case.lab, case.name, files_of(case, tmp_path), tmp_path / "work")
    assert with_status(result, Status.FAILED) == in_order(case, "loses"), told(result)
    assert with_status(result, Status.NOT_REACHED) == in_order(case, "not_reached"), told(result)


def in_order(case: Case, key: str) -> list[str]:
    """The check's names as lab.toml has them. All of them exist."""
    names = case.expected.get(key, [])
    return sorted(names, key=[check.id for check in case.lab.checks].index)


@pytest.mark.heavy
@each("right")
def test_another_right_solution_gets_all_points(case: Case, tmp_path: Path):
    result = grade(case.lab, case.name, files_of(case, tmp_path), tmp_path / "work")
    assert result.points == sum(verdict.check.points for verdict in result.verdicts), told(result)


@each("spoof")
def test_a_kernel_that_only_prints_gets_nothing(case: Case, tmp_path: Path):
    result = grade(case.lab, case.name, files_of(case, tmp_path), tmp_path / "work")
    assert result.points == 0, told(result)


@each_lab
def test_there_are_enough_of_them(lab: Lab):
    count = {kind: sum(case.lab is lab for case in cases(kind)) for kind in ("wrong", "right", "spoof")}
    assert count["wrong"] >= LEAST_WRONG and count["right"] >= LEAST_RIGHT and count["spoof"] >= 1, count
    lost = {name for case in cases("wrong") if case.lab is lab for name in case.expected["loses"]}
    plain = {check.id for check in lab.checks if not check.challenge}
    assert plain <= lost, f"no wrong solution loses {plain - lost}: nobody has seen these checks fail"
