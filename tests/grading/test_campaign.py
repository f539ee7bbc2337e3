# A class at once, with a made-up grader: many submissions, one of which crashes it, one that kills it, one that is
# refused; interrupted and gone on with; and what tools/grade says to a person.
# Seen to fail: with the child's exception let through, with the key or the grader's failures left out of kept(), with
# each part left out of the key, without end() or check_secrets(). Without PATIENCE, test_late_ones_are_ended went on.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import jsonschema
import made_up
import pytest
from grading import campaign as campaigns
from grading import sandbox
from grading.sandbox.none import NoSandbox
from harness import ROOT, wait_until
from made_up import GOOD, LAB, write

SCHEMA = json.loads((ROOT / "docs/formats/grade.schema.json").read_text())


def load_tool():
    loader = SourceFileLoader("grade_tool", str(ROOT / "tools/grade"))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


@pytest.fixture
def grade(monkeypatch, tmp_path, capsys):
    """tools/grade in this process; gives exit code, output and errors."""
    tool = load_tool()
    made_up.install(monkeypatch)
    monkeypatch.setattr(tool, "load_lab", lambda word: LAB)
    monkeypatch.setattr(campaigns, "fingerprint", lambda emulators: "grader")
    (tmp_path / "work").mkdir()

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tools/grade", *map(str, words), "--no-sandbox",
                                          "--work", str(tmp_path / "work")])
        try:
            code = tool.main()
        except SystemExit as ended:
            code = ended.code
        assert not any((tmp_path / "work").iterdir())
        said = capsys.readouterr()
        return code, said.out, said.err
    return run


def submissions(folder: Path, **words: str) -> list[Path]:
    return [write(folder / name, {**GOOD, "kernel/entry.S": f"{word}\n"}) for name, word in words.items()]


def test_one(grade, tmp_path):
    right, wrong, crash = submissions(tmp_path, right="right", wrong="wrong", crash="crash")
    code, out, _ = grade("03", right, "--seed", 42)
    assert code == 0 and "right, seed 42" in out and "Score: 20/20" in out
    code, out, _ = grade("03", wrong)
    assert code == 1 and "FAIL" in out
    code, out, err = grade("03", crash)
    assert code == 1 and "the grader stumbles" in out and "Traceback" in out
    assert "the grader failed: this says nothing of the submission" in out
    (right / "kernel/pcr.h").unlink()
    code, out, _ = grade("03", right, "--format", "json")
    data = json.loads(out)
    assert code == 1 and data["cause"] == "refused" and "kernel/pcr.h is not there" in data["message"]


