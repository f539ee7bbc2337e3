# tools/sweep as a person starts it: with words that make no sense, and with a reader that goes.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from harness import ROOT, unread


@pytest.mark.needs("tabulate", "tqdm")
@pytest.mark.parametrize("words, complaint", [
    (["nothing"], "there is no group 'nothing'"),
    (["machine-checks", "--emulator", "bochs"], "Bochs has no way to"),
])
def test_bad_arguments(words, complaint):
    """(Seen to fail: the second swept nothing, and ended well.)"""
    done = subprocess.run([sys.executable, ROOT / "tools/sweep", *words], capture_output=True, text=True)
    assert done.returncode == 2 and complaint in done.stderr


@pytest.mark.heavy
@pytest.mark.needs("bochs", "tabulate", "tqdm")
def test_a_reader_that_goes_is_no_error():
    """(Seen to fail: it said "Broken pipe", and ended with 120.)"""
    done = unread(sys.executable, ROOT / "tools/sweep", "nested", "--emulator", "bochs", timeout=300)
    assert done.returncode == 128 + signal.SIGPIPE and "Error" not in done.stderr, done.stderr
