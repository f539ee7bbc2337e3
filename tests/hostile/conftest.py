# Builds the ordinary Linux programs once, before the first test that needs them. They are built and run for Linux on
# x86-64, as those of tests/differential are.
# SPDX-License-Identifier: MIT
import platform
import subprocess

import pytest
from harness import ROOT


@pytest.fixture(scope="session", autouse=True)
def programs_built():
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        pytest.skip("the programs can be built on x86-64 Linux only")
    subprocess.run(["make", "--silent", "programs"], cwd=ROOT, stdin=subprocess.DEVNULL, check=True)
