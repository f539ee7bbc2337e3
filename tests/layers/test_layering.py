# How the layers are laid and built: the last layer wins, links are relative, what changed is made anew and nothing
# else, a bug's patch applies to a copy. A small tree of three stages stands in for the real one, with the real
# Makefile and tools. Seen to fail: with `$(1)/layers` taken out of the rules in tools/build.mk, and with the
# comparison of hashes taken out of tools/layers.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from harness import ROOT
from layers import Variant, lay

KERNEL_LD = """\
ENTRY(kernel_start)
PHDRS { text PT_LOAD FLAGS(5); data PT_LOAD FLAGS(6); }
SECTIONS
{
    . = 0xffffffff80100000;
    .text : { *(.text .text.*) } :text
    .data : ALIGN(4096) { *(.data .data.*) } :data
    .bss : { *(.bss .bss.*) *(COMMON) } :data
    /DISCARD/ : { *(.note.*) *(.eh_frame*) *(.got*) *(.igot*) *(.plt*) *(.iplt) *(.rela.*) }
}
"""
FILES = {
    "stages/00-ground/kernel/kernel.ld": KERNEL_LD,
    "stages/00-ground/kernel/main.c": "#include <kernel/value.h>\nint value = VALUE;\nvoid kernel_start(void);\nvoid kernel_start(void) {}\n",
    "stages/00-ground/kernel/value.h": "#define VALUE 0x1000\n",
    "stages/00-ground/kernel/other.c": "int other;\n",
    "stages/01-user/user/start.S": ".globl _start\n_start: call main\n",
    "stages/01-user/user/ulib.c": "int ulib;\n",
    "stages/01-user/user/hello.c": "int main(void) { return 0; }\n",
    "stages/01-user/user/bare.S": ".globl _start\n_start: ret\n",
    "stages/01-user/programs": "hello\n",
    "stages/02-top/kernel/value.h": "#define VALUE 0x1002\n",
    "stages/02-top/bugs/off-by-one/value.patch": "--- a/kernel/value.h\n+++ b/kernel/value.h\n@@ -1 +1 @@\n"
                                                 "-#define VALUE 0x1002\n+#define VALUE 0x1003\n",
    "stages/02-top/bugs/own-file/kernel/other.c": "int other = 5;\n",
}


@pytest.fixture
def tree(tmp_path) -> Path:
    """The small tree, with the real Makefile and tools."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def make(tree: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    done = subprocess.run(["make", *arguments], cwd=tree, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def made(done: subprocess.CompletedProcess) -> set[str]:
    """What a run of make has made, by its short lines."""
    return {line.split()[1] for line in done.stdout.splitlines() if line.startswith("  ")}


def value_in(tree: Path, variant: str) -> int:
    """The value of the variable `value` in a kernel's data: the one number of the small kernel that differs."""
    dump = subprocess.check_output(["objdump", "-s", "-j", ".data", tree / f"build/{variant}/kernel.elf"], text=True)
    word = next(line.split()[1] for line in dump.splitlines() if line.startswith(" ffffffff"))
    return int.from_bytes(bytes.fromhex(word), "little")


