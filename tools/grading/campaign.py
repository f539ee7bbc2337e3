# Grades submissions: reads each, has it graded in a process of its own, several at once, and keeps what was found.
# Neither a submission nor a failure of the grader on it stops the rest. Called by tools/grade.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import ctypes
import hashlib
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Callable, Iterator

from layers import ROOT

from .formats import as_json
from .lab import Lab
from .sandbox import Sandbox
from .submission import Refused, digest, name_of, read_submission
from .verdicts import Cause, Grade, Status, Verdict

PATIENCE = 1800         # seconds for one submission: many times what the budgets take on the slowest machine
POLITE = 10             # seconds for a process to end when it is told to
PR_SET_PDEATHSIG = 1
FORK = multiprocessing.get_context("fork")


@dataclass
class Job:
    """One submission: where it is, and where its result is kept."""

    path: Path
    name: str
    result: Path
    process: multiprocessing.process.BaseProcess | None = None
    begin: float = 0.0


@dataclass
class Campaign:
    """What all submissions have in common."""

    lab: Lab
    seed: int
    sandbox: Sandbox
    emulators: tuple[str, ...]
    work: Path                  # a folder of this run alone, for all that is temporary
    out: Path | None = None     # where results are kept

    def __post_init__(self) -> None:
        self.grader = fingerprint(self.emulators)

    def jobs(self, paths: list[Path]) -> list[Job]:
        """Names are made different, and fit for a file."""
        found: list[Job] = []
        for path in paths:
            base = re.sub(r"[^A-Za-z0-9_.-]", "_", name_of(path)).lstrip(".") or "submission"
            taken = {job.name for job in found} | {"summary", "campaign"}
            name = next(name for name in (base, *(f"{base}-{number}" for number in range(2, len(paths) + 3)))
                        if name not in taken)
            found.append(Job(path, name, (self.out or self.work / "results") / f"{name}.json"))
        return found

    def key(self, contents: str) -> str:
        return hashlib.sha256(f"{contents} {self.grader} {self.lab.number} {self.seed}".encode()).hexdigest()

    def run(self, jobs: list[Job], at_once: int, done: Callable[[Grade], None]) -> list[Grade]:
        """Grades them all; `done` is told of each as it is finished. Whatever ends this ends all processes."""
        waiting, running = list(jobs), []
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    running.append(self.begin(waiting.pop(0)))
                wait([job.process.sentinel for job in running], timeout=1)
                for job in [job for job in running if self.over(job)]:
                    running.remove(job)
                    done(self.grade_of(job))
        finally:
            end(running)
        return [self.grade_of(job) for job in jobs]

    def begin(self, job: Job) -> Job:
        job.process = FORK.Process(target=in_child, args=(self, job, os.getpid()))
        job.begin = time.monotonic()
        job.process.start()
        return job

    def over(self, job: Job) -> bool:
        if job.process.is_alive() and time.monotonic() - job.begin < PATIENCE:
            return False
        late = job.process.is_alive()
        end([job])
        if late or job.process.exitcode != 0:
            said = f"it was not finished after {PATIENCE} seconds" if late else \
                f"its process ended with status {job.process.exitcode}"
            save(job, grader_failed(self, job.name, said), "")
        return True

    def grade_of(self, job: Job) -> Grade:
        return as_json.from_dict(json.loads(job.result.read_text()), self.lab)

    # In the child.

    def grade(self, job: Job) -> None:
        """Leaves a result, or ends with an exception."""
        self.sandbox.separate()
        folder = self.work / f"submission-{job.name}"
        folder.mkdir(mode=0o700)
        try:
            submission = read_submission(job.path, self.lab, folder)
        except Refused as refused:
            save(job, without_grade(self, job.name, Cause.REFUSED, str(refused)), "")
            return
        submission.name = job.name
        key = self.key(digest(submission))
        if self.out and kept(job, key):
            return
        from .work import grade_one     # late: it wants the emulators' tools
        grade = grade_one(submission, self.lab, self.seed, self.sandbox, self.work / f"work-{job.name}", self.emulators)
        save(job, grade, key)
        shutil.rmtree(folder, ignore_errors=True)


def in_child(campaign: Campaign, job: Job, parent: int) -> None:
    """The child's life. It ends when its parent does, and with it all that it has started."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGINT, signal.SIG_IGN)    # Ctrl-C is the parent's, who tells us
    if os.getppid() != parent:
        return
    try:
        campaign.grade(job)
    except Exception as error:
        text = traceback.format_exc()
        save(job, grader_failed(campaign, job.name, f"{type(error).__name__}: {error}\n{text}"), "")


def end(jobs: list[Job]) -> None:
    """First politely, so that each can remove its folder."""
    for job in jobs:
        job.process.terminate()
    for job in jobs:
        job.process.join(POLITE)
        if job.process.is_alive():
            job.process.kill()
            job.process.join()


def without_grade(campaign: Campaign, name: str, cause: Cause, message: str) -> Grade:
    lab = campaign.lab
    verdicts = [Verdict(check, Status.NOT_REACHED, cause) for check in lab.checks if not check.challenge]
    return Grade(name, lab.number, lab.title, campaign.seed, verdicts, cause, message)


def grader_failed(campaign: Campaign, name: str, message: str) -> Grade:
    return without_grade(campaign, name, Cause.GRADER,
                         f"this says nothing of the submission; grade it again. {message}")


def save(job: Job, grade: Grade, key: str) -> None:
    """Under its name only once it is whole."""
    job.result.parent.mkdir(parents=True, exist_ok=True)
    partial = job.result.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps({**as_json.to_dict(grade), "key": key}, indent=1) + "\n")
    partial.rename(job.result)


def kept(job: Job, key: str) -> bool:
    """Is there a result of just this? One for which the grader is to blame is none."""
    try:
        data = json.loads(job.result.read_text())
        return data["key"] == key and data["cause"] != Cause.GRADER.value
    except (OSError, ValueError, KeyError, TypeError):
        return False


def fingerprint(emulators: tuple[str, ...], root: Path = ROOT) -> str:
    """Changes when the grader does: its code, the stages, the tools that it runs."""
    result = hashlib.sha256()
    for path in sources(root):
        result.update(f"{path.relative_to(root)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    for command in ("gcc", *({"qemu": "qemu-system-x86_64"}.get(name, name) for name in emulators)):
        if shutil.which(command):
            result.update(subprocess.run([command, "--help" if command == "bochs" else "--version"], text=True,
                                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                         errors="replace").stdout.encode())
    return result.hexdigest()


def sources(root: Path) -> Iterator[Path]:
    for top in ("tools", "stages"):
        yield from sorted(path for path in (root / top).rglob("*")
                          if path.is_file() and "__pycache__" not in path.parts)
