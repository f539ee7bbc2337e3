# The checker of the entry code (tools/check-entry) finds nothing in the kernels of all stages, by both compilers, and
# in each kernel that is wrong in one line (wrong_kernels.py) the rule that the line breaks, where it does.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import subprocess
import sys

import pytest
from checker import report
from checker.explore import Explorer
from checker.frames import check_frames
from checker.image import Image
from checker.sweep import sweep
from harness import ROOT
from layers import Variant, stage_folders
from machine.prepare import boot
from static.kernels import Mutant, build
from static.wrong_kernels import ALL, GS

TOOL = [sys.executable, str(ROOT / "tools/check-entry")]
needs_clang = pytest.mark.needs("clang", "llvm")
compilers = pytest.mark.parametrize("compiler", ["gcc", pytest.param("clang", marks=needs_clang)])


def examine(image: Image, variant: Variant) -> tuple[Explorer, list[tuple[str, str, str]]]:
    """What is found: rule, routine, and the report's text."""
    explorer = Explorer(image, variant)
    found = [(one.rule, image.function(one.state.pc), report.finding(image, one, False)) for one in explorer.run()]
    walked = [image.instruction(state.pc, state.bits) for state in explorer.seen.values()]
    rest = [*sweep(image, walked, variant.stage), *check_frames(image), *explorer.unreached()]
    found += [(one.rule, image.function(one.address) if one.address else "", report.misplaced(image, one))
              for one in rest]
    return explorer, found


@compilers
@pytest.mark.parametrize("stage", list(stage_folders()))
def test_kernel_keeps_the_rules(stage: str, compiler: str):
    """And the checker has looked: it came by every routine of assembly, and struck at what it came by."""
    variant = Variant(stage, compiler=compiler)
    image = Image(boot.build(variant) / "kernel.elf")
    explorer, found = examine(image, variant)
    assert found == []
    passed = {image.function(state.pc) for state in explorer.seen.values()}
    assert passed >= image.assembly - {"switch_stacks_with_flags"}
    if stage >= "03":
        struck = {(image.place(state.pc), state.gs) for state in explorer.seen.values()}
        assert {("syscall_entry", "user"), ("syscall_entry.step2", "pcr"), ("syscall_entry.step9", "user"),
                ("interrupt_return.step3", "user"), ("paranoid_entry.step4", "pcr")} <= struck


@pytest.mark.heavy
@pytest.mark.parametrize("mutant", ALL, ids=lambda one: one.name)
def test_mutant_is_rejected(mutant: Mutant):
    variant, elf = build(mutant)
    _, found = examine(Image(elf), variant)
    assert (mutant.rule, mutant.place) in [(rule, place) for rule, place, _ in found], \
        "\n".join(text for *_, text in found) or "nothing was found"


@pytest.mark.heavy
@needs_clang
@pytest.mark.parametrize("mutant", [GS[0], GS[4], *ALL[-3:]], ids=lambda one: one.name)
def test_mutant_by_clang_is_rejected(mutant: Mutant):
    variant, elf = build(mutant, "clang")
    _, found = examine(Image(elf), variant)
    assert mutant.rule in [rule for rule, *_ in found], found


def test_every_rule_is_seen_to_fail():
    """A rule that no mutant breaks may never have worked."""
    text = "".join(path.read_text() for path in (ROOT / "tools/checker").glob("*.py"))
    rules = set(re.findall(r'(?:Violation|Misplaced)\(\s*"([a-z0-9-]+)"', text)) | {"sse", "fs", "below-rsp"}
    assert rules == {mutant.rule for mutant in ALL}


def test_red_zone_is_seen(tmp_path):
    """A leaf function that was compiled without -mno-red-zone keeps its variables below RSP."""
    source, program = tmp_path / "leaf.c", tmp_path / "leaf"
    source.write_text("long leaf(long a) { volatile long x = a; return x; }\nvoid boot_stack_top(void) {}\n")
    found = {}
    for option in ("-mred-zone", "-mno-red-zone"):
        for pointer in ("-fomit-frame-pointer", "-fno-omit-frame-pointer"):
            subprocess.run(["gcc", "-O2", "-g", "-static", "-nostdlib", "-ffreestanding", "-fcf-protection=none",
                            "-Wl,-e,leaf", option, pointer, "-o", program, source], check=True)
            image = Image(program)
            by_sweep = [one for one in sweep(image, [], "00") if one.rule == "below-rsp"]
            found[option, pointer] = bool(by_sweep or [one for one in check_frames(image) if one.rule == "below-rsp"])
    assert found == {(option, pointer): option == "-mred-zone" for option, pointer in found}


def test_report_tells_the_way():
    """For a person: source line, symbol, rule, and the states that led there."""
    _, elf = build(GS[0])
    layer = ROOT / "build/changed" / f"static-{GS[0].name}"
    done = subprocess.run([*TOOL, "--stage", "05", "--layer", str(layer)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stderr
    assert "syscall_entry.S:19: gs-owner: gs: is used with the user's base" in done.stdout
    assert "syscall_entry.step2" in done.stdout and "GS=user stack=user" in done.stdout


@pytest.mark.parametrize("words", [["--stage", "77"], ["--layer", "."], ["x"],
                                   ["--stage", "05", "--layer", "/nowhere"]])
def test_bad_arguments(words: list[str]):
    done = subprocess.run([*TOOL, *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and done.stderr and "Traceback" not in done.stderr
