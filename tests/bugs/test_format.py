# The form of a bug: what is refused, and by which words; and that each bug of the tree has all that it needs.
# Seen to fail: each complaint with its check taken out of tools/machine/bugs.py; the checks of the folders with a file
# of another name, with a patch on a program, and with two patches that do not fit together.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from layers import PATCH_TARGET, LayerError, Variant, bug_folders, default_stage, find_bug, lay, layers_of, stage_folders
from machine.bug_run import BROUGHT
from machine.bugs import SCHEMA, BugError, Scenario, Symptom, load_bug, read_bug

FOLDERS = list(bug_folders().values())
every_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
GOOD = """
title = "A bug"
mistake = "It does wrong."
who = ["a common first version"]
breaks = [2]
look = "Look."
[run]
programs = ["hello"]
[symptom.qemu]
happens = "It happened."
exit = 1
seen = ["^panic: "]
[symptom.bochs]
not_observable = "Because."
"""


def bug_in(folder: Path, text: str) -> Path:
    """A folder with this bug.toml, where bugs lie."""
    home = folder / "stages/02-gs-pcr/bugs/a-bug"
    home.mkdir(parents=True)
    (home / "bug.toml").write_text(text)
    return home


def test_the_schema_is_one():
    jsonschema.Draft7Validator.check_schema(json.loads(SCHEMA.read_text()))


def test_a_good_bug_is_read(tmp_path):
    bug = read_bug(bug_in(tmp_path, GOOD))
    assert (bug.name, bug.stage_folder.name, bug.breaks) == ("a-bug", "02-gs-pcr", (2,))
    assert bug.scenario == Scenario("02", programs=("hello",))
    assert bug.symptoms == {"qemu": Symptom("It happened.", 1, ("^panic: ",)), "bochs": Symptom(not_observable="Because.")}
    assert bug.walk() is None


@pytest.mark.parametrize("old,new,complaint", [
    ('title = "A bug"', "", "'title' is a required property"),
    ("breaks = [2]", "breaks = [2]\nbreak = 2", "'break' was unexpected"),
    ('who = ["a common first version"]', "who = []", "who: "),
    ('"It does wrong."', '"It does wrong"', "mistake: "),
    ("breaks = [2]", "breaks = [99]", "docs/invariants.md has no invariant 99"),
    ("exit = 1\n", "", "symptom.qemu: 'exit' is a required property"),
    ("exit = 1", "exit = 2", "symptom.qemu.exit: "),
    ('seen = ["^panic: "]', "", "symptom.qemu"),
    ('seen = ["^panic: "]', 'seen = ["(panic"]', "symptom.qemu: '(panic'"),
    ('not_observable = "Because."', 'not_observable = " "', "symptom.bochs.not_observable: "),
    ('happens = "It happened."\nexit = 1\nseen = ["^panic: "]', 'not_observable = "Because."', "no emulator shows it"),
    ('happens = "It happened."\nexit = 1\nseen = ["^panic: "]', 'happens = "It happened."\nwalk = true', "no walk.toml"),
    ('[symptom.bochs]\nnot_observable = "Because."', "", "'bochs' is a required property"),
    ('programs = ["hello"]', 'program = ["hello"]', "run: "),
    ('programs = ["hello"]', 'stage = "3"', "run.stage: "),
    ("breaks = [2]", "breaks = [2", "bug.toml"),
], ids=str)
def test_a_bad_bug_is_refused_by_name(old, new, complaint, tmp_path):
    assert old in GOOD
    with pytest.raises(BugError) as refusal:
        read_bug(bug_in(tmp_path, GOOD.replace(old, new)))
    assert complaint in str(refusal.value) and "bug.toml" in str(refusal.value)


def test_a_folder_without_a_bug_toml(tmp_path):
    (tmp_path / "stages/02-gs-pcr/bugs/bare").mkdir(parents=True)
    with pytest.raises(BugError, match="bug.toml is missing"):
        load_bug("bare", tmp_path)


def test_an_unknown_name():
    """The nearest are told."""
    with pytest.raises(LayerError, match=r"there is no bug .df-with-ist.; did you mean df-without-ist\b.*lists all \d+"):
        find_bug("df-with-ist")


def test_the_stage_that_is_meant(tmp_path):
    """The bug's own, or that of its folder, or the last one. Seen to fail with the folder's alone."""
    bug_in(tmp_path, GOOD)
    (tmp_path / "stages/04-last").mkdir()
    assert default_stage("", tmp_path) == "04" and default_stage("a-bug", tmp_path) == "02"
    (find_bug("a-bug", tmp_path) / "bug.toml").write_text(GOOD.replace("[run]", '[run]\nstage = "04"'))
    assert default_stage("a-bug", tmp_path) == "04"


def test_names_are_unique():
    """Two folders of one name would be one bug: the one that is found last."""
    names = [folder.name for stage in stage_folders().values() for folder in stage.glob("bugs/*")]
    assert sorted(names) == sorted(bug_folders())
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)


@every_folder
def test_a_bug_has_what_it_needs(folder):
    """It changes the kernel, and nothing lies there that nobody reads. A patch on a program would be a part of the
    mistake, and the sound kernel would run another program."""
    parts = {path.name for path in folder.iterdir() if path.is_dir()}
    files = {path.name for path in folder.iterdir() if path.is_file()}
    assert parts <= {"kernel", *BROUGHT}
    assert {name for name in files if not name.endswith(".patch")} <= {"bug.toml", "walk.toml"}
    assert "kernel" in parts or any(name.endswith(".patch") for name in files)
    for patch in folder.glob("*.patch"):
        assert all(name.startswith("kernel/") for name in PATCH_TARGET.findall(patch.read_text())), patch


@every_folder
def test_a_bug_can_be_laid(folder):
    """Its patches apply, without fuzz, to the stage that it is shown on; they change little."""
    bug = load_bug(folder.name)
    variant = Variant(bug.scenario.stage, bug.name)
    lay(variant)
    assert layers_of(variant)[-1] == (f"bug {bug.name}", folder)
    changed = [line for patch in folder.glob("*.patch") for line in patch.read_text().splitlines()
               if re.match(r"[-+](?![-+]{2} )", line)]
    assert len(changed) <= 24


@every_folder
def test_a_bug_with_a_walk_uses_it(folder):
    """And its walk leads somewhere in each emulator that has it."""
    bug = load_bug(folder.name)
    walk = bug.walk()
    used = [emulator for emulator, symptom in bug.symptoms.items() if symptom.walk]
    assert bool(walk) == bool(used)
    for emulator in used:
        points = walk.seen_in(emulator).points
        assert any(point.expect for point in points)
        differs = bug.symptoms[emulator].differs
        assert not differs or any(differs in point.expect for point in points)
