# The kernel where there is no gcc for x86-64: clang with --target, lld, and LLVM's other tools, and nothing of gcc and
# GNU's binutils on the PATH. Each stage is built, in a copy of the tree, where nothing has been built yet; one boots.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from harness import ROOT, path_without
from layers import stage_folders

pytestmark = pytest.mark.needs("clang", "llvm", "qemu", "grub")

GNU = re.compile(r"(?!llvm-)(.+-)?(gcc|g\+\+|c\+\+|cpp|cc|as|ld|ld\.bfd|ld\.gold|gold|ar|nm|ranlib|objcopy|objdump|"
                 r"readelf|size|strip|strings|addr2line|c\+\+filt|elfedit)(-[\d.]+)?|c[89]9(-gcc)?|gcc-.+")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """The tree without build/, and beside it the programs that there are."""
    folder = tmp_path_factory.mktemp("without-gnu")
    for name in ("stages", "tools"):
        shutil.copytree(ROOT / name, folder / "tree" / name, ignore=shutil.ignore_patterns("__pycache__", "build"))
    shutil.copy(ROOT / "Makefile", folder / "tree")
    path_without(folder / "bin", lambda name: bool(GNU.fullmatch(name)) or name in ("apt-get", "dnf", "pacman", "brew"))
    return folder


def run(place: Path, *command: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
    return subprocess.run(command, cwd=place / "tree", stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=600, env={**environment, "PATH": str(place / "bin"), "CC": "clang"})


def test_gcc_is_hidden(place):
    """Else the rest would show nothing. LLVM's tools, and those that only look alike, are there."""
    for name in ("gcc", "cc", "as", "ld", "ar", "nm", "objdump", "addr2line", "x86_64-linux-gnu-gcc", "gcc-12"):
        assert not (place / "bin" / name).exists(), name
    for name in ("clang", "ld.lld", "llvm-ar", "llvm-nm", "bash", "make", "xorriso"):
        assert (place / "bin" / name).exists(), name


def test_builds_every_stage_and_boots_the_last(place):
    """Seen to fail: with nm in tools/build.mk as it was, and with gcc in the group `build` of tools/setup."""
    done = run(place, "make", "CC=clang")
    assert done.returncode == 0 and done.stderr == "", done.stdout + done.stderr
    for stage in stage_folders():
        with open(place / f"tree/build/{stage}+clang/kernel.elf", "rb") as file:
            comment = ELFFile(file).get_section_by_name(".comment").data()
        assert b"clang" in comment and b"LLD" in comment and b"GCC" not in comment
    last = max(stage_folders())
    symbols = (place / f"tree/build/{last}+clang/kernel.sym").read_text()
    assert re.search(r"^ffffffff8[0-9a-f]{7} syscall_entry$", symbols, re.MULTILINE)
    listing = f"build/{last}+clang/kernel.asm"
    assert run(place, "make", "CC=clang", f"STAGE={last}", listing).returncode == 0
    assert re.search(r"^ *ffffffff8[0-9a-f]{7}:\s+swapgs", (place / "tree" / listing).read_text(), re.MULTILINE)
    done = run(place, "tools/boot", "--stage", last, "--cpus", "2", "--timeout", "60")
    assert done.returncode == 0 and "all programs have ended\n" in done.stdout, done.stdout + done.stderr


def test_a_panic_has_source_lines(place):
    """Also without GNU's addr2line. (Seen to fail: without llvm-addr2line.)"""
    done = run(place, "tools/boot", "--stage", "01", "--append", "overflow", "--timeout", "60")
    assert "stages/" in done.stdout, done.stdout
