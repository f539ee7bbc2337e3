# What `make course-bundle` writes: complete, the same each time, without a solution; and its autograders leave a result
# whatever happens, in the formats that Gradescope and Classroom 50 read. In test_bare_root.py they really grade.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from bundles import LAB, unzip, valid
from grading import bundle, leaks
from grading.handout import HandoutError
from harness import ROOT

HANGS = "#!/bin/bash\ntrap '' TERM\nsleep 60 & wait; sleep 60\n"


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return bundle.lab_files(LAB)


def entries(data: bytes) -> dict[str, zipfile.ZipInfo]:
    return {entry.filename: entry for entry in zipfile.ZipFile(io.BytesIO(data)).infolist()}


# What is written.

def test_make_course_bundle(files, tmp_path):
    """The command as it is typed, into a folder that an earlier one has written: the same bytes as ours."""
    bundle.write(tmp_path / "there/README.md", bundle.MARK.encode())
    bundle.write(tmp_path / "there/lab03/old", b"")
    done = subprocess.run(["make", "course-bundle", "LAB=03", f"DIR={tmp_path / 'there'}"], cwd=ROOT, text=True,
                          capture_output=True, env={**os.environ, "MAKEFLAGS": ""})
    assert done.returncode == 0, done.stderr
    assert leaks.read_folder(tmp_path / "there/lab03") == files
    assert {path.name for path in (tmp_path / "there").iterdir()} == {"README.md", "lab03"}
    names = {path.name for path in (tmp_path / "there/lab03").iterdir()}
    assert names == {"handout.zip", "answers.md", "gradescope.zip", "classroom50"}
    assert {path.name for path in (tmp_path / "there/lab03/classroom50").iterdir()} == {
        "autograder.py", "ringstep", "runtime.json"}


def test_zips(files):
    """The times and the order are fixed; what can be executed can be when it is unpacked."""
    for name in ("handout.zip", "gradescope.zip"):
        found = entries(files[name])
        assert list(found) == sorted(found) and {entry.date_time for entry in found.values()} == {bundle.EARLIEST}
        modes = {entry.external_attr >> 16 for entry in found.values()}
        assert modes == {stat.S_IFREG | 0o755, stat.S_IFREG | 0o644}
    assert {name.split("/")[0] for name in entries(files["handout.zip"])} == {"ringstep-lab03"}
    found = entries(files["gradescope.zip"])
    assert {name for name in found if not name.startswith("ringstep/")} == {"setup.sh", "run_autograder"}
    for name in ("setup.sh", "run_autograder", "ringstep/tools/grade", "ringstep/tools/setup"):
        assert found[name].external_attr >> 16 & 0o111
    assert {"ringstep/tools/grading/lab03.py", "ringstep/stages/03-syscall-swapgs/lab/lab.toml"} <= set(found)


def test_no_solution(files, tmp_path):
    """Only answers.md is for instructors alone."""
    for name in ("handout.zip", "gradescope.zip"):
        unzip(files[name], tmp_path / name)
    unpacked = leaks.read_folder(tmp_path)
    unpacked |= {name: data for name, data in files.items() if name.startswith("classroom50/")}
    assert leaks.find_leaks(LAB, unpacked) == []
    assert not [name for name in unpacked if name.endswith("answers.md") or "/bugs/" in name]
    assert b"@" not in b"".join(files[f"classroom50/{name}"] for name in ("autograder.py", "runtime.json"))


