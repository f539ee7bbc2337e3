# Modules that are no program: each gets one line that names it and says why, and the others run.
# SPDX-License-Identifier: MIT
#
# Seen to fail: with any one check of the kernel's ELF loader taken out, the module concerned runs, or has no line.
from __future__ import annotations

import re
import shlex
import struct
import subprocess
from pathlib import Path

import pytest
from runs import ROOT, good_boot

# Fields of the ELF header and of a program header: name, offset, struct's letter.
HEADER = {"class": (4, "B"), "data": (5, "B"), "type": (16, "H"), "machine": (18, "H"), "entry": (24, "Q"),
          "phoff": (32, "Q"), "phentsize": (54, "H"), "phnum": (56, "H")}
SEGMENT = {"type": (0, "I"), "offset": (8, "Q"), "vaddr": (16, "Q"), "filesz": (32, "Q"), "memsz": (40, "Q")}
PT_LOAD, PT_INTERP = 1, 3

END_OF_USER = 0x800000000000
KERNEL = 0xFFFFFFFF80000000
MAX_64 = 0xFFFFFFFFFFFFFFFF


class Elf:
    """The bytes of a good program, to be spoilt."""

    def __init__(self, content: bytes):
        self.bytes = bytearray(content)
        self.start = self.header("phoff")
        self.loads = [i for i in range(self.header("phnum")) if self.segment(i, "type") == PT_LOAD]

    def header(self, name: str) -> int:
        offset, letter = HEADER[name]
        return struct.unpack_from("<" + letter, self.bytes, offset)[0]

    def segment(self, index: int, name: str) -> int:
        offset, letter = SEGMENT[name]
        return struct.unpack_from("<" + letter, self.bytes, self.start + 56 * index + offset)[0]

    def spoil(self, **fields: int) -> bytes:
        """A copy with these fields of the header changed."""
        copy = bytearray(self.bytes)
        for name, value in fields.items():
            offset, letter = HEADER[name]
            struct.pack_into("<" + letter, copy, offset, value)
        return bytes(copy)

    def spoil_segment(self, index: int, **fields: int) -> bytes:
        copy = bytearray(self.bytes)
        for name, value in fields.items():
            offset, letter = SEGMENT[name]
            struct.pack_into("<" + letter, copy, self.start + 56 * index + offset, value)
        return bytes(copy)


def without_loads(elf: Elf) -> bytes:
    copy = Elf(elf.bytes)
    for index in elf.loads:
        copy.bytes[:] = copy.spoil_segment(index, type=0)
    return bytes(copy.bytes)


