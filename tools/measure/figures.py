# What a measurement gives: rows of a table, and lines of a plot. Every group of tools/measure makes them; tools/bench
# prints them and writes them down.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable


class CannotMeasure(Exception):
    """Something that a figure needs is not here; the message says what, and how to get it. The column stays empty."""


@dataclass
class Row:
    """One figure of ours, the same of our peers, and what we want it to be."""

    key: str                    # as the baseline and the texts name it, "calls.getpid"
    what: str
    unit: str
    ours: float | None
    peers: dict[str, float] = field(default_factory=dict)      # by the peer's name, in the same unit
    most: float | None = None   # the goal: ours is to be no more than this
    exact: bool = False         # counted and not timed: the same at each run
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none, or no figure."""
        return None if self.most is None or self.ours is None else self.ours <= self.most


HEADERS = ["what", "unit", "ringstep", "goal"]


def number(value: float | None) -> str:
    """As few digits as say something: 80, 1,815, 11.4, 0.093."""
    if value is None:
        return ""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def count(number_of: int, what: str) -> str:
    """1 CPU, 2 CPUs."""
    return f"{number_of:,} {what}{'' if number_of == 1 else 's'}"


def cells(rows: list[Row]) -> list[list[str]]:
    """A table of figures, its headers first: with a column for each peer that has any, and what is missing marked."""
    peers = list(dict.fromkeys(name for row in rows for name in row.peers))
    goals = {None: "{}", True: "{}", False: "{}: missed"}
    body = [[row.what, row.unit, number(row.ours), *(number(row.peers.get(peer)) for peer in peers),
             goals[row.reached].format("" if row.most is None else f"≤ {number(row.most)}")] for row in rows]
    return [[*HEADERS[:3], *peers, *HEADERS[3:]], *body]


@dataclass
class Plot:
    """One picture: lines of points, each line with its name."""

    key: str
    title: str
    x: str
    y: str
    lines: dict[str, list[tuple[float, float]]]
    logarithmic: bool = True    # each step along x doubles it, and its points are the ticks
    steep: bool = False         # and along y: the lines lie too far apart for one scale
    note: str = ""


@dataclass
class Figures:
    """What one group gives."""

    rows: list[Row] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)      # what could not be measured, or not soundly, and why


@dataclass(frozen=True)
class Group:
    """A part of `make bench` that can be asked for by name. Each step fills Figures of its own, and may be done again
    if it has left a note there."""

    name: str
    about: str
    steps: list[tuple[str, Callable[[Figures], None]]]