def test_seed_is_drawn_and_said(grade, tmp_path):
    path, = submissions(tmp_path, alice="right")
    seeds = {json.loads(grade("03", path, "--format", "json")[1])["seed"] for _ in range(3)}
    assert len(seeds) == 3
    assert f"seed {json.loads(grade('03', path, '--format', 'json', '--seed', 7)[1])['seed']}" == "seed 7"
    assert "seed" in grade("03", path, "--format", "json")[2]


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_class(grade, tmp_path, jobs):
    """One that crashes the grader, one that kills it, one that is nothing: the others have their grades."""
    paths = submissions(tmp_path / "in", alice="right", bob="wrong", carol="crash", dan="die", eve="right",
                        frank="right")
    (tmp_path / "in/gina.zip").write_text("no zip")
    out = tmp_path / "out"
    code, text, _ = grade("03", "-j", jobs, "--out", out, *paths, tmp_path / "in/gina.zip")
    results = {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")}
    for data in results.values():
        jsonschema.validate(data, SCHEMA)
    assert {name: (data["points"], data["cause"]) for name, data in results.items()} == {
        "alice": (20, None), "bob": (0, None), "carol": (0, "the grader failed"), "dan": (0, "the grader failed"),
        "eve": (20, None), "frank": (20, None), "gina": (0, "refused")}
    assert "status -9" in results["dan"]["message"]
    assert code == 1 and "dan: 0/20, the grader failed" in text and "summary.html" in text
    assert len({data["seed"] for data in results.values()}) == 1
    assert len((out / "summary.csv").read_text().splitlines()) == 8
    assert "Score: 20/20" in (out / "alice.txt").read_text()


def test_goes_on(grade, tmp_path, monkeypatch):
    """What is done is kept; what has changed is done again; the grader's own failures too."""
    log = tmp_path / "log"
    monkeypatch.setenv("COUNT", str(log))
    paths = submissions(tmp_path / "in", alice="count", bob="count")
    for form in ("text", "json", "text"):
        assert grade("03", "--out", tmp_path / "out", "--format", form, *paths)[0] == 0
    assert log.read_text().split() == ["alice", "bob"]
    write(paths[1], {"kernel/pcr.h": "changed\n"})
    (paths[0] / "README").write_text("of no account")
    grade("03", "--out", tmp_path / "out", *paths)
    assert log.read_text().split() == ["alice", "bob", "bob"]
    grade("03", "--out", tmp_path / "out", "--seed", 1, *paths)
    assert len(log.read_text().split()) == 5
    monkeypatch.setattr(campaigns, "fingerprint", lambda emulators: "another grader")
    grade("03", "--out", tmp_path / "out", *paths)      # with the seed that was used last
    assert len(log.read_text().split()) == 7
    result = tmp_path / "out/alice.json"
    data = json.loads(result.read_text())
    assert data["seed"] == 1
    for text in (json.dumps({**data, "cause": "the grader failed"}), result.read_text()[:50], "[]", "{}"):
        result.write_text(text)
        grade("03", "--out", tmp_path / "out", *paths)
    assert log.read_text().split()[7:] == ["alice"] * 4


def test_key(monkeypatch):
    monkeypatch.setattr(campaigns, "fingerprint", lambda emulators: "grader")

    def key(lab=LAB, seed=1) -> str:
        return campaigns.Campaign(lab, seed, None, (), Path()).key("contents")
    assert len({key(), key(seed=2), key(replace(LAB, number="04"))}) == 3


def test_fingerprint(tmp_path, monkeypatch):
    """Whatever the grader is made of changes it, and nothing else."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    seen = []
    for change in ({"tools/a": "a"}, {"tools/a": "b"}, {"stages/03/c": "c"}, {"stages/03/c": "d"},
                   {"bin/gcc": "#!/bin/sh\necho 12"}, {"bin/qemu-system-x86_64": "#!/bin/sh\necho 7"}):
        write(tmp_path, change)
        for command in tmp_path.glob("bin/*"):
            command.chmod(0o755)
        seen.append(campaigns.fingerprint(("qemu",), tmp_path))
    (tmp_path / "tools/a").rename(tmp_path / "tools/z")
    seen.append(campaigns.fingerprint(("qemu",), tmp_path))
    assert len(set(seen)) == 7
    write(tmp_path, {"tools/__pycache__/a.pyc": "x", "docs/c": "x"})
    assert campaigns.fingerprint(("qemu",), tmp_path) == seen[-1]


def test_names_of_files(grade, tmp_path):
    one, = submissions(tmp_path / "a", alice="right")
    two, = submissions(tmp_path / "b", alice="wrong")
    three, = submissions(tmp_path, **{"summary": "right"})
    four = write(tmp_path / "bad\n\x1b[2Jname")
    five = write(tmp_path / ".hidden")
    code, text, _ = grade("03", "--out", tmp_path / "out", one, two, three, four, five)
    assert code == 0 and "\x1b" not in text
    assert {path.name for path in (tmp_path / "out").glob("*.json")} == {
        "alice.json", "alice-2.json", "summary-2.json", "bad_n_x1b_2Jname.json", "hidden.json"}


def test_late_ones_are_ended(grade, tmp_path, monkeypatch):
    monkeypatch.setattr(campaigns, "PATIENCE", 1)
    path, = submissions(tmp_path, alice="hang")
    code, out, _ = grade("03", path)
    assert code == 1 and "it was not finished after 1 seconds" in out


def test_who_does_not_listen_is_killed(grade, tmp_path, monkeypatch):
    monkeypatch.setattr(campaigns, "PATIENCE", 1)
    monkeypatch.setattr(campaigns, "POLITE", 0.2)
    path, = submissions(tmp_path, alice="stubborn")
    try:
        assert "it was not finished after 1 seconds" in grade("03", path)[1]
        assert not multiprocessing.active_children()
    finally:
        for process in multiprocessing.active_children():
            process.kill()


def test_each_sets_itself_apart(grade, tmp_path, monkeypatch):
    """In a process of its own: what the sandbox gives to one submission is not another's."""
    log = tmp_path / "log"

    def separate(box) -> None:
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
    monkeypatch.setattr(NoSandbox, "separate", separate)
    grade("03", "--out", tmp_path / "out", *submissions(tmp_path / "in", alice="right", bob="right"))
    assert len({os.getpid(), *map(int, log.read_text().split())}) == 3


PROGRAM = """
import sys
sys.path[:0] = [{tools!r}, {tests!r}, {here!r}]
import grading.lab, made_up, runpy, types
sys.modules["grading.work"] = types.SimpleNamespace(grade_one=made_up.grade_one)
grading.lab.load_lab = lambda word: made_up.LAB
runpy.run_path({tool!r}, run_name="__main__")
"""


def sleepers(folder: Path) -> list[int]:
    """Processes that this test's graders have started: each has left its number, or is about to write it."""
    return [int(text) for path in folder.glob("**/hangs") if (text := path.read_text())]


def is_alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def left_of(folder: Path) -> list[str]:
    """Processes that work in a folder: what is in the sandbox has it for its own."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if str(entry.readlink()).startswith(str(folder)):
                found.append(entry.parent.name)
        except OSError:
            pass
    return found


@pytest.mark.parametrize("box", ["none", pytest.param("bubblewrap", marks=pytest.mark.needs("bubblewrap"))])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted(tmp_path, number, box):
    """Nothing goes on, whether it was Ctrl-C, which all that belong to a terminal are sent, or somebody who ends or
    kills the grader alone."""
    paths = submissions(tmp_path / "in", **{f"s{index}": "hang" for index in range(3)})
    (tmp_path / "work").mkdir()
    program = PROGRAM.format(tools=str(ROOT / "tools"), tests=str(ROOT / "tests"), here=str(Path(__file__).parent),
                             tool=str(ROOT / "tools/grade"))
    grader = subprocess.Popen([sys.executable, "-c", program, "03", "-j", "2", "--sandbox", box,
                               "--out", tmp_path / "out", "--work", tmp_path / "work", *paths],
                              stdout=subprocess.DEVNULL, stderr=(tmp_path / "errors").open("w"),
                              start_new_session=True)
    try:
        assert wait_until(lambda: len(sleepers(tmp_path)) >= 2, 20)
        started = sleepers(tmp_path)
        assert all(map(is_alive, started))
        folders = list(tmp_path.glob("work/*/submission-*"))
        assert [path.stat().st_mode & 0o777 for path in folders] == [0o700] * 2         # as many as -j says
        assert folders[0].parent.stat().st_mode & 0o777 == 0o711
        (os.killpg if number == signal.SIGINT else os.kill)(grader.pid, number)
        assert grader.wait(20) == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    finally:
        grader.kill()
        grader.wait()
    assert wait_until(lambda: not any(map(is_alive, started)))
    assert wait_until(lambda: not left_of(tmp_path))
    if number != signal.SIGKILL:
        assert not any((tmp_path / "work").iterdir())
    assert "Traceback" not in (tmp_path / "errors").read_text()


@pytest.mark.parametrize("words, says", [
    ([], "the following arguments are required"), (["03"], "SUBMISSION"), (["03", "/nowhere"], "/nowhere is not there"),
    (["03", "/tmp", "-j", "0"], "from 1 to 256"), (["03", "/tmp", "--seed", "-1"], "from 0 to"),
    (["03", "/tmp", "--format", "yaml"], "invalid choice"), (["99", "/tmp"], "there is no lab '99'"),
    (["03", "/tmp", "/usr", "--format", "gradescope"], "holds one submission"),
    (["03", "/tmp", "--work", "/nowhere"], "/nowhere"),
])
def test_bad_arguments(words, says):
    done = subprocess.run([sys.executable, ROOT / "tools/grade", *words], capture_output=True, text=True)
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr


def test_help():
    text = subprocess.run([sys.executable, ROOT / "tools/grade", "--help"], capture_output=True, text=True,
                          check=True).stdout
    assert all(word in text for word in ("exit codes", "examples", "gradescope", "--no-sandbox", "bubblewrap"))


def test_there_is_a_sandbox_unless_one_says_no(tmp_path):
    done = subprocess.run([sys.executable, ROOT / "tools/grade", "03", tmp_path], capture_output=True, text=True,
                          env={"PATH": str(tmp_path)})
    assert done.returncode == 2 and "bubblewrap cannot be used here" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["tools", "in/alice", "out"])
def test_refuses_what_it_cannot_hide(grade, tmp_path, monkeypatch, name):
    """The grader, what was handed in, the results: where the code of a submission can read one of them, none is run."""
    path, = submissions(tmp_path / "in", alice="right")
    (tmp_path / "out").mkdir()
    open_one = ROOT / "tools" if name == "tools" else tmp_path / name
    monkeypatch.setattr(NoSandbox, "hides", lambda self, path: path != open_one)
    with pytest.raises(sandbox.SandboxError, match=f"could read or write {open_one},.*chmod o="):
        grade("03", "--out", tmp_path / "out", path)
