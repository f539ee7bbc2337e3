# The kernel's parsers against bytes that libFuzzer makes up: 15 seconds each, from a corpus that real boots have left.
# And each target is seen to fail: a kernel with a check taken out is found within the same time.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
from fuzz.fuzzing import CORPUS, HERE, TARGETS, build, run
from unit.mutants import Mutant, mutants_of

SECONDS = 15
SEED = 1                # for the mutants: what is found today is found tomorrow
MUTANTS = [pytest.param(target, mutant, id=f"{target}-{number}")
           for target in TARGETS for number, mutant in enumerate(mutants_of(HERE / f"{target}.c"), 1)]
pytestmark = [pytest.mark.heavy, pytest.mark.needs("clang", "compiler-rt")]


@pytest.mark.parametrize("target", TARGETS)
def test_holds(target: str, tmp_path, record_property) -> None:
    result = run(build(target, tmp_path), SECONDS, tmp_path / "found")
    record_property("executions", result.executions)
    record_property("edges", result.edges)
    assert result.sound, result.log[-6000:]
    assert result.executions > 1000, "it has hardly run: " + result.log[-2000:]


@pytest.mark.parametrize("target, mutant", MUTANTS)
def test_finds(target: str, mutant: Mutant, tmp_path) -> None:
    result = run(build(target, tmp_path, mutant=mutant), SECONDS, tmp_path / "found", SEED)
    assert not result.sound, f"{target}.c does not find {mutant} within {SECONDS} seconds"


@pytest.mark.parametrize("target", TARGETS)
def test_has_corpus_and_mutants(target: str) -> None:
    assert any((CORPUS / target).iterdir()) and mutants_of(HERE / f"{target}.c")
