# docs/traps.md names files, functions and tests: each must exist, and no row may be without them unawares.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from pathlib import Path

import pytest
from harness import ROOT
from layers import Variant, merge, stage_folders

PAGE = ROOT / "docs/traps.md"
ROW = re.compile(r"^\| ([A-Z]+-\d+) \|(.*)\|(.*)\|(.*)\|(.*)\|$", re.MULTILINE)
UNWATCHED = re.compile(r"^- \*\*([A-Z]+-\d+)\*\*:", re.MULTILINE)


def items(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def complaint_about_place(item: str, sources: dict[str, Path]) -> str:
    """`file: name`: the file is the last stage's, or has a path of its own, and has the name as a word."""
    file, _, name = item.partition(": ")
    path = ROOT / file if "/" in file else sources.get(f"kernel/{file}")
    if not path or not path.is_file():
        return f"there is no {file}"
    found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", path.read_text())
    return "" if name and found else f"{file} has no '{name}'"


def complaint_about_test(item: str) -> str:
    """`path::name`, of a Python test or one in ring 0; a unit test's file stands for all that is in it; a bug's folder
    for the test that switches it on (tests/bugs)."""
    path, _, name = item.partition("::")
    if "/bugs/" in path:
        return "" if (ROOT / path / "bug.toml").is_file() else f"there is no bug {path}"
    if not (ROOT / path).is_file():
        return f"there is no {path}"
    if not name:
        return "" if path.startswith("tests/unit/") else f"{path}: which test?"
    definition = rf"^def {name}\(" if path.endswith(".py") else rf"^TEST\({name}\)"
    return "" if re.search(definition, (ROOT / path).read_text(), re.MULTILINE) else f"{path} has no test {name}"


def complaints(page: str) -> list[str]:
    sources = {name: entry.source for name, entry in merge(Variant(max(stage_folders()))).items()}
    wrong, explained = [], set(UNWATCHED.findall(page))
    for trap, _, places, tests, shown in ROW.findall(page):
        found = [complaint_about_place(item, sources) for item in items(places)] or ["no place"]
        found += [complaint_about_test(item) for item in items(tests)]
        if bool(items(tests)) == (trap in explained):
            found.append("watched by nothing, or explained for nothing")
        if not shown.strip():
            found.append("where is it seen?")
        wrong += [f"{trap}: {each}" for each in found if each]
    return wrong


def test_the_page():
    page = PAGE.read_text()
    assert len(ROW.findall(page)) > 75
    assert len(set(trap for trap, *_ in ROW.findall(page))) == len(ROW.findall(page)), "a trap stands there twice"
    assert complaints(page) == []


@pytest.mark.parametrize("row, complaint", [
    ("| X-1 | a | `gdt.c: gdt_load` | `tests/unit/gdt.c` | Q |", ""),
    ("| X-1 | a | `gdt.c: gdt_lost` | `tests/unit/gdt.c` | Q |", "X-1: gdt.c has no 'gdt_lost'"),
    ("| X-1 | a | `lost.c: gdt_load` | `tests/unit/gdt.c` | Q |", "X-1: there is no lost.c"),
    ("| X-1 | a | | `tests/unit/gdt.c` | Q |", "X-1: no place"),
    ("| X-1 | a | `gdt.c: gdt_load` | `tests/unit/lost.c` | Q |", "X-1: there is no tests/unit/lost.c"),
    ("| X-1 | a | `gdt.c: gdt_load` | `tests/claims/test_rings.py::test_lost` | Q |",
     "X-1: tests/claims/test_rings.py has no test test_lost"),
    ("| X-1 | a | `gdt.c: gdt_load` | `stages/00-boot/test/frame.c::lost` | Q |",
     "X-1: stages/00-boot/test/frame.c has no test lost"),
    ("| X-1 | a | `gdt.c: gdt_load` | `stages/01-gdt-tss/bugs/lost` | Q |",
     "X-1: there is no bug stages/01-gdt-tss/bugs/lost"),
    ("| X-1 | a | `gdt.c: gdt_load` | — | Q |", "X-1: watched by nothing, or explained for nothing"),
])
def test_complains(row, complaint):
    assert complaints(row) == [complaint] * bool(complaint)
