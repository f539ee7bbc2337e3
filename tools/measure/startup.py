# How long it takes until something runs: all CPUs, the first line of a program, a build. Timed, so medians of several.
# A group of tools/measure.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Callable

from layers import ROOT, stage_folders

from . import guest
from .figures import CannotMeasure, Figures, Group, Plot, Row

RUNS = 5
WIDE = 1.3                  # times the second fastest run, for the second slowest: more, and the machine was busy
CPUS = (2, 4, 8, 16, 32, 64)
ONLINE = re.compile(r"^smp: (\d+) CPUs, after (\d+) us", re.MULTILINE)
FIRST_LINE = b"hello"       # what the program of that name begins with


def median_of(measure: Callable[[], float]) -> tuple[float, str, bool]:
    """The median of several, the words that say how far they lay apart, and whether that is too far."""
    values = sorted(measure() for _ in range(RUNS))
    return (statistics.median(values), f"median of {RUNS}, from {values[0]:.3g} to {values[-1]:.3g}",
            values[-2] > WIDE * values[1])


def add_timed(figures: Figures, key: str, what: str, measure: Callable[[], float], most: float, note: str = "") -> None:
    """A row in seconds, with a note if it says more of the machine than of ringstep."""
    middle, spread, wide = median_of(measure)
    figures.rows.append(Row(f"startup.{key}", what, "s", middle, most=most, note=f"{spread}{note}"))
    if wide:
        figures.notes.append(f"startup.{key}: its runs lie far apart: the machine was busy")


def start_cpus(cpus: int) -> float:
    """Milliseconds from the first INIT until all CPUs are in their idle loop."""
    found = ONLINE.search(guest.boot([], cpus=cpus, icount=False, options=["--module", "hello"]))
    if not found or int(found[1]) != cpus:
        raise CannotMeasure(f"not all of {cpus} CPUs came: {found[0] if found else 'no line says how many'}")
    return int(found[2]) / 1000


def add_cpus(figures: Figures) -> None:
    points = []
    for cpus in CPUS:
        middle, spread, _wide = median_of(lambda: start_cpus(cpus))      # some always wait for the host's scheduler
        points.append((cpus, middle))
        most = {2: 15.0, 16: 2 * points[0][1]}.get(cpus)
        note = spread if cpus != 16 else f"{spread}; to be at most twice that of 2 CPUs"
        figures.rows.append(Row(f"startup.cpus-{cpus}", f"from the first INIT to {cpus} CPUs in their idle loop", "ms",
                                middle, most=most, note=note))
    figures.plots.append(Plot("startup-cpus", "From the first INIT to all CPUs in their idle loop", "CPUs", "ms",
                              {"ringstep": points}, steep=True,
                              note="10.2 ms of it are the delays that the manual asks for."))


def first_line(command: list[str]) -> float:
    """Seconds from the start of a command to the first line of a program in ring 3."""
    begin = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    took, said = None, b""
    try:
        for line in process.stdout:
            said += line
            if took is None and line.startswith(FIRST_LINE):
                took = time.monotonic() - begin
        process.wait()
    finally:
        if process.poll() is None:      # Ctrl-C: make does not pass it on
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    if process.returncode != 0 or took is None:
        raise CannotMeasure(f"{' '.join(command)} failed:\n{said.decode(errors='replace')}")
    return took


def add_first_lines(figures: Figures) -> None:
    for goal, name, most in (("run", "QEMU", 1.0), ("bochs", "Bochs", 2.5)):
        if not shutil.which("bochs" if goal == "bochs" else "qemu-system-x86_64"):
            figures.notes.append(f"{name} is not installed: make doctor says what to install")
            continue
        command = ["make", "--silent", goal, "PROGRAMS=hello"]
        first_line(command)     # builds what is not yet there
        add_timed(figures, goal, f"from 'make {goal}' to the first line from ring 3, in {name}",
                  lambda: first_line(command), most, "; with GRUB")


def copy_of_sources(folder: Path) -> Path:
    """The tree without what is built, so that a clean build destroys nothing."""
    return Path(shutil.copytree(ROOT, folder / "tree", symlinks=True,
                                ignore=lambda at, names: {".git", "build"} & set(names) if at == str(ROOT) else set()))


def build(tree: Path, *words: str) -> float:
    begin = time.monotonic()
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
    done = subprocess.run(["make", "--silent", *words], cwd=tree, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, env=environment)
    if done.returncode != 0:
        raise CannotMeasure(f"make {' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return time.monotonic() - begin


def add_builds(figures: Figures) -> None:
    with tempfile.TemporaryDirectory(prefix="ringstep-bench-") as folder:
        tree = copy_of_sources(Path(folder))

        def clean_build(*words: str) -> float:
            shutil.rmtree(tree / "build", ignore_errors=True)
            return build(tree, *words)

        last = f"STAGE={max(stage_folders())}"
        for key, what, measure, most in (
            ("build-one", "clean build of the last stage", lambda: clean_build("-j2", last), 1.5),
            ("build-all", "clean build of all stages, -j2", lambda: clean_build("-j2"), 5.0),
            ("build-nothing", "make with nothing to do", lambda: build(tree), 0.2),
        ):
            add_timed(figures, key, what, measure, most)


GROUP = Group("startup", "until all CPUs run, until a program speaks, until a build is done, timed",
              [("start of the CPUs", add_cpus), ("first line from ring 3", add_first_lines), ("builds", add_builds)])
