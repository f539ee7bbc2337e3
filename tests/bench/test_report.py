# tools/bench itself: what it writes, what it refuses, and what its exit code says; over figures that are made up here.
# Seen to fail: with the changes that each test names.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader

import jsonschema
import pytest
from harness import ROOT
from measure import baseline, startup
from measure.figures import CannotMeasure, Figures, Group, Plot, Row, cells, number

SCHEMA = json.loads((ROOT / "docs/formats/figures.schema.json").read_text())
RECORDED = ROOT / "docs/performance/figures.json"
MACHINE = {"compiler": "gcc 1.2.3"}


def load_bench():
    """tools/bench as a module."""
    loader = SourceFileLoader("bench", str(ROOT / "tools/bench"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench", loader))
    loader.exec_module(module)
    return module


bench = load_bench()


def bench_run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, ROOT / "tools/bench", *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)


@pytest.fixture
def figures() -> Figures:
    return Figures(
        rows=[Row("a.fast", "fast", "ns", 12.345, {"Linux": 1815.0}, most=13),
              Row("a.slow", "slow", "ns", 14, most=13, note="it is"),
              Row("a.none", "none", "ns", None)],
        plots=[Plot("curve", "A curve", "x", "y", {"one": [(1, 2.0), (2, 4.0)], "other": [(1, 3), (2, 900)]}, steep=True)],
        notes=["something was not there"])


@pytest.mark.parametrize("value, text", [
    (80.0, "80"), (1815.2, "1,815"), (11.43, "11.4"), (0.0934, "0.0934"), (2.0, "2"), (None, ""), (233.4, "233")])
def test_numbers(value, text):
    """Seen to fail: without the comma."""
    assert number(value) == text


def test_cells(figures):
    """Seen to fail: with the verdict turned round."""
    headers, fast, slow, none = cells(figures.rows)
    assert headers == ["what", "unit", "ringstep", "Linux", "goal"]
    assert fast == ["fast", "ns", "12.3", "1,815", "≤ 13"]
    assert slow == ["slow", "ns", "14", "", "≤ 13: missed"]
    assert none == ["none", "ns", "", "", ""]


@pytest.mark.needs("matplotlib", "tabulate")
def test_report(figures, tmp_path):
    """Everything is in it, and the same figures give the same files. Seen to fail: without svg.hashsalt."""
    from measure import report

    for name in ("one", "two"):
        report.write(figures, MACHINE, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["curve.svg", "figures.json", "figures.md"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    page = (tmp_path / "one/figures.md").read_text()
    for part in ("gcc 1.2.3", "1,815", "missed", "*slow*: it is", "something was not there", "(curve.svg)"):
        assert part in page
    assert "A curve" in (tmp_path / "one/curve.svg").read_text()
    jsonschema.validate(json.loads((tmp_path / "one/figures.json").read_text()), SCHEMA)


def test_what_is_recorded():
    """The figures of the texts are as the schema says, each key is there once, what is counted reaches its goal, and each
    plot has its picture. Seen to fail: with a goal lowered in the file, and with a picture taken away."""
    recorded = json.loads(RECORDED.read_text())
    jsonschema.validate(recorded, SCHEMA)
    rows = [Row(**row) for row in recorded["rows"]]
    assert len({row.key for row in rows}) == len(rows)
    assert not [row.key for row in rows if row.exact and row.reached is False]
    assert all((RECORDED.parent / f"{plot['key']}.svg").is_file() for plot in recorded["plots"])
    assert {name.split(".")[0] for name in (row.key for row in rows)} == {group.name for group in bench.GROUPS}


def test_what_is_recorded_is_this_kernel():
    """What is counted is what the baseline has, so the texts tell of this kernel and not of an older one. Seen to fail:
    with a count changed in the file."""
    recorded = Figures(rows=[Row(**row) for row in json.loads(RECORDED.read_text())["rows"]])
    known = baseline.read()["figures"]
    counted = baseline.exact(recorded)
    assert counted.keys() == known.keys()
    assert not [key for key in counted if abs(counted[key] - known[key]) > baseline.TOLERANCE]


@pytest.mark.needs("tqdm")
def test_what_cannot_be_measured_is_told():
    """And the rest is measured. Seen to fail: without the `except` in measure()."""
    def fail(figures: Figures) -> None:
        raise CannotMeasure("no such thing; apt-get install thing")

    def work(figures: Figures) -> None:
        figures.rows.append(Row("g.x", "x", "s", 1))

    measured, complete = bench.measure([Group("g", "", [("first", fail), ("second", work)])], with_linux=False)
    assert not complete
    assert measured.notes == ["g: first: not measured: no such thing; apt-get install thing"]
    assert [row.key for row in measured.rows] == ["g.x"]


def test_judgement(figures, tmp_path, monkeypatch, capsys):
    """A goal that is missed, or a count that is not the baseline's, is an exit code and a line. Seen to fail: with
    either of them left out."""
    monkeypatch.setattr(baseline, "FILE", tmp_path / "baseline.json")
    baseline.renew(Figures(rows=[Row("a.count", "", "", 80, exact=True)]))
    assert bench.judge(Figures(rows=[Row("a.count", "", "", 80, exact=True)])) == 0
    assert bench.judge(figures) == 1
    assert "a.slow: 14 ns, and the goal is at most 13" in capsys.readouterr().err
    assert bench.judge(Figures(rows=[Row("a.count", "", "", 81, exact=True)])) == 1
    assert "a.count: 81, and" in capsys.readouterr().err


@pytest.mark.needs("tqdm")
@pytest.mark.parametrize("sound_at", [1, 3, 9])
def test_what_a_busy_machine_has_spoilt_is_measured_again(sound_at):
    """As the spread says, and not whether a goal is reached. Seen to fail: with one attempt, and with a goal that is
    missed as a reason for another one."""
    tries = []

    def work(figures: Figures) -> None:
        tries.append(1)
        figures.rows.append(Row("g.x", "x", "s", len(tries), most=0))
        if len(tries) < sound_at:
            figures.notes.append("far apart")

    measured, _complete = bench.measure([Group("g", "", [("first", work)])], with_linux=False)
    assert len(tries) == min(sound_at, 3)
    assert [row.ours for row in measured.rows] == [len(tries)]
    assert measured.notes == (["far apart"] if sound_at == 9 else [])


@pytest.mark.parametrize("slow, noted", [(1.1, False), (2.0, True)])
def test_spread(slow, noted):
    """One run that was held up says nothing; two do. Seen to fail: without the note, and with the slowest run's time."""
    times = iter([1.0, 1.1, 1.0, slow, 3.0])
    figures = Figures()
    startup.add_timed(figures, "x", "x", lambda: next(times), most=1)
    assert figures.rows[0].ours == 1.1 and bool(figures.notes) is noted


@pytest.mark.needs("tabulate")
def test_nothing_measured():
    """Seen to fail: without the test for no rows, by a traceback."""
    from measure import report

    assert report.table(Figures(), "simple") == "nothing was measured"


@pytest.mark.parametrize("words", [["calls"], ["--no-linux"]])
def test_a_part_is_not_recorded(words):
    """It would take the place of the whole. Seen to fail: without the refusal (it began to measure)."""
    done = bench_run("--record", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "without groups, and with Linux" in done.stderr


@pytest.mark.needs("tqdm", "tabulate", "matplotlib")
def test_what_is_not_sound_is_not_recorded(figures, tmp_path, monkeypatch, capsys):
    """It has a note; a goal that is missed is no reason. Seen to fail: without the condition."""
    from measure import report

    monkeypatch.setattr(report, "RECORDED", tmp_path / "recorded")
    monkeypatch.setattr(sys, "argv", ["tools/bench", "--record", "--out", str(tmp_path / "out")])
    monkeypatch.setattr(bench, "measure", lambda groups, with_linux: (figures, True))
    assert bench.main() == 1
    assert "not recorded" in capsys.readouterr().err and not (tmp_path / "recorded").exists()
    figures.notes.clear()
    assert bench.main() == 1
    assert (tmp_path / "recorded/figures.json").exists()


def test_no_emulator(tmp_path):
    """Seen to fail: by a traceback, when nobody looked."""
    done = subprocess.run([sys.executable, ROOT / "tools/bench", "calls"], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, env={**os.environ, "PATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (2, "")
    assert "qemu-system-x86_64 is not installed" in done.stderr


def test_unknown_group():
    done = bench_run("speed")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no group 'speed'; there are calls, " in done.stderr


def test_help_names_the_groups():
    done = bench_run("--help")
    assert done.returncode == 0
    for group in bench.GROUPS:
        assert group.name in done.stdout and group.about in done.stdout
