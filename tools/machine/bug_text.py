# The words about a bug: a line for the list, a paragraph for each thing that bug.toml says. Used by tools/bugs.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import textwrap

from .bugs import EMULATORS, Bug, invariants, load_bugs
from .walk import Finding

WIDTH = 100


def say(text: str = "") -> None:
    print(text, flush=True)


def title_line(text: str) -> str:
    return f"----- {text} ".ljust(WIDTH, "-")


def print_list() -> None:
    """A line for each: where it is, whether each emulator shows it, what it is about."""
    bugs = load_bugs()
    width = max((len(bug.name) for bug in bugs), default=0)
    say(f"{'':10}{'bug':{width}}  QEMU  Bochs  the mistake")
    for number, bug in enumerate(bugs):
        first = not number or bugs[number - 1].stage_folder != bug.stage_folder
        shown = [("-" if bug.symptoms[name].not_observable else "yes") for name in EMULATORS]
        stage = f"stage {bug.stage_folder.name[:2]}" if first else ""
        say(f"{stage:10}{bug.name:{width}}  {shown[0]:4}  {shown[1]:5}  {bug.title}")
    say(f"\n{len(bugs)} bugs. make bugs BUG=NAME tells about one; make run BUG=NAME, make bochs BUG=NAME run it;\n"
        "make diff BUG=NAME shows the mistake.")


def fill(label: str, text: str) -> str:
    """A paragraph with its heading before the first line."""
    return textwrap.fill(" ".join(text.split()), WIDTH, initial_indent=f"  {label:10}", subsequent_indent=" " * 12,
                         break_on_hyphens=False)        # bugs' names have hyphens


def print_about(bug: Bug) -> None:
    names = invariants()
    say(f"{bug.name}, stage {bug.stage_folder.name[:2]}: {bug.title}")
    say(fill("mistake", bug.mistake))
    for number, who in enumerate(bug.who):
        say(fill("made by" if not number else "", who))
    broken = "; ".join(f"invariant {number}, {names[number]}" for number in bug.breaks)
    say(fill("breaks", f"{broken or 'none of the invariants'} (docs/invariants.md)"))
    say(fill("see it", f"make diff BUG={bug.name}"))


def print_whole(bug: Bug) -> None:
    """All that bug.toml says."""
    print_about(bug)
    say(fill("look for", bug.look))
    told = {shown: bug.symptoms[emulator].happens or f"not to be observed: {bug.symptoms[emulator].not_observable}"
            for emulator, shown in EMULATORS.items()}
    if len(set(told.values())) == 1:
        say(fill("in both", *set(told.values())))
    else:
        for shown, text in told.items():
            say(fill(f"in {shown}", text))
    for command in ("run", "bochs", *["step"] * bool(bug.walk())):
        say(fill("try it" if command == "run" else "", f"make {command} BUG={bug.name}"))


def finding_text(finding: Finding) -> str:
    """What was expected, and beside it or below what was seen."""
    text = f"      {'' if finding.holds else 'NOT SO: '}{finding.expected}"
    wide = len(finding.expected) > 40
    return f"{text}\n{'':10}({finding.seen})" if wide else f"{text:<50}({finding.seen})"
