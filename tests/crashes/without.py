# Runs tools/boot, which explains a bad end twice: as it does, and with one rule of its explanations taken out.
#   without.py MODULE.FUNCTION ARGUMENT...
# Used by test_crashes.py: a run may take 20 seconds, and what is said of it no time at all.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
MARK = "and without the rule:"


@contextmanager
def taken_out(rule: str) -> Iterator[None]:
    """The function gives an empty text, which means that it has nothing to say."""
    module, *path, name = rule.split(".")
    place = importlib.import_module(f"machine.{module}")
    for part in path:
        place = getattr(place, part)
    function = getattr(place, name)
    if not callable(function):
        raise TypeError(f"{rule} is no rule")
    setattr(place, name, lambda *_arguments: "")
    try:
        yield
    finally:
        setattr(place, name, function)


def explain_twice(explainer: type, rule: str) -> None:
    explain = explainer.explain

    def twice(self, *arguments) -> list[str]:
        lines = explain(self, *arguments)
        with taken_out(rule):
            return [*lines, MARK, *explain(self, *arguments)]
    explainer.explain = twice


def main() -> int:
    from machine.crash import Explainer
    from machine.hang import Hang
    from machine.prepare import boot
    for explainer in (Explainer, Hang):
        explain_twice(explainer, sys.argv[1])
    sys.argv = ["tools/boot", *sys.argv[2:]]
    return boot.main()


if __name__ == "__main__":
    sys.exit(main())
