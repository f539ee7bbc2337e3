# What an instructor gets: for each lab the hand-out as a zip, the answers, an autograder for Gradescope and one for
# Classroom 50. Both autograders hold the hand-out's own tree, which grades and has no solution in it: a student's code
# that got at it would learn nothing. Called by tools/course-bundle, which is `make course-bundle`.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import io
import json
import re
import shutil
import stat
import subprocess
import zipfile
from pathlib import Path

from .handout import contents, refuse_leaks
from .lab import Lab
from .tree import root_of

TEMPLATES = Path(__file__).parent / "bundle_files"
# What tools/setup has to install where a submission is graded.
GROUPS = ("build", "gcc", "run", "bochs", "step", "grade")
EARLIEST = (1980, 1, 1, 0, 0, 0)        # of a zip's times: the same each time
# Gradescope ends a grader after ten minutes unless it is told otherwise. Ours is to say so itself, before.
SECONDS = 540
MARK = "<!-- ringstep's course bundle: "


class BundleError(Exception):
    """The bundle cannot be made; the message says why, for a person."""


def make_bundle(labs: list[Lab], into: Path) -> None:
    """Writes the labs' folders and the page that says what to do with them."""
    if not labs:
        raise BundleError("there is no lab in this tree")
    if into.exists() and not is_ours(into):
        raise BundleError(f"{into} is there already, and is neither an empty folder nor an earlier bundle")
    made = {f"lab{lab.number}": lab_files(lab) for lab in labs}     # all of it, before anything is written
    into.mkdir(parents=True, exist_ok=True)
    write(into / "README.md", (TEMPLATES / "README.md").read_bytes())
    for name, files in made.items():
        shutil.rmtree(into / name, ignore_errors=True)
        for path, data in files.items():
            write(into / name / path, data)


def is_ours(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    page = folder / "README.md"
    return not any(folder.iterdir()) or page.is_file() and page.read_text(errors="replace").startswith(MARK)


def write(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    target.chmod(mode_of(data))


def mode_of(data: bytes) -> int:
    return 0o755 if data.startswith(b"#!") else 0o644


def lab_files(lab: Lab) -> dict[str, bytes]:
    """A lab's folder, by the names of its files."""
    answers = lab.folder / "answers.md"
    if not answers.is_file():
        raise BundleError(f"{answers} is not there: instructors need the answers")
    tree = contents(lab)
    ringstep = {f"ringstep/{name}": data for name, data in tree.items()}
    scripts = {name: template(lab, name) for name in ("setup.sh", "run_autograder", "autograder.py")}
    refuse_leaks(lab, tree | scripts)       # of all that students, or their code, may get at
    gradescope = ringstep | {name: scripts[name] for name in ("setup.sh", "run_autograder")}
    classroom50 = ringstep | {"autograder.py": scripts["autograder.py"]}
    own = {"handout.zip": zipped({f"ringstep-lab{lab.number}/{name}": data for name, data in tree.items()}),
           "answers.md": answers.read_bytes(), "gradescope.zip": zipped(gradescope),
           "classroom50/runtime.json": runtime(lab)}
    return own | {f"classroom50/{name}": data for name, data in classroom50.items()}


def template(lab: Lab, name: str) -> bytes:
    values = {"LAB": lab.number, "POINTS": str(points_of(lab)), "SECONDS": str(SECONDS), "GROUPS": " ".join(GROUPS)}
    text = (TEMPLATES / name).read_text()
    return re.sub(r"@([A-Z]+)@", lambda match: values[match[1]], text).encode()


def points_of(lab: Lab) -> int:
    return sum(check.points for check in lab.checks if not check.challenge)


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip that is the same for the same files: in order, without their times, with what may be executed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.create_system = 3                     # Unix: the upper half of the attributes is a mode
            entry.external_attr = (stat.S_IFREG | mode_of(data)) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return stream.getvalue()


def runtime(lab: Lab) -> bytes:
    """The block for an assignment's settings in Classroom 50: what its runner has to install."""
    setup = root_of(lab) / "tools/setup"
    listed = subprocess.run([setup, "--list"], text=True, stdout=subprocess.PIPE, check=True).stdout
    needs = [line.split("\t") for line in listed.splitlines()]
    packages = sorted({apt for _, group, _, apt, *_ in needs if group in GROUPS and apt != "-"})
    return (json.dumps({"runtime": {"runs-on": "ubuntu-latest", "apt": packages}}, indent=2) + "\n").encode()
