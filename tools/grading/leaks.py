# Looks for a solution where it must not be: lines that stand in the files that a lab hollows out, or in a later stage,
# and nowhere in what a student may see. A few of them in a row, in any file, in whatever form, are a leak.
# Called by tools/grading/handout.py, which writes no hand-out with a leak in it, and by the tests.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from layers import files_of, stage_folders

from .lab import Lab
from .tree import plan, root_of, starter

RUN = 2             # so many lines of one file in a row
NEAR = 3            # lines from one to the next at most, in the file and in the solution: others may stand between
SHORTEST = 8        # what is shorter ('ret', 'swapgs') says nothing by itself
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
STEP = re.compile(r"STEP\([^)]*\)")


@dataclass(frozen=True)
class Leak:
    """Some lines of a file that a student would get."""

    file: str
    line: int
    source: str         # whose lines they are
    text: str           # the first of them

    def __str__(self) -> str:
        return f"{self.file}:{self.line} has lines of {self.source}: {self.text}"


def plain(line: str) -> str:
    """A line without what changes when it is quoted: blanks, comments, the label of a step."""
    return " ".join(STEP.sub("", COMMENT.sub("", line)).split())


def code_lines(text: str) -> list[str]:
    """The lines of a source file that hold code, as they are compared. A comment may go over several lines."""
    without = COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), text)
    return [line for line in map(plain, without.splitlines()) if len(line) >= SHORTEST and re.search(r"\w", line)]


def secrets(lab: Lab) -> dict[str, list[str]]:
    """The lines that only the solution has, by file. In a hand-out there is none to compare with."""
    root = root_of(lab)
    known = "\n".join(plain(line) for path in plan(lab).values() for line in path.read_text().splitlines())
    hidden = [lab.stage.parent / name.removeprefix("stages/") for name in starter(lab)]
    for number, folder in stage_folders(root).items():
        if number > lab.number:
            hidden += [path for name, path in files_of(folder).items() if not name.startswith("test/")]
    found = {}
    for path in sorted(hidden):
        lines = [line for line in code_lines(path.read_text()) if line not in known] if path.is_file() else []
        if lines:
            found[str(path.relative_to(root))] = lines
    return found


def leaks_of(name: str, text: str, hidden: dict[str, list[str]], run: int = RUN) -> list[Leak]:
    """The leaks of one file. A line counts when it holds a solution's line, so that it is found quoted, in a patch, in
    a list or behind a prompt; and JSON writes a line's end as \\n."""
    lines = [plain(line) for line in text.replace("\\n", "\n").splitlines()]
    whole = "\n".join(lines)
    found = []
    for source, secret in hidden.items():
        present = [(order, word) for order, word in enumerate(secret) if word in whole]
        places = sorted((number, order) for order, word in present for number, line in enumerate(lines) if word in line)
        for number, order in places:
            if has_run(number, order, places, run):
                found.append(Leak(name, number + 1, source, secret[order]))
                break
    return found


def has_run(number: int, order: int, places: list[tuple[int, int]], run: int) -> bool:
    """Whether a run begins at this line: each next one is near in the file, and near behind it in the solution."""
    length = 1
    for line, other in places:
        if 0 < line - number <= NEAR and 0 < other - order <= NEAR:
            number, order, length = line, other, length + 1
    return length >= run


def find_leaks(lab: Lab, files: dict[str, bytes]) -> list[Leak]:
    """Of a hand-out, by the names of its files."""
    hidden = secrets(lab)
    return [leak for name, data in files.items()
            for leak in leaks_of(name, data.decode(errors="replace"), hidden)]


def read_folder(folder: Path) -> dict[str, bytes]:
    """The files of a folder, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
