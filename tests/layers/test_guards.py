# The guards of the layers: what keeps a tree of overlaid folders from drifting. Each guard is a function that takes
# the root of a tree and gives its complaints; each is run over the real tree, and over a bad one made for it, where
# it must complain. So every guard is seen to fail each time the tests run.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Callable

import pytest
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from harness import ROOT
from layers import PARTS, Variant, files_of, lay, stage_folders

COLUMNS = 120
LEAST_NEW = 0.30        # of a replaced file; below, its line in `replaces` must give a reason


def blob_hash(path: Path) -> str:
    """As `git hash-object` gives it."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sources(root: Path, parts: tuple[str, ...] = PARTS) -> list[Path]:
    """The C, assembly and linker files of the stages; with the programs of the tests unless parts are named."""
    folders = [folder / part for folder in stage_folders(root).values() for part in parts]
    folders += [root / "tests/programs"] if parts == PARTS else []
    found = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
    return sorted(path for path in found if path.suffix in (".c", ".h", ".S", ".ld"))


def complain_about_lines(root: Path, pattern: str, why: str, parts: tuple[str, ...] = PARTS,
                         code_only: bool = True) -> list[str]:
    """Every line that matches, without its comments."""
    found = []
    for path in sources(root, parts):
        text = path.read_text()
        if code_only:
            text = re.sub(r"/\*.*?\*/", lambda match: "\n" * match.group().count("\n"), text, flags=re.DOTALL)
            text = re.sub(r"//.*", "", text)
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{path.relative_to(root)}:{number}: {why}: {line.strip()}")
    return found


def quoted_includes(root: Path) -> list[str]:
    """A quoted include looks beside its own file first, and so goes past the layers."""
    return complain_about_lines(root, r'#\s*include\s*"', "include with <angle brackets>")


def bare_offsets(root: Path) -> list[str]:
    """A number in an address is a field without a name; the name can be checked against the structure."""
    register = r"(?:r[a-ds][xip]|r[sb]p|r\d+|e[a-ds][xip]|e[sb]p)"
    number = r"(?:0x[0-9a-f]+|\d+)"
    segment = rf"\b[gf]s:\s*\[?\s*{number}\b"
    based = rf"\[\s*{register}\s*[+-]\s*{number}\s*\]"
    return complain_about_lines(root, f"{segment}|{based}", "name the offset", ("kernel", "proof", "test"))


def assembler_constants(root: Path) -> list[str]:
    """A constant by .set that stands below its use is assembled as a load from that address, without a warning."""
    return complain_about_lines(root, r"\.(set|equ|equiv)\b", "use #define")


def tabs(root: Path) -> list[str]:
    return complain_about_lines(root, "\t", "a tab", code_only=False)


def long_lines(root: Path) -> list[str]:
    return complain_about_lines(root, rf"^.{{{COLUMNS + 1}}}", f"more than {COLUMNS} columns", code_only=False)


def trailing_blanks(root: Path) -> list[str]:
    return complain_about_lines(root, r"\s$", "blanks at the end", code_only=False)


def missing_licences(root: Path) -> list[str]:
    """Every source file says its licence, in its first lines."""
    others = [*root.glob("tools/**/*"), *root.glob("tests/**/*.py"), *root.glob("stages/*/Makefile")]
    paths = [path for path in others if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"]
    return [f"{path.relative_to(root)}: no SPDX-License-Identifier in the first 8 lines"
            for path in sources(root) + sorted(paths)
            if "SPDX-License-Identifier: MIT" not in "".join(path.read_text().splitlines(True)[:8])]


def acknowledged(folder: Path) -> dict[str, tuple[str, str]]:
    """The file `replaces` of a stage: name, hash of the file that is replaced, and a reason or nothing."""
    listing = folder / "replaces"
    lines = listing.read_text().splitlines() if listing.is_file() else []
    words = [line.split(maxsplit=2) for line in lines if line.strip() and not line.startswith("#")]
    return {line[0]: (line[1], line[2] if len(line) > 2 else "") for line in words if len(line) > 1}


def share_of_new_lines(lower: Path, upper: Path) -> float:
    before, after = (path.read_text().splitlines() for path in (lower, upper))
    same = sum(block.size for block in difflib.SequenceMatcher(None, before, after, False).get_matching_blocks())
    return 1 - same / max(len(after), 1)


def replacement_complaints(name: str, lower: Path, upper: Path, noted: tuple[str, str] | None, where: str) -> list[str]:
    """What is wrong with one file that replaces another."""
    found = []
    if noted is None or noted[0] != blob_hash(lower):
        found.append(f"{where}: {name} replaces a file that has changed, or was never noted: compare the two, then "
                     f"write: {name} {blob_hash(lower)}")
    if lower.read_bytes() == upper.read_bytes():
        found.append(f"{where}: {name} is identical to the file that it replaces")
    elif share_of_new_lines(lower, upper) < LEAST_NEW and not (noted and noted[1]):
        found.append(f"{where}: {name} is {share_of_new_lines(lower, upper):.0%} new: give a reason behind its hash")
    return found


def unacknowledged_replacements(root: Path) -> list[str]:
    """A file that replaces another is a copy that can go stale. `replaces` holds the hash of what it was made from."""
    found = []
    below: dict[str, Path] = {}
    for folder in stage_folders(root).values():
        noted = acknowledged(folder)
        mine = {name: path for name, path in files_of(folder).items() if name != "programs"}
        replaced = {name: path for name, path in mine.items() if name in below}
        where = f"{folder.relative_to(root)}/replaces"
        for name, path in replaced.items():
            found += replacement_complaints(name, below[name], path, noted.get(name), where)
        found += [f"{where}: {name} replaces nothing" for name in noted if name not in replaced]
        below.update(mine)
    return found


def plain_files(root: Path) -> list[str]:
    """Every entry of build/NN/src is a link into stages/. A plain file is an edit that the next build loses."""
    found = []
    for number in stage_folders(root):
        for path in (root / "build" / number / "src").rglob("*"):
            if path.is_symlink():
                target = Path(os.readlink(path))
                if target.is_absolute() or not path.resolve().is_relative_to(root / "stages"):
                    found.append(f"{path.relative_to(root)} is not a relative link into stages/")
            elif not path.is_dir():
                found.append(f"{path.relative_to(root)}: you edited a link; move the file into stages/")
    return found


def sample(root: Path, files: dict[str, str]) -> Path:
    """A tree with these files; what every guard wants of a file is there already."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"/* SPDX-License-Identifier: MIT */\n{text}\n")
    return root


