# The tests inside the kernel (stages/*/test): each stage's kernel runs them all, with its own and those below it.
# They are also seen to fail, on the mutants that they name.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Iterator

import pytest

from harness import ROOT, boot
from layers import Variant, merge, stage_folders
from mutants import Mutant, mutants_of

pytestmark = pytest.mark.needs("qemu", "grub")

LAST = max(stage_folders())
TESTS = sorted(ROOT.glob("stages/*/test/*.c"))
MUTANTS = [pytest.param(mutant, id=f"{test.parent.parent.name[:2]}-{test.stem}-{number}")
           for test in TESTS for number, mutant in enumerate(mutants_of(test), 1)]


def selftest(stage: str, *arguments: str):
    return boot("--stage", stage, "--append", "selftest", "--timeout", "120", *arguments, timeout=180)


def check_report(output: str) -> None:
    """The report is whole: as many results as the plan says, each in its turn, and all good."""
    results = re.findall(r"^(not ok|ok) (\d+) - ", output, re.MULTILINE)
    plan = re.search(r"^1\.\.(\d+)$", output, re.MULTILINE)
    assert plan, output
    assert [int(number) for _, number in results] == list(range(1, int(plan[1]) + 1)), output
    assert not re.search(r"^not ok", output, re.MULTILINE), output


@pytest.mark.parametrize("stage", stage_folders())
def test_holds(stage: str) -> None:
    done = selftest(stage, "--cpus", "2")
    check_report(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("model, cpus", [("qemu64", 4), ("Nehalem", 1), ("EPYC", 2)])
def test_holds_on_other_cpus(model: str, cpus: int) -> None:
    done = selftest(LAST, "--cpu-model", model, "--cpus", str(cpus))
    check_report(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("emulator", ["bochs"])
def test_holds_in_bochs(emulator: str) -> None:
    done = selftest(LAST, "--emulator", emulator, "--cpus", "2")
    check_report(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_has_mutants() -> None:
    without = [test.name for test in TESTS if "TEST(" in test.read_text() and not mutants_of(test)]
    assert not without, f"never seen to fail: {without}"


@pytest.fixture(scope="module")
def layer(tmp_path_factory) -> Iterator[Path]:
    """A topmost layer with every file that some mutant changes, so that the next one rebuilds no more than those."""
    folder = tmp_path_factory.mktemp("mutant")
    yield folder
    shutil.rmtree(ROOT / "build" / Variant(LAST, layers=(folder,), test=True).name, ignore_errors=True)


def lay_mutant(folder: Path, mutant: Mutant) -> None:
    tree = merge(Variant(LAST))
    for name in sorted({mutant.file} | {param.values[0].file for param in MUTANTS}):
        source = tree[name].source.read_text()
        text = mutant.apply(source) if name == mutant.file else source
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        if not target.is_file() or target.read_text() != text:
            target.write_text(text)


@pytest.mark.heavy
@pytest.mark.parametrize("mutant", MUTANTS)
def test_notices(mutant: Mutant, layer: Path) -> None:
    """A kernel with a mistake in it fails its own tests, by a `not ok` or by a panic. One that cannot be built, or that
    hangs, shows nothing."""
    lay_mutant(layer, mutant)
    done = selftest(LAST, "--layer", str(layer), "--cpus", "2")
    assert done.returncode == 1, f"{mutant}\n{done.stdout}{done.stderr}"
