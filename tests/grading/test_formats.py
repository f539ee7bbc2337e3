# Each form in which a grade is told, against what its readers expect: schemas, other people's parsers, and the words.
# Seen to fail: with each status left out of each format that tells it apart, and with clean() taken away, altogether
# and from each of its callers. SPDX-License-Identifier: MIT
from __future__ import annotations

import csv
import datetime
import json
import re
import subprocess
from html.parser import HTMLParser
from xml.etree import ElementTree

import jsonschema
import pytest
from grading import formats, summary
from grading.formats import as_json, tap, words
from grading.verdicts import Cause, Grade, Status, Verdict
from harness import ROOT
from made_up import LAB, verdicts_of

SCHEMA = json.loads((ROOT / "docs/formats/grade.schema.json").read_text())


def grade(kind: str, name: str = "alice") -> Grade:
    verdicts = verdicts_of(kind == "wrong")
    result = Grade(name, "03", LAB.title, 42, verdicts, notes=["1 file\x1b[1m ignored"], seconds=2.2,
                   instructions=3000000)
    if kind == "refused":
        result.cause, result.message = Cause.REFUSED, "kernel/pcr.h is not there"
    elif kind == "no build":
        result.cause = Cause.NO_BUILD
        result.message = "entry.S:1: Error: \x1b[1mno such\x1b[m <b>'x\x07\x00'</b> ]]>\nok 9"
    elif kind == "grader":
        result.cause, result.message = Cause.GRADER, "KeyError"
    elif kind == "challenge":
        result.verdicts.append(Verdict(LAB.check("two-tables"), Status.PASSED))
    if result.cause:
        result.verdicts = [Verdict(check, Status.NOT_REACHED, result.cause) for check in LAB.checks
                           if not check.challenge]
    return result


KINDS = ["right", "wrong", "refused", "no build", "grader", "challenge"]
EACH = pytest.mark.parametrize("kind", KINDS)


def test_text():
    text = formats.render("text", [grade("wrong")])
    assert text == """\
== Lab 03: A lab made up ==
alice, seed 42
note: 1 file ignored
The entry holds: FAIL (0/10)
    seen:  GS base was <0x10> & not the PCR
    where: syscall_entry+0x9
    why:   It matters for the entry.
    hint:  Look again.
    page:  stages/03-syscall-swapgs/README.md#entry
The exit holds: not reached (0/5)
    seen:  it stands on 'entry', which did not pass
The audit holds: not observable here (0/5)
    seen:  it can fail in bochs alone
Score: 0/20 (2.2 s, 3 million guest instructions)
"""
    assert "The entry holds: OK (10/10)" in formats.render("text", [grade("right")])
    text = formats.render("text", [grade("challenge"), grade("right", "bob")])
    assert "== Challenge kpti ==\n" in text and "Score: 23/20" in text and "\nbob, seed 42\n" in text


def test_clean():
    assert words.clean("a\x1b]0;title\x07b\x1b[1;31mc\r\nd\te\x00\u202e") == "abc\nd    e\\x00\\u202e"


@pytest.mark.parametrize("name", ["text", "json", "junit", "gradescope", "tap"])
@pytest.mark.needs("junitparser")
def test_says_why(name):
    """What a student can go on with is there, in any form that has room for it."""
    assert "kernel/pcr.h is not there" in formats.render(name, [grade("refused")])
    text = formats.render(name, [grade("wrong")])
    assert "It matters for the entry." in text and ("ignored" in text or name == "junit")


def test_a_cause_is_told():
    panic = Verdict(LAB.check("entry"), Status.FAILED, Cause.PANIC, "it stopped")
    assert words.details(panic)[:2] == [("cause", "panic"), ("seen", "it stopped")]


@EACH
@pytest.mark.parametrize("name", formats.FORMATS)
@pytest.mark.needs("junitparser")
def test_nothing_for_a_terminal_to_obey(name, kind):
    text = formats.render(name, [grade(kind, "al\x1b]0;x\x07ice")])
    if name == "gradescope":
        data = json.loads(text)         # it is shown as it is
        text = "".join([data["output"], *(test["output"] for test in data["tests"])])
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)


@EACH
def test_json(kind):
    before = grade(kind)
    data = json.loads(formats.render("json", [before]))
    jsonschema.validate(data, SCHEMA)
    assert as_json.from_dict(data, LAB) == before
    several = json.loads(formats.render("json", [before, before]))
    assert several == [data, data]


def test_schema_knows_every_word():
    verdict = SCHEMA["definitions"]["verdict"]["properties"]
    assert verdict["status"]["enum"] == [status.value for status in Status]
    assert sorted(SCHEMA["definitions"]["cause"]["enum"]) == sorted(cause.value for cause in Cause)


@EACH
@pytest.mark.needs("junitparser")
def test_junit(kind):
    from junitparser import JUnitXml
    text = formats.render("junit", [grade(kind), grade("right", "bob")])
    document = JUnitXml.fromstring(text.encode())
    suites = list(document)
    assert [suite.name for suite in suites] == ["alice", "bob"]
    counted = [(suite.tests, suite.failures, suite.errors, suite.skipped) for suite in suites]
    assert counted[0] == {"right": (3, 0, 0, 0), "wrong": (3, 2, 0, 1), "refused": (4, 4, 0, 0),
                          "no build": (4, 4, 0, 0), "grader": (4, 3, 1, 0), "challenge": (4, 0, 0, 0)}[kind]
    properties = {each.get("name"): each.get("value") for each in ElementTree.fromstring(text).iter("property")}
    assert properties["seed"] == "42" and properties["points.entry"] == "10/10"     # bob's come last
    if kind == "wrong":
        assert "why: It matters for the entry." in text and "GS base was &lt;0x10&gt; &amp; not" in text