GOOD = {
    "stages/00-a/kernel/main.c": "#include <kernel/x.h>\nint main_of_a;\nint b;\nint c;\n",
    "stages/00-a/kernel/x.h": "#define PCR_SELF 0\n",
    "stages/00-a/kernel/entry.S": "mov rax, gs:[PCR_SELF]\nmov rbx, [rsp + FRAME_CS]\nmov [rdi + 8 * rcx], rax\n"
                                  "/* gs:[8] is a comment */",
    "stages/01-b/user/hello.c": "int main;",
}
BAD: dict[str, tuple[Callable[[Path], list[str]], dict[str, str]]] = {
    "quoted include": (quoted_includes, {"stages/00-a/kernel/main.c": '# include "x.h"'}),
    "gs:[8]": (bare_offsets, {"stages/00-a/kernel/entry.S": "mov rax, gs:[8]"}),
    "gs:[0x10]": (bare_offsets, {"stages/00-a/kernel/entry.S": "mov rax, qword ptr gs:[0x10]"}),
    "gs:8 in C": (bare_offsets, {"stages/00-a/kernel/main.c": 'asm("mov rax, gs:8");'}),
    "[rsp+16]": (bare_offsets, {"stages/00-a/kernel/entry.S": "test byte ptr [rsp+16], 3"}),
    "[rdi - 0x10] in C": (bare_offsets, {"stages/00-a/test/x.c": 'asm("push [rdi - 0x10]");'}),
    ".set": (assembler_constants, {"stages/00-a/kernel/entry.S": ".set FOO, 5"}),
    ".equ in C": (assembler_constants, {"stages/01-b/user/hello.c": 'asm(".equ FOO, 5");'}),
    "tab": (tabs, {"stages/01-b/user/hello.c": "\tint x;"}),
    "long line": (long_lines, {"stages/00-a/kernel/kernel.ld": "x" * (COLUMNS + 1)}),
    "trailing blank": (trailing_blanks, {"tests/programs/hello.c": "int x; "}),
    "not acknowledged": (unacknowledged_replacements, {"stages/01-b/kernel/main.c": "all\nnew\n"}),
    "stale hash": (unacknowledged_replacements, {"stages/01-b/kernel/main.c": "all\nnew\n",
                                                 "stages/01-b/replaces": f"kernel/main.c {'0' * 40}\n"}),
    "replaces nothing": (unacknowledged_replacements, {"stages/01-b/replaces": f"kernel/new.c {'0' * 40}\n"}),
}


