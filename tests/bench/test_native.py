# The program that measures switches natively: each way keeps what it is to keep, and a broken one is noticed before
# it is timed. What is made of the times is tested with times that are made up.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path

import pytest
from harness import ROOT
from measure import native
from measure.figures import CannotMeasure, Figures
from unit.mutants import Mutant

STAGE_04 = "stages/04-switch-rflags/kernel/switch.S"
FAST = "stages/05-smp/kernel/switch.S"
KEEP_FLAGS = {"stage-04", "stage-04-df", "stage-04-ac", "fast", "fast-df", "fast-ac", "push-again", "jump-away",
              "equal-status", "redox"}
# The way that a source is for, and what to change in it.
MUTANTS = [
    ("plain", Mutant("bench/native/plain.S", "push r14 push r15", "push r15; push r14")),
    ("stage_04", Mutant(STAGE_04, "popfq", "add rsp, 8")),
    ("stage_04", Mutant(STAGE_04, "pop r13 pop r12", "pop r12; pop r13")),
    ("stage_05", Mutant(FAST, "jz 1f", "jmp 1f")),
    ("stage_05", Mutant(FAST, "pushfq", "push 2")),
    ("stage_05", Mutant(FAST, "mov rax, [rsp]", "mov rax, [rsi]")),
    *(("stage_05", Mutant(FAST, "~RFLAGS_STATUS", f"~(RFLAGS_STATUS | RFLAGS_{flag})"))
      for flag in ("DF", "AC", "NT", "ID")),
    ("linux_shape", Mutant("bench/native/linux_shape.S", "pop rbx pop rbp", "pop rbp; pop rbx")),
    ("redox_shape", Mutant("bench/native/redox_shape.S", "popfq", "add rsp, 8")),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    return native.build(tmp_path_factory.mktemp("native"))


def test_all_keep_what_they_are_to_keep(program):
    """Those that do not claim to keep RFLAGS are seen to lose them: otherwise the check would see nothing."""
    found = native.check(program)
    assert found.keys() | {"boost", "call"} == {way.name for way in native.WAYS} and "call" not in found
    assert {name for name, line in found.items() if line["keeps_flags"]} == KEEP_FLAGS
    for name, line in found.items():
        assert line["wrong_registers"] == 0
        assert (line["wrong_flags"] == 0) is (name in KEEP_FLAGS)


@pytest.mark.parametrize("way, mutant", MUTANTS, ids=[f"{way}-{number}" for number, (way, _) in enumerate(MUTANTS, 1)])
def test_a_broken_one_is_noticed(way, mutant, tmp_path):
    source = tmp_path / "broken.S"
    source.write_text(mutant.apply((ROOT / mutant.file).read_text()))
    program = native.build(tmp_path, f"{way}.S={source}")
    with pytest.raises(CannotMeasure, match="--check ended with"):
        native.check(program)


def test_measures(program):
    """Three rounds say little about time; but each way is in each of them."""
    samples = native.measure(program, rounds=3)
    assert samples.keys() | {"boost"} == {way.name for way in native.WAYS}
    assert all(len(values) == 3 and min(values) > 0 for values in samples.values())


def test_refuses_nonsense(program):
    for argument in ("0", "x", "10001"):
        done = native.run(program, argument)
        assert (done.returncode, done.stdout) == (2, "") and "usage" in done.stderr


def test_without_boost(tmp_path):
    """And with it as soon as it is installed, where the program was built without it before."""
    found = native.check(native.build(tmp_path, "boost="))
    assert "boost" not in found and "fast" in found
    assert native.check(native.build(tmp_path)).keys() == native.check(native.build(tmp_path / "new")).keys()


def made_up(**other: list[float]) -> native.Samples:
    """The second round is twice as slow for all: the ratios do not show it."""
    samples = {way.name: [10.0, 20.0, 10.0, 10.0] for way in native.WAYS}
    samples |= {"plain": [2.0, 4.0, 2.0, 2.0], "fast": [3.0, 6.0, 3.0, 3.0]}
    return samples | other


def figures_of(samples: native.Samples) -> tuple[dict, list[str]]:
    figures = Figures()
    native.add_rows(figures, samples)
    return {row.key: row for row in figures.rows}, figures.notes


def test_rows():
    rows, notes = figures_of(made_up())
    assert rows["native.fast"].ours == 1.5
    assert [rows[f"native.{name}"].peers for name in ("plain", "redox")] == [{"others": 1.0}, {"others": 5.0}]
    assert rows["native.fast-to-redox"].ours == 0.3
    assert rows["native.fast"].reached and rows["native.fast-to-redox"].reached
    assert rows["native.plain"].note.startswith("2.00 ns")
    assert not any(row.exact for row in rows.values())


def test_rows_of_a_slow_one():
    rows, _ = figures_of(made_up(fast=[4.0, 8.0, 4.0, 4.0], redox=[6.0, 12.0, 6.0, 6.0]))
    assert rows["native.fast"].reached is False and rows["native.fast-to-redox"].reached is False


@pytest.mark.parametrize("spread, warned", [(0.01, False), (0.5, True)])
def test_warns_of_a_busy_machine(spread, warned):
    steady = {way.name: [2.0] * 20 for way in native.WAYS}
    _, notes = figures_of(steady | {"fast": [3.0 + spread * (number % 4) for number in range(20)]})
    assert any("fast" in note and "far apart" in note for note in notes) is warned


def test_row_of_boost_stays_empty():
    samples = made_up()
    del samples["boost"]
    rows, notes = figures_of(samples)
    assert rows["native.boost"].ours is None and "libboost-context-dev" in rows["native.boost"].note
    assert any("libboost-context-dev" in note for note in notes)
