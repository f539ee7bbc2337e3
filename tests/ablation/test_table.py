# docs/ablation.json against the code: each instruction that must earn its place is in it, nothing else is, and those
# that nothing notices are exactly those that may stay. Some are taken away again: what noticed it must still do.
# Seen to fail with each change that test_changes_are_noticed makes.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ablation import compare, probes, scope, table, trial
from ablation.code import Code
from harness import ROOT, unread, wait_until
from machine.listing import Listing

SEED = int(os.environ.get("SEED") or random.randrange(10000))
SAMPLES = 6


@cache
def known() -> dict[str, Any]:
    return table.load()


@cache
def instructions() -> tuple[scope.Instruction, ...]:
    return tuple(one for stage in compare.ONLY for one in scope.scope(trial.build(stage), stage, compare.ONLY[stage]))


def runs() -> dict[str, probes.Probe]:
    return {probe.name: probe for probe in probes.load()}


def same_compiler() -> bool:
    return Listing(trial.build("05")).compiler == known()["compiler"]


def test_table_is_well_formed():
    table.check(known())


def test_table_matches_the_code():
    """With another compiler than the table's, routine and text are compared, in C the kinds of instructions.
    (Seen to fail when three routines had changed meanwhile, with LLDT new in one of them; when runs had changed.)"""
    if same_compiler():
        assert compare.differences(known()["instructions"], instructions()) == []
        assert compare.stale(known()["instructions"], instructions(), runs()) == []
    else:
        print(f"another compiler than the table's ({known()['compiler']}): compared by text")
        assert compare.differences_by_text(known()["instructions"], instructions()) == []


def test_survivors_are_those_that_may_stay():
    assert compare.wrong_survivors(known()["instructions"], table.load_survivors()) == []


def test_guards_exist():
    """A survivor's static check is a test that is there."""
    for reason in table.load_survivors():
        assert compare.guard_exists(reason["guard"]), reason


def as_found(row: dict[str, Any]) -> scope.Instruction:
    """The instruction that a row is about, as if the code had it."""
    return scope.Instruction(*(row[key] for key in ("stage", "routine", "label", "text", "number", "file", "line",
                                                    "routine_hash")), ())


def test_changes_are_noticed():
    """A row that is gone, one too many, one of another text, a routine that has changed."""
    rows = known()["instructions"]
    found, first = [as_found(row) for row in rows], compare.name(rows[0])
    for told in (compare.differences, compare.differences_by_text):
        assert told(rows, found) == []
        assert len(told(rows[1:], found)) == 1 and len(told(rows, found[1:])) == 1
        assert len(told([{**rows[0], "text": "nop"}, *rows[1:]], found)) == 2
    assert compare.differences([*rows, {**rows[0], "number": 99}], found) == [f"no such instruction: {first}"]
    assert compare.differences([{**rows[0], "routine_hash": "0"}, *rows[1:]], found) == [
        f"the routine has changed: {first}"]


def test_changed_runs_are_noticed():
    """A row whose run is another one or is gone, and a new run for what nothing noticed."""
    probe = probes.Probe("now", "", ("*",))
    row = {**known()["instructions"][0], "probe": "now", "probe_hash": probe.hash}
    silent = {key: value for key, value in row.items() if key != "probe"} | {"tried": [probe.hash]}
    found = [as_found(row)]
    assert compare.stale([row], found, {"now": probe}) == compare.stale([silent], found, {"now": probe}) == []
    for other in ({**row, "probe_hash": "0"}, {**row, "probe": "gone"}, {**silent, "tried": []}):
        assert compare.stale([other], found, {"now": probe}) == [
            f"its runs are others now (run make ablate): {compare.name(row)}"]


