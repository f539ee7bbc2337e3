# What students get, and the trees that their work is graded in: complete, the same each time, and without the solution.
# What looks for a solution is seen to find one, in every form in which the repository holds it.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from grading import handout, leaks, tree
from grading.lab import find_labs, load_lab
from harness import ROOT

LABS = sorted(find_labs())
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
SYSCALL_ENTRY = "stages/03-syscall-swapgs/kernel/syscall_entry.S"


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", CODE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# The labs' descriptions.

@pytest.mark.parametrize("number", LABS)
def test_description(number):
    """What the schema cannot say. Seen to fail: with a point more, a wrong anchor, a starter file that no lab names."""
    lab = load_lab(number)
    assert set(tree.starter(lab)) == {f"stages/{lab.stage.name}/{name}" for name in lab.files}
    assert set(lab.required) <= set(lab.files)
    assert sum(check.points for check in lab.checks if not check.challenge) == 100
    for check in lab.checks:
        page, _, anchor = check.page.partition("#")
        assert (ROOT / page).is_file(), f"{check.id}: {page}"
        assert not anchor or anchor in anchors(ROOT / page), f"{check.id}: {page} has no heading for #{anchor}"
    for challenge in lab.challenges:
        assert (lab.folder / "challenges" / challenge.text).is_file()


@pytest.mark.parametrize("number", LABS)
def test_pages(number):
    """An assignment with its checks, and what only instructors are to read."""
    folder = load_lab(number).folder
    assert "<!-- checks: -->" in (folder / "README.md").read_text()
    assert (folder / "answers.md").is_file()


# The pristine tree.

@pytest.mark.parametrize("number", LABS)
def test_tree_is_pristine(number, tmp_path):
    """The starter is in it where the solution was, nothing of a later stage is, and nothing that quotes one."""
    lab = load_lab(number)
    tree.lay_tree(lab, tmp_path)
    for name in lab.files:
        given = lab.folder / "starter" / name
        assert (tmp_path / "stages" / lab.stage.name / name).read_bytes() == given.read_bytes()
    names = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    assert not [name for name in names if re.search(r"/(lab|bugs|test|steps)/|README|answers|grading", name)]
    assert max(name[7:9] for name in names if name.startswith("stages/")) == number
    assert leaks.find_leaks(lab, leaks.read_folder(tmp_path)) == []