@EACH
def test_gradescope(kind):
    before = grade(kind)
    data = json.loads(formats.render("gradescope", [before]))
    assert set(data) <= {"score", "execution_time", "output", "output_format", "test_output_format", "test_name_format",
                         "visibility", "stdout_visibility", "extra_data", "tests", "leaderboard"}
    assert data["score"] == before.points == sum(test["score"] for test in data["tests"])
    assert data["execution_time"] == 3 and "seed 42" in data["output"]
    assert data["visibility"] == "visible" and data["stdout_visibility"] == "hidden"
    assert {data[name] for name in ("output_format", "test_output_format", "test_name_format")} == {"text"}
    for test in data["tests"]:
        assert set(test) <= {"score", "max_score", "status", "name", "name_format", "number", "output", "output_format",
                             "tags", "visibility", "extra_data"}
        assert test["status"] == ("passed" if test["score"] else "failed") and test["visibility"] == "visible"
    assert sum(test["max_score"] for test in data["tests"]) == 20
    if kind == "wrong":
        assert [test["name"] for test in data["tests"]] == [
            "The entry holds", "The exit holds (not reached)", "The audit holds (not observable here)"]


@EACH
def test_classroom50(kind, monkeypatch):
    monkeypatch.setenv("CLASSROOM", "os-2026")
    before = grade(kind)
    data = json.loads(formats.render("classroom50", [before]))
    assert list(data) == ["schema", "classroom", "assignment", "submission", "commit", "release", "review", "datetime",
                          "score", "max-score", "tests"]
    assert data["schema"] == "classroom50/result/v1" and data["classroom"] == "os-2026"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", data["datetime"])
    then = datetime.datetime.strptime(data["datetime"], "%Y-%m-%dT%H:%M:%S%z")
    assert abs((datetime.datetime.now(datetime.timezone.utc) - then).total_seconds()) < 60
    assert 0 <= data["score"] <= data["max-score"] == 20
    for test in data["tests"]:
        assert set(test) == {"test-name", "passed", "score", "max-score"}
        assert type(test["passed"]) is bool and type(test["score"]) is int and 0 <= test["score"] <= test["max-score"]
    assert [(test["passed"], test["score"]) for test in data["tests"]] == [
        (verdict.status is Status.PASSED, verdict.points) for verdict in before.verdicts]


@EACH
@pytest.mark.needs("prove")
def test_tap(kind, tmp_path):
    """As Perl's harness reads it."""
    path = tmp_path / "grade.tap"
    text = formats.render("tap", [grade(kind), grade("right", "bob")])
    path.write_text(text)
    done = subprocess.run(["prove", "-e", "cat", path], capture_output=True, text=True)
    assert "Parse errors" not in done.stdout and "plan" not in done.stdout, done.stdout
    assert (done.returncode == 0) == (kind in ("right", "challenge")), done.stdout
    if kind == "wrong":
        assert "Failed tests:  1-2" in done.stdout
        assert "ok 3 - audit: The audit holds # SKIP not observable here\n" in text
        assert '\n  seen: "GS base was <0x10> & not the PCR"\n' in text
    assert tap.one_line("a title # TODO\nlater") == "a title TODO later"


class Page(HTMLParser):
    """Sees that what is opened is closed, and gathers the cells."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells = 0
        self.tags: set[str] = set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.cells += tag == "td"
        if tag not in ("meta", "br"):
            self.open.append(tag)
        assert not {"src", "href"} & {name for name, _ in attributes}, "another file"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_summary(tmp_path):
    names = ["alice", "=2+3", "<script>alert(1)</script>", "d\x1b[2J\x07", "e", "f"]
    grades = [grade(kind, name) for kind, name in zip(KINDS, names)]
    summary.write(tmp_path, LAB, grades)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["summary.csv", "summary.html"]
    rows = list(csv.reader((tmp_path / "summary.csv").open()))
    assert rows[0] == ["submission", "points", "max_points", "cause", "seed", "seconds",
                       "entry", "exit", "audit", "two-tables"]
    assert rows[1][:4] == ["alice", "20", "20", ""] and rows[1][6:] == ["10", "5", "5", ""]
    assert rows[2][0] == "'=2+3" and rows[2][6:] == ["0", "not reached", "not observable here", ""]
    assert rows[4][3] == "did not build" and rows[6][9] == "3"
    page = Page()
    text = (tmp_path / "summary.html").read_text()
    page.feed(text)
    assert not page.open and not {"script", "b"} & page.tags
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", text + (tmp_path / "summary.csv").read_text())
    assert "GS base was &lt;0x10&gt;" in text and "kernel/pcr.h is not there" in text
    assert "<td>passed</td><td></td><td>2</td><td>2</td><td>2</td><td>1</td>" in text
    assert page.cells == 7 * 7      # seven rows with the last one, seven columns


def test_no_name_is_a_formula():
    for sign in "=+-@\t\r":
        assert summary.harmless(f"{sign}1") == f"'{sign}1"


def test_a_challenge_nobody_tried_has_no_column():
    assert summary.checks_of(LAB, [grade("right")]) == ["entry", "exit", "audit"]
