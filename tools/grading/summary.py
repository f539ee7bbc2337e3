# A class at a glance: a table of all submissions and checks, as CSV for a spreadsheet and as one HTML page that needs
# no other file. Called by tools/grade. SPDX-License-Identifier: MIT
from __future__ import annotations

import csv
import io
from html import escape
from pathlib import Path

from .formats.words import clean, outcome, paragraph
from .lab import Lab
from .verdicts import Grade, Status

MARKS = {Status.PASSED: "✓", Status.FAILED: "✗", Status.NOT_REACHED: "–", Status.NOT_OBSERVABLE: "?"}
STYLE = """
body { font: 14px/1.4 sans-serif; margin: 2em; color: #222; background: #fff }
table { border-collapse: collapse } th, td { border: 1px solid #bbb; padding: .2em .5em; text-align: center }
th:first-child, td:first-child, td:last-child { text-align: left }
thead th { background: #eee; position: sticky; top: 0 }
.passed { background: #d9f2d9 } .failed { background: #f8d3d0 }
.reached { background: #eee } .here { background: #fdf3c8 }
pre { white-space: pre-wrap; margin: .3em 0; max-width: 60em } tfoot td { background: #f6f6f6 }
"""


def write(folder: Path, lab: Lab, grades: list[Grade]) -> None:
    for name, text in (("summary.csv", as_csv(lab, grades)), ("summary.html", as_html(lab, grades))):
        partial = folder / f"{name}.partial"
        partial.write_text(text, encoding="utf-8")
        partial.rename(folder / name)


def checks_of(lab: Lab, grades: list[Grade]) -> list[str]:
    """A challenge that nobody tried has no column."""
    said = {verdict.check.id for grade in grades for verdict in grade.verdicts}
    return [check.id for check in lab.checks if not check.challenge or check.id in said]


def harmless(text: str) -> str:
    """A spreadsheet takes some beginnings for a formula; a student may have chosen the name of the file."""
    return f"'{text}" if text[:1] in tuple("=+-@\t\r") else text


def as_csv(lab: Lab, grades: list[Grade]) -> str:
    checks = checks_of(lab, grades)
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(["submission", "points", "max_points", "cause", "seed", "seconds", *checks])
    for grade in grades:
        points = {verdict.check.id: verdict.points if verdict.status in (Status.PASSED, Status.FAILED)
                  else verdict.status.value for verdict in grade.verdicts}
        rows.writerow([harmless(clean(grade.submission)), grade.points, grade.max_points,
                       grade.cause.value if grade.cause else "", grade.seed, round(grade.seconds, 1),
                       *(points.get(name, "") for name in checks)])
    return stream.getvalue()


def as_html(lab: Lab, grades: list[Grade]) -> str:
    checks = checks_of(lab, grades)
    head = "".join(f'<th scope="col" title="{escape(lab.check(name).title)}">'
                   f"{escape(name)}<br>{lab.check(name).points}</th>" for name in checks)
    passed = [sum(verdict.check.id == name and verdict.status is Status.PASSED for grade in grades
                  for verdict in grade.verdicts) for name in checks]
    foot = "".join(f"<td>{number}</td>" for number in passed)
    title = f"Lab {lab.number}: {lab.title}"
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style></head><body>
<h1>{escape(title)}</h1>
<p>{len(grades)} submissions. ✓ passed, ✗ failed, – not reached, ? not observable here; what was seen unfolds at the end
of a row.</p>
<table><thead>
<tr><th scope="col">submission</th><th scope="col">points</th>{head}<th scope="col">what was seen</th></tr></thead>
<tbody>
{"".join(row(grade, checks) for grade in grades)}</tbody>
<tfoot><tr><td>passed</td><td></td>{foot}<td></td></tr></tfoot></table></body></html>
"""


def row(grade: Grade, checks: list[str]) -> str:
    verdicts = {verdict.check.id: verdict for verdict in grade.verdicts}
    cells = "".join(
        f'<td class="{verdicts[name].status.value.split()[-1]}" title="{escape(verdicts[name].status.value)}">'
        f"{MARKS[verdicts[name].status]}</td>" if name in verdicts else "<td></td>" for name in checks)
    failed = [f"{verdict.check.title}\n{paragraph(verdict)}" for verdict in grade.verdicts
              if verdict.status is Status.FAILED]
    texts = [text for text in (outcome(grade), *map(clean, grade.notes), *failed) if text]
    more = "".join(f"<pre>{escape(text)}</pre>" for text in texts)
    summary = grade.cause.value if grade.cause else f"{len(failed)} failed" if failed else "notes"
    told = f"<details><summary>{escape(summary)}</summary>{more}</details>" if texts else ""
    return (f'<tr><td>{escape(clean(grade.submission))}</td><td>{grade.points}/{grade.max_points}</td>{cells}'
            f"<td>{told}</td></tr>\n")
