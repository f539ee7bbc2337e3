# tools/fuzz as a person starts it: with another Python first on the PATH, and with a reader that goes.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from harness import ROOT, unread

FUZZ = ROOT / "tools/fuzz"


@pytest.mark.needs("tqdm")
def test_another_python(tmp_path):
    """One without the distribution's packages gives way to the one that has them, or names what is missing. -S hides
    them. (Seen to fail: it ended with a traceback.)"""
    other = tmp_path / "python3"
    other.symlink_to(sys.executable)
    done = subprocess.run([other, "-S", FUZZ, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if Path("/usr/bin/python3").exists():
        assert done.returncode == 0 and "exit codes:" in done.stdout, done.stderr
        done = subprocess.run(["/usr/bin/python3", "-S", FUZZ], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("tools/fuzz: Python's tqdm is not installed.") and "python3-tqdm" in done.stderr


@pytest.mark.heavy
@pytest.mark.needs("clang", "compiler-rt", "tqdm")
def test_a_reader_that_goes_is_no_error():
    """(Seen to fail: it said "Broken pipe", and ended with 120.)"""
    done = unread(sys.executable, FUZZ, "printk", "--seconds", "1", timeout=300)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")
