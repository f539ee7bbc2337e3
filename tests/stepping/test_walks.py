# Every walk is run in Bochs and in QEMU, and what it says one should see is compared with what is there.
# Seen to fail: with the second SWAPGS of stage 03 removed, at step9; with IF left out of SFMASK, at syscall_entry.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import replace

import pytest

from layers import stage_folders
from machine.walk import findings, follow, load_walk, walk_files
from machines import EMULATORS, stopped

pytestmark = pytest.mark.needs("qemu", "grub")
WALKS = [(stage, path) for stage in stage_folders() for path in walk_files(stage).values()]
WALK_NAMES = [f"{stage}-{path.stem}" for stage, path in WALKS]
# Each is wrong at the entry of stage 03, where the GS base is the program's and nothing has been loaded yet.
WRONG = ("cpl == 3", "gs_base == kernel_gs_base", "rsp == pcr(kernel_gs_base).tss.rsp0", "IF == 1",
         "pcr(gs_base).self == gs_base", "u16[rcx - 2] == 0x340f", "rip == syscall_entry.step2")


@pytest.mark.parametrize("emulator", EMULATORS)
@pytest.mark.parametrize("stage,path", WALKS, ids=WALK_NAMES)
def test_what_a_walk_says_is_there(stage, path, emulator, tmp_path):
    walk = load_walk(path)
    seen = []
    with stopped(emulator, stage, tmp_path, walk.run) as (debugger, kernel):
        for point, view in follow(walk, kernel, debugger):
            seen.append(point)
            wrong = [f"{finding.expected}: {finding.seen}" for finding in findings(point, view) if not finding.holds]
            assert not wrong, point.at
    assert seen == list(walk.seen_in(emulator).points)


@pytest.mark.parametrize("emulator", EMULATORS)
def test_a_wrong_expectation_fails(emulator, tmp_path):
    """The other test can fail: false expectations at a walk's first point are found out, and every one of them."""
    walk = load_walk(walk_files("03")["syscall-round-trip"])
    wrong = replace(walk, points=(replace(walk.points[0], expect=WRONG),))
    with stopped(emulator, "03", tmp_path) as (debugger, kernel):
        for point, view in follow(wrong, kernel, debugger):
            assert [finding.expected for finding in findings(point, view) if finding.holds] == []
