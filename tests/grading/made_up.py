# A lab that is not there, and a grader of it that does what the submission's file says: for tests of what lies around
# the grading of a kernel. SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

from grading.lab import Lab, make_lab
from grading.verdicts import Cause, Grade, Status, Verdict


def check(name: str, points: int, **more: object) -> dict:
    return {"id": name, "points": points, "title": f"The {name} holds", "why": f"It matters for the {name}.",
            "hint": "Look again.", "page": "stages/03-syscall-swapgs/README.md#entry", **more}


DATA = {"title": "A lab made up", "budget": 1, "files": ["kernel/entry.S", "kernel/pcr.h", "kernel/extra.h"],
        "required": ["kernel/entry.S", "kernel/pcr.h"],
        "check": [check("entry", 10), check("exit", 5, needs=["entry"]), check("audit", 5, emulators=["bochs"])],
        "challenge": [{"id": "kpti", "title": "Two page tables", "text": "kpti.md", "files": ["kernel/kpti.c"],
                       "check": [check("two-tables", 3)]}]}
LAB: Lab = make_lab("03", Path("/nowhere/stages/03-syscall-swapgs/lab"), DATA)
GOOD = {"kernel/entry.S": "entry\n", "kernel/pcr.h": "pcr\n"}


def write(folder: Path, files: dict[str, str] = GOOD) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def verdicts_of(wrong: bool) -> list[Verdict]:
    """One of each kind, when something is wrong."""
    entry, leave, audit, _ = LAB.checks
    if not wrong:
        return [Verdict(each, Status.PASSED, emulator="qemu") for each in (entry, leave, audit)]
    return [Verdict(entry, Status.FAILED, Cause.WRONG, "GS base was <0x10> & not the PCR\x1b[31m", "syscall_entry+0x9",
                    "qemu"),
            Verdict(leave, Status.NOT_REACHED, seen="it stands on 'entry', which did not pass"),
            Verdict(audit, Status.NOT_OBSERVABLE, seen="it can fail in bochs alone")]


def grade_one(submission, lab, seed, sandbox, folder, emulators=("qemu", "bochs")) -> Grade:
    folder.mkdir(parents=True)
    word = submission.files["kernel/entry.S"].read_text().split()[0]
    grade = Grade(submission.name, lab.number, lab.title, seed, verdicts_of(word == "wrong"),
                  notes=list(submission.notes), seconds=1.5, instructions=seed)
    if word == "crash":
        raise KeyError("the grader stumbles")
    if word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    if word == "hang":
        process = sandbox.start(["sleep", "4321"], folder, stdout=subprocess.DEVNULL)
        (submission.files["kernel/entry.S"].parents[1] / "hangs").write_text(str(process.pid))
        time.sleep(600)
    if word == "count":     # how often it was graded
        with open(os.environ["COUNT"], "a") as log:
            log.write(f"{submission.name}\n")
    return grade


def install(monkeypatch) -> None:
    """In place of the module that grades kernels."""
    module = types.ModuleType("grading.work")
    module.grade_one = grade_one
    monkeypatch.setitem(sys.modules, "grading.work", module)
