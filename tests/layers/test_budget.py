# The limits on the kernel's size, as `make loc` counts it. Seen to fail: with a limit of tools/loc lowered, and here
# over a small tree with a file that is too long.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from harness import ROOT

pytestmark = pytest.mark.needs("cloc")


def loc(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([ROOT / "tools/loc", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_limits():
    done = loc()
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def small_tree(root: Path, lines: int, files: int, name: str) -> Path:
    """Stage 00 with comments and code, and stage 01 with some long files."""
    for stage, count in (("00-a", 1), ("01-b", files)):
        folder = root / "stages" / stage / "kernel"
        folder.mkdir(parents=True)
        for number in range(count):
            text = "/* a comment */\n\n" + "int x;\n" * (lines if stage == "01-b" else 10)
            (folder / f"{name}{number or ''}.c").write_text(text)
    (root / "stages/01-b/kernel/kernel.ld").write_text("/* a\n * comment */\nENTRY(x)\n")
    return root


def test_counts(tmp_path):
    """Comments and blank lines do not count; a replaced file counts once; a linker script is none of cloc's languages."""
    done = loc(str(small_tree(tmp_path, 100, 2, "gdt")))
    assert done.returncode == 0
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert rows["00-a"][1:5] == ["1", "10", "1", "10"]
    assert rows["01-b"][1:5] == ["3", "100", "3", "200"]     # gdt.c is of the lesson core, gdt1.c is not


@pytest.mark.parametrize("lines, files, name, complaint", [
    (251, 1, "x", "kernel/x.c of stage 01 is above 250 lines"),
    (250, 11, "x", "the whole kernel of stage 01 is above 2500 lines"),
    (1001, 1, "gdt", "the lesson core of stage 01 is above 1000 lines"),
])
def test_complains(tmp_path, lines, files, name, complaint):
    done = loc(str(small_tree(tmp_path, lines, files, name)))
    assert done.returncode == 1
    assert complaint in done.stderr
