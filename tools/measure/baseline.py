# The instruction counts that are committed, bench/baseline.json, and their comparison with what is counted now.
# Used by tools/bench and by the test that fails when a path has become longer.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import os
import subprocess

from layers import ROOT

from .figures import CannotMeasure, Figures

FILE = ROOT / "bench/baseline.json"
# Half an instruction: between batches in which a tick of the clock came and others, the median may lie.
TOLERANCE = 0.5


def compiler() -> str:
    """The compiler that makes the kernel, and its main number: another one makes other code, and its counts cannot be
    compared."""
    name = os.environ.get("CC") or "gcc"
    version = subprocess.run([name, "-dumpversion"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return f"{os.path.basename(name)} {version.split('.')[0].strip()}"


def is_comparable() -> bool:
    return read()["compiler"] == compiler()


def exact(figures: Figures) -> dict[str, float]:
    """What is counted and not timed."""
    return {row.key: row.ours for row in figures.rows if row.exact and row.ours is not None}


def read() -> dict:
    if not FILE.exists():
        raise CannotMeasure(f"there is no {FILE.relative_to(ROOT)}; tools/bench --renew-baseline writes it")
    return json.loads(FILE.read_text())


def renew(figures: Figures) -> None:
    """Notes what was counted; the keys that were not measured this time stay."""
    known = read()["figures"] if FILE.exists() else {}
    whole = {"compiler": compiler(), "figures": {**known, **exact(figures)}}
    FILE.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n")


def differences(figures: Figures) -> list[str]:
    """One line for each count that is not what the baseline says, both ways: one that has become shorter in silence
    would hide the next that becomes longer. A baseline of another compiler compares nothing."""
    if not is_comparable():
        return []
    known = read()
    return [f"{key}: {counted:g}, and bench/baseline.json says {known['figures'].get(key, 'nothing')}"
            for key, counted in exact(figures).items()
            if abs(counted - known["figures"].get(key, -1)) > TOLERANCE]
