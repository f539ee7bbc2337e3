# The autograders of the course's bundle at work: set up and grading in a bare Debian as narrow as a container of
# theirs, where bubblewrap fails; and here, where it does not.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import bare_root
import pytest
from bundles import LAB, hand_in, unzip, valid
from grading import bundle


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return bundle.lab_files(LAB)


@pytest.mark.needs("qemu", "grub", "bubblewrap")
def test_classroom50_grades(files, tmp_path):
    for name, data in files.items():
        if name.startswith("classroom50/"):
            bundle.write(tmp_path / name, data)
    hand_in(LAB.stage, tmp_path / "checkout")
    subprocess.run([sys.executable, tmp_path / "classroom50/autograder.py"], timeout=300, cwd=tmp_path / "checkout",
                   env={**os.environ, "CLASSROOM50_BUNDLE_DIR": str(tmp_path / "classroom50")}, check=True)
    assert valid("classroom50", (tmp_path / "checkout/result.json").read_bytes())["score"] == 100


# A submission's own make file or compiler would look around like this: as that user, in that place.
LOOK = '''
import shutil, sys, tempfile
sys.path.insert(0, "/autograder/source/ringstep/tools")
from pathlib import Path
from grading import sandbox
box = sandbox.choose("user")
paths = ["/autograder/results/results.json", "/autograder/results", "/autograder/source",
         "/autograder/source/ringstep/tools/grading/lab03.py", "/autograder/submission",
         "/autograder/submission/syscall_init.c", "/autograder/submission_metadata.json"]
folder = Path(tempfile.mkdtemp())
script = """id -u; cat /etc/passwd >/dev/null && echo system
for p; do cat "$p" || ls "$p/" || echo x >>"$p" || echo closed; done"""
process = box.start(["bash", "-c", script, "look", *paths], folder, stdout=1, stderr=2)
process.wait()
shutil.rmtree(folder)
'''


class Bare:
    """The bare root with lab 03's bundle in it, and how long what was run there took."""

    def __init__(self, files: dict[str, bytes], group: bare_root.Group):
        archive = zipfile.ZipFile(io.BytesIO(files["gradescope.zip"]))
        self.group, self.figures = group, {"memory": group.why or "768 MiB"}
        self.root = bare_root.root_for(archive.read("setup.sh"), archive.read("ringstep/tools/setup"))
        # As Gradescope does it: the zip unpacked in source/, and one file of it moved.
        unzip(files["gradescope.zip"], self.root / "autograder/source")
        (self.root / "autograder/source/run_autograder").rename(self.root / "autograder/run_autograder")
        for name, data in files.items():
            if name.startswith("classroom50/"):
                bundle.write(self.root / "autograder" / name, data)

    def run(self, name: str, *command: str, status: int = 0, **options: str) -> str:
        self.group.empty()
        begin = time.monotonic()
        done = bare_root.inside(self.root, self.group, *command, **options)
        self.figures[name] = f"{time.monotonic() - begin:.1f} s, {self.group.peak()} MiB"
        print(f"--- {name}: {self.figures[name]}\n{done.stdout}")
        assert done.returncode == status, done.stdout
        return done.stdout

    def submit(self, folder: Path, place: str) -> Path:
        for name in ("submission", "results", "checkout"):
            shutil.rmtree(self.root / "autograder" / name, ignore_errors=True)
        (self.root / "autograder/submission_metadata.json").write_text("{}")
        hand_in(folder, self.root / "autograder" / place)
        return self.root / "autograder"


@pytest.fixture
def bare(files):
    group = bare_root.Group()
    yield Bare(files, group)
    group.close()


@pytest.mark.needs("root", "debootstrap")
def test_in_a_bare_root(bare, record_property):
    """Set up and graded within a container's limits. The first time, debootstrap and packages take some minutes."""
    said = bare.run("setup", "/autograder/source/setup.sh")
    (bare.root / "set-up").touch()
    assert said.count("ready: ") == len({(), *(tuple(challenge.flags) for challenge in LAB.challenges)})
    # Where bubblewrap worked, none of this would be the container that it is to be.
    said = bare.run("bubblewrap", "/autograder/source/ringstep/tools/grade", "03", "/autograder/source", status=2)
    assert "bubblewrap cannot be used here: bwrap: Creating new namespace failed" in said
    for name, folder, points in [("solution", LAB.stage, 100), ("starter", LAB.folder / "starter", 0)]:
        place = bare.submit(folder, "submission")
        bare.run(name, "/autograder/run_autograder")
        found = valid("gradescope", (place / "results/results.json").read_bytes())
        assert found["score"] == points, json.dumps(found, indent=1)
        assert len(found["tests"]) == len([check for check in LAB.checks if not check.challenge])
    assert_hidden(bare.run("look", "python3", "-c", LOOK).splitlines())
    place = bare.submit(LAB.stage, "checkout")
    bare.run("classroom50", "python3", "/autograder/classroom50/autograder.py", folder="/autograder/checkout",
             CLASSROOM50_BUNDLE_DIR="/autograder/classroom50")
    assert valid("classroom50", (place / "checkout/result.json").read_bytes())["score"] == 100
    print(bare.figures)
    record_property("figures", bare.figures)


def assert_hidden(seen: list[str]) -> None:
    """What LOOK has found: a system and nothing else."""
    assert 60100 <= int(seen[0]) < 60400 and seen[1] == "system"
    assert [line for line in seen[2:] if not line.startswith(("cat: ", "ls: ", "look: "))] == ["closed"] * 7, seen
