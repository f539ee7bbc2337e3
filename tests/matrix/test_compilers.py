# Each stage, built by each compiler, boots and runs its own programs.
# SPDX-License-Identifier: MIT
#
# Seen to fail: with -fms-extensions left out (both), with -Wno-microsoft-anon-tag left out (clang).
from __future__ import annotations

import pytest
from differential.runs import good_boot
from harness import ROOT

STAGES = sorted(path.name[:2] for path in (ROOT / "stages").glob("[0-9][0-9]-*"))


@pytest.mark.parametrize("compiler", ["gcc", pytest.param("clang", marks=pytest.mark.needs("clang"))])
@pytest.mark.parametrize("stage", STAGES)
def test_boots(stage, compiler, monkeypatch):
    monkeypatch.setenv("CC", compiler)
    result = good_boot(stage, [], "--cpus", "2")
    bad = [task for task in result.tasks if task.status and not task.command.startswith(("fault", "edge"))]
    assert bad == []
    assert result.tasks or stage == "00"
