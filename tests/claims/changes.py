# Layers that change a line or two of a stage: to break what a test claims, or to bring about what does not happen by
# itself. They are made anew from the stage's own files each time, so that they cannot fall behind them.
# Used by the tests of tests/claims and tests/matrix.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from differential.runs import Boot, boot
from harness import ROOT
from layers import Variant, merge

# The claim, and a kernel that breaks it: so that the test is seen to fail.
sound_and_broken = pytest.mark.parametrize("broken", [False, pytest.param(True, marks=pytest.mark.heavy)],
                                           ids=["sound", "broken"])


def change(stage: str, file: str, *replacements: tuple[str, str]) -> tuple[str, str]:
    """A file of a stage, as 'kernel/sched.c', with each text replaced by another. It must be there exactly once, or the
    change would be none, or another one than the test wants."""
    text = merge(Variant(stage))[file].source.read_text()
    for old, new in replacements:
        assert text.count(old) == 1, f"stage {stage}: {file} has {old!r} {text.count(old)} times: adapt this test"
        text = text.replace(old, new)
    return file, text


def layer(name: str, *files: tuple[str, str]) -> str:
    """A folder for --layer with these files. It keeps its place, so that what was built of it is found again, and two
    test processes may make the same one at once."""
    folder = ROOT / "build/changed" / name
    for file, text in files:
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.read_text() != text:
            replace(target, text)
    for path in folder.glob("*/*"):
        if str(path.relative_to(folder)) not in dict(files):
            path.unlink()
    return str(folder)


def variant(name: str, stage: str, file: str, *replacements: tuple[str, str]) -> str:
    """A layer with one changed file."""
    return layer(name, change(stage, file, *replacements))


def replace(target: Path, text: str) -> None:
    """Writes a file so that nobody sees a part of it."""
    handle, name = tempfile.mkstemp(dir=target.parents[1])
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.replace(name, target)


def attempt(stage: str, modules: list[str], *options: str, timeout: int = 30) -> Boot:
    """A run that may end in any way, except that it must have begun: a layer that cannot be built shows nothing."""
    result = boot(stage, modules, *options, timeout=timeout)
    assert result.code != 2, result.errors
    return result


def on_top(folder: str) -> list[str]:
    """The option for a layer, if there is one."""
    return ["--layer", folder] if folder else []


# Programs for these tests alone.
PROGRAMS = on_top(str(ROOT / "tests/claims/layers/programs"))
