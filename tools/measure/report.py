# Writes down what was measured: a table for the terminal and for Markdown, JSON, and plots as SVG.
# Used by tools/bench.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import matplotlib
from layers import ROOT
from tabulate import tabulate

from .figures import Figures, Plot, cells

RECORDED = ROOT / "docs/performance"


def table(figures: Figures, form: str) -> str:
    headers, *rows = cells(figures.rows)
    if not rows:
        return "nothing was measured"
    sides = ["left", "left", *["right"] * (len(headers) - 3), "left"]
    return tabulate(rows, headers, tablefmt=form, disable_numparse=True, colalign=sides)


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
    rows = [dataclasses.asdict(row) for row in figures.rows]
    plots = [dataclasses.asdict(plot) for plot in figures.plots]
    whole = {"machine": machine, "rows": rows, "plots": plots, "notes": figures.notes}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def draw(plot: Plot, file: Path) -> None:
    """One picture. Without dates and random names in it, so that the same figures give the same file."""
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
    if plot.steep:
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, 1.15 * max(y for points in plot.lines.values() for _, y in points))
    axes.grid(alpha=0.3)
    if len(plot.lines) > 1:
        axes.legend()
    picture.savefig(file, format="svg", metadata={"Date": None})
    pyplot.close(picture)


def record(figures: Figures, machine: dict[str, str]) -> None:
    """What the texts take their figures from. No page: they say more than a list."""
    RECORDED.mkdir(parents=True, exist_ok=True)
    (RECORDED / "figures.json").write_text(as_json(figures, machine))
    for plot in figures.plots:
        draw(plot, RECORDED / f"{plot.key}.svg")


def write(figures: Figures, machine: dict[str, str], folder: Path) -> None:
    """All of it, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.md").write_text(markdown(figures, machine))
    (folder / "figures.json").write_text(as_json(figures, machine))
    for plot in figures.plots:
        draw(plot, folder / f"{plot.key}.svg")
