# Builds the ordinary Linux programs once, before the first test that needs them.
# SPDX-License-Identifier: MIT
import platform
import shutil
import subprocess

import pytest
from runs import ROOT


@pytest.fixture(scope="session", autouse=True)
def programs_built():
    """build/.lock keeps two makes apart: this one, that of tools/boot, and those of other test processes."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        pytest.skip("the programs can be run for comparison on x86-64 Linux only")
    if not shutil.which("musl-gcc"):
        pytest.skip("musl-gcc is not installed")
    (ROOT / "build").mkdir(exist_ok=True)
    subprocess.run(["flock", "build/.lock", "make", "--silent", "-f", "tools/build.mk", "programs"], cwd=ROOT,
                   stdin=subprocess.DEVNULL, check=True)
