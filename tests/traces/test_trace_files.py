# The form of a trace: what is refused, and how one is played.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import re
import subprocess
import sys

import jsonschema
import pytest

from harness import ROOT
from layers import stage_folders
from machine import places
from machine.trace import SCHEMA, Player, TraceError, read, text_lines, write
from small import TOP, small_trace

OBVIOUS = ("name", "cpu", "size", "members", "emulator", "line", "vector", "registers", "start")
TRACE = [sys.executable, str(ROOT / "tools/trace")]


def changed(**changes) -> dict:
    return {**small_trace(), **changes}


def run(*words: str, **options) -> subprocess.CompletedProcess:
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": 60, **options}
    return subprocess.run([*TRACE, *words], **options)


def test_the_schema_is_one():
    jsonschema.Draft7Validator.check_schema(json.loads(SCHEMA.read_text()))


def test_every_field_of_the_schema_is_described():
    """Seen to fail: with a description taken out. A place that refers to a definition has its words there."""
    def missing(schema: dict, where: str) -> list[str]:
        found = []
        for name, one in schema.get("properties", {}).items():
            if "description" not in one and name not in OBVIOUS:
                found.append(f"{where}.{name}")
            found += missing(one, f"{where}.{name}") + missing(one.get("items", {}), f"{where}.{name}")
        return found
    assert missing(json.loads(SCHEMA.read_text()), "") == []


def test_a_trace_is_read_as_it_was_written(tmp_path):
    (tmp_path / "trace.json").write_text(write(small_trace()))
    assert read(tmp_path / "trace.json") == small_trace()


WRONG = [
    (changed(format="another"), "is no trace of ringstep"),
    (changed(version=2), "has version 2 of the format; this program reads 1"),
    ([1, 2], "is no trace of ringstep"),
    (changed(points=[]), "points: [] is too short"),
    (changed(colour="red"), "'colour' was unexpected"),
    (changed(steps=[{"cpu": 0, "changes": {}}]), "steps[0]: 'says' is a required property"),
    (changed(steps=[{"cpu": 0, "changes": {"rax": 5}, "says": "."}]), "steps[0].changes.rax: 5 is not of type"),
    (changed(steps=[{"cpu": 0, "changes": {"eax": "0x5"}, "says": "."}]), "steps[0].changes: 'eax' is not one of"),
    (changed(steps=[{"cpu": 0, "changes": {"rax": "0x05"}, "says": "."}]), "steps[0].changes.rax: '0x05' does not"),
    (changed(steps=[{"cpu": 0, "code": 9, "changes": {}, "says": "."}]), "steps[0].code: there is no code[9]"),
    (changed(steps=[{"cpu": 2, "changes": {}, "says": "."}]), "steps[0].cpu: there is no CPU 2"),
    (changed(start=small_trace()["start"][:1]), "start: it does not have the CPUs 0 to 1"),
    (changed(start=[{"cpu": 0, "registers": {"rax": "0x1"}}]), "start[0].registers: 'rbx' is a required property"),
    (changed(points=[{"at": "x", "why": "y", "cpu": 0, "step": 99}]), "points[0].step: there are only 4 steps"),
]


@pytest.mark.parametrize("trace,complaint", WRONG, ids=[complaint[:40] for _, complaint in WRONG])
def test_what_is_no_trace_is_refused_by_name(trace, complaint, tmp_path):
    """Seen to fail: with the check of the schema, of the version or of the tables left out, each at its lines."""
    (tmp_path / "trace.json").write_text(json.dumps(trace))
    with pytest.raises(TraceError) as refusal:
        read(tmp_path / "trace.json")
    assert complaint in str(refusal.value) and "trace.json" in str(refusal.value)