def edit(path: Path, text: str) -> None:
    """Writes a file so that make sees it as newer than everything that is built."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    later = time.time() + 2
    os.utime(path, (later, later))


def test_last_layer_wins(tree):
    make(tree)
    assert [value_in(tree, stage) for stage in ("00", "01", "02")] == [0x1000, 0x1000, 0x1002]
    link = tree / "build/02/src/kernel/value.h"
    assert os.readlink(link) == "../../../../stages/02-top/kernel/value.h"
    assert os.readlink(tree / "build/02/src/kernel/main.c") == "../../../../stages/00-ground/kernel/main.c"
    assert not (tree / "build/00/src/user/hello.c").exists()
    assert (tree / "build/02/user/hello").is_file() and (tree / "build/02/user/bare").is_file()
    assert (tree / "build/02/src/programs").read_text() == "hello\n"
    addresses = (tree / "build/02/kernel.sym").read_text()
    assert "ffffffff80100000 kernel_start\n" in addresses


def test_nothing_to_do(tree):
    make(tree)
    assert made(make(tree)) == set()


def test_rebuilds_what_depends(tree):
    make(tree)
    edit(tree / "stages/02-top/kernel/value.h", "#define VALUE 7\n")
    assert made(make(tree)) == {"02/kernel/main.c.o", "02/kernel.elf"}
    assert value_in(tree, "02") == 7


def test_rebuilds_when_another_layer_takes_over(tree):
    """Also when the file that a link now points to is older than the object: the date says nothing then."""
    make(tree)
    before = tree / "stages/00-ground/kernel/value.h"
    os.utime(before, (1, 1))
    (tree / "stages/02-top/kernel/value.h").unlink()
    assert {"02/kernel/main.c.o", "02/kernel.elf"} <= made(make(tree))
    assert value_in(tree, "02") == 0x1000

    edit(tree / "stages/01-user/kernel/value.h", "#define VALUE 9\n")
    os.utime(tree / "stages/01-user/kernel/value.h", (1, 1))
    make(tree)
    assert [value_in(tree, stage) for stage in ("00", "01", "02")] == [0x1000, 9, 9]


def test_file_comes_and_goes(tree):
    make(tree, "STAGE=00")
    edit(tree / "stages/00-ground/kernel/more.c", "int more;\n")
    assert "00/kernel/more.c.o" in made(make(tree, "STAGE=00"))
    assert " more\n" in (tree / "build/00/kernel.sym").read_text()
    (tree / "stages/00-ground/kernel/more.c").unlink()
    make(tree, "STAGE=00")
    assert " more\n" not in (tree / "build/00/kernel.sym").read_text()
    assert not os.path.lexists(tree / "build/00/src/kernel/more.c")


def test_bugs(tree):
    """A patch changes a copy, a file replaces; neither touches the kernel without the bug."""
    make(tree, "STAGE=02")
    make(tree, "STAGE=02", "BUG=off-by-one")
    assert (value_in(tree, "02"), value_in(tree, "02+off-by-one")) == (0x1002, 0x1003)
    assert not (tree / "build/02+off-by-one/src/kernel/value.h").is_symlink()
    assert made(make(tree, "STAGE=02", "BUG=off-by-one")) == set()
    make(tree, "STAGE=02", "BUG=own-file")
    assert "bugs/own-file" in os.readlink(tree / "build/02+own-file/src/kernel/other.c")

    edit(tree / "stages/02-top/kernel/value.h", "#define VALUE 0x1002\n\n")      # the patched file below changes
    assert made(make(tree, "STAGE=02", "BUG=off-by-one")) >= {"02+off-by-one/kernel.elf"}
    edit(tree / "stages/02-top/kernel/value.h", "#define VALUE 8\n")
    done = make(tree, "STAGE=02", "BUG=off-by-one", check=False)
    assert done.returncode != 0 and "value.patch does not apply" in done.stderr
    edit(tree / "stages/02-top/kernel/value.h", "#define VALUE 0x1002\n\n")      # and is right again, as it was
    make(tree, "STAGE=02", "BUG=off-by-one")
    assert value_in(tree, "02+off-by-one") == 0x1003


def test_bug_of_a_higher_stage(tree):
    done = make(tree, "STAGE=01", "BUG=off-by-one", check=False)
    assert done.returncode != 0 and "above stage 01" in done.stderr


def test_layers_of_one_name(tree):
    """Two folders of one name, side by side."""
    for number in (1, 2):
        edit(tree / f"layers{number}/mine/kernel/value.h", f"#define VALUE 0x200{number}\n")
        make(tree, "STAGE=02", f"LAYER=layers{number}/mine")
    names = {lay(Variant("02", layers=(tree / f"layers{number}/mine",)), tree).name for number in (1, 2)}
    assert {value_in(tree, name) for name in names} == {0x2001, 0x2002}
    done = make(tree, "STAGE=02", "LAYER=stages", check=False)
    assert done.returncode != 0 and "no folder with kernel/" in done.stderr


def test_edit_of_a_link_is_not_lost(tree):
    """sed -i and some editors put a file in the place of a link."""
    make(tree, "STAGE=00")
    path = tree / "build/00/src/kernel/main.c"
    text = path.read_text()
    path.unlink()
    edit(path, text + "int edited;\n")
    done = make(tree, "STAGE=00", check=False)
    assert done.returncode != 0 and "an edit went to the wrong place" in done.stderr
    assert "int edited;" in path.read_text()


def test_self_tests_are_built_for_test_kernels_only(tree):
    edit(tree / "stages/01-user/test/check.c", "int check;\n")
    make(tree, "STAGE=01")
    make(tree, "STAGE=01", "TEST=1")
    assert " check\n" not in (tree / "build/01/kernel.sym").read_text()
    assert " check\n" in (tree / "build/01+test/kernel.sym").read_text()


def test_tree_and_diff(tree):
    lines = make(tree, "-s", "tree", "STAGE=02").stdout.splitlines()
    assert "kernel/main.c     00-ground" in lines
    assert "kernel/value.h    02-top   replaces 00-ground" in lines
    text = make(tree, "-s", "diff", "STAGE=02").stdout
    assert text == ("--- stages/00-ground/kernel/value.h\n+++ stages/02-top/kernel/value.h\n@@ -1 +1 @@\n"
                    "-#define VALUE 0x1000\n+#define VALUE 0x1002\n")
    text = make(tree, "-s", "diff", "STAGE=02", "BUG=off-by-one").stdout
    assert "-#define VALUE 0x1002\n+#define VALUE 0x1003\n" in text
    assert "+++ stages/01-user/user/hello.c\n" in make(tree, "-s", "diff", "STAGE=01").stdout


def test_short_lines_and_whole_commands(tree):
    assert "  CC   00/kernel/main.c.o\n" in make(tree, "STAGE=00").stdout
    make(tree, "clean")
    assert not (tree / "build").exists()
    assert "gcc -std=gnu11 -ffreestanding" in make(tree, "STAGE=00", "V=1").stdout


@pytest.mark.needs("clang")
def test_clang(tree):
    """In a folder of its own, by its own linker."""
    done = make(tree, "CC=clang", "V=1")
    assert "ld.lld" in done.stdout
    assert value_in(tree, "02+clang") == 0x1002
    assert made(make(tree)) >= {"02/kernel.elf"}


def test_commands_for_editors(tree):
    make(tree, "compile_commands.json", "STAGE=02")
    entries = json.loads((tree / "compile_commands.json").read_text())
    by_file = {entry["file"]: entry for entry in entries}
    assert {"build/02/src/kernel/main.c", "stages/00-ground/kernel/main.c", "stages/02-top/kernel/value.h"} <= set(by_file)
    entry = by_file["stages/00-ground/kernel/main.c"]
    subprocess.run(f"{entry['command']} -o /dev/null", shell=True, cwd=entry["directory"], check=True)


def test_listing(tree):
    make(tree, "build/00/kernel.asm")
    assert "<kernel_start>:" in (tree / "build/00/kernel.asm").read_text()


def test_help(tree):
    text = make(tree, "help").stdout
    for word in ("make run", "make bochs", "make step", "make test", "make iso", "make tree", "make diff", "make loc",
                 "make clean", "STAGE=", "CPUS=", "BUG=", "V=1"):
        assert word in text


def test_real_tree_is_quickly_up_to_date():
    """A make with nothing to do, over all stages. Its CPU time counts, about 0.08 s: a busy host makes it no longer."""
    make(ROOT)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = make(ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert made(done) == set()
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime < 0.2


@pytest.mark.heavy
@pytest.mark.parametrize("compiler", ["gcc", pytest.param("clang", marks=pytest.mark.needs("clang"))])
def test_real_tree_builds_without_a_warning(compiler):
    """All stages with their self-tests, and not a word from the compiler or the linker (-Werror, --fatal-warnings)."""
    for test in ("", "1"):
        done = make(ROOT, f"CC={compiler}", f"TEST={test}", check=False)
        assert (done.returncode, done.stderr) == (0, "")
