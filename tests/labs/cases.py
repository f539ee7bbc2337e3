# The submissions of tests/labs/NN: solutions, wrong and right ones, and kernels that only print; and grading them.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from grading.lab import Lab, find_labs, load_lab            # noqa: E402
from grading.sandbox import Sandbox, SandboxError, choose   # noqa: E402
from grading.submission import Submission                   # noqa: E402
from grading.verdicts import Grade, Status                  # noqa: E402
from grading.work import grade_one                          # noqa: E402
from layers import bug_folders, tomllib                     # noqa: E402

LABS = {number: load_lab(number) for number in find_labs()}


@dataclass
class Case:
    """One submission, and what is expected of its grade."""

    lab: Lab
    folder: Path
    kind: str                       # wrong, right, spoof
    expected: dict = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.lab.number}-{self.kind}-{self.folder.name}"


def cases(kind: str) -> list[Case]:
    """All of a kind, of all labs."""
    found = []
    for lab in LABS.values():
        for path in sorted((HERE / lab.number / kind).glob("*/expect.toml")):
            found.append(Case(lab, path.parent, kind, tomllib.loads(path.read_text())))
    return found


def files_of(case: Case, into: Path) -> dict[str, Path]:
    """The solution's files with the change that makes the case."""
    lab = case.lab
    for name in lab.files:
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(solution(lab, name), into / name)
    if "base" in case.expected:     # another case, which this one changes: 'right/NAME'
        lay(HERE / lab.number / case.expected["base"], into)
    if "bug" in case.expected:
        lay(bug_folders()[case.expected["bug"]], into)
    lay(case.folder, into)
    wanted = {*lab.files, *(name for one in lab.challenges for name in one.files)}
    return {name: into / name for name in sorted(wanted) if (into / name).is_file()} | {
        f"challenges/{name}": case.folder / "expect.toml" for name in case.expected.get("challenges", [])}


def lay(folder: Path, into: Path) -> None:
    """What a folder has of files, and then of patches."""
    for path in folder.glob("kernel/*"):
        shutil.copyfile(path, into / "kernel" / path.name)
    for patch in sorted(folder.glob("*.patch")):
        subprocess.run(["patch", "--silent", "--no-backup-if-mismatch", "-p1", "-d", into, "-i", patch], check=True)


def solution(lab: Lab, name: str) -> Path:
    """A file of the solution: the stage's own, or that of the highest stage below that has it."""
    stages = sorted(ROOT.glob("stages/[0-9][0-9]-*"), reverse=True)
    return next(stage / name for stage in stages if stage.name[:2] <= lab.number and (stage / name).is_file())


@functools.cache
def sandbox() -> Sandbox:
    """One for all: each has a user id of its own as long as its process lives, and there are three hundred."""
    try:
        return choose("bubblewrap")
    except SandboxError:
        return choose("none")


def grade(lab: Lab, name: str, files: dict[str, Path], folder: Path, seed: int = 1) -> Grade:
    """In the sandbox, where there is one."""
    return grade_one(Submission(name, files), lab, seed, sandbox(), folder)


def with_status(result: Grade, status: Status) -> list[str]:
    return [verdict.check.id for verdict in result.verdicts if verdict.status is status]


def told(result: Grade) -> str:
    """For the message of a test that fails."""
    lines = [f"{verdict.check.id}: {verdict.status.value} {verdict.seen} {verdict.where}"
             for verdict in result.verdicts if verdict.status is not Status.PASSED]
    return "\n".join([f"{result.submission}: {result.points} points {result.cause} {result.message}", *lines])
