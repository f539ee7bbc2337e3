# How long the switch between two stacks takes, natively and alone: stage 04's, a faster one that keeps RFLAGS as well,
# and what others use. A program of the host (bench/native) switches in user mode; the figures are ratios to the plain
# switch. A group of tools/measure.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from layers import ROOT

from .figures import CannotMeasure, Figures, Group, Row

FOLDER = ROOT / "build/bench/native"
ROUNDS = 501
TIMEOUT = 300
WIDE = 0.2      # half of the rounds lie further apart than this part of the median: the machine was not quiet
OTHERS = "others"
BOOST = "not measured: Boost is not installed (Debian: apt-get install libboost-context-dev)"

Samples = dict[str, list[float]]    # nanoseconds per switch, one for each round


@dataclass(frozen=True)
class Way:
    """One way to switch: its name in native.c, what the table says of it, and its goal, in plain switches."""

    name: str
    what: str
    most: float | None = None

    @property
    def ours(self) -> bool:
        """Whether it is a switch of ringstep's; a column apart has what others use."""
        return self.name.startswith(("stage-04", "fast"))


WAYS = [
    Way("plain", "plain switch: six registers, RFLAGS not kept"),
    Way("stage-04", "stage 04's switch: pushfq, popfq"),
    Way("stage-04-df", "stage 04's switch, DF set on one of the two stacks"),
    Way("stage-04-ac", "stage 04's switch, AC set on one of the two stacks"),
    Way("fast", "last stage's switch: popfq only when flags differ", most=1.6),
    Way("fast-df", "last stage's switch, DF set on one of the two stacks"),
    Way("fast-ac", "last stage's switch, AC set on one of the two stacks"),
    Way("push-again", "another form of it: flags popped, and pushed again for popfq"),
    Way("jump-away", "another form of it: popfq behind the end"),
    Way("equal-status", "another form of it: status flags made equal, whole words compared"),
    Way("linux", "shape of Linux' __switch_to_asm (RFLAGS not kept)"),
    Way("linux-rsb", "shape of Linux' __switch_to_asm, the return predictor filled at each switch"),
    Way("redox", "shape of Redox' switch (RFLAGS kept)"),
    Way("boost", "Boost.Context jump_fcontext (RFLAGS not kept)"),
    Way("swapcontext", "glibc swapcontext (RFLAGS not kept, a system call)"),
    Way("call", "call and return alone: they, and the loop, are in all of these figures"),
]


def build(folder: Path = FOLDER, *settings: str) -> Path:
    """The program, built. Settings are those of native.mk: stage_04.S=FILE is another source for one of the ways."""
    if platform.machine() not in ("x86_64", "AMD64"):
        raise CannotMeasure(f"native switches are x86-64 code, and this machine is {platform.machine()}")
    command = ["make", "--silent", "-f", "bench/native/native.mk", f"OUT={folder}", *settings]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotMeasure(f"bench/native cannot be built (tools/setup bench installs what it needs):\n{done.stderr}")
    return folder / "native"


def on_one_cpu(command: list[str]) -> list[str]:
    """The command, kept on one CPU: the last of those that we may use, since the first one tends to have the
    interrupts."""
    if not shutil.which("taskset"):
        raise CannotMeasure("taskset is missing (Debian: apt-get install util-linux)")
    return ["taskset", "--cpu-list", str(max(os.sched_getaffinity(0))), *command]


def run(program: Path, argument: str) -> subprocess.CompletedProcess:
    return subprocess.run(on_one_cpu([str(program), argument]), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=TIMEOUT)


def parse(text: str) -> dict[str, dict]:
    """The lines of the program, by the name of the way."""
    return {line["name"]: line for line in map(json.loads, text.splitlines())}


def check(program: Path) -> dict[str, dict]:
    """What each way keeps. A mistake in one is no figure."""
    done = run(program, "--check")
    if done.returncode != 0:
        raise CannotMeasure(f"{program} --check ended with {done.returncode}: a switch loses registers or flags\n"
                            f"{done.stdout}{done.stderr}")
    return parse(done.stdout)


def measure(program: Path, rounds: int = ROUNDS) -> Samples:
    done = run(program, str(rounds))
    if done.returncode != 0:
        raise CannotMeasure(f"{program} ended with {done.returncode}:\n{done.stderr}")
    return {name: line["nanoseconds"] for name, line in parse(done.stdout).items()}


def ratios(samples: Samples, name: str, to: str) -> list[float]:
    """Round by round: what slowed the machine down in one round slowed both."""
    return [ours / theirs for ours, theirs in zip(samples[name], samples[to], strict=True)]


def is_wide(values: list[float]) -> bool:
    first, middle, third = quantiles(values, n=4)
    return third - first > WIDE * middle


def describe(nanoseconds: list[float]) -> str:
    first, middle, third = quantiles(nanoseconds, n=4)
    return f"{middle:.2f} ns (half of the rounds {first:.2f} to {third:.2f})"


def row(samples: Samples, way: Way) -> Row:
    made = Row(f"native.{way.name}", way.what, "x plain", None, most=way.most)
    if way.name in samples:
        figure = round(median(ratios(samples, way.name, "plain")), 3)
        if way.ours:
            made.ours = figure
        else:
            made.peers[OTHERS] = figure
        made.note = describe(samples[way.name])
    elif way.name == "boost":
        made.note = BOOST
    return made


def fast_to_redox(samples: Samples) -> Row:
    return Row("native.fast-to-redox", "last stage's switch, to the shape of Redox' switch",
               "x Redox", round(median(ratios(samples, "fast", "redox")), 3), most=0.5)


def add_rows(figures: Figures, samples: Samples) -> None:
    figures.rows += [row(samples, way) for way in WAYS]
    figures.rows.append(fast_to_redox(samples))
    wide = [name for name in samples if is_wide(ratios(samples, name, "plain")) or is_wide(samples[name])]
    if wide:
        figures.notes.append(f"native: the rounds of {', '.join(wide)} lie far apart: the machine was busy")
    if "boost" not in samples:
        figures.notes.append(f"native.boost: {BOOST}")


def add_check(figures: Figures) -> None:
    check(build())


def add_times(figures: Figures) -> None:
    add_rows(figures, measure(build()))


GROUP = Group("native", "the switch between two stacks alone, natively, in user mode",
              [("what the switches keep", add_check), ("how long they take", add_times)])
