# What a student gets for a lab: a folder that builds, runs, steps and grades by itself, with the starter where the
# solution was. Only what is listed here goes in; then tools/grading/leaks.py looks whether the solution has come along
# all the same, and if so nothing is written. Called by tools/handout, which is `make handout`.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from layers import files_of, stage_folders

from .lab import Lab
from .leaks import RUN, find_leaks, plain, secrets
from .tree import plan, root_of, starter

TEMPLATES = Path(__file__).parent / "handout_files"
# Of the repository as it is. Bugs, tests, sweeps, figures and what belongs to them hold the solution in their context.
KEPT = (
    "LICENSE", "LICENSES/*", "THIRD-PARTY.md", ".clang-format", ".clangd", ".editorconfig", ".gitattributes",
    ".devcontainer/*", "docs/formats/lab.schema.json", "docs/formats/walk.schema.json", "docs/formats/bug.schema.json",
    "docs/invariants.md", "docs/debugging.md",
    "tools/build.mk", "tools/layer", "tools/layers.py", "tools/boot", "tools/step", "tools/gdb", "tools/doctor",
    "tools/setup", "tools/grade", "tools/machine/*.py", "tools/grading/*.py", "tools/grading/programs/*",
    "tools/grading/sandbox/*.py", "tools/grading/formats/*.py",
)
# Of those, what is for instructors alone.
STAFF = ("tools/grading/handout.py", "tools/grading/leaks.py", "tools/grading/bundle.py")
OTHER_LAB = re.compile(r"tools/grading/lab(\d\d)\w*\.py")
# Of a stage below the lab's: all that is no test. Of the lab's own: without the walks, which tell of the solution step
# by step and stop at labels in it.
OF_STAGES = ("Makefile", "README.md", "steps/*.toml")
OF_THE_STAGE = ("Makefile", "README.md")
MARKED = re.compile(r"^<!-- (\w+):(.*?) -->\n(.*?)^<!-- end(?: \w+)? -->\n", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```\w*\n.*?^```\n", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
LONG = 20           # a line of the solution that is as long as that tells, even amid other words
LEFT_OUT = "*(Left out here: it shows what is yours to write.)*\n"


class HandoutError(Exception):
    """The hand-out cannot be made; the message says why, for a person."""


def make_handout(lab: Lab, into: Path) -> int:
    """Writes the hand-out into a folder that is empty or not there yet; gives the number of files. The same repository
    gives the same bytes."""
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise HandoutError(f"{into} is there already and is not an empty folder")
    files = contents(lab)
    refuse_leaks(lab, files)
    for name, data in files.items():
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod(0o755 if data.startswith(b"#!") else 0o644)
    return len(files)


def refuse_leaks(lab: Lab, files: dict[str, bytes]) -> None:
    leaks = find_leaks(lab, files)
    if leaks:
        raise HandoutError("the solution would be in it:\n" + "\n".join(f"    {leak}" for leak in leaks))


def contents(lab: Lab) -> dict[str, bytes]:
    """Every file of the hand-out by its name."""
    files = {name: path.read_bytes() for name, path in sources(lab).items()}
    lesson = f"stages/{lab.stage.name}/README.md"
    files[lesson] = redacted(lab, files[lesson].decode()).encode()
    files.update({name: filled(lab, text).encode() for name, text in templates().items()})
    files["README.md"] = assignment(lab).encode() + files["README.md"]
    for name, data in files.items():
        if name.endswith(".md"):
            files[name] = without_dead_links(name, data.decode(), set(files)).encode()
    files["PRISTINE"] = pristine(lab, files).encode()
    return dict(sorted(files.items()))


def sources(lab: Lab) -> dict[str, Path]:
    """The files that go in, and where each is copied from."""
    root = root_of(lab)
    found = {str(path.relative_to(root)): path for pattern in KEPT for path in root.glob(pattern) if path.is_file()}
    for name in list(found):
        other = OTHER_LAB.fullmatch(name)
        if name in STAFF or other and other[1] > lab.number:
            del found[name]
    for number, folder in stage_folders(root).items():
        if number <= lab.number:
            patterns = OF_THE_STAGE if number == lab.number else OF_STAGES
            own = [path for pattern in patterns for path in folder.glob(pattern)]
            own += [path for name, path in files_of(folder).items() if not name.startswith("test/")]
            found.update({str(path.relative_to(root)): path for path in own})
    found.update(starter(lab))      # where the student writes, and once more where the grader finds it untouched
    given = [lab.folder / "lab.toml", *lab.folder.glob("challenges/*.md"), *lab.folder.glob("starter/*/*")]
    found.update({str(path.relative_to(root)): path for path in given})
    return found


def templates() -> dict[str, str]:
    """The files that a hand-out has of its own."""
    return {"Makefile": (TEMPLATES / "Makefile").read_text(), ".gitignore": (TEMPLATES / "gitignore").read_text(),
            "README.md": (TEMPLATES / "README.md").read_text()}


def filled(lab: Lab, text: str) -> str:
    values = {"LAB": lab.number, "STAGE": lab.stage.name, "FILES": " ".join(lab.files),
              "MORE": " ".join(sorted(of_challenges(lab))),
              "LIST": "\n".join(f"- `stages/{lab.stage.name}/{name}`" for name in lab.files)}
    return re.sub(r"@([A-Z]+)@", lambda match: values[match[1]], text)


def of_challenges(lab: Lab) -> set[str]:
    """What a student may write besides the lab's files."""
    return {name for challenge in lab.challenges for name in challenge.files} - set(lab.files)


def assignment(lab: Lab) -> str:
    """The lab's page, whose links are now seen from the top of the hand-out."""
    page = lab.folder / "README.md"
    if not page.is_file():
        raise HandoutError(f"{page} is not there: it is the first page of the hand-out")
    folder = f"stages/{lab.stage.name}/lab"

    def moved(match: re.Match) -> str:
        path, hash_sign, anchor = match[3].partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return match[0]
        return f"{match[1]}[{match[2]}]({os.path.normpath(os.path.join(folder, path))}{hash_sign}{anchor})"
    return LINK.sub(moved, page.read_text()).rstrip() + "\n\n"


def redacted(lab: Lab, text: str) -> str:
    """The lesson without the blocks in which a line of the solution stands, and without the paragraphs and tables that
    give several. What it says in words stays: it is there to be learnt from."""
    hidden = {line for lines in secrets(lab).values() for line in lines}

    def told(block: str) -> int:
        lines = [plain(line) for line in block.splitlines()]
        return sum(any(word == line or len(word) > LONG and word in line for line in lines) for word in hidden)

    text = MARKED.sub(lambda match: LEFT_OUT if told(match[3]) else match[0], text)
    text = FENCED.sub(lambda match: LEFT_OUT if told(match[0]) else match[0], text)
    return "\n\n".join(LEFT_OUT.strip() if told(part) >= RUN else part for part in text.split("\n\n"))


def without_dead_links(name: str, text: str, files: set[str]) -> str:
    """A page whose links to what is not in the hand-out are plain words."""
    def kept(match: re.Match) -> str:
        path = match[3].partition("#")[0]
        target = os.path.normpath(os.path.join(os.path.dirname(name), path))
        there = not path or re.match(r"[a-z]+:", path) or target in files or any(
            file.startswith(f"{target}/") for file in files)
        return match[0] if there else match[2]
    return LINK.sub(kept, text)


def pristine(lab: Lab, files: dict[str, bytes]) -> str:
    """The checksums of what the grader takes from its own tree: by them `make grade` sees what was changed in vain."""
    own = {*starter(lab), *(f"stages/{lab.stage.name}/{name}" for name in of_challenges(lab))}
    names = [name for name in plan(lab) if name in files and name not in own]
    names += [name for name in files if name.startswith(f"stages/{lab.stage.name}/lab/starter/")]
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(names))
