# A class at once, with a made-up grader: many submissions, one of which crashes it, one that kills it, one that is
# refused; interrupted and gone on with; and what tools/grade says to a person.
# Seen to fail: with the child's exception let through, with the key left out of kept(), and without end().
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import signal
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import jsonschema
import made_up
import pytest
from grading import campaign as campaigns
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
        monkeypatch.setattr(sys, "argv", ["tools/grade", *map(str, words), "--no-sandbox", "--work", str(tmp_path / "work")])
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
    assert code == 1 and "the grader failed: this says nothing of the submission" in out and "the grader stumbles" in out
    (right / "kernel/pcr.h").unlink()
    code, out, _ = grade("03", right, "--format", "json")
    assert code == 1 and json.loads(out)["cause"] == "refused" and "kernel/pcr.h is not there" in json.loads(out)["message"]


def test_seed_is_drawn_and_said(grade, tmp_path):
    path, = submissions(tmp_path, alice="right")
    seeds = {json.loads(grade("03", path, "--format", "json")[1])["seed"] for _ in range(3)}
    assert len(seeds) == 3
    assert f"seed {json.loads(grade('03', path, '--format', 'json', '--seed', 7)[1])['seed']}" == "seed 7"
    assert "seed" in grade("03", path, "--format", "json")[2]


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_class(grade, tmp_path, jobs):
    """One that crashes the grader, one that kills it, one that is nothing: the others have their grades."""
    paths = submissions(tmp_path / "in", alice="right", bob="wrong", carol="crash", dan="die", eve="right", frank="right")
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
    for _ in range(2):
        assert grade("03", "--out", tmp_path / "out", *paths)[0] == 0
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
    for text in (json.dumps({**data, "cause": "the grader failed"}), result.read_text()[:50], "[]"):
        result.write_text(text)
        grade("03", "--out", tmp_path / "out", *paths)
    assert log.read_text().split()[7:] == ["alice"] * 3


def test_names_of_files(grade, tmp_path):
    one, = submissions(tmp_path / "a", alice="right")
    two, = submissions(tmp_path / "b", alice="wrong")
    three, = submissions(tmp_path, **{"summary": "right"})
    four = write(tmp_path / "bad\n\x1b[2Jname")
    code, text, _ = grade("03", "--out", tmp_path / "out", one, two, three, four)
    assert code == 0 and "\x1b" not in text
    assert {path.name for path in (tmp_path / "out").glob("*.json")} == {
        "alice.json", "alice-2.json", "summary-2.json", "bad_n_x1b_2Jname.json"}


def test_late_ones_are_ended(grade, tmp_path, monkeypatch):
    monkeypatch.setattr(campaigns, "PATIENCE", 1)
    path, = submissions(tmp_path, alice="hang")
    code, out, _ = grade("03", path)
    assert code == 1 and "it was not finished after 1 seconds" in out


PROGRAM = """
import sys
sys.path[:0] = [{tools!r}, {tests!r}, {here!r}]
import made_up, types
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
loader = SourceFileLoader("grade_tool", {tool!r})
tool = module_from_spec(spec_from_loader(loader.name, loader))
loader.exec_module(tool)
sys.modules["grading.work"] = types.SimpleNamespace(grade_one=made_up.grade_one)
tool.load_lab = lambda word: made_up.LAB
try:
    sys.exit(tool.main())
except KeyboardInterrupt:
    sys.exit(130)
"""


def sleepers(folder: Path) -> list[int]:
    """Processes that this test's graders have started: each has left its number."""
    return [int(path.read_text() or 0) for path in folder.glob("**/hangs")]


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
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted(tmp_path, number, box):
    """Nothing goes on, whether it was Ctrl-C or somebody who kills the grader alone."""
    paths = submissions(tmp_path / "in", **{f"s{index}": "hang" for index in range(3)})
    (tmp_path / "work").mkdir()
    program = PROGRAM.format(tools=str(ROOT / "tools"), tests=str(ROOT / "tests"), here=str(Path(__file__).parent),
                             tool=str(ROOT / "tools/grade"))
    grader = subprocess.Popen([sys.executable, "-c", program, "03", "-j", "2", "--sandbox", box, "--out", tmp_path / "out",
                               "--work", tmp_path / "work", *paths], stdout=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: len(sleepers(tmp_path)) >= 2, 20)
        started = sleepers(tmp_path)
        assert all(map(is_alive, started))
        grader.send_signal(number)
        assert grader.wait(20) == (130 if number == signal.SIGINT else -9)
    finally:
        grader.kill()
        grader.wait()
    assert wait_until(lambda: not any(map(is_alive, started)))
    assert wait_until(lambda: not left_of(tmp_path))
    if number == signal.SIGINT:
        assert not any((tmp_path / "work").iterdir())


@pytest.mark.parametrize("words, says", [
    ([], "the following arguments are required"), (["03"], "SUBMISSION"), (["03", "/nowhere"], "/nowhere is not there"),
    (["03", "/tmp", "-j", "0"], "from 1 to 256"), (["03", "/tmp", "--seed", "-1"], "from 0 to"),
    (["03", "/tmp", "--format", "yaml"], "invalid choice"), (["99", "/tmp"], "there is no lab '99'"),
    (["03", "/tmp", "/usr", "--format", "gradescope"], "holds one submission"),
])
def test_bad_arguments(words, says):
    done = subprocess.run([sys.executable, ROOT / "tools/grade", *words], capture_output=True, text=True)
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr


def test_help():
    text = subprocess.run([sys.executable, ROOT / "tools/grade", "--help"], capture_output=True, text=True, check=True).stdout
    assert all(word in text for word in ("exit codes", "examples", "gradescope", "--no-sandbox", "bubblewrap"))


@pytest.mark.needs("root")
def test_user_refuses_what_it_cannot_hide(grade, tmp_path, monkeypatch):
    """The grader's own files lie where everybody may read."""
    from grading import sandbox
    tool = load_tool()
    box = sandbox.choose("user")
    monkeypatch.setattr(type(box), "hides", lambda self, path: False)
    arguments = type("Arguments", (), {"submissions": [tmp_path], "out": None})
    with pytest.raises(sandbox.SandboxError, match="chmod o="):
        tool.check_secrets(box, arguments)