def test_wrong_survivors_are_noticed():
    """A survivor without a reason, a reason without a survivor."""
    rows, excuses = known()["instructions"], table.load_survivors()
    noticed = next(row for row in rows if "probe" in row)
    told = ("probe", "probe_hash", "symptom", "says")
    silent = {key: value for key, value in noticed.items() if key not in told} | {"tried": []}
    assert len(compare.wrong_survivors([silent if row is noticed else row for row in rows], excuses)) == 1
    assert len(compare.wrong_survivors([row for row in rows if "probe" in row], excuses)) == len(excuses)


def test_stubs_have_six_shapes():
    """The 256 stubs are the same code but for the vector, in shapes of which one stub each is taken apart."""
    shapes = scope.shapes(Code(trial.build("05")))
    assert sorted(len(vectors) for vectors in shapes.values()) == [1, 1, 2, 9, 115, 128]
    assert sorted(vector for vectors in shapes.values() for vector in vectors) == list(range(256))


def sample() -> list[dict[str, Any]]:
    """For each probe the first row that it noticed, and some by chance."""
    rows = [row for row in known()["instructions"] if "probe" in row]
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        first.setdefault(row["probe"], row)
    return [*first.values(), *random.Random(SEED).sample(rows, min(SAMPLES, len(rows)))]


@pytest.mark.heavy
@pytest.mark.needs("bochs")
def test_sample_is_noticed_again():
    """SEED=number in the environment takes the same sample again. Only with the table's compiler: another one's code
    may fail elsewhere. (Seen to fail with the NOPs left out, and with rows of a run that somebody else had ended.)"""
    print(f"SEED={SEED}" if same_compiler() else "another compiler than the table's: no sample is taken")
    chosen = runs()
    by_place = {one.place: one for one in instructions()}
    silent = []
    with tempfile.TemporaryDirectory() as folder:
        trial.build_programs(list(chosen.values()))
        images: dict[str, trial.Image] = {}
        for row in sample() if same_compiler() else ():
            name = row["probe"]
            if name not in images:
                images[name] = trial.Image(chosen[name], trial.build(chosen[name].kernel), Path(folder) / name)
                images[name].measure()
            # With several CPUs it depends on the host who comes first, so a run may show nothing.
            tries = 1 if chosen[name].cpus == 1 else 5
            if all(images[name].run(by_place[table.place_of(row)])[0] is None for _ in range(tries)):
                silent.append(compare.name(row))
    assert silent == [], f"SEED={SEED}"


def test_bad_arguments():
    """Before anything is built. (Seen to fail: `--show ''` made a whole campaign, and wrote the table.)"""
    for words in (["--jobs", "0"], ["--probe", "programs"], ["--nonsense"], ["--show", "nonsense"], ["--dry"],
                  ["--show", "04:switch_stacks"], ["--show", "", "--dry", "--routine", "no_such"]):
        done = subprocess.run([ROOT / "tools/ablate", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, text=True)
        assert done.returncode == 2 and re.search(r"error: .", done.stdout), done.stdout


def test_every_label_can_be_shown():
    for row in known()["instructions"]:
        assert table.LABEL.fullmatch(row["label"]) and table.LABEL.fullmatch(f"{row['stage']}:{row['label']}")


def test_a_reader_that_goes_is_no_error():
    """(Seen to fail: it said "Broken pipe", and ended with 2.)"""
    done = unread(ROOT / "tools/ablate", "--survivors")
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.heavy
def test_ctrl_c_leaves_nothing(tmp_path):
    """No process and no file, and the table as it was. (Seen to fail with an end at once, by
    os._exit().)"""
    before = table.TABLE.read_bytes()
    nowhere = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([ROOT / "tools/ablate", "--dry", "--routine", "user_copy_bytes"], **nowhere,
                               env={**os.environ, "TMPDIR": str(tmp_path)})
    try:
        assert wait_until(lambda: list(tmp_path.glob("ringstep-boot-*/qemu.log")), 300)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
    assert wait_until(lambda: not list(tmp_path.iterdir()), 20), list(tmp_path.iterdir())
    assert table.TABLE.read_bytes() == before
