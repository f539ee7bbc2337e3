# A machine check, which QEMU can raise anywhere: the kernel must tell where, and end; never return.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
from sweeps.broken import broken

from sweeping import machine_checks

pytestmark = pytest.mark.needs("qemu", "grub")
# By number: the program; SYSCALL done and nothing else; GS swapped, then the stack; C; before SYSRETQ; the program.
SYSCALL = (0, 1, 2, 3, 40, -2, -1)
# The stub; before GS is found, and once more; C; the IRETQ.
NMI = (0, 5, 30, 50, -1)


@pytest.mark.parametrize("path, numbers", [("syscall", SYSCALL), ("nmi", NMI)])
def test_a_machine_check_is_reported(path, numbers):
    """With ring, RIP and RSP of the place, whoever's stack and GS it was. Seen to fail: with no-mce, below."""
    swept = machine_checks.sweep(path, numbers)
    assert not swept.faults
    assert swept.with_users_gs == {"syscall": 2, "nmi": 4}[path]


def test_without_mce_there_is_no_report():
    """The CPU shuts down instead."""
    swept = machine_checks.sweep("syscall", (1,), broken("no-mce"))
    assert "no report of a machine check" in swept.faults[1]