@pytest.fixture
def good(tmp_path) -> Path:
    return sample(tmp_path, GOOD)


GUARDS = [quoted_includes, bare_offsets, assembler_constants, tabs, long_lines, trailing_blanks, missing_licences,
          unacknowledged_replacements]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
def test_tree(guard, good):
    """The real tree passes, and so does a small good one: a guard that complains about everything is no guard."""
    assert guard(good) == []
    complaints = guard(ROOT)
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("guard, files", BAD.values(), ids=BAD)
def test_guard_complains(guard, files, good):
    assert len(guard(sample(good, files))) >= 1


def test_licence_guard_complains(good):
    (good / "stages/00-a/kernel/bare.c").write_text("int x;\n")
    (good / "tools").mkdir()
    (good / "tools/bare").write_text("#!/bin/sh\n")
    assert len(missing_licences(good)) == 2


def test_acknowledged_replacement(good):
    """The right hash is what the guard wants; then identity and small changes are still seen."""
    lower, upper = good / "stages/00-a/kernel/main.c", good / "stages/01-b/kernel/main.c"
    sample(good, {"stages/01-b/kernel/main.c": "all\nthis\nis\nnew\n"})
    replaces = good / "stages/01-b/replaces"
    replaces.write_text(f"# a comment\nkernel/main.c {blob_hash(lower)}\n")
    assert unacknowledged_replacements(good) == []

    upper.write_text(lower.read_text())
    assert "identical" in unacknowledged_replacements(good)[0]

    upper.write_text(lower.read_text().replace("int c;", "int d;"))
    assert "give a reason" in unacknowledged_replacements(good)[0]
    replaces.write_text(f"kernel/main.c {blob_hash(lower)} the lesson is this line\n")
    assert unacknowledged_replacements(good) == []

    lower.write_text(lower.read_text() + "int fixed;\n")
    assert "has changed" in unacknowledged_replacements(good)[0]


@pytest.mark.needs("git")
def test_hash_is_that_of_git(good):
    path = good / "stages/00-a/kernel/main.c"
    assert blob_hash(path) == subprocess.check_output(["git", "hash-object", path], text=True).strip()


def test_src_holds_links_only(good):
    for number in stage_folders():
        lay(Variant(number))
    assert plain_files(ROOT) == []

    lay(Variant("00"), good)
    assert plain_files(good) == []
    main = good / "build/00/src/kernel/main.c"
    main.unlink()
    main.write_text("edited\n")
    assert "you edited a link" in plain_files(good)[0]
    main.unlink()
    main.symlink_to(good / "stages/00-a/kernel/main.c")
    assert "not a relative link" in plain_files(good)[0]


def compile_alone(header: dict) -> str:
    """Compiles a header by itself, with the flags of the build; gives what the compiler says. A header with
    assembly in it is assembled, and compiled as well if it has a part for C."""
    text = Path(header["directory"], header["file"]).read_text()
    assembly = re.search(r"^\.[a-z]", text, re.MULTILINE)
    languages = ["assembler-with-cpp"] if assembly else ["c"]
    if assembly and "__ASSEMBLER__" in text:
        languages.append("c")
    words = [word for word in header["command"].split() if word not in ("-c", header["file"])]
    said = ""
    for language in languages:
        done = subprocess.run([*words, "-include", header["file"], "-x", language, "-c", "-o", os.devnull, os.devnull],
                              cwd=header["directory"], capture_output=True, text=True)
        said += done.stderr
    return said


def commands_of(root: Path, stage: str) -> list[dict]:
    (root / "build").mkdir(exist_ok=True)
    subprocess.run(["flock", "build/.lock", "make", "--silent", "-f", "tools/build.mk", f"STAGE={stage}", "commands"],
                   cwd=root, check=True, stdin=subprocess.DEVNULL)
    return json.loads((root / "build" / stage / "compile_commands.json").read_text())


