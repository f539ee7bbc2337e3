# Grades one submission: builds its kernel in the sandbox, lets the lab's checks look at it, and makes a grade of what
# they say. Nothing that a student does raises an exception here. Called by campaign.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import importlib
import os
import random
import re
import shutil
import subprocess
import time
from pathlib import Path

from elftools.elf.elffile import ELFFile
from layers import ROOT
from machine import iso

from .code import Code
from .lab import Check, Lab
from .submission import Submission
from .target import Ended, Target, TooSlow
from .tree import lay_submission, ready_tree
from .verdicts import Cause, Grade, Status, Verdict

PROGRAMS = Path(__file__).resolve().parent / "programs"
BUILD_SECONDS = 120
MESSAGE_LINES = 30


class Program:
    """A pristine program for ring 3, and the addresses that its labels have."""

    def __init__(self, elf: Path):
        self.elf = elf
        with elf.open("rb") as stream:
            table = ELFFile(stream).get_section_by_name(".symtab")
            self.labels = {symbol.name: symbol["st_value"] for symbol in table.iter_symbols() if symbol.name}

    def __getitem__(self, label: str) -> int:
        return self.labels[label]


class Bench:
    """What the checks of a lab work at: one submission's kernel, machines with it, and the verdicts so far."""

    def __init__(self, lab: Lab, tree: Path, sandbox, folder: Path, seed: int, emulators: tuple[str, ...]):
        self.lab, self.tree, self.sandbox, self.folder, self.emulators = lab, tree, sandbox, folder, emulators
        self.random = random.Random(f"{lab.number} {seed}")
        self.built = tree / "build" / lab.number
        self.code = Code(self.built / "kernel.elf", tree)
        self.verdicts: dict[str, Verdict] = {}
        self.endings: list[Ended] = []
        self.instructions = 0
        self.runs = 0
        self.kept: Target | None = None     # a machine that another part of the checks can go on with

    # Machines.

    def program(self, name: str) -> Program:
        """One of programs/*.S, assembled; kept for the next submission. The student's code has no part in it."""
        source = PROGRAMS / f"{name}.S"
        elf = self.folder.parent / f"{name}.elf"
        if not elf.exists():
            partial = elf.with_suffix(f".{os.getpid()}-{id(self)}")
            subprocess.run(["gcc", "-nostdlib", "-static", "-no-pie", "-masm=intel", "-Wl,--build-id=none",
                            "-Wl,-z,noexecstack", "-Wl,-Ttext-segment=0x10000000000", "-o", str(partial), str(source)],
                           check=True)
            partial.rename(elf)
        return Program(elf)

    def image(self, folder: Path, programs: list[tuple[Path, list[str]]], words: tuple[str, ...] = ()) -> Path:
        folder.mkdir()
        return iso.make_run(self.built / "kernel.elf", [*words, "poweroff"], programs, folder)

    def new_folder(self) -> Path:
        self.runs += 1
        return self.folder / f"run{self.runs}"

    def boot(self, *programs: Program, words: tuple[str, ...] = (), cpus: int = 0, budget: int = 0,
             cpu_model: str = "", names: tuple[str, ...] = (), topology: str = "") -> Target:
        """A machine in QEMU that stands before its first instruction. The programs' lines are 'module0', ..., or
        `names`."""
        folder = self.new_folder()
        modules = [(program.elf, (names[number] if names else f"module{number}").split())
                   for number, program in enumerate(programs)]
        image = self.image(folder, modules, words)
        target = Target(self.sandbox, folder, image, cpus or self.lab.cpus, budget or self.lab.budget, self.code,
                        cpu_model, topology)
        target.bench = self
        return target

    def count(self, target: Target) -> None:
        """Adds what a machine has executed, for the figures."""
        try:
            now = target.executed()
            self.instructions += now - target.counted
            target.counted = now
        except Exception:
            pass

    # Verdicts.

    def has_failed(self, name: str) -> bool:
        return name in self.verdicts and self.verdicts[name].status is Status.FAILED

    def failures(self) -> int:
        return sum(verdict.status is Status.FAILED for verdict in self.verdicts.values())

    def passed(self, name: str, emulator: str = "qemu") -> None:
        """The check has seen what it wants; an earlier failure stays."""
        self.verdicts.setdefault(name, Verdict(self.lab.check(name), Status.PASSED, emulator=emulator))

    def failed(self, name: str, seen: str, where: int | str = "", cause: Cause = Cause.WRONG,
               emulator: str = "qemu") -> None:
        """The first thing that is wrong is what is told; `where` is an address of the kernel, or text."""
        known = self.verdicts.get(name)
        if known is None or known.status is Status.PASSED:
            place = self.code.describe(where) if isinstance(where, int) else where
            self.verdicts[name] = Verdict(self.lab.check(name), Status.FAILED, cause, seen, place, emulator)

    def ended(self, ended: Ended) -> None:
        """A run was over before its checks were; those that have said nothing are then not reached."""
        self.endings.append(ended)

    def sections(self, *sections) -> None:
        """Runs parts of a lab's checks one after the other; where one run ends early the next part still has its
        own."""
        for section in sections:
            try:
                section(self)
            except Ended as ended:
                self.ended(ended)
            except LookupError as error:    # an address that a submission has put somewhere leads nowhere
                self.ended(Ended(Cause.WRONG, str(error)))

    def result(self, challenges: tuple[str, ...] = ()) -> list[Verdict]:
        """The verdicts in the order of lab.toml. What nobody has said anything of was not reached; whether that is a
        failure or the consequence of another one, `needs` tells."""
        verdicts: dict[str, Verdict] = {}
        for check in self.lab.checks:
            if not check.challenge or check.challenge in challenges:
                verdicts[check.id] = self.verdict_of(check, verdicts)
        return list(verdicts.values())

    def verdict_of(self, check: Check, earlier: dict[str, Verdict]) -> Verdict:
        if not set(check.emulators) & set(self.emulators):
            return Verdict(check, Status.NOT_OBSERVABLE, seen=f"it can fail in {' and '.join(check.emulators)} alone")
        broken = [name for name in check.needs if earlier[name].status is not Status.PASSED]
        if broken:
            return Verdict(check, Status.NOT_REACHED, seen=f"it stands on '{broken[0]}', which did not pass")
        found = self.verdicts.get(check.id)
        if found:
            return found
        if self.endings:
            ended = self.endings[0]
            return Verdict(check, Status.NOT_REACHED, ended.cause, f"the run was over before: {ended.text}")
        return Verdict(check, Status.NOT_REACHED, seen="nothing that it looks at has happened")