def bad_modules(good: bytes) -> dict[str, tuple[bytes, str]]:
    """Every kind of broken program that the kernel must refuse: a name that says what is wrong, the content, and
    a word of the reason, so that a program is not refused by chance, for something else."""
    elf = Elf(good)
    first, last = elf.loads[0], elf.loads[-1]
    largest = max(elf.loads, key=lambda index: elf.segment(index, "filesz"))
    return {
        "bad-empty": (b"", "empty"),
        "bad-script": (b"#!/bin/sh\necho hello\n", "ELF"),
        "bad-zeros": (bytes(8192), "ELF"),
        "bad-one-byte": (b"\x7f", "ELF"),
        "bad-half-a-header": (good[:40], "ELF"),
        "bad-header-only": (good[:64], "headers"),
        "bad-truncated": (good[: elf.segment(largest, "offset") + elf.segment(largest, "filesz") // 2], "truncated"),
        "bad-class-32": (elf.spoil(**{"class": 1}), "64-bit"),
        "bad-big-endian": (elf.spoil(data=2), "x86"),
        "bad-machine-arm": (elf.spoil(machine=183), "x86"),
        "bad-type-relocatable": (elf.spoil(type=1), "executable"),
        "bad-type-dynamic": (elf.spoil(type=3), "executable"),
        "bad-type-core": (elf.spoil(type=4), "executable"),
        "bad-entry-kernel": (elf.spoil(entry=KERNEL), "entry"),
        "bad-entry-hole": (elf.spoil(entry=END_OF_USER), "entry"),
        "bad-phentsize-zero": (elf.spoil(phentsize=0), "headers"),
        "bad-phentsize-odd": (elf.spoil(phentsize=57), "headers"),
        "bad-phnum-zero": (elf.spoil(phnum=0), "no segment to load"),
        "bad-phnum-many": (elf.spoil(phnum=65535), "headers"),
        "bad-phoff-beyond": (elf.spoil(phoff=len(good)), "headers"),
        "bad-phoff-wraps": (elf.spoil(phoff=MAX_64 - 55), "headers"),
        "bad-interpreter": (elf.spoil_segment(last, type=PT_INTERP), "dynamic"),
        "bad-no-load": (without_loads(elf), "no segment"),
        "bad-offset-beyond": (elf.spoil_segment(first, offset=len(good) + 4096), "outside the file"),
        "bad-offset-wraps": (elf.spoil_segment(first, offset=MAX_64 - 4095), "outside the file"),
        "bad-filesz-beyond": (elf.spoil_segment(last, filesz=len(good), memsz=len(good)), "outside the file"),
        "bad-filesz-above-memsz": (elf.spoil_segment(largest, memsz=1), "larger"),
        "bad-filesz-wraps": (elf.spoil_segment(last, filesz=MAX_64, memsz=MAX_64), "outside the file"),
        "bad-segment-null": (elf.spoil_segment(first, vaddr=0), "outside user space"),
        "bad-segment-kernel": (elf.spoil_segment(last, vaddr=KERNEL), "outside user space"),
        "bad-segment-hole": (elf.spoil_segment(last, vaddr=END_OF_USER), "outside user space"),
        "bad-segment-over-the-end": (elf.spoil_segment(last, vaddr=END_OF_USER - 4096, memsz=8192),
                                     "outside user space"),
        "bad-segment-wraps": (elf.spoil_segment(last, vaddr=MAX_64 - 4095, memsz=8192), "outside user space"),
        "bad-overlapping": (elf.spoil_segment(last, vaddr=elf.segment(first, "vaddr")), "overlap"),
        "bad-larger-than-memory": (elf.spoil_segment(last, memsz=1 << 32), "memory"),
        "bad-larger-than-the-world": (elf.spoil_segment(last, memsz=1 << 46), "memory"),
    }


def good_program(stage: str) -> Path:
    """The stage's own `hello`: the programs of later stages make system calls that stage 01 does not know."""
    subprocess.run(["make", "--silent", f"STAGE={stage}"], cwd=ROOT, stdin=subprocess.DEVNULL, check=True)
    return ROOT / f"build/{stage}/user/hello"


@pytest.mark.parametrize("stage", ["01", "05"])
def test_each_is_refused_by_name(stage, tmp_path):
    good = good_program(stage)
    bad = bad_modules(good.read_bytes())
    for name, (content, _) in bad.items():
        (tmp_path / name).write_bytes(content)
    modules = [shlex.join([str(good), "first"]), *(f"{tmp_path / name} argument" for name in bad),
               shlex.join([str(good), "last"])]
    boot = good_boot(stage, modules, timeout=120)

    assert sorted((task.command, task.status) for task in boot.tasks) == [("hello first", 0), ("hello last", 0)]
    lines = boot.log.decode(errors="replace").splitlines()
    named = {name: [line for line in lines if re.search(rf"(?<![\w-]){name}(?![\w-])", line)] for name in bad}
    assert {name: found for name, found in named.items() if len(found) != 1} == {}
    reasons = {name: found[0].replace(name, "") for name, found in named.items()}
    assert {name: reason for name, reason in reasons.items() if bad[name][1] not in reason} == {}


def test_nothing_but_bad_modules(tmp_path):
    """The kernel ends well without a single program to run."""
    (tmp_path / "script").write_bytes(b"#!/bin/sh\n")
    boot = good_boot("05", [str(tmp_path / "script")])
    assert boot.tasks == []
    assert b"script" in boot.log
