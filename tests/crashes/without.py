# Runs tools/boot with one rule of its explanations taken out: without.py MODULE.FUNCTION ARGUMENT...
# Used by test_crashes.py to see the tests of the explanations fail.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))


def take_out(rule: str) -> None:
    """The function gives an empty text, which means that it has nothing to say."""
    module, *path, name = rule.split(".")
    place = importlib.import_module(f"machine.{module}")
    for part in path:
        place = getattr(place, part)
    if not callable(getattr(place, name)):
        raise TypeError(f"{rule} is no rule")
    setattr(place, name, lambda *_arguments: "")


if __name__ == "__main__":
    take_out(sys.argv[1])
    from machine.prepare import boot
    sys.argv = ["tools/boot", *sys.argv[2:]]
    sys.exit(boot.main())
