# No path has become longer unnoticed: the instruction counts of system calls, switches and interrupts are those of
# bench/baseline.json. Counts of QEMU's -icount repeat exactly, so one instruction more is a difference.
# Seen to fail: with a NOP in syscall_entry.S, with a second NOP in switch.S, with the count of the baseline changed.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import sys

import pytest
from harness import ROOT

sys.path.insert(0, str(ROOT / "tools"))

from measure import baseline, calls, interrupts         # noqa: E402
from measure.figures import Figures, Group, Row         # noqa: E402

pytestmark = pytest.mark.needs("qemu", "grub")


@pytest.mark.parametrize("group", [calls.GROUP, interrupts.GROUP], ids=lambda group: group.name)
def test_counts(group: Group):
    """The counts are the baseline's, and the goals are reached, with the compiler that it is of."""
    if not baseline.is_comparable():
        pytest.skip(f"the counts of bench/baseline.json are of {baseline.read()['compiler']}, not of "
                    f"{baseline.compiler()}")
    figures = Figures()
    for _name, step in group.steps:
        step(figures)
    assert baseline.exact(figures), "this group counts something"
    assert not baseline.differences(figures), (
        "\n".join(baseline.differences(figures))
        + "\nIf this is meant: tools/bench --no-linux calls interrupts --renew-baseline, and why in the commit")
    assert not [row for row in figures.rows if row.reached is False]


def figures_with(**rows: float) -> Figures:
    return Figures(rows=[Row(key, "", "", ours, exact=True) for key, ours in rows.items()])


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A baseline of one figure."""
    monkeypatch.setattr(baseline, "FILE", tmp_path / "baseline.json")
    baseline.renew(figures_with(a=80))


def test_a_rise_and_a_fall_are_told(small):
    assert baseline.differences(figures_with(a=80.2)) == []
    assert "a: 81, and bench/baseline.json says 80" in baseline.differences(figures_with(a=81))[0]
    assert baseline.differences(figures_with(a=79))


def test_a_new_figure_is_told(small):
    assert "says nothing" in baseline.differences(figures_with(b=1))[0]


def test_another_compiler_compares_nothing(small, monkeypatch):
    monkeypatch.setattr(baseline, "compiler", lambda: "gcc 99")
    assert baseline.differences(figures_with(a=1000)) == []


def test_renewing_keeps_what_was_not_measured(small):
    baseline.renew(figures_with(b=5))
    assert baseline.read()["figures"] == {"a": 80, "b": 5}