def test_a_solution_would_be_refused(monkeypatch, tmp_path):
    real = bundle.template
    solution = (LAB.stage / LAB.files[0]).read_bytes()
    monkeypatch.setattr(bundle, "template", lambda lab, name: real(lab, name) + solution)
    with pytest.raises(HandoutError, match="the solution would be in it:\n    setup.sh"):
        bundle.make_bundle([LAB], tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_refusals(tmp_path):
    """Each with its reason, and nothing written."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full/README.md").write_text("mine\n")
    for words, reason in [((tmp_path / "full", "03"), "neither an empty folder nor an earlier bundle"),
                          ((tmp_path / "x", "09"), "no lab '09'"), ((), "the following arguments are required: DIR")]:
        done = subprocess.run([sys.executable, ROOT / "tools/course-bundle", *words], text=True, capture_output=True)
        assert done.returncode == 2 and reason in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "README.md"]


def test_packages(files):
    """They are those that setup.sh installs, and the paste is JSON."""
    packages = json.loads(files["classroom50/runtime.json"])["runtime"]["apt"]
    assert {"gcc", "make", "qemu-system-x86", "bochs", "grub-pc-bin", "bubblewrap", "python3-tqdm"} <= set(packages)
    assert packages == sorted(set(packages)) and "-" not in packages


# The autograders, with a grader that does what it is told.

GOOD = {"score": 42.0, "tests": [{"name": "a", "score": 42, "max_score": 100, "status": "failed"}]}


def fake(folder: Path, text: str) -> None:
    grader = folder / "ringstep/tools/grade"
    grader.parent.mkdir(parents=True, exist_ok=True)
    grader.write_text(text)
    grader.chmod(0o755)


def run_autograder(files: dict[str, bytes], folder: Path, grader: str, **environment: str) -> dict:
    unzip(files["gradescope.zip"], folder / "source")
    fake(folder / "source", grader)
    (folder / "submission").mkdir()
    (folder / "submission_metadata.json").write_text("{}")
    done = subprocess.run([folder / "source/run_autograder"], timeout=30,
                          env={**os.environ, "AUTOGRADER": str(folder), "GRADE_SECONDS": "20", **environment})
    assert done.returncode == 0
    assert [path.name for path in (folder / "results").iterdir()] == ["results.json"]
    return valid("gradescope", (folder / "results/results.json").read_bytes())


def test_gradescope(files, tmp_path):
    """A grade gets there, full or not; the grader is told where from and how, and all is closed to others."""
    says = f"#!/bin/bash\necho \"$@\" >{tmp_path}/words\ncat {tmp_path}/results/results.json >{tmp_path}/before\n"
    found = run_autograder(files, tmp_path, f"{says}echo '{json.dumps(GOOD)}'\nexit 1\n")
    assert found == GOOD
    assert (tmp_path / "words").read_text().split() == [
        "03", f"{tmp_path}/submission", "--format", "gradescope", "--sandbox", "user"]
    assert "did not finish" in valid("gradescope", (tmp_path / "before").read_bytes())["output"]
    for name in ("source", "results", "submission", "submission_metadata.json"):
        assert (tmp_path / name).stat().st_mode & 0o007 == 0, name


@pytest.mark.parametrize("grader, said", [
    ("#!/bin/bash\nkill -SEGV $$\n", "The grader failed"),
    ("#!/bin/bash\necho '{\"score\": 100'\n", "The grader failed"),             # is killed while it writes
    ("#!/bin/bash\nexit 0\n", "The grader failed"),
    (f"#!/bin/bash\necho '{json.dumps(GOOD)}'\nexit 2\n", "The grader failed"),
    ("#!/no/such/thing\n", "The grader failed"),
    (HANGS, "not finished after 1 seconds"),
], ids=["crash", "half", "nothing", "status", "not-there", "hang"])
def test_gradescope_without_a_grade(files, tmp_path, grader, said):
    """No points, and whose fault it is not."""
    found = run_autograder(files, tmp_path, grader, GRADE_SECONDS="1", KILL_SECONDS="1")
    assert found["score"] == 0 and said in found["output"] and "tell your instructor" in found["output"]


def test_gradescope_ended_from_outside(files, tmp_path):
    """What Gradescope finds when it ends the container while the grader is at work."""
    unzip(files["gradescope.zip"], tmp_path / "source")
    fake(tmp_path / "source", HANGS)
    environment = {**os.environ, "AUTOGRADER": str(tmp_path), "GRADE_SECONDS": "2", "KILL_SECONDS": "1"}
    process = subprocess.Popen([tmp_path / "source/run_autograder"], start_new_session=True, env=environment)
    for _ in range(100):
        if list(tmp_path.glob("results/.grade-*")):
            break
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert "did not finish" in valid("gradescope", (tmp_path / "results/results.json").read_bytes())["output"]


FIFTY = {"score": 42, "tests": [{"test-name": "a", "passed": False, "score": 42, "max-score": 100}]}


def run_classroom50(files: dict[str, bytes], folder: Path, grader: str, probe: str = "", **environment: str) -> dict:
    """`probe`: what the trial of a sandbox says; it is there where nothing is said."""
    for name, data in files.items():
        if name.startswith("classroom50/"):
            bundle.write(folder / name, data)
    fake(folder / "classroom50", grader)
    (folder / "classroom50/ringstep/tools/grading/sandbox/__init__.py").write_text(
        f"def choose(name):\n    if {probe!r}: raise SystemExit({probe!r})\n")
    (folder / "checkout").mkdir()
    settings = {"CLASSROOM50_BUNDLE_DIR": str(folder / "classroom50"), "GRADE_SECONDS": "20", **environment}
    done = subprocess.run([sys.executable, folder / "classroom50/autograder.py"], timeout=30, cwd=folder / "checkout",
                          env={**os.environ, **settings})
    assert done.returncode == 0
    found = valid("classroom50", (folder / "checkout/result.json").read_bytes())
    assert found["score"] <= found["max-score"] == sum(one["max-score"] for one in found["tests"]) == 100
    assert {path.name for path in (folder / "checkout").iterdir()} == {"result.json", "release-body.md"}
    return found


def test_classroom50(files, tmp_path):
    found = run_classroom50(files, tmp_path, f"print({json.dumps(json.dumps(FIFTY))})\nraise SystemExit(1)\n",
                            CLASSROOM="cs101", SUBMISSION_TAG="v1", COMMIT_URL="https://example.org/c")
    assert (found["score"], found["classroom"], found["submission"], found["commit"]) == (
        42, "cs101", "v1", "https://example.org/c")
    assert found["tests"] == FIFTY["tests"]
    assert "42 of 100 points" in (tmp_path / "checkout/release-body.md").read_text()


@pytest.mark.parametrize("grader, said", [
    ("import os\nos.abort()\n", "The grader failed"), ("print('{')\n", "The grader failed"),
    ("import time\ntime.sleep(60)\n", "not finished after 1 seconds"), ("raise SystemExit(2)\n", "The grader failed"),
], ids=["crash", "half", "hang", "status"])
def test_classroom50_without_a_grade(files, tmp_path, grader, said):
    assert run_classroom50(files, tmp_path, grader, GRADE_SECONDS="1")["score"] == 0
    assert said in (tmp_path / "checkout/release-body.md").read_text()


def test_classroom50_without_a_sandbox(files, tmp_path):
    """The student's code is not run: the grader is not called."""
    grader = f"open({str(tmp_path / 'called')!r}, 'w')\n"
    found = run_classroom50(files, tmp_path, grader, "it cannot be used here: no\n")
    assert found["score"] == 0 and not (tmp_path / "called").exists()
    assert "No sandbox works here" in (tmp_path / "checkout/release-body.md").read_text()


@pytest.mark.parametrize("works, chosen", [
    ([" bubblewrap", "sudo bubblewrap", "sudo user"], ([], "bubblewrap")),
    (["sudo bubblewrap", "sudo user"], (["sudo", "-n"], "bubblewrap")),     # Ubuntu 24.04: users make no name spaces
    (["sudo user"], (["sudo", "-n"], "user")),
])
def test_classroom50_chooses_a_sandbox(files, tmp_path, monkeypatch, works, chosen):
    """For one who is not root. The sudo there tells the trial that it was called."""
    (tmp_path / "sudo").write_text('#!/bin/bash\nshift; FAKE_SUDO=sudo exec "$@"\n')
    (tmp_path / "sudo").chmod(0o755)
    (tmp_path / "ringstep/tools/grading").mkdir(parents=True)
    (tmp_path / "ringstep/tools/grading/sandbox.py").write_text(
        f"import os\ndef choose(name):\n    assert f\"{{os.environ.get('FAKE_SUDO', '')}} {{name}}\" in {works!r}\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CLASSROOM50_BUNDLE_DIR", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    module = {"__name__": "autograder", "__file__": "autograder.py"}
    exec(files["classroom50/autograder.py"], module)
    assert module["choose"]() == chosen