@pytest.mark.parametrize("content,complaint", [
    (None, "No such file"), (b"not JSON", "is no JSON"), (b"\xff\xfe", "is no JSON"), (b"{}", "is no trace"),
    (b"[" * 100000, "is no JSON"),
])
def test_bad_files_give_one_line_and_exit_code_2(content, complaint, tmp_path):
    file = tmp_path / "bad.json"
    if content is not None:
        file.write_bytes(content)
    done = run("--replay", str(file))
    assert done.returncode == 2 and complaint in done.stderr
    assert done.stderr.count("\n") == 1 and "bad.json" in done.stderr


def test_bad_arguments_are_refused():
    for words, complaint in ((["--stage", "77"], "there is no stage '77'"),
                             (["--stage", "03", "--walk", "nowhere"], "stage 03 has no walk 'nowhere'; it has "),
                             (["--text"], "--text wants --replay FILE"), (["--most", "0"], "at least 1"),
                             (["--replay", "x", "--stage", "03"], "--replay shows a file that is there")):
        done = run(*words)
        assert done.returncode == 2 and complaint in done.stderr and "Traceback" not in done.stderr


def test_a_missing_bochs_is_named(tmp_path):
    done = run("--stage", "03", env={"PATH": str(tmp_path)})
    assert done.returncode == 2 and "sudo apt-get install bochs" in done.stderr


def test_without_a_terminal_there_is_no_window(tmp_path):
    (tmp_path / "trace.json").write_text(write(small_trace()))
    done = run("--replay", str(tmp_path / "trace.json"))
    assert done.returncode == 2 and "--text" in done.stderr and done.stderr.count("\n") == 1


def test_the_text_has_each_step_and_each_point(tmp_path):
    (tmp_path / "trace.json").write_text(write(small_trace()))
    done = run("--replay", str(tmp_path / "trace.json"), "--text")
    assert done.returncode == 0 and done.stdout.splitlines() == list(text_lines(small_trace()))
    assert "1. CPU 0, ring 0. entry: swapgs. Exchanges the two GS bases. [stages/05-smp/kernel/entry.S:" in done.stdout
    assert "4. CPU 1, ring 3. main: nop. Does nothing." in done.stdout
    assert done.stdout.count("Point ") == 3


def test_backwards_is_what_forwards_was():
    """Seen to fail: with a player that keeps its memory when it goes back."""
    player = Player(small_trace())
    seen = []
    for position in range(5):
        player.go(position)
        seen.append((player.moment.registers[0].copy(), player.moment.registers[1].copy(),
                     player.moment.word(0, TOP - 8), player.moment.word(1, 0x7ffffffef000), player.field(TOP - 8)))
    assert [one[2] for one in seen] == [None, None, 0x23, 0x23, 0x23]
    assert [one[4] for one in seen] == ["", "", "frame.ss", "frame.ss", "frame.ss"]
    assert seen[0][3] == 0xabcdef and player.moment.word(0, 0x7ffffffef000) is None, "another address space"
    for position in (3, 1, 4, 0, 2):
        player.go(position)
        assert (player.moment.registers[0], player.moment.registers[1], player.moment.word(0, TOP - 8),
                player.moment.word(1, 0x7ffffffef000), player.field(TOP - 8)) == seen[position]


def test_the_address_map_is_the_kernels():
    """The recorder names stacks by numbers that the kernel's sources have. Seen to fail: with another number there."""
    values = {}
    for folder in stage_folders().values():
        for file in sorted((folder / "kernel").glob("*.[ch]")):
            values.update(re.findall(r"^#define (\w+) +(\S.*?)(?: +/\*.*)?$", file.read_text(), re.MULTILINE))
    values["PAGE_SIZE"] = int(values["PAGE_SIZE"], 0)
    for name in ("USER_TOP", "STACK_BASE", "STACK_SLOT_SIZE", "KERNEL_STACK_SIZE", "USER_STACK_TOP", "USER_STACK_SIZE",
                 "AP_PAGE", "PAGE_SIZE"):
        product = 1
        for factor in str(values[name]).strip("()").split(" * "):
            product *= values["PAGE_SIZE"] if factor == "PAGE_SIZE" else int(factor, 0)
        assert getattr(places, name) == product, name
