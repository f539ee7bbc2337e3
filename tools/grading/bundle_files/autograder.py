#!/usr/bin/env python3
# Grades one submission for Classroom 50: run in the student's checkout, with this file's folder in
# CLASSROOM50_BUNDLE_DIR. Whatever happens, there is a result.json when it ends, and its exit status is 0;
# release-body.md says more, for a person.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

LAB, POINTS = "@LAB@", int("@POINTS@")
SECONDS = int(os.environ.get("GRADE_SECONDS", "@SECONDS@"))
RINGSTEP = Path(os.environ.get("CLASSROOM50_BUNDLE_DIR") or Path(__file__).parent).resolve() / "ringstep"
# The distribution's Python has the packages that apt has installed; another one may come first on the PATH.
PYTHON = next((path for path in ("/usr/bin/python3",) if os.path.exists(path)), sys.executable)
NAMES = {"classroom": "CLASSROOM", "assignment": "ASSIGNMENT", "submission": "SUBMISSION_TAG", "commit": "COMMIT_URL",
         "release": "RELEASE_URL", "review": "REVIEW_URL"}
SUDO = ["sudo", "-n"]
PROBE = "import sys; sys.path.insert(0, sys.argv[1]); from grading import sandbox; sandbox.choose(sys.argv[2])"


def write_result(score: int, tests: list[dict]) -> None:
    """In one step: whoever reads it finds it whole."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    result = {"schema": "classroom50/result/v1", **{name: os.environ.get(word, "") for name, word in NAMES.items()},
              "datetime": now, "score": score, "max-score": POINTS, "tests": tests}
    Path("result.json.partial").write_text(json.dumps(result, indent=1) + "\n")
    os.replace("result.json.partial", "result.json")


def no_grade(reason: str) -> None:
    """No points, for a reason that is none of the student's."""
    write_result(0, [{"test-name": f"lab{LAB}.grader", "passed": False, "score": 0, "max-score": POINTS}])
    said = f"{reason}\n\nThis says nothing about your kernel: please tell your instructor.\n"
    Path("release-body.md").write_text(said)
    print(said, file=sys.stderr)


def choose() -> tuple[list[str], str] | str:
    """The best sandbox that works here, with what has to stand before the grader's command; or why there is none. An
    unprivileged user may be kept from making name spaces (Ubuntu 24.04) where root is not."""
    ways = [([], "bubblewrap"), ([], "user")] if os.geteuid() == 0 else [([], "bubblewrap"), (SUDO, "bubblewrap"),
                                                                         (SUDO, "user")]
    reasons = []
    for before, name in ways:
        try:
            done = subprocess.run([*before, PYTHON, "-c", PROBE, RINGSTEP / "tools", name], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, errors="replace", timeout=120)
            if done.returncode == 0:
                return before, name
            why = [line for line in done.stderr.splitlines() if "cannot be used here" in line] or (
                done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"])
        except (OSError, subprocess.TimeoutExpired) as error:
            why = [str(error)]
        reasons.append(f"- {' '.join([*before, name])}: {why[0]}")
    return ("No sandbox works here, and without one a submission's code is not run:\n" + "\n".join(reasons) +
            "\n\nThe runner must allow bubblewrap, or be root, or have sudo without a password.")


def grade(before: list[str], sandbox: str) -> None:
    here = Path.cwd()
    closed = [RINGSTEP, here] if sandbox == "user" else []      # else that user could read them
    modes = [path.stat().st_mode & 0o7777 for path in closed]
    # timeout: what runs under sudo is not ours to end.
    command = [*before, "timeout", "--kill-after=20", str(SECONDS), PYTHON, str(RINGSTEP / "tools/grade"), LAB,
               str(here), "--format", "classroom50", "--sandbox", sandbox]
    try:
        for path, mode in zip(closed, modes):
            path.chmod(mode & ~0o007)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=RINGSTEP)
    finally:
        for path, mode in zip(closed, modes):
            path.chmod(mode)
    if done.returncode in (0, 1):
        found = json.loads(done.stdout)
        write_result(int(found["score"]), found["tests"])
        tell(found["score"], found["tests"])
    elif done.returncode in (124, 137, -9):
        no_grade(f"The grader was not finished after {SECONDS} seconds.")
    else:
        no_grade(f"The grader failed, with status {done.returncode}.")


def tell(score: int, tests: list[dict]) -> None:
    lines = [f"Lab {LAB}: {score} of {POINTS} points", "", "| check | points |", "|---|---|"]
    lines += [f"| {one['test-name']} | {one['score']} of {one['max-score']} |" for one in tests]
    lines += ["", "`make grade` in the hand-out says what was seen, where, and why it matters."]
    Path("release-body.md").write_text("\n".join(lines) + "\n")


def main() -> int:
    no_grade("The grader did not finish.")
    try:
        way = choose()
        if isinstance(way, str):
            no_grade(way)
        else:
            grade(*way)
    except Exception as error:      # whatever it is: a result must be there
        no_grade(f"The grader failed: {type(error).__name__}: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
