# The kernels' files stay small: GRUB, and a person who reads a dump, are to have little to do.
# Seen to fail: with .bss in the segment of .data, whose alignment left a gap in the file.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from measure import memory
from measure.figures import Figures


def test_kernels():
    figures = Figures()
    memory.add_kernels(figures)
    assert len(figures.rows) == 6
    assert not [f"{row.key}: {row.ours} {row.unit}" for row in figures.rows if not row.reached]
