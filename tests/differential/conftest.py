# Builds the ordinary Linux programs once, before the first test that needs them.
# SPDX-License-Identifier: MIT
import platform
import subprocess

import pytest
from runs import ROOT


@pytest.fixture(scope="session", autouse=True)
def programs_built():
    """make takes the lock of build/ itself, so that several test processes may come here at once."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        pytest.skip("the programs can be run for comparison on x86-64 Linux only")
    subprocess.run(["make", "--silent", "programs"], cwd=ROOT, stdin=subprocess.DEVNULL, check=True)
