# The course ISO, started as a person does it: by the keyboard, in the menu, which is on the serial port as well.
# SPDX-License-Identifier: MIT
#
# Seen to fail: with an entry of grub.cfg renamed, with the programs left out of tools/course-iso, with the EFI modules
# left out of it.
from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from typing import Iterator

import pexpect
import pytest
from harness import BOOT, ROOT

TITLES = re.findall(r'^menuentry "(.*?)"', (ROOT / "grub.cfg").read_text(), re.MULTILINE)
STAGES = sorted(path.name[:2] for path in (ROOT / "stages").glob("[0-9][0-9]-*"))
UP = "\x10"     # GRUB takes Ctrl-P as well; the codes of the arrow keys could be torn apart on the way
END = {"00": "nothing to run before stage 01"}


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> str:
    iso = tmp_path_factory.mktemp("course") / "course.iso"
    subprocess.run(["make", "--silent", "all"], cwd=ROOT, stdin=subprocess.DEVNULL, check=True)
    subprocess.run([sys.executable, ROOT / "tools/course-iso", iso], check=True, stdout=subprocess.DEVNULL)
    return str(iso)


@contextmanager
def menu(iso: str, *options: str) -> Iterator[pexpect.spawn]:
    """A terminal on a machine that shows the menu, with the last entry selected."""
    words = [*BOOT[1:], "--iso", iso, "--interactive", "--cpus", "2", *options]
    terminal = pexpect.spawn(BOOT[0], words, timeout=90, encoding="latin-1", dimensions=(40, 120))
    try:
        terminal.expect("executed automatically in")
        yield terminal
    finally:
        terminal.close(force=True)


def select(terminal: pexpect.spawn, stage: str) -> None:
    """Goes up to a stage's entry, and waits at each step for the mark on the line."""
    for number in reversed(STAGES[STAGES.index(stage):-1]):
        terminal.send(UP)
        terminal.expect(rf"\*{number} ")
    terminal.send("\r")


def test_menu_has_every_stage(course):
    assert [title[:2] for title in TITLES] == STAGES
    with menu(course) as terminal:
        for title in TITLES:
            assert title in terminal.before


@pytest.mark.parametrize("stage", STAGES)
def test_each_entry_starts_its_stage(course, stage):
    """And runs the programs of the stage's own list."""
    with menu(course) as terminal:
        select(terminal, stage)
        terminal.expect(f"ringstep, stage {stage}: ")
        terminal.expect(END.get(stage, "all programs have ended"))
        listing = next(ROOT.glob(f"stages/{stage}-*/programs"), None)
        for line in listing.read_text().splitlines() if listing else []:
            if line and not line.startswith("#"):
                name = re.sub(r" copies=\d+", "", line)
                assert f"({name}): exit " in terminal.before, name


@pytest.mark.needs("grub-efi", "ovmf")
@pytest.mark.parametrize("stage", ["00", STAGES[-1]])
def test_by_efi(course, stage):
    """EFI has no text screen and another RSDP; COM1 is all the kernel has, and it finds all CPUs none the less."""
    with menu(course, "--firmware", "efi") as terminal:
        select(terminal, stage)
        terminal.expect(f"ringstep, stage {stage}: ")
        if stage != "00":
            terminal.expect("smp: 2 CPUs")
        terminal.expect(END.get(stage, "all programs have ended"))