@pytest.fixture
def repository(tmp_path) -> Path:
    """A copy of what labs are made from, to break."""
    root = tmp_path / "repository"
    for name in ("stages", "tools", "docs", "LICENSES", ".devcontainer"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.glob("*"):
        if path.is_file():
            shutil.copy(path, root)
    return root


def test_a_starter_that_lacks_a_file(repository):
    """Without it the solution would be the pristine tree's."""
    lab = load_lab("03", repository)
    (lab.folder / "starter/kernel/syscall_entry.S").unlink()
    with pytest.raises(tree.TreeError, match="starter lacks kernel/syscall_entry.S"):
        tree.plan(lab)


def made(folder: Path) -> list[str]:
    """What make makes there, by name."""
    done = subprocess.run(["make", "--no-print-directory", "-f", "tools/build.mk", "STAGE=03"], cwd=folder, text=True,
                          check=True, stdout=subprocess.PIPE, env={**os.environ, "MAKEFLAGS": ""})
    return [line.split()[-1] for line in done.stdout.splitlines()]


def test_ready_tree(tmp_path):
    """Several at once make it once. A copy elsewhere builds nothing, and with a file on top that file alone; its
    debugging information names no place."""
    lab = load_lab("03")
    with ThreadPoolExecutor(4) as pool:
        ready = set(pool.map(lambda _: tree.ready_tree(lab, cache=tmp_path / "cache"), range(4)))
    assert len(ready) == 1 and len([path for path in (tmp_path / "cache").iterdir() if path.is_dir()]) == 1
    tree.lay_submission(*ready, {}, tmp_path / "empty", lab)
    assert made(tmp_path / "empty") == []
    tree.lay_submission(*ready, {"kernel/syscall_init.c": ROOT / "stages/03-syscall-swapgs/kernel/syscall_init.c",
                                 "challenges/kpti": ROOT / "LICENSE"}, tmp_path / "one", lab)
    assert made(tmp_path / "one") == ["03/kernel/syscall_init.c.o", "03/kernel.elf"]
    for place in (tmp_path, ROOT):
        assert os.fsencode(place) not in (tmp_path / "one/build/03/kernel.elf").read_bytes()


def test_ready_tree_of_another_content(repository):
    lab = load_lab("03", repository)
    before = tree.fingerprint(lab, ())
    assert before == tree.fingerprint(load_lab("03"), ()) != tree.fingerprint(lab, ("-DX",))
    (lab.folder / "starter/kernel/syscall_init.c").write_text("int x;\n")
    assert tree.fingerprint(lab, ()) != before
    with pytest.raises(tree.TreeError, match="does not build:\n(.*\n)*.*syscall_init"):
        tree.ready_tree(lab)
    assert not [path for path in (repository / "build/grade").iterdir() if re.fullmatch(r"lab03-\w+", path.name)]


# What looks for the solution.

SECRET = {"solution.S": ["mov gs:[PCR_USER_RSP], rsp", "mov rsp, gs:[PCR_TSS_RSP0]", "push SEL_USER_DATA"]}


@pytest.mark.parametrize("text", [
    "    mov     gs:[PCR_USER_RSP], rsp      /* 2. */\nSTEP(x, 3)    mov rsp, gs:[PCR_TSS_RSP0]\n",
    "+mov gs:[PCR_USER_RSP], rsp\n lfence\n+mov rsp, gs:[PCR_TSS_RSP0]\n",
    "| `mov gs:[PCR_USER_RSP], rsp` | 0 |\n| `mov rsp, gs:[PCR_TSS_RSP0]` | 0 |\n",
    '{"text": "mov gs:[PCR_USER_RSP], rsp\\nmov rsp, gs:[PCR_TSS_RSP0]"}',
])
def test_leak_is_found(text):
    found = leaks.leaks_of("file", text, SECRET)
    assert [(leak.file, leak.line, leak.source) for leak in found] == [("file", 1, "solution.S")]


@pytest.mark.parametrize("text", [
    "mov gs:[PCR_USER_RSP], rsp\n",                                                     # one line alone
    "mov gs:[PCR_USER_RSP], rsp\n\n\n\n\n\nmov rsp, gs:[PCR_TSS_RSP0]\n",               # far from each other
    "push SEL_USER_DATA\nmov rsp, gs:[PCR_TSS_RSP0]\nmov gs:[PCR_USER_RSP], rsp\n",     # in another order
])
def test_no_leak(text):
    assert leaks.leaks_of("file", text, SECRET) == []


@pytest.mark.parametrize("name", [
    SYSCALL_ENTRY,
    "stages/03-syscall-swapgs/README.md",
    "stages/03-syscall-swapgs/bugs/global-scratch/syscall_entry-S.patch",
    "stages/02-gs-pcr/bugs/both-gs-bases-are-the-pcr/syscall_entry-S.patch",
    "stages/05-smp/kernel/entry_macros.h",
    "stages/04-switch-rflags/kernel/switch.S",
    "docs/ablation.json",
])
def test_leaks_of_the_repository(name):
    """Where the solution of lab 03 or a later stage stands in the repository."""
    found = leaks.find_leaks(load_lab("03"), {name: (ROOT / name).read_bytes()})
    assert found and found[0].file == name


# The hand-out.

@pytest.fixture(scope="module", params=LABS)
def handed_out(request, tmp_path_factory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("handout") / "lab"
    done = make_handout(request.param, folder)
    assert done.returncode == 0, done.stderr
    return request.param, folder


def make_handout(*words: object, root: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, root / "tools/handout", *map(str, words)], text=True, capture_output=True)


def test_handout(handed_out, tmp_path):
    """No leak, no file for instructors, nothing of a later lab; every link and walk is there; the same bytes twice."""
    number, folder = handed_out
    files = leaks.read_folder(folder)
    assert leaks.find_leaks(load_lab(number), files) == []
    assert not [name for name in files if re.search(r"answers|/bugs/|^tests/|leaks|/test/", name)]
    beyond = [word for name in files for word in re.findall(r"^stages/(\d\d)|grading/lab(\d\d)", name)]
    assert max(max(words) for words in beyond) == number
    assert broken_links(folder) == []
    walks = re.findall(r"WALK=([\w-]+)", (folder / "README.md").read_text())
    assert [walk for walk in walks if not list(folder.glob(f"stages/*/steps/{walk}.toml"))] == []
    assert make_handout(number, tmp_path / "again").returncode == 0
    assert leaks.read_folder(tmp_path / "again") == files
    modes = {path: path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    assert {mode for path, mode in modes.items() if path.read_bytes()[:2] == b"#!"} == {0o755}


def broken_links(folder: Path) -> list[str]:
    found = []
    for page in folder.rglob("*.md"):
        for target in LINK.findall(CODE.sub("", page.read_text())):
            path, _, anchor = target.partition("#")
            other = (page.parent / path).resolve() if path else page
            if not re.match(r"[a-z]+:", target) and not (
                    other.exists() and (not anchor or other.suffix != ".md" or anchor in anchors(other))):
                found.append(f"{page.relative_to(folder)}: {target}")
    return found


def test_tree_from_a_handout(handed_out, tmp_path):
    """It is the repository's, whatever the student has written; and a change elsewhere is noticed."""
    number, folder = handed_out
    shutil.copytree(folder, tmp_path / "work")
    lab = load_lab(number, tmp_path / "work")
    (lab.stage / lab.files[0]).write_text("mine\n")
    tree.lay_tree(load_lab(number), tmp_path / "there")
    tree.lay_tree(lab, tmp_path / "here")
    assert leaks.read_folder(tmp_path / "here") == leaks.read_folder(tmp_path / "there")
    check = ["sha256sum", "--check", "--quiet", "PRISTINE"]
    assert subprocess.run(check, cwd=tmp_path / "work").returncode == 0
    with open(tmp_path / "work/stages/00-boot/kernel/panic.c", "a") as file:
        file.write("/* mine */\n")
    assert subprocess.run(check, cwd=tmp_path / "work", capture_output=True).returncode == 1


def test_refusals(tmp_path):
    """Each with its reason, and nothing written."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.c").write_text("mine\n")
    for words, reason in [(("03", tmp_path / "full"), "is not an empty folder"),
                          (("09", tmp_path / "x"), "there is no lab '09'"),
                          (("03",), "the following arguments are required: DIR")]:
        done = make_handout(*words)
        assert done.returncode == 2 and reason in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "mine.c"]


@pytest.mark.parametrize("pattern", ["docs/ablation.json", "stages/*/bugs/*/*", "stages/05-smp/kernel/*"])
def test_nothing_is_written_with_a_leak_in_it(monkeypatch, tmp_path, pattern):
    monkeypatch.setattr(handout, "KEPT", (*handout.KEPT, pattern))
    with pytest.raises(handout.HandoutError, match="the solution would be in it:\n    "):
        handout.make_handout(load_lab("03"), tmp_path / "lab")
    assert not (tmp_path / "lab").exists()


def test_the_lesson_without_the_solution():
    """What is the student's is left out of it, the table that steps through it too; what is given stays."""
    lab = load_lab("03")
    text = handout.redacted(lab, (lab.stage / "README.md").read_text())
    assert "| `mov rsp, gs:[PCR_TSS_RSP0]` |" not in text and "wrmsr(MSR_STAR" not in text
    assert "*(Left out here" in text and "struct trap_frame" in text and "| `sysretq` |" not in text


@pytest.mark.heavy
@pytest.mark.needs("qemu", "grub", "clang")
def test_handout_works(handed_out, tmp_path):
    """It builds with both compilers; what it boots says what is missing; its files go into one archive."""
    number, folder = handed_out
    lab = load_lab(number)
    shutil.copytree(folder, tmp_path / "work")

    def make(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run(["make", *words], cwd=tmp_path / "work", text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
                              env={**os.environ, "MAKEFLAGS": ""})
    for compiler in ("gcc", "clang"):
        assert make(f"CC={compiler}").returncode == 0
    assert re.search(rf"^panic: .*lab {number}: \S+ is yours to write$", make("run", "TIMEOUT=60").stdout, re.MULTILINE)
    assert f"{lab.files[0]} " in make("tree").stdout
    (tmp_path / "work/answers.txt").write_text("1. None.\n")
    (tmp_path / "work/challenges").mkdir()
    (tmp_path / "work/challenges/one").touch()
    make("submission")
    listed = subprocess.run(["tar", "--list", "--file", tmp_path / f"work/build/lab{number}.tar.gz"], text=True,
                            stdout=subprocess.PIPE, check=True).stdout.split()
    more = {"answers.txt", "challenges/one"}
    assert {*lab.files, *more} <= set(listed) <= {*lab.files, *handout.of_challenges(lab), *more}


@pytest.mark.heavy
@pytest.mark.needs("qemu", "grub")
def test_grade_in_a_handout(handed_out, tmp_path):
    """With the same command, with the solution in place of the starter."""
    number, folder = handed_out
    shutil.copytree(folder, tmp_path / "work")
    lab = load_lab(number)
    for name in lab.files:
        shutil.copy(lab.stage / name, tmp_path / "work/stages" / lab.stage.name / name)
    done = subprocess.run(["make", "grade"], cwd=tmp_path / "work", text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    assert done.returncode == 0 and "100/100" in done.stdout, done.stdout
