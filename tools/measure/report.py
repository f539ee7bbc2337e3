# Writes down what was measured: a table for the terminal and for Markdown, JSON, and plots as SVG.
# Used by tools/bench.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from tabulate import tabulate

from .figures import Figures, Plot, Row


def number(value: float | None) -> str:
    """As few digits as say something: 80, 1,815, 11.4, 0.093."""
    if value is None:
        return ""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def goal(row: Row) -> str:
    return "" if row.most is None else f"≤ {number(row.most)}"


def verdict(row: Row) -> str:
    return {None: "", True: "yes", False: "NO"}[row.reached]


def table(figures: Figures, form: str) -> str:
    """One row for each figure, with a column for each peer that has any."""
    peers = list(dict.fromkeys(name for row in figures.rows for name in row.peers))
    headers = ["what", "unit", "ringstep", *peers, "goal", "reached"]
    rows = [[row.what, row.unit, number(row.ours), *(number(row.peers.get(peer)) for peer in peers), goal(row),
             verdict(row)] for row in figures.rows]
    right = {"ringstep", "goal", *peers}
    return tabulate(rows, headers, tablefmt=form, disable_numparse=True,
                    colalign=["right" if header in right else "left" for header in headers])


def markdown(figures: Figures, machine: dict[str, str]) -> str:
    """The whole report as a page."""
    lines = ["<!-- Written by tools/bench. SPDX-License-Identifier: CC-BY-4.0 -->", "# What it costs, measured", ""]
    lines += [f"- {name}: {value}" for name, value in machine.items()]
    lines += ["", table(figures, "pipe"), ""]
    lines += [f"- *{row.what}*: {row.note}" for row in figures.rows if row.note]
    lines += [f"- {note}" for note in figures.notes]
    for plot in figures.plots:
        lines += ["", f"![{plot.title}]({plot.key}.svg)", *(["", plot.note] if plot.note else [])]
    return "\n".join(lines) + "\n"


def as_json(figures: Figures, machine: dict[str, str]) -> str:
    rows = [{**dataclasses.asdict(row), "reached": row.reached} for row in figures.rows]
    plots = [dataclasses.asdict(plot) for plot in figures.plots]
    whole = {"machine": machine, "rows": rows, "plots": plots, "notes": figures.notes}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def draw(plot: Plot, file: Path) -> None:
    """One picture. Without dates and random names in it, so that the same figures give the same file."""
    import matplotlib       # here: it takes half a second to load, which `tools/bench --list` need not wait for

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "ringstep", "svg.fonttype": "none", "font.size": 10})
    from matplotlib import pyplot
    from matplotlib.ticker import ScalarFormatter

    picture, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for (name, points), marker in zip(plot.lines.items(), "osD^v*" * len(plot.lines)):
        axes.plot(*zip(*points), marker=marker, label=name)
    if plot.logarithmic:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.set_xticks(sorted({x for points in plot.lines.values() for x, _ in points}))
        axes.minorticks_off()
    axes.set(title=plot.title, xlabel=plot.x, ylabel=plot.y)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if len(plot.lines) > 1:
        axes.legend()
    picture.savefig(file, format="svg", metadata={"Date": None})
    pyplot.close(picture)


def write(figures: Figures, machine: dict[str, str], folder: Path) -> None:
    """All of it, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.md").write_text(markdown(figures, machine))
    (folder / "figures.json").write_text(as_json(figures, machine))
    for plot in figures.plots:
        draw(plot, folder / f"{plot.key}.svg")