@pytest.mark.parametrize("stage", stage_folders())
def test_headers_compile_alone(stage):
    """A header includes what it needs."""
    headers = [entry for entry in commands_of(ROOT, stage)
               if entry["file"].startswith("build/") and entry["file"].endswith(".h")]
    assert headers
    complaints = [complaint for complaint in map(compile_alone, headers) if complaint]
    assert not complaints, "\n".join(complaints)


def test_header_guard_complains(tmp_path):
    (tmp_path / "alone.h").write_text("#pragma once\nuint64_t x;\n")
    command = {"directory": str(tmp_path), "file": "alone.h", "command": "gcc -Wall -Werror -c alone.h"}
    assert "unknown type name" in compile_alone(command)
    (tmp_path / "alone.h").write_text("#pragma once\n#include <stdint.h>\nuint64_t x;\n")
    assert compile_alone(command) == ""


def orphans(elf: Path, script: Path) -> list[str]:
    """Sections that are loaded although the linker script does not place them: nobody decides on their protection.
    (The linker could refuse them, but would then want all debugging sections named as well.)"""
    with elf.open("rb") as file:
        loaded = [section.name for section in ELFFile(file).iter_sections()
                  if section["sh_flags"] & SH_FLAGS.SHF_ALLOC and section["sh_size"]]
    return [name for name in loaded if not re.search(rf"^\s*{re.escape(name)}\b", script.read_text(), re.MULTILINE)]


@pytest.mark.parametrize("stage", stage_folders())
def test_no_orphans(stage):
    subprocess.run(["make", "--silent", f"STAGE={stage}"], cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
    built = ROOT / "build" / stage
    assert orphans(built / "kernel.elf", built / "src/kernel/kernel.ld") == []


def test_orphan_guard_complains(tmp_path):
    (tmp_path / "kernel.ld").write_text("SECTIONS { .text : { *(.text) }\n .data : { *(.data) } }")
    source = '.section .surprise, "a"\n.quad 1\n.data\n.quad 2\n.section .debug_info\n.quad 3\n'
    subprocess.run(["gcc", "-c", "-x", "assembler", "-o", tmp_path / "x.o", "-"], input=source, text=True, check=True)
    subprocess.run(["ld", "-T", tmp_path / "kernel.ld", "-o", tmp_path / "x.elf", tmp_path / "x.o"], check=True)
    (tmp_path / "kernel.ld").write_text("SECTIONS {\n .text : { *(.text) }\n .data : { *(.data) } }")
    assert orphans(tmp_path / "x.elf", tmp_path / "kernel.ld") == [".surprise"]


def absolute_operands(elf: Path) -> list[str]:
    """Instructions of .text that read or write below 1 MiB by an absolute address: there, an immediate was meant.
    A name without a definition becomes such an operand, and so does one that is defined below its use."""
    code = subprocess.check_output(["objdump", "-d", "-M", "intel", "-j", ".text", elf], text=True)
    return [line for line in code.splitlines() if re.search(r"\b[d]s:0x[0-9a-f]{1,5}\b", line)]


@pytest.mark.parametrize("stage", stage_folders())
def test_no_undefined_symbols(stage):
    """Nothing is left for a linker to resolve, and no constant was taken for an address."""
    subprocess.run(["make", "--silent", f"STAGE={stage}"], cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
    elf = ROOT / f"build/{stage}/kernel.elf"
    assert subprocess.check_output(["nm", "--undefined-only", elf], text=True) == ""
    assert absolute_operands(elf) == []


def test_operand_guard_complains(tmp_path):
    source = ".intel_syntax noprefix\nmov rax, FOO\n.set FOO, 5\nmov rbx, FOO\n"
    subprocess.run(["gcc", "-c", "-x", "assembler", "-o", tmp_path / "x.o", "-"], input=source, text=True, check=True)
    assert len(absolute_operands(tmp_path / "x.o")) == 1


@pytest.mark.needs("clang-format")
def test_the_files_are_formatted():
    """By .clang-format, as `make format` does it; known to hold with clang-format 14. (Seen to fail with a line of C
    indented by two.)"""
    done = subprocess.run(["make", "--silent", "format-check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
