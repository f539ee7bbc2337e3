# The numbers of asserts.c hold for the last stage, and for each mutant that it names the compiler refuses it there.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from layers import Variant, lay, stage_folders
from machine.prepare import boot
from machine.structures import Structures
from checker.image import Image
from unit.mutants import Mutant, mutants_of

HERE = Path(__file__).resolve().parent
TEST = HERE / "asserts.c"
LAST = max(stage_folders())
# As tools/build.mk compiles the kernel, as far as sizes and offsets go.
FLAGS = """-std=gnu11 -ffreestanding -O2 -w -masm=intel -fms-extensions -mcmodel=kernel -mno-red-zone
           -mgeneral-regs-only -fno-pie -fsyntax-only""".split()
MUTANTS = mutants_of(TEST)


def compile_with(folder: Path, compiler: str = "gcc") -> subprocess.CompletedProcess:
    return subprocess.run([compiler, *FLAGS, f"-I{folder}", str(TEST)], capture_output=True, text=True)


@pytest.mark.parametrize("compiler", ["gcc", pytest.param("clang", marks=pytest.mark.needs("clang"))])
def test_numbers_agree(compiler: str):
    done = compile_with(lay(Variant(LAST)) / "src", compiler)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("mutant", MUTANTS, ids=[f"{number}-{one.new[:24]}" for number, one in enumerate(MUTANTS, 1)])
def test_mutant_is_noticed(mutant: Mutant, tmp_path: Path):
    """By an assertion of asserts.c itself: what the kernel asserts as well is taken out of it."""
    for path in (lay(Variant(LAST)) / "src").glob("*/*"):
        target = tmp_path / path.parent.name / path.name
        target.parent.mkdir(exist_ok=True)
        if path.suffix in (".c", ".h"):
            text = path.read_text()
            text = mutant.apply(text) if f"{path.parent.name}/{path.name}" == mutant.file else text
            target.write_text(re.sub(r"^_Static_assert\((?:.|\n)*?\);$", "", text, flags=re.MULTILINE))
    done = compile_with(tmp_path)
    assert done.returncode and "asserts.c" in done.stderr and "static assertion failed" in done.stderr, done.stderr


def test_trampoline_fits_its_page():
    """The copy goes to one page, and its far jump and GDT count from there."""
    image = Image(boot.build(Variant(LAST)) / "kernel.elf")
    size = image.need("ap_trampoline_end") - image.need("ap_trampoline")
    assert 0 < size <= 0x1000


def test_layout_as_it_was_built():
    """The same offsets in the kernel that runs, by its debugging information."""
    known = Structures(boot.build(Variant(LAST)) / "kernel.elf")
    assert known.size("pcr") == 0x1000 and known.member("pcr", "tss.rsp0")[0] == 88
    assert known.member("pcr", "user_rsp")[0] == 8 and known.size("trap_frame") == 176