def grade_one(submission: Submission, lab: Lab, seed: int, sandbox, folder: Path,
              emulators: tuple[str, ...] = ("qemu", "bochs")) -> Grade:
    """Grades one submission in a folder of its own, which is made and emptied here."""
    begin = time.monotonic()
    grade = Grade(submission.name, lab.number, lab.title, seed, notes=list(submission.notes))
    challenges = tuple(one.id for one in lab.challenges if f"challenges/{one.id}" in submission.files)
    flags = tuple(flag for one in lab.challenges if one.id in challenges for flag in one.flags)
    folder.mkdir(parents=True)
    try:
        tree = folder / "tree"
        lay_submission(ready_tree(lab, flags), submission.files, tree, lab)
        problem = build(lab, tree, sandbox, flags)
        if problem:
            nothing(grade, lab, challenges, Cause.NO_BUILD, problem)
        else:
            look(grade, lab, tree, sandbox, folder, seed, emulators, challenges)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    grade.seconds = time.monotonic() - begin
    return grade


def look(grade: Grade, lab: Lab, tree: Path, sandbox, folder: Path, seed: int, emulators: tuple[str, ...],
         challenges: tuple[str, ...]) -> None:
    bench = Bench(lab, tree, sandbox, folder, seed, emulators)
    bench.challenges = challenges
    checks = importlib.import_module(f"grading.lab{lab.number}")
    try:
        checks.run(bench)
    except Ended as ended:
        bench.ended(ended)
    except LookupError as error:        # a table or a stack is where no memory is, and nothing can be seen any more
        bench.ended(Ended(Cause.WRONG, f"the kernel's state could not be followed: {error}"))
    except TooSlow as error:
        grade.cause, grade.message = Cause.GRADER, str(error)
    finally:
        if bench.kept:
            bench.kept.close()
    grade.verdicts = bench.result(challenges)
    grade.instructions = bench.instructions
    if bench.endings and not grade.cause:
        grade.cause, grade.message = bench.endings[0].cause, bench.endings[0].text


def nothing(grade: Grade, lab: Lab, challenges: tuple[str, ...], cause: Cause, message: str) -> None:
    """No check was reached."""
    grade.cause, grade.message = cause, message
    grade.verdicts = [Verdict(check, Status.NOT_REACHED, cause) for check in lab.checks
                      if not check.challenge or check.challenge in challenges]


def build(lab: Lab, tree: Path, sandbox, flags: tuple[str, ...]) -> str:
    """Builds the kernel in the sandbox; gives the compiler's message if it cannot be built."""
    command = ["make", "--silent", "-f", "tools/build.mk", "-j2", f"STAGE={lab.number}"]
    command += [f"LAB_CFLAGS={' '.join(flags)}"] if flags else []
    process = sandbox.start(command, tree, cwd=tree, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    try:
        output = process.communicate(timeout=BUILD_SECONDS)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return f"the build was not finished after {BUILD_SECONDS} seconds"
    missing = missing_symbols(lab, tree) if process.returncode == 0 else ""
    if process.returncode != 0 or missing:
        lines = [line.replace(f"{tree}/", "").replace(f"build/{lab.number}/src/", "")
                 for line in output.splitlines() if not re.match(r"make(\[\d+\])?: ", line)]
        return missing or "\n".join(lines[:MESSAGE_LINES]) or f"make ended with status {process.returncode}"
    return ""


def missing_symbols(lab: Lab, tree: Path) -> str:
    """The names that lab.toml wants to stay are there, and what was built is a kernel that can be read."""
    try:
        words = (tree / "build" / lab.number / "kernel.sym").read_text().split()
        ELFFile((tree / "build" / lab.number / "kernel.elf").open("rb"))
    except Exception as error:
        return f"what was built is no kernel: {error}"
    gone = [f"{name} ({who})" for name, who in lab.symbols.items() if name not in words]
    return f"these symbols must stay and are gone: {', '.join(gone)}" if gone else ""
