# What a person chooses who steps through a stage: its walk, and the machine. Used by tools/step, tools/gdb and
# tools/trace, so that the same words mean the same in each.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import argparse
from pathlib import Path

from layers import find_bug, stage_folders

from .bugs import load_bug
from .walk import BUG_WALK, Run, WalkError, walk_files

NO_WALK = "none"            # for the name of a walk
START = "kernel_main"       # where a stage stops without a walk


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that tools/step and tools/gdb have in common."""
    parser.add_argument("--stage", metavar="NN", help="the stage (default: the last one)")
    parser.add_argument("--walk", metavar="NAME", help="a walk of stages/NN-*/steps, a file of one (./NAME.toml), or "
                        f"{NO_WALK} (default: the first)")
    parser.add_argument("--cpus", type=int, metavar="N", help="number of CPUs (default: the walk's, else 1)")
    parser.add_argument("--memory", type=int, default=128, metavar="MIB", help="MiB of memory (default: 128)")
    parser.add_argument("--bug", default="", metavar="NAME", help="with this bug switched on")
    parser.add_argument("--layer", action="append", default=[], metavar="DIR", help="with these folders on top")
    parser.add_argument("--programs", default="", metavar="'A; B'", help="these programs, not the walk's or stage's")
    parser.add_argument("--append", default="", metavar="'WORDS'", help="more words for the kernel's command line")


def choose_walk(stage: str, name: str | None, bug: str = "") -> Path | None:
    """The file of the walk of that name; without a name the bug's, if it has one, else the stage's first."""
    files = walk_files(stage)
    if name == NO_WALK:
        return None
    if bug and not name and (find_bug(bug) / BUG_WALK).is_file():
        return find_bug(bug) / BUG_WALK
    if name and "/" in name:
        return Path(name).resolve()
    if name and name not in files:
        others = [other for other in stage_folders() if name in walk_files(other)]
        elsewhere = f"; stage {others[0]} has it" if others else ""
        raise WalkError(f"stage {stage} has no walk '{name}'{elsewhere}; it has {', '.join(files)}")
    return files[name] if name else next(iter(files.values()), None)


def machine_of(run: Run, bug: str) -> Run:
    """What the walk wants; where it wants nothing, what the bug does."""
    return load_bug(bug).run() if bug and run == Run() else run


def what_to_run(run: Run, arguments: argparse.Namespace) -> Run:
    """The same, or what a person wants instead."""
    run = machine_of(run, arguments.bug)
    programs = tuple(line for line in arguments.programs.split(";") if line.strip())
    cpus = run.cpus if arguments.cpus is None else arguments.cpus
    return Run(programs or run.programs, run.words + tuple(arguments.append.split()), cpus)
