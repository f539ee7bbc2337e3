# Unit tests of the kernel's plain C, run on the host: each tests/unit/*.c is a program that includes the real sources.
# Each is also seen to fail, on the mutants that it names.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from layers import Variant, merge, stage_folders
from mutants import Mutant, mutants_of

HERE = Path(__file__).resolve().parent
CFLAGS = """-std=gnu11 -masm=intel -fms-extensions -g -O1 -fsanitize=address,undefined
            -fno-sanitize-recover=all""".split()
WARNINGS = "-Wall -Wextra -Werror -Wno-unused-parameter".split()  # as the kernel itself is built
# The kernel frees nothing at its end, and a leak checker would want to trace the process.
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}

TESTS = sorted(HERE.glob("*.c"))
MUTANTS = [pytest.param(test, mutant, id=f"{test.stem}-{number}")
           for test in TESTS for number, mutant in enumerate(mutants_of(test), 1)]


def lay_sources(folder: Path, mutant: Mutant | None) -> None:
    """Links to the whole kernel of the last stage, with the mutant in place of the file that it changes."""
    for name, entry in merge(Variant(max(stage_folders()))).items():
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        if mutant and name == mutant.file:
            target.write_text(mutant.apply(entry.source.read_text()))
        else:
            target.symlink_to(entry.source)
    assert not mutant or (folder / mutant.file).is_file(), f"the kernel has no {mutant.file}"


def build(test: Path, folder: Path, mutant: Mutant | None = None) -> Path:
    lay_sources(folder, mutant)
    program = folder / test.stem
    includes = [f"-I{HERE / 'stubs'}", f"-I{folder}", f"-I{HERE.parent}"]
    warnings = ["-w"] if mutant else WARNINGS
    done = subprocess.run(["gcc", *CFLAGS, *warnings, *includes, "-o", program, test], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return program


def run(program: Path) -> subprocess.CompletedProcess:
    return subprocess.run([program], env=ENVIRONMENT, capture_output=True, text=True, errors="replace", timeout=300)


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.stem)
def test_holds(test: Path, tmp_path: Path) -> None:
    done = run(build(test, tmp_path))
    assert done.returncode == 0, done.stderr


@pytest.mark.heavy
@pytest.mark.parametrize("test, mutant", MUTANTS)
def test_notices(test: Path, mutant: Mutant, tmp_path: Path) -> None:
    """The same test against a source with a mistake in it. A mutant that does not compile shows nothing."""
    done = run(build(test, tmp_path, mutant))
    assert done.returncode != 0, f"{test.name} does not notice {mutant}"


def test_formats() -> None:
    """The compiler checks the arguments of a format, and knows more conversions than the kernel does."""
    wrong = []
    root = HERE.parent.parent
    for source in [*root.glob("stages/*/kernel/*.[ch]"), *root.glob("stages/*/proof/*.[ch]")]:
        for call in re.findall(r'\b(?:printk|panic|panic_begin)\(((?:\s*"(?:[^"\\]|\\.)*")+)', source.read_text()):
            rest = re.sub(r"%(?:0?\d*l?[ux]|[s%])", "", call)
            wrong += [f"{source}: {call}"] if "%" in rest else []
    assert not wrong, wrong


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.stem)
def test_has_mutants(test: Path) -> None:
    assert mutants_of(test), f"{test.name} was never seen to fail"
