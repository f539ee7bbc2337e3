# The forms in which grades are told. Each module has render(grades) -> text; only what is asked for is loaded, because
# one of them wants a package more. Called by campaign.py and tools/grade. SPDX-License-Identifier: MIT
from __future__ import annotations

import importlib

from ..verdicts import Grade

# The module, the ending of a file, and whether it can hold several submissions.
FORMATS = {"text": ("text", "txt", True), "json": ("as_json", "json", True), "junit": ("junit", "xml", True),
           "gradescope": ("gradescope", "gradescope.json", False),
           "classroom50": ("classroom50", "classroom50.json", False), "tap": ("tap", "tap", True)}


def ending_of(name: str) -> str:
    return FORMATS[name][1]


def holds_several(name: str) -> bool:
    return FORMATS[name][2]


def load(name: str):
    return importlib.import_module(f"{__name__}.{FORMATS[name][0]}")


def render(name: str, grades: list[Grade]) -> str:
    return load(name).render(grades)
