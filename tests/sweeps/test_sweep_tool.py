# tools/sweep as a person starts it: with a reader that goes.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import signal
import sys

import pytest
from harness import ROOT, unread


@pytest.mark.heavy
@pytest.mark.needs("bochs", "tabulate", "tqdm")
def test_a_reader_that_goes_is_no_error():
    """(Seen to fail: it said "Broken pipe", and ended with 120.)"""
    done = unread(sys.executable, ROOT / "tools/sweep", "nested", "--emulator", "bochs", timeout=300)
    assert done.returncode == 128 + signal.SIGPIPE and "Error" not in done.stderr, done.stderr
