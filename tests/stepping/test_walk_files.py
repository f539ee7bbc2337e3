# The form of a walk: what is refused, and how the language of its expressions reads.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json

import jsonschema
import pytest

from layers import stage_folders
from machine.expression import ExpressionError, Place, View, evaluate, operands
from machine.walk import SCHEMA, Kernel, Point, WalkError, finding, load_walk, walk_files

WALKS = [path for stage in stage_folders() for path in walk_files(stage).values()]
GOOD = """
title = "A walk"
[[point]]
at = "syscall_entry.step2"
why = "Because."
look = ["rsp"]
expect = ["cpl == 0"]
"""


class Structures:
    """Stands for what is read from a kernel's debugging information."""

    def size(self, name: str) -> int:
        if name != "trap_frame":
            raise LookupError(f"no structure '{name}'")
        return 176

    def member(self, name: str, path: str) -> tuple[int, int]:
        return {"cs": (144, 8), "list[1].next": (8, 4)}[path]


MEMORY = {0x1000 + 144: 0x2b, 0x1000 + 8: 7, 0x0ffe: 0x050f}
VIEW = View({"rsp": 0x1000, "cs": 0x2b, "rflags": 0x246, "rax": (1 << 64) - 1}, lambda address, size: MEMORY[address],
            {"syscall_entry.step2": 0x8000}, Structures())


def test_the_schema_is_one():
    jsonschema.Draft7Validator.check_schema(json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize("path", WALKS, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_every_walk_is_of_the_format(path):
    assert load_walk(path).points


def test_a_good_walk_is_read(tmp_path):
    (tmp_path / "walk.toml").write_text(GOOD)
    assert load_walk(tmp_path / "walk.toml").points == (
        Point("syscall_entry.step2", "Because.", ("rsp",), ("cpl == 0",)),)


@pytest.mark.parametrize("old,new,complaint", [
    ('title = "A walk"', "", "'title' is a required property"),
    ('why = "Because."', "", "point[0]: 'why' is a required property"),
    ('why = "Because."', 'why = "  "', "point[0].why"),
    ("look =", "lok =", "'lok' was unexpected"),
    ("syscall_entry.step2", "0x12g4", "point[0].at"),
    ("syscall_entry.step2", "syscall_entry.stepp", "point[0].at"),
    ('"cpl == 0"', '"cpl"', "'cpl' is no comparison"),
    ('"cpl == 0"', '"cpl = 0"', "cannot be read"),
    ('"cpl == 0"', '5', "point[0].expect[0]"),
    ('"rsp"', '"rsp if cpl else rip"', "not of the language"),
    ("[[point]]", "[[point]", "walk.toml"),
])
def test_a_bad_walk_is_refused_by_name(old, new, complaint, tmp_path):
    assert old in GOOD
    (tmp_path / "walk.toml").write_text(GOOD.replace(old, new))
    with pytest.raises(WalkError) as refusal:
        load_walk(tmp_path / "walk.toml")
    assert complaint in str(refusal.value) and "walk.toml" in str(refusal.value)


@pytest.mark.parametrize("text,value", [
    ("rsp", 0x1000), ("rsp + 2 * 3", 0x1006), ("rsp - 0x1001", (1 << 64) - 1), ("rax + 1", 0), ("rsp & 0x1f00", 0x1000),
    ("cpl", 3), ("IF", 1), ("DF", 0), ("syscall_entry.step2", 0x8000), ("u16[rsp - 2]", 0x050f),
    ("trap_frame(rsp).cs", 0x2b), ("trap_frame(rsp).list[1].next", 7), ("sizeof(trap_frame)", 176),
    ("rsp == 0x1000", True), ("rsp != 0x1000", False), ("0 < rsp <= 0xfff", False), ("0 < rsp <= 0x1000", True),
    ("rsp & 15 == 0", True), ("trap_frame(rsp).cs == cs", True), ("trap_frame(rsp)", Place("trap_frame", 0x1000)),
])
def test_an_expression_has_its_value(text, value):
    assert evaluate(text, VIEW) == value and type(evaluate(text, VIEW)) is type(value)


@pytest.mark.parametrize("text", [
    "__import__('os').getpid()", "(lambda: 1)()", "rsp.__class__", "[x for x in rsp]", "rsp ** 9", "'rsp'", "True",
    "1.5", "print(rsp)", "open(rsp)", "rsp and rip", "f(1)(2)", "trap_frame(rsp, 1)", "trap_frame", "trap_frame(rsp) == 1",
    "sizeof(rsp)", "rxp", "u24[rsp]", "u16", "u16[0x5000]", "rsp[1]", "", "rsp ==", "rsp; rip", "rsp = 5",
])
def test_anything_else_is_refused(text):
    with pytest.raises(ExpressionError):
        evaluate(text, VIEW)


def test_what_does_not_hold_shows_its_values():
    assert operands("trap_frame(rsp).cs == 0x23") == ["trap_frame(rsp).cs"]
    found = finding("trap_frame(rsp).cs == rsp", VIEW)
    assert (found.holds, found.seen) == (False, "trap_frame(rsp).cs = 0x2b, rsp = 0x1000")
    assert not finding("u16[0x5000] == 0", VIEW).holds, "where no memory is, nothing holds"


def test_a_point_must_be_somewhere():
    kernel = Kernel.__new__(Kernel)
    kernel.addresses = {"syscall_entry": 0x8000}
    assert kernel.address_of(Point("syscall_entry", "Because."), None) == 0x8000
    assert kernel.address_of(Point("rsp", "Because."), VIEW) == 0x1000
    assert kernel.address_of(Point("u64[rsp + 8]", "Because."), VIEW) == 7
    assert kernel.address_of(Point("syscall_entry.step2 + 0x10", "Because."), VIEW) == 0x8010
    with pytest.raises(WalkError, match="no register, flag or symbol 'syscal_entry'"):
        kernel.address_of(Point("syscal_entry", "Because."), VIEW)
    with pytest.raises(WalkError, match="no symbol 'u64"):
        kernel.address_of(Point("u64[rsp]", "Because."), None)
