# The texts: what tools/lesson writes is up to date, a change of an excerpt or of its source is noticed, links lead
# somewhere, functions that a lesson speaks of exist. Each check is run over the real tree, and over a copy with a
# mistake made in it, where it must complain. So each is seen to fail each time the tests run.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import ROOT
from layers import Variant, merge, stage_folders

pytestmark = pytest.mark.needs("cloc")

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CALL = re.compile(r"`([a-z_][a-z0-9_]*)\(\)`")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LESSON = "stages/03-syscall-swapgs/README.md"


def lesson(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, root / "tools/lesson", *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)


def pages(root: Path) -> list[Path]:
    return sorted([*root.glob("*.md"), *root.glob("stages/**/*.md"), *root.glob("docs/**/*.md"),
                   *root.glob("tests/**/*.md")])


@pytest.fixture
def tree(tmp_path) -> Path:
    """A copy of all that the texts are about."""
    for name in ("stages", "docs", "tools", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "build"))
    for path in [*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "grub.cfg", ROOT / "LICENSE"]:
        shutil.copy(path, tmp_path)
    shutil.copytree(ROOT / "LICENSES", tmp_path / "LICENSES")
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_written():
    done = lesson(ROOT, "--check")
    assert done.returncode == 0, f"run tools/lesson\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("path, old, new, complaint", [
    # typed into an excerpt
    (LESSON, "\n                          swapgs ", "\n                          swap_gs ", "-                          swap_gs "),
    # its source has changed, in a lower stage, too
    ("stages/03-syscall-swapgs/kernel/syscall_entry.S", "    sysretq", "    iretq", "9)    iretq"),
    ("stages/02-gs-pcr/kernel/pcr.h", " user_rsp; ", " rsp_of_user; ", "+    uint64_t rsp_of_user; "),
    # a file's purpose, and so a line of the tables
    ("stages/02-gs-pcr/kernel/pcr.h", "/* pcr.h: the", "/* pcr.h: a", "| a processor control region"),
    # no such name, no such file, no end
    (LESSON, "kernel/syscall_entry.S syscall_entry -->", "kernel/syscall_entry.S entry -->", "has no 'entry'"),
    (LESSON, "excerpt: kernel/syscall_entry.S", "excerpt: kernel/entry.S", "stage 03 has no kernel/entry.S"),
    (LESSON, "<!-- end -->", "", "a marker without its <!-- end -->"),
    # typed into what a run has printed
    (LESSON, "all programs have ended", "all programs have won", "never recorded, or its output was changed by hand"),
])
def test_notices(tree, path, old, new, complaint):
    change(tree / path, old, new)
    done = lesson(tree, "--check")
    assert done.returncode == 1
    assert complaint in done.stdout + done.stderr


def test_writes(tree):
    """What --check complains about, tools/lesson mends; and it leaves alone what stands outside the markers."""
    lesson(tree)
    before = (tree / LESSON).read_text()
    change(tree / LESSON, "\n                          swapgs ", "\n                          swap_gs ")
    assert lesson(tree).returncode == 0
    assert lesson(tree, "--check").returncode == 0
    assert (tree / LESSON).read_text() == before


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", CODE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(root: Path) -> list[str]:
    found = []
    for page in pages(root):
        for target in LINK.findall(CODE.sub("", page.read_text())):
            path, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            other = (page.parent / path).resolve() if path else page
            if not other.exists() or not other.is_relative_to(root.resolve()):
                found.append(f"{page.relative_to(root)}: there is no {target}")
            elif anchor and other.suffix == ".md" and anchor not in anchors(other):
                found.append(f"{page.relative_to(root)}: {path or 'this page'} has no heading for #{anchor}")
    return found


def test_links():
    assert broken_links(ROOT) == []


@pytest.mark.parametrize("old, new, complaint", [
    ("(../02-gs-pcr/README.md)", "(../02-gs/README.md)", "there is no ../02-gs/README.md"),
    ("(../02-gs-pcr/README.md)", "(../02-gs-pcr/README.md#nowhere)", "has no heading for #nowhere"),
    ("(../02-gs-pcr/README.md)", "(../../../README.md)", "there is no ../../../README.md"),
])
def test_broken_links_are_noticed(tree, old, new, complaint):
    change(tree / LESSON, old, new)
    assert any(complaint in line for line in broken_links(tree))


def unknown_functions(root: Path) -> list[str]:
    """What a lesson calls `name()` and what its stage's sources do not have."""
    found = []
    for number, folder in stage_folders(root).items():
        sources = "\n".join(entry.source.read_text() for entry in merge(Variant(number), root).values())
        text = CODE.sub("", (folder / "README.md").read_text())
        found += [f"{folder.name}: {name}()" for name in sorted(set(CALL.findall(text)))
                  if not re.search(rf"\b{name}\b", sources)]
    return found


def test_functions():
    assert unknown_functions(ROOT) == []


def test_unknown_functions_are_noticed(tree):
    change(tree / LESSON, "## Exercises", "It is `pcr_start()` that does it.\n\n## Exercises")
    assert unknown_functions(tree) == ["03-syscall-swapgs: pcr_start()"]
