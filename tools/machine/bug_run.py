# Provokes a bug: the command of tools/boot for its scenario, or its walk, followed without a person. The same for the
# sound kernel, which gets what the bug's folder brings along, and not what is wrong with it.
# Used by tools/bugs and tests/bugs. docs/maintaining/adding-a-bug.md says what a scenario is.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from layers import ROOT

from . import bochs, qemu
from .bugs import Bug
from .expression import ExpressionError, View
from .prepare import prepare, variant_of
from .run import MachineError, NotInTime, Request, stop
from .walk import Debugger, Finding, Kernel, Point, WalkError, findings, follow

# What of a bug's folder belongs to the scenario. kernel/ and the patches are the mistake.
BROUGHT = ("user", "proof", "test")
PATIENCE = 60       # seconds until a machine that does not come to a point of a walk is taken for stuck


@dataclass(frozen=True)
class Stop:
    """What was found at one point of a walk."""

    point: Point
    view: View
    kernel: Kernel
    findings: tuple[Finding, ...]


def scenario_layer(bug: Bug) -> list[Path]:
    """What the bug's folder brings along as a layer of its own, if it brings anything."""
    folder = ROOT / "build/scenarios" / bug.name
    brought = [part for part in BROUGHT if (bug.folder / part).is_dir()]
    for part in BROUGHT:
        link = folder / part
        wanted = os.path.relpath(bug.folder / part, folder) if part in brought else None
        if os.path.islink(link) and os.readlink(link) == wanted:
            continue
        link.unlink(missing_ok=True)
        if wanted:
            folder.mkdir(parents=True, exist_ok=True)
            os.symlink(wanted, link)
    return [folder] if brought else []


def boot_command(bug: Bug, emulator: str, sound: bool = False) -> list[str]:
    """The scenario as a command. Options that come behind it win over those within."""
    scenario = bug.scenario
    command = [sys.executable, str(ROOT / "tools/boot"), "--stage", scenario.stage, "--emulator", emulator,
               "--cpus", str(scenario.cpus), "--timeout", f"{scenario.timeout:g}"]
    if sound:
        command += [word for layer in scenario_layer(bug) for word in ("--layer", str(layer))]
    else:
        command += ["--bug", bug.name]
    if scenario.memory:
        command += ["--memory", str(scenario.memory)]
    if scenario.icount and emulator == "qemu":
        command.append("--icount")
    return command


def what_runs(bug: Bug) -> list[str]:
    """The other half of the command: programs and words. These add up, so a person's own come in their place."""
    words = [word for program in bug.scenario.programs for word in ("--module", program)]
    return words + (["--append", " ".join(bug.scenario.words)] if bug.scenario.words else [])


def follow_walk(bug: Bug, emulator: str, sound: bool = False) -> Iterator[Stop]:
    """Goes the bug's walk, and gives what is found at each point. Raises a MachineError or a WalkError where a point is
    not to be reached."""
    walk = bug.walk()
    if not walk:
        raise WalkError(f"bug '{bug.name}' has no walk")
    with tempfile.TemporaryDirectory(prefix="ringstep-bugs-") as folder:
        with debugger_for(bug, emulator, sound, Path(folder)) as (debugger, kernel):
            for point, view in follow(walk, kernel, debugger):
                yield Stop(point, view, kernel, tuple(findings(point, view)))


@contextmanager
def debugger_for(bug: Bug, emulator: str, sound: bool, folder: Path) -> Iterator[tuple[Debugger, Kernel]]:
    """A machine that stands at its first instruction, with the scenario in it."""
    layers = [str(layer) for layer in scenario_layer(bug)] if sound else []
    variant = variant_of(bug.scenario.stage, "" if sound else bug.name, layers)
    options = {"memory": bug.scenario.memory} if bug.scenario.memory else {}
    request, elf = prepare(variant, folder, bug.run(), **options)
    with (in_bochs if emulator == "bochs" else in_qemu)(request, elf) as debugger:
        yield debugger, Kernel(elf)


@contextmanager
def in_bochs(request: Request, elf: Path) -> Iterator[Debugger]:
    from .bochs_debugger import BochsDebugger       # it wants pexpect, which QEMU's half can do without
    bochs.check(request)
    debugger = BochsDebugger(request, elf)
    try:
        yield debugger
    finally:
        debugger.close()


@contextmanager
def in_qemu(request: Request, elf: Path) -> Iterator[Debugger]:
    from .gdbstub import Gdbstub
    request.gdb = str(request.folder / "gdb")
    qemu.check(request)
    machine = qemu.run(request)
    try:
        debugger = Gdbstub(request.gdb, PATIENCE)
        try:
            yield debugger
        finally:
            debugger.close()
    finally:
        stop(machine.process)


def judge_walk(bug: Bug, emulator: str) -> list[str]:
    """What is otherwise than the walk says, with the bug."""
    wrong = []
    try:
        for stop_ in follow_walk(bug, emulator):
            wrong += [f"{stop_.point.at}: {finding.expected}: {finding.seen}"
                      for finding in stop_.findings if not finding.holds]
    except (MachineError, WalkError, ExpressionError) as error:
        wrong.append(str(error))
    return wrong


def judge_sound_walk(bug: Bug, emulator: str) -> list[str]:
    """The same with the sound kernel, where the expectation that is named must not hold, or a point must be out of
    reach."""
    differs = bug.symptoms[emulator].differs
    try:
        for stop_ in follow_walk(bug, emulator, sound=True):
            if any(finding.expected == differs and not finding.holds for finding in stop_.findings):
                return []
    except NotInTime as error:
        return [str(error)]     # of a busy host it says nothing
    except (MachineError, WalkError, ExpressionError) as error:
        return [] if not differs else [f"the sound kernel does not come where '{differs}' is looked at: {error}"]
    return [f"'{differs}' holds everywhere, as with the bug" if differs else "every point is reached, as with the bug"]
